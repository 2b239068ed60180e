"""The page of a report and its figures, made from the numbers alone.

To add a figure, see `figures.py`; what a record's cells look like is in `contents.py` and templates/.
"""
