"""One attempt of a request: its way through the budget, the journal and the limits to the model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from selfinstruct.config import ModelConfig
from selfinstruct.errors import BudgetReached, ModelError
from selfinstruct.llm import Opened, TransientError
from selfinstruct.llm.calls import Call
from selfinstruct.llm.limits import Limits, within
from selfinstruct.records import Reply

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext


class Sending:
    """Sends requests to one model at once.

    Args:
        config: the model's keys.
        context: the objects of the run.
        limits: the model's limits.

    Attributes:
        heard: whether a server has answered, if only with a failure.
        works: the shapes of the requests that were answered; see `Call.shapes`.
    """

    def __init__(self, config: ModelConfig, context: RunContext, limits: Limits) -> None:
        self._config, self._context, self._limits = config, context, limits
        self._silent_since: float | None = None  # set while no server has answered
        self.heard = False
        self.works: set[str] = set()

    @property
    def silence(self) -> float:
        """The seconds since the first request was sent, for a model that never answered."""
        return time.monotonic() - (self._silent_since or time.monotonic())

    async def send(self, model: Opened, call: Call) -> list[Reply | None]:
        """The replies to a request, sent once.

        Raises:
            BudgetReached: if the budget does not allow it.
            TransientError: if another attempt may succeed.
            ModelError: if none can, or the request was refused.
        """
        reached = self._context.budget.reached(call.counts)
        if reached:
            raise BudgetReached(
                f"{reached}. What was received is kept: run the same command with a larger budget."
            )
        self._context.budget.sent(call.counts)
        call.note(self._context.journal)
        await self._context.journal.settled()
        self._context.progress.traffic(call.counts)
        sent = self._limits.sent()
        try:
            replies = await self._answered(model, call)
        except TransientError as error:
            self.heard |= not error.silent
            if error.slower:
                self._limits.refused(sent, error.wait or 0.0)
            else:
                self._limits.failed(sent, taken=not error.silent)
            raise
        except ModelError:
            self.heard = True
            self._limits.failed(sent, taken=True)
            raise
        except BaseException:
            self._limits.failed(sent, taken=False)
            raise
        finally:
            self._context.progress.traffic(-call.counts)
        self.heard = True
        shaped = zip(call.shapes, replies, strict=True)
        self.works.update(shape for shape, reply in shaped if reply and reply.error is None)
        self._limits.answered(sent, call, replies)
        return replies

    async def _answered(self, model: Opened, call: Call) -> list[Reply | None]:
        """The model's replies, within the time allowed for a whole reply."""
        if self._silent_since is None:
            self._silent_since = time.monotonic()
        if getattr(model, "keeps_time", False):
            return await call.send(model)
        return await within(self._config.timeout, call.send(model))
