"""A run on two workers of a Ray cluster beside the same run on its own; run by hand.

    python tests/bench/cluster.py                                  # some minutes
    python tests/bench/cluster.py --requests 1024 --rounds 1       # a look

Both ask a server that answers after 50 ms, with 256 requests in flight and no filter, so that each request
waits for none before it, as in a `label` stage. They take turns, and medians are printed: prompts a second,
and the CPU of the process that owns the journal for each. Server, driver, workers and Ray share the machine's
cores, so the rate on few cores says little about a cluster; the driver's CPU does.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from statistics import median

from fast_server import FastServer
from throughput import Bench, Figures, Row

WAYS = ("local", "ray")


class Spread(Bench):
    """The runs, on a cluster if `address` is set.

    Attributes:
        address: HOST:PORT of the cluster; empty for a run on its own.
    """

    address = ""

    def words(self, row: Row, prompts: int) -> list[str]:
        """What to type for a run of so many prompts."""
        more = ["executor=ray", f"executor.address={self.address}"] if self.address else []
        return [*super().words(row, prompts), *more]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from machines import machines

    found: dict[str, list[Figures]] = {way: [] for way in WAYS}
    with FastServer() as server, machines(2) as cluster, tempfile.TemporaryDirectory() as folder:
        bench = Spread(server, Path(folder))
        for _ in range(options.rounds):
            for way in WAYS:
                bench.address = cluster.address if way == "ray" else ""
                found[way].append(bench.measure(Row("ours"), options.requests))
                print(way, found[way][-1], f"load {os.getloadavg()[0]:.1f}", flush=True)
    rates = {way: median(one.rate for one in found[way]) for way in WAYS}
    cpus = {way: median(one.cpu_ms for one in found[way]) for way in WAYS}
    print(f"\n{os.cpu_count()} cores, Python {platform.python_version()}, medians of {options.rounds}")
    for way in WAYS:
        print(f"{way:<6} {rates[way]:7,.0f} a second   {cpus[way]:6.3f} ms of the driver's CPU for each")
    print(f"ray: {rates['ray'] / rates['local']:.2f} times as fast, {cpus['ray'] - cpus['local']:+.3f} ms")


if __name__ == "__main__":
    main()
