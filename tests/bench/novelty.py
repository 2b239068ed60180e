"""What the ROUGE-L index costs, beside rouge-score and rapidfuzz's cdist in the same run; run by hand.

    python tests/bench/novelty.py                      # all parts, about ten minutes
    python tests/bench/novelty.py pairwise chinese     # some
    python tests/bench/novelty.py growth --sizes 10000 50000
    python tests/bench/novelty.py ways --before ../earlier

Times are CPU seconds of one core, tokenizing counted; a part that takes seconds is repeated and its median
printed. `ways` adds texts one by one and together (`add_novel`), and with `--before` by the index of another
checkout, in turns of 512 texts; of each turn the median of the rounds counts. `parts` divides both ways into
their steps, on the last 1,024 texts. More instructions than the 10,000 there are come from them: instruction
i is the one at i modulo 10,000, each of its words replaced with probability 1/2 by a word drawn from all
words of all of them (so a frequent word comes more often), with Python's generator seeded 0.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from selfinstruct.text.blocks import Block
from selfinstruct.text.lcs import coded
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.postings import Postings
from selfinstruct.text.tokenizers import tokenizer

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
THRESHOLD = 0.7
REPEATS = 5
T = TypeVar("T")


def instructions(name: str) -> list[str]:
    """The instructions of one of the shared files."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["instruction"] for line in lines]


def made() -> Iterator[str]:
    """Instructions without end, as the module's docstring says."""
    rng = random.Random(0)
    texts = [text.split() for text in instructions("alpaca_instructions_10k")]
    words = [word for text in texts for word in text]
    while True:
        for text in texts:
            yield " ".join(rng.choice(words) if rng.random() < 0.5 else word for word in text)


def timed(call: Callable[[], T], repeats: int = REPEATS) -> tuple[float, T]:
    """The median CPU seconds of a call, and what it gives."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return median(times), result


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median CPU seconds of a call."""
    return timed(call, repeats)[0]


def sift(texts: list[str], index: RougeLIndex) -> list[int]:
    """Take texts in order into an index, each unless it is too similar; the places of those left out."""
    dropped = []
    for place, text in enumerate(texts):
        if index.nearest(text):
            dropped.append(place)
        else:
            index.add(text, str(place))
    return dropped


def sift_together(texts: list[str], index: RougeLIndex) -> list[int]:
    """What `sift` does, with all texts at once."""
    found = index.add_novel((text, str(place)) for place, text in enumerate(texts))
    return [place for place, match in enumerate(found) if match]


def say(text: str, *figures: Any) -> None:
    """Print a line."""
    print("  " + text.format(*figures), flush=True)


def pairwise() -> None:
    """The 175 seeds and the 10,000 instructions in order, against rouge-score pair by pair."""
    from rouge_score import rouge_scorer

    seeds, texts = instructions("seed_tasks"), instructions("alpaca_instructions_10k")

    def ours() -> list[int]:
        index = RougeLIndex(THRESHOLD)
        index.add_all((text, f"seed-{place}") for place, text in enumerate(seeds))
        return sift(texts, index)

    rng = random.Random(0)
    everything = seeds + texts
    ends = [rng.randrange(len(seeds), len(everything)) for _ in range(3000)]
    pairs = [(everything[rng.randrange(end)], everything[end]) for end in ends]
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    mine, dropped = timed(ours)
    once = tokenizer("rouge")
    ready = [(once(first), once(second)) for first, second in pairs]
    theirs = seconds(lambda: [scorer.score(*pair) for pair in pairs]) / len(pairs)
    bare = seconds(lambda: [rouge_scorer._score_lcs(*pair) for pair in ready]) / len(pairs)
    compared = sum(len(seeds) + place for place in range(len(texts)))
    say("dropped of {:,}: {}", len(texts), len(dropped))
    say("ours: {:.3f} s, {:.1f} us an instruction", mine, mine / len(everything) * 1e6)
    for name, each in (("score()", theirs), ("tokens ready", bare)):
        whole = each * compared
        say("rouge-score, {}: {:.1f} us a pair, {:,.0f} s for {:,} pairs", name, each * 1e6, whole, compared)
        say("ratio: {:,.0f}", whole / mine)


