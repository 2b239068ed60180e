"""What held the models of a run back, for its summary, its last lines and its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfinstruct.journal.store import LIMITS, Journal


def limits_of(journal: Journal) -> list[dict[str, Any]]:
    """A row for each stage and model that the provider held back; empty if none was.

    A row has `stage`, `model`, `sent`, `refused` (429), `usual` (the share of refusals that does not depend
    on how much is sent), and what the model was asked in the end: `concurrency` of `of`, and `per_second`.
    """
    found = []
    for key, facts in journal.facts(LIMITS).items():
        stage, _, model = key.partition("/")
        found.append({"stage": stage, "model": model, **facts})
    return found


def limit_sentences(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A sentence for each row, for people."""
    for row in rows:
        yield f"{row['stage']}: {row['model']} {_refused(row)}; {_asked(row)}."


def _refused(row: Mapping[str, Any]) -> str:
    if not row["refused"]:
        return "refused nothing"
    share = row["refused"] / max(1, row["sent"])
    return f"refused {row['refused']:,} of {row['sent']:,} requests (429, {share:.1%})"


def _asked(row: Mapping[str, Any]) -> str:
    if row["per_second"] is None and row["concurrency"] >= row["of"]:
        return "this did not depend on how much it was asked, so it was asked as much as before"
    rate = "" if row["per_second"] is None else f", {row['per_second']:g} a second"
    return f"in the end it was asked {row['concurrency']} at once of {row['of']}{rate}, because {row['why']}"
