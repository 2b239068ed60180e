"""Where a user's files are, and how they are read and written."""
