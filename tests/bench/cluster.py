"""A `label` stage on two workers of a Ray cluster beside the same stage of a local run; run by hand.

    python tests/bench/cluster.py                                  # some minutes
    python tests/bench/cluster.py --requests 1024 --rounds 1       # a look
    python tests/bench/cluster.py --profile profiles               # also where the driver's time goes

The stage asks once about each row of a file, without a filter, so no request waits for another one. The
server answers after 50 ms. The rows of the table take turns, and medians are printed: replies a second, and
the CPU of the process that owns the journal for each reply, both without the start and the end of the run.

With many in flight, the CPU is the limit: server, driver, workers and Ray share the cores, so where these are
few the rate says little about a cluster, and the driver's CPU does. With few in flight, the wait for the
server is the limit. `model.concurrency` is that of the run, whatever the number of workers; the row with
twice as many is that of two workers which may each have as many in flight as the local process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fast_server import FastServer
from throughput import run

FEW = 8  # requests in flight where the wait is the limit
RECIPE = """\
# One label for each row of a file.
defaults:
  - override /model: vllm
  - override /export: nothing
  - override /pipeline: spread
  - override /prompts: spread
  - override /filters: spread
  - override /schema: spread
"""
PARTS = {
    "pipeline": """\
texts: {kind: rows, path: rows.jsonl, columns: {text: text}}
labels: {kind: label, of: texts, model: null}
""",
    "prompts": """\
labels:
  style: chat
  template: "What is this text about? {{ text }}"
  parse: {kind: text, field: about}
""",
    "filters": "texts: {}\nlabels: {}\n",
    "schema": "texts: {type: object}\nlabels: {type: object}\n",
}


@dataclass(frozen=True)
class Row:
    """One thing to measure.

    Attributes:
        way: where the requests are sent: local or ray.
        in_flight: `model.concurrency`.
    """

    way: str
    in_flight: int


@dataclass(frozen=True)
class Figures:
    """What one measurement gave: replies a second, and milliseconds of the driver's CPU for each."""

    rate: float
    cpu_ms: float


MANY = (Row("local", 256), Row("ray", 256))
ROWS = (*MANY, Row("local", FEW), Row("ray", FEW), Row("ray", 2 * FEW))


class Spread:
    """The runs, in a project of their own.

    Args:
        server: the server that they ask.
        address: HOST:PORT of the cluster.
        folder: an empty folder.
        profiles: the folder for profiles of the driver; None for none.
    """

    def __init__(self, server: FastServer, address: str, folder: Path, profiles: Path | None) -> None:
        self._server, self._address, self._folder, self._profiles = server, address, folder, profiles
        self._runs = 0
        for group, text in PARTS.items():
            (folder / "conf" / group).mkdir(parents=True, exist_ok=True)
            (folder / "conf" / group / "spread.yaml").write_text(text)
        (folder / "conf/export").mkdir()
        (folder / "conf/export/nothing.yaml").write_text("{}\n")
        (folder / "recipes").mkdir()
        (folder / "recipes/spread.yaml").write_text(RECIPE)

    def measure(self, row: Row, requests: int) -> Figures:
        """One measurement."""
        rows = (json.dumps({"text": f"Text number {number} of a benchmark."}) for number in range(requests))
        (self._folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
        self._server.reset()
        words = self._words(row, requests)
        profile = ["-m", "cProfile", "-o", str(self._profiles / f"{row.way}.prof")] if self._profiles else []
        spent = run([sys.executable, *profile, "-m", "selfinstruct", *words], self._folder)
        answered = self._server.report().answered
        assert len(answered) == requests
        first, last = row.in_flight - 1, requests // row.in_flight * row.in_flight - 1  # whole waves
        begin, end = answered[first], answered[last]
        return Figures(
            (last - first) / (end - begin), (spent.at(end) - spent.at(begin)) / (last - first) * 1e3
        )

    def _words(self, row: Row, requests: int) -> list[str]:
        self._runs += 1
        asked = ["model.name=hosted_vllm/bench", "model.mode=chat", f"model.api_base={self._server.base}"]
        there = ["executor=ray", f"executor.address={self._address}"] if row.way == "ray" else []
        return [
            "recipe=spread",
            *asked,
            f"model.concurrency={row.in_flight}",
            f"target={requests}",
            f"run_dir=run-{self._runs}",
            "cache=off",
            "report=off",
            *there,
        ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=4096, help="with many in flight; a quarter with few")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--profile", type=Path, help="the folder for profiles of one round with many in flight"
    )
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from machines import machines

    found: dict[Row, list[Figures]] = {row: [] for row in (MANY if options.profile else ROWS)}
    if options.profile:
        options.profile.mkdir(exist_ok=True)
        options.rounds = 1
    with FastServer() as server, machines(2) as cluster, tempfile.TemporaryDirectory() as folder:
        profiles = options.profile and options.profile.resolve()
        bench = Spread(server, cluster.address, Path(folder), profiles)
        for _ in range(options.rounds):
            for row, figures in found.items():
                figures.append(bench.measure(row, options.requests // (1 if row in MANY else 4)))
                print(row, figures[-1], f"load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"\n{os.cpu_count()} cores, Python {platform.python_version()}, medians of {options.rounds}")
    for row, figures in found.items():
        rate, cpu = median(one.rate for one in figures), median(one.cpu_ms for one in figures)
        what = f"{row.way}, {row.in_flight} in flight"
        print(f"{what:<22} {rate:7,.0f} a second   {cpu:6.3f} ms of the driver's CPU for each")


if __name__ == "__main__":
    main()
