"""The figures of an evaluation: scores and differences with intervals, categories, and judgement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfinstruct.report.page.intervals import dots, stacks
from selfinstruct.report.page.marks import Figure
from selfinstruct.report.page.theme import CELL_INK, CELLS, RATINGS

Stats = Mapping[str, Any]
ROWS = ("answers", "mean", "from", "to")
PARTS = ("answers", "part", "count", "share")
MOST_CATEGORIES = 12  # rows of the figure; the table has all
AS_GIVEN, CUT, EQUAL = "as answered", "at the references' length", "at equal length"
ZERO = "no difference"
TOUCHES = "Where the line touches zero, no difference is shown."
SAME = 0.05  # points that no reader sees
WINS = ("wins", "ties", "losses")
ENDS = ("mean", "low", "high")


def evaluation(found: Stats) -> Iterator[Figure]:
    """Every figure of an evaluation, as `report/numbers/scores.py` has its numbers."""
    for metric in found["metrics"]:
        yield from _scores(found, metric)
        yield from _differences(found, metric)
    yield from _categories(found)
    if found["judged"]:
        yield from _ratings(found["judged"], short(found))
        yield from _wins(found["judged"], short(found))


def short(found: Stats) -> dict[str, str]:
    """What each model is called in figures: base or tuned in a tuning, else by its name."""
    return {model["name"]: model["role"] or model["name"] for model in found["models"]}


def interval_of(found: Stats) -> dict[str, Any]:
    """A mean with its interval, for a figure."""
    return {key: found[key] for key in ENDS}


def _counted(found: Stats, metric: Stats) -> int:
    """How many tasks count for a metric: of exact match, those that ask for a label."""
    scores = (model["scores"].get(metric["name"], {}) for model in found["models"])
    return int(next((one["tasks"] for one in scores if one.get("tasks")), found["tasks"]))


def _scores(found: Stats, metric: Stats) -> Iterator[Figure]:
    called, kinds = short(found), [("scores", AS_GIVEN), ("at_reference_length", CUT)]
    if not any(_differ(model, metric["name"]) for model in found["models"]):
        kinds.pop()
    values = [
        {"name": called[model["name"]], "kind": kind, **interval_of(model[key][metric["name"]])}
        for model in found["models"]
        for key, kind in kinds
        if metric["name"] in model[key]
    ]
    if values:
        title = f"{metric['title']} of each model"
        share = f"{found['confidence'] * 100:.4g}%"
        read = f"The mean over {_counted(found, metric):,} tasks, from 0 to 100, with its {share} interval."
        if len(kinds) > 1:
            read += " The second mark is the score of answers that are cut to the length of the references."
        spec, columns = dots(values, metric["title"]), ("model", *ROWS)
        yield Figure("scores", f"scores-{metric['name']}", title, read, spec, columns, _rows(values), True)


def _differ(model: Stats, metric: str) -> bool:
    """Whether the score of a model's answers changes when they are cut."""
    whole, cut = model["scores"].get(metric), model["at_reference_length"].get(metric)
    return bool(whole and cut and any(abs(whole[key] - cut[key]) >= SAME for key in ENDS))


def _differences(found: Stats, metric: Stats) -> Iterator[Figure]:
    called, values = short(found), []
    for one in found["differences"]:
        if one["metric"] == metric["name"]:
            name = f"{called[one['after']]} − {called[one['before']]}"
            values.append({"name": name, "kind": AS_GIVEN, **interval_of(one)})
            if one["at_equal_length"] and one["at_equal_length"]["tasks"] != 0:
                values.append({"name": name, "kind": EQUAL, **interval_of(one["at_equal_length"])})
    if values:
        title, name = f"Difference in {metric['title']}", f"differences-{metric['name']}"
        read = f"The mean of the differences, task by task. {TOUCHES}"
        spec = dots(values, "points", 0, ZERO, signs=True)
        yield Figure("scores", name, title, read, spec, ("difference", *ROWS), _rows(values), True)


def _rows(values: Sequence[Stats]) -> list[list[Any]]:
    return [[one[key] for key in ("name", "kind", *ENDS)] for one in values]


def _categories(found: Stats) -> Iterator[Figure]:
    """The first metric by category, without intervals: a category has few tasks."""
    first = found["metrics"][0] if found["metrics"] else {"name": "", "title": ""}
    rows = [row for row in found["categories"] if row["metric"] == first["name"]]
    names = list(short(found).values())
    values = [
        {"name": f"{row['category']} ({row['tasks']:,})", "kind": name, **dict.fromkeys(ENDS, mean)}
        for row in rows[:MOST_CATEGORIES]
        for name, mean in zip(names, row["means"], strict=True)
        if mean is not None
    ]
    if values and len(rows) > 1:
        read = "The mean of each category, with the number of its tasks; with few, chance moves it a lot."
        if len(rows) > MOST_CATEGORIES:
            read += f" These are the {MOST_CATEGORIES} largest of {len(rows):,}; the table below has all."
        spec, title = dots(values, first["title"], apart=False), f"{first['title']} by category"
        table = [[row["category"], row["tasks"], *row["means"]] for row in rows]
        yield Figure("scores", "categories", title, read, spec, ("category", "tasks", *names), table, True)


def _ratings(judged: Stats, called: Mapping[str, str]) -> Iterator[Figure]:
    """The share of each rating."""
    values = [
        _part(
            f"{called.get(one['model'], one['model'])}\nby {one['who']}",
            part["level"],
            place,
            part["count"],
            part["mean"],
        )
        for one in judged["ratings"]
        for place, part in enumerate(one["parts"])
    ]
    if values:
        read = "The share of the answers that got each rating, the best first."
        colours = RATINGS if len(judged["levels"]) < len(RATINGS) else CELLS
        spec = stacks(values, judged["levels"], colours, CELL_INK)
        yield Figure("judged", "ratings", "Ratings of the answers", read, spec, PARTS, _parts(values), True)


def _wins(judged: Stats, called: Mapping[str, str]) -> Iterator[Figure]:
    """The shares of wins, ties and losses."""
    values = [
        _part(
            "\n".join(_sides(one, called)),
            part,
            place,
            one[part],
            100 * one[part] / max(1, one["pairs"]),
        )
        for one in judged["comparisons"]
        for place, part in enumerate(WINS)
    ]
    if values:
        read = "The share of the comparisons that the first of the two models won. A judge sees each pair "
        read += "twice, in both orders; a verdict that changes with the order is a tie."
        spec = stacks(values, WINS, (RATINGS[0], RATINGS[4], RATINGS[3]), CELL_INK)
        yield Figure("judged", "wins", "Who wins", read, spec, PARTS, _parts(values), True)


def _sides(one: Stats, called: Mapping[str, str]) -> tuple[str, str, str]:
    """The lines of a label: who is compared with whom, and by whom."""
    after, before = (called.get(one[key], one[key]) for key in ("after", "before"))
    return after, f"against {before}", f"by {one['who']}"


def _part(name: str, part: str, place: int, count: int, percent: float | None) -> dict[str, Any]:
    share = (percent or 0.0) / 100
    words = {"words": f"{part} {share:.0%}"}
    return {"name": name, "part": part, "place": place, "count": count, "share": share, **words}


def _parts(values: Sequence[Stats]) -> list[list[Any]]:
    return [
        [one["name"].replace("\n", " "), one["part"], one["count"], f"{one['share']:.1%}"] for one in values
    ]
