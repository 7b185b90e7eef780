"""Tests of the core.

Comparisons with a relative error say ``abs=0.0``: left out, ``pytest.approx`` also accepts anything within 1e-12.
"""
