"""Functions of TensorFlow as graphs."""

from convex_init.tensorflow.trace.tracer import Trace, run, trace, traced

__all__ = ["Trace", "run", "trace", "traced"]
