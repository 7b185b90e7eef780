"""From a torch model to the core's graph: a run under a recorder, and each operation lowered to the core's own."""

from convex_init.torch.trace.course import same_course
from convex_init.torch.trace.tracer import look, trace
from convex_init.torch.trace.watches import on_example_inputs

__all__ = ["look", "on_example_inputs", "same_course", "trace"]
