"""A model's server on this machine that does as a script says, right or wrong.

It speaks OpenAI's `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings` over real HTTP on a free
port of 127.0.0.1, keeps every request it got, and measures how many it had in hand at once:

    with ModelServer([status(500), text("a reply")]) as server:
        ...  # ask server.base
        assert server.asked[0].prompt == "..."

A script is a list, whose last answer serves from then on, or a function from a request to an answer.
`by_prompt` is one that knows the paper's pipeline; `Faulty` makes a share of another one's answers go wrong.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any, Literal

CHAT, COMPLETION, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
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
        """The text to complete, the last message, or the texts to embed."""
        if self.path == EMBEDDINGS:
            return "\n".join(self.body["input"])
        if "contents" in self.body:  # Gemini's form
            return str(self.body["contents"][-1]["parts"][-1]["text"])
        if "messages" not in self.body:
            return str(self.body["prompt"])
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else str(content[-1]["text"])  # Anthropic's form


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
        trickle: seconds between two of twenty pieces in which the body is sent.
        cut: send half of the body and close the connection, the whole length or chunks having been announced.
        wire: sends the answer in a way of its own, given the connection and the body; it is closed then.
    """

    body: str | bytes | dict[str, Any] = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    delay: float = 0.0
    drop: bool = False
    trickle: float = 0.0
    cut: Literal["length", "chunks"] | None = None
    wire: Callable[[socket.socket, bytes], None] | None = None


Script = Sequence[Answer] | Callable[[Asked], Answer]


def text(reply: str, finish_reason: str = "stop", delay: float = 0.0) -> Answer:
    """A good reply."""
    return Answer(reply, finish_reason=finish_reason, delay=delay)


def vectors(asked: Asked, of: Callable[[str], Sequence[float]], delay: float = 0.0) -> Answer:
    """The vectors of the texts that were asked about, by a rule; a word counts as a token."""
    texts = asked.body["input"]
    rows = [
        {"object": "embedding", "index": place, "embedding": [*of(text)]} for place, text in enumerate(texts)
    ]
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    body = {"object": "list", "data": rows, "model": asked.body["model"], "usage": usage}
    return Answer(body, delay=delay)


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


def slower(seconds: str | float | None = None) -> Answer:
    """429; with `Retry-After` where seconds are given, as they are given."""
    headers = {} if seconds is None else {"Retry_After": str(seconds)}
    return status(429, "Rate limit reached, go slower.", **headers)


def slower_until(seconds: float) -> Answer:
    """429 with `Retry-After` as a date, so many seconds from now."""
    return slower(formatdate(time.time() + seconds, usegmt=True))


def half(whole: Answer, announced: Literal["length", "chunks"] = "length") -> Answer:
    """Half of an answer's body, and the connection closed."""
    return replace(whole, cut=announced)


def by_prompt(asked: Asked) -> Answer:
    """Answers the paper's pipeline; the same prompt has the same reply, whenever and however often it comes.

    The words are drawn by the prompt. Some instructions and instances are of the kinds that filters reject.
    """
    rng = Random(asked.prompt)
    if asked.prompt.endswith("\n9."):
        return text("\n".join(f"{n}." * (n > 9) + f" {_instruction(rng)}" for n in range(9, 14)))
    if asked.prompt.endswith("labels?"):
        return text(rng.choice([" Yes", " No", " No"]))
    if asked.prompt.startswith("Name a class label"):
        pairs = [f"Class label: {_words(rng, 1)}\nSentence: {_words(rng, 5)}." for _ in range(3)]
        return text("\n".join(pairs))
    outputs = [_words(rng, rng.randint(0, 6)) for _ in range(2)]
    pairs = [f"Example {n}\nThing: {_words(rng, 4)}\nOutput: {outputs[n]}" for n in range(2)]
    return text("\n".join(pairs))


def unhurried(asked: Asked) -> Answer:
    """`by_prompt` at a server's pace; one prompt in twelve takes so long that others overtake its reply."""
    rng = Random(f"{asked.prompt} pace")
    return replace(by_prompt(asked), delay=2.0 if rng.random() < 0.08 else rng.uniform(0.02, 0.3))


def _instruction(rng: Random) -> str:
    banned = "in an image " if rng.random() < 0.1 else ""
    return f"Explain {banned}{_words(rng, rng.randint(1, 9))}."


def _words(rng: Random, count: int) -> str:
    """Words that no language has, so that texts are near each other only where they are meant to be."""
    syllables = ("ba", "do", "fi", "gu", "ke", "lo", "mi", "na", "po", "ru", "se", "ti", "vo", "wa", "zu")
    return " ".join("".join(rng.choices(syllables, k=3)) for _ in range(count))


