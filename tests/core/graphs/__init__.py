"""Graphs that are written by hand, evaluated with NumPy."""
