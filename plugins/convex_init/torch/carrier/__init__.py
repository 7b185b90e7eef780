"""The carrier in torch: an ordinary classifier read as stages, and the modules of its convex form."""
