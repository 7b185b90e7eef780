"""What an expression is put together from: combinations of vectors, matrices of linear maps, functions with a cone."""
