"""Sweeps: many jobs of one command line, each in its own folder, and their comparison.

Hydra makes the jobs (`selfinstruct/cli/hydra_app.py`), in this process or in others. A job writes its outcome
to a file in its folder, and nowhere else. The process that started the sweep reads these files, and so does
the next start of the sweep.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.project.resolving import plain_list
from selfinstruct.run_folder.folder import JOB
from selfinstruct.safety.blot import blotted

FINISHED, MISSED, BUDGET, STOPPED, FAILED = "finished", "missed", "budget", "stopped", "failed"
DONE = (FINISHED, MISSED)  # these jobs have ended normally, and are not run again


@dataclass
class Outcome:
    """The outcome of a job.

    Attributes:
        job: its number.
        overrides: the overrides that it was started with.
        state: `finished`, `missed` (short of its target, or without a record), `budget` (spent before the
            end), `stopped` (by the user, or killed) or `failed`.
        error: why it failed.
        objective: the name of the figure that jobs are ranked by.
        value: the value of that figure; None if it is not known.
        fingerprint: a digest of the composed recipe; a finished job with the same one is not run again.
        figures: the figures to compare, by name.
        note: a replay's note on what it cannot know.
        seconds: the time from its start to its end.
        alone: whether it ran in the sweep's own process, and printed its own outcome.
    """

    job: int
    overrides: list[str]
    state: str = STOPPED
    error: str | None = None
    objective: str = ""
    value: float | None = None
    fingerprint: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    seconds: float = 0.0
    alone: bool = True

    def line(self) -> str:
        """The outcome on one line, or two if it failed."""
        if self.state == FAILED:
            return f"job {self.job} failed: {' '.join(self.overrides)}\n  {self.error}"
        if not self.figures:
            return f"job {self.job}: {self.state}"
        counts = f"{self.figures['accepted']:,} of {self.figures['candidates']:,} accepted"
        good = "unknown" if self.value is None else f"{self.value:.4g}"
        why = self.figures.get("main_reason") if self.state == MISSED else None
        state = f"{self.state} ({why})" if why else self.state
        return f"job {self.job}: {state}, {counts}, {self.objective} {good}, {self.seconds:.1f} s"

    def write(self, folder: Path) -> None:
        """Write it to the job's folder; readers see the old file or the new one, never a part."""
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{JOB}.part"
        text = blotted(json.dumps(asdict(self), ensure_ascii=False, indent=2))
        part.write_text(f"{text}\n", encoding="utf-8")
        part.replace(folder / JOB)


def read(folder: Path) -> Outcome | None:
    """The outcome of the job in a folder; None if it has not written one."""
    try:
        return Outcome(**json.loads((folder / JOB).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # killed, or from another version: the job is run again
        return None


def outcomes(sweep: Path) -> list[Outcome]:
    """The outcome of every job in a sweep's folder, by number; a killed job counts as stopped."""
    folders = [path for path in sweep.iterdir() if path.name.isdecimal()] if sweep.is_dir() else []
    numbered = sorted((int(path.name), path) for path in folders)
    return [read(path) or Outcome(number, overrides(path)) for number, path in numbered]


def overrides(folder: Path) -> list[str]:
    """The overrides that the run in a folder was last started with; none if there is no run."""
    path = folder / ".hydra/overrides.yaml"
    return plain_list(path) if path.is_file() else []


def split(override: str) -> tuple[str, str]:
    """An override's key, without Hydra's marks for adding a key (`+`, `++`), and its value."""
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def axes(jobs: Sequence[Outcome]) -> list[str]:
    """The keys with different values in the jobs, in the order of the command line."""
    settings = [dict(map(split, job.overrides)) for job in jobs]
    keys = dict.fromkeys(key for one in settings for key in one)
    return [key for key in keys if len({one.get(key) for one in settings}) > 1]
