"""Programs that a framework shows as a list of steps, such as a jaxpr, and how they are lowered."""
