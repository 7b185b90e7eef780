"""Minimise convex functions of many inputs at once, by values and subgradients alone, on any array library."""
