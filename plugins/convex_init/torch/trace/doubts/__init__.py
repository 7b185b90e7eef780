"""What makes a run doubtful: numbers that leave torch, calls that depend on them, and what a run leaves behind."""
