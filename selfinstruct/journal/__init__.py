"""The journal: one SQLite file for each run, and the repair of a damaged one."""
