"""What the workers of a cluster send: vectors too, with their own key, within limits and budget of the run.

The workers' key differs from the driver's, so the server sees who asks.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Typed, lines
from killing import data
from machines import KEY, on
from results import summary
from server import EMBEDDINGS, Answer, Asked, ModelServer, by_prompt, slower, vectors

pytest.importorskip("ray")
pytest_plugins = ("cluster_fixtures",)
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("environment")]

((VARIABLE, THEIRS),) = KEY.items()
OURS = "sk-of-the-driver"
DIMENSIONS = 16
EMBEDDED = "filters.instructions.embedding_similarity"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver has a key of its own, and waits little after a failure."""
    monkeypatch.setenv(VARIABLE, OURS)
    monkeypatch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", 0.05)


def first_stage(server: ModelServer, run: str, *keys: str) -> list[str]:
    """The arguments of a run of the paper that asks this server, with a key."""
    asked = ["model=vllm", "model.name=hosted_vllm/tiny", f"model.api_base={server.base}"]
    known = [f"model.api_key_env={VARIABLE}", "model.concurrency=8", "model.retries=3", f"run_dir={run}"]
    return ["recipe=paper", "cache=off", "report=off", *asked, *known, *keys]


def bag_of_words(sentence: str) -> list[float]:
    """A vector that is near that of a text with the same words."""
    whole = [0.0] * DIMENSIONS
    for word in sentence.lower().strip(".").split():
        rng = Random(word)
        whole = [number + rng.gauss(0, 1) for number in whole]
    return whole


def texts_and_vectors(asked: Asked) -> Answer:
    """A server that does both."""
    return vectors(asked, bag_of_words) if asked.path == EMBEDDINGS else by_prompt(asked)


def senders(server: ModelServer) -> Counter[tuple[str, str]]:
    """How many requests came, by path and key."""
    return Counter((asked.path.rpartition("/")[2], asked.headers["authorization"]) for asked in server.asked)


def test_requests_for_vectors_are_sent_by_workers(typed: Typed, project: Path, cluster: Any) -> None:
    """With the workers' own key; the filter that compares them decides as in a run without a cluster."""
    with ModelServer(texts_and_vectors) as server:
        model = f"{{kind: litellm, name: openai/bag, api_base: {server.base}, api_key_env: {VARIABLE}}}"
        keys = [
            f"+{EMBEDDED}={{field: instruction, threshold: 0.6, centered: false, model: {model}}}",
            "target=40",
        ]
        for run, where in (("calm", []), ("run", on(cluster))):
            before = len(server.asked)
            status, _, err = typed(*first_stage(server, run, *keys, *where))
            assert status == 0, err
            server.asked, asked = server.asked[before:], server.asked
            found = senders(server)
            server.asked = asked
            assert {sender for _, sender in found} == {f"Bearer {OURS if run == 'calm' else THEIRS}"}
            assert {path for path, _ in found} == {"completions", "embeddings"}
    assert data(project / "run") == data(project / "calm")
    rejected = lines(project / "run/rejected.jsonl")
    assert any(row["check"] == "embedding_similarity" for row in rejected)


def test_the_key_of_the_driver_is_nowhere(typed: Typed, project: Path, cluster: Any) -> None:
    """Neither in a command line, nor in a file of Ray's or of the run, nor in a request."""
    import psutil

    commands: set[str] = set()

    def look(asked: Asked) -> Answer:
        if asked.number % 10 == 1:
            commands.update(" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"]))
        return by_prompt(asked)

    with ModelServer(look) as server:
        status, _, err = typed(*first_stage(server, "run", "target=10", *on(cluster)))
    assert status == 0, err
    assert any("ray::Worker" in command for command in commands)
    assert not any(OURS in command for command in commands)
    written = [*Path(cluster.head_node.get_session_dir_path()).rglob("*"), *project.rglob("*")]
    read = {}
    for path in written:
        with suppress(FileNotFoundError):  # Ray removes files of its own meanwhile
            if path.is_file() and not path.is_symlink():
                read[path] = path.read_bytes()
    assert [path for path in read if "worker" in path.name], "Ray has logs of workers"
    assert not [path for path, content in read.items() if OURS.encode() in content]
    assert {sender for _, sender in senders(server)} == {f"Bearer {THEIRS}"}


