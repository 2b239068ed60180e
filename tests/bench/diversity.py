"""What the figures of diversity cost; run by hand.

    python tests/bench/diversity.py              # 1,000, 10,000 and 50,000 instructions: two minutes
    python tests/bench/diversity.py 10000

CPU seconds of one core, the median of three (one beyond 10,000): of all the figures, and of the comparison
of each instruction with each other alone. Up to 10,000 they are Alpaca's first ones, with the paper's seeds;
beyond that the same ones come again with half of their words exchanged, as tests/bench/novelty.py makes them.
The figures themselves stand below.
"""

from __future__ import annotations

import resource
import sys
from functools import partial
from itertools import islice

from novelty import instructions, made, timed

from selfinstruct.text.diversity import diversity, nearest_other


def main() -> None:
    """Print a line for each size."""
    seeds, real = instructions("seed_tasks"), instructions("alpaca_instructions_10k")
    for size in [int(word) for word in sys.argv[1:]] or [1_000, 10_000, 50_000]:
        texts = [*real, *islice(made(), max(size - len(real), 0))][:size]
        repeats = 3 if size <= 10_000 else 1
        every, found = timed(partial(diversity, texts, seeds), repeats)
        other, _ = timed(partial(nearest_other, texts), repeats)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"{size:,}: {every:.2f} s, nearest other {other:.2f} s; {most:.0f} MB of the process at most")
        print("   " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
