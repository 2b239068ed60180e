"""Divide requests into batches, by the provider's limits and by the budget."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from selfinstruct.config import ModelConfig
from selfinstruct.llm.batch.most import most_of
from selfinstruct.llm.batch.possible import limits_of
from selfinstruct.llm.batch.services import Service
from selfinstruct.llm.batch.waiters import Waiter
from selfinstruct.llm.budget import Budget

if TYPE_CHECKING:
    from selfinstruct.llm.providers import LiteLLM

BREATH = 50  # requests after which other tasks have their turn


@dataclass
class Parcel:
    """The requests of a batch.

    Attributes:
        key: the batch's own name.
        file: their lines; whoever sends it closes it.
        waiters: the requests; none if the budget allows none.
        usd: the most that they may cost.
        tokens: the most tokens that they may take.
    """

    key: str
    file: BinaryIO
    waiters: list[Waiter]
    usd: float = 0.0
    tokens: float = 0.0


async def packed(
    waiters: Sequence[Waiter],
    model: LiteLLM,
    service: Service,
    config: ModelConfig,
    budget: Budget,
) -> tuple[Parcel, str]:
    """The first of these requests for one batch, and the limit of the budget that allows no more, in words.

    Args:
        waiters: the requests, in order; there is one, and no more than a batch may have.
        model: writes them.
        service: the provider.
        config: the model's keys.
        budget: what may be spent.

    Raises:
        ModelError: if a request cannot be written.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  closed by whoever sends it
    parcel = Parcel(uuid4().hex[:16], file, [])
    longest = limits_of(config).size
    first, between, last = service.frame
    size, why = file.write(first) + len(last), ""
    for place, waiter in enumerate(waiters):
        request = waiter.call.adapted[0]
        usd, tokens = most_of(request, config, budget)
        usd, tokens = parcel.usd + usd, parcel.tokens + tokens
        why = budget.too_small(place + 1, usd, tokens) or ""
        if why:
            break
        _, body = await model.written(request)
        line = service.line(f"{parcel.key}-{waiter.number}", body)
        if place and size + len(between) + len(line) > longest:
            break
        size += file.write(between + line if place else line)
        parcel.waiters.append(waiter)
        parcel.usd, parcel.tokens = usd, tokens
        if place % BREATH == 0:
            await asyncio.sleep(0)
    file.write(last)
    return parcel, why
