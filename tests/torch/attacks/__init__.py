"""Models that are not convex and were made to look so, by kind."""
