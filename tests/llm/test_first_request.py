"""The start of a stage: the model is prepared before hundreds of requests are composed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines

from selfinstruct.llm import MODELS, ModelKind
from selfinstruct.records import Reply, Request


def alive() -> list[Request]:
    """All requests in memory."""
    return [one for one in gc.get_objects() if isinstance(one, Request)]


class Late:
    """A model that takes a moment to prepare.

    Args:
        before: the requests of other tests that are still in memory.

    Attributes:
        seen: how many requests were composed when it was ready.
    """

    identity = None

    def __init__(self, before: Sequence[Request]) -> None:
        self._before = {id(one) for one in before}
        self.seen = 0

    async def prepare(self) -> None:
        """See `Model`."""
        await asyncio.sleep(0.1)
        self.seen = sum(id(one) not in self._before for one in alive())

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`."""
        return [Reply(f"Idea {request.number}") for request in requests]

    async def close(self) -> None:
        """See `Model`."""


@pytest.mark.usefixtures("tiny")
def test_the_model_is_prepared_before_the_other_requests_are_composed(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Composing takes the time that the model needs: one request is enough to begin, the others follow."""
    before = alive()  # kept, so that none of them makes room for another one with its id
    late, kind = Late(before), "late"

    def made() -> Any:
        return ModelKind(lambda config, project: late)

    assert MODELS.names()
    monkeypatch.setitem(MODELS._factories, kind, made)
    keys = (f"model.kind={kind}", "pipeline.ideas.window=60", "target=60", "run_dir=run", "report=null")
    status, _, err = typed("recipe=tiny", *keys)
    assert status == 0, err
    assert late.seen == 1
    assert len(lines(project / "run/ideas.jsonl")) == 60
