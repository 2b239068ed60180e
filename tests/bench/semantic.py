"""What the filter embedding_similarity costs a candidate, and how well the local model tells; run by hand.

    python tests/bench/semantic.py                     # all parts, about ten minutes on two cores
    python tests/bench/semantic.py search --sizes 10000 50000
    python tests/bench/semantic.py embedding quality journal

`search` has vectors of 384 numbers made of real ones: the local model's of two instructions drawn at random,
added, one of them times 0.7, with NumPy's generator seeded 0. Of each index: what a candidate costs to look
up among so many entries, what an entry costs to add, what it takes to have all in again when a run goes on,
and how often it finds what the exact one finds. CPU time of one core (BLAS with one thread), the mean of 200
candidates.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from paraphrases import PARAPHRASES

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from novelty import instructions

from selfinstruct.journal.store import Journal
from selfinstruct.llm.embedding_local import LocalEmbedding
from selfinstruct.records import StoredVector
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.similarity import Approximate, Exact, Index

REAL, CANDIDATES = 1000, 200


def say(text: str, *figures: Any) -> None:
    """Print a line."""
    print("  " + text.format(*figures), flush=True)


@lru_cache(maxsize=1)
def real() -> Any:
    """Vectors of instructions."""
    texts = instructions("alpaca_instructions_10k")[:REAL]
    return np.asarray(asyncio.run(LocalEmbedding().embed(texts)).vectors)


def mixed(count: int, rng: np.random.Generator) -> Any:
    """Vectors made of two real ones each."""
    one, other = (real()[rng.integers(0, REAL, count)] for _ in range(2))
    vectors = (one + 0.7 * other).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def search(sizes: list[int]) -> None:
    """The indexes beside each other, at each size."""
    rng = np.random.default_rng(0)
    for size in sizes:
        rows, asked = mixed(size, rng), mixed(CANDIDATES, rng)
        truth: list[str] = []
        for kind in (Exact, Approximate):
            found, line = _measured(kind(), rows, asked)
            truth = truth or found
            recall = sum(map(str.__eq__, found, truth)) / CANDIDATES
            say("{:>7,} {:<12} {}, finds the nearest {:.1%}", size, kind.__name__.lower(), line, recall)


def _measured(index: Index, rows: Any, asked: Any) -> tuple[list[str], str]:
    ids = [str(place) for place in range(len(rows))]
    start = time.process_time()
    index.add(ids[:-100], rows[:-100])
    again = time.process_time()
    for id, row in zip(ids[-100:], rows[-100:], strict=True):
        index.add([id], row[None])
    added = time.process_time()
    found = [match.id for vector in asked if (match := index.nearest(vector))]
    looked = time.process_time()
    costs = (looked - added) / len(asked) * 1e6, (added - again) / 100 * 1e6, again - start
    return found, "look up {:,.0f} us, add {:,.0f} us, all again {:.1f} s".format(*costs)


def embedding(sizes: list[int]) -> None:
    """The local model: a text in a reply of eight, in a batch of seeds, and alone."""
    texts = instructions("alpaca_instructions_10k")[:256]
    model = LocalEmbedding()
    asyncio.run(model.embed(texts[:1]))
    for batch in (1, 8, 64):
        groups = [texts[start : start + batch] for start in range(0, len(texts), batch)]
        cpu, clock = time.process_time(), time.monotonic()
        for group in groups:
            asyncio.run(model.embed(group))
        costs = [(end - start) / len(texts) * 1e3 for start, end in _since(cpu, clock)]
        say("{:>2} together: {:.1f} ms CPU a text, {:.1f} ms by the clock", batch, *costs)


def _since(cpu: float, clock: float) -> list[tuple[float, float]]:
    return [(cpu, time.process_time()), (clock, time.monotonic())]


def quality(sizes: list[int]) -> None:
    """Whether paraphrases of ours are told from texts that say something else."""
    model = LocalEmbedding()
    firsts, seconds = zip(*PARAPHRASES, strict=True)
    groups = [instructions("seed_tasks"), firsts, seconds]
    seeds, *pair = (np.asarray(asyncio.run(model.embed(texts)).vectors) for texts in groups)
    for name, mean in (("plain", 0 * seeds[0]), ("centered", seeds.mean(axis=0))):
        one, other, background = (_moved(vectors, mean) for vectors in (*pair, real()))
        same = np.diag(one @ other.T)
        right = (one @ np.concatenate([other, background]).T).argmax(axis=1) == np.arange(len(one))
        near = np.tril(background @ background.T, -1).max(axis=1)
        say("{}: {} paraphrases of {:.2f} to {:.2f}", name, len(same), same.min(), same.max())
        say("  nearest of all {:,} texts: {} of {}", len(other) + REAL, right.sum(), len(one))
        for share in (0.25, 0.5, 0.75):
            threshold = np.quantile(same, 1 - share)
            words = "  above {:.2f}: {:.0%} of them, and {:.0%} of {:,} instructions of Alpaca's"
            say(words, threshold, share, np.mean(near > threshold), REAL)
    index = RougeLIndex(0.7)
    for place, text in enumerate(firsts):
        index.add(text, str(place))
    say("above ROUGE-L 0.7: {} of {}", sum(index.nearest(text) is not None for text in seconds), len(seconds))


def _moved(vectors: Any, mean: Any) -> Any:
    return (vectors - mean) / np.linalg.norm(vectors - mean, axis=1, keepdims=True)


def journal(sizes: list[int]) -> None:
    """What it takes to keep a vector and to read it again."""
    vectors = mixed(2000, np.random.default_rng(0)).astype(np.float16)
    kept = [
        StoredVector(bytes([place % 256, place // 256]) * 8, row.tobytes())
        for place, row in enumerate(vectors)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Journal(Path(folder) / "run.sqlite")
        start = time.process_time()
        for place in range(0, len(kept), 8):
            store.keep_vectors("ideas", kept[place : place + 8])
            store.commit()
        stored = time.process_time()
        for one in kept:
            store.vectors([one.key])
        keeping, reading = stored - start, time.process_time() - stored
        store.close()
        with sqlite3.connect(Path(folder) / "run.sqlite") as db:
            size = (
                db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
            )
    say(
        "keep {:.0f} us, read {:.0f} us, {:,.0f} bytes a vector",
        keeping / 2000 * 1e6,
        reading / 2000 * 1e6,
        size / 2000,
    )


PARTS = {"embedding": embedding, "quality": quality, "journal": journal, "search": search}


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000])
    given = parser.parse_args()
    for name in given.parts or PARTS:
        print(f"{name}: {(PARTS[name].__doc__ or '').strip()}")
        PARTS[name](given.sizes)


if __name__ == "__main__":
    main()