class Windows:
    """`by_prompt`; headers say how many requests are left in a window of some seconds, and until when.

    Args:
        most: requests in a window.
        seconds: the length of a window, from the first request on.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds, self.counts = most, seconds, Counter[int]()
        self._begin = 0.0

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request."""
        self._begin = self._begin or asked.at
        window, since = divmod(asked.at - self._begin, self.seconds)
        self.counts[int(window)] += 1
        left = max(0, self.most - self.counts[int(window)])
        said = f'"default";r={left};t={int(self.seconds - since) + 1}'
        return replace(by_prompt(asked), headers={"ratelimit": said})


def test_headers_that_a_worker_sees_hold_the_whole_run_back(
    typed: Typed, project: Path, cluster: Any
) -> None:
    """No more requests come in a window than the server said, though it would answer all of them at once."""
    script = Windows(most=20, seconds=6)
    with ModelServer(script) as server:
        status, _, err = typed(*first_stage(server, "run", "target=20", *on(cluster)))
    assert status == 0, err
    assert len(server.asked) > 40
    # What was in flight when the first headers came was not counted; nor is one that is late.
    assert max(script.counts.values()) <= script.most + 2, script.counts
    told = [row for row in lines(project / "run/events.jsonl") if row["event"] == "limit"]
    assert any("headers say" in row["why"] for row in told)


def test_a_refusal_that_a_worker_sees_lowers_the_limits_of_the_run(
    typed: Typed, project: Path, cluster: Any
) -> None:
    """Those refused wait as `Retry-After` says, fewer are sent at once, and the data are the same."""
    refused: list[Asked] = []

    def takes_three(asked: Asked) -> Answer:
        if server.in_hand > 3:
            refused.append(asked)
            return slower(1)
        return replace(by_prompt(asked), delay=0.1)

    with ModelServer(by_prompt) as server:
        assert typed(*first_stage(server, "calm", "target=100"))[0] == 0
    with ModelServer(takes_three) as server:
        status, _, err = typed(*first_stage(server, "run", "target=100", *on(cluster)))
    assert status == 0, err
    waits = []
    for one in refused:  # those that the first stage needed no more were not sent again
        later = [asked.at for asked in server.asked[one.number :] if asked.prompt == one.prompt]
        waits += [later[0] - one.at] if later else []
    assert min(waits) >= 1
    limits = summary(project / "run")["limits"]
    assert sum(limit["refused"] for limit in limits) == len(refused) > 0
    told = [row for row in lines(project / "run/events.jsonl") if row["event"] == "limit"]
    assert min(row["concurrency"] for row in told) < 8
    assert data(project / "run") == data(project / "calm")


def test_a_budget_is_that_of_the_run_and_not_of_each_worker(
    typed: Typed, project: Path, cluster: Any
) -> None:
    """It stops at the budget; as locally, no more replies come than were in flight, which are 8 in all."""
    keys = ["target=60", "model.price={input: 1, output: 1}", "budget.usd=0.003"]
    with ModelServer(by_prompt) as server:
        status, _, err = typed(*first_stage(server, "run", *keys, *on(cluster)))
        asked = len(server.asked)
    assert status == 3, err
    assert "budget.usd=0.003 is reached" in err
    rows = [row for row in lines(project / "run/events.jsonl") if row["event"] == "request"]
    spent, within = 0.0, 0
    for row in rows:
        within += spent < 0.003
        spent += row["cost_usd"]
    assert within < len(rows) == asked <= within + 7
