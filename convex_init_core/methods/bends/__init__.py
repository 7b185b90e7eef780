"""Where the ReLUs of a network bend."""
