"""What each part of a run costs at 10,000, 100,000 and 1,000,000 records, and what does not stay linear.

    python tests/bench/scale.py                             # 10,000 and 100,000
    python tests/bench/scale.py --upto 1000000 --into runs-of-scale
    python tests/bench/scale.py --only 100000 --recipe completion      # the paper's three stages
    python tests/bench/scale.py --only 100000 --model scripted

Each size is a run of the real program in processes of its own. It asks `instant`, which is not a model: it
answers at once with random words, so nearly all of its texts are accepted. With `--model scripted`, it asks
the scripted model for the same kind of texts, which takes half a millisecond a record. The run is killed
(SIGKILL) when 90% of its records are stored, and started again. Then the verbs read its folder.

Each part has its seconds, its CPU seconds, its CPU microseconds a record, and the most memory that the
process held while it worked at it (on Linux; elsewhere, until then). CPU counts more than seconds where the
machine has other work. At the end, the costs a record of the sizes are side by side: a part that is linear
has the same at each size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import count, islice
from pathlib import Path
from typing import Any

from selfinstruct.records import ACCEPTED, Reply, Request

SIZES = (10_000, 100_000, 1_000_000)
KILLED_AT = 0.9
NOTES = "parts.jsonl"  # what the child notes, in the project's folder
NOUNS = (
    *(
        "harbour",
        "kettle",
        "orchard",
        "timetable",
        "violin",
        "glacier",
        "recipe",
        "bakery",
        "contract",
        "fern",
    ),
    *(
        "meadow",
        "lantern",
        "tunnel",
        "passport",
        "greenhouse",
        "ferry",
        "notebook",
        "compass",
        "quarry",
        "loom",
    ),
)
VERBS = (
    *("Describe", "Compare", "List", "Explain", "Rewrite", "Suggest", "Outline", "Summarize", "Translate"),
    *("Rank", "Invent", "Name"),
)
EXPORTS = ("alpaca", "chat", "csv")
LONGEST = 75 * 60  # seconds of one run
MODEL = """\
# Answers at once with random words.
kind: KIND
name: KIND
mode: completion
api_base: null
api_key_env: null
concurrency: 8
timeout: 10
retries: 0
sampling: {}
options: OPTIONS
"""
WORD = "{{ pick(words.noun) }}{{ number(2, 9999) }}"
TASK = f"{{{{ pick(words.verb) }}}} the {WORD} {WORD} of {WORD} and {WORD} for {WORD} with a {WORD} {WORD}."
FACT = f"There is a {WORD} {WORD}, and {WORD} has {WORD}."
REST = f"\n{{{{ i }}}}. Input:\n{WORD} {WORD}\n{{{{ i }}}}. Output:\n{FACT}\n"
# The same answers as those of FORMS, for the scripted model.
RULES = {
    "whole": {
        "match": r"\n(\d+)\. Instruction:$",
        "reply": "{% for i in range(match[0] | int, 21) %}"
        f"{{{{ ' ' if loop.first else '###\n' ~ i ~ '. Instruction: ' }}}}{TASK}{REST}{{% endfor %}}",
    },
    "listed": {
        "match": r"\n(\d+)\.$",
        "reply": "{% for i in range(match[0] | int, 17) %}"
        f"{{{{ ' ' if loop.first else i ~ '. ' }}}}{TASK}\n{{% endfor %}}",
    },
    "classification": {
        "match": r"\n(Fixed set of labels|Is the answer one of a few given words)\?$",
        "reply": " No",
    },
    "instance": {"match": r"\nTask: [^\n]*\n$", "reply": f"Example 1\nPlace: {WORD}\nOutput: {FACT}\n"},
}
OPTIONS = {"instant": {}, "scripted": {"rules": RULES, "words": {"noun": NOUNS, "verb": VERBS}}}
RECIPE = """\
# Whole records from random words, with Alpaca's checks.
defaults: [alpaca, override /model: scale, override /filters: alpaca_en, _self_]

