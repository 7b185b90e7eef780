"""Tests of the integration with cvxpy."""
