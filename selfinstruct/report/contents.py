"""What the templates of the pages show: of one run, and of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.report import compare, formats
from selfinstruct.report.cells import visible
from selfinstruct.report.figures import figures
from selfinstruct.report.marks import Figure
from selfinstruct.report.page import page

TABLES = ("records", "rejected")  # of the statistics; they are only on the page
LONG = ("instruction", "input", "output", "text", "turns")  # fields that get a wide column
Stats = Mapping[str, Any]


def numbers(stats: Stats) -> dict[str, Any]:
    """The statistics without the tables of records."""
    return {key: value for key, value in stats.items() if key not in TABLES}


def run_page(stats: Stats, folder: str, command: str, numbers_file: str, recipe: str = "") -> tuple[str, list[Figure]]:
    """The page of a run, and its figures.

    Args:
        stats: its statistics, as `report/stats.py` gathers them.
        folder: its folder, as a user types it.
        command: the command that makes the page anew.
        numbers_file: the name of the file with the same numbers.
        recipe: its composed recipe in YAML.
    """
    shown = visible(numbers(stats))
    drawn = figures(shown)
    tables = {**_records(stats, folder), **_rejected(stats, folder)}
    facts = {"stats": shown, "tiles": _tiles(stats), "recipe": recipe, "command": command}
    return page("run.html", drawn, tables, numbers_file=numbers_file, **facts), drawn


def compared_page(
    runs: Sequence[Mapping[str, Any]], title: str, command: str, numbers_file: str, notes: Sequence[str] = ()
) -> tuple[str, list[Figure]]:
    """The page that compares runs, each with `name` and `stats`, and its figures."""
    clean = [visible({"name": run["name"], "stats": run["stats"]}) for run in runs]
    for run in clean:
        run["models"] = list(dict.fromkeys(name for some in run["stats"]["run"]["models"].values() for name in some))
    drawn = compare.figures(clean)
    facts = {"runs": clean, "rows": compare.table(clean), "title": title, "notes": notes, "command": command}
    return page("compare.html", drawn, {}, numbers_file=numbers_file, drawn=compare.DRAWN, **facts), drawn


def _tiles(stats: Stats) -> list[dict[str, str]]:
    """The few figures at the top of the page."""
    found: list[tuple[str, str, str]] = []
    if records := stats.get("records"):
        found.append(("records", formats.number(records["total"]), f"of {records['stage']}"))
    first = next((stage for stage in stats.get("funnel", []) if stage["candidates"]), None)
    if first:
        share = formats.percent(first["accepted"] / first["candidates"])
        found.append(("accepted", share, f"of {first['candidates']:,} candidates of {first['stage']}"))
    if total := stats.get("total"):
        found.append(("requests", formats.number(total["requests"]), f"{total['cached']:,} from the cache"))
        tokens = total["prompt_tokens"] + total["completion_tokens"]
        found.append(("tokens", formats.short(tokens), f"{formats.short(total['completion_tokens'])} in replies"))
        if total["cost_usd"] is not None:
            found.append(("cost", formats.money(total["cost_usd"]), "in US dollars"))
        found.append(("time", formats.duration(total["seconds"]), "at work, all stages together"))
    return [{"name": name, "value": value, "more": more} for name, value, more in found]


def _records(stats: Stats, folder: str) -> dict[str, Any]:
    found = stats.get("records")
    if not found or not found["rows"]:
        return {}
    columns = [_column(name, found["rows"]) for name in found["columns"]]
    rows = [[_plain(row.get(name)) for name in found["columns"]] for row in found["rows"]]
    more = f"selfinstruct show {folder} --stage {found['stage']}"
    shown = _shown(len(rows), found["total"], f"records of {found['stage']}", more)
    file = f"{found['stage']}.jsonl"
    table = {"columns": columns, "rows": rows, "total": found["total"], "folder": folder, "shown": shown, "file": file}
    return {"records": table}


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [row.get(name) for row in rows[:200]]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values if value is not None)
    short = all(len(str(value)) <= 40 for value in values)
    column: dict[str, Any] = {"name": name, "number": numeric}
    if name == "id":
        return {**column, "width": "middle"}
    if short and name not in LONG:
        return {**column, "width": "narrow", "filter": not numeric}
    return column


def _rejected(stats: Stats, folder: str) -> dict[str, Any]:
    found = stats.get("rejected")
    if not found or not found["rows"]:
        return {}
    stages = len({row["stage"] for row in found["rows"]})
    columns: list[tuple[str, dict[str, Any]]] = [
        ("id", {"name": "id", "width": "middle"}),
        *([("stage", {"name": "stage", "width": "middle", "filter": True})] if stages > 1 else []),
        ("check", {"name": "check", "width": "middle", "filter": True}),
        ("reason", {"name": "reason", "width": "middle"}),
        ("text", {"name": "text", "beside": 0}),
        ("nearest_text", {"name": "nearest text", "beside": 0}),
        ("score", {"name": "score", "width": "narrow", "number": True}),
        ("nearest", {"name": "nearest", "width": "middle"}),
    ]
    keys = [key for key, _ in columns]
    if not any(row.get("nearest") for row in found["rows"]):
        columns = columns[: keys.index("nearest_text")]
    else:
        columns[keys.index("text")][1]["beside"] = keys.index("nearest_text")
        columns[keys.index("nearest_text")][1]["beside"] = keys.index("text")
    rows = [[_plain(row.get(key)) for key, _ in columns] for row in found["rows"]]
    more = f"selfinstruct show {folder} --rejected"
    shown = _shown(len(rows), found["total"], "rejections", more)
    looks = [look for _, look in columns]
    table = {"columns": looks, "rows": rows, "total": found["total"], "folder": folder, "shown": shown}
    return {"rejected": {**table, "file": "rejected.jsonl"}}


def _shown(count: int, total: int, what: str, more: str) -> str:
    if count == total:
        return f"All {total:,} {what}. One record’s whole story: {more.partition(' --')[0]} ID"
    return f"The first {count:,} of {total:,} {what}. More: {more}"


def _plain(value: Any) -> Any:
    """A value as a cell; a boolean is shown as JSON has it."""
    return str(value).lower() if isinstance(value, bool) else value
