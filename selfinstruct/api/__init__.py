"""The Python interface: `run` and `open_run`, and the `Run` that they return."""

from selfinstruct.api.execution import execute, run, write_report
from selfinstruct.api.runs import Run, open_run

__all__ = ["Run", "execute", "open_run", "run", "write_report"]
