"""The calculus of convexity: what keeps a value convex, and the certificate."""
