"""What a language's table has to say, and the limit that comes of it."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PLAIN_FROM = 21  # "in 50 words" means about so many; "in ten words" means ten
PLAIN_SLACK = 0.2  # of such a number, up and down
ABOUT_SLACK = 0.4  # of "about 50 words", up and down
ABOUT_LEAST = 1  # "about three sentences" is two to four

AT_MOST, BELOW, AT_LEAST, ABOVE, ABOUT, EXACTLY = "at_most", "below", "at_least", "above", "about", "exactly"


@dataclass(frozen=True)
class Limit:
    """A limit on an answer.

    Attributes:
        unit: what is counted: words, characters, sentences, lines, paragraphs or items; or a form (json,
            yaml, numbered, bullets, upper, lower); or labels.
        least: the lowest number that keeps the limit.
        most: the highest number; None if there is none.
        words: the words of the instruction.
        each: whether each item has the limit, not the whole answer.
        labels: the labels of which the answer has to be one.
        alone: whether the answer must have nothing but a label.
    """

    unit: str
    least: int = 0
    most: int | None = None
    words: str = ""
    each: bool = False
    labels: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Grammar:
    """How a language sets limits; every pattern meets text after `plain`.

    Attributes:
        number: a number in digits or words.
        value: what such a number means; None if it is none.
        units: for each unit, the words for it.
        before: for each kind of bound, the words before the number ("at most").
        after: for each kind of bound, the words after the unit ("or fewer").
        between: what joins two numbers of a range ("3 to 5").
        joint: what may be between number and unit: spaces, adjectives.
        lead: what must come before a number without a bound, or after it (`tail`).
        tail: what must come after the unit, without a bound; either `lead` or `tail` is needed.
        cut_to: words before a number that make it the highest ("shorten it to").
        free: what must come before a number with a bound; None if anything may.
        strong: what makes a number a limit, whatever comes after the unit.
        veto: what may come before no number: it then counts something else.
        part: words for a part of the answer; a limit on it is no limit on the whole.
        not_after: by unit, what may not come after it.
        several: words that ask for more than one thing; a limit may then be on one of them only.
        each: words after the unit, or before the number, that give each item the limit.
        items: verb, number and noun of what is to be listed; groups before, a, b, after.
        label_lists: sentences that name the labels; group `labels`.
        coded: words that ask for a code instead of the label ("output 1 for spam").
        label_joints: what separates labels.
        label_words: the most words of a label, or characters without spaces.
        yes_no: patterns for "answer yes or no", and the labels.
        only: words that allow nothing but the label.
        more: words that ask for something beside the label, such as a reason.
        forms: for each form, the words that ask for it.
        not_form: words after which a form is what the task is about, not what is asked for.
        quoted: quotations and code, which are left out.
    """

    number: str
    value: Callable[[str], int | None]
    units: Mapping[str, str]
    before: Mapping[str, str]
    after: Mapping[str, str]
    between: str
    joint: str
    lead: re.Pattern[str]
    tail: re.Pattern[str]
    cut_to: re.Pattern[str]
    free: re.Pattern[str] | None
    strong: re.Pattern[str]
    veto: re.Pattern[str]
    part: re.Pattern[str]
    several: re.Pattern[str]
    each: re.Pattern[str]
    items: re.Pattern[str]
    label_lists: tuple[re.Pattern[str], ...]
    label_joints: re.Pattern[str]
    label_words: int
    yes_no: Mapping[str, tuple[str, ...]]
    only: re.Pattern[str]
    coded: re.Pattern[str]
    more: re.Pattern[str]
    forms: Mapping[str, re.Pattern[str]]
    not_form: re.Pattern[str]
    not_after: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    quoted: re.Pattern[str] = re.compile(
        r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|\"[^\"\n]{1,400}\"|“[^”\n]{1,400}[”]|„[^“”\n]{1,400}[“”]"
        r"|「[^」\n]{1,400}」|『[^』\n]{1,400}』|«[^»\n]{1,400}»",
        re.DOTALL,
    )


QUOTE = " ▢ "  # stands where a quotation was


def plain(text: str) -> str:
    """The text with one form for full-width digits and signs, and one space between words."""
    return re.sub(r"[ \t]+", " ", unicodedata.normalize("NFKC", text)).strip()


def bounds(kind: str | None, first: int, second: int | None, unit: str) -> tuple[int, int | None]:
    """The lowest and the highest number that a limit allows; `kind` is None if there is no bound."""
    low, high = sorted((first, second if second is not None else first))
    if kind in (AT_MOST, BELOW):
        return 0, high - (kind == BELOW)
    if kind in (AT_LEAST, ABOVE):
        return low + (kind == ABOVE), None
    if kind == ABOUT:
        slack = max(ABOUT_LEAST, ABOUT_SLACK * high)
    elif kind is None and low >= PLAIN_FROM and unit in ("words", "characters"):
        slack = PLAIN_SLACK * high
    else:
        return low, high
    return max(1, math.floor(low - slack)), math.ceil(high + slack)


def named(patterns: Mapping[str, str], suffix: str = "") -> str:
    """One pattern with a group for each of the patterns by name."""
    return "|".join(f"(?P<{name}{suffix}>{pattern})" for name, pattern in patterns.items())


def which(found: re.Match[str], names: Mapping[str, str], suffix: str = "") -> str | None:
    """The name of the group that took part in a match of `named`."""
    return next((name for name in names if found[f"{name}{suffix}"] is not None), None)
