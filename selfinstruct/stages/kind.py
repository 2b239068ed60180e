"""What a kind of stage answers for itself; nobody outside `stages` asks which kind a stage is of.

`StageKind` answers as a kind does that makes records of another stage's without asking a model. A kind is a
dataclass of its options that derives from it, or from one that is near to it (`each.AboutEach` for those that
ask about single records), and answers differently where it is different.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from selfinstruct.errors import Fault, unknown
from selfinstruct.stages.fields import Field, Sample, passed_on, picked, set_on, where_faults
from selfinstruct.stages.forecast import Forecast, Known
from selfinstruct.stages.ranges import Range
from selfinstruct.stages.tape import ByContent, ReplayStats, Tape
from selfinstruct.where import Where

if TYPE_CHECKING:
    from selfinstruct.config import MixConfig, RecipeConfig
    from selfinstruct.journal.store import Journal
    from selfinstruct.prompts.templates import Prompt
    from selfinstruct.records import Request
    from selfinstruct.sources.pool import Seeds
    from selfinstruct.stages import Material, Stage, StageContext, StageRun


class Parts(Protocol):
    """The parts of a stage as a recipe has them, from which its kind builds it.

    Attributes:
        name: the stage.
        project: the user's folder, from which paths are looked up.
        faults: receives what is wrong with them.
    """

    name: str
    project: Path
    faults: list[Fault]

    def source(self, of: str | None) -> str | None:
        """The stage whose records it is about: this one, or the nearest before it; None where none is."""

    def inherit_schema(self, of: str | None) -> None:
        """Hold its records to the schema of that stage, where the recipe has none for it."""

    def asking(
        self, kind: StageKind, of: str | None = None, lines: Mapping[str, str] | None = None
    ) -> Stage | None:
        """The stage, with its prompts and its model; `lines` are files that it draws lines from, by name."""

    def unasked(
        self, kind: StageKind, of: str | None = None, material: Material | None = None
    ) -> Stage | None:
        """The stage, which may have neither prompts nor a model of its own."""


@dataclass(frozen=True)
class Rest:
    """The rest of a recipe, as far as a stage's kind needs it.

    Attributes:
        config: the recipe's keys.
        seeds: the seed tasks, None where they could not be read.
        fields: the fields of the records that come to the stage.
        unsure: those that stages may give which could not be built.
    """

    config: RecipeConfig
    seeds: Seeds | None
    fields: Sample
    unsure: Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """What the first requests of a stage are tried out with, before there is a run.

    Attributes:
        config: the recipe's keys.
        seeds: the seed tasks.
        rows: the fields of records that may stand in for those that will come to the stage.
        fields: the fields that these will have, with sample values.
        count: requests wanted.
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
        of: the stage whose records it is about; None for the nearest before it that makes records.
        where: it is only about the records that fit these conditions.
        labels: whether it sets fields of the records it is about, rather than making new ones.
    """

    of: str | None = None
    where: Where = field(default_factory=Where)
    labels: ClassVar[bool] = False

    # Building

    def build(self, parts: Parts) -> Stage | None:
        """The stage; None where a part is missing, which is a fault then."""
        of = parts.source(self.of)
        stage = parts.unasked(self, of)
        return stage if of else None

    @property
    def makes_records(self) -> bool:
        """Whether it makes records, rather than setting fields of another stage's."""
        return not self.labels

    @property
    def shows_seeds(self) -> bool:
        """Whether its prompts show examples from the seeds."""
        return False

    @property
    def reads_files(self) -> bool:
        """Whether its records begin with files of the user's."""
        return False

    @property
    def grows(self) -> bool:
        """Whether it keeps all that it has made when more records come to it."""
        return True

    # Fields

    def gives(self, stage: Stage | None = None) -> Sample:
        """The fields that it gives its records itself; the others are those of their parents."""
        return {}

    def needs(self) -> Sequence[str]:
        """The fields of the records it is about that it cannot do without, beside those in its prompts."""
        return ()

    def ways(self, stage: Stage) -> list[Sequence[str]]:
        """The fields that it gives a record itself, once for each way that a record may come about."""
        return [tuple(self.gives(stage))]

    def inherited(self, stage: Stage, fields: Sample) -> Sample:
        """Of the records that come to it, the fields that its own have too."""
        return picked(fields, self.where)

    def enter(self, stage: Stage, before: Sequence[Stage], records: dict[str, Sample]) -> None:
        """Enter the fields of its records, or what it sets in others; see `fields`."""
        (set_on if self.labels else passed_on)(self.gives(stage), stage, before, records)

    def stamp(self, variant: str | None) -> dict[str, Any]:
        """What the records of a variant of its prompt have in common."""
        return {}

    # Checking

    def faults(self, stage: Stage, rest: Rest) -> list[Fault]:
        """What does not fit the rest of the recipe."""
        known = {**rest.unsure, **rest.fields}
        lacking = [name for name in self.needs() if name not in known]
        where = f"pipeline.{stage.name}"
        return where_faults(stage, rest.fields, known) + [
            Fault(where, *unknown("field", name, rest.fields)) for name in lacking
        ]

    def names(self, stage: Stage, rest: Rest) -> dict[str, Any]:
        """What its templates may name, with sample values."""
        fields = picked(rest.fields, self.where)
        return {**rest.unsure, **{key: one.value for key, one in fields.items()}}

    # Planning

    def does(self, stage: Stage, target: int) -> str:
        """What the stage does, in words."""
        verb, gives = "sets" if self.labels else "makes", ", ".join(self.gives(stage))
        return f"{verb} {gives or 'records'} from each of {stage.of}, without a model"

    def remarks(self, stage: Stage) -> list[str]:
        """More lines for the plan, each with a word of eight characters at most in front."""
        return []

    def trials(self, stage: Stage, trial: Trial) -> Iterator[Request]:
        """Requests like those that it will send; none where it asks no model."""
        return iter(())

    def forecast(self, stage: Stage, known: Known) -> Forecast:
        """What the stage has left to do."""
        return Forecast() if self.labels else Forecast(makes=self.made_of(known))

    def made_of(self, known: Known) -> Range:
        """Of the records that come to a stage which asks nothing, how many it makes of them."""
        return known.rows

    # Running

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """Start the stage in a run, or go on with it."""
        raise NotImplementedError

    def progress(self, stage: Stage, journal: Journal) -> int | None:
        """Replies taken in before, where these count towards its goal; None where accepted records do."""
        return len(journal.taken(stage.name))

    def variant(self, stage: Stage, data: Mapping[str, Any], number: int, seed: int) -> Prompt:
        """The prompt for a record, which request `number` is about."""
        return stage.prompts[0]

    def tape(self, stage: Stage, source: Journal, into: Journal, stats: ReplayStats) -> Tape:
        """The recorded replies of the stage, for a replay."""
        return ByContent(stage.name, source, into, stats)

    # Reporting

    def falls_short(self, accepted: int, goal: int) -> bool:
        """Whether a run is not as asked where the stage accepted so many, and this was its goal."""
        return False

    def flawed(self, rejected: Mapping[str, int]) -> dict[str, int]:
        """Of how many records each check rejected, those of the checks that say something is wrong."""
        return dict(rejected)

    def wasted(self, rejected: Mapping[str, int]) -> int:
        """How many of the rejected count when a run says that too many of them were."""
        return sum(self.flawed(rejected).values())

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        """What came out of the stage, in words.

        Args:
            stage: the stage.
            accepted: records accepted.
            left: of these, those that no later label rejected.
            target: the recipe's; None where it is not what ends the stage, in a replay.
        """
        return f"{left:,} {stage.name}"

    def levers(self, mix: MixConfig) -> dict[str, str]:
        """What of the recipe may help it, by the placeholders of `report.advice`."""
        return {"about": ""}


def samples(values: Mapping[str, Any], stage: str) -> Sample:
    """Fields that a stage gives, from sample values."""
    return {key: Field(value, stage) for key, value in values.items()}


def counted(name: str, accepted: int, left: int, target: int | None, remark: str = "") -> str:
    """What came of a stage that works towards the target, in words; the remark where it was not reached."""
    of = f" of {target:,}" if target is not None and accepted <= target else ""
    fewer = f" ({left:,} after labels)" if left != accepted else ""
    short = remark if of and target is not None and accepted < target else ""
    return f"{accepted:,}{of} {name}{short}{fewer}"
