"""From a torch model to the core's graph: a run under a recorder, and each operation lowered to the core's own."""

from convex_init.torch.trace.course import changed_weights, same_course
from convex_init.torch.trace.doubts.watches import on_example_inputs
from convex_init.torch.trace.tracer import look, trace

__all__ = ["changed_weights", "look", "on_example_inputs", "same_course", "trace"]
