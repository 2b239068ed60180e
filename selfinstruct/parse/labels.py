"""Parsers of one answer out of a closed set, also if the model words it differently."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field

from selfinstruct.parse import PARSERS, UNDECIDED, Parsed, Parser
from selfinstruct.records import Reply

_AROUND = " \t\r\n\f\v　*_`~#>\"'“”„‘’«»‹›「」『』.。．,，、!！?？;；:：()（）[]【】{}-–—|\\/"
_LONGEST_LEAD = 60  # characters before a colon: "Answer:", "The answer to the question is:"
_JOINED = re.compile(r"\A[\W_]*(?:(?:and|or|und|oder|と|か|和|或)\b[\W_]*)?")


class Choice(BaseModel):
    """One value of a closed set, and the answers that mean it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answers: list[str] = Field(default_factory=list)
    value: Any = None

    def meaning(self, label: str) -> Any:
        """The value to store: the label itself unless another was given."""
        return self.value if "value" in self.model_fields_set else label


def answers(choices: dict[str, Choice]) -> dict[str, Any]:
    """Map each answer to its value.

    Raises:
        ValueError: if one answer belongs to two labels.
    """
    table: dict[str, Any] = {}
    for label, one in choices.items():
        for answer in one.answers or [label]:
            if answer in table:
                raise ValueError(f"the answer {answer!r} belongs to two labels")
            table[answer] = one.meaning(label)
    return table


class Answers:
    """Finds the value of an answer: `Yes.`, ` yes!`, `**Yes**`, `Yes, because ...`, `Answer: Yes`.

    Case, quotes, emphasis and punctuation do not count. The first word counts if punctuation follows it. An
    answer that goes on without punctuation ("Yes and no", "No idea"), or that names a second answer right
    away, has no value.

    Args:
        table: the value of each answer.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table: dict[str, Any] = {}
        for answer, value in table.items():
            if self._table.setdefault(_plain(answer) or answer, value) != value:
                raise ValueError(f"the answer {answer!r} belongs to two labels")
        self._longest = sorted(self._table, key=len, reverse=True)

    def find(self, answer: str) -> tuple[Any, ...]:
        """The value of an answer, in a tuple; empty if it has none."""
        whole = normalize("NFKC", answer[:1000]).casefold().strip()
        if whole in self._table:
            return (self._table[whole],)
        text = whole.strip(_AROUND)
        found = self._begins(text)
        if found:
            return found
        lead, _, rest = text.partition(":")
        led = rest and len(lead) <= _LONGEST_LEAD and not self._named(lead) and "\n" not in lead
        return self._begins(rest.strip(_AROUND)) if led else ()

    def _begins(self, text: str) -> tuple[Any, ...]:
        if text in self._table:
            return (self._table[text],)
        first = next((one for one in self._longest if text.startswith(one) and _ends(text[len(one) :])), None)
        if first is None or self._contradicts(text[len(first) :], self._table[first]):
            return ()
        return (self._table[first],)

    def _contradicts(self, rest: str, value: Any) -> bool:
        """Whether a different answer follows, and nothing else: "Yes/No", "Yes. No."."""
        other = _JOINED.sub("", rest, count=1).strip(_AROUND)
        return other in self._table and self._table[other] != value

    def _named(self, lead: str) -> bool:
        words = re.findall(r"\w+", lead)
        return any(word in self._table for word in words)


def _plain(answer: str) -> str:
    return normalize("NFKC", answer).casefold().strip(_AROUND)


def _ends(rest: str) -> bool:
    """Whether the word before this text is complete: punctuation or the end of the line follows."""
    return re.match(r"[ \t　]*(?:\Z|\n|[^\w\s'’-]|[-–—](?!\w))", rest) is not None


def unanswered(answer: str, known: Iterable[str], cut: bool) -> str:
    """The reason why an answer is undecided."""
    how = ", and the reply reached max_tokens" if cut else ""
    return f"the answer {answer[:80]!r} is none of {', '.join(known)}{how}"


@PARSERS.register
def choice(
    *,
    field: str,
    choices: dict[str, Choice],
    otherwise: str | None = None,
    when_refused: Literal["reject", "otherwise"] = "reject",
    match: Literal["words", "exact"] = "words",
) -> Parser:
    """Set one field to one of a closed set of values, according to the answer.

    Args:
        field: the field to set.
        choices: label: {answers: [...], value: ...}; both may be left out and are then the label itself.
        otherwise: the label for any other answer that is whole; without it, such a record is rejected as
            undecided.
        when_refused: if the provider refuses to answer, or the answer is empty or cut, `reject` the record,
            or give it the label of `otherwise` as the original does. A model that was cut while it thought
            never gets the label.
        match: `words`: an answer counts in any case and with the usual additions, such as "Yes.", "**yes**",
            "Yes, because" or "Answer: Yes". `exact`: the whole stripped answer must be equal.
    """
    values = {label: one.meaning(label) for label, one in choices.items()}
    if otherwise is not None and otherwise not in values:
        raise ValueError(f"otherwise: {otherwise!r} is none of the labels {', '.join(values)}")
    table = answers(choices)
    known = Answers(table) if match == "words" else None

    def read(reply: Reply, shown: int) -> list[Parsed]:
        answer = reply.text.strip()
        if answer in table:
            return [Parsed({field: table[answer]})]
        for value in known.find(answer) if known else ():
            return [Parsed({field: value})]
        if otherwise is not None and (settled or not reply.cut):
            return [Parsed({field: values[otherwise]})]
        return [Parsed({"reply": reply.text}, UNDECIDED, unanswered(answer, table, reply.cut))]

    if when_refused == "otherwise" and otherwise is None:
        raise ValueError("when_refused: 'otherwise' needs a label in otherwise")
    settled = {field: values[otherwise]} if otherwise is not None and when_refused == "otherwise" else None
    return Parser(
        read,
        (field,),
        {field: tuple(values.values())},
        refused=settled,
        unreadable=settled,
        decides=True,
        prose=False,
    )
