"""What the rules of single operations cannot see: convex functions that are written with several of them."""
