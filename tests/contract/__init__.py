"""What every adapter is held to, in NumPy: bounds for draws and signals, fields to send through layers, convexity."""
