"""What a provider of batches must offer, and which class has it for a model."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from selfinstruct.llm.batch.stored import Stored
    from selfinstruct.llm.batch.wire import Wire
    from selfinstruct.llm.direct.sending import Answer

PAGE = 100  # batches on a page of a provider's list
EARLIER = 3600.0  # seconds before a batch was written down, from which on it is looked for


@dataclass(frozen=True)
class Batch:
    """A batch as the provider has it.

    Attributes:
        id: its id.
        state: what the provider calls its state, in words.
        over: whether nothing changes any more.
        whole: whether its results are there; a provider may say before that it is over.
        missing: whether answers that are paid for are not there, or no results at all although it is over.
        done: how many of its requests are done.
        total: how many it has, as the provider counts; 0 if it has not counted yet.
        answered: how many have an answer in its results, as the provider counts; 0 if it does not.
        expires: when it ends at the latest, in seconds since 1970; None if that is unknown.
        error: why it was refused as a whole, in the provider's words.
        full: whether that is because the provider's queue is full.
        accepted: whether it is known not to be refused any more.
        places: where its results are.
    """

    id: str
    state: str
    over: bool = False
    whole: bool = True
    missing: bool = False
    done: int = 0
    total: int = 0
    answered: int = 0
    expires: float | None = None
    error: str = ""
    full: bool = False
    accepted: bool = True
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """What came for one request of a batch.

    Attributes:
        id: the id of the request.
        answer: the answer as it would have come at once; None if the provider did not get to it.
        why: why there is none, in the provider's words.
    """

    id: str
    answer: Answer | None
    why: str = ""


class Service(Protocol):
    """A provider's batches. Each call raises TransientError if another attempt may succeed, else ModelError.

    Attributes:
        frame: what is before the lines of a batch's file, between them, and after them.
    """

    frame: tuple[bytes, bytes, bytes]

    def line(self, id: str, body: bytes) -> bytes:
        """The line of a request."""

    async def upload(self, sent: Stored, file: BinaryIO) -> str:
        """Upload the file of a batch; return its id there, or nothing where `create` sends it."""

    async def ready(self, sent: Stored) -> bool:
        """Whether a batch can be made of the uploaded file."""

    async def create(self, sent: Stored, file: BinaryIO) -> Batch:
        """Make a batch, which is paid for."""

    async def find(self, sent: Stored) -> Batch | None:
        """The batch that was being made when the process ended; None if it never came to be."""

    async def look(self, id: str) -> Batch:
        """A batch as it is now.

        Raises:
            UnknownError: if the provider does not know it.
        """

    def results(self, batch: Batch) -> AsyncIterator[Line]:
        """What came, in any order."""


def service_of(provider: str, wire: Wire) -> Service:
    """The batches of a provider.

    Args:
        provider: its name in LiteLLM.
        wire: the way to it.
    """
    from selfinstruct.llm.batch.anthropic import Anthropic
    from selfinstruct.llm.batch.gemini import Gemini
    from selfinstruct.llm.batch.openai import Azure, OpenAI

    kinds: dict[str, Any] = {"azure": Azure, "anthropic": Anthropic, "gemini": Gemini}
    found: Service = kinds.get(provider, OpenAI)(wire)
    return found


def whole(file: BinaryIO) -> BinaryIO:
    """All of a file, to be sent; who sends it may close what this returns."""
    file.flush()
    copy = os.fdopen(os.dup(file.fileno()), "rb")
    copy.seek(0)
    return copy


def seconds_of(moment: Any) -> float | None:
    """A moment, as a number or in ISO 8601, in seconds since 1970; None if it is none that a clock shows."""
    try:
        if isinstance(moment, int | float):
            return datetime.fromtimestamp(moment).timestamp()
        return datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one if it is something else, as a server may send that is in trouble."""
    return value if isinstance(value, dict) else {}


def number(value: Any) -> int:
    """A count, which some send as text; 0 if it is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else 0


def words_of(state: str) -> str:
    """A provider's state as words."""
    return state.lower().replace("_", " ")
