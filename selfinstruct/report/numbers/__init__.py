"""The numbers of a report, read from a run folder; stats.json holds the same ones.

To add one, see `stats.py`.
"""
