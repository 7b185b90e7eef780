"""Random models from allowed and forbidden pieces, and whether one of them lies above a chord."""
