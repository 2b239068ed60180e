"""What the kinds that ask no model have in common: their records are made when the stage is opened."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from selfinstruct.errors import RunFolderError
from selfinstruct.project.temporary import Entries
from selfinstruct.records import ACCEPTED, WAITING, Record, Reply, Request, stream
from selfinstruct.stages import Stage, StageContext
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.ranges import Range, exactly

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext


def takes(stage: Stage, target: int) -> str:
    """Words for a stage that takes the rows of its material until the target is reached."""
    assert stage.material, "a stage that is built without one has a fault"
    there = len(stage.material.rows)
    much = "all" if there <= target else f"until {target} are accepted of"
    return f"takes {much} {there} {stage.material.told}, without a model"


def up_to_target(known: Known) -> Range:
    """How many records such a stage will have; `rows` counts those of its material."""
    left = known.rows.expected - known.candidates
    return exactly(max(known.accepted, min(known.target, known.accepted + left)))


def taken(stage: Stage, run: StageContext, shuffle: bool, nouns: str) -> Unasked:
    """A stage that takes the rows of its material until the target is reached.

    Args:
        stage: the stage.
        run: the run.
        shuffle: whether it takes them in an order drawn with the run's seed.
        nouns: the word for several rows.
    """
    assert stage.material, "a stage that is built without one has a fault"
    rows, origins = stage.material.rows, stage.material.origins
    order = list(range(len(rows)))
    if shuffle:  # not dependent on the target, so that the first ones stay the same when it grows
        stream(run.seed, stage.name, "order").shuffle(order)

    def candidates() -> Iterator[Record]:
        for number, place in enumerate(order, 1):
            record = stage.record(number, 0, rows[place])
            record.detail.update(origins[place] if origins else {})
            yield record

    work = Unasked(stage, run, candidates(), run.target)
    left = len(rows) - run.journal.stats(stage.name).candidates
    if not left and work.accepted < run.target:
        work.note = f"all {len(rows)} {nouns} were taken, but target={run.target} asks for more"
    elif left:
        work.note = f"{left} of {len(rows)} {nouns} are left; a larger target takes more"
    return work


class Unasked:
    """A stage that is finished as soon as it is opened; see `StageRun`.

    Records that are in the journal are not made again, so a run that continues, or grows, adds what is
    missing.

    Args:
        stage: the stage.
        run: the run.
        candidates: one for each number, in order; one that already has a fate keeps it.
        most: stop after accepting this many; None for no limit.
        beyond: sets the fate of the candidates after these, instead of stopping.
        anew: judge all of them again, for a stage whose choice may change when it receives more records.

    Raises:
        RunFolderError: if the choice has changed, and a later stage has asked about records chosen before.
    """

    goal = 0  # there is nothing to ask
    note = ""
    gave_up: int | None = None

    def __init__(
        self,
        stage: Stage,
        run: StageContext,
        candidates: Iterable[Record],
        most: int | None = None,
        beyond: Callable[[Record], None] | None = None,
        anew: bool = False,
    ) -> None:
        stage.judge.learn_all(run.seeds)
        self.accepted, done = 0, set()
        chosen = array("q")  # the numbers of those that are accepted anew
        for record in () if anew else run.journal.records(stage.name):
            done.add(record.request)
            if record.fate == ACCEPTED:
                self.accepted += 1
                stage.judge.learn(record)
        made = Entries()  # of a choice, which is stored as a whole or not at all
        for record in candidates:
            if record.request in done:
                continue
            if most is not None and self.accepted >= most:
                if beyond is None:
                    break
                beyond(record)
            self._judge(stage, run, record)
            if not anew:
                run.journal.take(stage.name, record.request, [record])
                continue
            made.add(pickle.dumps(record))
            if record.fate == ACCEPTED:
                chosen.append(record.request)
        if anew and run.journal.count("record", stage.name):
            _refuse_another_choice(stage, run, chosen)
        for one in map(pickle.loads, made):
            run.journal.take(stage.name, one.request, [one])
        run.journal.commit()

    def turn(self) -> int | None:
        """See `StageRun`."""
        return None

    def compose(self) -> Request | None:
        """See `StageRun`."""
        return None

    async def prepare(self, number: int, reply: Reply, context: RunContext) -> None:
        """See `StageRun`."""

    def take(self, number: int, reply: Reply) -> list[Record]:
        """See `StageRun`."""
        raise AssertionError("nothing is asked, so there is no reply")

    def skip(self, number: int) -> None:
        """See `StageRun`."""
        raise AssertionError("nothing is asked, so nothing is left out")

    def _judge(self, stage: Stage, run: StageContext, record: Record) -> None:
        stage.judge.sift([record], stream(run.seed, stage.name, record.request, "sift"))
        if record.fate == WAITING and stage.judge.admit(record):
            self.accepted += 1


def _refuse_another_choice(stage: Stage, run: StageContext, now: Iterable[int]) -> None:
    """Refuse to change a choice if a later stage has asked about it: its requests go by the order."""
    before = array("q", (one.request for one in run.journal.records(stage.name, ACCEPTED)))  # in order
    asked = run.asked_about() if before != array("q", sorted(now)) else ()
    if asked:
        raise RunFolderError(
            f"{stage.name}: a different choice would be made from the records that there are now, but "
            f"{' and '.join(asked)} asked about those chosen before. Choose another run_dir, or set "
            "fresh=true to set the old run aside (nothing is deleted); what was asked before comes from the "
            "cache"
        )
