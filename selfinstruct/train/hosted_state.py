"""What is known about a hosted training: `hosted.json`, written before and after each step.

A step that is paid for, or that leaves something at the provider, is written down before it is done. After a
kill, the provider is asked whether it was done, so that nothing is uploaded or paid for twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.llm.fine_tuning import CANCELLED, FAILED, SUCCEEDED
from selfinstruct.run_folder.folder import write_json

HOSTED = "hosted.json"
NEW, UPLOADING, UPLOADED, STARTING, STARTED = "new", "uploading", "uploaded", "starting", "started"
STATES = (NEW, UPLOADING, UPLOADED, STARTING, STARTED, SUCCEEDED, FAILED, CANCELLED)
OVER = (FAILED, CANCELLED)  # a job that ended without a model; the next command starts another


@dataclass
class State:
    """A hosted training.

    Attributes:
        path: the file `hosted.json`.
        facts: what it is about: the base, the server, the examples and the hyperparameters.
        state: the last step, of `STATES`.
        file: the id of the uploaded file.
        job: the id of the job.
        status: the job's status at the provider.
        model: the name of the tuned model.
        error: why the job failed.
        tokens: the tokens that are paid for.
        began: when the job was started, in seconds since 1970.
        earlier: the ids of earlier jobs, which ended without a model.
    """

    path: Path
    facts: dict[str, Any]
    state: str = NEW
    file: str | None = None
    job: str | None = None
    status: str | None = None
    model: str | None = None
    error: str = ""
    tokens: int | None = None
    began: float | None = None
    earlier: list[str] = field(default_factory=list)

    def to(self, state: str, **changes: Any) -> None:
        """Change and save it."""
        self.state = state
        for key, value in changes.items():
            setattr(self, key, value)
        keys = {key: value for key, value in vars(self).items() if key not in ("path", "facts")}
        write_json(self.path, {**keys, **self.facts, "written": round(time.time())})

    @property
    def file_name(self) -> str:
        """The name of the file at the provider; no other examples have this name."""
        return f"selfinstruct-{self.facts['examples_sha256'][:24]}.jsonl"


def facts_of(content: bytes, **keys: Any) -> dict[str, Any]:
    """What makes two hosted trainings the same."""
    return {**keys, "examples_sha256": sha256(content).hexdigest(), "bytes": len(content)}


def state_of(path: Path, facts: Mapping[str, Any]) -> State:
    """The state in a folder; a new one if there is none, or if nothing of another training was paid for.

    Raises:
        UserError: if the file cannot be read, or belongs to another training.
    """
    if not path.exists():
        return State(path, dict(facts))
    found = _read(path)
    state = State(path, dict(facts))
    for key in vars(state):
        if key in found and key not in ("path", "facts"):
            setattr(state, key, found[key])
    differing = [key for key, value in facts.items() if found.get(key) != value]
    if not differing:
        return state
    if state.state in (NEW, UPLOADING, UPLOADED, *OVER):
        return State(path, dict(facts), earlier=[*state.earlier, *([state.job] if state.job else [])])
    named = dict.fromkeys("examples" if key in ("examples_sha256", "bytes") else key for key in differing)
    job = f"the job {state.job}" if state.job else "a job that may have been started"
    raise UserError(
        f"{path} is about {job}, with other settings ({', '.join(named)})\n"
        "  To follow that one, use its settings; to start another one, write to another folder: to=DIR, or "
        "set this one aside: fresh=true"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}\n  {_REMEDY}") from error
    needed = {UPLOADED: "file", STARTING: "file", STARTED: "job"}
    whole = isinstance(found, dict) and found.get("state") in STATES
    if not whole or not found.get(needed.get(found["state"], "state")):
        raise UserError(f"{path} is not the state of a hosted training\n  {_REMEDY}")
    return found


_REMEDY = "look at the provider's page whether a job runs; then write to another folder: to=DIR"
