"""A prompt too long together with its reply: asked again with fewer tokens where the recipe says so."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Typed, lines
from server import Answer, Asked, ModelServer, by_prompt, too_long

ROOM = 500  # tokens that the server has for a reply
STEPS = [1024, 819, 655, 524, 419]


def narrow(asked: Asked) -> Answer:
    """A server without room for a longer reply."""
    return too_long() if asked.body["max_tokens"] > ROOM else by_prompt(asked)


def at(server: ModelServer, *more: str) -> list[str]:
    """The words that run a recipe on a server."""
    model = ["model=vllm", "model.name=hosted_vllm/tiny", f"model.api_base={server.base}"]
    return [*model, "target=4", *more]


def tokens_by_prompt(server: ModelServer) -> dict[str, list[int]]:
    """The max_tokens with which each prompt was asked, in order."""
    found = defaultdict(list)
    for asked in server.asked:
        found[asked.prompt].append(asked.body["max_tokens"])
    return found


def data(folder: Path) -> dict[str, bytes]:
    """The records and the dataset."""
    files = [*folder.glob("*.jsonl"), *folder.glob("dataset/*")]
    return {path.name: path.read_bytes() for path in files if path.name != "events.jsonl"}


def test_it_is_asked_again_with_four_fifths(typed: Typed, project: Path) -> None:
    """Until it fits; the data are those of a server with room, and the journal has what was asked in the end.

    The cache has the reply under that too, so that a second run pays for none; and a replay finds it.
    """
    with ModelServer(narrow) as server, ModelServer(by_prompt) as wide:
        status, out, err = typed(*at(server, "recipe=paper", "run_dir=narrow"))
        assert status == 0, out + err
        first = len(server.asked)
        assert typed(*at(server, "recipe=paper", "run_dir=second"))[0] == 0
        assert typed(*at(wide, "recipe=paper", "run_dir=wide", "cache=off"))[0] == 0
    tokens = [one[: len(STEPS)] for prompt, one in tokens_by_prompt(server).items() if prompt.endswith("9.")]
    assert tokens == [STEPS] * len(tokens)
    with closing(sqlite3.connect(project / "narrow/run.sqlite")) as journal:
        rows = journal.execute("SELECT sampling, sends FROM request WHERE stage = 'instructions'").fetchall()
        (sent,) = journal.execute("SELECT SUM(sends) FROM request").fetchone()
    assert {json.loads(sampling)["max_tokens"] for sampling, _ in rows} == {STEPS[-1]}
    assert sent == first, "each attempt counts against budget.requests"
    again = [asked.body["max_tokens"] for asked in server.asked[first:]]
    assert again, "what is refused is sent again"
    assert all(one > ROOM for one in again), "and nothing else"
    assert typed("replay", "narrow", "run_dir=replayed")[0] == 0
    told = json.loads((project / "replayed/summary.json").read_text())["replay"]["stages"]
    assert all(stage["unanswered"] == 0 == stage["prompts_differ"] for stage in told.values())
    for folder in ("narrow", "second", "replayed"):
        assert data(project / folder) == data(project / "wide"), folder


@pytest.mark.parametrize(("recipe", "times"), [("paper", 3), ("completion", 1)])
def test_it_is_given_up_in_the_end(typed: Typed, project: Path, recipe: str, times: int) -> None:
    """After `model.retries` times it is that one request's fate; other recipes ask once."""
    lists: list[str] = []

    def script(asked: Asked) -> Answer:
        if asked.prompt.endswith("\n9.") and asked.prompt not in lists:
            lists.append(asked.prompt)
        return too_long() if asked.prompt in lists[1:2] else by_prompt(asked)

    keys = ["model.concurrency=1", "cache=off", "model.retries=2", f"recipe={recipe}", "run_dir=run"]
    with ModelServer(script) as server:
        assert typed(*at(server, *keys))[0] == 0
    assert tokens_by_prompt(server)[lists[1]] == [1024, 819, 655][:times]
    (row,) = [row for row in lines(project / "run/rejected.jsonl") if row["check"] == "context"]
    assert row["id"] == "instructions-000002-0"
