"""Activations, their Gaussian moments, and the statistics of one layer."""
