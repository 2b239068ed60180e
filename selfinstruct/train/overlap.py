"""The examples that overlap with the evaluation, by the filter `decontaminate` with its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, RecipeError
from selfinstruct.filters.decontaminate import decontaminate
from selfinstruct.train.examples import Examples


def overlap_of(examples: Examples, path: str, project: Path) -> dict[str, Any]:
    """The examples that share 8 words in a row, or a whole text, with an evaluation task.

    Args:
        examples: the examples.
        path: the evaluation file, as `eval.path` names it.
        project: the user's folder.

    Returns:
        {"eval": path, "examples": how many overlap, "named": [{"example": id, "task": its file and line,
        "field", "shared": the shared words}]}

    Raises:
        RecipeError: if the evaluation file cannot be read.
    """
    faults: list[Fault] = []
    load = decontaminate(files=path).load
    assert load
    loaded = load(project, "eval", faults)
    if loaded is None or loaded.each is None or faults:
        raise RecipeError(
            [
                Fault("eval.path" if one.where == "eval.files" else one.where, one.what, one.remedy)
                for one in faults
            ]
        )
    named = []
    for record in examples.records:
        met = loaded.each(record)
        if met:
            place = next(f"{key} {met.detail[key]}" for key in ("line", "row", "item") if key in met.detail)
            task = f"{met.detail['file']} {place}"
            named.append(
                {
                    "example": record.id,
                    "task": task,
                    "field": met.detail["field"],
                    "shared": met.detail["shared"],
                }
            )
    return {"eval": path, "examples": len(named), "named": named}


def told(overlap: dict[str, Any], examples: int) -> str:
    """The overlap in a sentence; empty if there is none."""
    count = overlap["examples"]
    if not count:
        return ""
    first = ", ".join(f"{one['example']} (with {one['task']})" for one in overlap["named"][:3])
    return (
        f"{count:,} of the {examples:,} examples overlap with the evaluation {overlap['eval']}, so the score "
        f"of the tuned model is too good: {first}{' …' * (count > 3)}. To leave such records out of a run, "
        f"add the filter decontaminate"
    )
