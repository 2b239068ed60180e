"""The files that a run writes for its user, and its last messages."""
