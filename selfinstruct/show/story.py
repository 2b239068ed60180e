"""The whole story of one record as plain data: from the prompt to its fate, and what was made from it.

The terminal, the review page and `Run.record()` show this same story. To add a part, add a key in `story` and
a section in `terminal.py`. All values are those of JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.journal.store import REVIEWS
from selfinstruct.records import (
    ACCEPTED,
    KEPT,
    MENDED,
    OTHERWISE,
    REJECTED,
    SCHEMA_CHECK,
    WAITING,
    Record,
    Reply,
)
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline
from selfinstruct.show.cost import cost_of
from selfinstruct.show.neighbours import KEEPS, neighbours
from selfinstruct.sources.pool import SEED_STAGE
from selfinstruct.text.readable import readable

PASSED, NOT_REACHED, NOT_RUN = "passed", "not reached", "not run"
READ = "read"  # the first step: the reply can be read
_OF_EARLIER = {*KEEPS, "average_similarity"}  # details that only a check that is passed notes


def story(run: OpenedRun, id: str) -> dict[str, Any]:
    """The story of a record, a label or a seed task.

    Args:
        run: the run, opened.
        id: the record's id.

    Returns:
        id, stage, kind: of the record; a seed task has the stage `seeds`, and little else.
        fate, check, reason: accepted, rejected (by this check, for this reason), waiting or seed.
        left_out: the label because of which an accepted record is not in the dataset; None if there is none.
        data, own: its fields, and the names of those that its stage gave it.
        details: what the checks have noted about it.
        mended: the values that a check replaced: field, before, after.
        checks: each check in order: name, kind, result (passed, rejected, not reached), reason, detail.
        neighbours: the nearest other texts; see `neighbours`.
        request: the prompt that it answers: number, system, prompt, sampling, variant, lines, and the
            examples in it with their ids, texts and places in the prompt. None if no model was asked.
        reply: the model's reply with all its choices (text, thought, finish_reason), tokens, cost_usd and
            seconds; None if there is none.
        candidates: all that was read from that reply, with their fates.
        siblings: the records that other stages have made from the same record, such as the answers that a
            pair was chosen from; each with `named`, the fields of this record that have its id.
        parents: the records that it was made from, the first one first.
        labels: the labels of it and of its parents, with the replies that gave them.
        children: the records made from it.
        reviews: what each reviewer said about it, by name.
        cost: the replies, tokens, usd and seconds for it, its parents and its labels; a reply is shared
            evenly by its candidates.

    Raises:
        UserError: if there is no record with this id.
    """
    record = run.record(id)
    if record is None:
        raise UserError(f"there is no record {id!r} in {run.path}")
    stage = next((one for one in run.outline.stages if one.name == record.stage), None)
    if stage is None:
        return _of_seed(run, record)
    parents = parents_of(run, record)
    line = [*parents, *([record] if record.fate == ACCEPTED else [])]  # nothing is made from the others
    made = run.journal.children(*(one.id for one in line)) if line else []
    labelling = {one.name for one in run.outline.stages if one.labels}
    labels = [_label(run, one) for one in made if one.stage in labelling and one.id != record.id]
    labels.sort(key=lambda label: [one.name for one in run.outline.stages].index(label["stage"]))
    near = neighbours(run, record, stage)
    request = _request(run, record, stage)
    read = run.journal.records(record.stage, request=record.request) if request else ()
    return {
        **brief(run, record),
        "kind": stage.kind,
        "left_out": _left_out(record, labels),
        "data": record.data,
        "own": [name for name in stage.own if name in record.data],
        "details": _details(record, stage),
        "mended": [
            {"field": field, "before": before, "after": record.data.get(field)}
            for field, before in record.detail.get(MENDED, {}).items()
        ],
        "checks": _checks(record, stage, near, request is not None),
        "neighbours": near,
        "request": request,
        "reply": _reply(run, record, stage),
        "candidates": [brief(run, one) for one in read],
        "siblings": list(_siblings(run, record, labelling)),
        "parents": [brief(run, one) for one in parents],
        "labels": labels,
        "children": [
            brief(run, one) for one in made if one.parent == record.id and one.stage not in labelling
        ],
        "reviews": _reviews(run, record.id),
        "cost": cost_of(run, [*parents, record, *_records(run, labels)]),
    }


def brief(run: OpenedRun, record: Record) -> dict[str, Any]:
    """A record in short: id, stage, fate, check, reason, parent, and the text of its stage's own fields."""
    seed = record.stage == SEED_STAGE
    fate = SEED_STAGE.removesuffix("s") if seed else record.fate
    facts = {"id": record.id, "stage": record.stage, "fate": fate, "check": record.check}
    return {**facts, "reason": record.reason, "parent": record.parent, "text": text_of(run, record)}


