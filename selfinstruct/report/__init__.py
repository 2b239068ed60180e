"""What a run leaves behind for its user to read."""
