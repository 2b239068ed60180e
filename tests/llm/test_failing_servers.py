"""A server that fails in many ways, one by one and all at once: the data are those of one that never does.

A share of the requests fails on its first try, by the request alone, so each kind meets the same ones. No
reply that could be read is asked for again, and no request is sent more often than its failures call for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any

import pytest
from faults import FAULTS, Fault, with_text
from server import Answer, Asked, ModelServer, bad_key, completion, failure, refused, status
from tiny_recipe import KEY, write_tiny

from selfinstruct.api import execute
from selfinstruct.errors import ModelError
from selfinstruct.monitor.progress import Progress
from selfinstruct.recipe.compose import Composed, compose

SHARE, TARGET, WINDOW = 0.3, 12, 8
WAYS = {
    "chat by openai": ("openai/tiny", "chat"),
    "chat by hosted_vllm": ("hosted_vllm/tiny", "chat"),
    "completion": ("openai/tiny", "completion"),
}
KEYS = (
    "model.seeded=true",
    f"model.concurrency={WINDOW}",
    f"pipeline.ideas.window={WINDOW}",
    f"target={TARGET}",
    "cache=off",
)
# Refusals: in words that are known and in others, with the checks under which they are counted.
REFUSALS = {
    "the filter's words": (refused(), "content_filter"),
    "nobody's words": (status(400, "the moon is wrong"), "refused"),
    "403": (status(403, "not this one"), "refused"),
    "413": (status(413, "the request is too large"), "context"),
    "422": (status(422, "the moon is wrong"), "refused"),
}


def fails(seed: int) -> bool:
    """Whether the request of this seed meets a failure."""
    return Random(f"{seed}/fails").random() < SHARE


class Failing:
    """A script that fails a share of the requests, each in one of some ways.

    Attributes:
        tries: how often each request came, by its seed.
        kinds: how each of those that failed did.
        calls: how often anything came.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.begin({})

    def begin(self, faults: Mapping[str, Fault], always: bool = False, after: int = 0) -> None:
        """Forget what was, and fail in these ways, once so many requests have come: on the first try, or at
        each, and then whatever is asked.
        """
        self._faults, self._always, self._after = faults, always, after
        self._names = sorted(faults)
        self.tries: Counter[int] = Counter()
        self.kinds: dict[int, str] = {}
        self.calls = 0

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request; a plain prompt has a good one."""
        seed = int(asked.body["seed"])
        body = completion(asked, f"Idea about seed {seed} and no other.", "stop")
        with self._lock:
            self.calls += 1
            everything = self._always and self._after != 0
            if asked.prompt.startswith("Say hello."):
                return next(iter(self._faults.values())).answer(body) if everything else Answer(body)
            self.tries[seed] += 1
            if not self._faults or self.calls <= self._after:
                return Answer(body)
            if not everything and not (fails(seed) and (self._always or self.tries[seed] == 1)):
                return Answer(body)
            self.kinds[seed] = name = Random(f"{seed}/kind").choice(self._names)
        return self._faults[name].answer(body)

    def paid_twice(self) -> dict[int, int]:
        """The requests that came more often than their failures call for."""
        return {
            seed: count
            for seed, count in self.tries.items()
            if count > 1 + (seed in self.kinds and not self._faults[self.kinds[seed]].usable)
        }


@dataclass
class Bench:
    """Runs of one recipe against one server.

    Attributes:
        project: the user's folder.
        script: what the server does.
        base: the server's address.
        calm: the data of a run that met no failure.
    """

    project: Path
    script: Failing
    base: str
    calm: dict[str, bytes] = field(default_factory=dict)
    _composed: dict[tuple[str, ...], Composed] = field(default_factory=dict)

    def run(self, way: str = "chat by openai", *keys: str, folder: str = "") -> dict[str, bytes]:
        """Run to the end; the bytes of every data file."""
        settings = (way, *keys)
        if settings not in self._composed:
            model, mode = WAYS[way]
            fixed = [f"model.name={model}", f"model.mode={mode}", f"model.api_base={self.base}"]
            self._composed[settings] = compose(
                ["recipe=tiny", *KEYS, "model.retries=8", *fixed, *keys], self.project
            )
        composed = self._composed[settings]
        path = self.project / "runs" / (folder or str(len(list((self.project / "runs").glob("*")))))
        execute(composed.recipe(), path, Progress(quiet=True), {})
        files = [file for file in path.glob("*.jsonl") if file.name != "events.jsonl"]
        return {file.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server, and a run against it that meets no failure."""
    project, script = tmp_path_factory.mktemp("failing"), Failing()
    write_tiny(project)
    (project / "runs").mkdir()
    with pytest.MonkeyPatch.context() as patch, ModelServer(script) as server:
        patch.setenv("TINY_KEY", KEY)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", 0.01)
        bench = Bench(project, script, server.base)
        bench.calm = bench.run()
        assert set(script.tries.values()) == {1}, "else there is nothing to compare with"
        assert bench.calm["ideas.jsonl"].count(b"\n") == TARGET
        yield bench


