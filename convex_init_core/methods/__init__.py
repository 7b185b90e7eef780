"""From settings to the laws of a layer's parameters: the paper's method and the others."""
