"""The files that a run writes for its user, its last messages, and its report.

The numbers of a report are gathered in numbers/, its page is made of them in page/, `writing.py` joins both.
"""
