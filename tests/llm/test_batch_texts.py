"""Batches of unusual texts, models, clocks and moments to stop: the data are as without batches."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from batch_server import BROKEN, BatchServer
from conftest import Typed
from killing import data
from results import done
from test_batches import COUNT, at, child, fate_of, many, sent, until, whole

__all__ = ["many"]
KINDS = ("openai", "anthropic", "gemini")
ODD = ["line\u2028and\u2029paragraph\x85next", "é" * 200_000, "\r\n\r\n x", "\ufeff😀", '"\\" {"a": 1}']


def with_odd_rows(many: Path) -> None:
    """Write unusual texts over the first rows."""
    rows = [json.loads(line) for line in (many / "rows.jsonl").read_text().splitlines()]
    for row, text in zip(rows, ODD, strict=False):
        row["instruction"] = f"{text} {row['instruction']}"
    (many / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


class Odd(BatchServer):
    """A provider whose replies have such texts too."""

    def text(self, prompt: str) -> str:
        """As usual, with unusual characters."""
        return f"{super().text(prompt)} \ud83d \0 \u2028 \x85 \r\n end"


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_are_hard_to_write_in_lines(many: Path, typed: Typed, kind: str) -> None:
    """Very long ones and Unicode's ends of lines; in replies also NUL and half characters."""
    with_odd_rows(many)
    with Odd(kind) as server:
        done(typed, *at(server))
        assert server.counts == [COUNT]
        done(typed, *at(server, run="direct", batch=False))
        assert len(server.at_once) == COUNT
    assert data(many / "run") == data(many / "direct")
    assert "whole" in done(typed, "verify", "run")


class Thinking(BatchServer):
    """A provider whose model thinks before it answers."""

    def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
        reply = super()._reply(body)
        thought = "First I think of the harbour."
        if self.kind == "anthropic":
            reply["content"].insert(0, {"type": "thinking", "thinking": thought, "signature": "s"})
        elif self.kind == "gemini":
            reply["candidates"][0]["content"]["parts"].insert(0, {"text": thought, "thought": True})
            reply["usageMetadata"]["thoughtsTokenCount"] = 7
        else:
            reply["choices"][0]["message"]["reasoning_content"] = thought
            reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": 7}
        return reply


@pytest.mark.parametrize("kind", KINDS)
def test_thoughts_come_in_batches_as_they_do_at_once(many: Path, typed: Typed, kind: str) -> None:
    """The text is apart from the thought, and the story of a record has both."""
    with Thinking(kind) as server:
        done(typed, *at(server))
        done(typed, *at(server, run="direct", batch=False))
    assert data(many / "run") == data(many / "direct")
    assert "First I think" not in (many / "run/answers.jsonl").read_text()
    assert "First I think of the harbour." in done(typed, "show", "run", "answers-000004-0")


def test_a_fallback_between_models_that_think_and_do_not(many: Path, typed: Typed) -> None:
    """Each gets its own parameters, in batches of its own."""
    fate = fate_of({"3": BROKEN})

    def only_first(prompt: str, made: int) -> str | None:
        return fate(prompt, made) if made in (0, 1) else None

    other_one = "model.fallbacks=[{name: openai/gpt-4o-mini, reasoning_effort: null}]"
    keys = ["model.name=openai/o3-mini", "model.reasoning_effort=high", other_one]
    with Thinking("openai", fate=only_first) as server:
        done(typed, *at(server), *keys)
        assert server.counts == [COUNT, 1, 1]
        first, again, other = (next(iter(one.lines.values())) for one in server.made)
        assert first["reasoning_effort"] == again["reasoning_effort"] == "high"
        assert "reasoning_effort" not in other and other["model"] == "gpt-4o-mini"
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT


@pytest.mark.parametrize(
    ("kind", "method", "part"),
    [
        ("openai", "POST", "/files"),
        ("anthropic", "POST", "/batches"),
        ("gemini", "POST", ":batchGenerateContent"),
        ("openai", "GET", "/content"),
        ("anthropic", "GET", "/results"),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_something_is_on_its_way(
    many: Path, typed: Typed, kind: str, method: str, part: str, times: int
) -> None:
    """During upload, making or download, once and twice: no traceback, and one batch in the end."""
    with BatchServer(kind) as server:
        held = server.held[method, part] = threading.Event()
        process = child(many, *at(server))
        until(lambda: server.count(method, part), process)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        held.set()
        server.held.clear()
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        assert process.returncode in (130, 0), err
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, kind)
    assert sent(many) == COUNT


@pytest.mark.parametrize("hours", [-5, 5])
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_provider_whose_clock_is_not_ours(many: Path, typed: Typed, kind: str, hours: int) -> None:
    """A batch whose making was interrupted is found by its results, not by our time of day."""
    with BatchServer(kind) as server:
        server.clock = 3600.0 * hours
        server.held["POST", "/batches"] = threading.Event()
        process = child(many, *at(server))
        until(lambda: server.made, process)
        process.kill()
        process.wait()
        server.held.pop(("POST", "/batches")).set()
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, kind)


def test_a_budget_that_is_smaller_than_what_is_open(many: Path, typed: Typed) -> None:
    """The batch is paid for, so it is taken in; nothing more is asked."""
    price = "model.price={input: 0, output: 1.0e6}"  # half a dollar a token; 10 tokens come, 50 may
    with BatchServer("openai", states=("in_progress",) * 500) as server:
        process = child(many, *at(server, price, "budget.usd=500"))
        until(lambda: server.made and server.made[0].looks, process)
        process.kill()
        process.wait()
        first = server.counts[0]
        plan = done(typed, "check", *at(server, price, "budget.usd=500"))
        assert f"with {first} requests of answers" in plan and f"for at most ${25 * first:,.2f}" in plan
        server.made[0].states = ["completed"]
        said = done(typed, *at(server, price, "budget.usd=10"), status=3)
        assert "budget.usd=10" in said and server.counts == [first]
        server._states = ("completed",)
        done(typed, *at(server, price, "budget.usd=5000"))
        assert server.counts == [first, COUNT - first]
    assert data(many / "run") == whole(many, typed, "openai")
