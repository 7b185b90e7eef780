"""The golden files of torch: which models, and how each is recorded."""
