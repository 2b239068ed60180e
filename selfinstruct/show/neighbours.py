"""The nearest other texts to a record's, and the words that the two have in common.

A check that compares texts keeps the nearest one with each text that it rejects, and, where the recipe says
so, with each that passes. Otherwise the nearest by ROUGE-L is looked up again, among the same texts: the seed
tasks and the records of the stage that were accepted before.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from selfinstruct.records import KEPT, REJECTED, Record
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.run_folder.outline import StageOutline
from selfinstruct.text.tokenizers import Tokenizer, comparing, tokenizer

MEASURES = {"rouge_l": "ROUGE-L", "embedding_similarity": "cosine"}  # what a kind of check scores by
KEEPS = {"most_similar": "rouge_l", "nearest_in_meaning": "embedding_similarity"}  # details: scores by id
MOST_TOKENS = 4_000  # of each text that are compared to mark what is common
Span = tuple[int, int]
_SLACK = 1e-6  # of a token; more than any rounding error


def neighbours(run: OpenedRun, record: Record, stage: StageOutline) -> list[dict[str, Any]]:
    """The nearest other texts, one for each check that compares texts.

    Returns:
        For each: `check` that compares, `measure` and `score`, `kept` (whether the run has noted it, or it
        was looked up now), `id`, `stage` and `fate` of the other record, `field` that is compared, `texts`
        of the two, and `common`, their longest common subsequence (see `common_words`).
    """
    found = list(_kept(record, stage))
    compared = {check for check, _, _ in found}
    rows = [_described(run, record, stage, *one, kept=True) for one in found]
    for check, kind in stage.checks.items():
        if kind == "rouge_l" and check not in compared and _passed(record, stage, check):
            near = _looked_up(run, record, stage, check)
            rows += [_described(run, record, stage, check, *near, kept=False)] if near else []
    return rows


def common_words(one: str, other: str, tokens: Tokenizer) -> dict[str, Any]:
    """The longest common subsequence of two texts' tokens, as ROUGE-L has it.

    Args:
        one: a text.
        other: another one.
        tokens: splits both.

    Returns:
        `tokens`: how many are common; `of`: how many each text has; `spans`: where the common ones are in
        each text, as (start, end). Of a very long text only the beginning is compared.
    """
    from rapidfuzz.distance.LCSseq import editops

    rows = [tokens(text)[:MOST_TOKENS] for text in (one, other)]
    blocks = editops(*rows).as_matching_blocks()
    places = [[place for b in blocks for place in range(b.a, b.a + b.size)]]
    places += [[place for b in blocks for place in range(b.b, b.b + b.size)]]
    spans = [
        _joined([span for place in some if (span := found[place])])
        for some, found in zip(places, map(_located, (one, other), rows), strict=True)
    ]
    return {"tokens": len(places[0]), "of": [len(row) for row in rows], "spans": spans}


def nearest(text: str, others: Iterator[tuple[str, str]], name: str) -> tuple[str, float] | None:
    """The other text with the highest ROUGE-L F-measure (the earliest if equal); None if nothing is common.

    Args:
        text: the text.
        others: id and text of the others.
        name: the name of the tokenizer.
    """
    from rapidfuzz.distance.LCSseq import similarity

    tokens = tokenizer(name)
    own = tokens(text)
    fold = _FOLDS.get(name)
    words = [word.lower() for word in own]
    best, found = 0.0, None
    for id, other in others:
        if fold and best:  # a token of the other text is a part of it, so few parts are few common tokens
            folded, least = fold(other), best * len(own) / (2 - best) - _SLACK
            if sum(map(folded.__contains__, words)) < least:
                continue
        row = tokens(other)
        common = similarity(own, row)
        if common:
            precision, recall = common / len(own), common / len(row)
            score = 2 * precision * recall / (precision + recall)  # in the order of the index, for equal ones
            if score > best:
                best, found = score, id
    return (found, best) if found is not None else None


def _kept(record: Record, stage: StageOutline) -> Iterator[tuple[str, str, float | None]]:
    """Check, id and score of the neighbours that the run has noted with the record."""
    if record.fate == REJECTED and record.detail.get("nearest"):
        yield record.check or "", str(record.detail["nearest"]), record.detail.get("score")
    for name, kind in KEEPS.items():
        scores: dict[str, float] = record.detail.get(name) or {}
        if scores:
            id = max(scores, key=scores.__getitem__)
            check = next((check for check, its in stage.checks.items() if its == kind), kind)
            yield check, id, scores[id]


def _passed(record: Record, stage: StageOutline, check: str) -> bool:
    if KEPT in record.detail:
        return False
    names = list(stage.checks)
    if record.fate != REJECTED:
        return True
    return record.check in names and names.index(record.check) > names.index(check)


def _looked_up(run: OpenedRun, record: Record, stage: StageOutline, check: str) -> tuple[str, float] | None:
    options = _options(run, stage, check)
    field = str(options.get("field") or next(iter(stage.own), ""))
    if field not in record.data or '"' in field:
        return None
    seeds = ((id, str(seed.data[field])) for id, seed in run.seed_tasks.items() if field in seed.data)
    others = chain(seeds, run.journal.texts(record, field))
    spared = record.parent if options.get("except_parent") else None
    among = ((id, text) for id, text in others if id != spared)
    return nearest(str(record.data[field]), among, _tokenizer(run, options))


def _described(
    run: OpenedRun,
    record: Record,
    stage: StageOutline,
    check: str,
    id: str,
    score: float | None,
    kept: bool,
) -> dict[str, Any]:
    options, other = _options(run, stage, check), run.record(id)
    field = str(options.get("field") or next(iter(stage.own), ""))
    kind = stage.checks.get(check, check)
    texts = [str(one.data.get(field, "")) if one else "" for one in (record, other)]
    return {
        "check": check,
        "measure": MEASURES.get(kind, "score"),
        "score": score,
        "kept": kept,
        "id": id,
        "stage": other.stage if other else None,
        "fate": None if other is None else "seed" if other.id in run.seed_tasks else other.fate,
        "field": field,
        "texts": texts,
        "common": common_words(texts[0], texts[1], tokenizer(_tokenizer(run, options))),
    }


def _options(run: OpenedRun, stage: StageOutline, check: str) -> dict[str, Any]:
    """The options of a check, from the settings that the journal has kept."""
    above = f"filters.{stage.name}.{check}."
    shape: Mapping[str, Any] = run.journal.meta("shape", {})
    return {key[len(above) :]: value for key, value in shape.items() if key.startswith(above)}


def _tokenizer(run: OpenedRun, options: Mapping[str, Any]) -> str:
    """The tokenizer of a check; that of the language if a plug-in's is not there any more."""
    name = options.get("tokenizer") or comparing(str(options.get("language") or run.outline.language))
    try:
        tokenizer(str(name))
    except ValueError:
        return comparing(run.outline.language)
    return str(name)


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


# For each of our tokenizers, the form of a text of which every token is a part.
_FOLDS = {"rouge": str.lower, "unicode": _fold, "characters": _fold, "spaces": str.lower}


def _located(text: str, tokens: Sequence[str]) -> list[Span | None]:
    """Where each token is in its text; None if it is not in the text in that form."""
    parts = [_fold(character) for character in text]
    folded = "".join(parts)
    places = [place for place, part in enumerate(parts) for _ in part]
    found: list[Span | None] = []
    at = 0
    for token in tokens:
        word = _fold(token)
        start = folded.find(word, at)
        found.append((places[start], places[start + len(word) - 1] + 1) if start >= 0 else None)
        at = start + len(word) if start >= 0 else at
    return found


def _joined(spans: Sequence[Span]) -> list[Span]:
    """The spans, with those that touch as one."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found
