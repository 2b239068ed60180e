"""What a run costs beside bare LiteLLM and raw aiohttp, on the same server in the same minutes; run by hand.

    python tests/bench/throughput.py                                  # all, about ten minutes
    python tests/bench/throughput.py rows --requests 1024 --rounds 1  # a look
    python tests/bench/throughput.py own --profile
    python tests/bench/throughput.py start
    python tests/bench/throughput.py rows --only bare --python 1.84=/path/to/python --python 1.106=...

`rows`: each row is a process of its own with 256 requests in flight at a server that answers after 50 ms; the
rows take turns, and medians are printed. A client works through its 256 in waves, so rate and CPU are taken
from the end of the first wave of answers to the end of the last whole one, as the server saw them; starting
and ending don't count. Raw aiohttp and bare LiteLLM send, byte for byte, what our run sends. Bare LiteLLM is
an asyncio loop with a semaphore over the call that our provider makes, with the same settings. `own CPU` is
what ours takes beyond that; `by CPU` is the ratio to bare of what one second of CPU does, which tells more
where other work shares the machine. A process's CPU is read from /proc while it runs: this runs on Linux.

`own`: our CPU again, by a run whose model is nothing but a reply, without LiteLLM and server; what other work
on the machine does to LiteLLM's milliseconds does not blur it. Prompts are composed from the pool, replies
stored, cached and judged as ever. With --profile it also prints which part the CPU goes to (`parts`).

`start`: from the command to the first request on the wire, `check`, `--help`, beside `import litellm` alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from bisect import bisect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from fast_server import FastServer
from parts import ALL, END, Parts

IN_FLIGHT = 256
WINDOW = 1000
TIMEOUT = 60
FEW = 2 * IN_FLIGHT  # requests of a run that shows what starting and ending cost
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
LOGGERS = ("LiteLLM", "httpx", "httpcore", "openai", "aiohttp", "asyncio")
NEW_KEY = "prompts_per_request"
FIRST, ALONE = "from the command to the first request", "python -c 'import litellm'"


@dataclass(frozen=True)
class Row:
    """One thing to measure.

    Attributes:
        client: `raw`, `bare` or `ours`.
        provider: LiteLLM's name for it.
        mode: chat or completion.
        together: prompts in a request.
        filters: the filters of ours: none, or paper.
        candidates: instructions in a reply.
    """

    client: str
    provider: str = "hosted_vllm"
    mode: str = "chat"
    together: int = 1
    filters: str = "none"
    candidates: int = 1

    @property
    def name(self) -> str:
        """What the row is called."""
        together = f", {self.together} prompts a request" if self.together > 1 else ""
        filters = f", {self.filters} filters" if self.client == "ours" else ""
        many = f", {self.candidates} candidates a reply" if self.candidates > 1 else ""
        where = "" if self.client == "raw" else f"{self.provider} "
        return f"{self.client:<5}{where}{self.mode}{together}{filters}{many}"

    @property
    def bare(self) -> Row:
        """The row of bare LiteLLM that ours is held against."""
        return Row("bare", self.provider, self.mode, self.together)


RAW = Row("raw")
BARE = (
    Row("bare"),
    Row("bare", "openai"),
    Row("bare", mode="completion"),
    Row("bare", "openai", "completion"),
    Row("bare", mode="completion", together=8),
)
OURS = (
    Row("ours"),
    Row("ours", "openai"),
    Row("ours", mode="completion"),
    Row("ours", mode="completion", filters="paper"),
    Row("ours", mode="completion", filters="paper", candidates=8),
    Row("ours", "openai", "completion"),
    Row("ours", mode="completion", together=8),
)


@dataclass(frozen=True)
class Figures:
    """What one measurement gave; everything by the prompt."""

    rate: float
    cpu_ms: float
    server_load: float = 0.0
    most_at_once: int = 0


class Bench:
    """The rows' processes, in a user's folder of their own.

    Args:
        server: the server they ask.
        folder: an empty folder.
    """

    def __init__(self, server: FastServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._runs = 0
        write_recipe(folder)

    def prepare(self) -> None:
        """Learn from runs of ours what raw aiohttp and bare LiteLLM are to send."""
        bodies = {}
        for mode in ("chat", "completion"):
            self._process(Row("ours", mode=mode), FEW, sys.executable)
            bodies[mode] = self._server.report().body
        (self._folder / "bodies.json").write_text(json.dumps(bodies))

    def measure(self, row: Row, prompts: int, python: str = sys.executable) -> Figures:
        """One measurement of a row."""
        spent = self._process(row, prompts, python)
        seen = self._server.report()
        waves = prompts // row.together // IN_FLIGHT
        begin, end = seen.answered[IN_FLIGHT - 1], seen.answered[waves * IN_FLIGHT - 1]
        answered = (waves - 1) * IN_FLIGHT * row.together
        cpu_ms = (spent.at(end) - spent.at(begin)) / answered * 1e3
        load = seen.cpu / (seen.answered[-1] - seen.first)
        return Figures(answered / (end - begin), cpu_ms, load, seen.most_at_once)

    def own(self, row: Row, requests: int) -> float:
        """CPU milliseconds of ours by the request, with a model that is nothing but a reply."""
        script = [sys.executable, __file__, "alone", str(row.candidates)]
        few, whole = (
            run([*script, *self.words(row, count), "model.kind=canned"], self._folder)
            for count in (FEW, requests)
        )
        return (whole.seconds - few.seconds) / (requests - FEW) * 1e3

    def parts(self, row: Row, requests: int) -> str:
        """A table of the parts that this CPU goes to."""
        words = [*self.words(row, requests), "model.kind=canned", "--profile"]
        run([sys.executable, __file__, "alone", str(row.candidates), *words], self._folder)
        log = (self._folder / "log.txt").read_text()
        return log[log.index(ALL) : log.index(END)].rstrip()

    def _process(self, row: Row, prompts: int, python: str) -> Spent:
        """The CPU of a row's process that sends so many prompts."""
        self._server.reset(candidates=row.candidates)
        if row.client == "ours":
            return run([sys.executable, "-m", "selfinstruct", *self.words(row, prompts)], self._folder)
        given = [row.client, self._server.base, row.provider, row.mode, row.together, prompts]
        return run([python, __file__, "child", *map(str, given), str(self._folder)], self._folder)

    def words(self, row: Row, prompts: int) -> list[str]:
        """What to type for a run of ours of so many prompts."""
        self._runs += 1
        words = [
            "recipe=throughput",
            f"filters={'throughput' if row.filters == 'paper' else 'nothing'}",
            f"model.name={row.provider}/bench",
            f"model.mode={row.mode}",
            f"model.api_base={self._server.base}",
            f"model.concurrency={IN_FLIGHT}",
            f"pipeline.instructions.window={WINDOW * row.together}",
            f"target={prompts * row.candidates}",
            f"run_dir=run-{self._runs}",
            f"cache.path={self._folder}/replies-{self._runs}.sqlite",
            "report=off",  # `report.py` measures it
        ]
        return [*words, f"model.{NEW_KEY}={row.together}"] if row.together > 1 else words


