"""The page of a tuned model, of an evaluation or of a sweep over trainings, and the table of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfinstruct.report.page import formats
from selfinstruct.report.page.cells import visible
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.render import page
from selfinstruct.report.page.tuning import tuning

Stats = Mapping[str, Any]


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
    columns = [_column(name) for name in found["columns"]]
    if not any(row[1] is not None for row in found["rows"]):  # one model: there is no difference
        columns[1]["hidden"] = True
    if not any(row[2] for row in found["rows"]):
        columns[2] |= {"hidden": True, "filter": False}
    return {
        "answers": {
            "columns": columns,
            "rows": found["rows"],
            "total": found["total"],
            "folder": "",
            "lead": _lead(found),
        }
    }


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


def _column(name: str) -> dict[str, Any]:
    if name == "id":
        return {"name": name, "width": "id"}
    if name == "category":
        return {"name": name, "width": "middle", "filter": True}
    if name == "difference" or " of " in name:
        return {"name": name, "width": "narrow", "number": True}
    return {"name": name}


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
        tiles.append(("tasks", formats.number(evaluation["tasks"]), "answered by each model"))
        for model in evaluation["models"]:
            for metric in evaluation["metrics"][:1]:
                score = model["scores"].get(metric["name"])
                if score:
                    tiles.append(
                        (model["role"] or model["name"], formats.points(score["mean"]), metric["title"])
                    )
    return [{"name": name, "value": value, "more": more} for name, value, more in tiles]
