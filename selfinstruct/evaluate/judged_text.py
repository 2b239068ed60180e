"""What a judge and people say, for the terminal: tables, and sentences on how far to trust them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from selfinstruct.evaluate.agreement import POOR
from selfinstruct.monitor.terminal import safe

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

PEOPLE = "people"


def told(judged: Mapping[str, Any], folder: PurePath) -> list[RenderableType]:
    """Tables and lines for the terminal.

    Args:
        judged: the key `judged` of evaluation.json.
        folder: the folder of the evaluation, as the user would type it.
    """
    ratings, pairs = judged.get("ratings") or {}, judged.get("pairs") or {}
    raters = {"judge": str(judged["judge"]), PEOPLE: PEOPLE}
    found: list[RenderableType] = []
    for key, rater in raters.items():
        if key in ratings:
            found.append(_ratings(rater, ratings["levels"], ratings[key]))
            found += _lines(_rated(ratings["levels"], ratings[key]))
    for key, rater in raters.items():
        if pairs.get(key):
            found.append(_pairs(rater, pairs[key]))
            found += _lines(line for one in pairs[key] for line in _compared(key, one))
    agreed = [
        *_agreement("ratings", ratings.get("agreement")),
        *_agreement("comparisons", pairs.get("agreement")),
    ]
    return [*found, *_lines(agreed), *_lines([*_left_out(judged), *_offered(judged, folder)])]


def _lines(lines: Iterable[str]) -> list[RenderableType]:
    """Sentences, one below the other; nothing if there is none."""
    from rich.text import Text

    found = "\n".join(lines)
    return [Text(safe(found))] if found else []


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    for row in rows:
        table.add_row(*row)
    return table


def _ratings(rater: str, levels: Sequence[str], figures: Mapping[str, Any]) -> Table:
    rows = [
        [
            name,
            f"{one['rated']:,}",
            *(f"{_number(one['levels'][level]['mean'])}" for level in levels),
            _spread(one["at_least"][levels[1]]),
        ]
        for name, one in figures["models"].items()
    ]
    columns = ["model", "rated", *levels, f"{levels[1]} or better"]
    return _table(f"ratings by {rater}, in % of the rated answers", columns, rows)


def _rated(levels: Sequence[str], figures: Mapping[str, Any]) -> Iterator[str]:
    for one in figures["differences"]:
        if one["at_least"] == levels[1]:
            shown = "" if one["shown"] else ": no difference shown"
            yield (
                f"{one['after']} - {one['before']}: {one['mean']:+.1f} ({one['low']:+.1f} to "
                f"{one['high']:+.1f}) points of {levels[1]} or better, on {one['tasks']:,} tasks{shown}"
            )


def _pairs(rater: str, figures: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            f"{one['after']} - {one['before']}",
            *(f"{one[key]:,}" for key in ("wins", "ties", "losses")),
            _spread(one["win_rate"]),
            _spread(one["at_equal_length"]),
        ]
        for one in figures
    ]
    columns = ["", "wins", "ties", "losses", "win rate", "at equal length"]
    return _table(f"comparisons by {rater}, win rates in %", columns, rows)


def _compared(key: str, one: Mapping[str, Any]) -> Iterator[str]:
    names, place, lengths = f"{one['after']} - {one['before']}", one["position"], one["characters"]
    if one["pairs"] and not one["shown"]:
        yield f"{names}: no difference shown; a win rate of 50% is within the interval"
    if place["changed"]:
        yield (
            f"{names}: with the positions swapped, {place['changed']:,} verdicts changed "
            f"({place['changed_share']:.0f}%) and count as ties"
        )
    if key != PEOPLE and place["named"]:
        yield (
            f"{names}: the answer shown first was called better in {place['first_share']:.0f}% of "
            f"{place['named']:,} verdicts (50% without a bias)"
        )
    if one["longer_won"] is not None:
        yield (
            f"{names}: the longer answer had {one['longer_won']:.0f}% of the wins; the medians are "
            f"{lengths['after']:,g} and {lengths['before']:,g} characters"
        )


def _left_out(judged: Mapping[str, Any]) -> Iterator[str]:
    """How many answers and pairs have no rating or verdict of the judge, although it was asked twice."""
    ratings = ((judged.get("ratings") or {}).get("judge") or {}).get("models", {})
    pairs = (judged.get("pairs") or {}).get("judge") or []
    answers, both = (sum(one["left_out"] for one in some) for some in (ratings.values(), pairs))
    if answers or both:
        what = f"{answers:,} {'answer' if answers == 1 else 'answers'}"
        what += f" and {both:,} {'pair' if both == 1 else 'pairs'}"
        yield f"left out: {what} that {judged['judge']} gave no valid judgement of, asked twice"


def _offered(judged: Mapping[str, Any], folder: PurePath) -> Iterator[str]:
    """How people judge, where nobody has yet."""
    offered = False
    for key, way in (("ratings", "rating"), ("pairs", "comparison")):
        if key in judged and PEOPLE not in judged[key]:
            yield f"to judge as people, blind: selfinstruct review {shlex.quote(str(folder / way))}"
            offered = True
    if offered:
        yield f"and then, to see it here: selfinstruct evaluate {shlex.quote(str(folder))}"


def _agreement(what: str, found: Mapping[str, Any] | None) -> Iterator[str]:
    if not found:
        return
    decisive = found["kappa"] if found["weighted_kappa"] is None else found["weighted_kappa"]
    if found["records"]:
        yield (
            f"{what}: judge and people agree on {found['same']:.0%} of {found['records']:,} records"
            f"{_kappas(found)}"
        )
    if found["disagrees"]:
        yield (
            f"{what}: the judge disagrees with people (kappa {decisive:.2f}, under {POOR}); do not rely on "
            "it for these answers"
        )
    for one in found["between_people"]:
        names = " and ".join(one["reviewers"])
        yield f"{what}: {names} agree on {one['same']:.0%} of {one['records']:,} records{_kappas(one)}"


def _kappas(found: Mapping[str, Any]) -> str:
    named = {"kappa": "Cohen's kappa", "weighted_kappa": "weighted by distance"}
    known = [f"{words} {found[key]:.2f}" for key, words in named.items() if found.get(key) is not None]
    return f" ({', '.join(known)})" if known else ""


def _spread(one: Mapping[str, Any]) -> str:
    return "-" if one["mean"] is None else f"{one['mean']:.1f} ({one['low']:.1f} to {one['high']:.1f})"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
