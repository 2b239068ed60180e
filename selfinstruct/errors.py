"""What goes wrong, in words a user can act on.

Everything a user can mend is a `UserError`: its text says what is wrong, where, and what to do. The
command line prints that text and exits with status 1; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

MOST_ALIKE = 5  # faults that say the same
MISSED_STATUS = 4  # the exit status of a run that came to its end and missed its target, or left no record


class UserError(Exception):
    """A mistake or a circumstance the user can mend; the message says how."""


class RecipeError(UserError):
    """Every fault found in a recipe, together.

    Attributes:
        faults: the faults, in the order in which the recipe names what is wrong.
        notes: what helps to understand them.
    """

    def __init__(self, faults: Iterable[Fault], name: str = "", notes: Iterable[str] = ()) -> None:
        self.faults, self.notes = list(faults), list(notes)
        count = f"{len(self.faults)} faults" if len(self.faults) > 1 else "1 fault"
        title = f"recipe {name}: {count}" if name else count
        noted = (f"  note: {note}" for note in self.notes)
        super().__init__("\n".join([title, *_folded(self.faults), *noted]))


class RunFolderError(UserError):
    """The run folder cannot be used as it is: another run's, locked, or not writable."""


class DamagedJournal(RunFolderError):
    """A journal that is not as it was written.

    Attributes:
        path: the SQLite file.
        damage: what is damaged, in words.
        remedy: what can be kept, and what to type; empty where only what was found is known.
    """

    def __init__(self, path: Path, damage: Sequence[str], remedy: str = "") -> None:
        self.path, self.damage, self.remedy = path, list(damage), remedy
        lines = self.damage[:MOST_ALIKE]
        if len(self.damage) > MOST_ALIKE:
            lines.append(f"… and {len(self.damage) - MOST_ALIKE:,} more")
        told = "\n    ".join(lines)
        super().__init__(f"{path} is damaged:\n    {told}" + (f"\n  {remedy}" if remedy else ""))


class ModelError(UserError):
    """The model cannot be reached or refuses to work; what was received so far is kept."""


class Interrupted(UserError):
    """The user stopped the run; what was received so far is kept."""

    status = 130  # as after Ctrl-C


class BudgetReached(Interrupted):
    """The run has spent what it may; what was received so far is kept."""

    status = 3  # neither done nor failed: a larger budget goes on


@dataclass(frozen=True)
class Fault:
    """One fault of a recipe.

    Attributes:
        where: the config key, or the file and line.
        what: what is wrong there.
        remedy: what to do about it, if that does not follow from `what`.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n      {self.remedy}" if self.remedy else text


def _folded(faults: list[Fault]) -> Iterator[str]:
    """A line for each fault; of many that say the same, as of each line of a file, the first few."""
    times = Counter(fault.what for fault in faults)
    told: Counter[str] = Counter()
    for fault in faults:
        told[fault.what] += 1
        if told[fault.what] <= MOST_ALIKE:
            yield f"  {fault}"
        elif told[fault.what] == times[fault.what]:
            yield f"  … and {times[fault.what] - MOST_ALIKE} more like this: {fault.where}: {fault.what}"


def unknown(kind: str, name: object, known: Iterable[str]) -> tuple[str, str]:
    """Words for a name that does not exist: what is wrong, and the nearest name with all there are."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}", f"{hint}known: {', '.join(names) or 'none'}"
