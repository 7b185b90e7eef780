"""The carrier in Keras: an ordinary classifier read as stages, and the layers of its convex form."""
