"""Models: what answers a request.

A model is made by a factory whose keyword arguments are `model.options`; it opens on a `ModelConfig` and
answers one request at a time, as many at once as asked. `client` owns concurrency and retries and stores what
arrives; a model only says which failures are worth another attempt. Heavy packages are imported when a model
opens, so a recipe can be checked without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from selfinstruct.records import Reply, Request
from selfinstruct.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from selfinstruct.config import ModelConfig


class TransientError(Exception):
    """A failure that another attempt may not meet.

    Attributes:
        wait: seconds the server asked to wait, None where it did not say.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Model(Protocol):
    """An open model."""

    async def complete(self, request: Request) -> Reply:
        """The reply to a request.

        Raises:
            TransientError: for a failure worth another attempt.
            ModelError: for one that no attempt will mend.
        """

    async def close(self) -> None:
        """Give back connections and processes."""


@dataclass(frozen=True)
class ModelKind:
    """A kind of model with its options.

    Attributes:
        open: makes it ready; gets the model's keys and the user's folder. May raise ModelError.
        note: what `check` says about it; empty where there is nothing to say.
        free: whether asking it costs nothing.
    """

    open: Callable[[ModelConfig, Path], Model]
    note: str = ""
    free: bool = False


MODELS: Registry[ModelKind] = Registry(
    "kind of model", ("selfinstruct.llm.providers", "selfinstruct.llm.local", "selfinstruct.llm.scripted")
)
