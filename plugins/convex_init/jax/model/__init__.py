"""What JAX knows of a model: how its library writes it, and its arrays by name."""