filters: {tasks: {rouge_l: {keep_similar: 0}}}
"""


def write_project(folder: Path, kind: str) -> None:
    """The project of a user with a model of this kind and the bench's recipe."""
    for group in ("conf/model", "recipes"):
        (folder / group).mkdir(parents=True, exist_ok=True)
    model = MODEL.replace("KIND", kind).replace("OPTIONS", json.dumps(OPTIONS[kind]))
    (folder / "conf/model/scale.yaml").write_text(model, encoding="utf-8")
    (folder / "recipes/scale.yaml").write_text(RECIPE, encoding="utf-8")


# The process of a run.


class Instant:
    """Not a model: answers a prompt at once with random words, always the same ones to the same prompt."""

    identity = None

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def complete(self, requests: Sequence[Request]) -> list[Reply | None]:
        """See `selfinstruct.llm.Model`."""
        await asyncio.sleep(0)
        return [self._answer(request.prompt) for request in requests]

    async def close(self) -> None:
        """There is nothing to close."""

    def _answer(self, prompt: str) -> Reply:
        draw = random.Random(prompt).random
        words = (f"{NOUNS[int(draw() * len(NOUNS))]}{2 + int(draw() * 9_998)}" for _ in count())
        for pattern, form in FORMS:
            if found := pattern.search(prompt):
                text = "".join(form(int(found[1]) if found.lastindex else 0, words))
                return Reply(text, "stop", "instant", len(prompt) // 5, len(text) // 5)
        raise AssertionError(f"no answer to a prompt that ends in {prompt[-100:]!r}")


def task(words: Iterator[str]) -> str:
    """A task with eight words that hardly any other has."""
    verb, one, *more = islice(words, 9)
    return "{} the {} {} of {} and {} for {} with a {} {}.".format(
        VERBS[len(verb) * len(one) % 12], one, *more
    )


def fact(words: Iterator[str]) -> str:
    """An output."""
    return "There is a {} {}, and {} has {}.".format(*islice(words, 4))


def listed(number: int, words: Iterator[str]) -> Iterator[str]:
    """The rest of a numbered list of 16 tasks, as the paper's prompt asks for."""
    yield f" {task(words)}\n"
    yield from (f"{place}. {task(words)}\n" for place in range(number + 1, 17))


def whole(number: int, words: Iterator[str]) -> Iterator[str]:
    """The rest of twenty whole records, as Alpaca's prompt asks for."""
    for place in range(number, 21):
        yield f" {task(words)}\n" if place == number else f"###\n{place}. Instruction: {task(words)}\n"
        yield f"{place}. Input:\n{next(words)} {next(words)}\n{place}. Output:\n{fact(words)}\n"


FORMS = (
    (re.compile(r"\n(\d+)\. Instruction:$"), whole),
    (re.compile(r"\n(\d+)\.$"), listed),
    (re.compile(r"\n(?:Fixed set of labels|Is the answer one of a few given words)\?$"), lambda *_: [" No"]),
    (
        re.compile(r"\nTask: [^\n]*\n$"),
        lambda _, words: [f"Example 1\nPlace: {next(words)}\nOutput: {fact(words)}\n"],
    ),
)


def register() -> None:
    """Make the model known to this process."""
    from selfinstruct.llm import MODELS, ModelKind

    def instant() -> Any:
        """Answers at once with random words; only for this benchmark."""
        return ModelKind(lambda config, project: Instant(), note="answers with random words", free=True)

    MODELS.register(instant)


def child(notes: Path, kill_at: int, words: list[str]) -> None:
    """A run in this process, which notes what each of its parts takes, and may kill itself."""
    from selfinstruct.cli.main import command
    from selfinstruct.journal.store import Journal

    register()
    part = Parts(notes)
    part.begin("start")
    _before("selfinstruct.runner", "drive", lambda name, *_: part.begin(f"stage {name}"))
    _before("selfinstruct.runner", "write_files", lambda *_: part.begin("files"))
    _before("selfinstruct.report.writing", "at_the_end", lambda *_: part.begin("report"))
    take, counts = Journal.take, {"records": 0, "noted": 0}

    def counting(self: Journal, stage: str, number: int, records: Any) -> None:
        take(self, stage, number, records)
        counts["records"] += sum(record.fate == ACCEPTED for record in records)
        if counts["records"] - counts["noted"] >= max(1_000, 100_000 if kill_at > 200_000 else kill_at // 9):
            counts["noted"] = counts["records"]
            part.note(f"after {counts['records']:,}")
        if kill_at and counts["records"] >= kill_at:
            self.commit()
            part.end()
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.take = counting  # type: ignore[method-assign]
    status = command(words)
    part.end()
    sys.exit(status)


def _before(module: str, name: str, do: Callable[..., None]) -> None:
    """Do something whenever a function is called."""
    holder = import_module(module)
    original = getattr(holder, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        do(*given)
        return original(*given, **named)

    setattr(holder, name, wrapped)


class Parts:
    """Notes in a file what each part of a process takes."""

    def __init__(self, notes: Path) -> None:
        self._notes, self._name = notes, ""
        self._began = self._cpu = 0.0

    def begin(self, name: str) -> None:
        """The part before ends, and this one begins."""
        self.end()
        self._name, self._began, self._cpu = name, time.monotonic(), time.process_time()
        if not name.startswith("start"):
            forget_peak()
        else:
            self._cpu = 0.0

    def end(self) -> None:
        """The part ends."""
        if self._name:
            self.note(self._name)
            self._name = ""

    def note(self, name: str) -> None:
        """Write what the part has taken so far."""
        taken = {"seconds": time.monotonic() - self._began, "cpu": time.process_time() - self._cpu}
        with self._notes.open("a") as file:
            file.write(json.dumps({"part": name, **taken, "mb": peak()}) + "\n")


def forget_peak() -> None:
    """Count the most memory from now on, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float:
    """The most memory that this process held, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


# The parent.


Row = dict[str, Any]  # part, seconds, cpu, mb, and how many records its work is about


def measured(size: int, recipe: str, folder: Path) -> Iterator[Row]:
    """A run of so many records in a folder, and what people do with it, part by part."""
    run = folder / f"run-{size}"
    words = [f"recipe={recipe}", f"target={size}", f"run_dir={run}", "cache=off"]
    if recipe != "scale":
        words += ["model=scale", "model.mode=completion"]
    kill_at = int(size * KILLED_AT)
    first = ""
    for row in _run(folder, kill_at, words):
        first = row["part"]  # at the end, the stage in which it was killed
        yield {**row, "records": kill_at}
    for row in _run(folder, 0, words):
        if row["part"] == "start":
            yield {**row, "part": "resume", "records": kill_at}
        elif row["part"] == first:
            yield {**row, "part": f"{first}, the rest", "records": size - kill_at}
        elif not row["part"].startswith("after"):
            yield {**row, "records": size}
    journal = sum(path.stat().st_size for path in run.glob("run.sqlite*"))
    yield {"part": "journal", "bytes": journal, "records": size}
    yield {"part": "report.html", "bytes": (run / "report.html").stat().st_size, "records": size}
    for name, arguments in _verbs(run, folder):
        yield {"part": name, **_process(arguments, folder), "records": size}
    yield {"part": "novelty alone", **_process([__file__, "novelty", str(run)], folder), "records": size}


def _run(folder: Path, kill_at: int, words: list[str]) -> list[Row]:
    notes = folder / NOTES
    notes.unlink(missing_ok=True)
    command = [sys.executable, __file__, "child", str(notes), str(kill_at), *words]
    with (folder / "log.txt").open("ab") as log:
        status = subprocess.run(command, cwd=folder, stdout=log, stderr=log, timeout=LONGEST).returncode
    if status != (-signal.SIGKILL if kill_at else 0):
        sys.exit(f"status {status}: {(folder / 'log.txt').read_text()[-3000:]}")
    return [json.loads(line) for line in notes.read_text().splitlines()]


def _verbs(run: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The verbs that read a run's folder; `--` stands for the program."""
    from selfinstruct.run_folder.opened import opened

    with opened(run) as one:
        last = one.outline.makers[-1].name
        number = max(one.journal.taken(last))
        id = next(iter(one.journal.records(last, request=number - 1))).id
    program = ["-m", "selfinstruct"]
    yield "show RUN", [*program, "show", str(run)]
    yield "show RUN ID", [*program, "show", str(run), id]
    yield "show RUN WORDS", [*program, "show", str(run), "--find", "zyzzyva"]
    exports = f"export=[{','.join(EXPORTS)}]"
    yield "export", [*program, "export", str(run), exports, f"to={folder}/out-{run.name}"]
    parquet = [f"export.{name}.format=parquet" for name in EXPORTS if name != "csv"]
    yield "export, parquet", [*program, "export", str(run), exports, *parquet, f"to={folder}/pq-{run.name}"]
    yield "review opens", [__file__, "review", str(run)]
    yield "verify", [*program, "verify", str(run)]


def _process(arguments: list[str], folder: Path) -> Row:
    """What a process and its children take."""
    began = time.monotonic()
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{arguments}: {(folder / 'log.txt').read_text()[-3000:]}")
    taken = {"seconds": time.monotonic() - began, "cpu": usage.ru_utime + usage.ru_stime}
    return {**taken, "mb": usage.ru_maxrss * 1024 / 1e6}


def novelty(run: Path) -> None:
    """The instructions of a run into an index, one after the other, as a run does."""
    from selfinstruct.run_folder.opened import opened
    from selfinstruct.text.novelty import RougeLIndex

    index = RougeLIndex(0.7)
    with opened(run) as one:
        for record in one.journal.records(one.outline.makers[0].name, ACCEPTED):
            text = str(record.data["instruction"])
            if index.nearest(text) is None:
                index.add(text, record.id)
    print(f"{len(index):,} texts")


def review(run: Path) -> None:
    """A review until its page opens."""
    words = [sys.executable, "-m", "selfinstruct", "review", str(run), "--name", "bench", "--no-browser"]
    with subprocess.Popen(words, cwd=run.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        next(line for line in process.stdout if "http://" in line)
        process.send_signal(signal.SIGINT)


def table(found: dict[int, list[Row]]) -> None:
    """Print the sizes side by side, and how much more a record costs at the larger one."""
    sizes = list(found)
    for size, rows in found.items():
        print(f"\n{size:,} records\n{'':<38}{'seconds':>9}{'CPU s':>9}{'us a record':>13}{'MB':>8}")
        for row in rows:
            if "bytes" in row:
                each = row["bytes"] / row["records"]
                print(f"  {row['part']:<36}{row['bytes'] / 1e6:>9,.1f} MB, {each:,.0f} bytes a record")
            else:
                taken = f"{row['seconds']:>9.1f}{row['cpu']:>9.1f}{each_of(row):>13.1f}{row['mb']:>8.0f}"
                print(f"  {row['part']:<36}{taken}")
    print(f"\nCPU us a record{'':<23}" + "".join(f"{size:>12,}" for size in sizes) + "   last to first")
    for part in [row["part"] for row in found[sizes[-1]] if "cpu" in row and "after" not in row["part"]]:
        each = [next(each_of(row) for row in found[size] if row["part"] == part) for size in sizes]
        print(f"  {part:<36}" + "".join(f"{one:>12.1f}" for one in each) + f"{each[-1] / each[0]:>12.2f}")


def each_of(row: Row) -> float:
    """Microseconds of CPU a record."""
    return float(row["cpu"] / row["records"] * 1e6)


@contextmanager
def place(into: Path | None) -> Iterator[Path]:
    """The folder to work in."""
    if into:
        into.mkdir(parents=True, exist_ok=True)
        yield into.resolve()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--upto", type=int, default=100_000, help="the largest size")
    parser.add_argument("--only", type=int, help="one size alone, any number")
    parser.add_argument("--recipe", default="scale", help="scale: one stage, whole records; or completion")
    parser.add_argument("--model", default="instant", choices=OPTIONS, help="what answers")
    parser.add_argument("--into", type=Path, help="keep the runs in this folder")
    given = parser.parse_args()
    sizes = [given.only] if given.only else [size for size in SIZES if size <= given.upto]
    found: dict[int, list[Row]] = {}
    with place(given.into) as folder:
        write_project(folder, given.model)
        for size in sizes:
            found[size] = []
            for row in measured(size, given.recipe, folder):
                found[size].append(row)
                print(json.dumps({"size": size, **row}), file=sys.stderr, flush=True)
    table(found)


if __name__ == "__main__":
    modes = {"novelty": novelty, "review": review}
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    elif sys.argv[1:2] and sys.argv[1] in modes:
        modes[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
