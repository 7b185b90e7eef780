"""What becomes of a signal from layer to layer."""