def all_pairs(texts: list[str], threshold: float = THRESHOLD) -> list[int]:
    """What `sift` does, by cdist over every text and every one before it, in blocks that fit in memory."""
    import numpy as np
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    numbers: dict[str, int] = {}
    tokens = tokenizer("rouge")
    rows = ["".join(chr(numbers.setdefault(t, len(numbers))) for t in tokens(text)) for text in texts]
    near: list[list[int]] = []
    for start in range(0, len(rows), 200):
        block = rows[start : start + 200]
        # A hair below, so that what rounding hides in 32 bits is not lost.
        table = cdist(
            block,
            rows[: start + len(block)],
            scorer=Indel.normalized_similarity,
            score_cutoff=threshold - 1e-6,
            dtype=np.float32,
        )
        near += [np.flatnonzero(scores[: start + place]).tolist() for place, scores in enumerate(table)]
    dropped: set[int] = set()
    for place, others in enumerate(near):
        if any(other not in dropped and _above(rows[place], rows[other], threshold) for other in others):
            dropped.add(place)
    return sorted(dropped)


def _above(first: str, second: str, threshold: float) -> bool:
    from rapidfuzz.distance import LCSseq

    common = LCSseq.similarity(first, second)
    if not common:
        return False
    precision, recall = common / len(first), common / len(second)
    return 2 * precision * recall / (precision + recall) > threshold


def against_cdist(sizes: list[int]) -> None:
    """The index against rapidfuzz's cdist over all pairs, decisions compared."""
    for size in sizes:
        repeats = REPEATS if size <= 20_000 else 3
        texts = list(islice(made(), size))
        mine, ours = timed(partial(lambda texts: sift(texts, RougeLIndex(THRESHOLD)), texts), repeats)
        theirs, expected = timed(partial(all_pairs, texts), repeats)
        said = "the same decisions" if ours == expected else "OTHER DECISIONS"
        say("{:,}: ours {:.2f} s, cdist {:.2f} s, ratio {:.1f}; {}", size, mine, theirs, theirs / mine, said)


def long_texts() -> None:
    """The same for texts of about 110 tokens: ten instructions put together, 5,000 times."""
    source = made()
    texts = [" ".join(islice(source, 10)) for _ in range(5000)]
    mine = seconds(lambda: sift(texts, RougeLIndex(THRESHOLD)), 3)
    theirs = seconds(lambda: all_pairs(texts), 3)
    each = mine / len(texts) * 1e6
    say("ours {:.2f} s ({:.0f} us a text), cdist {:.2f} s, ratio {:.1f}", mine, each, theirs, theirs / mine)


def ways(before: Path | None) -> None:
    """The real instructions, and as many as Alpaca has: one by one, together, and by another checkout."""
    contenders: dict[str, tuple[Any, Callable[[list[str], Any], list[int]]]] = {
        "one by one": (RougeLIndex, sift),
        "together": (RougeLIndex, sift_together),
    }
    if before:
        contenders = {"before": (earlier(before), sift), **contenders}
    for name, texts in (
        ("Alpaca's first 10,000", instructions("alpaca_instructions_10k")),
        ("52,002 made from them", list(islice(made(), 52_002))),
    ):
        turns = [texts[start : start + 512] for start in range(0, len(texts), 512)]
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(3):
            indexes = {way: index(THRESHOLD) for way, (index, _) in contenders.items()}
            for turn, some in enumerate(turns):
                found = set()
                for way, (_, run) in contenders.items():
                    start = time.process_time()
                    found.add(tuple(run(some, indexes[way])))
                    times.setdefault((way, turn), []).append(time.process_time() - start)
                assert len(found) == 1, "different decisions"
        spent = {way: sum(median(times[way, turn]) for turn in range(len(turns))) for way in contenders}
        first = next(iter(spent.values()))
        for way, each in spent.items():
            say(
                "{}, {}: {:.2f} s, {:.1f} us each, x{:.2f}",
                name,
                way,
                each,
                each / len(texts) * 1e6,
                first / each,
            )


