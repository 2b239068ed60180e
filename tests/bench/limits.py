"""What a run gets out of a provider with limits, beside an older version; run by hand.

    python tests/bench/limits.py --before main             # all, two versions: about six minutes a round
    python tests/bench/limits.py chance --rounds 3
    python tests/bench/limits.py rate --before v0.3

Each row is a run of ours in a process of its own, over HTTP to a server on this machine. Its model is a thin
one over aiohttp, so that the limits are measured and not a library's work for each request. The versions take
turns in each round, and medians are printed. `--before` is a commit, whose files are unpacked for it.

`chance`: a server that refuses 5% of the requests by chance (429, no Retry-After), as a share of the replies
of the same server without refusals; 8 in flight, 200 ms a reply.

`rate`: a server that allows 40 requests a second, and 80 after half of the time, with a bucket of a tenth of
a second, and refuses the rest, without and with a Retry-After of 1 s; 64 in flight. The figures are the
replies in the time from 20 s after each change on, as a share of what was allowed, and the refusals as a
share of the replies.

`headers`: a server that allows 400 requests in each window of 10 s and says in its headers what is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from fast_server import Answers, FastServer, serve

if TYPE_CHECKING:
    from aiohttp import web

HERE = Path(__file__).resolve().parents[2]
CHANCE, RATE, HALF = 0.05, 40, 30.0
WINDOW, LENGTH = 400, 10.0

FILES = {
    "recipes/limits.yaml": "# One stage, one candidate a reply, no checks.\ndefaults:\n"
    + "".join(
        f"  - override /{group}: limits\n"
        for group in ("pipeline", "prompts", "filters", "schema", "export", "mix")
    )
    + "  - override /model: vllm\n",
    "conf/pipeline/limits.yaml": "ideas: {kind: bootstrap, model: null, window: 1000, patience: 1000}\n",
    "conf/prompts/limits.yaml": """\
ideas:
  style: chat
  system: null
  template: "One more like {{ examples[0].instruction }}"
  sampling: {}
  parse: {kind: numbered_list}
""",
    "conf/filters/limits.yaml": "ideas: {}\n",
    "conf/schema/limits.yaml": "ideas: {type: object, required: [instruction]}\n",
    "conf/export/limits.yaml": "{}\n",
    "conf/mix/limits.yaml": "{examples: 1, generated: 0}\n",
}


class Limited(Answers):
    """A server with limits; `reset` says which."""

    def reset(self, candidates: int = 1, letters: int = 0, last: int = 0, **limits: Any) -> None:
        """See `FastServer.reset`; `limits` are seconds, refuses, rate, retry_after, window."""
        super().reset(candidates, letters, last)
        self._limits = {"seconds": 0.2, "refuses": 0.0, "rate": 0, "retry_after": None, "window": 0, **limits}
        self.refused: list[float] = []
        self._left, self._at, self._period, self._used = 1.0, 0.0, 0, 0
        self._chance = random.Random(1)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer or refuse a request."""
        from aiohttp import web

        if request.path == "/refused":
            return web.Response(body=json.dumps(self.refused).encode())
        if not request.path.startswith("/v1"):
            return await super().handle(request)
        now = time.monotonic()
        if not self._allowed(now):
            self.refused.append(now)
            wait = self._limits["retry_after"]
            after = {} if wait is None else {"Retry-After": str(wait)}
            body = b'{"error": {"message": "Rate limit reached", "type": "requests", "code": null}}'
            return web.Response(status=429, body=body, headers={**after, **self._headers(now)})
        body = json.loads(await request.read())
        self._begin(body)
        await asyncio.sleep(self._limits["seconds"])
        reply = json.dumps(self._reply(body, chat=True)).encode()
        self._in_hand -= 1
        self.seen.answered.append(time.monotonic())
        return web.Response(body=reply, content_type="application/json", headers=self._headers(now))

    def _allowed(self, now: float) -> bool:
        if self._chance.random() < self._limits["refuses"]:
            return False
        since = now - self.seen.first if self.seen.requests else 0.0
        if self._limits["window"]:
            period = int(since / LENGTH)
            self._used = self._used + 1 if period == self._period else 1
            self._period = period
            return bool(self._used <= self._limits["window"])
        if rate := self._limits["rate"] * (2 if since >= HALF else 1):
            self._left = min(rate / 10, self._left + (now - self._at) * rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
        return True

    def _headers(self, now: float) -> dict[str, str]:
        if not self._limits["window"]:
            return {}
        until = (self._period + 1) * LENGTH - (now - self.seen.first)
        left = max(0, self._limits["window"] - self._used)
        return {"x-ratelimit-remaining-requests": str(left), "x-ratelimit-reset-requests": f"{until:.3f}s"}


class LimitedServer(FastServer):
    """The process of `Limited`."""

    script = (__file__, "serve")

    def limit(self, **limits: Any) -> None:
        """Start counting anew, with these limits."""
        self._ask("/reset", limits)

    def refused(self) -> list[float]:
        """When each refused request came."""
        from urllib.request import ProxyHandler, build_opener

        with build_opener(ProxyHandler({})).open(self.base.removesuffix("/v1") + "/refused") as reply:
            return [float(at) for at in json.loads(reply.read())]


def child(arguments: list[str]) -> None:
    """A run of ours with a thin model; this file is older or newer than the package that it runs."""
    import aiohttp

    from selfinstruct.cli.main import command
    from selfinstruct.llm import MODELS, ModelKind, TransientError
    from selfinstruct.records import Reply, Request

    class Thin:
        identity = None
        heard: Any = None

        def __init__(self, base: str) -> None:
            self._url = f"{base}/chat/completions"

        async def prepare(self) -> None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

        async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
            body = {"model": "thin", "messages": [{"role": "user", "content": requests[0].prompt}]}
            async with self._session.post(self._url, json=body) as answer:
                if self.heard:
                    self.heard({name.lower(): value for name, value in answer.headers.items()})
                if answer.status == 429:
                    wait = answer.headers.get("Retry-After")
                    raise TransientError("429", float(wait) if wait else None, slower=True)
                found = await answer.json()
            return [Reply(found["choices"][0]["message"]["content"], "stop", "thin", 300, 12)]

        async def close(self) -> None:
            await self._session.close()

    def thin() -> Any:
        """A model over aiohttp, with nothing between."""
        return ModelKind(lambda config, project: Thin(str(config.api_base)))

    MODELS.register(thin)
    sys.exit(command(arguments))


class Bench:
    """The runs, each of some version, in a user's folder of their own.

    Args:
        server: the server they ask.
        folder: an empty folder.
        versions: where the package of each version is.
    """

    def __init__(self, server: LimitedServer, folder: Path, versions: Mapping[str, Path]) -> None:
        self._server, self._folder, self.versions = server, folder, versions
        self._runs = 0
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)

    def run(self, version: str, seconds: float, concurrency: int, **limits: Any) -> tuple[list[float], ...]:
        """When the server answered and refused, in seconds from the first request, in so many seconds."""
        self._server.limit(**limits)
        self._runs += 1
        words = [
            "recipe=limits",
            "model.kind=thin",
            "model.name=thin/bench",
            f"model.api_base={self._server.base}",
            f"model.concurrency={concurrency}",
            "model.retries=1000",
            "target=1000000",
            "report=off",
            "cache=off",
            f"run_dir=run-{self._runs}",
        ]
        env = {**os.environ, "PYTHONPATH": str(self.versions[version]), "PYTHONDONTWRITEBYTECODE": "1"}
        with (self._folder / "log.txt").open("wb") as log:
            command = [sys.executable, __file__, "child", *words]
            process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, env=env)
            while not (first := self._server.report().first):
                if process.poll() is not None:
                    sys.exit((self._folder / "log.txt").read_text())
                time.sleep(0.05)
            time.sleep(max(0.0, first + seconds - time.monotonic()))
            answered, refused = self._server.report().answered, self._server.refused()
            process.send_signal(signal.SIGINT)
            process.wait()
        return [at - first for at in answered], [at - first for at in refused]


