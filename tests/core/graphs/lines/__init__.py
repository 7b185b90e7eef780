"""What people write, one expression each, by theme: what is convex, and what is refused with which reason."""
