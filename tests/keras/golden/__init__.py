"""The golden file of Keras: which models, and how each is recorded; the same on every backend."""
