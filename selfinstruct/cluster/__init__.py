"""One run on many machines: its requests are sent by workers on a Ray cluster (`executor=ray`).

The run itself stays one process. It composes requests, owns the journal, the cache, the budget and all
limits, and takes replies in by number. Only the models run elsewhere: `remote.Remote` represents a model
here, and gives its requests to the `pool`, which gives them in batches to the `worker`s. A request whose
worker dies comes back as `LostError`, and the endpoint sends it again. Only `ray_library` imports Ray, and
only if a user asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec

from selfinstruct.config import ExecutorConfig, ModelConfig
from selfinstruct.errors import Fault
from selfinstruct.llm.endpoint import RunContext


def lacking(config: ExecutorConfig) -> list[Fault]:
    """The fault of a package that is not installed here."""
    if config.kind == "local" or find_spec("ray"):
        return []
    return [Fault("executor.kind", "Ray is not installed", "pip install 'selfinstruct[ray]'")]


@asynccontextmanager
async def spread(
    config: ExecutorConfig, context: RunContext, models: Sequence[ModelConfig], stop: asyncio.Future[None]
) -> AsyncIterator[RunContext]:
    """The objects of a run, with models that are opened where the executor says; workers end with the block.

    Args:
        config: the executor.
        context: the objects of the run.
        models: all models that the run may ask.
        stop: gets the reason for which the run stops.
    """
    if config.kind == "local":
        yield context
        return
    from selfinstruct.cluster.pool import Pool

    pool = Pool(config, context, models, stop)
    try:
        yield replace(context, opener=pool.open)
    finally:
        await pool.close()
