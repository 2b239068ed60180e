"""A run on disk: whose folder it is, and what its records are with their labels."""
