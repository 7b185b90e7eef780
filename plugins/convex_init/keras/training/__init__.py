"""What keeps weights non-negative while a model trains, and says so when they are not."""
