"""The errors, with messages that a user can act on.

Every error that a user can fix is a `UserError`: its text says what is wrong, where, and what to do. The
command line prints that text and exits with status 1; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

MOST_ALIKE = 5  # how many faults with the same text are printed
MISSED_STATUS = 4  # the exit status of a run that ended normally but missed its target, or has no record


class UserError(Exception):
    """A mistake or a problem that the user can fix; the message says how."""


class RecipeError(UserError):
    """All faults found in a recipe, in one error.

    Attributes:
        faults: the faults, in the order of the recipe's keys.
        notes: notes that help to understand the faults.
    """

    def __init__(self, faults: Iterable[Fault], name: str = "", notes: Iterable[str] = ()) -> None:
        self.faults, self.notes = list(faults), list(notes)
        count = f"{len(self.faults)} faults" if len(self.faults) > 1 else "1 fault"
        title = f"recipe {name}: {count}" if name else count
        noted = (f"  note: {note}" for note in self.notes)
        super().__init__("\n".join([title, *_folded(self.faults), *noted]))


class RunFolderError(UserError):
    """The run folder cannot be used: it belongs to another run, is locked, or is not writable."""


class DamagedJournal(RunFolderError):
    """A journal differs from what was written to it.

    Attributes:
        path: the SQLite file.
        damage: a sentence for each thing that is damaged.
        remedy: what can be kept, and the command to type; empty if that is not known yet.
    """

    def __init__(self, path: Path, damage: Sequence[str], remedy: str = "") -> None:
        self.path, self.damage, self.remedy = path, list(damage), remedy
        lines = self.damage[:MOST_ALIKE]
        if len(self.damage) > MOST_ALIKE:
            lines.append(f"… and {len(self.damage) - MOST_ALIKE:,} more")
        text = "\n    ".join(lines)
        super().__init__(f"{path} is damaged:\n    {text}" + (f"\n  {remedy}" if remedy else ""))


class ModelError(UserError):
    """The model cannot be reached or refuses to work; everything received so far is kept."""


class Interrupted(UserError):
    """The user stopped the run; everything received so far is kept."""

    status = 130  # as after Ctrl-C


class BudgetReached(Interrupted):
    """The run has spent its budget; everything received so far is kept."""

    status = 3  # the run neither finished nor failed: with a larger budget it goes on


@dataclass(frozen=True)
class Fault:
    """One fault of a recipe.

    Attributes:
        where: the config key, or the file and line.
        what: what is wrong there.
        remedy: how to fix it, if `what` does not already say so.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n      {self.remedy}" if self.remedy else text


def _folded(faults: list[Fault]) -> Iterator[str]:
    """A line for each fault; if many have the same text (one for each line of a file), only the first few."""
    times = Counter(fault.what for fault in faults)
    seen: Counter[str] = Counter()
    for fault in faults:
        seen[fault.what] += 1
        if seen[fault.what] <= MOST_ALIKE:
            yield f"  {fault}"
        elif seen[fault.what] == times[fault.what]:
            yield f"  … and {times[fault.what] - MOST_ALIKE} more like this: {fault.where}: {fault.what}"


def unknown(kind: str, name: object, known: Iterable[str]) -> tuple[str, str]:
    """The message for a name that does not exist: the problem, then the nearest name and all known names."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}", f"{hint}known: {', '.join(names) or 'none'}"
