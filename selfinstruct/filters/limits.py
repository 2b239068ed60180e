"""The filter of answers that break a limit which the instruction sets and a program can count."""

from __future__ import annotations

import re

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.limits import GRAMMARS, broken, find


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


UNITS = (
    "words characters sentences lines paragraphs items labels json yaml numbered bullets upper lower".split()  # noqa: SIM905
)


def _off(units: dict[str, bool]) -> set[str]:
    unknown = sorted(set(units) - set(UNITS))
    if unknown:
        raise ValueError(f"units: there is no {unknown[0]!r}; there are {', '.join(UNITS)}")
    return {unit for unit, on in units.items() if not on}
