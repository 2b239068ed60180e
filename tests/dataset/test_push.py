"""`selfinstruct push`: what it shows, asks and sends, to a server on this machine in place of the hub."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed
from merging_runs import two_runs

TOKEN = "hf_0123456789secretsecret"
pytest.importorskip("huggingface_hub", reason="huggingface_hub is in the extra `hub`, not in `dev`")


@dataclass
class Hub:
    """The part of the hub's interface that an upload uses.

    Attributes:
        address: where it is.
        visible: whether the repository exists, and is private; None if it does not exist.
        status: the answer to every request, if not 200.
        asked: method, path and body of each request.
        tokens: the tokens that came with them.
    """

    address: str = ""
    visible: bool | None = None
    status: int = 200
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def files(self) -> dict[str, bytes]:
        """The files of the last commit."""
        bodies = [body for _, path, body in self.asked if "/commit/" in path]
        rows = [json.loads(line)["value"] for line in bodies[-1].splitlines() if '"file"' in line]
        return {row["path"]: base64.b64decode(row["content"]) for row in rows}

    def answer(self, path: str, body: str) -> tuple[int, dict[str, Any]]:
        """The status and the body of the answer."""
        if self.status != 200:
            return self.status, {"error": "refused here"}
        if path.startswith("/api/repos/create"):
            wanted = json.loads(body)
            private = wanted.get("private", wanted.get("visibility") == "private")
            self.visible = private if self.visible is None else self.visible
            return 200, {"url": f"{self.address}/datasets/me/mine"}
        if "/preupload/" in path:
            names = [one["path"] for one in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return 200, {"files": files}
        if "/commit/" in path:
            return 200, {
                "commitUrl": f"{self.address}/datasets/me/mine/commit/1",
                "commitOid": "1",
                "success": True,
            }
        if path.startswith("/api/datasets/me/mine"):
            if self.visible is None:
                return 404, {"error": "Repository not found"}
            return 200, {"id": "me/mine", "private": self.visible, "sha": "0", "siblings": []}
        return 200, {}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Such a server; the command finds it by HF_ENDPOINT."""
    made = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply()

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            made.asked.append((self.command, self.path, body))
            if "/api/datasets/" in self.path or "/api/repos/" in self.path:
                made.tokens.add(self.headers.get("Authorization", ""))
            status, facts = made.answer(self.path, body)
            data = json.dumps(facts).encode()
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HF_ENDPOINT", made.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # The library reads the variable when it is imported, which other tests may have done offline.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(typed: Typed, project: Path) -> Path:
    """A finished run."""
    status, out, err = typed(
        "recipe=paper", "model=scripted", "target=2", "run_dir=runs/x", "export=[chat,alpaca]"
    )
    assert status == 0, out + err
    return project / "runs/x"


def test_what_is_uploaded(run: Path, hub: Hub, typed: Typed) -> None:
    """All files of `dataset/` in one commit to a private repository; it shows them and their sizes first."""
    (run / "dataset/LICENSE").write_text("mine\n", encoding="utf-8")
    status, out, err = typed("push", "runs/x", "me/mine", "--yes")
    assert status == 0, out + err
    sent = hub.files()
    assert sent == {path.name: path.read_bytes() for path in (run / "dataset").iterdir()}
    assert set(sent) == {"README.md", "chat.jsonl", "alpaca.jsonl", "LICENSE"}
    assert hub.visible is True
    assert hub.tokens == {f"Bearer {TOKEN}"}
    for name, content in sent.items():
        assert f"{len(content):,} bytes  {name}" in out
    assert "private: only you" in out
    assert "names no licence" in out
    assert f"{hub.address}/datasets/me/mine" in out
    assert TOKEN not in out + err


def test_a_merge_is_uploaded(hub: Hub, typed: Typed, project: Path) -> None:
    """So is the dataset of several runs; its page has a table of them."""
    two_runs(typed, project)
    assert typed("merge", "runs/a", "runs/b", "--to", "runs/all")[0] == 0
    status, out, err = typed("push", "runs/all", "me/mine", "--yes")
    assert status == 0, out + err
    sent = hub.files()
    assert sent == {path.name: path.read_bytes() for path in (project / "runs/all/dataset").iterdir()}
    assert "| `tasks` | `b` | 3 | 1 | 2 by rouge_l |" in sent["README.md"].decode()