class Faulty:
    """A script that answers a share of what arrives with a fault, and the rest as another script does.

    Whether the nth arrival of a prompt goes wrong, and how, depends on the seed, the prompt and n alone, and
    not on timing.

    Args:
        script: answers what does not go wrong, by the prompt alone.
        seed: another one makes other faults.
        share: of the arrivals that go wrong.
        in_a_row: a prompt goes wrong so often in a row at most.

    Attributes:
        counts: the faults so far, by kind.
        arrivals: how often each prompt came.
    """

    KINDS: Mapping[str, Callable[[Answer], Answer]] = {
        "429": lambda good: slower(),
        "429, seconds": lambda good: slower(1),
        "429, part of a second": lambda good: slower(0.2),
        "429, date": lambda good: slower_until(1),
        "500": lambda good: status(500),
        "503": lambda good: status(503, "overloaded"),
        "hang": lambda good: hang(),
        "dropped": lambda good: dropped(),
        "no JSON": lambda good: no_json(),
        "half of a length": lambda good: half(good, "length"),
        "half of the chunks": lambda good: half(good, "chunks"),
        "no choices": lambda good: no_choices(),
    }

    def __init__(
        self, script: Callable[[Asked], Answer], seed: int, share: float = 0.3, in_a_row: int = 3
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.arrivals: Counter[str] = Counter()
        self._script, self._seed, self._share, self._in_a_row = script, seed, share, in_a_row
        self._row: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request."""
        good, prompt = self._script(asked), asked.prompt
        with self._lock:
            self.arrivals[prompt] += 1
            rng = Random(f"{self._seed}/{prompt}/{self.arrivals[prompt]}")
            if rng.random() >= self._share or self._row[prompt] == self._in_a_row:
                self._row[prompt] = 0
                return good
            kind = rng.choice(list(self.KINDS))
            self._row[prompt] += 1
            self.counts[kind] += 1
        return self.KINDS[kind](good)


class ModelServer:
    """The server, from entering it as a context to leaving it.

    Args:
        script: what to answer.
        anywhere: whether it answers on every path, as for a provider with a form of its own.

    Attributes:
        asked: the requests so far.
        answered: when the answer to each request, right or wrong, had been sent whole, by its number.
        most_at_once: the most requests it had in hand at once.
    """

    def __init__(self, script: Script, anywhere: bool = False) -> None:
        self._anywhere = anywhere
        self.asked: list[Asked] = []
        self.answered: dict[int, float] = {}
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
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def in_hand(self) -> int:
        """The requests in hand now; while a script answers one, it counts too."""
        return self._in_hand

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was sent, request by request."""
        return [asked.body for asked in self.asked]

    @property
    def prompts(self) -> list[str]:
        """What was asked, request by request."""
        return [asked.prompt for asked in self.asked]

    @property
    def port(self) -> int:
        """The port of 127.0.0.1."""
        return self._http.server_port

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS; before it starts."""
        self._http.socket = context.wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )

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
        if asked.path not in (CHAT, COMPLETION, EMBEDDINGS) and not self._anywhere:
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
        if answer.wire:
            self.close_connection = True
            answer.wire(self.connection, _content(asked, answer))
            return
        if answer.cut:
            self._send_half(answer, _content(asked, answer))
            return
        self._send(answer, _content(asked, answer))
        self.server.server_of_models.answered[asked.number] = time.monotonic()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _send(self, answer: Answer, content: bytes) -> None:
        self._head(answer, "Content-Length", str(len(content)))
        step = -(-len(content) // 20) if answer.trickle else len(content)
        for start in range(0, len(content), max(1, step)):
            self.wfile.write(content[start : start + step])
            time.sleep(answer.trickle)

    def _send_half(self, answer: Answer, content: bytes) -> None:
        part = content[: len(content) // 2]
        if answer.cut == "length":
            self._head(answer, "Content-Length", str(len(content)))
            self.wfile.write(part)
        else:
            self._head(answer, "Transfer-Encoding", "chunked")
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _head(self, answer: Answer, *how_long: str) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header(*how_long)
        self.end_headers()


def _content(asked: Asked, answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    body = answer.body
    if isinstance(body, str):
        body = completion(asked, body, answer.finish_reason)
    return json.dumps(body).encode()


def completion(asked: Asked, reply: str, finish_reason: str) -> dict[str, Any]:
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
