"""Models: the parts that answer requests.

A factory makes a kind of model; the factory's keyword arguments are `model.options`. A model opens on a
`ModelConfig` and answers requests, several at once if asked. Prompts go through `client` (the cache,
fallbacks, the journal), and texts that need vectors go through `embedding`. Both go as a `Call` to an
`endpoint` (concurrency, rates, the budget, retries); see `calls`. The model only decides which failures are
worth another attempt. Heavy packages are imported when a model opens, so a recipe can be checked without
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from selfinstruct.errors import Fault, ModelError
from selfinstruct.records import Reply, Request
from selfinstruct.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from selfinstruct.config import ModelConfig


class TransientError(Exception):
    """A failure that another attempt may avoid.

    Attributes:
        wait: the seconds that the server asked to wait; None if it gave no number.
        slower: whether the server asked for fewer requests.
        last: the reply to store if every attempt fails like this; None if that stops the run.
        silent: whether no server answered at all.
        misled: whether the address may be wrong; such a failure stops the run if nothing was ever answered.
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
    """A refusal that counts only if it comes twice, since keys and filters can fail for a moment."""


class EndingError(ModelError):
    """A refusal that ends the run, whatever the prompt was, such as a refused key."""


class RefusedError(ModelError):
    """A refusal with an unknown message; it concerns only this prompt if the model answers another one.

    Attributes:
        words: the provider's message.
        access: whether it may be about the key, which can lose its rights at any time.
    """

    def __init__(self, message: str, words: str, access: bool = False) -> None:
        super().__init__(message)
        self.words, self.access = words, access


class NotSentError(Exception):
    """A request that was not sent, since the run is stopping; it is sent when the run goes on."""


class LostError(Exception):
    """A worker died before it answered a request. It is sent again, and that does not use up a retry."""


class Opened(Protocol):
    """An open model, whatever it answers.

    If it has an attribute `noted`, it calls what is set there with the reason why its requests go through
    LiteLLM although that was not expected.

    Attributes:
        identity: a JSON value with all that shapes its replies in addition to its kind, name and mode; None
            if replies are not worth caching for other runs.

    A model that gets HTTP headers has `heard` too; see `Hears`. One that ends a request itself when the time
    for a reply is over says so with `keeps_time = True`.
    """

    identity: Any

    async def prepare(self) -> None:
        """Do slow work before the first request; called once, and only if there is a request.

        Raises:
            ModelError: if that is not possible.
        """

    async def close(self) -> None:
        """Close connections and processes."""


@runtime_checkable
class Hears(Protocol):
    """What an open model has besides, if its provider may state rate limits in the headers of answers.

    Attributes:
        heard: the model calls it with the headers of each answer, good or refused, their names in lower case.
            It is None at first; the endpoint sets it after opening.
    """

    heard: Callable[[Mapping[str, str]], None] | None


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
        open: opens the model; gets the model's keys and the user's folder. May raise ModelError.
        note: a note that `check` prints about it; may be empty.
        free: whether requests cost nothing.
        writes: whether it answers prompts, so that `open` makes a `Model`.
        embeds: whether it gives texts vectors, so that `open` makes an `EmbeddingModel`.
        check: the faults of its files, found before a run; gets the user's folder and the config key of its
            options.
    """

    open: Callable[[ModelConfig, Path], Opened]
    note: str = ""
    free: bool = False
    writes: bool = True
    embeds: bool = False
    check: Callable[[Path, str], Iterable[Fault]] = lambda project, where: ()


# Opens a model of a kind, with its keys and the user's folder; see `here`.
Opener = Callable[[ModelKind, "ModelConfig", "Path"], Awaitable[Opened]]


async def here(kind: ModelKind, config: ModelConfig, project: Path) -> Opened:
    """Open a model in this process."""
    return await asyncio.to_thread(kind.open, config, project)


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
