"""Parsers of one answer out of a closed set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfinstruct.parse import PARSERS, UNREADABLE, Parsed, Parser
from selfinstruct.records import Reply


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
    table = answers(choices)

    def read(reply: Reply, shown: int) -> list[Parsed]:
        answer = reply.text.strip()
        if answer in table:
            return [Parsed({field: table[answer]})]
        if otherwise is not None:
            return [Parsed({field: values[otherwise]})]
        return [Parsed({}, UNREADABLE, f"the answer {answer[:80]!r} is none of {', '.join(table)}")]

    if when_refused == "otherwise" and otherwise is None:
        raise ValueError("when_refused: 'otherwise' needs a label in otherwise")
    return Parser(read, (field,), {field: tuple(values.values())}, refusals=when_refused == "otherwise")
