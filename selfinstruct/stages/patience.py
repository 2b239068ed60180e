"""When to stop a stage whose replies are useless, before all of them are paid for.

A reply is useless if none of its candidates was judged: it is empty, cut, unreadable, or refused by the
provider or in the model's own words. Replies count in the order of their numbers and not of their arrival,
so a stage stops at the same place at any concurrency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from selfinstruct.journal.store import Journal
from selfinstruct.records import KEPT, REJECTED, SCHEMA_CHECK, Record
from selfinstruct.stages import Stage

REFUSES = ("refusal",)  # kinds of filter that find no usable answer in the reply at all


class Patience:
    """Counts the useless replies in a row.

    If no reply has been useful from the start, half of the patience is enough.

    Args:
        stage: the stage.
        journal: the journal of the run, with all that was done before.
        most: stop after this many in a row.
        counting: the requests taken in before that count; all, unless given.

    Attributes:
        barren: how many there are in a row now.
        last: the number of the last useful reply; 0 if there was none.
    """

    def __init__(
        self, stage: Stage, journal: Journal, most: int, counting: Iterable[int] | None = None
    ) -> None:
        self._most = most
        kinds = {name: check.kind or name for name, check in stage.judge.checks}
        self._judged = {SCHEMA_CHECK, *(name for name, kind in kinds.items() if kind not in REFUSES)}
        self.barren, self.last = 0, 0
        fruitful = journal.read(stage.name, self._judged)
        for number in sorted(journal.taken(stage.name) if counting is None else counting):
            self._count(number, number in fruitful)

    @property
    def over(self) -> bool:
        """Whether to stop."""
        return self.barren >= (self._most if self.last else (self._most + 1) // 2)

    def note(self, stage: str) -> str:
        """How the stage ended, and how to continue, in words."""
        which = f"the last {self.barren} replies" if self.last else f"all {self.barren} replies so far"
        return (
            f"stopped early, and the run with it: nothing could be used of {which}. "
            f"To continue from here, run the same command with pipeline.{stage}.patience={2 * self._most}"
        )

    def see(self, number: int, records: Sequence[Record]) -> None:
        """Count a reply by the candidates read from it, judged or not."""
        own = [record for record in records if KEPT not in record.detail]
        self._count(number, any(one.fate != REJECTED or one.check in self._judged for one in own))

    def _count(self, number: int, fruitful: bool) -> None:
        self.barren = 0 if fruitful else self.barren + 1
        self.last = number if fruitful else self.last
