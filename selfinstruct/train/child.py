"""The process that trains: it reads a job from its standard input, and writes what it does to its output.

A training has a process of its own. So its memory is free at its end, what the libraries print goes to a log,
and if the system ends it because memory runs out, the command can say so. It ends when its input does, so it
never outlives the command. `here` starts it; each line of its output is a JSON object with `doing`, `plan`,
`step`, `say`, `error` or `ended`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfinstruct.config import TrainConfig
from selfinstruct.errors import UserError
from selfinstruct.train import memory
from selfinstruct.train.base import Base

Emit = Callable[..., None]
QUIET = {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def main() -> int:
    """Do one job; return the exit status."""
    lines = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes to the log

    def emit(**facts: Any) -> None:
        os.write(lines, f"{json.dumps(facts)}\n".encode())  # a signal's handler may write in between

    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_command, daemon=True).start()
    try:
        do(job, emit, Stop(emit))
    except UserError as error:
        emit(error=str(error))
        return 1
    except Exception as error:
        if not memory.ran_out(error):
            raise
        train = job["train"]
        micro = job.get("micro") or train["micro_batch"]
        emit(error=memory.remedy(train["kind"], micro, train["max_tokens"], train["rank"]))
        return 1
    return 0


def _end_with_the_command() -> None:
    while os.read(0, 1):  # not by sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


def do(job: dict[str, Any], emit: Emit, stop: Any) -> None:
    """Plan a training, and do it unless only the plan is asked for.

    Args:
        job: {"base": name, GGUF file, source; "train": the section; "folder", "seed", "plan_only"}.
        emit: writes a line.
        stop: `stop.asked` says that the user wants to stop; `stop.training` is set once the training begins.

    Raises:
        UserError: for what the user can mend.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    emit(doing="loading the libraries")
    import torch

    from selfinstruct.train.work import Work

    train = TrainConfig(**job["train"])
    if train.threads:
        torch.set_num_threads(train.threads)
    name, file, source = job["base"]
    base = Base(name, Path(file) if file else None, source)
    work = Work(base, train, Path(job["folder"]), job["seed"], emit)
    try:
        work.prepare()
    finally:
        job["micro"] = work.micro  # for the remedy, if the memory runs out
    if not job["plan_only"]:
        work.train(stop)


class Stop:
    """Whether the user has asked to stop; before the training begins, there is nothing to keep.

    Attributes:
        asked: whether to stop after this step.
        training: whether the training has begun.
    """

    def __init__(self, emit: Emit) -> None:
        self.asked = self.training = False
        self._emit = emit
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: object) -> None:
        if self.asked or not self.training:
            self._emit(ended="stopped")
            os._exit(0)
        self.asked = True
        self._emit(say="stopping after this step, to keep it; once more stops at once")