def share(times: list[float], begin: float, end: float) -> float:
    """How many a second."""
    return sum(begin <= at < end for at in times) / (end - begin)


def chance(bench: Bench, version: str) -> dict[str, float]:
    """One round of `chance`."""
    whole, _ = bench.run(version, 20, 8)
    some, refused = bench.run(version, 20, 8, refuses=CHANCE)
    return {
        "replies a second without": share(whole, 0, 20),
        "replies a second with 5% refused": share(some, 0, 20),
        "of those without (mark 0.80)": share(some, 0, 20) / share(whole, 0, 20),
        "refused a reply": len(refused) / len(some),
    }


def rate(bench: Bench, version: str) -> dict[str, float]:
    """One round of `rate`."""
    found = {}
    for words, wait in (("no Retry-After", None), ("Retry-After 1 s", 1)):
        answered, refused = bench.run(version, 2 * HALF, 64, rate=RATE, retry_after=wait)
        # An answer comes 0.2 s after its request was allowed.
        found[f"{words}: of 40, from 20 s on (mark 0.90)"] = share(answered, 20.2, HALF + 0.2) / RATE
        found[f"{words}: of 80, from 20 s on (mark 0.90)"] = share(answered, HALF + 20, 2 * HALF) / (2 * RATE)
        found[f"{words}: refused a reply"] = len(refused) / len(answered)
    return found


def headers(bench: Bench, version: str) -> dict[str, float]:
    """One round of `headers`."""
    answered, refused = bench.run(version, 3 * LENGTH, 64, window=WINDOW)
    return {
        "of what was allowed": len(answered) / (3 * WINDOW),
        "refused a reply": len(refused) / len(answered),
    }


PARTS = {"chance": chance, "rate": rate, "headers": headers}


@contextmanager
def versions_of(before: str | None) -> Iterator[dict[str, Path]]:
    """Where this version is, and the one of an older commit."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"now": HERE}
        if before:
            files = subprocess.run(["git", "archive", before], cwd=HERE, check=True, stdout=subprocess.PIPE)
            subprocess.run(["tar", "-x", "-C", folder], input=files.stdout, check=True)
            found = {before: Path(folder), **found}
        yield found


def main() -> None:
    """The parts named on the command line, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--before", metavar="COMMIT", help="the version to measure beside this one")
    given = parser.parse_args()
    if set(given.parts) - set(PARTS):
        parser.error(f"parts are: {', '.join(PARTS)}")
    server = LimitedServer()
    with (
        server,
        versions_of(given.before) as versions,
        tempfile.TemporaryDirectory() as where,
    ):
        bench = Bench(server, Path(where), versions)
        for name in given.parts or PARTS:
            found: dict[str, list[dict[str, float]]] = {version: [] for version in versions}
            for number in range(given.rounds):
                for version in list(versions) if number % 2 == 0 else list(reversed(versions)):
                    found[version].append(PARTS[name](bench, version))
            print(f"{name}:{'':<48}" + "".join(f"{version:>14}" for version in versions))
            for figure in found["now"][0]:
                middle = (median(one[figure] for one in found[version]) for version in versions)
                print(
                    f"  {figure:<{len(name) + 47}}" + "".join(f"{value:>14.2f}" for value in middle),
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2:])
    elif sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Limited()))
    else:
        main()
