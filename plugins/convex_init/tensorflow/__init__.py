"""Input-convex networks in TensorFlow: the tracer that Keras uses on this backend."""
