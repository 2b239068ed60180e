"""Finding records of a run: by id, by words, by the check that rejected them, by the values of their fields.

Words are found in the fields that a record's own stage gave it, whatever their case and width (`Ａ` is `a`).
All of the words have to be there; records with the words next to each other come first.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from selfinstruct.errors import UserError, unknown
from selfinstruct.records import ACCEPTED, REJECTED, Record
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.show.story import texts_of
from selfinstruct.sources.pool import SEED_STAGE
from selfinstruct.text.readable import readable
from selfinstruct.where import Where, shown

MOST = 20  # records that are shown unless another number is given
MOST_PARTS, LONGEST_PART = 8, 1_000  # words, and characters of each, that SQLite looks for
ANY = ""  # in place of the name of a check: rejected by any
_ID = re.compile(r"(.+?)-(\d{1,18})(?:-(\d{1,18}))?")
_COMPARED = {">=": "at_least", "<=": "at_most", ">": "above", "<": "below", "!=": "not"}
_CONDITION = re.compile(r"([^=<>!]+?)\s*(>=|<=|!=|=|>|<)\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Query:
    """What to look for.

    Attributes:
        words: words that are in the record; empty if any may be.
        stage: only records of this stage; None for all of them.
        rejected: only those rejected by this check, or by any (`ANY`); None for those with another fate too.
        where: the conditions on the fields, with the labels of later stages.
        most: how many records to return.
    """

    words: str = ""
    stage: str | None = None
    rejected: str | None = None
    where: Where = field(default_factory=Where)
    most: int = MOST


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        records: the first ones.
        total: how many there are.
        exact: how many have the words next to each other.
    """

    records: list[Record]
    total: int
    exact: int


def find(run: OpenedRun, query: Query) -> Found:
    """The records that fit a query, in the order of the run.

    Without words and checks, they are the accepted records as in the files of the run: with the labels of
    later stages, and without those that a label left out.

    Raises:
        UserError: if a stage, a check or a field does not exist; the message names those that do.
    """
    stages = _stages(run, query)
    _refuse_wrong_check(run, query, stages)
    wanted = folded(query.words)
    words, first, others, total, exact = wanted.split(), list[Record](), list[Record](), 0, 0
    seen: dict[str, set[str]] = {}
    for record in _rows(run, query, stages, words):
        if query.where and not _fits(record, query.where, seen):
            continue
        text = folded("\n".join(_texts(run, record))) if words else ""
        if not all(word in text for word in words):
            continue
        total, exact = total + 1, exact + (wanted in text)
        kept = first if wanted in text else others
        if len(kept) < query.most:
            kept.append(record)
    if query.where and not total:
        _refuse_wrong_field(query.where, seen)
    return Found([*first, *others][: query.most], total, exact)


def whole_id(run: OpenedRun, words: str) -> str | None:
    """The id of a record or a seed task that the words are, also without its zeros; None if none."""
    given = words.strip()
    if run.record(given):
        return given
    parts = _ID.fullmatch(given)
    if parts and parts[3] is not None:
        full = f"{parts[1]}-{int(parts[2]):06d}-{int(parts[3])}"
        return full if run.journal.record(full) else None
    return None


def nearest_ids(run: OpenedRun, words: str) -> list[str]:
    """Ids like one that does not exist: of the same request, or of the nearest one that has records."""
    near = get_close_matches(words, run.seed_tasks, n=3, cutoff=0.8)
    parts = _ID.fullmatch(words.strip())
    names = [stage.name for stage in run.outline.stages]
    stage = get_close_matches(parts[1], names, n=1, cutoff=0.5) if parts else []
    if not parts or not stage or near:
        return near
    numbers = run.journal.replied(stage[0])
    number = min(numbers, key=lambda one: abs(one - int(parts[2])), default=int(parts[2]))
    return [record.id for record in run.journal.records(stage[0], request=number)][:5]


def condition(written: str) -> dict[str, Any]:
    """A condition as typed, in the form of `where`: `score=5`, `score>=4`, `label!=x`, `score={above: 3}`.

    Raises:
        UserError: if it is not of that form.
    """
    import yaml

    parts = _CONDITION.fullmatch(written.strip())
    if not parts:
        raise UserError(f"--where {written}: write FIELD=VALUE, such as score=5, score>=4 or label!=unclear")
    name, sign, text = parts[1].strip(), parts[2], parts[3]
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = text  # it is a text with a colon or a bracket in it
    return {name: {_COMPARED[sign]: value} if sign in _COMPARED else value}


