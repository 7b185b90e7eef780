"""Which layer an initializer or constraint belongs to, and whether its parts go together."""
