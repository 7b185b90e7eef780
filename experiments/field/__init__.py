"""The benchmark of the field: what people use input-convex networks for, with every start that is in use."""
