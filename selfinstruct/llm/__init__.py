"""Models: what answers a request.

A model is made by a factory whose keyword arguments are `model.options`; it opens on a `ModelConfig` and
answers requests, as many at once as asked. Prompts go through `client` (the cache, fallbacks, the journal),
texts whose vectors are wanted through `embedding`, and both as a `Call` to an `endpoint` (concurrency, rates,
the budget, retries); see `calls`. The model only says which failures are worth another attempt. Heavy
packages are imported when a model opens, so a recipe can be checked without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from selfinstruct.errors import ModelError
from selfinstruct.records import Reply, Request
from selfinstruct.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from selfinstruct.config import ModelConfig


class TransientError(Exception):
    """A failure that another attempt may not meet.

    Attributes:
        wait: seconds the server asked to wait, None where it did not say.
        slower: whether the server asked to go slower.
        last: what the request comes to if every attempt ends like this; None where that stops the run.
        silent: whether no server answered at all.
        misled: whether the address may be wrong, so that it stops the run where nothing was ever answered.
    """

    def __init__(
        self,
        message: str,
        wait: float | None = None,
        slower: bool = False,
        last: Reply | None = None,
        silent: bool = False,
        misled: bool = False,
    ) -> None:
        super().__init__(message)
        self.wait, self.slower, self.last = wait, slower, last
        self.silent, self.misled = silent, misled


class DoubtedError(TransientError):
    """A refusal that is believed when it is said twice: keys and filters fail for a moment, as servers do."""


class EndingError(ModelError):
    """A refusal that ends the run, whatever was asked, such as that of the key."""


class RefusedError(ModelError):
    """A refusal in words that nobody knows: it is about this one prompt if the model answers another.

    Attributes:
        words: the provider's.
        access: whether it may be about the key, which can lose its rights at any time.
    """

    def __init__(self, message: str, words: str, access: bool = False) -> None:
        super().__init__(message)
        self.words, self.access = words, access


class NotSentError(Exception):
    """A request that was not sent, since the run is stopping; it is sent when the run goes on."""


class Opened(Protocol):
    """An open model, whatever it answers.

    Attributes:
        identity: what shapes its replies besides its kind, name and mode, as JSON can say it; None where
            replies are not worth keeping for other runs.
    """

    identity: Any

    async def prepare(self) -> None:
        """Whatever takes a while before a request can go out; called once, and only if one does.

        Raises:
            ModelError: where it cannot be done.
        """

    async def close(self) -> None:
        """Give back connections and processes."""


class Model(Opened, Protocol):
    """An open model that answers prompts."""

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """The replies to some requests of the same sampling, sent as one where there are several.

        None for one of several that has to be asked on its own.

        Raises:
            TransientError: for a failure worth another attempt.
            RefusedError: for one that may be about this one prompt, or about all.
            ModelError: for one that no attempt will mend.
        """


class EmbeddingModel(Opened, Protocol):
    """An open model that gives a text a vector."""

    def space(self, dimensions: int | None) -> Any:
        """What shapes its vectors, as JSON can say it; only vectors of one space can be compared."""

    async def embed(self, texts: Sequence[str], dimensions: int | None) -> Reply:
        """A reply with the vectors of some texts, in order; one with an error where they were refused.

        Raises:
            TransientError: for a failure worth another attempt.
            RefusedError: for one that may be about these texts, or about all.
            ModelError: for one that no attempt will mend.
        """


@dataclass(frozen=True)
class ModelKind:
    """A kind of model with its options.

    Attributes:
        open: makes it ready; gets the model's keys and the user's folder. May raise ModelError.
        note: what `check` says about it; empty where there is nothing to say.
        free: whether asking it costs nothing.
        writes: whether it answers prompts, so that `open` makes a `Model`.
        embeds: whether it gives texts vectors, so that `open` makes an `EmbeddingModel`.
    """

    open: Callable[[ModelConfig, Path], Opened]
    note: str = ""
    free: bool = False
    writes: bool = True
    embeds: bool = False


MODELS: Registry[ModelKind] = Registry(
    "kind of model",
    (
        "selfinstruct.llm.providers",
        "selfinstruct.llm.local",
        "selfinstruct.llm.embedding_local",
        "selfinstruct.llm.scripted",
    ),
    "models",
    ModelKind,
)
