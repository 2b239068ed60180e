"""Results of a batch that are not as a provider documents them: what is paid for is used, and asked once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_server import BatchServer
from conftest import Typed
from killing import data
from results import done
from server import Answer
from test_batch_troubles import RESULTS, impatient
from test_batches import COUNT, at, many, whole

__all__ = ["impatient", "many"]
KINDS = ("openai", "anthropic", "gemini")
Rows = list[dict[str, Any]]


_PLAIN: dict[str, dict[str, bytes]] = {}


def plain(many: Path, typed: Typed, kind: str) -> dict[str, bytes]:
    """The data of a run with nothing unusual, which is made once for each provider."""
    if kind not in _PLAIN:
        _PLAIN[kind] = whole(many, typed, kind)
    return _PLAIN[kind]


class Bent(BatchServer):
    """A provider whose results of the first batch are bent.

    Attributes:
        bend: from the results as documented to those that are sent.
    """

    bend: Callable[[bytes], bytes] = staticmethod(lambda body: body)

    def _done(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        usual = super()._done(method, path, headers, body)
        if method == "GET" and re.search(RESULTS, path.partition("?")[0]) and len(self.made) == 1:
            assert isinstance(usual.body, bytes)
            return Answer(self.bend(usual.body))
        return usual


def by_rows(change: Callable[[Rows], Rows]) -> Callable[[bytes], bytes]:
    """A change of the results, line by line."""

    def bend(body: bytes) -> bytes:
        rows = change([json.loads(line) for line in body.splitlines()])
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    return bend


def named(row: dict[str, Any], id: str) -> dict[str, Any]:
    """A row with another id."""
    key = "key" if "key" in row else "custom_id"
    own = str(row[key]).rpartition("-")[0]
    return {**row, key: id.replace("OWN", own)}


def failed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the same request, which says that it failed."""
    if "key" in row:
        return {"key": row["key"], "error": {"code": 13, "message": "Internal"}}
    error = {"type": "api_error", "message": "Internal"}
    return {
        "custom_id": row["custom_id"],
        "result": {"type": "errored", "error": {"type": "error", "error": error}},
        "response": {"status_code": 500, "body": {"error": error}},
    }


def crowded(rows: Rows) -> Rows:
    """The rows in another order, and with them: a row twice, failures of two that have replies, other ids."""
    others = [named(rows[0], id) for id in ("x-1", "OWN-999", "OWN-²")]
    return [failed(rows[0]), *others, *rows[::-1], rows[1], failed(rows[2])]


def as_in_windows(body: bytes) -> bytes:
    """With a mark at the beginning, its ends of lines, and none at the last one."""
    return b"\xef\xbb\xbf" + body.replace(b"\n", b"\r\n").rstrip()


@pytest.mark.parametrize("kind", KINDS)
def test_results_with_a_reply_to_each_request(many: Path, typed: Typed, kind: str) -> None:
    """None is asked again, and the data are the same, whatever else the results have."""
    server = Bent(kind)
    server.bend = lambda body: as_in_windows(by_rows(crowded)(body))
    with server:
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == plain(many, typed, kind)


NO_ROWS = (
    b"<html>Sign in</html>\n",
    b"[]\n",
    b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    b'{"a": "\xff"}\n',
)


@pytest.mark.parametrize("kind", KINDS)
def test_lines_that_are_whole_are_taken_in_before_the_run_stops(
    many: Path, typed: Typed, impatient: None, kind: str
) -> None:
    """The message names the first broken line; the next start takes the replies that are not here yet."""
    server = Bent(kind)

    def bend(body: bytes) -> bytes:
        lines = body.splitlines(keepends=True)
        lines[5 : 5 + len(NO_ROWS)] = NO_ROWS
        return b"".join(lines)

    server.bend = bend
    with server:
        said = done(typed, *at(server), status=1)
        assert "line 6 of the results of the batch is not a JSON object" in said
        assert "What is whole is taken in" in said and "model.batch_lost=ask_again" in said
        verified = done(typed, "verify", "run")
        assert f"{COUNT - len(NO_ROWS)} replies" in verified and "is open at the provider of" in verified
        server.bend = lambda body: body
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == plain(many, typed, kind)


PARTS: tuple[Any, ...] = ({"error": {"message": "Overloaded", "code": 503}}, {}, None, "hello", [1])


