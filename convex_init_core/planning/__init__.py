"""From a reading to a plan: what is drawn for each weight, what is measured, and what is refused."""
