"""Parsers of one answer out of a closed set, and what an answer in words of its own means."""

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
    """What each answer means.

    Raises:
        ValueError: where one answer means two labels.
    """
    table: dict[str, Any] = {}
    for label, one in choices.items():
        for said in one.answers or [label]:
            if said in table:
                raise ValueError(f"the answer {said!r} belongs to two labels")
            table[said] = one.meaning(label)
    return table


class Answers:
    """What an answer means: `Yes.`, ` yes!`, `**Yes**`, `Yes, because ...`, `Answer: Yes`.

    Case, quotes, emphasis and punctuation do not count. The first word counts where punctuation follows it.
    An answer that goes on without ("Yes and no", "No idea"), or names a second one at once, is none of them.

    Args:
        table: what each answer means.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table: dict[str, Any] = {}
        for said, value in table.items():
            if self._table.setdefault(_plain(said) or said, value) != value:
                raise ValueError(f"the answer {said!r} belongs to two labels")
        self._longest = sorted(self._table, key=len, reverse=True)

    def find(self, said: str) -> tuple[Any, ...]:
        """Its meaning, in a tuple; empty where it has none."""
        whole = normalize("NFKC", said[:1000]).casefold().strip()
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
        """Whether another answer follows at once, and is all that follows: "Yes/No", "Yes. No."."""
        other = _JOINED.sub("", rest, count=1).strip(_AROUND)
        return other in self._table and self._table[other] != value

    def _named(self, lead: str) -> bool:
        words = re.findall(r"\w+", lead)
        return any(word in self._table for word in words)


def _plain(said: str) -> str:
    return normalize("NFKC", said).casefold().strip(_AROUND)


def _ends(rest: str) -> bool:
    """Whether a word ends before this: at punctuation, or at the end of its line."""
    return re.match(r"[ \t　]*(?:\Z|\n|[^\w\s'’-]|[-–—](?!\w))", rest) is not None


def unanswered(said: str, known: Iterable[str], cut: bool) -> str:
    """Why an answer decides nothing."""
    how = ", and the reply reached max_tokens" if cut else ""
    return f"the answer {said[:80]!r} is none of {', '.join(known)}{how}"


@PARSERS.register
def choice(
    *,
    field: str,
    choices: dict[str, Choice],
    otherwise: str | None = None,
    when_refused: Literal["reject", "otherwise"] = "reject",
    match: Literal["words", "exact"] = "words",
) -> Parser:
    """Sets one field to one of a closed set of values, by the answer.

    Args:
        field: the field to set.
        choices: label: {answers: [...], value: ...}; both may be left out and are then the label itself.
        otherwise: the label of any other answer, as in the original; without it such a record is rejected as
            undecided.
        when_refused: `reject` a record that the provider refuses to answer about, or give it the label of
            `otherwise` as the original does.
        match: `words`: an answer counts in any case and with what models put around it, such as "Yes.",
            "**yes**", "Yes, because" or "Answer: Yes". `exact`: the whole answer, stripped.
    """
    values = {label: one.meaning(label) for label, one in choices.items()}
    if otherwise is not None and otherwise not in values:
        raise ValueError(f"otherwise: {otherwise!r} is none of the labels {', '.join(values)}")
    table = answers(choices)
    known = Answers(table) if match == "words" else None

    def read(reply: Reply, shown: int) -> list[Parsed]:
        said = reply.text.strip()
        if said in table:
            return [Parsed({field: table[said]})]
        for value in known.find(said) if known else ():
            return [Parsed({field: value})]
        if otherwise is not None:
            return [Parsed({field: values[otherwise]})]
        return [Parsed({"reply": reply.text}, UNDECIDED, unanswered(said, table, reply.cut))]

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
