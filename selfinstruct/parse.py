"""Parsers: from the text of a reply to candidates.

A parser is made by a factory whose keyword arguments are its options in `prompts.<stage>.parse`. It gets the
reply and how many examples the prompt showed, and loses nothing: a piece it cannot use is returned with the
name of the check that rejects it, `cut` (the reply ended at max_tokens) or `unreadable`. To add a parser, add
a factory here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from selfinstruct.records import Reply
from selfinstruct.registry import Registry

CUT, UNREADABLE = "cut", "unreadable"


@dataclass(frozen=True)
class Parsed:
    """A candidate as read.

    Attributes:
        data: the fields read.
        check: name of the check that rejects it at once, None for a usable one.
        reason: why, in words.
    """

    data: dict[str, Any]
    check: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Parser:
    """Reads replies.

    Attributes:
        read: from a reply and the number of examples shown to candidates.
        fields: the fields that a candidate has.
        values: the closed set of values, for a parser that sets one field.
        refusals: whether it reads a refused request too, as an empty reply.
    """

    read: Callable[[Reply, int], list[Parsed]]
    fields: tuple[str, ...]
    values: tuple[Any, ...] = ()
    refusals: bool = False


PARSERS: Registry[Parser] = Registry("parser", (__name__,))


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


def _lost(reply: Reply, reason: str, check: str = UNREADABLE) -> list[Parsed]:
    """The whole reply as one candidate that is rejected."""
    return [Parsed({"reply": reply.text}, check, reason)]


def _drop_last(pieces: list[Parsed], reply: Reply) -> list[Parsed]:
    """Reject the last piece of a reply cut by length (METHOD: it loses its last instance)."""
    if reply.cut and pieces:
        pieces[-1] = Parsed(pieces[-1].data, CUT, "the reply reached max_tokens within this one")
    return pieces


@PARSERS.register
def numbered_list(
    *,
    field: str = "instruction",
    capitals: Literal["keep", "lower"] = "keep",
    when_cut: Literal["drop_last", "drop_all"] = "drop_last",
    strip_first_number: bool = True,
) -> Parser:
    """One candidate an item of a numbered list (arXiv 2212.10560, section 2.2).

    Args:
        field: the field that an item becomes.
        capitals: after the first letter, which is made a capital, `keep` the model's or `lower` them all.
        when_cut: what a reply cut by length loses: its last item, or everything as in the original.
        strip_first_number: remove a number before the first item; chat models repeat it.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        if reply.cut and when_cut == "drop_all":
            return _lost(reply, "the reply reached max_tokens", CUT)
        text = re.sub(r"^\s*\d+\s?\. ", "", reply.text) if strip_first_number else reply.text
        items = [re.sub(r"\s+", " ", item).strip() for item in re.split(r"\n\d+\s?\. ", text)]
        return _drop_last([Parsed({field: _capitalize(item)}) for item in items], reply)

    def _capitalize(item: str) -> str:
        return item.capitalize() if capitals == "lower" else item[:1].upper() + item[1:]

    return Parser(read, (field,))


