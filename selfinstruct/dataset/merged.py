"""What a merge took from each of its runs: for the summary, the dataset's page and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfinstruct.journal.outline import stored_outline
from selfinstruct.journal.store import MERGED, MERGED_OF, Journal


def merged(journal: Journal) -> dict[str, Any] | None:
    """The facts about a merge; None for a run that is none.

    Returns:
        `runs`: for each run, in order, its name (`run`), recipe, languages, seed, models, finished, digests
        of its records, and what it had cost already: cost_usd, tokens, requests. `stages`: for each stage, by
        run: given, accepted, and rejected by check.
    """
    runs, outline = journal.meta(MERGED), stored_outline(journal)
    if not runs or outline is None:
        return None
    counts = journal.facts(MERGED_OF)
    return {
        "runs": runs,
        "stages": {one.name: counts[one.name] for one in outline.makers if one.name in counts},
    }


def page(facts: Mapping[str, Any]) -> Iterator[str]:
    """A section of the dataset's page: a table of the runs, and one of their records."""
    yield "## The runs that it was merged from"
    yield (
        "The records were compared across the runs, in this order; of two that are too much alike, the first "
        "one is kept. The costs were paid by these runs, and the merge itself asked no model for a text."
    )
    runs: Sequence[Mapping[str, Any]] = facts["runs"]
    head = ["run", "recipe", "seed", "language", "models", "cost"]
    rows = [[f"`{one['run']}`", f"`{one['recipe']}`", str(one["seed"]), *_about(one)] for one in runs]
    yield _table(head, [*rows, ["all", "", "", "", "", _paid(runs)]])
    stages: Mapping[str, Sequence[Mapping[str, Any]]] = facts["stages"]
    counts = [
        [f"`{stage}`", f"`{one['run']}`", f"{one['given']:,}", f"{one['accepted']:,}", dropped(one)]
        for stage, given in stages.items()
        for one in given
    ]
    yield _table(["stage", "run", "given", "kept", "dropped"], counts)


def dropped(counts: Mapping[str, Any]) -> str:
    """How many records of a run each check dropped, in words."""
    return ", ".join(f"{count:,} by {check}" for check, count in counts["rejected"].items()) or "none"


def paid(runs: Sequence[Mapping[str, Any]]) -> str:
    """What the runs have cost together, in words."""
    usd, tokens = sum(one["cost_usd"] for one in runs), sum(one["tokens"] for one in runs)
    return f"${usd:,.4f}, {tokens:,} tokens" if usd else f"{tokens:,} tokens"


def languages(facts: Mapping[str, Any] | None) -> list[str]:
    """The languages of the runs of a merge, each once, in order."""
    runs = facts["runs"] if facts else []
    return list(dict.fromkeys(language for one in runs for language in one["languages"]))


def _about(run: Mapping[str, Any]) -> list[str]:
    models = ", ".join(f"`{name}`" for name in run["models"]) or "no model"
    unfinished = "" if run["finished"] else ", unfinished"
    return [", ".join(run["languages"]), models, paid([run]) + unfinished]


def _paid(runs: Sequence[Mapping[str, Any]]) -> str:
    return f"{paid(runs)}, already paid"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
