"""Keras' side of a draw: seeds, random numbers and raw kernels."""
