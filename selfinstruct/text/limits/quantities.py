"""Numbers of words, sentences or items in an instruction that limit the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from selfinstruct.text.limits.counts import CJK
from selfinstruct.text.limits.grammar import AT_MOST, Grammar, Limit, bounds, named, which

AROUND = 90  # characters before and after a number that may say what it limits
HIGHEST_ITEMS = 100
FEWEST_CHARACTERS = 20  # fewer are people in a story, in languages with an alphabet
_AGAIN = "_after"
_ENDS = re.compile(r"[.!?。！？;\n](?=\s|$)|[。！？;；\n]")


def quantities(text: str, grammar: Grammar) -> Iterator[Limit]:
    """The limits with a unit of their own: "in at most 50 words", "three sentences or fewer"."""
    for found in _quantity(grammar).finditer(text):
        before, after = _around(text, found.start(), found.end())
        unit = which(found, grammar.units) or ""
        first, second = grammar.value(found["a"]), grammar.value(found["b"] or "")
        kind = which(found, grammar.before) or which(found, grammar.after, _AGAIN)
        if not first or not _is_limit(unit, kind, before, after, grammar):
            continue
        if kind is None and grammar.cut_to.search(before):
            kind = AT_MOST
        each = bool(grammar.each.search(before) or grammar.each.match(after))
        least, most = bounds(kind, first, second, unit)
        if _is_odd(unit, first, found[0]):
            continue
        if not each and grammar.several.search(text[: found.start()] + text[found.end() :]):
            most = None
        lead = grammar.lead.search(before)
        yield Limit(unit, least, most, _words(lead, found), each)


def items(text: str, grammar: Grammar) -> Iterator[Limit]:
    """The numbers of things to list: "name three rivers"; one thing is no list."""
    for found in grammar.items.finditer(text):
        before, after = _around(text, found.start(), found.end())
        first, second = grammar.value(found["a"]), grammar.value(found["b"] or "")
        each = grammar.each.match(after) or grammar.each.search(before) or grammar.each.search(found[0])
        if not first or first < 2 or first > HIGHEST_ITEMS or each:
            continue
        kind = next((name for name in grammar.before if found.groupdict().get(name)), None)
        kind = kind or next((name for name in grammar.after if found.groupdict().get(name + _AGAIN)), None)
        if grammar.veto.search(text[: found.start("a")][-AROUND:]):
            continue
        least, most = bounds(kind, first, second, "items")
        if grammar.several.search(text[: found.start()] + text[found.end() :]):
            most = None
        yield Limit("items", least, most, found[0].strip())


def _is_limit(unit: str, kind: str | None, before: str, after: str, grammar: Grammar) -> bool:
    if grammar.veto.search(before) or grammar.part.search(before):
        return False
    strong = grammar.strong.search(before)
    if not strong and unit in grammar.not_after and grammar.not_after[unit].match(after):
        return False
    if kind is not None:
        return grammar.free is None or bool(grammar.free.search(before))
    return bool(grammar.lead.search(before) or grammar.cut_to.search(before) or grammar.tail.match(after))


def _is_odd(unit: str, number: int, words: str) -> bool:
    """Whether the number is of another kind: 8,000 steps, three characters of a novel, 写一段 ("some")."""
    people = unit == "characters" and not CJK.search(words) and number < FEWEST_CHARACTERS
    return people or (unit == "items" and number > HIGHEST_ITEMS) or words.startswith("一段")


def _around(text: str, start: int, end: int) -> tuple[str, str]:
    """The text of the same sentence before and after a place."""
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    begins = [found.end() for found in _ENDS.finditer(before)]
    stops = _ENDS.search(after)
    return before[begins[-1] if begins else 0 :], after[: stops.start() if stops else None]


def _words(lead: re.Match[str] | None, found: re.Match[str]) -> str:
    """The words that set the limit, with the last word before them."""
    last = f"{lead[0].split()[-1]}{' ' * lead[0].endswith(' ')}" if lead and lead[0].strip() else ""
    return f"{last}{found[0].strip()}"


@lru_cache
def _quantity(grammar: Grammar) -> re.Pattern[str]:
    first = rf"(?:(?:{named(grammar.before)})\s*)?"
    numbers = rf"(?P<a>{grammar.number})(?:(?:{grammar.between})(?P<b>{grammar.number}))?"
    last = rf"(?:\s*(?:{named(grammar.after, _AGAIN)}))?"
    return re.compile(rf"(?i){first}{numbers}(?:{grammar.joint})(?:{named(grammar.units)}){last}")
