"""The fuzzer: thousands of mutants of recipes, overrides and seed files, none to end in a traceback.

    python tests/fuzz.py                                  all of it: 3,500 recipes, 1,000 files, 600 overrides
    python tests/fuzz.py --sort keys --seed 2 --count 500
    python tests/fuzz.py --sort keys --seed 2 --only 417  one mutant, shown, with its traceback

Mutants are checked in a process of their own, which says which one it is at. One that takes over 5 seconds of
CPU, waits for 60, or ends the process is a fault as a traceback is; the next ones go on in another process.
What is tried is in `mutants`, what is put in is in `hostile`.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

CPU_SECONDS, WAITED_SECONDS = 5, 60
MEMORY = 6 * 2**30
WHOLE = {"keys": 2_600, "files": 900, "seeds": 1_000, "overrides": 600}
SAMPLE = {"keys": (0, 180), "files": (0, 24), "seeds": (0, 80), "overrides": (0, 40)}  # of CI: first, count
AT = "at "


class Hang(BaseException):
    """A mutant takes too long."""


@dataclass(frozen=True)
class Found:
    """A mutant at fault.

    Attributes:
        sort, seed, number: which one it is.
        what: the error, and where it arose; the same for mutants at fault for the same reason.
    """

    sort: str
    seed: int
    number: int
    what: str

    def __str__(self) -> str:
        options = f"--sort {self.sort} --seed {self.seed} --only {self.number}"
        return f"{self.what}\n    python tests/fuzz.py {options}"


def fuzz(sort: str, seed: int, begin: int, count: int) -> Iterator[Found]:
    """The mutants at fault among these."""
    number, end = begin, begin + count
    while number < end:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as project:
            for found in _child(sort, seed, number, end, project):
                number = found.number + 1
                if found.what:
                    yield found


def _child(sort: str, seed: int, begin: int, end: int, project: str) -> Iterator[Found]:
    """Check mutants in another process, to the end or until one of them ends it; the last one was tried."""
    options = ["--sort", sort, "--seed", str(seed), "--within", str(begin), str(end)]
    environment = {**os.environ, "XDG_CACHE_HOME": f"{project}/.cache", "PYTHONWARNINGS": "ignore"}
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        environment.pop(name, None)
    words = Path(project) / "stderr"
    with (
        words.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), *options],
            cwd=project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        at = begin
        assert process.stdout
        for line in process.stdout:
            if line.startswith(AT):
                at = int(line.removeprefix(AT))
            else:
                yield Found(sort, seed, at, json.loads(line))
    if process.returncode:
        said = words.read_text(encoding="utf-8", errors="replace").strip()
        yield Found(sort, seed, at, f"the process ended with {process.returncode}: {said[-1500:]}")
    else:
        yield Found(sort, seed, end - 1, "")


def _check_all(sort: str, seed: int, begin: int, end: int) -> None:
    """In the other process: check each, and say on standard output which one it is and what is wrong."""
    import resource

    from mutants import mutant

    told = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _hang)
    mutant(sort, seed, begin)  # what is composed and imported once is nobody's fault
    for number in range(begin, end):
        told.write(f"{AT}{number}\n")
        _, check = mutant(sort, seed, number)
        faulthandler.dump_traceback_later(WAITED_SECONDS, exit=True)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            check()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the fault that is looked for
            told.write(f"{json.dumps(_reason(error))}\n")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"takes over {CPU_SECONDS} seconds")


def _reason(error: BaseException) -> str:
    """The error and the place in our code where it arose, which is one reason, whatever the mutant."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame for frame in frames if "/selfinstruct/" in frame.filename and "-packages" not in frame.filename
    ]
    inner = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else "tests"
    return f"{type(error).__name__} at {place} ({inner}): {str(error)[:200]}"


def main() -> int:
    """The command line; the exit status is 1 where a mutant is at fault."""
    parser = argparse.ArgumentParser(description="Mutants of recipes, overrides and files, none a traceback.")
    parser.add_argument("--sort", choices=WHOLE, help="only mutants of this sort")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=int, default=0)
    parser.add_argument("--count", type=int, help="so many of each sort")
    parser.add_argument("--only", type=int, help="the number of one mutant, to show and to check here")
    parser.add_argument("--within", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.within:
        _check_all(given.sort, given.seed, *given.within)
        return 0
    if given.only is not None:
        return _show(given.sort, given.seed, given.only)
    reasons: dict[str, list[Found]] = defaultdict(list)
    for sort, whole in WHOLE.items():
        if given.sort in (None, sort):
            count, began = given.count or whole, time.monotonic()
            for found in fuzz(sort, given.seed, given.begin, count):
                reasons[found.what.split(": ")[0]].append(found)
            print(f"{sort}: {count} mutants in {time.monotonic() - began:.0f} s", flush=True)
    for each in sorted(reasons.values(), key=len, reverse=True):
        print(f"{len(each)} x {each[0]}")
    print(f"{sum(map(len, reasons.values()))} at fault, for {len(reasons)} reasons")
    return bool(reasons)


def _show(sort: str, seed: int, number: int) -> int:
    """Show one mutant and check it here, so that its traceback is seen and a debugger can be used."""
    from mutants import mutant

    with tempfile.TemporaryDirectory(prefix="fuzz-") as project:
        os.chdir(project)
        text, check = mutant(sort, seed, number)
        print(text)
        check()
    print("no fault")
    return 0


if __name__ == "__main__":
    sys.exit(main())
