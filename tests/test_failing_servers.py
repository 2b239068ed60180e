"""A server that fails in many ways, one by one and all at once: the data are those of a server that never does.

A share of the requests fails on its first try, by the request alone, so that each kind meets the same ones. No
reply that could be read is asked for again: a run sends what a calm one sends, and one more for each failure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from threading import Lock

import pytest
from conftest import lines, seed_file
from faults import FAULTS, Fault
from server import Answer, Asked, ModelServer, completion, refused, status, text
from test_llm import KEY, TINY

from selfinstruct.api import execute
from selfinstruct.compose import compose
from selfinstruct.progress import Progress
from selfinstruct.store import Journal

SHARE, TARGET = 0.3, 24
WAYS = {
    "chat by openai": ("openai/tiny", "chat"),
    "chat by hosted_vllm": ("hosted_vllm/tiny", "chat"),
    "completion": ("openai/tiny", "completion"),
}


class Failing:
    """A script that fails a share of the requests on their first try, each in a way of its own.

    Attributes:
        faults: the ways to fail, by name; with none it is calm.
        counts: the failures so far, by name.
        tries: how often each request came, by its seed.
        always: whether a request that fails does so at each try.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.begin({})

    def begin(self, faults: Mapping[str, Fault], always: bool = False) -> None:
        """Forget what was, and fail in these ways from now on."""
        self.faults, self.always = dict(faults), always
        self.counts: Counter[str] = Counter()
        self.tries: Counter[int] = Counter()

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request."""
        seed = int(asked.body["seed"])
        body = completion(asked, f"Idea about seed {seed} and no other.", "stop")
        with self._lock:
            self.tries[seed] += 1
            fails = self.faults and fails_at(seed) and (self.always or self.tries[seed] == 1)
            if not fails:
                return Answer(body)
            name = Random(f"{seed}/kind").choice(sorted(self.faults))
            self.counts[name] += 1
        return self.faults[name].answer(body)

    @property
    def needed(self) -> int:
        """How many requests the answers so far made necessary."""
        again = sum(count for name, count in self.counts.items() if not self.faults[name].usable)
        return len(self.tries) + again


def fails_at(seed: int) -> bool:
    """Whether the request of this seed meets a failure."""
    return Random(f"{seed}/fails").random() < SHARE


@dataclass(frozen=True)
class Bench:
    """Runs of one recipe against one server.

    Attributes:
        project: the user's folder.
        script: what the server does.
        base: the server's address.
        calm: the data of a run that met no failure, by way.
    """

    project: Path
    script: Failing
    base: str
    calm: dict[str, dict[str, bytes]]

    def run(self, name: str, way: str, *keys: str) -> dict[str, bytes]:
        """Run to the end; the bytes of every data file."""
        model, mode = WAYS[way]
        fixed = [f"model.name={model}", f"model.mode={mode}", f"model.api_base={self.base}"]
        composed = compose(["recipe=tiny", *KEYS, *fixed, *keys, f"run_dir={name}"], self.project)
        run = execute(composed.recipe(), composed.run_dir(), Progress(quiet=True), composed.saved)
        files = [path for path in run.folder.glob("*.jsonl") if path.name != "events.jsonl"]
        return {path.name: path.read_bytes() for path in files}


KEYS = (
    "model.seeded=true",
    "model.concurrency=16",
    "model.retries=8",
    "pipeline.ideas.window=16",
    f"target={TARGET}",
    "cache=off",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server, and a run against it that meets no failure."""
    project, script = tmp_path_factory.mktemp("failing"), Failing()
    seed_file(project / "seeds/tiny.jsonl")
    for name, content in TINY.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, ModelServer(script) as server:
        patch.setenv("TINY_KEY", KEY)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setattr("selfinstruct.llm.endpoint.FIRST_WAIT", 0.01)
        bench = Bench(project, script, server.base, {})
        bench.calm.update({way: bench.run(f"calm {way}", way) for way in ("chat by openai",)})
        yield bench


@pytest.mark.parametrize("kind", FAULTS)
def test_each(bench: Bench, kind: str) -> None:
    fault = FAULTS[kind]
    bench.script.begin({kind: fault})
    keys = ("model.timeout=1",) if fault.slow else ()
    import os
    way = os.environ.get("WAY", "chat by openai")
    data = bench.run(f"run {way} {kind}".replace(",", "").replace("'", "").replace(":","").replace("*",""), way, *keys)
    assert data == bench.calm["chat by openai"]
    script = bench.script
    print("TABLE", kind, "|", len(script.tries), "|", sum(script.counts.values()), "|", sum(script.tries.values()), script.needed)
    more = 0 if fault.usable else 1
    assert all(count <= 1 + fails_at(seed) * more for seed, count in script.tries.items()), script.tries
