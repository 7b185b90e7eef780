"""Which parameters must stay in which interval while a model trains, for it to stay convex."""
