"""`train=lora` and `train=full`: tune the model on this machine, in a process of its own (`child`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.errors import Interrupted, UserError
from selfinstruct.monitor.outside import stopping
from selfinstruct.report.writing import short
from selfinstruct.train import log, memory
from selfinstruct.train.base import Base, base_of
from selfinstruct.train.examples import write_examples
from selfinstruct.train.folder import opened_for
from selfinstruct.train.kinds import Prepared, Trained
from selfinstruct.train.plan import Plan, duration, text

NEEDED = ("torch", "transformers", "trl", "peft", "gguf", "datasets")
MODEL, LOG = "model.gguf", "training.log"
# The child gets our path, one entry a line, so that a file in the user's folder is not imported as a library.
COMMAND = (
    "import sys; sys.path[:] = sys.argv.pop().split('\\n')\n"
    "from selfinstruct.train.child import main; sys.exit(main())"
)


def train(prepared: Prepared) -> Trained:
    """Tune the model; go on where an earlier start ended. See `kinds`.

    Raises:
        UserError: if a package is missing, the folder belongs to another training, or memory runs out.
        Interrupted: if the user stops it.
    """
    _require()
    base = base_of(prepared.train.base, prepared.project)
    if prepared.plan_only:
        with tempfile.TemporaryDirectory(prefix="selfinstruct-") as folder:
            _tune(prepared, base, Path(folder))
        return Trained()
    with opened_for(prepared) as facts:
        if facts["state"] != log.FINISHED:
            log.write(prepared.folder, facts)
            _tune(prepared, base, prepared.folder)
        else:
            prepared.progress.say(f"{_short(prepared)} is tuned already")
    if not (prepared.folder / MODEL).is_file():
        note = (
            f"the tuned model is in {_short(prepared)}, in Hugging Face form. It cannot be asked in this "
            f"process, so it is not evaluated; to serve it: vllm serve {_short(prepared)}"
        )
        return Trained(note=note)
    return Trained((base.name, _named(prepared)), note=f"to use it: model={_named(prepared)}")


def _require() -> None:
    """Refuse if a package is missing, before anything is written.

    Raises:
        UserError: with the command that installs it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"finetune needs the packages {', '.join(missing)}: pip install 'selfinstruct[train]'\n"
            "  On a machine without a GPU, install the CPU build of torch first, which is much "
            "smaller; pytorch.org says how. To train elsewhere: train=files or train=hosted"
        )


def _tune(prepared: Prepared, base: Base, folder: Path) -> None:
    """Write the examples, start the process that trains, and show what it says until it ends."""
    write_examples(prepared.examples, folder)
    job = {
        "base": [base.name, str(base.gguf) if base.gguf else None, base.source],
        "train": prepared.train.model_dump(),
        "folder": str(folder),
        "seed": prepared.seed,
        "plan_only": prepared.plan_only,
    }
    with (folder / LOG).open("w", encoding="utf-8") as chatter, _started(chatter) as process:
        assert process.stdin
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        ended = _follow(prepared, process)
        status = process.wait()
    if ended == log.STOPPED:
        raise Interrupted(f"stopped; to go on, type the same command again: {prepared.again}")
    if ended != log.FINISHED and (status or not prepared.plan_only):
        raise UserError(_broken(status, prepared, folder))


@contextmanager
def _started(chatter: Any) -> Iterator[subprocess.Popen[str]]:
    """Start the process, and pass on the signals that stop us; it ends when this block does."""
    # Threads that wait in a spin loop make it ten times slower as soon as another process needs a core.
    surroundings = {"OMP_WAIT_POLICY": "passive", **os.environ}
    path = "\n".join(one or str(Path.cwd()) for one in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=chatter,
        text=True,
        encoding="utf-8",
        env=surroundings,
        start_new_session=True,  # Ctrl-C on the terminal reaches only us
    )

    def pass_on(number: int, frame: object) -> None:
        process.send_signal(signal.SIGTERM if number != signal.SIGINT else number)

    before = {number: signal.signal(number, pass_on) for number in stopping()}
    try:
        yield process
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.kill()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        process.wait()


def _follow(prepared: Prepared, process: subprocess.Popen[str]) -> str | None:
    """Show what the process says; return how it ended, None if it did not say so.

    Raises:
        UserError: for an error that the user can mend.
    """
    progress, ended, minutes = prepared.progress, None, 0.0
    assert process.stdout
    with progress.work("finetune") as show:
        for line in process.stdout:
            facts = json.loads(line)
            if "plan" in facts:
                plan = Plan(**facts["plan"])
                minutes = plan.minutes
                progress.say(text(plan, prepared.examples.left_out))
            elif "step" in facts:
                loss = f"loss {facts['loss']:.3f}" if facts["loss"] is not None else ""
                rate = f"{facts['rate']:,.0f} tokens a second" if facts["rate"] else ""
                # Until a step is done, there is no time left to count from; the plan has measured one.
                first = f"about {duration(minutes)} in all" if facts["step"] == facts["before"] else ""
                show(facts["step"], facts["of"], facts["before"], [first, loss, rate])
            elif "error" in facts:
                raise UserError(facts["error"])
            elif "ended" in facts:
                ended = facts["ended"]
            else:
                progress.say(facts["say"] if "say" in facts else f"{facts['doing']} …")
    return ended


def _broken(status: int, prepared: Prepared, folder: Path) -> str:
    """What to say of a process that ended without saying why."""
    if status == -getattr(signal, "SIGKILL", 0):
        train = prepared.train
        told = memory.remedy(train.kind, train.micro_batch, train.max_tokens, train.rank)
        return f"the system ended the training, most likely because memory ran out: {told}"
    output = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines() or [
        "no output"
    ]
    where = "" if prepared.plan_only else f"\n  all of its output is in {folder / LOG}"
    return f"the training has failed (status {status}): {output[-1]}{where}"


def _named(prepared: Prepared) -> str:
    """The model as `model=` takes it."""
    name = _short(prepared)
    return name if "/" in name else f"./{name}"


def _short(prepared: Prepared) -> str:
    return short(prepared.folder, prepared.project)