def timeout_of(*faults: Fault) -> tuple[str, ...]:
    """Where only a timeout ends a failure, a short one."""
    return ("model.timeout=1.5",) if any(fault.slow for fault in faults) else ()


@pytest.mark.parametrize("kind", FAULTS)
def test_a_kind_of_failure_changes_no_byte(bench: Bench, kind: str) -> None:
    """Whatever the first answer to a request is, the data are those of a calm run."""
    bench.script.begin({kind: FAULTS[kind]})
    assert bench.run("chat by openai", *timeout_of(FAULTS[kind])) == bench.calm
    assert bench.script.kinds, "else nothing failed"
    assert not bench.script.paid_twice()


@pytest.mark.parametrize("way", WAYS)
def test_all_kinds_at_once_change_no_byte(bench: Bench, way: str) -> None:
    """In each way to ask, dozens of kinds together; the test above shows each."""
    keys = ("target=120", "pipeline.ideas.window=64", "model.concurrency=64", "model.timeout=5")
    bench.script.begin({})
    calm = bench.run(way, *keys)
    bench.script.begin(FAULTS)
    assert bench.run(way, *keys) == calm
    assert len(set(bench.script.kinds.values())) > 24
    assert not bench.script.paid_twice()


def rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_always_is_left_out_and_nothing_else(bench: Bench, name: str) -> None:
    """A refusal is believed when it is said twice; the other records are those of a calm run."""
    answer, check = REFUSALS[name]
    bench.script.begin({})
    calm = rows(bench.run("chat by openai", "target=60")["ideas.jsonl"])
    bench.script.begin({name: Fault(lambda body: answer)}, always=True)
    data = bench.run()
    kept, rejected = rows(data["ideas.jsonl"]), rows(data["rejected.jsonl"])
    assert {row["check"] for row in rejected} == {check}
    gone = {int(row["id"].split("-")[1]) for row in rejected}
    assert kept == [row for row in calm if row["request"] not in gone][:TARGET]
    assert len(gone) > 3
    assert {count for seed, count in bench.script.tries.items() if seed not in bench.script.kinds} == {1}
    assert max(bench.script.tries.values()) == 2


ENDING = {
    "401": bad_key(),
    "403, the key": failure(403, "Incorrect API key provided.", "denied", "invalid_api_key"),
    "403": status(403, "forbidden"),
    "404": status(404, "no such model"),
}


@pytest.mark.parametrize("name", ENDING)
def test_a_key_that_is_refused_for_a_moment_ends_no_run(bench: Bench, name: str) -> None:
    """Nor does it change a byte, once the model has answered."""
    bench.script.begin({name: Fault(lambda body: ENDING[name])}, after=WINDOW)
    assert bench.run() == bench.calm
    assert bench.script.kinds
    assert not bench.script.paid_twice()


@pytest.mark.parametrize("name", ENDING)
def test_a_key_that_is_refused_for_good_ends_the_run_and_the_same_command_goes_on(
    bench: Bench, name: str
) -> None:
    """With the name of the key; each request in flight is tried once more, and no reply is lost."""
    bench.script.begin({name: Fault(lambda body: ENDING[name])}, always=True, after=WINDOW)
    with pytest.raises(ModelError, match="model.name" if name == "404" else "TINY_KEY"):
        bench.run(folder=f"ended by {name}")
    assert bench.script.calls <= 3 * WINDOW + 1
    answered = {seed for seed in bench.script.tries if seed not in bench.script.kinds}
    bench.script.begin({})
    assert bench.run(folder=f"ended by {name}") == bench.calm
    assert answered.isdisjoint(bench.script.tries), "no reply is paid twice"


def test_a_key_that_is_refused_from_the_start_is_asked_once(bench: Bench) -> None:
    """Nothing was answered yet, so it is the wrong key."""
    bench.script.begin({"401": Fault(lambda body: bad_key())}, always=True, after=-1)
    with pytest.raises(ModelError, match="TINY_KEY"):
        bench.run("chat by openai", "model.concurrency=1")
    assert bench.script.calls == 1


def test_a_server_that_always_points_elsewhere_ends_the_run_soon(bench: Bench) -> None:
    """However many attempts are allowed; the message says where it points and what to do."""
    bench.script.begin({"redirect": FAULTS["redirect 308"]}, always=True, after=-1)
    with pytest.raises(ModelError, match=r"127.0.0.1:9/v1/elsewhere .*set model.api_base"):
        bench.run("chat by openai", "model.concurrency=1")
    assert bench.script.calls == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_reply_without_content_is_that_request_s_fate_where_every_attempt_has_none(
    bench: Bench, way: str
) -> None:
    """It is not taken for an empty one."""
    bench.script.begin({"null": Fault(lambda body: with_text(body, None))}, always=True)
    rejected = rows(bench.run(way, "model.retries=2")["rejected.jsonl"])
    assert {row["check"] for row in rejected} == {"no_choices"}
    assert max(bench.script.tries.values()) == 3
