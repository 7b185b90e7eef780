"""Functions of TensorFlow as graphs."""

from convex_init.tensorflow.trace.tracer import Trace, follow, parts_of, run, trace, traced

__all__ = ["Trace", "follow", "parts_of", "run", "trace", "traced"]
