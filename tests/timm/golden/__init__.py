"""The golden file of timm: which models, and how each is recorded."""
