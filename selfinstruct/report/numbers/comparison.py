"""Several runs side by side: what was set differently, and the figures that a reader wants to compare.

To add a figure, add a line to `FIGURES`, or a function to `_of_fields` for one that each field has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from selfinstruct.report.numbers.verdict import signed

Stats = Mapping[str, Any]
Value = float | str | None
TEXT, COUNT, SHARE, ROUGE, WORDS = "text", "records", "share", "ROUGE-L", "words"
DOLLARS, SECONDS, TOKENS, REQUEST = "US dollars", "seconds", "tokens", "request"


def compare(runs: Sequence[tuple[str, Stats]]) -> dict[str, Any]:
    """The comparison of runs, such as the jobs of a sweep.

    Args:
        runs: the name of each run and its numbers, from `stats.gather`.

    Returns:
        `runs`: the names; `settings`: the keys of the command lines that differ, with the value in each run
        (None if it was not typed); `figures`: for each what it is, its unit and the value in each run (None
        if a run has none); `compare`: the names and all numbers.
    """
    every = [stats for _, stats in runs]
    return {
        "runs": [name for name, _ in runs],
        "settings": settings([stats["run"]["overrides"] for stats in every]),
        "figures": [row for row in _rows(every) if any(value is not None for value in row["values"])],
        "compare": [{"name": name, "stats": stats} for name, stats in runs],
    }


def settings(overrides: Sequence[Iterable[str]]) -> list[dict[str, Any]]:
    """The keys that were not typed with the same value for each run; the folder of a run does not count."""
    typed = [dict(map(_split, one)) for one in overrides]
    keys = dict.fromkeys(key for one in typed for key in one if key != "run_dir")
    rows = [{"key": key, "values": [one.get(key) for one in typed]} for key in keys]
    return [row for row in rows if len(set(row["values"])) > 1]


def _split(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def _rows(runs: Sequence[Stats]) -> list[dict[str, Any]]:
    rows = [
        {"what": what, "unit": unit, "values": [value(stats) for stats in runs]}
        for what, unit, value in FIGURES
    ]
    place = [row["what"] for row in rows].index("tokens")
    return [*rows[:place], *_of_fields(runs), *rows[place:]]


def _of_fields(runs: Sequence[Stats]) -> list[dict[str, Any]]:
    """The figures that each field, score or measure of diversity has."""
    found: dict[tuple[str, str], list[Value]] = {}
    for place, stats in enumerate(runs):
        lengths = stats["lengths"].items()
        named = [(f"mean length of {field}", WORDS, one["words"]["mean"]) for field, one in lengths]
        named += [
            (f"mean {one['field']} by {one['stage']}", "score", one["histogram"]["mean"])
            for one in stats["scores"]
        ]
        named += [(one["title"], "", one["value"]) for one in stats.get("diversity", [])]
        for what, unit, value in named:
            found.setdefault((what, unit), [None] * len(runs))[place] = value
    return [{"what": what, "unit": unit, "values": values} for (what, unit), values in found.items()]


def _first(stats: Stats) -> Mapping[str, Any]:
    """The funnel of the first stage that asks for records; that of the first stage if none does."""
    funnel = stats["funnel"]
    return next((one for one in funnel if one["stage"] in stats["progress"]), funnel[0])


def _rate(stats: Stats) -> Value:
    first = _first(stats)
    return first["accepted"] / first["candidates"] if first["candidates"] else None


def _main_reason(stats: Stats) -> Value:
    """The check of that stage that rejected the most, with its share of the candidates."""
    first = _first(stats)
    most = max(first["steps"], key=lambda step: step["rejected"], default=None)
    if not most or not most["rejected"]:
        return None
    return f"{most['check']} {most['rejected'] / first['candidates']:.0%}"


def _knee(stats: Stats) -> Value:
    return next((curve["knee"] for curve in stats["progress"].values()), None)


def _similar(to: str) -> Callable[[Stats], Value]:
    return lambda stats: next((one[to]["mean"] for one in stats["similarity"].values()), None)


def _size(key: str) -> Callable[[Stats], Value]:
    return lambda stats: stats["sizes"].get(key)


def _total(key: str) -> Callable[[Stats], Value]:
    return lambda stats: stats["total"][key]


def _tokens(stats: Stats) -> Value:
    return int(stats["total"]["prompt_tokens"] + stats["total"]["completion_tokens"])


def _each(stats: Stats) -> Value:
    cost, records = stats["total"]["cost_usd"], stats["sizes"].get("instances")
    return cost / records if cost and records else None


def _reviewed(stats: Stats) -> Value:
    review = stats.get("review")
    return review["all_good"]["share"] if review else None


def _verbs(stats: Stats) -> Value:
    return stats["verbs"]["covered"] if stats.get("verbs") else None


def tuned(stats: Stats) -> Mapping[str, Any] | None:
    """What tuning on a run brought: the first difference of its evaluation; None if there is none."""
    evaluation = (stats.get("tuning") or {}).get("evaluation") or {"differences": []}
    return next(iter(evaluation["differences"]), None)


def _brought(stats: Stats) -> Value:
    one = tuned(stats)
    if one is None:
        return None
    told = f"{signed(one['mean'])} ({signed(one['low'])} to {signed(one['high'])})"
    return f"{told} {one['title']}" if one["shown"] else f"{told} {one['title']}, no difference shown"


FIGURES: tuple[tuple[str, str, Callable[[Stats], Value]], ...] = (
    ("state", TEXT, lambda stats: stats["run"]["state"]),
    ("requests", "requests", _total("requests")),
    ("candidates", COUNT, lambda stats: _first(stats)["candidates"]),
    ("accepted", COUNT, lambda stats: _first(stats)["accepted"]),
    ("share accepted", SHARE, _rate),
    ("rejected most by", TEXT, _main_reason),
    ("requests stop paying from", REQUEST, _knee),
    ("instructions", COUNT, _size("instructions")),
    ("instances", COUNT, _size("instances")),
    ("mean ROUGE-L to the nearest seed", ROUGE, _similar("to_seed")),
    ("mean ROUGE-L to the nearest machine text", ROUGE, _similar("to_machine")),
    ("share of the 20 most common verbs with 4 objects each", SHARE, _verbs),
    ("review: all answers good", SHARE, _reviewed),
    ("tokens", TOKENS, _tokens),
    ("cost", DOLLARS, _total("cost_usd")),
    ("cost of an instance", DOLLARS, _each),
    ("seconds", SECONDS, _total("seconds")),
    ("brought by tuning", TEXT, _brought),
)
