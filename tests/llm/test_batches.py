"""Batches: the same data at half the price, each request paid for once, whatever happens in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from batch_server import KEY, NAMES, BatchServer
from conftest import Typed
from killing import data

COUNT = 36
RECIPE = """\
# Questions about the rows of a file, one request each.
defaults:
  - override /model: many
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: null
seeds: {path: rows.jsonl}
mix: {examples: 0, generated: 0}
pipeline:
  items: {kind: rows, path: rows.jsonl}
  answers: {kind: expand}
prompts:
  answers:
    style: chat
    template: "Say something about {{ instruction }}"
    sampling: {max_tokens: 50}
    parse: {kind: text, field: output}
schema: {items: {}, answers: {}}
"""

MODEL = """\
# The model that the tests name.
kind: litellm
name: openai/gpt-4o-mini
mode: chat
api_key_env: BATCH_KEY
concurrency: 8
"""


@pytest.fixture
def many(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipe `many`; batches are looked at without much waiting."""
    monkeypatch.setenv("BATCH_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("selfinstruct.llm.batch.follow.FIRST_LOOK", 0.02)
    monkeypatch.setattr("selfinstruct.llm.batch.batches.QUIET", 0.1)
    monkeypatch.setattr("selfinstruct.llm.waiting.FIRST_WAIT", 0.02)
    write_many(project)
    return project


def write_many(project: Path) -> None:
    """Write the recipe, its model and its rows."""
    (project / "recipes").mkdir()
    (project / "conf/model").mkdir(parents=True)
    (project / "conf/model/many.yaml").write_text(MODEL, encoding="utf-8")
    (project / "recipes/many.yaml").write_text(RECIPE, encoding="utf-8")
    rows = [{"instruction": f"harbour number {number}"} for number in range(COUNT)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project / "rows.jsonl").write_text(text, encoding="utf-8")


def at(server: BatchServer, *keys: str, run: str = "run", batch: bool = True) -> list[str]:
    """The arguments of a run that asks this server in batches; its replies are in no cache."""
    fixed = [f"model.name={NAMES[server.kind]}", f"model.api_base={server.base}", "cache=off"]
    return ["recipe=many", f"run_dir={run}", f"model.batch={str(batch).lower()}", *fixed, *keys]


def done(typed: Typed, *arguments: str, status: int = 0) -> str:
    """Run a command; what it says."""
    ended, out, err = typed(*arguments)
    assert ended == status, out + err
    return out + err


def summary(project: Path, run: str = "run") -> dict[str, Any]:
    """The summary of a run."""
    found: dict[str, Any] = json.loads((project / run / "summary.json").read_text())
    return found


@pytest.mark.parametrize("kind", NAMES)
def test_a_run_in_batches_has_the_bytes_of_a_run_without(many: Path, typed: Typed, kind: str) -> None:
    """With each provider, for half the money."""
    with BatchServer(kind) as server:
        said = done(typed, *at(server))
        assert server.counts == [COUNT] and server.at_once == []
        done(typed, *at(server, run="direct", batch=False))
        assert len(server.at_once) == COUNT
    assert data(many / "run") == data(many / "direct")
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT
    assert f"of {COUNT} done" in said and "ends by" in said
    costs = [summary(many, run)["stages"]["answers"]["cost_usd"] for run in ("run", "direct")]
    assert costs[0] == pytest.approx(costs[1] / 2)
