"""Which inputs of a model, or parts of inputs, are convex, and what depends on them."""