def conditions(written: Iterable[str]) -> Where:
    """Several conditions as typed; a record has to meet all of them.

    Raises:
        UserError: if one of them cannot be read, or two are about the same field in a way that cannot be met.
    """
    found: dict[str, Any] = {}
    for one in written:
        for name, value in condition(one).items():
            both = isinstance(value, dict) and isinstance(found.get(name, {}), dict)
            if name in found and not both:
                raise UserError(f"--where: {name} is named twice; write {name}=[one, another] for either")
            found[name] = {**found.get(name, {}), **value} if both else value
    try:
        return Where.of(found)
    except ValueError as error:
        raise UserError(f"--where {error}") from None


def folded(text: str) -> str:
    """A text in one form of case, width and white space, to find words in it."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(plain.split())


def rejections(run: OpenedRun, stages: Iterable[str]) -> dict[str, dict[str, int]]:
    """By stage, how many records each check has rejected."""
    return {name: run.journal.fates(name)[1] for name in stages}


def _stages(run: OpenedRun, query: Query) -> list[str]:
    """The stages to search, in order, and the seed tasks if any record may be meant."""
    names = [stage.name for stage in run.outline.stages]
    makers = [stage.name for stage in run.outline.makers]
    if query.stage is None:
        if query.rejected is not None:
            return names
        return [*names, SEED_STAGE] if query.words and not query.where else makers
    if query.stage not in [SEED_STAGE, *names]:
        raise UserError("; ".join(unknown("stage", query.stage, [*names, SEED_STAGE])))
    return [query.stage]


def _rows(run: OpenedRun, query: Query, stages: Sequence[str], words: Sequence[str]) -> Iterator[Record]:
    like = [_alternatives(word) for word in sorted(words, key=len)[-MOST_PARTS:]]
    makers = {stage.name for stage in run.outline.makers}
    for name in stages:
        if name == SEED_STAGE:
            yield from run.seed_tasks.values()
        elif query.rejected is not None:
            yield from run.journal.records(name, REJECTED, check=query.rejected or None, like=like)
        elif query.words and not query.where:
            yield from run.journal.records(name, like=like)
        elif name in makers:
            yield from run.records(name)
        else:
            yield from run.journal.records(name, ACCEPTED)


def _texts(run: OpenedRun, record: Record) -> list[str]:
    """The texts of a record to find words in: what its stage gave it, or all of a seed task."""
    if record.stage == SEED_STAGE:
        return [readable(value) for value in record.data.values()]
    return texts_of(run, record)


def _alternatives(word: str) -> tuple[str, ...]:
    r"""Parts of the stored JSON, one of which is in every record with this word.

    JSON has `\u` for every character beyond ASCII. What is left is read and compared as text.
    """
    escaped = json.dumps(word[:LONGEST_PART])[1:-1]
    return (escaped, "\\u") if word.isascii() else ("\\u",)


def _fits(record: Record, where: Where, seen: dict[str, set[str]]) -> bool:
    """Whether a record fits; notes which values the fields have."""
    for name, value in record.data.items():
        some = seen.setdefault(name, set())
        if len(some) < 12 and name in where:
            some.add(" ".join(shown(value)[:40].split()))
    return where.fits(record.data)


def _refuse_wrong_check(run: OpenedRun, query: Query, stages: Sequence[str]) -> None:
    if not query.rejected:
        return
    counts = rejections(run, [name for name in stages if name != SEED_STAGE])
    there = {check for stage in run.outline.stages if stage.name in stages for check in stage.checks}
    if query.rejected in there or any(query.rejected in checks for checks in counts.values()):
        return
    named = [f"{name}: {check} {count:,}" for name, found in counts.items() for check, count in found.items()]
    known = {check for checks in counts.values() for check in checks}
    near = get_close_matches(query.rejected, known | there, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    counted = "\n    ".join(named) or "none"
    what = f"--rejected {query.rejected}: the run has no check of this name{hint}"
    raise UserError(f"{what}\n  the checks that rejected records, with how many:\n    {counted}")


def _refuse_wrong_field(where: Where, seen: dict[str, set[str]]) -> None:
    for name, one in where.items():
        if name not in seen:
            raise UserError("--where: " + "; ".join(unknown("field", name, seen)))
        if len(where) == 1:
            values = "; ".join(sorted(seen[name]))
            raise UserError(f"--where: no record fits, {name} is never {one}; some of its values: {values}")
