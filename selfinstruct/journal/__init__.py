"""The journal: one SQLite file a run, and what can be read of a damaged one."""
