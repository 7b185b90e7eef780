"""Functions of JAX as graphs."""

from convex_init.jax.trace.tracer import Trace, follow, run, trace, traced

__all__ = ["Trace", "follow", "run", "trace", "traced"]
