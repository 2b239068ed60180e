"""The folder of a tuned model: one process at a time, and which training on this machine it belongs to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.run_folder.folder import aside, in_use
from selfinstruct.train import log
from selfinstruct.train.kinds import Prepared

LOCK = "training.lock"
_BUSY = "{}: another finetune tunes a model here; wait for it, or set to=DIR"
MACHINE = ("threads", "save_minutes", "micro_batch")  # keys of train that do not change what is learned


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made if it does not exist, for this process.

    Raises:
        UserError: if another process uses it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(_BUSY.format(folder)) from error
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}; set to=DIR") from error
    try:
        yield
    finally:
        lock.release()


def set_aside(folder: Path) -> Path:
    """Rename a folder to the first free name beside it, `model.before-1`, and return that.

    Raises:
        UserError: if another process uses it.
    """
    if in_use(folder, LOCK):
        raise UserError(_BUSY.format(folder))
    return Path(shutil.move(folder, aside(folder)))


@contextmanager
def opened_for(prepared: Prepared) -> Iterator[dict[str, Any]]:
    """Lock the folder for a training, and give the facts of its `training.json`.

    They are those of an earlier start, if it is the same training; its state says whether it is finished.

    Raises:
        UserError: if another process uses the folder, it cannot be written, or it holds another training.
    """
    facts = _facts(prepared)
    _make_way(prepared, facts)
    with locked(prepared.folder):
        before = log.read(prepared.folder)
        state = log.FINISHED if before.get("state") == log.FINISHED else log.RUNNING
        yield {**before, **facts, "state": state}


def _facts(prepared: Prepared) -> dict[str, Any]:
    """What is known before the training."""
    examples = prepared.examples
    return {
        "state": log.RUNNING,
        "kind": prepared.train.kind,
        "base": prepared.train.base,
        "examples": len(examples.rows),
        "train": prepared.train.model_dump(),
        "finetune": prepared.finetune.model_dump(),
        "left_out": dict(examples.left_out),
        "overlap": dict(prepared.overlap),
        "seed": prepared.seed,
        "digest": examples.digest,
    }


def _make_way(prepared: Prepared, facts: Mapping[str, Any]) -> None:
    """Set aside what is in the folder if the user says so; refuse if it belongs to another training."""
    folder = prepared.folder
    if not folder.exists() or not any(folder.iterdir()):
        return
    before = log.read(folder)
    differing = _differing(before, facts) if before else ["it holds other files"]
    if prepared.fresh:
        prepared.progress.say(f"what was there is now in {set_aside(folder)}")
    elif differing:
        raise UserError(
            f"{folder} holds another training:\n    "
            + "\n    ".join(differing)
            + "\n  To set it aside and start again: fresh=true; to keep both: to=DIR"
        )


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What makes this another training than the one before; empty if it is the same."""
    found = [
        f"train.{key}: {before.get('train', {}).get(key)} before, {value} now"
        for key, value in now["train"].items()
        if key not in MACHINE and before.get("train", {}).get(key) != value
    ]
    if before.get("seed") != now["seed"]:
        found.append(f"seed: {before.get('seed')} before, {now['seed']} now")
    if before.get("digest") != now["digest"]:
        found.append(
            f"the examples: {before.get('examples')} before, {now['examples']} now, and not the same"
        )
    return found
