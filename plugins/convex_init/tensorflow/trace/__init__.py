"""Functions of TensorFlow as graphs."""

from convex_init.tensorflow.trace.tracer import Trace, follow, run, trace, traced

__all__ = ["Trace", "follow", "run", "trace", "traced"]
