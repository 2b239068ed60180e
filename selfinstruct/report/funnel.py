"""The command line's summary at the end: how many candidates passed each check, and sample records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from selfinstruct.records import stream
from selfinstruct.report.limits import limit_sentences
from selfinstruct.text.readable import readable

if TYPE_CHECKING:
    from rich.console import Console

SAMPLES = 3
COLUMNS = ("requests", "candidates", "rejected", "accepted", "tokens", "seconds", "cost")


def show(summary: dict[str, Any], samples: list[dict[str, Any]], console: Console) -> None:
    """Print the end of a run.

    Args:
        summary: the contents of `summary.json`.
        samples: records to show.
        console: where to print.
    """
    from rich.table import Table

    table = Table(title=f"recipe {summary['recipe']}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    embeddings = [stats["embeddings"] for stats in summary["stages"].values() if "embeddings" in stats]
    paid = any(stats["cost_usd"] for stats in [*summary["stages"].values(), *embeddings])
    table.add_column("stage / check", overflow="fold")
    for column in COLUMNS if paid else COLUMNS[:-1]:
        table.add_column(column, justify="right", no_wrap=True)
    for name, stats in summary["stages"].items():
        table.add_row(name, *_figures(stats, paid), style="bold")
        for check, count in stats["rejected"].items():
            main = stats["main_reason"]  # its share of the candidates is shown below
            share = f"{main['share']:.0%}" if check == main["check"] else ""
            table.add_row(f"  {check}", "", share, f"{count:,}")
        if stats.get("cached_tokens"):
            share = f"{stats['cached_tokens'] / stats['prompt_tokens']:.0%}"
            table.add_row("  sent, cached", "", "", "", share, f"{stats['cached_tokens']:,}")
        if "embeddings" in stats:
            table.add_row("  texts embedded", *_embedded(stats["embeddings"], paid))
        if stats.get("left", stats["accepted"]) != stats["accepted"]:
            table.add_row("  left after labels", "", "", "", f"{stats['left']:,}")
    console.print(table)
    for sentence in limit_sentences(summary.get("limits", [])):
        console.print(f"  {sentence}", markup=False, highlight=False)
    for place, sample in enumerate(samples, 1):
        console.print(f"\nsample {place}", style="bold", highlight=False)
        for key, value in sample.items():
            console.print(f"  {key}: {_fold(readable(value))}", markup=False, highlight=False)


def _figures(stats: dict[str, Any], paid: bool) -> list[str]:
    rejected = sum(stats["rejected"].values())
    counts = [stats["requests"], stats["candidates"], rejected, stats["accepted"], stats["tokens"]]
    cost = [f"${stats['cost_usd'] or 0:.4f}"] if paid else []
    return [*(f"{count:,}" for count in counts), f"{stats['seconds']:.1f}", *cost]


def _embedded(figures: dict[str, Any], paid: bool) -> list[str]:
    cost = [f"${figures['cost_usd'] or 0:.4f}"] if paid else []
    texts, tokens = f"{figures['texts']:,}", f"{figures['tokens']:,}"
    return [f"{figures.get('requests', 0):,}", texts, "", "", tokens, "", *cost]


def draw_samples(records: Callable[[], Iterable[dict[str, Any]]], seed: int) -> list[dict[str, Any]]:
    """A few records, drawn at random but always the same for the same run, without ids and provenance.

    Args:
        records: gives all records, anew each time: they are counted first, so that none needs to be kept.
        seed: the run's seed.
    """
    count = sum(1 for _ in records())
    places = stream(seed, "samples").sample(range(count), min(SAMPLES, count))
    found = {place: record for place, record in enumerate(records()) if place in places}
    drawn = [found[place] for place in places]
    hidden = {"id", "parent", "request", "most_similar", "average_similarity", "nearest_in_meaning"}
    return [{key: value for key, value in record.items() if key not in hidden} for record in drawn]


def _fold(text: str) -> str:
    text = text if len(text) <= 600 else f"{text[:600]}…"
    return text.replace("\n", "\n    ")
