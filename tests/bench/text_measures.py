"""What the measures behind the report cost, and how often the rules for verbs agree with spaCy; run by hand.

    python tests/bench/text_measures.py                # 52,000 instructions and 80,000 instances
    python tests/bench/text_measures.py 1000 2000
    python tests/bench/text_measures.py --parser       # also with spaCy, if it is installed: minutes

Seconds of CPU and the growth of the process's largest memory, one line for each measure. Instructions are
Alpaca's first 10,000 and then the same ones with half of their words exchanged, as tests/bench/novelty.py
makes them. An instance is one of the paper's own tasks, its input and its output.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from functools import partial
from itertools import chain, cycle, islice
from typing import TypeVar

import numpy as np
from novelty import DATA, instructions, made

from selfinstruct.llm import tokens as model_tokens
from selfinstruct.text import verb_rules
from selfinstruct.text.common_words import common_words
from selfinstruct.text.diversity import measures
from selfinstruct.text.lengths import edges, histogram, tokens, words
from selfinstruct.text.vendi import vendi
from selfinstruct.text.verbs import parser, sunburst

T = TypeVar("T")


def main() -> None:
    """Print a line for each measure."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("instructions", type=int, nargs="?", default=52_000)
    options.add_argument("instances", type=int, nargs="?", default=80_000)
    options.add_argument(
        "--parser", action="store_true", help="parse with spaCy, and compare the rules with it"
    )
    given = options.parse_args()
    real = instructions("alpaca_instructions_10k")
    texts = list(islice(chain(real, made()), given.instructions))
    inputs, outputs = pieces(given.instances)
    print(f"{len(texts):,} instructions, {len(inputs):,} instances, {largest():.0f} MB before")
    whole = time.process_time()
    measured(texts, [texts, inputs, outputs])
    print(f"{'all of these':40} {time.process_time() - whole:6.2f} s")
    if given.parser:
        parsed(texts)


def measured(texts: list[str], fields: list[list[str]]) -> None:
    """All measures that the report of a run without a parser has, but the comparison with each other text."""
    pairs = line("verbs and objects by rules", lambda: [verb_rules.pair(text) for text in texts])
    line("sunburst", partial(sunburst, pairs))
    line("common words", partial(common_words, texts, "en"))
    line("distinct-n, entropy, self-BLEU", partial(measures, texts))
    embedded = np.random.default_rng(0).normal(size=(len(texts), 384)).astype(np.float32)
    line("Vendi score of 384 dimensions", partial(vendi, embedded))
    del embedded
    counted = [line("lengths in words", partial(words, field)) for field in fields]
    counted += [line("lengths in tokens", partial(tokens, field, model_tokens.count)) for field in fields]
    common = line("edges of all", partial(edges, list(chain(*counted))))
    line("histograms", lambda: [histogram(values, common) for values in counted])


def parsed(texts: list[str]) -> None:
    """The time of spaCy, and how often the rules say the same, on real instructions."""
    found = parser("en")
    print(found.how)
    for name in ("alpaca_instructions_10k", "seed_tasks", "user_oriented_instructions"):
        real = instructions(name)
        theirs = line(f"{found.name}, {name}", partial(found.pairs, real))
        both = list(zip(theirs, map(verb_rules.pair, real), strict=True))
        verbs = sum(one[0] == other[0] for one, other in both) / len(both)
        same = sum(one == other for one, other in both) / len(both)
        paired = [one == other for one, other in both if one[1]]
        print(f"   the same verb {verbs:.1%}, the same verb and object {same:.1%}", end="")
        print(f"; where {found.name} has an object {sum(paired) / len(paired):.1%}")
    line(f"{found.name}, {len(texts):,} instructions", partial(found.pairs, texts))


def pieces(count: int) -> tuple[list[str], list[str]]:
    """So many inputs and outputs."""
    rows = [json.loads(row) for row in (DATA / "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    instances = list(islice(cycle([instance for row in rows for instance in row["instances"]]), count))
    return [instance["input"] for instance in instances], [instance["output"] for instance in instances]


def line(name: str, call: Callable[[], T]) -> T:
    """Run it, and print its seconds of CPU and the growth of the largest memory."""
    before, start = largest(), time.process_time()
    result = call()
    print(f"{name:40} {time.process_time() - start:6.2f} s {largest() - before:6.0f} MB", flush=True)
    return result


def largest() -> float:
    """The largest memory of the process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
