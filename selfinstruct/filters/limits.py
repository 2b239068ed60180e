"""The filter of answers that break a limit which the instruction sets and a program can count."""

from __future__ import annotations

import re

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.limits import GRAMMARS, broken, find
from selfinstruct.text.limits.counts import CJK


@FILTERS.register
def keeps_limits(
    *,
    field: str = "output",
    instruction: str = "instruction",
    units: dict[str, bool] = {},  # noqa: B006  # options are read, never changed
    language: str = "en",
) -> Filter:
    """Rejects an answer that breaks a limit of its instruction: words, sentences, items, a form, labels.

    If the words may limit something else (an input, a title), or if the answer can be counted in two ways and
    one keeps the limit, the answer passes. "In 50 words" allows 20% more or less, "about 50 words" 40%;
    numbers up to 20 without "about" are exact. docs/better-data.md says how often it is right.

    Args:
        field: the field of the answer.
        instruction: the field of the instruction.
        units: unit or form: whether it is checked; all are unless they are false here: words, characters,
            sentences, lines, paragraphs, items, labels, json, yaml, numbered, bullets, upper, lower.
        language: the language of the instructions (de, en, ja or zh), as a BCP 47 tag; the recipe's by
            default.
    """
    if re.split("[-_]", language)[0].lower() not in GRAMMARS:
        raise ValueError(f"knows the limits of {', '.join(sorted(GRAMMARS))}, not of {language!r}")
    off = _off(units)

    def each(record: Record) -> Rejection | None:
        for limit in find(value(record, instruction), language):
            wrong = None if limit.unit in off else broken(limit, value(record, field))
            if wrong:
                return Rejection(f"{instruction} says {limit.words!r}, but {wrong}", {"limit": limit.words})
        return None

    return Filter(each=each, fields=(field, instruction))


@FILTERS.register
def named_label(
    *,
    field: str = "output",
    instruction: str = "instruction",
    classification: str | None = "is_classification",
    absent_from: str | None = None,
    language: str = "en",
) -> Filter:
    """Rejects a classification record whose label is not in its instruction.

    A yes or a no also passes for a question, and for "say whether". Strong models know labels that an
    instruction does not name, such as the moods of a text; weak ones make up labels for tasks that have none,
    and write inputs that give the label away.

    Args:
        field: the field of the label.
        instruction: the field of the instruction.
        classification: the field that says whether the record is a classification task; others pass. null:
            all records are.
        absent_from: a field in which the label must not be, such as the input; null: none.
        language: the language of the instructions, as a BCP 47 tag; the recipe's by default.
    """
    grammar = GRAMMARS.get(re.split("[-_]", language)[0].lower(), GRAMMARS["en"])
    verdicts = {word for words in grammar.yes_no.values() for word in words}

    def each(record: Record) -> Rejection | None:
        if classification and record.data.get(classification) is not True:
            return None
        label = value(record, field).strip(" \t\n.。\"'“”「」").casefold()
        text = value(record, instruction).casefold()
        words = re.escape(label) if CJK.search(label) else rf"(?<!\w){re.escape(label)}(?!\w)"
        if not re.search(words, text) and not (label in verdicts and _WHETHER.search(text)):
            return Rejection(f"the label {value(record, field)[:60]!r} is not in the {instruction}")
        if absent_from and label and re.search(words, value(record, absent_from).casefold()):
            return Rejection(f"the label {value(record, field)[:60]!r} is in the {absent_from}")
        return None

    read = (field, instruction, *(one for one in (classification, absent_from) if one))
    return Filter(each=each, fields=read)


# A question, or words that ask for a yes or a no.
_WHETHER = re.compile(r"[?？]|\b(?:if|whether|ob)\b|true|false|か(?:どうか|。|$)|是否|吗|正しい|对错")
UNITS = (
    "words characters sentences lines paragraphs items labels json yaml numbered bullets upper lower".split()  # noqa: SIM905
)


def _off(units: dict[str, bool]) -> set[str]:
    unknown = sorted(set(units) - set(UNITS))
    if unknown:
        raise ValueError(f"units: there is no {unknown[0]!r}; there are {', '.join(UNITS)}")
    return {unit for unit, on in units.items() if not on}
