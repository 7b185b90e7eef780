"""Functions of JAX as graphs."""

from convex_init.jax.trace.tracer import Trace, run, trace, traced

__all__ = ["Trace", "run", "trace", "traced"]
