"""Labels that an instruction names as the only answers: "positive, negative or neutral", "yes or no"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from selfinstruct.text.limits.counts import CJK
from selfinstruct.text.limits.grammar import Grammar, Limit

MOST_LABELS = 12
# Words that are no label alone, or that begin something else than a label.
_NO_LABEL = re.compile(
    r"(?:not|no|none|nicht|kein|else|both|neither|so|more|less|否)$|[一二两三四五几](?=.)"
    r"|(?:its|their|my|your|these|those|it|they)\b"
)
_MARKS = " \t\n\"'“”„‘’‚「」『』()（）.:;,、。"


def labels(text: str, grammar: Grammar) -> Iterator[Limit]:
    """The limit to named labels, at most one: an instruction that names two sets is not understood."""
    found = list(_yes_no(text, grammar)) or list(_named(text, grammar))
    if len({limit.labels for limit in found}) == 1:
        yield found[0]


def _yes_no(text: str, grammar: Grammar) -> Iterator[Limit]:
    for pattern, allowed in grammar.yes_no.items():
        found = _compiled(pattern).search(text)
        if found:
            yield Limit("labels", words=found[0].strip(), labels=allowed, alone=_alone(text, grammar))


def _named(text: str, grammar: Grammar) -> Iterator[Limit]:
    end = 0
    if grammar.coded.search(text):
        return
    for pattern in grammar.label_lists:
        for found in pattern.finditer(text):
            if found.start("labels") < end:
                continue
            allowed = tuple(dict.fromkeys(_split(found["labels"], grammar)))
            fits = all(_short(label, grammar) and not _NO_LABEL.match(label) for label in allowed)
            if fits and 2 <= len(allowed) <= MOST_LABELS:
                end = max(end, found.end("labels"))
                words = found["labels"].strip()
                yield Limit("labels", words=words, labels=allowed, alone=_alone(text, grammar))


def _split(words: str, grammar: Grammar) -> list[str]:
    pieces = (piece.strip(_MARKS) for piece in grammar.label_joints.split(words))
    return [_without_article(piece).lower() for piece in pieces if piece]


def _without_article(label: str) -> str:
    """A label without an article before it or a German verb's particle after it."""
    label = re.sub(r"(?i)^(?:an?|the|either|eine?[nmrs]?|als|as)\s+", "", label)
    return re.sub(r"\s+(?:ein|zu|ist|sind|einordnen|zuordnen)$", "", label)


def _short(label: str, grammar: Grammar) -> bool:
    size = len(label) if CJK.search(label) else len(label.split())
    return 0 < size <= grammar.label_words


def _alone(text: str, grammar: Grammar) -> bool:
    return bool(grammar.only.search(text)) and not grammar.more.search(text)


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
