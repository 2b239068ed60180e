"""A provider on this machine that tunes models as OpenAI does: its files and tuning jobs, over real HTTP.

    with TuningServer() as server:
        ...  # ask server.base with the key KEY
        assert len(server.jobs) == 1

A job goes one status further each time it is looked at. `faults` has what goes wrong: for a method and the
last part of a path, the answers that are given first, or `Lost` if the answer to what was done is lost.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server import Answer, Asked, bad_key, completion, failure

KEY = "sk-tuning-key"
MODEL = "gpt-tiny"
STATUSES = ("validating_files", "queued", "running", "succeeded")
NO_ERROR: dict[str, Any] = {"code": None, "message": None, "param": None}


class Lost(Exception):
    """The server does what it is asked, but the connection ends before the answer."""


Fault = Answer | type[Lost]


@dataclass
class Uploaded:
    """A file that was uploaded."""

    id: str
    name: str
    content: bytes


@dataclass
class Tuned:
    """A job."""

    id: str
    asked: dict[str, Any]
    statuses: list[str]
    error: dict[str, Any] = field(default_factory=lambda: dict(NO_ERROR))
    looks: int = 0


class TuningServer:
    """The provider, from entering it as a context to leaving it.

    Args:
        statuses: what a job's status is at each look; the last one stays.
        error: why a job fails, if it does.
        faults: what goes wrong, by method and the last part of the path: ("POST", "jobs").
        page: jobs on a page of the list.
        held: hold back the answers to requests of this kind until `release` is set.

    Attributes:
        files: the files uploaded.
        jobs: the jobs started.
        asked: method and path of each request, and the headers it had.
    """

    def __init__(
        self,
        statuses: Sequence[str] = STATUSES,
        error: Mapping[str, Any] | None = None,
        faults: Mapping[tuple[str, str], list[Fault]] | None = None,
        page: int = 100,
        held: tuple[str, str] | None = None,
    ) -> None:
        self.files: list[Uploaded] = []
        self.jobs: list[Tuned] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.statuses, self.error, self.page, self.held = list(statuses), dict(error or NO_ERROR), page, held
        self.faults = {key: list(answers) for key, answers in (faults or {}).items()}
        self.release = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def base(self) -> str:
        """What `train.api_base` is to be."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def count(self, method: str, end: str) -> int:
        """How many requests of a kind came."""
        return sum(way == method and _end(path) == end for way, path, _ in self.asked)

    def __enter__(self) -> TuningServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Do what is asked; raises `Lost` if the answer is to be lost."""
        with self._lock:
            self.asked.append((method, path, headers))
            waiting = self.faults.get((method, _end(path))) or []
            fault = waiting.pop(0) if waiting else None
        if isinstance(fault, Answer):
            return fault
        with self._lock:
            found = self._done(method, path, headers, body)
        if (method, _end(path)) == self.held:
            self.release.wait(30)
        if fault is not None:
            raise Lost
        return found

    def _done(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("api-key")
        if key != KEY:
            return bad_key()
        place, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        parts = place.rstrip("/").split("/")
        if method == "POST" and parts[-1] == "files":
            return self._upload(headers, body)
        if method == "POST" and parts[-1] == "jobs":
            return self._start(json.loads(body))
        if method == "POST" and parts[-1] == "completions":
            return self._complete(place, json.loads(body), headers)
        if parts[-1] == "files":
            return Answer({"object": "list", "data": list(map(_file, self.files)), "has_more": False})
        if parts[-2] == "files":
            return self._one(parts[-1], [(one.id, _file(one)) for one in self.files])
        if parts[-1] == "jobs":
            return self._list(query)
        if parts[-2] == "jobs":
            return self._look(parts[-1])
        return failure(404, f"Invalid URL ({method} {place})", "invalid_request_error")

    def _upload(self, headers: dict[str, str], body: bytes) -> Answer:
        mark = b"--" + headers["content-type"].partition("boundary=")[2].encode()
        parts = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in body.split(mark)[1:-1]]
        named = {re.findall(rb' name="([^"]+)"', head)[0].decode(): (head, text) for head, _, text in parts}
        assert named["purpose"][1] == b"fine-tune"
        head, _ = named["file"]
        name = re.findall(rb'filename="([^"]+)"', head)[0].decode()
        content = next(part.split(b"\r\n\r\n", 1)[1][:-2] for part in body.split(mark)[1:-1] if head in part)
        self.files.append(Uploaded(f"file-{len(self.files) + 1}", name, content))
        return Answer(_file(self.files[-1]))

    def _start(self, asked: dict[str, Any]) -> Answer:
        if asked["model"] != MODEL:
            words = f"Model {asked['model']} is not available for fine-tuning or does not exist."
            return failure(400, words, "invalid_request_error", "model_not_available")
        if asked["training_file"] not in {one.id for one in self.files}:
            return failure(404, f"No such File object: {asked['training_file']}", "invalid_request_error")
        job = Tuned(f"ftjob-{len(self.jobs) + 1}", asked, list(self.statuses), dict(self.error))
        self.jobs.append(job)
        return Answer(_job(job))

    def _list(self, query: dict[str, list[str]]) -> Answer:
        newest = self.jobs[::-1]
        if "after" in query:
            ids = [job.id for job in newest]
            newest = newest[ids.index(query["after"][0]) + 1 :]
        rows = [_job(job) for job in newest[: self.page]]
        return Answer({"object": "list", "data": rows, "has_more": len(newest) > self.page})

    def _look(self, id: str) -> Answer:
        for job in self.jobs:
            if job.id == id:
                job.looks += 1
                return Answer(_job(job))
        return failure(404, f"Could not find fine tune: {id}", "invalid_request_error", "fine_tune_not_found")

    def _one(self, id: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> Answer:
        found = dict(rows).get(id)
        return Answer(found) if found else failure(404, f"No such File object: {id}", "invalid_request_error")

    def _complete(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        """The tuned model repeats what it is asked; the base says one word."""
        asked = Asked(0, path, headers, body, time.monotonic())
        text = asked.prompt if body["model"].startswith("ft:") else "yes"
        return Answer(completion(asked, text, "stop"))


def _end(path: str) -> str:
    parts = urlsplit(path).path.rstrip("/").split("/")
    return parts[-1] if parts[-1] in ("files", "jobs", "completions") else f"{parts[-2]}/ID"


def _file(one: Uploaded) -> dict[str, Any]:
    keys = {"id": one.id, "filename": one.name, "bytes": len(one.content)}
    return {**keys, "object": "file", "purpose": "fine-tune", "created_at": 1, "status": "processed"}


def _job(job: Tuned) -> dict[str, Any]:
    status = job.statuses[min(job.looks, len(job.statuses) - 1)]
    ended = status == "succeeded"
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": 1,
        "status": status,
        "model": job.asked["model"],
        "fine_tuned_model": f"ft:{job.asked['model']}:org:{job.asked.get('suffix')}:1" if ended else None,
        "trained_tokens": 1_234 if ended else None,
        "finished_at": 2 if ended else None,
        "estimated_finish": None,
        "hyperparameters": job.asked.get("hyperparameters", {}),
        "organization_id": "org",
        "result_files": [],
        "seed": job.asked.get("seed", 0),
        "training_file": job.asked["training_file"],
        "validation_file": None,
        "error": job.error if status == "failed" else dict(NO_ERROR),
    }


def _handler(server: TuningServer) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer as the provider does."""
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            try:
                found = server.answer(self.command, self.path, headers, body)
            except Lost:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if found.drop:
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

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