def emptied(rows: Rows) -> Rows:
    """The first rows have something else where the reply is, though they say that all went well."""
    found = []
    for row, part in zip(rows, PARTS, strict=False):
        if "key" in row:
            found.append({"key": row["key"], "response": part})
        elif "result" in row:
            found.append({"custom_id": row["custom_id"], "result": {"type": "succeeded", "message": part}})
        else:
            found.append({"custom_id": row["custom_id"], "response": {"status_code": "200", "body": part}})
    texts = {"result": "x", "response": None, "error": "y"}
    wrong = {"result": {"type": "errored", "error": "oops"}, "response": "x", "error": [2]}
    found += [{**rows[len(PARTS)], **texts}, {**rows[len(PARTS) + 1], **wrong}]
    return found + rows[len(found) :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_success_without_a_reply_is_asked_again(many: Path, typed: Typed, kind: str) -> None:
    """Those requests alone; the line says how many they are, and why."""
    server = Bent(kind)
    server.bend = by_rows(emptied)
    many_ = len(PARTS) + 2
    with server:
        said = done(typed, *at(server))
        assert f"no reply to {many_} of {COUNT} requests; the first reason:" in said
        assert server.counts == [COUNT, many_]
    assert data(many / "run") == plain(many, typed, kind)


class Says(BatchServer):
    """A provider that says something else about its batches.

    Attributes:
        says: changes what it says about a batch that is over.
    """

    says: Callable[[dict[str, Any]], None] = staticmethod(lambda batch: None)

    def _done(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        usual = super()._done(method, path, headers, body)
        if isinstance(usual.body, dict) and re.search(r"batches/[^/?]+$", path.partition("?")[0]):
            self.says(usual.body)
        return usual


def counts(value: Any) -> Callable[[dict[str, Any]], None]:
    """Other counts of requests."""

    def says(batch: dict[str, Any]) -> None:
        if batch.get("status") == "completed" or batch.get("processing_status") == "ended":
            batch["request_counts"] = value
        batch.get("metadata", {}).update({"batchStats": value} if batch.get("done") else {})

    return says


MORE = {"total": 99, "completed": 99, "succeeded": 99, "requestCount": "99", "successfulRequestCount": "99"}
COUNTS = {"more": MORE, "words": {"total": "many", "completed": "all", "requestCount": None}}


@pytest.mark.parametrize("value", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("kind", KINDS)
def test_counts_that_do_not_match(many: Path, typed: Typed, impatient: None, kind: str, value: Any) -> None:
    """If each request has its reply, the provider's own count does not matter."""
    server = Says(kind)
    server.says = counts(value)
    with server:
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == plain(many, typed, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_is_over_and_has_no_results(
    many: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """They may be paid for, so the run stops and does not ask again by itself; later they may be there."""
    monkeypatch.setattr("selfinstruct.llm.batch.follow.LONGEST_UNWHOLE", 0.2)
    server = Says(kind)

    def says(batch: dict[str, Any]) -> None:
        batch.update({key: None for key in ("output_file_id", "results_url", "response") if key in batch})

    server.says = says
    with server:
        said = done(typed, *at(server), status=1)
        assert "does not have the results of batch" in said and "model.batch_lost=ask_again" in said
        server.says = lambda batch: None
        done(typed, *at(server))
        assert server.counts == [COUNT]
    assert data(many / "run") == plain(many, typed, kind)


def test_an_archived_batch_is_not_asked_again_by_itself(many: Path, typed: Typed) -> None:
    """Anthropic archives a batch after some weeks; then it has no results, and it was paid for."""
    server = Says("anthropic")
    server.says = lambda batch: batch.update(results_url=None, archived_at="2026-01-30T00:00:00Z")
    with server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("selfinstruct.llm.batch.follow.YOUNG", 0.0)
            said = done(typed, *at(server), status=1)
        assert "does not have the batch" in said and server.counts == [COUNT]


@pytest.mark.parametrize("moment", ["soon", 1.0e300, []])
def test_a_time_that_is_none(many: Path, typed: Typed, moment: Any) -> None:
    """The line about the batch leaves it out."""
    server = Says("openai")
    server.says = lambda batch: batch.update(expires_at=moment)
    with server:
        done(typed, *at(server))
    assert len((many / "run/answers.jsonl").read_text().splitlines()) == COUNT
