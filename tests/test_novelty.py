"""The ROUGE-L index against the scorer that it stands in for."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
from conftest import lines
from rouge_score import rouge_scorer

from selfinstruct.novelty import Match, RougeLIndex

SCORER = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
WORDS = [
    "the",
    "a",
    "of",
    "Name",
    "names",
    "LIST",
    "list",
    "two",
    "2",
    "don't",
    "well-known",
    "sea,",
    "Größe",
    "文",
]
THRESHOLDS = [0.05, 0.3, 0.5, 0.6, 0.7, 0.75, 0.9, 0.99]


def rouge_l(first: str, second: str) -> float:
    """The F-measure as rouge-score has it."""
    return float(SCORER.score(first, second)["rougeL"].fmeasure)


def text(rng: random.Random) -> str:
    """A random text of few different words, so that many are alike."""
    return " ".join(rng.choices(WORDS, k=rng.choice([0, 1, 2, 3, 5, 8, 10, 20])))


def variant(rng: random.Random, of: str) -> str:
    """A text with a few words of another left out, added or exchanged."""
    words = of.split()
    for _ in range(rng.randint(0, 4)):
        place = rng.randint(0, len(words))
        words[place : place + rng.randint(0, 1)] = rng.choices(WORDS, k=rng.randint(0, 1))
    return " ".join(words)


def filled(threshold: float, *texts: str) -> RougeLIndex:
    """An index of some texts, named by their place."""
    index = RougeLIndex(threshold)
    for place, one in enumerate(texts):
        index.add(one, str(place))
    return index


@pytest.fixture(scope="module")
def entries() -> list[str]:
    """What is in the index."""
    rng = random.Random(7)
    return [text(rng) for _ in range(90)]


@pytest.fixture(scope="module")
def asked(entries: list[str]) -> dict[str, list[float]]:
    """Texts to ask about, half of them near an entry, each with its score to every entry."""
    rng = random.Random(8)
    texts = [text(rng) for _ in range(50)] + [variant(rng, rng.choice(entries)) for _ in range(50)]
    return {one: [rouge_l(one, entry) for entry in entries] for one in texts}


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_nearest(entries: list[str], asked: dict[str, list[float]], threshold: float) -> None:
    """The nearest is the earliest of the best entries strictly above the threshold, with its exact score."""
    index = filled(threshold, *entries)
    best = {one: max(range(len(entries)), key=scores.__getitem__) for one, scores in asked.items()}
    expected = {
        one: Match(str(place), asked[one][place]) if asked[one][place] > threshold else None
        for one, place in best.items()
    }
    assert {one: index.nearest(one) for one in asked} == expected
    assert None in expected.values()
    assert any(expected.values())


def test_grows(entries: list[str]) -> None:
    """Each text is compared with those added before it, and with none added after."""
    index = RougeLIndex(0.6)
    for place, one in enumerate(entries):
        scores = [rouge_l(one, before) for before in entries[:place]]
        near = index.nearest(one)
        assert (near.score if near else None) == max((s for s in scores if s > 0.6), default=None)
        index.add(one, str(place))
    assert len(index) == len(entries)


def test_top(entries: list[str], asked: dict[str, list[float]]) -> None:
    """The most similar entries come first, the earlier of equals before the later."""
    index = filled(0.7, *entries)
    for one, scores in asked.items():
        best = sorted((-score, place) for place, score in enumerate(scores))[:10]
        assert index.top(one, 10) == [Match(str(place), -score) for score, place in best]


def test_average(entries: list[str], asked: dict[str, list[float]]) -> None:
    """The average similarity is the mean over all entries."""
    index = filled(0.7, *entries)
    for one, scores in asked.items():
        assert index.similar(one, 0)[1] == pytest.approx(sum(scores) / len(scores), abs=1e-12)


@pytest.mark.parametrize(
    ("common", "first", "second"),
    [(7, 10, 10), (7, 8, 12), (7, 7, 13), (14, 20, 20), (14, 19, 21), (21, 30, 30)],
)
def test_at_the_threshold(common: int, first: int, second: int) -> None:
    """At 0.7 it decides as rouge-score does, to the last digit."""
    words = [f"w{place}" for place in range(common)]
    entry = " ".join(words + ["x"] * (first - common))
    one = " ".join(words + ["y"] * (second - common))
    score = rouge_l(one, entry)
    assert score == pytest.approx(0.7)
    assert filled(0.7, entry).nearest(one) == (Match("0", score) if score > 0.7 else None)


def test_exactly_the_threshold() -> None:
    """A score that equals the threshold is not above it."""
    assert filled(0.7, "a b c d e f g x y z").nearest("a b c d e f g p q r") is None
    assert filled(0.5, "a b").nearest("a c") is None
    assert filled(0.5 - 1e-12, "a b").nearest("a c") == Match("0", 0.5)


def test_tie() -> None:
    """Of entries with the same score the earliest is the nearest."""
    assert filled(0.5, "a b x d", "a b c x", "a b c y").nearest("a b c d") == Match("0", 0.75)


@pytest.mark.parametrize("nothing", ["", "  ", "...", "文字"])
def test_empty_texts(nothing: str) -> None:
    """A text without a letter a-z or a digit is near nothing, not even its equal."""
    index = filled(0.5, nothing, "a b")
    assert index.nearest(nothing) is None
    assert index.top(nothing, 1) == [Match("0", 0.0)]
    assert index.similar(nothing, 0) == ([], 0.0)
    assert index.nearest("a b") == Match("1", 1.0)


def test_empty_index() -> None:
    """In an empty index nothing is near and the average is 0."""
    index = RougeLIndex(0.7)
    assert (len(index), index.nearest("a"), index.similar("a", 10)) == (0, None, ([], 0.0))


def test_none_above() -> None:
    """Where no entry is above the threshold none is near, however many are below it."""
    assert filled(0.7, *["a b c x y"] * 50).nearest("a b c d e") is None


def test_punctuation_and_case() -> None:
    """Case and punctuation make no difference; the order of words does."""
    index = filled(0.7, "Name a well-known river!")
    assert index.nearest("name A WELL known, river") == Match("0", 1.0)
    assert index.nearest("river known well a name") is None


def test_many_words() -> None:
    """So many different words that their codes would run into surrogates are told apart."""
    words = [f"w{place}" for place in range(70_000)]
    index = filled(0.7, *[" ".join(words[at : at + 1000]) for at in range(0, 70_000, 1000)])
    assert index.nearest(" ".join(words[55_000:56_000])) == Match("55", 1.0)
    assert index.nearest(" ".join(words[63_000:64_000])) == Match("63", 1.0)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, 1.5, 70.0, float("nan")])
def test_threshold_out_of_range(threshold: float) -> None:
    """A threshold has to lie between 0 and 1, both excluded."""
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        RougeLIndex(threshold)


def test_alpaca_drops_none(shared: Path) -> None:
    """After the paper's seeds, none of the instructions that Alpaca released is above 0.7 in their order."""
    index = filled(0.7, *[row["instruction"] for row in lines(shared / "seed_tasks.jsonl")])
    assert len(index) == 175
    released = [row["instruction"] for row in islice(lines(shared / "alpaca_instructions_10k.jsonl"), 2000)]
    dropped = []
    for one in released:
        dropped += [one] if index.nearest(one) else []
        index.add(one, one)
    assert (len(index), dropped) == (2175, [])


def test_seeds_are_found(shared: Path) -> None:
    """Each of the paper's seeds is the nearest to itself."""
    seeds = {row["id"]: row["instruction"] for row in lines(shared / "seed_tasks.jsonl")}
    index = RougeLIndex(0.7)
    for id, one in seeds.items():
        index.add(one, id)
    assert all(index.nearest(one) == Match(id, 1.0) for id, one in seeds.items())
