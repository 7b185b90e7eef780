"""Element-wise functions that a model writes out of pieces and of terms which are convex only together: proofs."""
