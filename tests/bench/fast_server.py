"""A model's server on this machine that costs little, for benchmarks; a process of its own.

    with FastServer() as server:
        server.reset(candidates=1)
        ...  # ask server.base
        print(server.report().requests)

It speaks OpenAI's `/v1/chat/completions` and `/v1/completions`; a list of prompts gets a choice each, with
its index. A reply is a numbered list of instructions in made-up words, frequent ones and rare ones as in a
language, no two alike. It ends by itself when the process that started it goes away.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from aiohttp import web

LATENCY = 0.05
WORDS_EACH = 12


@dataclass
class Report:
    """What the server saw since it was reset; times are of the monotonic clock.

    Attributes:
        requests: requests answered.
        prompts: prompts in them.
        first: when the first arrived.
        most_at_once: the most requests in hand at once.
        cpu: seconds of CPU that the server took from the first request to the last answer.
        body: the first request as it was sent.
        answered: when each was answered.
    """

    requests: int = 0
    prompts: int = 0
    first: float = 0.0
    most_at_once: int = 0
    cpu: float = 0.0
    body: dict[str, Any] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)


class FastServer:
    """The server's process, from entering this as a context to leaving it."""

    script: tuple[str, ...] = (__file__,)

    def __enter__(self) -> FastServer:
        self._process = subprocess.Popen(
            [sys.executable, *self.script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.base = f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def reset(self, candidates: int = 1, letters: int = 0, last: int = 0) -> None:
        """Start counting anew.

        Args:
            candidates: instructions in a reply from now on.
            letters: the length of one more instruction, after those.
            last: the first request is answered after so many others.
        """
        self._ask("/reset", {"candidates": candidates, "letters": letters, "last": last})

    def report(self) -> Report:
        """What it saw."""
        return Report(**self._ask("/report", {}))

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = Request(self.base.removesuffix("/v1") + path, json.dumps(body).encode())
        with build_opener(ProxyHandler({})).open(request) as reply:
            return dict(json.loads(reply.read()))


class Answers:
    """What the server's process does with a request."""

    def __init__(self) -> None:
        rng = random.Random(0)
        syllables = [
            first + vowel + last for first in "bdfglmnprstvz" for vowel in "aeiou" for last in "lnrs"
        ]
        self._words = ["".join(rng.choices(syllables, k=rng.choice((1, 2, 2, 3)))) for _ in range(8000)]
        self._weights = list(accumulate(1 / (place + 8) for place in range(len(self._words))))
        self._rng = rng
        self.reset(1)

    def reset(self, candidates: int, letters: int = 0, last: int = 0) -> None:
        """See `FastServer`."""
        self._candidates, self._in_hand, self._last = candidates, 0, last
        self._long = "lorem ipsum " * (letters // 12)
        self.seen = Report()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        from aiohttp import web

        content = await request.read()
        if request.path == "/report":
            return web.Response(body=json.dumps(asdict(self.seen)).encode())
        if request.path == "/reset":
            self.reset(**json.loads(content))
            return web.Response(body=b"{}")
        body = json.loads(content)
        self._begin(body)
        first = self.seen.requests == 1
        await asyncio.sleep(LATENCY)
        while first and len(self.seen.answered) < self._last:
            await asyncio.sleep(LATENCY)
        reply = self._reply(body, chat=request.path.endswith("/chat/completions"))
        self._in_hand -= 1
        self.seen.cpu = time.process_time() - self._cpu
        self.seen.answered.append(time.monotonic())
        return web.Response(body=json.dumps(reply).encode(), content_type="application/json")

    def _begin(self, body: dict[str, Any]) -> None:
        seen = self.seen
        if not seen.requests:
            seen.first, seen.body, self._cpu = time.monotonic(), body, time.process_time()
        prompts = body.get("prompt")
        seen.requests += 1
        seen.prompts += len(prompts) if isinstance(prompts, list) else 1
        self._in_hand += 1
        seen.most_at_once = max(seen.most_at_once, self._in_hand)

    def _reply(self, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        prompts = body["messages"] if chat else body["prompt"]
        asked = len(prompts) if isinstance(prompts, list) and not chat else 1
        choices = []
        for index in range(asked * int(body.get("n") or 1)):
            text = self.list()
            said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            choices.append({"index": index, "finish_reason": "stop", "logprobs": None, **said})
        sent, written = len(str(prompts)) // 4, WORDS_EACH * self._candidates * len(choices)
        return {
            "id": f"reply-{self.seen.requests}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": choices,
            "usage": {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written},
        }

    def list(self) -> str:
        """Instructions as a numbered list goes on after the number that ends the prompt."""
        texts = []
        for _ in range(self._candidates):
            words = self._rng.choices(self._words, cum_weights=self._weights, k=WORDS_EACH)
            texts.append(" ".join(words).capitalize() + ".")
        texts += [self._long] if self._long else []
        return " " + "".join(
            f"\n{place}. {text}" if place > 9 else text for place, text in enumerate(texts, 9)
        )


async def serve(answers: Answers) -> None:
    """Serve on a free port, which is printed, for as long as standard input is open."""
    from aiohttp import web

    runner = web.ServerRunner(web.Server(answers.handle, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    await asyncio.Event().wait()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(Answers()))
