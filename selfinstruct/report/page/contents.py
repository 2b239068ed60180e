"""What the templates of the pages show: of one run, and of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.report.numbers.stats import TABLES
from selfinstruct.report.page import compare, formats
from selfinstruct.report.page.cells import visible
from selfinstruct.report.page.figures import figures
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.render import page
from selfinstruct.report.page.tuned import answers_table

LONG = ("instruction", "input", "output", "text", "turns")  # fields that get a wide column
NARROW = 8  # characters of a heading that a narrow column has room for
SHORT = 40  # characters of a value in a narrow column
REJECTED: dict[str, dict[str, Any]] = {  # the columns of the rejections, and how each looks
    "id": {"width": "id"},
    "stage": {"filter": True, "hidden": True},
    "check": {"width": "middle", "filter": True},
    "reason": {"width": "middle"},
    "text": {},
    "nearest_text": {},
    "score": {"width": "narrow", "number": True},
    "nearest": {"hidden": True},
}
REJECTED_PARTS: tuple[tuple[str, dict[str, str]], ...] = (  # what else is in these columns
    ("check", {"note": "stage"}),
    ("text", {"beside": "nearest_text"}),
    ("nearest_text", {"beside": "text", "note": "nearest"}),
)
Stats = Mapping[str, Any]


def run_page(
    stats: Stats, folder: str, command: str, numbers_file: str, recipe: str = ""
) -> tuple[str, list[Figure]]:
    """The page of a run, and its figures.

    Args:
        stats: its statistics, as `report/numbers/stats.py` gathers them.
        folder: its folder, as a user types it.
        command: the command that makes the page anew.
        numbers_file: the name of the file with the same numbers.
        recipe: its composed recipe in YAML.
    """
    shown = visible({key: value for key, value in stats.items() if key not in TABLES})
    drawn = figures(shown)
    tables = {**_records(stats, folder), **_rejected(stats, folder), **answers_table(stats)}
    facts = {"stats": shown, "tiles": _tiles(stats), "recipe": recipe, "command": command}
    facts["linked"] = [row[0] for row in (stats.get("records") or {"rows": []})["rows"]]
    return page("run.html", drawn, tables, numbers_file=numbers_file, **facts), drawn


def compared_page(
    runs: Sequence[Mapping[str, Any]], title: str, command: str, numbers_file: str, notes: Sequence[str] = ()
) -> tuple[str, list[Figure]]:
    """The page that compares runs, each with `name` and `stats`, and its figures."""
    clean = [visible({"name": run["name"], "stats": run["stats"]}) for run in runs]
    for run in clean:
        run["models"] = list(
            dict.fromkeys(name for some in run["stats"]["run"]["models"].values() for name in some)
        )
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
    if facts := stats.get("merged"):
        runs = facts["runs"]
        found.append(("runs", formats.number(len(runs)), "merged into this one"))
        found.append(("tokens", formats.short(sum(one["tokens"] for one in runs)), "paid by these runs"))
        found.append(("cost", formats.money(sum(one["cost_usd"] for one in runs)), "paid by these runs"))
    total = stats.get("total")
    if total and (total["requests"] or not facts):
        found.append(("requests", formats.number(total["requests"]), f"{total['cached']:,} from the cache"))
        tokens = total["prompt_tokens"] + total["completion_tokens"]
        words = f"{formats.short(total['completion_tokens'])} in replies"
        if total.get("cached_tokens"):
            share = formats.percent(total["cached_tokens"] / total["prompt_tokens"])
            words += f", {share} of the rest from the provider's cache"
        found.append(("tokens", formats.short(tokens), words))
        if total["cost_usd"] is not None:
            found.append(("cost", formats.money(total["cost_usd"]), "in US dollars"))
        found.append(("time", formats.duration(total["seconds"]), "at work, all stages together"))
    return [{"name": name, "value": value, "more": more} for name, value, more in found]


def _records(stats: Stats, folder: str) -> dict[str, Any]:
    found = stats.get("records")
    if not found or not found["rows"]:
        return {}
    rows = [[_plain(value) for value in row] for row in found["rows"]]
    names = list(found["columns"])
    columns = [_column(name, [row[place] for row in rows]) for place, name in enumerate(names)]
    if "parent" in names:
        columns[names.index("id")]["note"] = names.index("parent")
    stage, total = found["stage"], found["total"]
    words = _words(len(rows), total, f"records of {stage}", folder, f"--stage {stage}")
    return {"records": {"columns": columns, "rows": rows, "total": total, **words, "file": f"{stage}.jsonl"}}


def _column(name: str, values: Sequence[Any]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    numeric = all(isinstance(value, int | float) for value in known)
    short = all(len(str(value)) <= SHORT for value in known)
    column: dict[str, Any] = {"name": name, "number": numeric}
    if name in ("id", "parent"):
        return {**column, "width": "id", "hidden": name == "parent"}
    if short and name not in LONG:
        longest = max(map(len, name.split("_")))  # a heading breaks at `_`
        width = "narrow" if longest <= NARROW else "middle"
        return {**column, "width": width, "filter": not numeric}
    return column


def _rejected(stats: Stats, folder: str) -> dict[str, Any]:
    found = stats.get("rejected")
    if not found or not found["rows"]:
        return {}
    named = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    there = [key for key in REJECTED if any(row.get(key) is not None for row in named)]
    if len({row["stage"] for row in named}) == 1:
        there.remove("stage")
    place = {key: number for number, key in enumerate(there)}
    looks = [{"name": key.replace("_", " "), **REJECTED[key]} for key in there]
    for key, part in REJECTED_PARTS:
        for relation, other in part.items():
            if key in place and other in place:
                looks[place[key]][relation] = place[other]
    rows = [[_plain(row[key]) for key in there] for row in named]
    words = _words(len(rows), found["total"], "rejections", folder, "--rejected")
    table = {"columns": looks, "rows": rows, "total": found["total"], **words}
    return {"rejected": {**table, "file": "rejected.jsonl"}}


def _words(count: int, total: int, what: str, folder: str, option: str) -> dict[str, str]:
    """What a table says about itself, and the command that shows more."""
    show = f"selfinstruct show {folder}"
    if count == total:
        return {
            "folder": folder,
            "shown": f"All {total:,} {what}. The whole story of one",
            "more": f"{show} ID",
        }
    shown = f"{count:,} of the {total:,} {what}. More of them"
    return {"folder": folder, "shown": shown, "more": f"{show} {option}"}


def _plain(value: Any) -> Any:
    """A value as a cell; a boolean is shown as JSON has it."""
    return str(value).lower() if isinstance(value, bool) else value
