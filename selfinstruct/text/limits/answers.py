"""Whether an answer keeps a limit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from selfinstruct.text.limits import counts
from selfinstruct.text.limits.counts import Count
from selfinstruct.text.limits.grammar import Limit

COUNTS: Mapping[str, Callable[[str], Count | None]] = {
    "words": counts.words,
    "characters": counts.characters,
    "sentences": counts.sentences,
    "lines": counts.lines,
    "paragraphs": counts.paragraphs,
    "items": counts.items,
}
LETTERS = 4  # of a word that is more than an article
SHOWN = 40  # characters of an answer in a reason
LONGEST = 50_000  # characters of an answer that are counted
_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)
_EDGES = " \t\n\"'“”„‘’「」『』*_`()（）.!。！:：,、"


def broken(limit: Limit, answer: str) -> str | None:
    """How the answer breaks the limit, as a clause; None if it keeps it or if that is not certain."""
    text = answer.strip()
    if not text or len(text) > LONGEST:
        return None
    if limit.unit in COUNTS:
        return _each(limit, text) if limit.each else _counted(limit, text)
    return _labels(limit, text) if limit.unit == "labels" else FORMS[limit.unit](text)


def _counted(limit: Limit, text: str) -> str | None:
    count = COUNTS[limit.unit](text)
    if limit.unit == "sentences" and count and (listed := len(counts.marked_items(text))) > 1:
        count = Count(min(count.low, listed), max(count.high, listed))  # a list of sentences
    if count is None or not _outside(limit, count):
        return None
    return f"the answer has {_number(count, limit.unit)}"


def _each(limit: Limit, text: str) -> str | None:
    """The first item that breaks a limit for each item; only a list with marks has certain items."""
    for item in counts.marked_items(text):
        count = COUNTS[limit.unit](item) if limit.unit in ("words", "characters", "sentences") else None
        if count and limit.most is not None and count.low > limit.most:
            return f"the item {item[:SHOWN]!r} has {_number(count, limit.unit)}"
    return None


def _outside(limit: Limit, count: Count) -> bool:
    return count.high < limit.least or (limit.most is not None and count.low > limit.most)


def _number(count: Count, unit: str) -> str:
    if count.low == count.high:
        return f"{count.low} {unit[:-1] if count.low == 1 else unit}"
    return f"{count.low} to {count.high} {unit}"


def _labels(limit: Limit, text: str) -> str | None:
    folded, some = text.casefold(), ", ".join(map(repr, limit.labels))
    known = [label for label in limit.labels if _has(label, folded)]
    if folded.strip(_EDGES) in limit.labels:
        return None
    if not known and not any(_is_near(label, folded.strip(_EDGES)) for label in limit.labels):
        return f"the answer {text[:SHOWN]!r} has none of {some}"
    if limit.alone:
        return f"the answer {text[:SHOWN]!r} has more than one of {some}"
    if len(known) == len(limit.labels) and not _rest(folded, known):
        return f"the answer {text[:SHOWN]!r} has all of {some}"
    return None


def _has(label: str, text: str) -> bool:
    """Whether the text has the label, also with an ending after it."""
    stem = label[:-1] if label.endswith("s") and len(label) > LETTERS else label
    spaced = not counts.CJK.search(label)
    return re.search(rf"(?<!\w){re.escape(stem)}" if spaced else re.escape(label), text) is not None


def _is_near(label: str, text: str) -> bool:
    """Whether the text is part of the label, or has a word of it: "fact" for "stating a fact"."""
    if counts.CJK.search(label):
        return text in label or (len(label) > 2 and label[:2] in text)
    return (
        any(len(word) >= LETTERS and _has(word, text) for word in label.split())
        or f" {text} " in f" {label} "
    )


def _rest(text: str, labels: list[str]) -> str:
    """What is left without the labels, in the order of the longest, and without what joins them."""
    for label in sorted(labels, key=len, reverse=True):
        text = text.replace(label, " ", 1)
    return re.sub(r"\b(?:and|or|und|oder)\b|[\W_]|または|或者|或|和|か", "", text)


def _json(text: str) -> str | None:
    """JSON as the whole answer, in a fence, or from the first bracket to the last."""
    inner = _FENCED.search(text)
    body = (inner[1] if inner else text).strip()
    starts = [place for mark in "[{" if (place := body.find(mark)) >= 0]
    ends = max(body.rfind("]"), body.rfind("}")) + 1
    cut = body[min(starts) : ends] if starts else ""
    for candidate in (body, cut):
        try:
            json.loads(candidate)
        except RecursionError:
            return None
        except ValueError:
            continue
        return None
    return "the answer is not JSON"


def _yaml(text: str) -> str | None:
    """YAML has a key or an item; whether it can be read is for the filter `parses`."""
    inner = _FENCED.search(text)
    body = inner[1] if inner else text
    return None if re.search(r"(?m)^\s*(?:- |[\w\"'.-]+:(?:\s|$))", body) else "the answer is not YAML"


def _listed(text: str, group: str) -> bool:
    marks = [found for line in text.splitlines() if (found := counts.MARK.match(line))]
    return any(mark[group] for mark in marks) or (group == "bullet" and bool(marks))


def _cased(text: str, upper: bool) -> bool:
    wrong = [letter for letter in text if (letter.islower() if upper else letter.isupper())]
    return len(wrong) * 5 < sum(map(str.isalpha, text))


FORMS: Mapping[str, Callable[[str], str | None]] = {
    "json": _json,
    "yaml": _yaml,
    "numbered": lambda text: None if _listed(text, "number") else "the answer has no numbered line",
    "bullets": lambda text: None if _listed(text, "bullet") else "the answer has no line with a bullet",
    "upper": lambda text: None if _cased(text, upper=True) else "the answer has small letters",
    "lower": lambda text: None if _cased(text, upper=False) else "the answer has capitals",
}
