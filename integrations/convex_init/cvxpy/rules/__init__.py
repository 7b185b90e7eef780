"""What each operation of a graph is in cvxpy: rules from nodes to combinations."""
