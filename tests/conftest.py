"""What the tests share: a user's folder, and the command line as a user types it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import children
import pytest
from nursery_client import ADDRESS
from slow_modules import MODULES

from selfinstruct.cli.main import command

Typed = Callable[..., tuple[int, str, str]]  # the fixture `typed`
ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def pytest_configure() -> None:
    """Let children hear signals, and start one nursery for all processes of pytest.

    The nursery imports nothing until a test needs it. Runs write no report, unless a test wants one.
    """
    _hear()
    os.environ["SELFINSTRUCT_REPORT"] = "off"
    if children.FORKS:
        os.environ[ADDRESS] = children.nursery()


@pytest.hookimpl(tryfirst=True)  # before -m chooses among them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow modules."""
    tests = ROOT / "tests"
    slow = {tests / folder / f"test_{name}.py" for folder, names in MODULES.items() for name in names.split()}
    gone = [str(path) for path in slow if not path.is_file()]
    assert not gone, f"slow_modules names {gone}, which is not there any more"
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)


def _hear() -> None:
    """Have the processes that tests start hear Ctrl-C and a closed terminal, also if pytest itself does not.

    A shell has what it starts in the background ignore Ctrl-C (`make test &`), `nohup` has it ignore a closed
    terminal, and a process passes that on. A handler, unlike that, is not passed on to a new program.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of a user's, in which the commands are typed."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AZURE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))  # a cache of the test's own
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))  # and nobody trusted yet
    monkeypatch.delenv("COLUMNS", raising=False)  # make and xdist may set the width of a terminal
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shared() -> Path:
    """The folder of real input nobody here wrote; a test that needs it is skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED.name}/ beside the repository, which only its developers have")
    return SHARED


@pytest.fixture
def trials() -> Path:
    """The folder of trials, symptoms from public reports; a test that needs it is skipped where it is not."""
    folder = SHARED.parent / "trials"
    if not folder.is_dir():
        pytest.skip("needs shared/trials beside the repository, which only its developers have")
    return folder


@pytest.fixture
def typed(project: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a command in the user's folder: exit status, standard output, standard error."""

    def type_(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = command(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return type_


@pytest.fixture
def tiny(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder with the recipe `tiny` in it and a key in the environment."""
    from tiny_recipe import KEY, write_tiny

    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write_tiny(project)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wait after a failure is short, for so many cases."""
    monkeypatch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", 0.05)


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def seed_file(path: Path, count: int = 12, **fields: Any) -> Path:
    """Write a seed file of so many plain tasks, no two alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nouns = ["kettle", "harbour", "orchard", "violin", "glacier", "ferry", "compass", "quarry"]
    rows = [
        {
            "id": f"seed_{place}",
            "instruction": f"Say something number {place} about a {nouns[place % len(nouns)]} you know.",
            "instances": [{"input": "", "output": f"It is number {place}."}],
            "is_classification": False,
            **fields,
        }
        for place in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
