"""The old way to write a kind, before it was an object: `Kind(open, labels=True, …)`; plug-ins may use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.stages import Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.bootstrap import FromPool
from selfinstruct.stages.expand import Expand
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, counted, samples
from selfinstruct.stages.label import Label
from selfinstruct.stages.ranges import Range
from selfinstruct.stages.unasked import takes, up_to_target
from selfinstruct.where import Condition, Where

Open = Callable[[Stage, StageContext], StageRun]
Load = Callable[[Path, str, list[Fault]], "Material | None"]


class Kind:
    """Returns the `StageKind` that answers as these fields say.

    Args:
        open: starts or continues the stage in a run.
        draws: whether its prompts show examples from the pool; if not, each is about one record.
        labels: whether it sets a field of the records it works on, instead of making new ones.
        asks: whether it asks a model; if not, it has no prompts and no model, and `open` does all of its
            work.
        gives: the fields that its records get without a prompt, with sample values.
        uses: the fields that the records it works on must have, besides those in its prompts.
        load: reads the material for its records, for a kind that works on no other stage's.
        options: the other fields, explained in the options of `bootstrap`, `label` and `expand`.
    """

    def __new__(  # type: ignore[misc]
        cls,
        open: Open,
        draws: bool = False,
        labels: bool = False,
        of: str | None = None,
        asks: bool = True,
        gives: Mapping[str, Any] | None = None,
        uses: Sequence[str] = (),
        load: Load | None = None,
        **options: Any,
    ) -> StageKind:
        """See the class."""
        if "where" in options:  # the values that fit, by field
            options["where"] = Where({key: Condition(tuple(one)) for key, one in options["where"].items()})
        if "sets" in options:
            options["variant_field"] = options.pop("sets")
        made: StageKind
        if not asks:
            silent = _SetsWithoutModel if labels else _Silent
            made = silent(of=of, given=gives or {}, uses=tuple(uses), load=load)
        elif draws:
            made = FromPool(**{key: options[key] for key in ("expected", "lines") if key in options})
        elif labels:
            made = Label(of=of, **options)
        else:
            made = Expand(of=of, **options)
        object.__setattr__(made, "open", open)
        return made


@dataclass(frozen=True, kw_only=True)
class _Silent(StageKind):
    """A kind that asks no model."""

    given: Mapping[str, Any] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    load: Load | None = None

    def build(self, parts: Parts) -> Stage | None:
        if not self.load:
            return super().build(parts)
        material = self.load(parts.project, f"pipeline.{parts.name}", parts.faults)
        stage = parts.unasked(self, material=material)
        return stage if material else None

    @property
    def reads_files(self) -> bool:
        return self.load is not None

    def gives(self, stage: Stage | None = None) -> Sample:
        return samples(self.given, stage.name if stage else "")

    def needs(self) -> Sequence[str]:
        return self.uses

    def does(self, stage: Stage, target: int) -> str:
        return takes(stage, target) if self.load else super().does(stage, target)

    def made_of(self, known: Known) -> Range:
        return up_to_target(known) if self.load else super().made_of(known)

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        if not self.load:
            return super().came(stage, accepted, left, target)
        return counted(stage.name, accepted, left, target, " (all there are)")


@dataclass(frozen=True, kw_only=True)
class _SetsWithoutModel(_Silent):
    """A kind that sets fields of another stage's records without asking a model."""

    labels = True
