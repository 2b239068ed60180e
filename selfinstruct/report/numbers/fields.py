"""What a report is about: the field whose text makes a record new, and the stage that makes those texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline

SIMILAR = ("rouge_l", "exact_duplicate")  # the kinds of checks that compare a text with earlier ones
USUAL = "instruction"


@dataclass(frozen=True)
class Texts:
    """The texts of a run that are compared with each other and counted.

    Attributes:
        stage: the last stage that makes them.
        field: their field.
    """

    stage: StageOutline
    field: str


def saved(run: OpenedRun) -> tuple[dict[str, Any], list[str]]:
    """The saved config of a run, and what to say if there is none.

    A report can do without it: only the options of the checks and the questions of a review are missing.
    """
    try:
        return run.config, []
    except UserError as error:
        return {}, [f"The saved config cannot be read, so thresholds are missing here: {error}."]


def options(config: dict[str, Any], stage: str, check: str) -> dict[str, Any]:
    """The options of a check, as the config has them; empty if it has none."""
    section = (config.get("filters") or {}).get(stage) or {}
    found = section.get(check)
    return found if isinstance(found, dict) else {}


def compared_field(config: dict[str, Any], stage: StageOutline) -> str | None:
    """The field that a stage's checks compare with earlier texts; None if none does."""
    named = (options(config, stage.name, name) for name, kind in stage.checks.items() if kind in SIMILAR)
    return next((str(one["field"]) for one in named if one.get("field")), None)


def texts_of(run: OpenedRun, config: dict[str, Any]) -> Texts | None:
    """The texts that a report counts; None for a run without a stage that makes records."""
    makers = run.outline.makers
    own = [name for stage in makers for name in stage.own]
    if not own:
        return None
    compared = (field for stage in makers if (field := compared_field(config, stage)) in stage.own)
    field = USUAL if USUAL in own else next((one for one in compared if one), own[0])
    return next(Texts(stage, field) for stage in reversed(makers) if field in stage.own)
