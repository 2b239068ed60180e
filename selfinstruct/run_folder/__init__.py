"""A run on disk: the run folder, and the check of a finished run."""
