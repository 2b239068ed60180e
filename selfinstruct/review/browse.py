"""What the page shows of the run beside the sample: records by filter and words, and the story of one.

Each function opens the run anew, so it sees what a run at work has stored, and other pages need not wait.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.records import ACCEPTED, REJECTED, Record
from selfinstruct.run_folder.opened import OpenedRun, opened
from selfinstruct.show.find import ANY, Query, conditions, find, nearest_ids, whole_id
from selfinstruct.show.story import brief, story

ROWS = 50  # records on a page
ANY_CHECK = "any check"
LONGEST = 300  # characters of a text in the list
FILTERS = ("stage", "rejected", "words", "where")
Fates = tuple[int, dict[str, int]]  # how many records were accepted, and rejected by each check


def browse(path: Path, query: Mapping[str, str]) -> dict[str, Any]:
    """The records that fit the filters of the address.

    Args:
        path: the run folder.
        query: `stage`, `rejected` (a check, or `any check`), `words`, `where` (conditions such as
            `score>=4`), and `page`, from 1.

    Returns:
        `filters` as given, `stages`, `checks` (how many each has rejected, by name), `rows`, `total`, `page`,
        `more` (whether there is another page), and `fault`: what is wrong with the filters.
    """
    asked = query.get("page", "")
    page = max(1, int(asked)) if asked.isdecimal() and len(asked) < 7 else 1
    with opened(path) as run:
        names = [stage.name for stage in run.outline.stages]
        filters = {name: query.get(name, "").strip() for name in FILTERS}
        if not any(filters.values()):
            filters["stage"] = run.outline.makers[-1].name
        fates = {name: run.journal.fates(name) for name in names if filters["stage"] in ("", name)}
        rows, total, fault = list[Record](), 0, ""
        try:
            rows, total = _found(run, filters, fates, page)
        except UserError as error:  # its words are those of the command line
            fault = str(error).replace("--where", "fields").replace("--rejected", "rejected by")
        return {
            "filters": filters,
            "stages": names,
            "checks": _checks(checks for _, checks in fates.values()),
            "any": ANY_CHECK,
            "rows": [_row(run, record) for record in rows],
            "total": total,
            "page": page,
            "more": total > page * ROWS,
            "fault": fault,
        }


def told(path: Path, query: Mapping[str, str]) -> dict[str, Any]:
    """The story of the record whose id is in the address; without one, the ids that are like it."""
    words = query.get("id", "")
    with opened(path) as run:
        id = whole_id(run, words)
        if id is None:
            return {"story": None, "words": words, "like": nearest_ids(run, words)}
        return {"story": story(run, id), "words": words, "like": []}


def _found(
    run: OpenedRun, filters: Mapping[str, str], fates: Mapping[str, Fates], page: int
) -> tuple[list[Record], int]:
    """The records of a page, and how many there are on all pages."""
    try:
        where = conditions(shlex.split(filters["where"]))
    except ValueError as error:
        raise UserError(
            f"fields: {error}; write FIELD=VALUE, with quotes around a value with spaces"
        ) from None
    stage, first = filters["stage"], (page - 1) * ROWS
    check = ANY if filters["rejected"] == ANY_CHECK else filters["rejected"] or None
    if stage in fates and not where and not filters["words"]:
        accepted, rejected = fates[stage]
        total = accepted if check is None else sum(rejected.values()) if check == ANY else rejected.get(check)
        if total is not None:  # in the order of the journal, which is quick
            fate = ACCEPTED if check is None else REJECTED
            return list(
                islice(run.journal.records(stage, fate, check=check or None), first, first + ROWS)
            ), total
    found = find(run, Query(filters["words"], stage or None, check, where, first + ROWS))
    return found.records[first:], found.total


def _checks(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """How many records each check has rejected, in all of some stages."""
    found: dict[str, int] = {}
    for checks in counts:
        for check, count in checks.items():
            found[check] = found.get(check, 0) + count
    return found


def _row(run: OpenedRun, record: Record) -> dict[str, Any]:
    row = brief(run, record)
    text = str(row["text"])
    return {**row, "text": text if len(text) <= LONGEST else f"{text[:LONGEST]}…"}
