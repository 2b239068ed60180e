"""Faults of a server: however many of its answers go wrong, and in whatever way, the data are the same.

The runs go through the command line, each as a process of its own, all at the same time, since most of their
time is spent waiting between attempts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from children import Process
from killing import start
from server import Faulty, ModelServer, Script, by_prompt

# name for LiteLLM and mode
WAYS = {
    "completion": ("hosted_vllm/tiny", "completion"),
    "chat by hosted_vllm": ("hosted_vllm/tiny", "chat"),
    "chat by openai": ("openai/tiny", "chat"),
}
TARGET, WINDOW, RETRIES = 132, 32, 12
SHARE, IN_A_ROW = 0.3, 3


@dataclass
class Trial:
    """A run that asks a server of its own.

    Attributes:
        folder: its run folder.
        server: the server.
        process: the run.
    """

    folder: Path
    server: ModelServer
    process: Process

    def ended(self) -> str:
        """Wait for its end, which must be a good one; what it said on standard error."""
        _, err = self.process.communicate(timeout=200)
        assert self.process.returncode == 0, err
        return err

    def data(self) -> dict[str, bytes]:
        """The bytes of every data file."""
        files = [path for path in self.folder.glob("*.jsonl") if path.name != "events.jsonl"]
        files += self.folder.glob("dataset/*.jsonl")  # README.md names the model, which differs
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    def replies(self) -> list[tuple[str, str, int, str | None, bool]]:
        """Stage, prompt, attempts, error and whether it was taken in, of every reply in the journal."""
        with closing(sqlite3.connect(self.folder / "run.sqlite")) as journal:
            return journal.execute(
                "SELECT stage, prompt, attempts, error, taken FROM reply JOIN request USING (stage, number)"
            ).fetchall()


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Trial, Faulty]]]:
    """A run for each way to ask, each with faults of its own, and `calm`, which has none."""
    project = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:

        def begun(way: str, name: str, script: Script) -> Trial:
            server = stack.enter_context(ModelServer(script))
            process = _start(project, name.replace(" ", "_"), server, *WAYS[way])
            stack.callback(process.kill)
            return Trial(project / name.replace(" ", "_"), server, process)

        quiet = Faulty(by_prompt, 0, 0.0)
        started = {"calm": (begun("completion", "calm", quiet), quiet)}
        for seed, way in enumerate(WAYS):
            script = Faulty(by_prompt, seed, SHARE, IN_A_ROW)
            started[way] = (begun(way, way, script), script)
        yield started


def _start(project: Path, folder: str, server: ModelServer, name: str, mode: str) -> Process:
    keys = [
        "recipe=paper",
        "model=vllm",
        f"model.name={name}",
        f"model.mode={mode}",
        f"model.api_base={server.base}",
        f"model.retries={RETRIES}",
        f"model.timeout={60 if folder == 'calm' else 1}",  # so that a hang is soon over, where there is one
        f"model.concurrency={WINDOW}",
        f"pipeline.instructions.window={WINDOW}",
        f"target={TARGET}",
        "cache=off",
        f"run_dir={folder}",
    ]
    return start(project, *keys)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_faulty_server_changes_no_byte(trials: dict[str, tuple[Trial, Faulty]], way: str) -> None:
    """300 requests, 30% of their attempts met by a fault, every kind among them: the data of a calm run.

    Each request is asked until it is answered, and each time counts as an attempt.
    """
    calm, _ = trials["calm"]
    trial, faults = trials[way]
    calm.ended()
    err = trial.ended()
    assert "given up" not in err
    assert "Traceback" not in err
    assert trial.data() == calm.data()
    assert len(trial.data()) == 7

    replies = trial.replies()
    assert len(replies) >= 300
    assert not [reply for reply in replies if reply[3]], "none is stored as a failure"
    asked = len(trial.server.asked)
    assert 0.25 < sum(faults.counts.values()) / asked < 0.35
    assert set(faults.counts) == set(Faulty.KINDS)
    # An attempt may run out of time before it gets to the server, on a busy machine; the reverse is a fault.
    once_more = [reply for reply in replies if faults.arrivals[reply[1]] > reply[2]]
    assert not once_more, "asked more often than was counted"
    # Beyond these there is only what the first stage still waited for when it had enough.
    assert asked - sum(attempts for _, _, attempts, _, _ in replies) < WINDOW * (IN_A_ROW + 1)


@pytest.mark.slow
def test_the_faults_test_has_something_to_lose(trials: dict[str, tuple[Trial, Faulty]]) -> None:
    """The calm run asks each prompt once, and its filters had something to reject."""
    calm, quiet = trials["calm"]
    calm.ended()
    assert set(quiet.arrivals.values()) == {1}
    assert len(quiet.arrivals) >= 300
    assert calm.data()["rejected.jsonl"].count(b"\n") > 20
