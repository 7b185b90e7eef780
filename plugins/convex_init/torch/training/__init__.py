"""What keeps a model convex while it trains."""
