"""From a request to its reply: from the journal, the cache, the model, or one of its fallbacks.

Each reply is stored as soon as it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from selfinstruct.errors import BudgetReached, ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.attempts import given_up
from selfinstruct.llm.calls import Prompts
from selfinstruct.llm.endpoint import Endpoint, RunContext
from selfinstruct.parse.replies import CONTEXT
from selfinstruct.parse.thought import apart
from selfinstruct.records import Reply, Request, storable
from selfinstruct.safety.blot import blotted

LINGER = 0.01  # seconds that a request waits for others to be sent with it
CLAIMED_WAIT = 0.2  # seconds between two checks for a reply that another run requests
SHORTER = 0.8  # times max_tokens, if prompt and reply are too long together (the original's)

Waiting = tuple[Request, "asyncio.Future[Reply | None]"]
Asked = tuple[Request, Reply | None]  # the request as sent in the end, and its reply


class Client:
    """The model of a stage, and its fallbacks.

    Args:
        endpoints: the model, then its fallbacks in order.
        context: the objects of the run.
        before: the names of the stages before this one, then its own.
    """

    def __init__(self, endpoints: Sequence[Endpoint], context: RunContext, before: Sequence[str]) -> None:
        self._endpoints, self._context, self._closing = endpoints, context, context.closing
        self._arrived_before = context.journal.untaken(before[-1])
        self._asked = context.journal.asked(before) if context.cache.on else {}  # how often, by content
        self._together = endpoints[0].config.prompts_per_request
        self._uncounted: set[Endpoint] = set()  # endpoints for which that was said
        self._groups: dict[str, list[Waiting]] = {}
        self._parcels: set[asyncio.Task[None]] = set()
        self._begun = 0  # requests composed so far

    @property
    def lookahead(self) -> int:
        """See `Endpoint`."""
        return self._endpoints[0].lookahead

    async def ready(self, first: asyncio.Task[bool]) -> None:
        """After the first request: wait until the model is prepared, or until that request needs no model.

        It is called after each request. Composing hundreds of them would take the processor time that the
        preparation needs. Those after it are sent one by one, each while the next one is composed.
        """
        self._begun += 1
        if self._begun > self.lookahead or self._begun % self._together:
            return
        if self._begun > self._together:
            await asyncio.sleep(0)
            return
        prepared = asyncio.create_task(self._endpoints[0].prepared.wait())
        try:
            await asyncio.wait([first, prepared], return_when=asyncio.FIRST_COMPLETED)
        finally:
            prepared.cancel()

    def wind_down(self) -> None:
        """Send no more requests and make no more attempts; replies to those in flight may still arrive."""
        self._closing.set()

    def count_with(self, other: Client) -> None:
        """Count equal requests together with those of another client, as after an interruption."""
        self._asked = other._asked

    async def reply_to(self, request: Request) -> Reply | None:
        """The reply to a request, stored; None if the client was stopping before it was sent.

        Raises:
            ModelError: if the request was given up, or the model cannot work.
            BudgetReached: if the budget does not allow it.
        """
        request = self._counted(request)  # at once, so that equal requests are counted in order
        if request.number in self._arrived_before:
            stored = self._context.journal.reply(request.stage, request.number)
            if self._context.journal.request(request.stage, request.number) is None:  # it was damaged
                self._context.journal.sent([request], sends=0)
            await self._context.journal.settled()
            return stored
        cache = self._context.cache
        key = self._endpoints[0].key(request) if cache.on else None
        cached = cache.get(key) if key else None
        if cached:
            return await self._stored(request, cached)
        while key and not self._closing.is_set() and not cache.claim(key):
            await asyncio.sleep(CLAIMED_WAIT)
            cached = cache.get(key)
            if cached:
                return await self._stored(request, cached)
        if self._closing.is_set():
            return None
        try:
            return await (self._in_company(request) if self._together > 1 else self._alone(request))
        except (ModelError, BudgetReached):
            self.wind_down()  # before the next request takes its place
            raise
        finally:
            if key:
                cache.release(key)

    async def _stored(self, request: Request, cached: Reply) -> Reply:
        reply = self._arrived(request, cached, self._endpoints[0])
        await self._context.journal.settled()
        return reply

    def _counted(self, request: Request) -> Request:
        if not self._context.cache.on:
            return request
        nth = self._asked.get(request.content, 0)
        self._asked[request.content] = nth + 1
        return replace(request, nth=nth) if nth else request

    async def _alone(self, request: Request) -> Reply | None:
        found = await self._deliver([request])
        return found[0] if found else None

    async def _in_company(self, request: Request) -> Reply | None:
        """Send it in one request together with others of the same sampling."""
        future: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        kind = request.parameters
        group = self._groups.setdefault(kind, [])
        group.append((request, future))
        if len(group) == self._together:
            self._post(kind, group)
        elif len(group) == 1:
            asyncio.get_running_loop().call_later(LINGER, self._post, kind, group)
        return await future

    def _post(self, kind: str, group: list[Waiting]) -> None:
        if self._groups.get(kind) is group:  # otherwise it was full earlier
            del self._groups[kind]
            parcel = asyncio.create_task(self._share_out(group))
            self._parcels.add(parcel)  # a task without a reference may be collected
            parcel.add_done_callback(self._parcels.discard)

    async def _share_out(self, group: list[Waiting]) -> None:
        """Send a group as one request; those that get no reply of their own are asked alone."""
        requests = [request for request, _ in group]
        try:
            replies = await self._deliver(requests)
        except Exception as error:  # passed to each that waits for it
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for place, (_, future) in enumerate(group):
            if not future.done():
                future.set_result(replies[place] if replies else None)

    async def _deliver(self, requests: list[Request]) -> list[Reply | None] | None:
        """Ask the model, then its fallbacks, until one answers; None if none was asked."""
        error: TransientError | None = None
        asked = [one for one in self._endpoints[:-1] if not one.resting] + [self._endpoints[-1]]
        for endpoint, following in zip_longest(asked, asked[1:]):
            try:
                return await self._from(endpoint, requests, spare=following is not None)
            except TransientError as failure:
                error = failure
                if following:
                    self._tell_of_fallback(requests, endpoint, following, failure)
        assert error
        if error.last is None or len(requests) > 1:
            raise self._given_up(requests, error) from error
        reply = self._arrived(requests[0], error.last, endpoint)
        await self._context.journal.settled()
        return [reply]

    async def _from(
        self, endpoint: Endpoint, requests: list[Request], spare: bool
    ) -> list[Reply | None] | None:
        """The replies of one model, stored."""
        found: dict[int, Asked] = {}
        if endpoint is not self._endpoints[0]:
            await endpoint.open()
            found = {one.number: (one, hit) for one in requests if (hit := self._cached(endpoint, one))}
        left = [request for request in requests if request.number not in found]
        replies = await endpoint.ask(_call(endpoint, left), spare) if left else []
        if replies is None:
            return None
        for one, reply in zip(left, replies, strict=True):
            found[one.number] = await self._until_it_fits(endpoint, one, reply, spare)
        pairs = [found[request.number] for request in requests]
        stored = [reply and self._arrived(asked, reply, endpoint) for asked, reply in pairs]
        await self._context.journal.settled()
        return [reply or await self._alone(one) for one, reply in zip(requests, stored, strict=True)]

    async def _until_it_fits(
        self, endpoint: Endpoint, request: Request, reply: Reply | None, spare: bool
    ) -> Asked:
        """The reply to a request that may be shortened, and the request as sent last, which is stored."""
        for _ in range(endpoint.config.retries):
            if reply is None or reply.finish_reason != CONTEXT or not request.may_shorten:
                break
            tokens = int(request.sampling.get("max_tokens", 0) * SHORTER)
            if not tokens:
                break
            request = replace(request, sampling={**request.sampling, "max_tokens": tokens})
            cached = self._cached(endpoint, request)
            found = [cached] if cached else await endpoint.ask(_call(endpoint, [request]), spare)
            reply = found[0] if found else None  # None: stopping; it is sent again later
        return request, reply

    def _cached(self, endpoint: Endpoint, request: Request) -> Reply | None:
        key = endpoint.key(request) if self._context.cache.on else None
        return self._context.cache.get(key) if key else None

    def _arrived(self, request: Request, reply: Reply, endpoint: Endpoint) -> Reply:
        """Store a reply and report it."""
        context = self._context
        if reply.counted and endpoint not in self._uncounted:
            self._uncounted.add(endpoint)
            words = "gives no plausible number of tokens, so they are counted from the texts"
            context.progress.say(f"{request.stage}: {endpoint.config.name} {words}")
        reply = _as_stored(reply)
        if reply.attempts == 0:
            context.journal.sent([request], sends=0)
        else:
            reply = endpoint.paid(reply)
            key = endpoint.key(request) if context.cache.on else None
            if key:
                context.cache.put(key, reply)
        context.journal.arrived(request, reply)
        context.events.tell(
            "request",
            stage=request.stage,
            number=request.number,
            model=endpoint.config.name,
            attempts=reply.attempts,
            seconds=reply.seconds,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cached_tokens=reply.cached_tokens,
            cache_write_tokens=reply.cache_write_tokens,
            cost_usd=reply.cost_usd,
            finish_reason=reply.finish_reason,
            tokens_counted=reply.counted,
        )
        return reply

    def _tell_of_fallback(
        self, requests: list[Request], from_: Endpoint, to: Endpoint, error: TransientError
    ) -> None:
        stage, numbers = requests[0].stage, [request.number for request in requests]
        names = {"model": from_.config.name, "to": to.config.name}
        for number in numbers:
            self._context.events.tell("fallback", stage=stage, number=number, why=str(error), **names)
        self._context.progress.trouble(
            "fallback",
            f"{stage} request {numbers[0]}: {from_.config.name} gave it up ({error}); "
            f"{to.config.name} takes over",
        )

    def _given_up(self, requests: list[Request], error: TransientError) -> ModelError:
        names = ", ".join(endpoint.config.name for endpoint in self._endpoints)
        last = self._endpoints[-1]
        return given_up(names, _call(last, requests), error, last.retries)


class ByVariant:
    """Several clients for a stage whose prompt has variants with models of their own; see `Client`.

    Args:
        clients: the clients by variant; that of None gets the variants without one.
    """

    def __init__(self, clients: Mapping[str | None, Client]) -> None:
        self._clients = clients
        self._first, *others = clients.values()
        for client in others:
            client.count_with(self._first)

    @property
    def lookahead(self) -> int:
        """See `Client`."""
        return max(client.lookahead for client in self._clients.values())

    async def ready(self, first: asyncio.Task[bool]) -> None:
        """See `Client`."""
        await self._first.ready(first)

    def wind_down(self) -> None:
        """See `Client`."""
        for client in self._clients.values():
            client.wind_down()

    async def reply_to(self, request: Request) -> Reply | None:
        """See `Client`."""
        client = self._clients.get(request.variant) or self._clients[None]
        return await client.reply_to(request)


def _call(endpoint: Endpoint, requests: Sequence[Request]) -> Prompts:
    return Prompts(requests, [endpoint.adapt(request) for request in requests])


def _as_stored(reply: Reply) -> Reply:
    """A reply as the journal and the cache store it, so that it is the same now and when it is read later.

    Its thought is divided from its text here, wherever the reply comes from.
    """
    reply = apart(reply)

    def stored(text: str) -> str:
        return blotted(storable(text))

    return replace(
        reply,
        text=stored(reply.text),
        finish_reason=stored(reply.finish_reason),
        model=stored(reply.model),
        error=None if reply.error is None else stored(reply.error),
        others=tuple((stored(text), stored(why)) for text, why in reply.others),
        thought=stored(reply.thought),
        other_thoughts=tuple(map(stored, reply.other_thoughts)),
    )
