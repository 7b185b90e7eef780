"""A torch model as the adapter handles it: copied, fed with inputs, and its parameters by name."""
