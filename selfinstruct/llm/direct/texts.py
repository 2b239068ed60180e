"""What is asked of a model, apart from how it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

# Asks LiteLLM with these texts and this seed.
Ask = Callable[[Sequence[str], int | None], Awaitable[Any]]
# The ends of the paths of requests in OpenAI's forms.
CHAT, COMPLETION, VECTORS = "/chat/completions", "/completions", "/embeddings"


@dataclass(frozen=True)
class Texts:
    """Texts, and how LiteLLM would be asked with them.

    Attributes:
        path: the end of the path of such requests in OpenAI's form: `CHAT`, `COMPLETION` or `VECTORS`.
        shape: everything but the texts and the seed, as a key.
        texts: the texts.
        ask: asks LiteLLM, with these texts or with others.
        seed: the seed, if there is one.
        listed: whether the texts are sent as a list.
    """

    path: str
    shape: object
    texts: Sequence[str]
    ask: Ask
    seed: int | None = None
    listed: bool = False


class NotDirectError(Exception):
    """A request that cannot be sent directly; the message says why."""
