"""From a torch model to the core's graph: a run under a recorder, and each operation lowered to the core's own."""

from convex_init.torch.trace.course import same_course
from convex_init.torch.trace.tracer import look, trace

__all__ = ["look", "same_course", "trace"]
