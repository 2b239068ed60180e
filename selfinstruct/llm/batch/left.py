"""Batches of an earlier start that a model without batches would leave behind, and pay for twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm.batch.stored import LOST, Stored, open_batches
from selfinstruct.llm.batch.words import requests
from selfinstruct.llm.calls import Call, Prompts

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext


class Left:
    """Refuses to ask at once what an open batch has.

    Args:
        config: the model's keys.
        first: the model whose requests it takes over; None if it is the stage's own.
        context: the objects of the run.
    """

    def __init__(self, config: ModelConfig, first: ModelConfig | None, context: RunContext) -> None:
        self._config, self._context = config, context
        # What is in batches of the first model is for that one to wait for.
        self._followed = config.batch or (first is not None and first.batch and first.name == config.name)
        self._open: dict[str, list[Stored]] = {}  # by stage, as they were at its first request

    def refuse(self, call: Call) -> None:
        """Refuse a request that is in an open batch, unless the user says so; then the batch counts as lost.

        Raises:
            ModelError: if it is in such a batch.
        """
        if self._followed or not isinstance(call, Prompts):
            return
        stage, journal = call.stage, self._context.journal
        if stage not in self._open:
            own = (stage, self._config.name)
            self._open[stage] = [one for one in open_batches(journal) if (one.stage, one.model) == own]
        numbers = [one.number for one in call.requests]
        for sent in [one for one in self._open[stage] if any(map(one.has, numbers))]:
            if self._config.batch_lost == "stop":
                raise ModelError(
                    f"{self._config.name}: a batch of {requests(sent.count)} of {stage} is open at the "
                    f"provider ({sent.id or sent.key})\n  to pick it up: model.batch=true; to leave it, and "
                    "ask its requests again, which costs again: model.batch_lost=ask_again"
                )
            self._open[stage].remove(sent)
            sent.to(journal, LOST)
            self._context.budget.release(sent.key)
