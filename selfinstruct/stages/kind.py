"""The questions that a kind of stage answers; outside of `stages` nothing depends on which kind it is.

`StageKind` has the answers of a kind that makes records from another stage's without asking a model. A kind
is a dataclass of its options. It derives from `StageKind` or a similar kind (`each.AboutEach` for kinds that
ask about single records), and overrides the answers that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from selfinstruct.errors import Fault, unknown
from selfinstruct.journal.labelled_records import Picked
from selfinstruct.stages.fields import Field, Sample, passed_on, picked, set_on, where_faults
from selfinstruct.stages.forecast import Forecast, Known
from selfinstruct.stages.ranges import Range
from selfinstruct.stages.tape import ByContent, ReplayStats, Tape
from selfinstruct.where import Where

if TYPE_CHECKING:
    from selfinstruct.config import MixConfig, RecipeConfig
    from selfinstruct.journal.store import Journal
    from selfinstruct.prompts.templates import Prompt
    from selfinstruct.records import Record, Request
    from selfinstruct.sources.pool import Seeds
    from selfinstruct.stages import Material, Stage, StageContext, StageRun


class Parts(Protocol):
    """The parts of a stage in a recipe, from which its kind builds the stage.

    Attributes:
        name: the stage.
        project: the user's folder; relative paths are resolved in it.
        faults: gets the faults of the parts.
    """

    name: str
    project: Path
    faults: list[Fault]

    def source(self, of: str | None) -> str | None:
        """The stage whose records it works on: `of`, or the nearest before it; None if there is none."""

    def parent(self, of: str) -> str | None:
        """The stage from whose records that stage makes its own; None if it makes them of nothing."""

    def inherit_schema(self, of: str | None) -> None:
        """Check its records with the schema of that stage, if the recipe has none for it."""

    def asking(
        self, kind: StageKind, of: str | None = None, lines: Mapping[str, str | list[Any]] | None = None
    ) -> Stage | None:
        """The stage, with its prompts and its model; `lines` are what its requests draw from, by name."""

    def unasked(
        self,
        kind: StageKind,
        of: str | None = None,
        material: Material | None = None,
        instead: bool = False,
    ) -> Stage | None:
        """The stage, which may have no prompts and no model of its own.

        Args:
            kind: its kind.
            of: the stage whose records it works on.
            material: the material for its records.
            instead: whether it takes the place of a stage that asks; then what that one needs is unused.
        """


@dataclass(frozen=True)
class Rest:
    """The rest of a recipe, as far as a stage's kind needs it.

    Attributes:
        config: the recipe's keys.
        seeds: the seed tasks; None if they could not be read.
        fields: the fields of the records that the stage receives.
        unsure: fields that may come from stages with faults, which could not be built.
        made: the fields of the records of each stage before it that makes records.
    """

    config: RecipeConfig
    seeds: Seeds | None
    fields: Sample
    unsure: Mapping[str, Any]
    made: Mapping[str, Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """The material for sample requests of a stage, before there is a run.

    Attributes:
        config: the recipe's keys.
        seeds: the seed tasks.
        rows: the fields of sample records, in place of those that the stage will receive.
        fields: the fields that those will have, with sample values.
        count: how many requests are wanted.
    """

    config: RecipeConfig
    seeds: Seeds
    rows: Sequence[Mapping[str, Any]]
    fields: Mapping[str, Any]
    count: int


@dataclass(frozen=True, kw_only=True)
class StageKind:
    """A kind of stage with its options.

    Attributes:
        of: the stage whose records it works on; None for the nearest before it that makes records.
        where: the conditions on the records that it works on.
        labels: whether it sets fields of those records instead of making new ones.
        tells: the details that it gives its records besides their fields, with their meanings; an export may
            have them as columns.
    """

    of: str | None = None
    where: Where = field(default_factory=Where)
    labels: ClassVar[bool] = False
    tells: ClassVar[Mapping[str, str]] = {}

    # Building

    def build(self, parts: Parts) -> Stage | None:
        """The stage; None if a part is missing, after adding a fault."""
        of = parts.source(self.of)
        stage = parts.unasked(self, of)
        return stage if of else None

    @property
    def makes_records(self) -> bool:
        """Whether it makes records instead of setting fields of another stage's."""
        return not self.labels

    @property
    def shows_seeds(self) -> bool:
        """Whether its prompts show examples from the seeds."""
        return False

    @property
    def reads_files(self) -> bool:
        """Whether it makes records from the user's files."""
        return False

    @property
    def grows(self) -> bool:
        """Whether it keeps all the records it has made when it receives more."""
        return True

    @property
    def steps(self) -> bool:
        """Whether a kind that asks no model makes its records one after the other, in turns.

        Then its filters may ask a model, and it may be stopped between two turns.
        """
        return False

    @property
    def repeats(self) -> bool:
        """Whether it may ask about a record again, so that a record goes on without the last replies."""
        return False

    # Fields

    def gives(self, stage: Stage | None = None) -> Sample:
        """The fields that the stage itself gives its records; the other fields come from their parents."""
        return {}

    def needs(self) -> Sequence[str]:
        """The fields that the records it works on must have, besides those in its prompts."""
        return ()

    def ways(self, stage: Stage) -> list[Sequence[str]]:
        """The fields that it gives a record itself, once for each way to make a record."""
        return [tuple(self.gives(stage))]

    def inherited(self, stage: Stage, fields: Sample) -> Sample:
        """The fields of the records it receives that its own records have too."""
        return picked(fields, self.where)

    def enter(self, stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
        """Add the fields of its records, or those it sets in others; see `fields`."""
        (set_on if self.labels else passed_on)(self.gives(stage), stage, before, records)

    def stamp(self, variant: str | None) -> dict[str, Any]:
        """The fields that it gives all records of a prompt's variant."""
        return {}

    # Checking

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """Faults in how it fits the rest of the recipe."""
        known = {**rest.unsure, **rest.fields}
        lacking = [name for name in self.needs() if name not in known]
        where = f"pipeline.{stage.name}"
        return where_faults(stage, rest.fields, known) + [
            Fault(where, *unknown("field", name, rest.fields)) for name in lacking
        ]

    def names(self, stage: Stage, rest: Rest) -> dict[str, Any]:
        """The names that its templates can use, with sample values."""
        fields = picked(rest.fields, self.where)
        return {**rest.unsure, **{key: one.value for key, one in fields.items()}}

    def apart(self, stage: Stage) -> tuple[str, str] | None:
        """Why its requests cannot be sent together in a batch, and the remedy; None if they can."""
        return None

    # Planning

    def does(self, stage: Stage, target: int) -> str:
        """What the stage does, in words."""
        verb, gives = "sets" if self.labels else "makes", ", ".join(self.gives(stage))
        return f"{verb} {gives or 'records'} from each of {stage.of}, without a model"

    def remarks(self, stage: Stage) -> list[str]:
        """More lines for the plan; each begins with a word of at most eight characters."""
        return []

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """Sample requests like those that it will send; none if it asks no model."""
        return iter(())

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """The work that the stage has left."""
        return Forecast() if self.labels else Forecast(makes=self.made_of(known))

    def made_of(self, known: Known) -> Range:
        """How many records a stage that asks nothing makes from those it receives."""
        return known.rows

    # Running

    def fitting(self, rows: Mapping[int, Record]) -> Mapping[int, Record]:
        """The records that it works on, of those that it receives."""
        return Picked(rows, lambda row: self.where.fits(row.data)) if self.where else rows

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """Start the stage in a run, or continue it."""
        raise NotImplementedError

    def progress(self, stage: Stage, journal: Journal) -> int | None:
        """Replies taken in before, if these count towards its goal; None if accepted records do."""
        return len(journal.taken(stage.name))

    def variant(self, stage: Stage, data: Mapping[str, Any], number: int, seed: int) -> Prompt:
        """The prompt for the record that request `number` is about."""
        return stage.prompts[0]

    def tape(self, stage: Stage, source: Journal, into: Journal, stats: ReplayStats) -> Tape:
        """The recorded replies of the stage, for a replay."""
        return ByContent(stage.name, source, into, stats)

    # Reporting

    def quotas(
        self, stage: Stage, rows: Callable[[], Mapping[int, Record]], target: int, seed: int
    ) -> Mapping[int, int]:
        """How many records a run was to make from each record, by its number; empty if no number was set.

        Args:
            stage: the stage.
            rows: reads the records that it works on, which takes time and memory.
            target: the recipe's target.
            seed: the recipe's seed.
        """
        return {}

    def falls_short(self, accepted: int, goal: int) -> bool:
        """Whether a run missed its goal if the stage accepted `accepted` records of `goal`."""
        return False

    def flawed(self, rejected: Mapping[str, int]) -> dict[str, int]:
        """The rejected records by check, only for checks that mean something is wrong."""
        return dict(rejected)

    def wasted(self, rejected: Mapping[str, int]) -> int:
        """How many of the rejected records count in the warning that too many were rejected."""
        return sum(self.flawed(rejected).values())

    def figures(self, stage: Stage, records: Mapping[str, Iterable[Record]]) -> dict[str, Any]:
        """What its results show, for the summary of the run; empty if there is nothing to show.

        Args:
            stage: the stage.
            records: by stage that makes records, the accepted ones with their labels. Each time that those of
                a stage are iterated over, they are read one by one, for not all of them fit into memory.
        """
        return {}

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        """The result of the stage, in words.

        Args:
            stage: the stage.
            accepted: records accepted.
            left: how many of these were not rejected by a later label.
            target: the recipe's target; None if it does not end the stage, as in a replay.
        """
        return f"{left:,} {stage.name}"

    def levers(self, mix: MixConfig) -> dict[str, str]:
        """The config keys that may help it, by the placeholders of `report.advice`."""
        return {"about": ""}


def samples(values: Mapping[str, Any], stage: str) -> Sample:
    """The fields that a stage gives, made from sample values."""
    return {key: Field(value, stage) for key, value in values.items()}


def counted(name: str, accepted: int, left: int, target: int | None, remark: str = "") -> str:
    """The result of a stage with a target, in words; the remark follows if it was not reached."""
    of = f" of {target:,}" if target is not None and accepted <= target else ""
    fewer = f" ({left:,} after labels)" if left != accepted else ""
    short = remark if of and target is not None and accepted < target else ""
    return f"{accepted:,}{of} {name}{short}{fewer}"
