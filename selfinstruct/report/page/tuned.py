"""The page of a tuned model, of an evaluation or of a sweep over trainings, and the table of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from selfinstruct.report.page import formats
from selfinstruct.report.page.cells import visible
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.render import page
from selfinstruct.report.page.tuning import tuning

Stats = Mapping[str, Any]
SCORED = 5  # the column of the first answer


def tuned_page(stats: Stats, folder: str, command: str, numbers_file: str) -> tuple[str, list[Figure]]:
    """The page of a folder with a training, an evaluation or both, and its figures.

    Args:
        stats: its numbers, as `report/numbers/tuning.py` reads them.
        folder: the folder, as a user types it.
        command: the command that makes the page anew.
        numbers_file: the name of the file with the same numbers.
    """
    found = visible(stats["tuning"])
    drawn = list(tuning({"tuning": found}))
    facts = {"tuning": found, "title": _title(found), "tiles": _tiles(found), "folder": folder}
    tables = answers_table(stats)
    return page("tuned.html", drawn, tables, numbers_file=numbers_file, command=command, **facts), drawn


def answers_table(stats: Stats) -> dict[str, Any]:
    """The table of answers by its name; empty if there are none."""
    found = stats.get("answers")
    if not found:
        return {}
    names = list(found["columns"])
    columns = [_column(name, place) for place, name in enumerate(names)]
    for place in range(SCORED, len(names), 2):  # an answer, and its score
        columns[place]["note"] = place + 1
    columns[names.index("task")]["note"] = names.index("id")
    if len(found["models"]) < 2:
        columns[names.index("gain")]["hidden"] = True
    rows = [_row(row, names) for row in found["rows"]]
    facts = {"total": found["total"], "file": found["file"], "lead": _lead(found)}
    return {"answers": {"columns": columns, "rows": rows, **facts}}


def _row(row: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """A row with its scores in words, as they are shown below the answers."""
    found = list(row)
    for place in range(SCORED + 1, len(names), 2):
        metric = names[place].removesuffix(f" of {names[place - 1]}")
        found[place] = None if row[place] is None else f"{metric} {row[place]:.1f}"
    return found


def _lead(found: Stats) -> str:
    models, count = found["models"], found["total"]
    what = f"The {count:,} tasks with their references and the answers"
    if len(found["rows"]) < count:
        what = f"{len(found['rows']):,} of {what[4:]}"
    if len(models) < 2:
        return f"{what}."
    return (
        f"{what}, sorted by how much better {models[-1]} scores than {models[0]}: the largest gain is first, "
        "the largest loss last."
    )


def _column(name: str, place: int) -> dict[str, Any]:
    if name == "gain":
        return {"name": name, "width": "narrow", "number": True, "signed": True}
    if name == "category":
        return {"name": name, "width": "middle", "filter": True}
    score = place >= SCORED and (place - SCORED) % 2 == 1  # shown below the answer
    return {"name": name, "hidden": score or name == "id"}


def _title(found: Stats) -> str:
    if found["training"]:
        return "Tuning"
    return "Evaluation" if found["evaluation"] else "Sweep of trainings"


def _tiles(found: Stats) -> list[dict[str, str]]:
    """The few figures at the top of the page."""
    tiles: list[tuple[str, str, str]] = []
    if training := found["training"]:
        tiles.append(
            ("examples", formats.number(training["examples"]), f"{formats.number(training['steps'])} steps")
        )
        tiles.append(("training", formats.duration(training["seconds"]), str(training["kind"])))
    if evaluation := found["evaluation"]:
        tiles.append(
            ("tasks", formats.number(evaluation["tasks"]), f"of {PurePath(evaluation['eval']).name}")
        )
        for model in evaluation["models"]:
            for metric in evaluation["metrics"][:1]:
                score = model["scores"].get(metric["name"])
                if score:
                    tiles.append(
                        (model["role"] or model["name"], formats.points(score["mean"]), metric["title"])
                    )
    return [{"name": name, "value": value, "more": more} for name, value, more in tiles]