@dataclass
class Spent:
    """The CPU that a process and its threads took.

    Attributes:
        seconds: in all.
        course: what it had taken at times of the monotonic clock.
    """

    seconds: float
    course: list[tuple[float, float]]

    def at(self, moment: float) -> float:
        """Seconds of CPU up to a moment."""
        place = bisect(self.course, (moment, 0.0))
        (before, least), (after, most) = self.course[place - 1], self.course[place]
        return least + (most - least) * (moment - before) / (after - before)


def run(command: list[str], folder: Path, more: dict[str, str] | None = None) -> Spent:
    """Run a command to its end; `more` is added to its environment."""
    course: list[tuple[float, float]] = []
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **(more or {})}
        )
        stat, ticks = Path(f"/proc/{process.pid}/stat"), os.sysconf("SC_CLK_TCK")
        while process.returncode is None:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            course.append((time.monotonic(), (int(fields[11]) + int(fields[12])) / ticks))
            time.sleep(0.02)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{(folder / 'log.txt').read_text()}")
    return Spent(usage.ru_utime + usage.ru_stime, course)


def write_recipe(folder: Path) -> None:
    """The paper's first stage alone as the recipe `throughput`, its filters as filters=throughput."""
    from omegaconf import OmegaConf

    from selfinstruct.recipe.compose import compose

    config: Any = compose(["recipe=completion"], folder).config
    sections = {
        "pipeline": ["instructions"],
        "prompts": ["instructions"],
        "schema": ["seeds", "instructions"],
        "filters": ["instructions"],
    }
    (folder / "recipes").mkdir(exist_ok=True)
    for group, keys in sections.items():
        (folder / "conf" / group).mkdir(parents=True, exist_ok=True)
        part = {key: OmegaConf.to_container(config[group][key]) for key in keys}
        (folder / "conf" / group / "throughput.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(part)))
    (folder / "conf/filters/nothing.yaml").write_text("instructions: {}\n")
    (folder / "conf/export").mkdir(exist_ok=True)
    (folder / "conf/export/nothing.yaml").write_text("{}\n")
    chosen = {**dict.fromkeys(sections, "throughput"), "model": "vllm", "export": "nothing"}
    lines = [f"  - override /{group}: {name}\n" for group, name in chosen.items()]
    (folder / "recipes/throughput.yaml").write_text("# The first stage alone.\ndefaults:\n" + "".join(lines))


def child(arguments: list[str]) -> None:
    """A process of raw aiohttp or bare LiteLLM; knows nothing of ours, so that any Python can run it."""
    client, base, provider, mode, together, prompts, folder = arguments
    body = json.loads((Path(folder) / "bodies.json").read_text())[mode]
    if int(together) > 1:
        body["prompt"] = [body["prompt"]] * int(together)
    loop = raw(base, body) if client == "raw" else bare(base, body, f"{provider}/bench")
    asyncio.run(loop(max(1, int(prompts) // int(together))))


Loop = Callable[[int], Coroutine[Any, Any, None]]


async def many(call: Callable[[], Awaitable[None]], requests: int) -> None:
    """So many calls, `IN_FLIGHT` at a time."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with slots:
            await call()

    await asyncio.gather(*[one() for _ in range(requests)])


def raw(base: str, body: dict[str, Any]) -> Loop:
    """Requests by aiohttp, replies read as JSON."""

    async def loop(requests: int) -> None:
        import aiohttp

        url = f"{base}/chat/completions" if "messages" in body else f"{base}/completions"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def call() -> None:
                async with session.post(url, json=other(body)) as reply:
                    assert (await reply.json())["choices"]

            await many(call, requests)

    return loop


NUMBERS = count()


def other(body: dict[str, Any]) -> dict[str, Any]:
    """The body with prompts that no request had before, of the same length."""

    def numbered(text: str) -> str:
        return f"{next(NUMBERS):08d}{text[8:]}"

    if "messages" in body:
        return {
            **body,
            "messages": [{**one, "content": numbered(one["content"])} for one in body["messages"]],
        }
    prompt = body["prompt"]
    return {**body, "prompt": [*map(numbered, prompt)] if isinstance(prompt, list) else numbered(prompt)}


def bare(base: str, body: dict[str, Any], name: str) -> Loop:
    """Requests by LiteLLM, with the settings and the pooled client of `selfinstruct.llm.providers`."""

    async def loop(requests: int) -> None:
        os.environ.update(QUIET)
        for logger in LOGGERS:
            logging.getLogger(logger).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", module="pydantic")
        import litellm
        from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients
        from litellm.llms.openai.common_utils import BaseOpenAILLM
        from openai import AsyncOpenAI

        litellm.suppress_debug_info = True
        litellm.telemetry = False
        fixed = {
            **body,
            "model": name,
            "timeout": TIMEOUT,
            "max_retries": 0,
            "api_base": base,
            "api_key": "none",
        }
        pooled: Any = None
        if "prompt" in body:
            http = BaseOpenAILLM._get_async_http_client()
            pooled = AsyncOpenAI(
                api_key="none", base_url=base, http_client=http, timeout=TIMEOUT, max_retries=0
            )

        async def call() -> None:
            if pooled is None:
                reply = await litellm.acompletion(**other(fixed))
            else:
                reply = await litellm.atext_completion(**other(fixed), client=pooled)
            wanted = len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1
            assert len(reply.choices) == wanted

        await many(call, requests)
        if pooled is not None:
            await pooled.close()
        await close_litellm_async_clients()

    return loop


def rows(server: FastServer, given: argparse.Namespace) -> None:
    """All rows, taking turns; medians, and the marks."""
    pythons = dict(text.split("=", 1) for text in given.python) or {"": sys.executable}
    chosen = [RAW, *BARE, *(() if given.only == "bare" else OURS)]
    if given.only == "vllm":
        chosen = [row for row in chosen if row.provider == "hosted_vllm"]
    if not knows_new_key():
        chosen = [row for row in chosen if row.client != "ours" or row.together == 1]
        print(f"  selfinstruct does not know model.{NEW_KEY} yet: its row is left out")
    places = [(version, row) for row in chosen for version in pythons if row.client != "raw" or not version]
    if given.python:
        places.insert(0, ("", RAW))
    found: dict[tuple[str, Row], list[Figures]] = {place: [] for place in places}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(server, Path(folder))
        bench.prepare()
        for number in range(given.rounds):
            for version, row in places if number % 2 == 0 else reversed(places):
                prompts = given.requests * (4 if row.together > 1 else 1)
                one = bench.measure(row, prompts, pythons.get(version, sys.executable))
                found[version, row].append(one)
                words = f"{row.name} {version}: {one.rate:.0f} prompts/s, {one.cpu_ms:.2f} ms of CPU"
                print(words, file=sys.stderr, flush=True)
    middle = {place: middle_of(figures) for place, figures in found.items()}
    tell(middle, found)


def middle_of(figures: list[Figures]) -> Figures:
    """The medians."""
    return Figures(
        median(one.rate for one in figures),
        median(one.cpu_ms for one in figures),
        median(one.server_load for one in figures),
        max(one.most_at_once for one in figures),
    )


def tell(middle: dict[tuple[str, Row], Figures], found: dict[tuple[str, Row], list[Figures]]) -> None:
    """Print a table of medians; a `prompt` is a request unless several go in one."""
    raw_rate = middle["", RAW].rate
    titles = (
        "",
        "prompts/s",
        "of raw",
        "of bare",
        "CPU ms",
        "own ms",
        "by CPU",
        "rates",
        "server",
        "at once",
    )
    print("  {:<66}{:>10}{:>8}{:>9}{:>8}{:>8}{:>8}  {:<20}{:>8}{:>9}".format(*titles))
    marks = []
    for (version, row), figures in middle.items():
        name = f"{row.name} [{version}]" if version else row.name
        beside = middle.get((version, row.bare)) if row.client == "ours" else None
        share = figures.rate / beside.rate if beside else None
        own = figures.cpu_ms - beside.cpu_ms if beside else None
        by_cpu = beside.cpu_ms / figures.cpu_ms if beside else None
        rates = " ".join(f"{one.rate:.0f}" for one in found[version, row])
        print(
            f"  {name:<66}{figures.rate:>10.0f}{figures.rate / raw_rate:>8.2f}"
            f"{'' if share is None else f'{share:.0%}':>9}{figures.cpu_ms:>8.2f}"
            f"{'' if own is None else f'{own:.2f}':>8}{'' if by_cpu is None else f'{by_cpu:.0%}':>8}"
            f"  {rates:<20}{figures.server_load:>8.0%}"
            f"{figures.most_at_once:>9}"
        )
        if share is not None and own is not None and row.together == 1:
            marks.append(f"{name}: {share:.0%} of bare (mark 90%), own CPU {own:.2f} ms (mark 0.3)")
        if row.together > 1:
            marks.append(f"{name}: {figures.rate / raw_rate:.2f} of raw aiohttp (mark 0.4)")
    for mark in marks:
        print(f"  {mark}")


def knows_new_key() -> bool:
    """Whether several prompts can go in one request."""
    from selfinstruct.config import ModelConfig

    return NEW_KEY in ModelConfig.model_fields


def own(server: FastServer, given: argparse.Namespace) -> None:
    """Our CPU without LiteLLM."""
    variants = {Row("ours"): 0.5, Row("ours", filters="paper"): None, Row("ours", candidates=8): None}
    variants[Row("ours", filters="paper", candidates=8)] = 1.5
    found: dict[Row, list[float]] = {row: [] for row in variants}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(server, Path(folder))
        for _ in range(given.rounds):
            for row in variants:
                found[row].append(bench.own(row, given.requests))
        for row, figures in found.items():
            many = f"{row.candidates} candidate{'s' * (row.candidates > 1)} a reply"
            every, mark = " ".join(f"{one:.2f}" for one in figures), variants[row]
            marked = f" (mark {mark:g})" if mark else ""
            print(f"  {row.filters} filters, {many}: {median(figures):.2f} ms a request{marked} of {every}")
            if given.profile:
                print(bench.parts(row, given.requests), flush=True)


def alone(arguments: list[str]) -> None:
    """A process of ours with a model that is nothing but a reply."""
    from fast_server import Answers

    from selfinstruct.cli.main import command
    from selfinstruct.llm import MODELS, ModelKind
    from selfinstruct.records import Reply, Request

    answers, parts = Answers(), Parts()
    answers.reset(int(arguments[0]))
    words = [word for word in arguments[1:] if word != "--profile"]
    target = next(int(word.partition("=")[2]) for word in words if word.startswith("target="))
    begin, end = WINDOW + FEW, target // int(arguments[0])  # while a reply is taken in for each one composed
    calls = count(1)

    class Canned:
        identity = "canned"

        async def prepare(self) -> None:
            pass

        async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
            call = next(calls) if len(words) < len(arguments) - 1 else 0
            if call == begin:
                parts.__enter__()
            elif call == end:
                parts.__exit__(None, None, None)
                print(parts.table(end - begin))
            await asyncio.sleep(0)
            return [Reply(answers.list(), "stop", "canned", 300, 12) for _ in requests]

        async def close(self) -> None:
            pass

    def canned() -> Any:
        """A model that is nothing but a reply."""
        return ModelKind(lambda config, project: Canned())

    MODELS.register(canned)
    sys.exit(command(words))


def start(server: FastServer, given: argparse.Namespace) -> None:
    """From the command to the first request, `check` and `--help`, beside the import of LiteLLM alone."""
    ours = [sys.executable, "-m", "selfinstruct"]
    commands = {
        ALONE: ([sys.executable, "-c", "import litellm"], None),
        "check": ([*ours, "check", "recipe=chat"], 0.6),
        "--help": ([*ours, "--help"], 0.25),
    }
    found: dict[str, list[tuple[float, float]]] = {FIRST: [], **{name: [] for name in commands}}
    row = Row("ours", mode="completion")
    with tempfile.TemporaryDirectory() as folder:
        bench, place = Bench(server, Path(folder)), Path(folder)
        for _ in range(2 * given.rounds - 1):
            found[FIRST].append(_to_the_first(server, [*ours, *bench.words(row, IN_FLIGHT)], place))
            for name, (command, _) in commands.items():
                began = time.monotonic()
                spent = run(command, place, QUIET)
                found[name].append((time.monotonic() - began, spent.seconds))
    marks = {FIRST: 2.6, **{name: mark for name, (_, mark) in commands.items()}}
    for name, both in found.items():
        wall, cpu = (median(one[place] for one in both) for place in (0, 1))
        mark = f" (mark {marks[name]})" if marks[name] else ""
        least = min(one[0] for one in both)
        print(f"  {name}: {wall:.2f} s{mark}, the shortest {least:.2f}; {cpu:.2f} s of CPU")
    rest = median(one[1] for one in found[FIRST]) - median(one[1] for one in found[ALONE])
    print(f"  from the command to the first request, without the import alone: {rest:.2f} s of CPU")


def _to_the_first(server: FastServer, command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds, and seconds of CPU, from a command to its first request."""
    server.reset()
    began = time.monotonic()
    spent = run(command, folder)
    first = server.report().first
    return first - began, spent.at(first)


def main() -> None:
    """The parts named on the command line, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help="rows, own, start")
    parser.add_argument("--requests", type=int, default=3000, help="prompts a row; 4 times as many in eights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="own: also the parts that the CPU goes to")
    parser.add_argument("--only", choices=("bare", "vllm"), help="leave rows out: ours, or openai")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="do the bare rows with this interpreter; may be given more than once",
    )
    given = parser.parse_args()
    least = 2 * (WINDOW + FEW) if given.profile else 2 * FEW
    if given.requests < least:
        parser.error(f"--requests is at least {least}")
    parts = {"rows": rows, "own": own, "start": start}
    if set(given.parts) - set(parts):
        parser.error(f"parts are: {', '.join(parts)}")
    from importlib.metadata import version

    packages = ", ".join(f"{name} {version(name)}" for name in ("litellm", "aiohttp", "openai"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {packages}")
    with FastServer() as server:
        for name in given.parts or parts:
            print(f"{name}:", flush=True)
            parts[name](server, given)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2:])
    elif sys.argv[1:2] == ["alone"]:
        alone(sys.argv[2:])
    else:
        main()
