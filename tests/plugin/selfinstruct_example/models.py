"""A kind of model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from selfinstruct.config import ModelConfig
from selfinstruct.llm import Model, ModelKind
from selfinstruct.records import Reply, Request


def countdown(*, start: Annotated[int, Field(ge=1, le=99)] = 3) -> ModelKind:
    """Counts down in a Markdown table, whatever it is asked; or says yes, where asked a question.

    Args:
        start: the number it counts down from.
    """

    def open(config: ModelConfig, project: Path) -> Model:
        return Countdown(start, config.name)

    return ModelKind(open, note="counts down, whatever it is asked", free=True)


@dataclass
class Countdown:
    """A countdown at work; see `Model`."""

    start: int
    name: str
    identity: None = None

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`."""
        return [self._answer(request) for request in requests]

    async def prepare(self) -> None:
        """See `Model`."""

    async def close(self) -> None:
        """See `Model`."""

    def _answer(self, request: Request) -> Reply:
        zeros = "0" * request.number
        tasks = [f"Count to {number}{zeros}." for number in range(self.start, 1, -1)]
        tasks.append(f"Count to 1{zeros} and then say that you are done.")
        table = ["| task | answer |", "|---|---|", *(f"| {task} | Done. |" for task in tasks)]
        text = "yes" if request.prompt.endswith("?") else "\n".join(table)
        return Reply(text, "stop", self.name, len(request.prompt.split()), len(text.split()), 0.0)
