"""What could be asked instead of what was refused, tried before it is named."""
