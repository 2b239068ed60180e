"""An evaluation on a terminal: a table for each metric, the differences, the categories and the notes.

It fits 80 columns. With many models, the tables of categories name them by their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.evaluate.judged_text import told
from selfinstruct.evaluate.notes import FEW_MODELS, with_interval
from selfinstruct.report.numbers.verdict import NAMES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_CATEGORIES = 15  # on the terminal; the file has all
FEWEST = 3  # tasks of a category that is shown
Result = Mapping[str, Any]


def show(result: Result, path: Path, console: Console) -> None:
    """Print a result.

    Args:
        result: what `results` makes.
        path: the file that has it.
        console: where to print it.
    """
    classification = f", {result['classification']} of classification" if result["classification"] else ""
    console.print(_plain(f"{result['tasks']} tasks from {result['eval']}{classification}"), soft_wrap=True)
    for metric in result["metrics"]:
        console.print()
        console.print(_scores(result, metric))
        if result["differences"]:
            console.print()
            console.print(_differences(result, metric))
    if result["metrics"]:
        _show_categories(result, result["metrics"][0], console)
    for part in told(result["judged"], path.parent) if "judged" in result else []:
        console.print()
        console.print(part)
    for note in result["notes"]:
        console.print(_plain(f"\nnote: {note}"))
    for name, why in result.get("failed", {}).items():
        console.print(_plain(f"\n{name} failed: {why}"), style="red")
    console.print(_plain(f"\nevaluation: {path}"), soft_wrap=True)


def _scores(result: Result, metric: str) -> Table:
    title = f"{NAMES[metric]}, 0 to 100, with {result['confidence']:.0%} intervals"
    table = _table(title, "model", "score", "interval", "at reference\nlength", result["unit"], "empty")
    for place, (name, model) in enumerate(result["models"].items(), 1):
        score, as_long = model["scores"][metric], model["at_reference_length"][metric]
        numbered = f"{place} {name}" if len(result["models"]) > FEW_MODELS else name
        interval = f"{score['low']:.1f} to {score['high']:.1f}"
        figures = (f"{score['mean']:.1f}", interval, f"{as_long['mean']:.1f}", f"{model['words']:g}")
        table.add_row(_plain(numbered), *figures, str(model["empty"] or ""))
    table.add_row(_plain("references", "dim"), "", "", "", f"{result['words_of_references']:g}", "")
    return table


def _differences(result: Result, metric: str) -> Table:
    title = "differences, task by task (not shown: zero is in the interval)"
    table = _table(title, "", "difference", "", "at equal length")
    names = list(result["models"])
    called = {name: str(names.index(name) + 1) if len(names) > FEW_MODELS else name for name in names}
    for one in result["differences"]:
        if one["metric"] == metric:
            pair = _plain(f"{called[one['after']]} - {called[one['before']]}")
            said = _plain("shown" if one["shown"] else "not shown", "" if one["shown"] else "dim")
            table.add_row(pair, with_interval(one), said, with_interval(one["at_equal_length"]))
    return table


def _show_categories(result: Result, metric: str, console: Console) -> None:
    models = list(result["models"].values())
    names = list(models[0]["categories"])
    there = [name for name in names if models[0]["categories"][name]["tasks"] >= FEWEST]
    if len(names) < 2 or not there:
        return
    short = sum(len(name) + 2 for name in result["models"]) < 45 and len(models) <= FEW_MODELS
    heads = [name if short else str(place) for place, name in enumerate(result["models"], 1)]
    console.print()
    table = _table(f"{NAMES[metric]} by category", "category", "tasks", *heads)
    for name in there[:MOST_CATEGORIES]:
        figures = [one["categories"][name].get(metric) for one in models]
        cells = ["" if figure is None else f"{figure:.1f}" for figure in figures]
        table.add_row(_plain(name), str(models[0]["categories"][name]["tasks"]), *cells)
    console.print(table)
    if left := len(names) - len(there[:MOST_CATEGORIES]):
        console.print(_plain(f"and {left} more, smaller ones, in the file", "dim"))


def _table(title: str, first: str, *heads: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold")
    for head in heads:
        table.add_column(_plain(head), justify="right", no_wrap=True)
    return table


def _plain(text: str, style: str = "") -> Any:
    """A text in which brackets and escape sequences have no meaning."""
    from rich.text import Text

    from selfinstruct.monitor.terminal import safe

    return Text(safe(text), style=style)
