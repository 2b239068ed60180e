"""How a server fails: each kind is what it answers instead of a good reply, or around one."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from server import Answer, dropped, half, hang, refused, status

Body = dict[str, Any]
OK, GOOD_HEAD = "HTTP/1.1 200 OK\r\n", "Content-Type: application/json\r\nConnection: close\r\n"


@dataclass(frozen=True)
class Fault:
    """A kind of failing answer.

    Attributes:
        answer: what it makes of the body of a good reply.
        usable: whether the reply can be read all the same, and so must not be asked for again.
        slow: whether only a timeout ends it.
    """

    answer: Callable[[Body], Answer]
    usable: bool = False
    slow: bool = False


def as_json(body: Any) -> Answer:
    """A good status with this body, whatever JSON it is."""
    return Answer(json.dumps(body).encode())


def in_bytes(body: bytes, kind: str = "application/json", **headers: str) -> Answer:
    """A good status with these bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(body, headers={"Content-Type": kind, **named})


def with_keys(body: Body, **keys: Any) -> Answer:
    """A good reply with other keys."""
    return as_json({**body, **keys})


def with_usage(body: Body, usage: Any) -> Answer:
    """A good reply with another usage."""
    return with_keys(body, usage=usage)


def counted(body: Body, number: str) -> Answer:
    """A good reply whose numbers of tokens are this JSON."""
    usage = dict.fromkeys(body["usage"], "NUMBER")
    return in_bytes(json.dumps({**body, "usage": usage}).replace('"NUMBER"', number).encode())


def with_text(body: Body, text: Any) -> Answer:
    """A reply with another text."""
    (choice,) = body["choices"]
    if "message" in choice:
        return with_keys(body, choices=[{**choice, "message": {"role": "assistant", "content": text}}])
    return with_keys(body, choices=[{**choice, "text": text}])


def with_choice(body: Body, **keys: Any) -> Answer:
    """A reply with other keys of its choice; None leaves a key out."""
    choice = {key: value for key, value in {**body["choices"][0], **keys}.items() if value is not None}
    return with_keys(body, choices=[choice])


def without_message(body: Body) -> Answer:
    """A choice with nothing in it."""
    return with_keys(body, choices=[{"index": 0, "finish_reason": "stop"}])


def by_wire(send: Callable[[socket.socket, bytes], None]) -> Callable[[Body], Answer]:
    """A good reply that is sent in a way of its own."""
    return lambda body: Answer(body, wire=send)


def head(length: int, extra: str = "") -> bytes:
    """The head of a good answer."""
    return f"{OK}{GOOD_HEAD}{extra}Content-Length: {length}\r\n\r\n".encode("latin-1")


