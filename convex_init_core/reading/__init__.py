"""From a graph to what a plan needs: products with weights, the sums that they are part of, and what feeds them."""
