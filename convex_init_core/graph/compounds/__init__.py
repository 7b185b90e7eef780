"""Groups of operations that stand for one: written out by a framework, and one node for the core."""
