"""Kills runs at random moments, again and again, and looks for a byte that differs; run by hand.

    python tests/bench/kills.py                         # 200 kills, about ten minutes
    python tests/bench/kills.py --kills 50 --seed 7 --runs 2

Each run has its share of the kills, its own seed, and an undisturbed run to be compared with. Every fourth
asks a server over HTTP, where importing LiteLLM takes most of the time; the others ask the scripted model. A
line a kill says by which signal, how its moment was chosen, when it was, at which stage, and how many replies
were stored. The exit status is 1 where data differ, where something stored was lost or asked for again, or
where a process ended as none should; `../killing.py` says what is looked at.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing import Ordeal, data, intact, start, stored
from server import ModelServer, by_prompt, unhurried

IN_FLIGHT = 4


def trial(
    project: Path, number: int, kills: int, seed: int, servers: Sequence[ModelServer]
) -> tuple[Ordeal, bool]:
    """One run with its kills; whether its data are the same as without.

    Args:
        project: the folder in which the commands are typed.
        number: the run's number.
        kills: how many.
        seed: of the run and of the kills.
        servers: a quick one for the undisturbed run and an unhurried one; none for the scripted model.
    """
    common = ["recipe=paper", "cache=off", f"seed={seed}", f"model.concurrency={IN_FLIGHT}"]
    if servers:
        common += ["model=vllm", "model.name=hosted_vllm/tiny", f"target={24 + 2 * kills}"]
        fast, slow = ([f"model.api_base={server.base}"] for server in servers)
    else:
        common += ["model=scripted", f"target={40 + 4 * kills}"]
        fast, slow = [], ["model.options.delay=0.4"]
    began = time.monotonic()
    calm = start(project, *common, *fast, f"run_dir=calm-{number}")
    _, err = calm.communicate(timeout=300)
    if calm.returncode != 0:
        sys.exit(f"the undisturbed run ended with {calm.returncode}: {err}")
    span, server = time.monotonic() - began, servers[1] if servers else None
    before = len(server.asked) if server else 0
    ordeal = Ordeal(project, f"run-{number}", [*common, *slow], seed, span, server, skip=before)
    for blow in ordeal.strike(kills):
        print(f"{number:2}{'h' if server else 's'} {blow}", flush=True)
    ordeal.finish(*([] if server else ["model.options.delay=0"]))
    run = project / f"run-{number}"
    return ordeal, data(run) == data(project / f"calm-{number}") and intact(run)


def told(ordeals: Sequence[Ordeal]) -> Iterator[str]:
    """What came of it."""
    hits = [blow for ordeal in ordeals for blow in ordeal.hits]
    most = IN_FLIGHT * sum(len(ordeal.hits) for ordeal in ordeals if ordeal.server)
    complaints = [words for ordeal in ordeals for words in ordeal.complaints]
    at_work, unfinished = (sum(getattr(blow, name) for blow in hits) for name in ("working", "unfinished"))
    yield f"kills that hit a running process: {len(hits)}, {at_work} past its start-up"
    yield f"of these, the run not yet complete: {unfinished}"
    yield f"replies stored: {sum(len(stored(ordeal.folder)) for ordeal in ordeals)}"
    repeats = sum(ordeal.repeats for ordeal in ordeals)
    yield f"prompts asked twice over HTTP: {repeats} (in flight when it was killed: {most} at most)"
    yield f"stored and asked again, lost, or otherwise wrong: {len(complaints)}"
    yield from (f"  {words}" for words in complaints)


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=8)
    given = parser.parse_args(arguments)
    began, ordeals, same = time.monotonic(), [], True
    print(f"Python {platform.python_version()}; {given.kills} kills of {given.runs} runs, seed {given.seed}")
    print("run, s scripted or h HTTP; kill, signals, kind of moment, moment, stage, replies, exit status")
    with (
        tempfile.TemporaryDirectory() as folder,
        ModelServer(by_prompt) as quick,
        ModelServer(unhurried) as slow,
    ):
        for run in range(given.runs):
            kills = given.kills // given.runs + (run < given.kills % given.runs)
            asked = [quick, slow] if run % 4 == 1 else []
            ordeal, equal = trial(Path(folder), run, kills, given.seed * 1000 + run, asked)
            ordeals.append(ordeal)
            same = same and equal
            print(f"{run:2}{'h' if asked else 's'} {'same bytes' if equal else 'OTHER BYTES'}", flush=True)
        print("\n".join(told(ordeals)))
    print(f"same bytes: {'yes' if same else 'no'}")
    print(f"wall time: {time.monotonic() - began:.0f} s")
    return 0 if same and not any(ordeal.complaints for ordeal in ordeals) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
