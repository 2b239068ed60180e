"""What a refusal means: that a request was refused, or that the way to ask is wrong.

A refusal is believed when it comes twice. If nothing shows yet that the way to ask is right, the same request
is sent with a plain text; a refusal of that one stops the run.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from selfinstruct.config import ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import DoubtedError, EndingError, Opened, RefusedError
from selfinstruct.llm.calls import Call
from selfinstruct.llm.sending import Sending
from selfinstruct.parse.replies import REFUSED
from selfinstruct.records import Reply

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext


class Refusals:
    """Decides what the refusals of one model mean.

    Args:
        config: the model's keys.
        context: the objects of the run.
        sending: sends requests to the model.

    Attributes:
        wrong: the fault in the way to ask, once it is known.
    """

    def __init__(self, config: ModelConfig, context: RunContext, sending: Sending) -> None:
        self._config, self._context, self._sending = config, context, sending
        self._closing = context.closing
        self._judging = asyncio.Lock()
        self.wrong: ModelError | None = None

    async def replies(self, model: Opened, call: Call, believed: bool) -> list[Reply | None]:
        """The replies; for a refused request, what the refusal means.

        Args:
            model: the model.
            call: the request.
            believed: whether to believe a refusal; the first one is not believed.
        """
        try:
            replies = await self._sending.send(model, call)
        except RefusedError as refusal:
            if call.several or self._closing.is_set():
                return [None] * len(call.shapes)  # asked alone, each part shows whether it was refused
            if not believed:
                raise DoubtedError(f"it was refused: {refusal.words}") from refusal
            return [await self.judged(model, call, refusal)]
        except EndingError as refusal:
            if believed or not self._sending.works:
                self.wrong = refusal
                raise
            raise DoubtedError(str(refusal)) from refusal
        if not believed and not call.several and replies[0] and replies[0].doubtful:
            raise DoubtedError(f"it was refused: {replies[0].error}")
        return replies

    async def judged(self, model: Opened, call: Call, refusal: RefusedError) -> Reply:
        """The reply for a refused request, if the same request with a plain text is answered.

        The plain text is sent once for each way to ask, and every time if the key may be the cause.

        Raises:
            ModelError: if the plain text is refused too.
        """
        paid = await self.sound(model, call, refusal, always=refusal.access)
        paid = paid or Reply("", model=self._config.name)
        nothing = replace(paid, text="", others=(), thought="", other_thoughts=(), thinking_tokens=0)
        return replace(nothing, vectors=(), finish_reason=REFUSED, error=refusal.words)

    async def sound(
        self, model: Opened, call: Call, refusal: RefusedError, always: bool = False
    ) -> Reply | None:
        """The reply to a plain text, sent to test the way to ask; None if that is known to work.

        Raises:
            ModelError: if it is wrong.
        """
        async with self._judging:
            if self.wrong:
                raise self.wrong
            if not always and call.shapes[0] in self._sending.works:
                return None
            try:
                (paid,) = await self._sending.send(model, call.plain())
            except RefusedError as error:
                self.wrong = ModelError(f"{error}\n  A plain prompt was refused too.")
                raise self.wrong from error
            self._sending.works.add(call.shapes[0])
            facts = {"stage": call.stage, "number": call.number, "model": self._config.name}
            self._context.events.tell("plain", why=refusal.words, **facts)
            return paid
