"""What the signal does in a model, beside what the theory says of it."""
