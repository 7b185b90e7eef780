"""Laws of weights, the maps that keep them non-negative, how they are drawn, and which axes are summed."""
