"""What keeps weights in their intervals while a model trains, and models that have their weights already."""