def text_of(run: OpenedRun, record: Record) -> str:
    """The text that a record is known by: the values of its stage's own fields, or of all its fields."""
    return " → ".join(texts_of(run, record))


def texts_of(run: OpenedRun, record: Record) -> list[str]:
    """The values of the fields that a record's stage gives, as texts; of a seed task, those of its kind."""
    stage = next((one for one in run.outline.stages if one.name == record.stage), run.outline.stages[0])
    found = [(name, record.data[name]) for name in stage.own if name in record.data]
    found = found or list(record.data.items())
    found.sort(key=lambda one: not isinstance(one[1], str))  # texts say more than lists of tools
    texts = [f"{name}: {readable(value)}" if stage.labels else readable(value) for name, value in found]
    return [text for text in texts if text.strip()]


def _siblings(run: OpenedRun, record: Record, labelling: set[str]) -> Iterator[dict[str, Any]]:
    """The records that other stages have made from the same record."""
    for one in run.journal.children(record.parent) if record.parent else ():
        if one.stage != record.stage and one.stage not in labelling and record.stage not in labelling:
            yield {
                **brief(run, one),
                "named": [name for name, value in record.data.items() if value == one.id],
            }


def _of_seed(run: OpenedRun, record: Record) -> dict[str, Any]:
    return {**brief(run, record), "data": record.data, "reviews": _reviews(run, record.id)}


def parents_of(run: OpenedRun, record: Record) -> list[Record]:
    """The record that it was made from, the one before that, and so on; the first one first."""
    found: list[Record] = []
    above = run.record(record.parent) if record.parent else None
    while above and len(found) <= len(run.outline.stages):
        found.insert(0, above)
        above = run.record(above.parent) if above.parent else None
    return found


def _checks(
    record: Record, stage: StageOutline, near: Iterable[Mapping[str, Any]], asked: bool
) -> list[dict[str, Any]]:
    """Each step between the reply, if a model was asked, and the fate, in order, with its result."""
    names = {**({READ: ""} if asked else {}), **stage.checks, SCHEMA_CHECK: SCHEMA_CHECK}
    if record.check and record.check not in names:  # a check of the reply as a whole, or of the stage's kind
        names = {record.check: "", **{name: kind for name, kind in names.items() if name != READ}}
    figures = {one["check"]: one for one in near}
    rows: list[dict[str, Any]] = []
    result = NOT_REACHED if record.fate == WAITING else PASSED
    for name, kind in names.items():
        row: dict[str, Any] = {"name": name, "kind": kind, "result": result, "reason": None, "detail": {}}
        if KEPT in record.detail and name != SCHEMA_CHECK:
            row["result"] = NOT_RUN
        elif record.fate == REJECTED and name == record.check:
            row |= {"result": REJECTED, "reason": record.reason, "detail": _findings(record, stage)}
            result = NOT_REACHED
        elif name in figures and result == PASSED:
            one = figures[name]
            row["detail"] = {"nearest": one["id"], "score": one["score"]}
            if "average_similarity" in record.detail:
                row["detail"]["average_similarity"] = record.detail["average_similarity"]
        rows.append(row)
    return rows


