"""Matrices and kernels that are neither learnt nor made of inputs."""
