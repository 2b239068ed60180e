"""A review as people do it: the command line in a process of its own, and browsers that visit its page."""

from __future__ import annotations

import os
import re
import signal
import time
from html import unescape
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

import children
import httpx


class ReviewServer:
    """`selfinstruct review …` in a user's folder, from its first line to Ctrl-C.

    Args:
        project: the user's folder.
        arguments: the words after `review`.
        patience: seconds that the page may take to open.

    Attributes:
        address: the address that it prints, with the token.
        base: the same without path and token.
    """

    def __init__(self, project: Path, *arguments: str, patience: float = 60) -> None:
        self.project = project
        self._log = project / f"review-{time.monotonic_ns()}.log"
        with self._log.open("wb") as file, Path(os.devnull).open("rb") as nothing:
            streams = [nothing.fileno(), file.fileno(), file.fileno()]
            words = ("review", *arguments, "--no-browser")
            self._process = children.start(project, *words, streams=streams, PYTHONUNBUFFERED="1")
        until = time.monotonic() + patience
        while not (found := re.search(r"http://\S+", self.said)):
            assert self._process.poll() is None and time.monotonic() < until, self.said
            time.sleep(0.02)
        self.address = found[0]
        self.base = self.address.split("/?")[0]

    def __enter__(self) -> ReviewServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def said(self) -> str:
        """Everything that the command has printed."""
        return self._log.read_text(encoding="utf-8")

    def stop(self) -> str:
        """Ctrl-C; everything that the command has printed, once it has ended with status 0."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            assert self._process.wait(timeout=30) == 0, self.said
        return self.said

    def reviewer(self, name: str = "") -> Reviewer:
        """A browser that has opened the address, and has given this name if there is one."""
        return Reviewer(self, name)


class Reviewer:
    """What a browser does without scripts: follows links and sends the forms of the page."""

    def __init__(self, server: ReviewServer, name: str) -> None:
        origin = {"origin": server.base}
        self.browser = httpx.Client(base_url=server.base, headers=origin, follow_redirects=True, timeout=30)
        self.page = self.browser.get(server.address)
        if name:
            self.send("/name", name=name)

    @property
    def text(self) -> str:
        """The page as it is."""
        return self.page.text

    @property
    def record(self) -> str:
        """The id of the record on the page; empty on another page."""
        return parse_qs(urlsplit(str(self.page.url)).query).get("id", [""])[0]

    def open(self, path: str) -> str:
        """Open a page; return its text."""
        self.page = self.browser.get(path)
        return self.text

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form."""
        self.page = self.browser.post(path, data=fields)
        return self.page

    def answer(self, question: str, value: str, seen: str = "") -> httpx.Response:
        """Answer a question about the record on the page."""
        return self.send("/answer", id=self.record, question=question, value=value, seen=seen)

    def finish(self, value: str = "ok") -> str:
        """Answer all questions of the paper in the same way; return the record they were about."""
        id = self.record
        for question in ("instruction", "input", "output"):
            self.page = self.browser.post(
                "/answer", data={"id": id, "question": question, "value": value, "seen": ""}
            )
        return id

    def seen(self, form: str) -> str:
        """What a form of the page says that it has shown."""
        found = re.search(rf'action="/{form}".*?name="seen" value="(.*?)"', self.text, re.DOTALL)
        assert found, self.text
        return unescape(found[1])
