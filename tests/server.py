"""A model's server on this machine that does as a script says, right or wrong.

It speaks OpenAI's `/v1/chat/completions` and `/v1/completions` over real HTTP on a free port of 127.0.0.1,
keeps every request it got, and measures how many it had in hand at once:

    with ModelServer([status(500), text("a reply")]) as server:
        ...  # ask server.base
        assert server.asked[0].prompt == "..."

A script is a list, whose last answer serves from then on, or a function from a request to an answer.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
LONGEST_HANG = 30.0


@dataclass(frozen=True)
class Asked:
    """A request as it arrived.

    Attributes:
        number: its place among all requests to this server, from 1.
        path: what was asked for.
        headers: its headers, their names in lower case.
        body: what was sent.
        at: when it arrived, in seconds of the monotonic clock.
    """

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float

    @property
    def prompt(self) -> str:
        """The text to complete, or the last message."""
        return str(self.body["messages"][-1]["content"] if self.path == CHAT else self.body["prompt"])


@dataclass(frozen=True)
class Answer:
    """What the server does with a request.

    Attributes:
        body: a reply's text, or a whole body as JSON; bytes go as they are.
        status: the HTTP status.
        headers: further headers.
        finish_reason: why the text ended.
        delay: seconds to wait first.
        drop: close the connection without a word.
    """

    body: str | bytes | dict[str, Any] = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    delay: float = 0.0
    drop: bool = False


Script = Sequence[Answer] | Callable[[Asked], Answer]


def text(reply: str, finish_reason: str = "stop", delay: float = 0.0) -> Answer:
    """A good reply."""
    return Answer(reply, finish_reason=finish_reason, delay=delay)


def status(code: int, words: str = "out of order", **headers: str) -> Answer:
    """A failure; a header's name is written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failure(code, words, "server_error" if code >= 500 else "refused", headers=named)


def failure(
    status: int, words: str, type: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """A failure in the form OpenAI gives it."""
    error = {"message": words, "type": type, "param": None, "code": code}
    return Answer({"error": error}, status, headers or {})


def bad_key(words: str = "Incorrect API key provided: sk-no***key.") -> Answer:
    """401, as OpenAI says it."""
    return failure(401, words, "invalid_request_error", "invalid_api_key")


def no_money() -> Answer:
    """429, but for want of money."""
    words = "You exceeded your current quota, please check your plan and billing details."
    return failure(429, words, "insufficient_quota", "insufficient_quota")


def too_long() -> Answer:
    """400, as the prompt is longer than the model takes."""
    words = "This model's maximum context length is 4096 tokens. However, you asked for 5000 tokens."
    return failure(400, words, "invalid_request_error", "context_length_exceeded")


def refused() -> Answer:
    """400, as the provider does not like the prompt."""
    words = "Your request was rejected as a result of our safety system."
    return failure(400, words, "invalid_request_error", "content_policy_violation")


def hang() -> Answer:
    """No answer, for as long as the server lives."""
    return Answer(delay=LONGEST_HANG)


def dropped() -> Answer:
    """The connection closed without an answer."""
    return Answer(drop=True)


def no_json() -> Answer:
    """A body that is not JSON, as a proxy before the server might send."""
    return Answer(b"<html><body>It works!</body></html>", headers={"Content-Type": "text/html"})


def no_choices() -> Answer:
    """A reply without a choice."""
    return Answer({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": []})


class ModelServer:
    """The server, from entering it as a context to leaving it.

    Args:
        script: what to answer.

    Attributes:
        asked: the requests so far.
        most_at_once: the most requests it had in hand at once.
    """

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._script = script
        self._in_hand = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Listener(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def base(self) -> str:
        """What `model.api_base` is to be."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was sent, request by request."""
        return [asked.body for asked in self.asked]

    @property
    def prompts(self) -> list[str]:
        """What was asked, request by request."""
        return [asked.prompt for asked in self.asked]

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def take(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> tuple[Asked, Answer]:
        """Note a request, and find its answer; used by the server alone, as is `leave`."""
        with self._lock:
            self._in_hand += 1
            self.most_at_once = max(self.most_at_once, self._in_hand)
            asked = Asked(len(self.asked) + 1, path, headers, body, time.monotonic())
            self.asked.append(asked)
        answer = self._answer(asked)
        self._closing.wait(answer.delay)
        return asked, answer

    def leave(self) -> None:
        """A request is out of hand."""
        with self._lock:
            self._in_hand -= 1

    def _answer(self, asked: Asked) -> Answer:
        if asked.path not in (CHAT, COMPLETION):
            return status(404, f"there is no {asked.path} here")
        if callable(self._script):
            return self._script(asked)
        return self._script[min(asked.number, len(self._script)) - 1]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, server: ModelServer) -> None:
        self.server_of_models = server
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_POST(self) -> None:
        """Answer by the script."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked, answer = self.server.server_of_models.take(self.path, headers, body)
        self.server.server_of_models.leave()
        if answer.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(answer, _content(asked, answer))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _send(self, answer: Answer, content: bytes) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _content(asked: Asked, answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    body = answer.body
    if isinstance(body, str):
        body = _completion(asked, body, answer.finish_reason)
    return json.dumps(body).encode()


def _completion(asked: Asked, reply: str, finish_reason: str) -> dict[str, Any]:
    """A reply in OpenAI's form; a word counts as a token."""
    chat = asked.path == CHAT
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish_reason}
    choice.update({"message": {"role": "assistant", "content": reply}} if chat else {"text": reply})
    sent, said = len(asked.prompt.split()), len(reply.split())
    return {
        "id": f"reply-{asked.number}",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": str(asked.body["model"]),
        "choices": [choice],
        "usage": {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said},
    }