class Choice(BaseModel):
    """One value of a closed set, and the answers that mean it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answers: list[str] = Field(default_factory=list)
    value: Any = None

    def meaning(self, label: str) -> Any:
        """The value to store: the label itself unless another was given."""
        return self.value if "value" in self.model_fields_set else label


@PARSERS.register
def choice(
    *,
    field: str,
    choices: dict[str, Choice],
    otherwise: str | None = None,
    when_refused: Literal["reject", "otherwise"] = "reject",
) -> Parser:
    """Sets one field to one of a closed set of values, by the whole stripped answer.

    Args:
        field: the field to set.
        choices: label: {answers: [...], value: ...}; both may be left out and are then the label itself.
        otherwise: the label of any other answer; without it such an answer is rejected as unreadable.
        when_refused: `reject` a record that the provider refuses to answer about, or give it the label of
            `otherwise` as the original does.
    """
    values = {label: one.meaning(label) for label, one in choices.items()}
    if otherwise is not None and otherwise not in values:
        raise ValueError(f"otherwise: {otherwise!r} is none of the labels {', '.join(values)}")
    table: dict[str, Any] = {}
    for label, one in choices.items():
        for answer in one.answers or [label]:
            if answer in table:
                raise ValueError(f"the answer {answer!r} belongs to two labels")
            table[answer] = values[label]

    def read(reply: Reply, shown: int) -> list[Parsed]:
        answer = reply.text.strip()
        if answer in table:
            return [Parsed({field: table[answer]})]
        if otherwise is not None:
            return [Parsed({field: values[otherwise]})]
        return [Parsed({}, UNREADABLE, f"the answer {answer[:80]!r} is none of {', '.join(table)}")]

    if when_refused == "otherwise" and otherwise is None:
        raise ValueError("when_refused: 'otherwise' needs a label in otherwise")
    return Parser(read, (field,), tuple(values.values()), refusals=when_refused == "otherwise")


@PARSERS.register
def sections(
    *, split: Pattern, divider: Pattern, end: Pattern, lead: Pattern, before: str, after: str
) -> Parser:
    """Sections of two parts, an input and what follows it (arXiv 2212.10560, section 2.2, input-first).

    Without a `split` mark the reply is one section if it has a divider, and unreadable otherwise. A section
    without a divider is all `after`.

    Args:
        split: regular expression of the mark that starts a section.
        divider: of the mark between the two parts; a second one ends the second part.
        end: of a mark that ends the second part too.
        lead: of a mark removed from the start of the first part.
        before: the field that the first part becomes.
        after: the field that the second part becomes.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        text = reply.text.strip()
        if re.search(split, text):
            pieces = [piece.strip() for piece in re.split(split, text)]
            found = [_section(piece) for piece in pieces if piece]
        elif re.search(divider, text):
            found = [_section(text)]
        else:
            return _lost(reply, "the reply has neither a section nor a divider")
        return _drop_last(found, reply)

    def _section(text: str) -> Parsed:
        first, second = "", text
        parts = re.split(divider, text)
        if len(parts) > 1:
            first, second = parts[0].strip(), parts[1].strip()
        second = re.split(end, second)[0].strip()
        return Parsed({before: re.sub(rf"\A(?:{lead})", "", first).strip(), after: second})

    return Parser(read, (before, after))


@PARSERS.register
def headed(*, head: str, first_line: str, rest: str) -> Parser:
    """Blocks under a head, the first line one field and the rest another (output-first).

    Args:
        head: the text that starts a block; what comes before the first one is dropped.
        first_line: the field of the rest of the head's line.
        rest: the field of all lines after it, which may be empty.
    """

    def read(reply: Reply, shown: int) -> list[Parsed]:
        blocks = reply.text.split(head)[1:]
        if not blocks:
            return _lost(reply, f"the reply has no {head!r}")
        found = []
        for block in blocks:
            line, _, body = block.strip().partition("\n")
            found.append(Parsed({rest: body.strip(), first_line: line.strip()}))
        return _drop_last(found, reply)

    return Parser(read, (rest, first_line))


@PARSERS.register
def numbered_fields(
    *, separator: str, fields: dict[str, str], empty: dict[str, list[str]] | None = None
) -> Parser:
    """Records of numbered fields between separators, as in Alpaca's single prompt.

    A record needs all its fields, in order, each under the number expected at its place.

    Args:
        separator: the text between two records.
        fields: field: its name in the reply, in order. The prompt ends with the first field's name.
        empty: field: words that stand for an empty value, in lower case.
    """
    names = "|".join(re.escape(name) for name in fields.values())
    first = next(iter(fields.values()))

    def read(reply: Reply, shown: int) -> list[Parsed]:
        text = reply.text
        if not re.match(rf"\s*{shown + 1}\.\s+{re.escape(first)}:", text):
            text = f"{shown + 1}. {first}:{text}"  # where the prompt's last line left off
        pieces = text.split(separator)
        while len(pieces) > 1 and not pieces[-1].strip():
            pieces.pop()
        return _drop_last([_record(piece, shown + 1 + place) for place, piece in enumerate(pieces)], reply)

    def _record(piece: str, number: int) -> Parsed:
        parts = re.split(rf"(?<!\d){number}\.\s+({names}):", piece)
        if parts[1::2] != list(fields.values()):
            return Parsed({"reply": piece.strip()}, UNREADABLE, f"it lacks a field under number {number}")
        values = dict(zip(fields, (part.strip() for part in parts[2::2]), strict=True))
        for name, words in (empty or {}).items():
            if values[name].lower() in words:
                values[name] = ""
        return Parsed(values)

    if empty and set(empty) - set(fields):
        raise ValueError(f"empty: {sorted(set(empty) - set(fields))[0]!r} is none of the fields")
    return Parser(read, tuple(fields))
