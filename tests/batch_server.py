"""A provider on this machine that answers in batches, in the forms of OpenAI, Azure, Anthropic and Gemini.

    with BatchServer("openai") as server:
        ...  # ask server.base with the key KEY
        assert server.counts == [30]

It also answers one request at once, with the same reply. The shapes are from the pages that the modules of
`selfinstruct/llm/batch` name; those of the single replies are in `provider_forms`. A batch goes one state
further each time it is looked at. Results are in another order than the requests.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server import Answer, Asked, completion, failure

KEY = "sk-batch-0123456789"
NAMES = {
    "openai": "openai/gpt-4o-mini",
    "azure": "azure/gpt-4o-mini",
    "anthropic": "anthropic/claude-haiku-4-5",
    "gemini": "gemini/gemini-2.5-flash",
}
STATES = ("validating", "in_progress", "finalizing", "completed")
LIVE = ("validating", "in_progress", "finalizing")
CUT, REFUSED, BROKEN = "cut", "refused", "broken"  # how a line ends without a reply: see `BatchServer.fate`
DAY = 86_400
ENQUEUED = (
    "Enqueued token limit reached for gpt-4o-mini in organization org-1. Limit: 2,000,000 enqueued tokens. "
    "Please try again once some in_progress batches have been completed."
)
FULL = "The requests in your organization's batches exceed its limit of requests in the processing queue."
EXHAUSTED = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)


class Gone(Exception):
    """The server does what it is asked, but the connection ends before the answer, or in its middle."""


@dataclass
class Made:
    """A batch: its requests by id, and how far it is."""

    id: str
    lines: dict[str, dict[str, Any]]
    states: list[str]
    name: str = ""
    file: str = ""
    error: str = ""
    code: str = "invalid_json_line"
    made: float = field(default_factory=time.time)
    looks: int = 0

    @property
    def state(self) -> str:
        """Its state now."""
        return self.states[min(self.looks, len(self.states) - 1)]


class BatchServer:
    """The provider, from entering it as a context to leaving it.

    Args:
        kind: the provider whose form it speaks.
        states: the states of a batch, one for each look; the last stays.
        fate: by prompt, how its line ends without a reply: `CUT` (the batch ended before it), `REFUSED` (by
            a content filter), `BROKEN` (the server failed); None for a reply. Gets the number of the batch.
        wrong: why each batch is refused as a whole.
        late: looks after the end at which the results are there.
        room: the most requests that may wait in its queue; any number if it is None.

    Attributes:
        made: the batches.
        files: the contents of the files, by id.
        asked: method and path of each request.
        gone: the requests, by method and a part of the path, whose answers get lost once.
        others: how many requests of others wait in its queue, by how often it was full so far.
        full: how often there was no room for a batch.
        held: by method and a part of the path, what must be set before the answer is sent.
        at_once: the prompts that were asked one by one.
        clock: the seconds by which its clock is ahead of ours; negative if it is behind.
    """

    clock = 0.0

    def __init__(
        self,
        kind: str,
        states: tuple[str, ...] = STATES,
        fate: Callable[[str, int], str | None] = lambda prompt, batch: None,
        wrong: str = "",
        late: int = 1,
        room: int | None = None,
    ) -> None:
        self.kind, self._states, self._fate, self._wrong, self._late = kind, states, fate, wrong, late
        self.made: list[Made] = []
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.at_once: list[str] = []
        self.gone: list[tuple[str, str]] = []
        self.held: dict[tuple[str, str], threading.Event] = {}
        self.room, self.full = room, 0
        self.others: Callable[[int], int] = lambda full: 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def base(self) -> str:
        """What `model.api_base` is to be."""
        end = {"openai": "/v1", "gemini": "/v1beta"}.get(self.kind, "")
        return f"http://127.0.0.1:{self._http.server_port}{end}"

    @property
    def counts(self) -> list[int]:
        """How many requests each batch has."""
        return [len(one.lines) for one in self.made]

    @property
    def accepted(self) -> list[Made]:
        """The batches that were not refused as a whole."""
        return [one for one in self.made if not one.error]

    @property
    def repeats(self) -> int:
        """How many requests were paid for twice: each prompt and seed is asked once in these tests."""
        asked = Counter(
            json.dumps(body, sort_keys=True) for one in self.accepted for body in one.lines.values()
        )
        return sum(asked.values()) - len(asked)

    def count(self, method: str, part: str) -> int:
        """How many requests of a kind came."""
        return sum(way == method and part in path for way, path in self.asked)

    def __enter__(self) -> BatchServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for event in self.held.values():
            event.set()
        self._http.shutdown()
        self._http.server_close()

    def text(self, prompt: str) -> str:
        """The text of the reply to a prompt."""
        return f"Idea {sha256(prompt.encode()).hexdigest()[:12]} about the harbour"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Do what is asked; raises `Gone` if the answer is to get lost."""
        with self._lock:
            self.asked.append((method, path))
            lost = next((one for one in self.gone if one[0] == method and one[1] in path), None)
            if lost:
                self.gone.remove(lost)
            found = self._done(method, path, headers, body)
        for (way, part), event in list(self.held.items()):
            if way == method and part in path:
                event.wait(30)
        if lost:
            raise Gone
        return found

    def _done(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if KEY not in (
            given,
            headers.get("api-key"),
            headers.get("x-api-key"),
            headers.get("x-goog-api-key"),
        ):
            return failure(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        place, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        if method == "POST" and place.endswith(("/chat/completions", "/messages", ":generateContent")):
            prompt = Asked(0, place, headers, json.loads(body), 0).prompt
            self.at_once.append(prompt)
            if self._fate(prompt, -1) == REFUSED:
                return Answer(_refusal(self.kind), 400)
            return Answer(self._reply(json.loads(body)))
        act = {"anthropic": self._anthropic, "gemini": self._gemini}.get(self.kind, self._openai)
        found = act(method, place, query, headers, body)
        return found or failure(404, f"No such thing: {method} {place}", "invalid_request_error")

    # OpenAI and Azure

    def _openai(
        self, method: str, place: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> Answer | None:
        root = "/v1" if self.kind == "openai" else "/openai"
        if not place.startswith(f"{root}/") or (root == "/openai") != ("api-version" in query):
            return None
        parts = place.removeprefix(root).strip("/").split("/")
        if (method, parts) == ("POST", ["files"]):
            id = f"file-{len(self.files) + 1}"
            self.files[id] = _of_form(headers, body)
            return Answer({"id": id, "object": "file", "purpose": "batch", "status": "processed"})
        if method == "GET" and parts[0] == "files" and parts[1] in self.files:
            if parts[2:] == ["content"]:
                return Answer(self.files[parts[1]])
            return Answer({"id": parts[1], "object": "file", "purpose": "batch", "status": "processed"})
        if (method, parts) == ("POST", ["batches"]):
            asked = json.loads(body)
            assert asked["completion_window"] == "24h"
            url = "/v1/chat/completions" if self.kind == "openai" else "/chat/completions"
            assert asked["endpoint"] == url
            rows = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
            assert {(row["method"], row["url"]) for row in rows} == {("POST", url)}
            lines = {row["custom_id"]: row["body"] for row in rows}
            return Answer(self._as_openai(self._make("batch_", lines, file=asked["input_file_id"])))
        if (method, parts) == ("GET", ["batches"]):
            return Answer(
                {"object": "list", "data": [*map(self._as_openai, self.made[::-1])], "has_more": False}
            )
        if method == "GET" and parts[0] == "batches":
            made = self._look(parts[1])
            return Answer(self._as_openai(made)) if made else None
        return None

    def _as_openai(self, made: Made) -> dict[str, Any]:
        over = made.state not in LIVE
        there = over and made.state != "failed" and made.looks >= len(made.states) - 1 + self._late
        good, bad = self._ends(made) if over and made.state != "failed" else ({}, {})
        error: dict[str, Any] = {"code": made.code, "message": made.error, "line": None}
        output = there and good and f"out-{made.id}"
        errors = there and bad and f"err-{made.id}"
        if output:
            self.files[output] = _rows({"custom_id": id, **_openai_row(body)} for id, body in good.items())
        if errors:
            self.files[errors] = _rows({"custom_id": id, **_openai_error(how)} for id, how in bad.items())
        cut = sum(how == CUT for how in bad.values())
        return {
            "id": made.id,
            "object": "batch",
            "status": made.state,
            "input_file_id": made.file,
            "output_file_id": output or None,
            "error_file_id": errors or None,
            "errors": {"object": "list", "data": [error]} if made.state == "failed" else None,
            "created_at": int(made.made),
            "expires_at": int(made.made) + DAY,
            "request_counts": {"total": len(made.lines), "completed": len(good), "failed": len(bad) - cut},
        }

    # Anthropic

    def _anthropic(
        self, method: str, place: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> Answer | None:
        root = "/v1/messages/batches"
        parts = place.removeprefix(root).strip("/").split("/")
        if not place.startswith(root) or "anthropic-version" not in headers:
            return None
        if method == "POST" and parts == [""]:
            if self._wrong:
                return failure(400, self._wrong, "invalid_request_error")
            lines = {row["custom_id"]: row["params"] for row in json.loads(body)["requests"]}
            assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id) for id in lines)
            if self._no_room(len(lines)):
                return failure(429, FULL, "rate_limit_error")
            return Answer(self._as_anthropic(self._make("msgbatch_", lines)))
        if parts == [""]:
            for one in self.made:  # they go on by themselves
                one.looks += 1
            rows = [*map(self._as_anthropic, self.made[::-1])]
            return Answer({"data": rows, "has_more": False, "last_id": rows[-1]["id"] if rows else None})
        made = self._find(parts[0]) if parts[1:] else self._look(parts[0])
        if made is None:
            return None
        if parts[1:] == ["results"]:
            good, bad = self._ends(made)
            rows = [
                {"custom_id": id, "result": {"type": "succeeded", "message": body}}
                for id, body in good.items()
            ]
            rows += [{"custom_id": id, "result": _anthropic_error(how)} for id, how in bad.items()]
            return Answer(_rows(self._mixed(rows)))
        return Answer(self._as_anthropic(made))

    def _as_anthropic(self, made: Made) -> dict[str, Any]:
        over = made.state not in LIVE
        good, bad = self._ends(made) if over else ({}, {})
        url = f"{self.base}/v1/messages/batches/{made.id}/results"
        return {
            "id": made.id,
            "type": "message_batch",
            "processing_status": "ended" if over else "in_progress",
            "request_counts": {
                "processing": len(made.lines) - len(good) - len(bad),
                "succeeded": len(good),
                "errored": sum(how != CUT for how in bad.values()),
                "expired": sum(how == CUT for how in bad.values()),
                "canceled": 0,
            },
            "created_at": _iso(made.made),
            "expires_at": _iso(made.made + DAY),
            "results_url": url if over else None,
        }

    # Gemini

    def _gemini(
        self, method: str, place: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> Answer | None:
        if (method, place) == ("POST", "/upload/v1beta/files"):
            if headers.get("x-goog-upload-command") == "start":
                assert headers["x-goog-upload-protocol"] == "resumable"
                url = self.base.removesuffix("/v1beta") + "/upload/v1beta/files?upload_id=1"
                return Answer({}, headers={"X-Goog-Upload-URL": url})
            id = f"files/{len(self.files) + 1}"
            self.files[id] = body
            return Answer({"file": {"name": id, "state": "ACTIVE"}})
        if method == "POST" and place.endswith(":batchGenerateContent"):
            batch = json.loads(body)["batch"]
            rows = [json.loads(line) for line in self.files[batch["input_config"]["file_name"]].splitlines()]
            lines = {row["key"]: row["request"] for row in rows}
            if self._no_room(len(lines)):
                error = {"code": 429, "message": EXHAUSTED, "status": "RESOURCE_EXHAUSTED"}
                return Answer({"error": error}, 429)
            return Answer(self._as_gemini(self._make("batches/", lines, name=batch["display_name"])))
        if place == "/v1beta/batches":
            return Answer({"operations": [*map(self._as_gemini, self.made[::-1])]})
        if place.startswith("/v1beta/batches/"):
            made = self._look(place.removeprefix("/v1beta/"))
            return Answer(self._as_gemini(made)) if made else None
        if place.startswith("/v1beta/files/"):
            return Answer({"name": place.removeprefix("/v1beta/"), "state": "ACTIVE"})
        found = re.fullmatch(r"/download/v1beta/(files/.+):download", place)
        if found and query.get("alt") == ["media"]:
            return Answer(self.files[found[1]])
        return None

    def _as_gemini(self, made: Made) -> dict[str, Any]:
        state = {"validating": "PENDING", "completed": "SUCCEEDED"}.get(made.state, made.state.upper())
        state = "RUNNING" if made.state in LIVE and state != "PENDING" else state
        over, there = made.state not in LIVE, made.looks >= len(made.states) - 1 + self._late
        good, bad = self._ends(made) if over and state == "SUCCEEDED" else ({}, {})
        place = f"files/out-{made.id.rpartition('/')[2]}"
        rows = [{"key": id, "response": body} for id, body in good.items()]
        rows += [{"key": id, "error": _GEMINI_ERRORS[how]} for id, how in bad.items()]
        self.files[place] = _rows(self._mixed(rows))
        stats = {"requestCount": str(len(made.lines)), "successfulRequestCount": str(len(good))}
        return {
            "name": made.id,
            "metadata": {
                "state": f"BATCH_STATE_{state}",
                "displayName": made.name,
                "createTime": _iso(made.made),
                "batchStats": stats,
            },
            **({"done": True} if over else {}),
            **({"error": {"code": 3, "message": made.error}} if state == "FAILED" else {}),
            **({"response": {"responsesFile": place}} if state == "SUCCEEDED" and there else {}),
        }

    # What they share

    def _make(self, prefix: str, lines: dict[str, Any], name: str = "", file: str = "") -> Made:
        made = Made(f"{prefix}{len(self.made) + 1}", lines, list(self._states), name, file)
        if self._wrong:
            made.error, made.states = self._wrong, ["validating", "failed"]
        elif self.kind in ("openai", "azure") and self._no_room(len(lines)):
            made.error, made.code, made.states = ENQUEUED, "token_limit_exceeded", ["validating", "failed"]
        made.made += self.clock
        self.made.append(made)
        return made

    def _no_room(self, count: int) -> bool:
        """Whether so many more requests are too many; counts it if they are."""
        waiting = sum(len(one.lines) for one in self.accepted if one.state in LIVE)
        if self.room is None or waiting + count + self.others(self.full) <= self.room:
            return False
        self.full += 1
        return True

    def _find(self, id: str) -> Made | None:
        return next((one for one in self.made if one.id == id), None)

    def _look(self, id: str) -> Made | None:
        made = self._find(id)
        if made:
            made.looks += 1
        return made

    def _ends(self, made: Made) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """The replies of a batch, and how its other lines end, in a mixed order."""
        good, bad = {}, {}
        for id in self._mixed(list(made.lines)):
            body = made.lines[id]
            fate = self._fate(Asked(0, "", {}, body, 0).prompt, self.made.index(made))
            if fate:
                bad[id] = fate
            else:
                good[id] = self._reply(body)
        return good, bad

    def _mixed(self, rows: list[Any]) -> list[Any]:
        return Random(1).sample(rows, len(rows))

    def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request, by its prompt alone."""
        asked = Asked(0, "", {}, body, 0)
        text = self.text(asked.prompt)
        if self.kind == "anthropic":
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 20, "output_tokens": 10},
            }
        if self.kind == "gemini":
            content = {"role": "model", "parts": [{"text": text}]}
            usage = {"promptTokenCount": 20, "candidatesTokenCount": 10, "totalTokenCount": 30}
            candidates = [{"content": content, "finishReason": "STOP", "index": 0}]
            return {"candidates": candidates, "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}
        return {
            **completion(Asked(0, "/v1/chat/completions", {}, body, 0), text, "stop"),
            "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
        }


def _refusal(kind: str) -> dict[str, Any]:
    words = "Your request was rejected as a result of our safety system."
    if kind == "anthropic":
        return {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    return {"error": {"message": words, "type": "invalid_request_error", "code": "content_policy_violation"}}


def _openai_row(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "batch_req_1",
        "response": {"status_code": 200, "request_id": "r", "body": body},
        "error": None,
    }


def _openai_error(how: str) -> dict[str, Any]:
    if how == CUT:
        error = {"code": "batch_expired", "message": "This request could not be executed in time."}
        return {"id": "batch_req_1", "response": None, "error": error}
    body = _refusal("openai") if how == REFUSED else {"error": {"message": "The server had an error."}}
    status = 400 if how == REFUSED else 500
    return {
        "id": "batch_req_1",
        "response": {"status_code": status, "request_id": "r", "body": body},
        "error": None,
    }


def _anthropic_error(how: str) -> dict[str, Any]:
    if how == CUT:
        return {"type": "expired"}
    broken = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
    return {"type": "errored", "error": _refusal("anthropic") if how == REFUSED else broken}


_GEMINI_ERRORS = {
    CUT: {"code": 1, "message": "The batch was cancelled.", "status": "CANCELLED"},
    REFUSED: {"code": 3, "message": "Prompt blocked: content_policy_violation", "status": "INVALID_ARGUMENT"},
    BROKEN: {"code": 13, "message": "Internal error encountered.", "status": "INTERNAL"},
}


def _rows(rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z")


def _of_form(headers: dict[str, str], body: bytes) -> bytes:
    """The file in a form."""
    mark = b"--" + headers["content-type"].partition("boundary=")[2].strip('"').encode()
    parts = [part.removeprefix(b"\r\n").partition(b"\r\n\r\n") for part in body.split(mark)[1:-1]]
    assert any(b'name="purpose"' in head and text.strip() == b"batch" for head, _, text in parts)
    return next(text.removesuffix(b"\r\n") for head, _, text in parts if b'name="file"' in head)


def _handler(server: BatchServer) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer as the provider does."""
            headers = {name.lower(): value for name, value in self.headers.items()}
            assert headers.get("transfer-encoding") != "chunked", "providers want to know the length"
            body = self.rfile.read(int(headers.get("content-length", 0)))
            try:
                found = server.answer(self.command, self.path, headers, body)
            except Gone:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
            self.send_response(found.status)
            sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **found.headers}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            """As `do_GET`."""
            self.do_GET()

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The time of an answer, by the provider's clock."""
            return super().date_time_string(time.time() + server.clock)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
