"""The outline of a run: its stages and what each gives its records, as its journal has it.

`run_folder.outline` makes it from a recipe. It is enough to read the records of a run without its recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from selfinstruct.journal.store import Journal

OUTLINE = "outline"  # the meta key


class OfStage(Protocol):
    """The part of a stage that its records are read with; `Stage` and `StageOutline` both have it."""

    @property
    def name(self) -> str:
        """Its name in the pipeline."""

    @property
    def of(self) -> str | None:
        """The stage whose records it works on."""

    @property
    def own(self) -> Sequence[str]:
        """The fields that it gives its records itself."""


class Pipeline(Protocol):
    """The stages of a run; `Recipe` and `Outline` both have them."""

    def stage(self, name: str) -> OfStage:
        """A stage by its name."""

    def labels_of(self, name: str, before: str | None = None) -> Sequence[OfStage]:
        """The stages that label the records of a stage, up to another stage."""


@dataclass(frozen=True)
class StageOutline:
    """A stage of a run.

    Attributes:
        name: its name in the pipeline.
        kind: its kind.
        of: the stage that makes the records it works on; None if it works on no other stage's records.
        labels: whether it sets fields of another stage's records instead of making records.
        own: the fields that it gives its records itself.
        model: the name of its model; empty if it asks none.
        checks: the kind of each filter and of the schema, by name, in order.
        tells: the details that its kind and its filters keep of the records, with their meanings.
        lines: the names of the lines that its prompt draws from files.
    """

    name: str
    kind: str
    of: str | None = None
    labels: bool = False
    own: list[str] = field(default_factory=list)
    model: str = ""
    checks: dict[str, str] = field(default_factory=dict)
    tells: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outline:
    """A run without the parts that are only needed to continue it.

    Attributes:
        recipe: the recipe's name.
        language: the language of the seeds, as a BCP 47 tag.
        seed: the run's seed.
        target: the target of its last start.
        stages: the stages, in order.
    """

    recipe: str
    language: str
    seed: int
    target: int
    stages: list[StageOutline]

    def stage(self, name: str) -> StageOutline:
        """A stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def makers(self) -> list[StageOutline]:
        """The stages that make records, in order."""
        return [stage for stage in self.stages if not stage.labels]

    def labels_of(self, name: str, before: str | None = None) -> list[StageOutline]:
        """The stages that label the records of a stage, up to another stage."""
        names = [stage.name for stage in self.stages]
        until = names.index(before) if before in names else len(names)
        return [stage for stage in self.stages[:until] if stage.labels and stage.of == name]


def stored_outline(journal: Journal) -> Outline | None:
    """The outline that a run has kept; None for a run of a version that kept none."""
    found = journal.meta(OUTLINE)
    if found is None:
        return None
    return Outline(**{**found, "stages": [StageOutline(**stage) for stage in found["stages"]]})
