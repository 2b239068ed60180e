"""selfinstruct: instruction datasets from a handful of seed tasks (Self-Instruct, arXiv 2212.10560).

>>> from selfinstruct import run
>>> done = run("quickstart", ["target=5"])                                     # doctest: +SKIP
>>> done.records("instances")[0]["instruction"]                                # doctest: +SKIP
"""

from selfinstruct.api import Run, open_run, run

__all__ = ["Run", "open_run", "run"]
