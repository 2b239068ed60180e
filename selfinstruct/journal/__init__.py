"""The journal: one SQLite file for each run, its records with their labels, and its repair."""
