"""Batches when the provider, or the way to it, fails: nothing is paid for twice by accident."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_server import BROKEN, NAMES, BatchServer
from conftest import Typed
from killing import data
from results import done
from server import Answer, failure
from test_batches import COUNT, at, child, fate_of, many, until, whole

__all__ = ["many"]
LOOK, RESULTS = r"batches/[^/]+$", r"(content|results|:download)$"
TOO_LONG = "This model's maximum context length is 4097 tokens. Please reduce the length of the messages."


class OddServer(BatchServer):
    """A provider that answers some requests in another way.

    Attributes:
        odd: by method and path, the answer that takes the place of the usual one; None for the usual one.
    """

    odd: Callable[[str, str], Answer | None] = staticmethod(lambda method, path: None)

    def _done(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return self.odd(method, path.partition("?")[0]) or super()._done(method, path, headers, body)

    def fail(self, place: str, answer: Answer) -> None:
        """Answer every GET for such a place in this way."""
        self.odd = lambda method, path: answer if method == "GET" and re.search(place, path) else None

    def mend(self) -> None:
        """Answer as usual again."""
        self.odd = lambda method, path: None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are fetched for a second only."""
    monkeypatch.setattr("selfinstruct.llm.batch.wire.SILENCE", 1.0)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_leaves_the_batch_at_the_provider(
    many: Path, typed: Typed, kind: str, status: int
) -> None:
    """With the right key, the same command picks the batch up; it is not paid for again."""
    server = OddServer(kind)
    with server:
        server.fail(LOOK, failure(status, "No access with this key.", "invalid_request_error"))
        said = done(typed, *at(server), status=1)
        assert "TINY_KEY" in said
        server.mend()
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, kind)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_results_that_the_provider_has_deleted(many: Path, typed: Typed, kind: str) -> None:
    """The run says so, and asks again if the user says so; if those are lost too, it stops."""
    server = OddServer(kind)
    with server:
        server.fail(RESULTS, failure(404, "No such file.", "not_found_error"))
        said = done(typed, *at(server), status=1)
        first = server.made[0].id
        assert f"does not have the results of batch {first} any more; it had {COUNT} requests" in said
        assert "model.batch_lost=ask_again" in said and len(server.made) == 1
        said = done(typed, *at(server, "model.batch_lost=ask_again"), status=1)
        assert "was given up after 2 attempts" in said and server.counts == [COUNT, COUNT]
        server.mend()
        done(typed, *at(server, "model.batch_lost=ask_again"))
    assert data(many / "run") == whole(many, typed, kind)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_results_that_lack_lines_are_asked_for_once_more(
    many: Path, typed: Typed, kind: str, impatient: None
) -> None:
    """A provider that has no line for any request does not make one batch after the other."""
    server = OddServer(kind)
    with server:
        server.fail(RESULTS, Answer(b""))
        said = done(typed, *at(server, "model.batch_lost=ask_again"), status=1)
        assert server.counts == [COUNT, COUNT]
        assert "answers request 1 was given up after 2 attempts" in said


class CutOff(OddServer):
    """A provider that ends the results of the first batch early, as often as is said, without a sign in HTTP.

    Attributes:
        times: how often.
        tail: what comes after the lines that are whole.
    """

    times, tail = 1000, b""

    def _done(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        usual = super()._done(method, path, headers, body)
        if method == "GET" and re.search(RESULTS, path.partition("?")[0]) and len(self.made) == 1:
            self.times -= 1
            if self.times >= 0:
                assert isinstance(usual.body, bytes)
                lines = usual.body.splitlines(keepends=True)
                return Answer(b"".join(lines[: COUNT // 2]) + self.tail)
        return usual


TAILS = {"at a line's end": b"", "within a line": b'{"custom_id": "'}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("kind", NAMES)
def test_results_that_end_early_are_fetched_again(many: Path, typed: Typed, kind: str, tail: bytes) -> None:
    """As long as the provider counts more answers than there are; nothing is asked, or paid for, again."""
    server = CutOff(kind)
    server.times, server.tail = 1, tail
    with server:
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == whole(many, typed, kind)


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("kind", NAMES)
def test_results_that_stay_incomplete(
    many: Path, typed: Typed, kind: str, tail: bytes, impatient: None
) -> None:
    """The run stops and keeps the batch; if told so, it takes what is whole and asks for the rest."""
    server = CutOff(kind)
    server.tail = tail
    with server:
        said = done(typed, *at(server), status=1)
        what = f"broken off in line {COUNT // 2 + 1}" if tail else f"the provider counts {COUNT} answers"
        assert f"the results of the batch {'are' if tail else f'have {COUNT // 2} lines, but'} {what}" in said
        assert "run the same command again later" in said and "model.batch_lost=ask_again" in said
        assert server.counts == [COUNT]
        done(typed, *at(server, "model.batch_lost=ask_again"))
        assert server.counts == [COUNT, COUNT // 2]
    assert data(many / "run") == whole(many, typed, kind)


def test_a_fallback_without_batches_while_others_are_open(many: Path, typed: Typed) -> None:
    """The open batches are those of the stage's own model, which goes on to wait for them."""
    states = ("in_progress", "in_progress", "completed")
    with BatchServer("openai", states, fate=fate_of({"3": BROKEN})) as server:
        done(typed, *at(server, "model.fallbacks=[{batch: false}]", "model.batch_size=3"))
        assert server.at_once == ["Say something about harbour number 3"] and server.repeats == 1
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT


def test_a_request_that_is_shortened_is_in_another_batch(
    many: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply that says that the request is too long ends its place in the batch."""
    recipe = many / "recipes/many.yaml"
    shortens = "    style: chat\n    when_too_long: shorten\n"
    recipe.write_text(recipe.read_text().replace("    style: chat\n", shortens))
    error = {"message": TOO_LONG, "type": "invalid_request_error", "code": "context_length_exceeded"}
    row = {"id": "b", "response": {"status_code": 400, "request_id": "r", "body": {"error": error}}}
    monkeypatch.setattr("batch_server._openai_error", lambda how: row)
    with BatchServer("openai", fate=fate_of({"3": "too long"}, batch=0)) as server:
        process = child(many, *at(server, "budget.usd=1"))
        until(lambda: len(server.made) == 2, process)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert [body["max_tokens"] for body in server.made[1].lines.values()] == [40]
    assert data(many / "run") == whole(many, typed, "openai")