def test_names_that_are_patterns(run: Path, hub: Hub, typed: Typed) -> None:
    """What is listed is what is uploaded: a file is not taken for a pattern of others."""
    for name in ("*", "a[1].txt", ".env"):
        (run / "dataset" / name).write_text("mine\n", encoding="utf-8")
    status, out, err = typed("push", "runs/x", "me/mine", "--yes")
    assert status == 0, out + err
    assert set(hub.files()) == {"README.md", "chat.jsonl", "alpaca.jsonl", "*", "a[1].txt"}


def test_public(run: Path, hub: Hub, typed: Typed) -> None:
    """Public."""
    assert typed("push", "runs/x", "me/mine", "--yes", "--public")[0] == 0
    assert hub.visible is False


def test_a_repository_that_is_public_gets_nothing_without_the_option(
    run: Path, hub: Hub, typed: Typed
) -> None:
    """A repository that is public gets nothing without the option."""
    hub.visible = False
    status, _, err = typed("push", "runs/x", "me/mine", "--yes")
    assert status == 1
    assert "is public; add --public" in err
    assert not any("/commit/" in path for _, path, _ in hub.asked)


@pytest.mark.parametrize("answer", ["n", "", "no"])
def test_a_no_sends_nothing(
    run: Path, hub: Hub, typed: Typed, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """A no sends nothing."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda words: answer)
    status, out, _ = typed("push", "runs/x", "me/mine")
    assert (status, hub.asked) == (1, [])
    assert "nothing was uploaded" in out


def test_nobody_can_answer(run: Path, hub: Hub, typed: Typed) -> None:
    """Nobody can answer."""
    status, _, err = typed("push", "runs/x", "me/mine")
    assert (status, hub.asked) == (1, [])
    assert "add --yes" in err


@pytest.mark.parametrize(
    ("answer", "says"),
    [(401, "the token is not valid"), (403, "may not write there"), (400, "try again later")],
)
def test_what_the_hub_refuses(run: Path, hub: Hub, typed: Typed, answer: int, says: str) -> None:
    """What the hub refuses."""
    hub.status = answer
    status, out, err = typed("push", "runs/x", "me/mine", "--yes")
    assert status == 1
    assert f"the hub answers {answer}" in err
    assert says in err
    assert "Traceback" not in err and TOKEN not in out + err


def test_a_hub_out_of_reach(run: Path, hub: Hub, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub out of reach."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    status, _, err = typed("push", "runs/x", "me/mine", "--yes")
    assert status == 1
    assert "cannot be reached" in err


def test_without_a_token(
    run: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: Hub
) -> None:
    """Without a token."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    status, _, err = typed("push", "runs/x", "me/mine", "--yes")
    assert (status, hub.asked) == (1, [])
    assert "set HF_TOKEN" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "push takes a run and a name"),
        (("runs/x",), "push takes a run and a name"),
        (("runs/x", "mine"), "push takes a run and a name"),
        (("runs/x", "me/mine", "--force"), "push has no option --force"),
        (("runs/none", "me/mine"), "does not exist"),
    ],
)
def test_arguments(typed: Typed, words: tuple[str, ...], says: str) -> None:
    """Arguments."""
    status, _, err = typed("push", *words)
    assert status == 1
    assert says in err


def test_a_run_without_a_dataset(typed: Typed, project: Path, hub: Hub) -> None:
    """A run without a dataset."""
    typed("recipe=paper", "model=scripted", "target=2", "run_dir=runs/x", "export=none")
    status, _, err = typed("push", "runs/x", "me/mine", "--yes")
    assert (status, hub.asked) == (1, [])
    assert "selfinstruct export runs/x" in err
    (project / "runs/x/dataset/below").mkdir(parents=True)
    for name in ("README.md", "a.jsonl"):
        (project / "runs/x/dataset/below" / name).write_text("mine\n", encoding="utf-8")
    status, _, err = typed("push", "runs/x", "me/mine", "--yes")
    assert (status, hub.asked) == (1, [])
    assert "selfinstruct export runs/x" in err
