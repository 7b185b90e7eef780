"""timm: input-convex entry points for ``timm.create_model``, and ``convexify`` for timm's own CNNs.

Importing this module registers the models ``icnn_*``::

    import convex_init.timm
    import timm

    model = timm.create_model("icnn_mlp_5x784", num_classes=10, in_chans=1, img_size=28)
"""

from convex_init.timm import icnn as _icnn  # noqa: F401  (it registers the models)
from convex_init.timm.conversion import ConvexityReport, NotConvexifiable, convexify, convexity_report
from convex_init.timm.findings import Blocker, FoundLayer, FoundScale
from convex_init.timm.laws import init_weights
from convex_init.timm.networks import IcnnConvNet, IcnnMlp, IcnnResNet
from convex_init.timm.replacements import OFFENDERS

__all__ = [
    "OFFENDERS",
    "Blocker",
    "ConvexityReport",
    "FoundLayer",
    "FoundScale",
    "IcnnConvNet",
    "IcnnMlp",
    "IcnnResNet",
    "NotConvexifiable",
    "convexify",
    "convexity_report",
    "init_weights",
]
