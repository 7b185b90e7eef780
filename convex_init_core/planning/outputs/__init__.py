"""Where a model starts: mean and variance of what it returns."""
