"""Which method suits a model, and which one does not."""
