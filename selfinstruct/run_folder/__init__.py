"""A run on disk: the run folder, the records with their labels, and the check of a finished run."""
