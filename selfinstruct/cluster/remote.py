"""A model that is open on the workers: what an endpoint has in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfinstruct.cluster.wire import form_of_request
from selfinstruct.cluster.worker import COMPLETE, EMBED
from selfinstruct.config import ModelConfig
from selfinstruct.llm import Opened
from selfinstruct.records import Reply, Request

if TYPE_CHECKING:
    from selfinstruct.cluster.pool import Pool


class Remote:
    """A model on the workers of a pool; see `Model` and `EmbeddingModel`.

    Args:
        number: its number in the pool.
        here: the same model, open in this process but not prepared: it knows what shapes the replies.
        config: its keys.
        pool: the workers.
    """

    keeps_time = True  # a worker does, so that no waiting here counts
    heard: Callable[[Mapping[str, str]], None] | None = None
    noted: Callable[[str], None] | None = None

    def __init__(self, number: int, here: Opened, config: ModelConfig, pool: Pool) -> None:
        self.number, self.config, self.identity = number, config, here.identity
        self._here, self._pool = here, pool

    async def prepare(self) -> None:
        """See `Model`; starts the workers if there are none yet."""
        await self._pool.prepare(self)

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `Model`.

        Raises:
            LostError: if the worker died that had them.
        """
        return await self._pool.ask(self.number, COMPLETE, [form_of_request(one) for one in requests])

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Reply:
        """See `EmbeddingModel`.

        Raises:
            LostError: if the worker died that had them.
        """
        (reply,) = await self._pool.ask(self.number, EMBED, (list(texts), dimensions))
        assert reply, "an embedding model always replies"
        return reply

    def space(self, dimensions: int | None) -> Any:
        """See `EmbeddingModel`."""
        here: Any = self._here
        return here.space(dimensions)

    async def close(self) -> None:
        """See `Model`."""
        self._pool.release(self.number)
        await self._here.close()