def _noted(record: Record, stage: StageOutline) -> dict[str, Any]:
    """What the checks have noted about a record, without what has a place of its own in the story."""
    hidden = {MENDED, OTHERWISE, KEPT, *stage.lines}
    return {key: value for key, value in record.detail.items() if key not in hidden}


def _findings(record: Record, stage: StageOutline) -> dict[str, Any]:
    """What the check that rejected a record has found."""
    return {key: value for key, value in _noted(record, stage).items() if key not in _OF_EARLIER}


def _details(record: Record, stage: StageOutline) -> dict[str, Any]:
    """What the checks that a record passed have noted about it."""
    noted, rejected = _noted(record, stage), record.fate == REJECTED
    return {key: value for key, value in noted.items() if key in _OF_EARLIER or not rejected}


def _request(run: OpenedRun, record: Record, stage: StageOutline) -> dict[str, Any] | None:
    request = run.journal.request(record.stage, record.request)
    if request is None:
        return None
    return {
        "number": request.number,
        "system": request.system,
        "prompt": request.prompt,
        "before": [{"role": one.role, "text": one.text} for one in request.before],
        "start": request.start,
        "opens": request.opens,
        "sampling": request.sampling,
        "variant": request.variant,
        "lines": {name: record.detail[name] for name in stage.lines if name in record.detail},
        "examples": [_example(run, id, request.prompt) for id in request.examples],
    }


def _example(run: OpenedRun, id: str, prompt: str) -> dict[str, Any]:
    """An example of a prompt: a seed task or a record of the pool, and its place in the prompt, if found."""
    record = run.record(id)
    if record is None:
        return {"id": id, "from": "unknown", "text": "", "span": None}
    texts = texts_of(run, record)
    start = prompt.find(texts[0]) if texts else -1
    span = [start, start + len(texts[0])] if start >= 0 else None
    source = "seed" if id in run.seed_tasks else "pool"
    return {"id": id, "from": source, "text": text_of(run, record), "span": span}


def _reply(run: OpenedRun, record: Record, stage: StageOutline) -> dict[str, Any] | None:
    reply = run.journal.reply(record.stage, record.request)
    if reply is None:
        return None
    return {
        "model": reply.model or stage.model,
        "choices": [
            {"text": one.text, "thought": one.thought, "finish_reason": one.finish_reason}
            for one in reply.choices
        ],
        "error": reply.error,
        **_amounts(reply),
        "attempts": reply.attempts,
        "cached": not reply.attempts,
    }


def _amounts(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "thinking_tokens": reply.thinking_tokens,
        "cached_tokens": reply.cached_tokens,
        "cache_write_tokens": reply.cache_write_tokens,
        "tokens_counted_here": reply.counted,
        "cost_usd": reply.cost_usd,
        "seconds": reply.seconds,
    }


def _label(run: OpenedRun, record: Record) -> dict[str, Any]:
    stage = run.outline.stage(record.stage)
    values = record.detail.get(OTHERWISE) or {
        name: record.data[name] for name in stage.own if name in record.data
    }
    return {
        **brief(run, record),
        "values": values,
        "otherwise": OTHERWISE in record.detail,
        "reply": _reply(run, record, stage),
    }


def _left_out(record: Record, labels: Iterable[Mapping[str, Any]]) -> str | None:
    """The rejected label that keeps an accepted record out of the dataset; None if there is none."""
    rejected = (one["id"] for one in labels if one["fate"] == REJECTED and not one["otherwise"])
    return next(rejected, None) if record.fate == ACCEPTED else None


def _reviews(run: OpenedRun, id: str) -> dict[str, Any]:
    facts = run.journal.facts(REVIEWS)
    named = ((key.partition("/"), said) for key, said in facts.items())
    return {reviewer: said for (reviewer, _, of), said in named if of == id}


def _records(run: OpenedRun, labels: Iterable[Mapping[str, Any]]) -> list[Record]:
    return [one for label in labels if (one := run.journal.record(label["id"]))]
