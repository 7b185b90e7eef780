"""Input-convex networks in JAX."""
