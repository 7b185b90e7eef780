"""A computation as the core sees it: nodes that speak one set of operations, whatever framework ran them."""