def earlier(checkout: Path) -> Any:
    """The index of another checkout; of its other modules, those of this one are used."""
    spec = spec_from_file_location("earlier_novelty", checkout / "selfinstruct" / "text" / "novelty.py")
    assert spec and spec.loader
    module = sys.modules["earlier_novelty"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RougeLIndex


def parts() -> None:
    """The steps of looking up and adding a text, for the last 1,024 of some; the least of 20 repeats."""
    for name, texts in (
        ("Alpaca's first 10,000", instructions("alpaca_instructions_10k")),
        ("52,002 made from them", list(islice(made(), 52_002))),
    ):
        index = RougeLIndex(THRESHOLD)
        index.add_all((text, str(place)) for place, text in enumerate(texts[:-1024]))
        for way, steps in (("one by one", steps_alone), ("together", steps_together)):
            least: dict[str, float] = {}
            for _ in range(20):
                for step, spent in steps(texts[-1024:], index):
                    least[step] = min(least.get(step, spent), spent)
            listed = ", ".join(f"{step} {spent / 1024 * 1e6:.1f}" for step, spent in least.items())
            say("{}, {}, us a text: {}; {:.1f} in all", name, way, listed, sum(least.values()) / 1024 * 1e6)


def clocked(call: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and its CPU seconds."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def steps_alone(texts: list[str], index: RougeLIndex) -> Iterator[tuple[str, float]]:
    """The steps for one text after the other; they are added to other lists."""
    lists, added = index._postings, Postings(THRESHOLD)
    added.learn(len(index._numbers) + 1)
    codes, spent = clocked(lambda: [index._known(text) for text in texts])
    yield "tokens", spent
    asked, spent = clocked(lambda: [lists.ask(each) for each in codes])
    yield "signatures", spent
    places, spent = clocked(lambda: [lists.search(each) for each in asked])
    yield "candidates", spent
    _, spent = clocked(
        lambda: [index._nearest(coded(each), near) for each, near in zip(codes, places, strict=True) if near]
    )
    yield "LCS", spent
    _, spent = clocked(lambda: list(map(added.insert, asked)))
    yield "insert", spent


def steps_together(texts: list[str], index: RougeLIndex) -> Iterator[tuple[str, float]]:
    """The steps for blocks of texts."""
    lists, added = index._postings, Postings(THRESHOLD)
    added.learn(len(index._numbers) + 1)
    codes, spent = clocked(lambda: [index._known(text) for text in texts])
    yield "tokens", spent
    starts = range(0, len(texts), 256)
    blocks, spent = clocked(lambda: [Block(codes[start : start + 256], THRESHOLD) for start in starts])
    yield "signatures", spent
    found, spent = clocked(lambda: [list(lists.search_all(block)) for block in blocks])
    yield "candidates", spent
    _, spent = clocked(lambda: [block.pairs() for block in blocks])
    yield "pairs inside", spent
    _, spent = clocked(
        lambda: [
            index._nearest(block.texts[number], near)
            for block, each in zip(blocks, found, strict=True)
            for number, near in each
        ]
    )
    yield "LCS", spent
    _, spent = clocked(lambda: list(map(added.insert_some, blocks, [range(256)] * len(blocks))))
    yield "insert", spent


def resident() -> int:
    """Bytes of memory that the process holds now; where that cannot be read, the most it ever held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def growth(sizes: list[int], together: bool) -> None:
    """One index that grows to the largest size: its cost so far, its cost there, its memory.

    The cost there is that of the last tenth of the instructions up to there.
    """
    add = sift_together if together else sift
    say("together:" if together else "one by one:")
    index, source = RougeLIndex(THRESHOLD), made()
    index.nearest(next(source))
    before, spent, done = resident(), 0.0, 0
    for size in sizes:
        parts = []
        for upto in (size - size // 10, size):
            part = 0.0
            while done < upto:
                texts = list(islice(source, min(1000, upto - done)))
                start = time.process_time()
                add(texts, index)
                part += time.process_time() - start
                done += len(texts)
            parts.append(part)
        spent += sum(parts)
        held = resident() - before
        say(
            "{:>9,}: {:6.1f} us each so far, {:6.1f} us there, {:6.1f} s; {:,} in the index, {:.0f} MB, "
            "{:.0f} bytes each",
            size,
            spent / size * 1e6,
            parts[1] / (size // 10) * 1e6,
            spent,
            len(index),
            held / 1e6,
            held / len(index),
        )
    say("most memory of the process: {:.0f} MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def chain() -> None:
    """The filters of `paper` other than ROUGE-L, and the same with the JSON Schema, through the judge."""
    from selfinstruct.recipe.compose import compose
    from selfinstruct.records import Record
    from selfinstruct.stages.judge import Judge

    words = ["recipe=paper", "model=scripted", "~filters.instructions.rouge_l"]
    texts = instructions("alpaca_instructions_10k")
    for name, validated in (("filters", False), ("filters and schema", True)):
        times = []
        for _ in range(REPEATS):
            judge = compose(words, Path.cwd()).recipe().stage("instructions").judge
            if not validated:
                judge = Judge(dict(judge._single), lambda data: None)
            records = [
                Record(f"i-{place}", "instructions", place, 0, {"instruction": text})
                for place, text in enumerate(texts)
            ]
            start = time.process_time()
            for record in records:
                judge.admit(record)
            times.append(time.process_time() - start)
        passed = sum(record.check is None for record in records)
        each = median(times) / len(texts) * 1e6
        say("{}: {:.1f} us a candidate ({:,} of {:,} pass)", name, each, passed, len(texts))


def chinese() -> None:
    """3,000 Chinese instructions, every pair by rouge-score with the same tokenizer."""
    from rouge_score import rouge_scorer

    texts = instructions("alpaca_zh_instructions_3k")
    for name in ("unicode", "characters", "rouge"):

        class Same:
            tokenize = staticmethod(lru_cache(maxsize=None)(tokenizer(name)))

        scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=Same())

        def theirs(scorer: Any = scorer) -> list[int]:
            kept: list[str] = []
            dropped = []
            for place, text in enumerate(texts):
                # From the newest on: whether any is above does not depend on the order.
                if any(scorer.score(old, text)["rougeL"].fmeasure > THRESHOLD for old in reversed(kept)):
                    dropped.append(place)
                else:
                    kept.append(text)
            return dropped

        mine, ours = timed(partial(lambda name: sift(texts, RougeLIndex(THRESHOLD, name)), name))
        spent, expected = timed(theirs, 1)
        said = "as rouge-score decides" if ours == expected else "OTHER THAN ROUGE-SCORE"
        say("{}: {} dropped, {}; {:,.0f} times faster", name, len(expected), said, spent / mine)


def similar() -> None:
    """The ten most similar and the average, which takes a comparison with every entry."""
    for size in (10_000, 50_000):
        index = RougeLIndex(THRESHOLD)
        texts = list(islice(made(), size + 20))
        index.add_all((text, str(place)) for place, text in enumerate(texts[:size]))
        each = seconds(lambda: [index.similar(text, 10) for text in texts[-20:]]) / 20  # noqa: B023
        near = seconds(lambda: [index.nearest(text) for text in texts[-20:]]) / 20  # noqa: B023
        say(
            "{:,} entries: {:.2f} ms a text, {:.0f} ns an entry; nearest alone {:.3f} ms",
            size,
            each * 1e3,
            each / size * 1e9,
            near * 1e3,
        )


def main() -> None:
    """The parts named on the command line, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    names = ["pairwise", "ways", "parts", "cdist", "long", "growth", "chain", "chinese", "similar"]
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(names))
    parser.add_argument("--sizes", nargs="+", type=int, help="of cdist and growth")
    parser.add_argument(
        "--before", type=Path, help="of ways: another checkout, such as of an earlier version"
    )
    parser.add_argument("--together", action="store_true", help="of growth: add many texts at once")
    given = parser.parse_args()
    if set(given.parts) - set(names):
        parser.error(f"parts are: {', '.join(names)}")
    runs: dict[str, Callable[[], None]] = {
        "pairwise": pairwise,
        "ways": lambda: ways(given.before),
        "parts": parts,
        "cdist": lambda: against_cdist(given.sizes or [10_000, 20_000, 50_000]),
        "long": long_texts,
        "growth": lambda: growth(given.sizes or [10_000, 50_000, 200_000, 1_000_000], given.together),
        "chain": chain,
        "chinese": chinese,
        "similar": similar,
    }
    packages = ", ".join(f"{name} {version(name)}" for name in ("rouge-score", "rapidfuzz", "numpy"))
    print(f"Python {platform.python_version()}, {packages}")
    for name in given.parts or names:
        print(f"{name}:", flush=True)
        runs[name]()


if __name__ == "__main__":
    main()
