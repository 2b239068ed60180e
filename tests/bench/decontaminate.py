"""What the filter decontaminate costs; run by hand.

    python tests/bench/decontaminate.py                      # 100,000 evaluation texts: a minute
    python tests/bench/decontaminate.py --rouge-l 0.7        # compares by ROUGE-L too: some minutes
    python tests/bench/decontaminate.py --share 0.5 --preamble

Seconds of CPU time of one core, and the most memory that the process held. The texts are made of 30,000 words
by their rank, 10 to 110 of them, two texts a line. Every fiftieth candidate quotes an evaluation text; each
has an instruction, an input and an output. With `--preamble`, every evaluation text and every tenth
candidate begins with the same ten words, the worst case for a look-up.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from selfinstruct.errors import Fault
from selfinstruct.filters import FILTERS
from selfinstruct.records import Record

WORDS = 30_000
PREAMBLE = "the following are questions with four choices choose the best"


class Writer:
    """Writes texts whose words have the frequencies of a language (Zipf)."""

    def __init__(self) -> None:
        self._rng = random.Random(0)
        self._words = [f"w{rank}" for rank in range(WORDS)]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))

    def text(self, least: int, most: int) -> str:
        """A text with so many words."""
        size = self._rng.randint(least, most)
        return " ".join(self._rng.choices(self._words, cum_weights=self._weights, k=size))

    def quote(self, text: str) -> str:
        """Ten words of a text among others."""
        words = text.split()
        start = self._rng.randint(0, max(0, len(words) - 10))
        return " ".join([self.text(5, 20), *words[start : start + 10], self.text(5, 20)])


def peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=50_000)
    parser.add_argument("--rouge-l", type=float)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--preamble", action="store_true")
    given = parser.parse_args()
    writer, begin = Writer(), f"{PREAMBLE} " if given.preamble else ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "evaluation.jsonl")
        texts = [begin + writer.text(10, 110) for _ in range(given.texts)]
        pairs = zip(texts[::2], texts[1::2], strict=True)
        rows = (json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in pairs)
        path.write_text("".join(rows), encoding="utf-8")
        quoted = texts[: given.candidates // 50]
        size = path.stat().st_size
        del texts
        before, start, faults = peak_mb(), time.process_time(), list[Fault]()
        options = {"files": str(path), "share": given.share, "rouge_l": given.rouge_l}
        check = FILTERS.build("decontaminate", options, "decontaminate", faults)
        check = check.load(Path(folder), "decontaminate", faults) if check and check.load else None
        assert check and check.each and check.loaded, faults
        loading = time.process_time() - start
    print(f"{check.loaded.note.replace(str(path), 'a file')}, {size / 1e6:.0f} MB")
    print(f"reading and indexing: {loading:.1f} s; memory {before:.0f} MB before, {peak_mb():.0f} MB at most")
    met, seconds = 0, 0.0
    for number in range(given.candidates):
        quotes = number % 50 == 0 and number // 50 < len(quoted)
        data = {
            "instruction": (begin if number % 10 == 1 else "") + writer.text(8, 25),
            "input": writer.text(0, 60),
            "output": writer.quote(quoted[number // 50]) if quotes else writer.text(5, 100),
        }
        record = Record(f"a-{number}", "a", number, 0, data)
        start = time.process_time()
        met += check.each(record) is not None
        seconds += time.process_time() - start
    print(
        f"{given.candidates:,} candidates: {seconds:.1f} s, {1e6 * seconds / given.candidates:.0f} us each; "
        f"{met:,} rejected, {len(quoted):,} quote an evaluation text; memory {peak_mb():.0f} MB at most"
    )


if __name__ == "__main__":
    main()
