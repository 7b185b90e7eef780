"""Train input-convex networks with ignite: handlers that keep them convex, watch that they are, and log their signal.

``NonNegProjection`` clamps the weights after each step, ``ConvexityGuard`` raises or warns when one is lost, and
``SignalMonitor`` logs the columns of ``convex_init.torch.signal_report``.
"""

from convex_init.ignite.guard import ConvexityGuard
from convex_init.ignite.monitor import SignalMonitor
from convex_init.ignite.projection import NonNegProjection

__all__ = ["ConvexityGuard", "NonNegProjection", "SignalMonitor"]
