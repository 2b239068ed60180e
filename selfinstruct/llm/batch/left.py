"""Batches that a run would leave behind, and pay for twice."""

from __future__ import annotations

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.journal.store import Journal
from selfinstruct.llm.batch.stored import LOST, open_batches
from selfinstruct.llm.batch.words import requests
from selfinstruct.llm.budget import Budget


def refuse_left(config: ModelConfig, journal: Journal, budget: Budget, stage: str) -> None:
    """Refuse to ask at once what an open batch has, unless the user says so; then it counts as lost.

    Args:
        config: the model's keys.
        journal: the journal.
        budget: the run's budget.
        stage: the stage that asks.

    Raises:
        ModelError: if there is such a batch.
    """
    if config.batch:
        return
    for sent in open_batches(journal):
        if (sent.stage, sent.model) != (stage, config.name):
            continue
        if config.batch_lost == "stop":
            raise ModelError(
                f"{config.name}: a batch of {requests(sent.count)} of {stage} is open at the provider "
                f"({sent.id or sent.key})\n  to pick it up: model.batch=true; to leave it, and ask its "
                "requests again, which costs again: model.batch_lost=ask_again"
            )
        sent.to(journal, LOST)
        budget.release(sent.key)
