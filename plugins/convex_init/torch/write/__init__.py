"""How numbers get into a torch model, and how they are kept non-negative there."""