def reset(connection: socket.socket, content: bytes) -> None:
    """Half of the body, then RST."""
    connection.sendall(head(len(content)) + content[: len(content) // 2])
    reset_before_a_byte(connection, content)


def reset_before_a_byte(connection: socket.socket, content: bytes) -> None:
    """RST, and nothing before it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def stall(connection: socket.socket, content: bytes) -> None:
    """Half of the body, then nothing."""
    connection.sendall(head(len(content)) + content[: len(content) // 2])
    _until_gone(connection, lambda: b"")


def trickle(connection: socket.socket, content: bytes) -> None:
    """A space at a time, for ever."""
    connection.sendall(f"{OK}{GOOD_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
    _until_gone(connection, lambda: b"1\r\n \r\n")


def trickle_head(connection: socket.socket, content: bytes) -> None:
    """A head that never ends, a line at a time."""
    connection.sendall(OK.encode())
    _until_gone(connection, lambda: b"X-More: 1\r\n")


def _until_gone(connection: socket.socket, piece: Callable[[], bytes]) -> None:
    """Send pieces until the client goes away, half a minute at most."""
    connection.settimeout(0.1)
    for _ in range(300):
        try:
            connection.sendall(piece())
            if connection.recv(1) == b"":
                return
        except TimeoutError:
            continue
        except OSError:
            return


def said(text: str) -> Callable[[socket.socket, bytes], None]:
    """These characters instead of an HTTP answer."""
    return lambda connection, content: connection.sendall(text.encode("latin-1"))


def headed(extra: str) -> Callable[[socket.socket, bytes], None]:
    """A good answer with further lines in its head."""
    return lambda connection, content: connection.sendall(head(len(content), extra) + content)


def twice(wait: float = 0.0, other: Callable[[bytes], bytes] | None = None) -> Callable[..., None]:
    """A good answer on a connection that stays open, and another one that nobody asked for."""

    def send(connection: socket.socket, content: bytes) -> None:
        first, more = _stays_open(content), (other or _of_another)(content)
        connection.sendall(first if wait else first + more)
        if wait:
            time.sleep(wait)
            connection.sendall(more)
        _until_gone(connection, lambda: b"")

    return send


def _stays_open(content: bytes) -> bytes:
    return head(len(content)).replace(b"Connection: close\r\n", b"") + content


def _of_another(content: bytes) -> bytes:
    body = with_text(json.loads(content), "Another's text.").body
    assert isinstance(body, bytes)
    return _stays_open(body)


def elsewhere(code: int, to: str = "http://127.0.0.1:9/v1/elsewhere") -> Answer:
    """A redirect."""
    return Answer(b"", code, {"Location": to})


def slower(**headers: str) -> Answer:
    """429."""
    return status(429, "Rate limit reached.", **headers)


HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
DEEP, MB = 5000, 1_000_000
# Names of encodings that nobody knows, that are none of a text, or that the body, in UTF-8, does not have.
CHARSETS = (
    *(
        "klingon",
        "us-ascii",
        "utf-16",
        "utf8mb4",
        "binary",
        "hex",
        "punycode",
        "idna",
        "undefined",
        "x" * 4000,
    ),
    *("utf-7", "unicode_escape", "iso-8859-1", '"UTF-8"'),
)


def in_charset(name: str) -> Fault:
    """A good reply in UTF-8 that says that it is in this encoding."""
    kind = f"application/json; charset={name}"
    return Fault(lambda body: in_bytes(_utf8(body), kind), usable=True)


FAULTS: dict[str, Fault] = {
    "429": Fault(lambda body: slower()),
    "429, seconds": Fault(lambda body: slower(Retry_After="0.1")),
    "429, date": Fault(lambda body: slower(Retry_After=formatdate(time.time(), usegmt=True))),
    "429, milliseconds": Fault(lambda body: slower(retry_after_ms="50", Retry_After="20")),
    "429, nonsense": Fault(lambda body: slower(Retry_After="soon, I hope")),
    "400, nobody's words": Fault(lambda body: status(400, "the moon is wrong")),
    "400, 5 MB": Fault(lambda body: status(400, "the moon is wrong " * 300_000)),
    "400, 30,000 keys": Fault(
        lambda body: Answer(json.dumps({f"the moon {n}": [n] for n in range(30_000)}).encode(), 400)
    ),
    "500, 5 MB in no JSON": Fault(lambda body: Answer(HTML * 100_000, 500)),
    "400, the filter's words": Fault(lambda body: refused()),
    "403": Fault(lambda body: status(403, "forbidden")),
    "408": Fault(lambda body: status(408, "timeout")),
    "409": Fault(lambda body: status(409, "conflict")),
    "413": Fault(lambda body: Answer(b"<html>413 Request Entity Too Large</html>", 413)),
    "413, about the prompt": Fault(lambda body: status(413, "the request is too large")),
    "422": Fault(lambda body: status(422, "try again")),
    "425": Fault(lambda body: status(425, "too early")),
    "500": Fault(lambda body: status(500)),
    "500, in HTML": Fault(lambda body: Answer(HTML, 500, {"Content-Type": "text/html"})),
    "502, in HTML": Fault(lambda body: Answer(HTML, 502, {"Content-Type": "text/html"})),
    "503, empty": Fault(lambda body: Answer(b"", 503)),
    "503, loading model": Fault(lambda body: status(503, "Loading model")),
    "503, Retry-After": Fault(lambda body: status(503, "busy", Retry_After="0.1")),
    "504": Fault(lambda body: status(504)),
    "520": Fault(lambda body: Answer(HTML, 520, {"Content-Type": "text/html"})),
    "522": Fault(lambda body: Answer(b"", 522)),
    "524": Fault(lambda body: Answer(HTML, 524, {"Content-Type": "text/html"})),
    "529": Fault(lambda body: status(529, "Overloaded")),
    "reset in mid-body": Fault(by_wire(reset)),
    "reset before a byte": Fault(by_wire(reset_before_a_byte)),
    "closed before a byte": Fault(lambda body: dropped()),
    "cut JSON": Fault(lambda body: in_bytes(json.dumps(body).encode()[:-20])),
    "short body": Fault(lambda body: half(Answer(body), "length")),
    "cut chunks": Fault(lambda body: half(Answer(body), "chunks")),
    "no choice": Fault(lambda body: with_keys(body, choices=[])),
    "null choices": Fault(lambda body: with_keys(body, choices=None)),
    "missing choices": Fault(lambda body: as_json({"id": "x", "object": "chat.completion"})),
    "null content": Fault(lambda body: with_text(body, None)),
    "a number as content": Fault(lambda body: with_text(body, 42)),
    "no message": Fault(without_message),
    "null message": Fault(
        lambda body: with_keys(body, choices=[{"index": 0, "message": None, "text": None}])
    ),
    "empty message": Fault(lambda body: with_keys(body, choices=[{"index": 0, "message": {}}])),
    "null choice": Fault(lambda body: with_keys(body, choices=[None])),
    "error object in a 200": Fault(lambda body: as_json({"error": {"message": "overloaded", "code": 503}})),
    "error of 5 MB in a 200": Fault(lambda body: as_json({"error": {"message": "busy " * 1_000_000}})),
    "error string in a 200": Fault(lambda body: as_json({"error": "overloaded"})),
    "broken off": Fault(lambda body: with_choice(body, finish_reason="error")),
    "array": Fault(lambda body: as_json([body])),
    "null": Fault(lambda body: as_json(None)),
    "number": Fault(lambda body: as_json(42)),
    "string": Fault(lambda body: as_json("busy")),
    "empty object": Fault(lambda body: as_json({})),
    "empty body": Fault(lambda body: in_bytes(b"")),
    "204": Fault(lambda body: Answer(b"", 204)),
    "HTML with 200": Fault(lambda body: in_bytes(HTML, "text/html")),
    "bad gzip": Fault(lambda body: in_bytes(b"\x1f\x8b garbage", Content_Encoding="gzip")),
    "cut gzip": Fault(
        lambda body: in_bytes(gzip.compress(json.dumps(body).encode())[:-30], Content_Encoding="gzip")
    ),
    "an encoding nobody asked for": Fault(lambda body: in_bytes(b"\x0b\x02\x80", Content_Encoding="br")),
    "no answer": Fault(lambda body: hang(), slow=True),
    "stops in mid-body": Fault(by_wire(stall), slow=True),
    "trickles for ever": Fault(by_wire(trickle), slow=True),
    "a head that never ends": Fault(by_wire(trickle_head), slow=True),
    "redirect 301": Fault(lambda body: elsewhere(301)),
    "redirect 302": Fault(lambda body: elsewhere(302)),
    "redirect 303": Fault(lambda body: elsewhere(303)),
    "redirect 307": Fault(lambda body: elsewhere(307)),
    "redirect 308": Fault(lambda body: elsewhere(308)),
    "redirect to nowhere": Fault(lambda body: Answer(b"", 307)),
    "a header of 200 KB": Fault(by_wire(headed(f"X-Large: {'x' * 200_000}\r\n"))),
    "5,000 headers": Fault(by_wire(headed("".join(f"X-{n}: {n}\r\n" for n in range(5000))))),
    "garbage": Fault(by_wire(said("\x00\x01\x02 what is this\r\n\r\n"))),
    "garbage as status": Fault(by_wire(said("HTTP/1.1 abc Fine\r\n\r\n"))),
    "latin-1": Fault(lambda body: in_bytes(_latin(body))),
    "nests too deeply": Fault(lambda body: in_bytes(_deep(body, DEEP))),
    # What can be read all the same.
    "good gzip": Fault(
        lambda body: in_bytes(gzip.compress(json.dumps(body).encode()), Content_Encoding="gzip"), usable=True
    ),
    "gzip that is none": Fault(
        lambda body: in_bytes(json.dumps(body).encode(), Content_Encoding="gzip"), usable=True
    ),
    "gzip in pieces": Fault(
        lambda body: in_bytes(_pieces(json.dumps(body).encode()), Content_Encoding="gzip"), usable=True
    ),
    "wrong content type": Fault(lambda body: in_bytes(json.dumps(body).encode(), "text/plain"), usable=True),
    "HTML as content type": Fault(lambda body: in_bytes(json.dumps(body).encode(), "text/html"), usable=True),
    "latin-1 that says so": Fault(
        lambda body: in_bytes(
            _latin(body),
            "application/json; charset=iso-8859-1",
        ),
        usable=True,
    ),
    **{f"charset {name}": in_charset(name) for name in CHARSETS[:3]},
    "byte order mark": Fault(lambda body: in_bytes(b"\xef\xbb\xbf" + json.dumps(body).encode()), usable=True),
    "UTF-16": Fault(lambda body: in_bytes(json.dumps(body).encode("utf-16")), usable=True),
    "usage: NaN": Fault(lambda body: counted(body, "NaN"), usable=True),
    "usage: negative": Fault(lambda body: counted(body, "-7"), usable=True),
    "usage: texts": Fault(lambda body: counted(body, '"many"'), usable=True),
    "usage: fractions": Fault(lambda body: counted(body, "7.5"), usable=True),
    "usage: 1e999": Fault(lambda body: counted(body, "1e999"), usable=True),
    "usage: 10**30": Fault(lambda body: counted(body, str(10**30)), usable=True),
    "usage: 10**400": Fault(lambda body: counted(body, str(10**400)), usable=True),
    "usage: 10**5000": Fault(lambda body: counted(body, "1" + "0" * 5000), usable=True),
    "usage: a string": Fault(lambda body: with_usage(body, "many"), usable=True),
    "usage: null": Fault(lambda body: with_usage(body, None), usable=True),
    "usage: a list": Fault(lambda body: with_usage(body, [1, 2]), usable=True),
    "usage: odd details": Fault(
        lambda body: with_usage(body, {**body["usage"], "prompt_tokens_details": [None], "x": {"y": []}}),
        usable=True,
    ),
    "names of 1 MB": Fault(
        lambda body: with_keys(
            body, **dict.fromkeys(("id", "object", "model", "system_fingerprint", "service_tier"), "m" * MB)
        ),
        usable=True,
    ),
    "a finish reason of 1 MB": Fault(lambda body: with_choice(body, finish_reason="m" * MB), usable=True),
    "lone surrogates": Fault(lambda body: with_keys(body, id="\ud800", x="\udfff"), usable=True),
    "1 MB beside the text": Fault(lambda body: with_keys(body, x="y" * 1_000_000), usable=True),
    "nests deeply": Fault(lambda body: in_bytes(_deep(body, 400)), usable=True),
    "duplicate keys": Fault(
        lambda body: in_bytes(b'{"choices": [], "usage": 7, ' + json.dumps(body).encode()[1:]), usable=True
    ),
    "odd types": Fault(
        lambda body: with_keys(body, id=7, created="now", model=None, object=[], system_fingerprint={}),
        usable=True,
    ),
    "an odd choice": Fault(lambda body: with_choice(body, index="first", logprobs=7), usable=True),
    "a finish reason nobody knows": Fault(lambda body: with_choice(body, finish_reason="zorg"), usable=True),
    "a number as finish reason": Fault(lambda body: with_choice(body, finish_reason=7), usable=True),
    "no finish reason": Fault(lambda body: with_choice(body, finish_reason=None), usable=True),
    "headers beyond ASCII": Fault(by_wire(headed("X-Who: \xe9\xff\r\n")), usable=True),
    "a second reply": Fault(by_wire(twice()), usable=True),
    "a cookie that is none": Fault(by_wire(headed("Set-Cookie: a=\x01b\r\n")), usable=True),
    "201": Fault(lambda body: Answer(body, 201), usable=True),
}


def _utf8(body: Body) -> bytes:
    return json.dumps({**body, "x": "é世+AGE- \\u0041"}, ensure_ascii=False).encode()


def _pieces(content: bytes) -> bytes:
    return b"".join(gzip.compress(content[start : start + 50]) for start in range(0, len(content), 50))


def _latin(body: Body) -> bytes:
    return json.dumps({**body, "x": "é"}, ensure_ascii=False).encode("latin-1")


def _deep(body: Body, depth: int) -> bytes:
    return json.dumps({**body, "x": "DEEP"}).replace('"DEEP"', "[" * depth + "]" * depth).encode()
