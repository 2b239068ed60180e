"""The ROUGE-L index against the scorer that it stands in for."""

from __future__ import annotations

import random
import subprocess
import sys
from fractions import Fraction
from itertools import product
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from conftest import lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from selfinstruct.text import novelty
from selfinstruct.text.novelty import Match, RougeLIndex
from selfinstruct.text.tokenizers import tokenizer

SCORER = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
many = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
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
ANY_THRESHOLD = st.one_of(
    st.sampled_from([*THRESHOLDS, 1 / 3, 2 / 3, 0.4, 0.8, 1e-300, 1 - 2**-53]),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
)


def rouge_l(first: str, second: str, by: str = "rouge") -> float:
    """The F-measure as rouge-score has it, with a tokenizer of ours or its own."""
    scorer = SCORER
    if by != "rouge":
        scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=SimpleNamespace(tokenize=tokenizer(by)))
    return float(scorer.score(first, second)["rougeL"].fmeasure)


def expected(threshold: float, asked: str, entries: list[str], by: str = "rouge") -> Match | None:
    """What `nearest` has to give: the earliest of the best entries strictly above the threshold."""
    scores = [rouge_l(asked, entry, by) for entry in entries]
    best = max(range(len(scores)), key=scores.__getitem__, default=0)
    return Match(str(best), scores[best]) if scores and scores[best] > threshold else None


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
    dropped = []
    for row in lines(shared / "alpaca_instructions_10k.jsonl"):
        dropped += [row] if index.nearest(row["instruction"]) else []
        index.add(row["instruction"], row["instruction"])
    assert (len(index), dropped) == (10_175, [])


@pytest.mark.parametrize(
    ("name", "by", "threshold"),
    [
        ("alpaca_instructions_10k", "rouge", 0.5),
        ("alpaca_instructions_10k", "unicode", 0.35),
        ("alpaca_zh_instructions_3k", "unicode", 0.7),
        ("alpaca_zh_instructions_3k", "characters", 0.5),
        ("alpaca_zh_instructions_3k", "rouge", 0.7),
    ],
)
def test_real_instructions(shared: Path, name: str, by: str, threshold: float) -> None:
    """Each of the last of them is nearest to what a comparison with every one finds."""
    texts = [row["instruction"] for row in lines(shared / f"{name}.jsonl")]
    index = RougeLIndex(threshold, by)
    index.add_all((text, str(place)) for place, text in enumerate(texts[:-60]))
    best = index.top_all(texts[-60:], 1)
    above = [match if match.score > threshold else None for (match,) in best]
    assert index.nearest_all(texts[-60:]) == above
    for text, (match,) in zip(texts[-60:-58], best[:2], strict=True):
        assert match.score == max(rouge_l(text, other, by) for other in texts[:-60])


def test_seeds_are_found(shared: Path) -> None:
    """Each of the paper's seeds is the nearest to itself."""
    seeds = {row["id"]: row["instruction"] for row in lines(shared / "seed_tasks.jsonl")}
    index = RougeLIndex(0.7)
    for id, one in seeds.items():
        index.add(one, id)
    assert all(index.nearest(one) == Match(id, 1.0) for id, one in seeds.items())


@pytest.mark.parametrize("threshold", ["0.3", "0.5", "0.6", "0.7", "0.75", "0.8", "0.9"])
def test_the_closest_calls(threshold: str) -> None:
    """Texts of every two lengths with just enough in common, and just too little, however badly it lies.

    What is common comes last in the order of tokens, and all other tokens are in the index too: no bound
    leaves room for one token less.
    """
    for first, second in product([*range(1, 14), 20, 30, 31, 32, 33, 39, 48], repeat=2):
        least = ceil(Fraction(threshold) * (first + second) / 2)
        for common in range(max(least - 1, 1), min(least + 2, first + 1, second + 1)):
            same = [f"c{place}" for place in range(common)]
            entry = " ".join(same + [f"x{place}" for place in range(second - common)])
            asked = " ".join(same + [f"y{place}" for place in range(first - common)])
            rest = " ".join([f"y{place}" for place in range(first)] + [f"z{place}" for place in range(400)])
            index = filled(float(threshold), entry, rest)
            score = rouge_l(asked, entry)
            assert index.nearest(asked) == (Match("0", score) if score > float(threshold) else None)


def mixed(rng: random.Random) -> str:
    """A text of up to 120 words of a small vocabulary, now and then of very few different ones."""
    size = rng.choice([0, 1, 3, 6, 9, 12, 16, 31, 32, 40, 64, 120])
    words = [f"w{place}" for place in range(rng.choice([1, 2, 5, 30, 200]))]
    return " ".join(words[int(len(words) * rng.random() ** 2)] for _ in range(size))


def edited(rng: random.Random, of: str) -> str:
    """The text with up to a half of its words left out, exchanged, moved or followed by another."""
    words = of.split()
    for _ in range(rng.randint(0, max(len(words) // 2, 1))):
        place = rng.randrange(len(words) + 1)
        cut = words[place : place + 1]
        words[place : place + 1] = rng.choice([[], [f"w{rng.randrange(200)}"], [*cut, "new"], [*cut, *cut]])
    return " ".join(words)


@many
@given(seed=st.integers(0, 2**32), threshold=ANY_THRESHOLD)
def test_as_rouge_score(seed: int, threshold: float) -> None:
    """Whatever the texts, their lengths and the threshold: rouge-score's decision and its score."""
    rng = random.Random(seed)
    entries = [mixed(rng) for _ in range(rng.randint(1, 3))]
    entries += [edited(rng, rng.choice(entries)) for _ in range(rng.randint(0, 3))]
    asked = edited(rng, rng.choice(entries))
    index = filled(threshold, *entries)
    assert index.nearest(asked) == expected(threshold, asked, entries)


@many
@given(seed=st.integers(0, 2**32), threshold=ANY_THRESHOLD)
def test_excluding(seed: int, threshold: float) -> None:
    """Entries passed over are as if they had never been added: rouge-score's decision among the others."""
    rng = random.Random(seed)
    entries = [mixed(rng) for _ in range(3)]
    entries += [edited(rng, rng.choice(entries)) for _ in range(3)]
    asked = edited(rng, rng.choice(entries))
    index = filled(threshold, *entries)
    excluded = {str(place) for place in rng.sample(range(len(entries)), rng.randint(1, len(entries)))}
    others = [place for place in range(len(entries)) if str(place) not in excluded]
    best = expected(threshold, asked, [entries[place] for place in others])
    wanted = Match(str(others[int(best.id)]), best.score) if best else None
    assert index.nearest(asked, excluding=excluded) == wanted


@many
@given(
    entries=st.lists(st.text(max_size=40), min_size=1, max_size=4),
    asked=st.text(max_size=40),
    threshold=ANY_THRESHOLD,
    by=st.sampled_from(["rouge", "unicode", "characters", "spaces"]),
)
def test_any_text(entries: list[str], asked: str, threshold: float, by: str) -> None:
    """Any characters at all, by any tokenizer."""
    entries = [*entries, asked[1:] + "ab", entries[0] + asked]
    index = RougeLIndex(threshold, by)
    index.add_all((entry, str(place)) for place, entry in enumerate(entries))
    assert index.nearest(asked) == expected(threshold, asked, entries, by)


@settings(many, max_examples=300)
@given(seed=st.integers(0, 2**32), threshold=st.sampled_from(THRESHOLDS))
def test_order_of_adding(seed: int, threshold: float) -> None:
    """In whatever order entries were added, the best score is the same; duplicates change nothing."""
    rng = random.Random(seed)
    entries = [mixed(rng) for _ in range(4)]
    entries += [edited(rng, entry) for entry in entries]
    asked = edited(rng, rng.choice(entries))
    scores = set()
    for shuffled in (entries, entries[::-1], rng.sample(entries * 2, 2 * len(entries))):
        near = filled(threshold, *shuffled).nearest(asked)
        scores.add(near.score if near else None)
        assert near == expected(threshold, asked, shuffled)
    assert len(scores) == 1


@settings(many, max_examples=300)
@given(seed=st.integers(0, 2**32), k=st.integers(0, 12))
def test_top_of_any(seed: int, k: int) -> None:
    """`top` gives the k best with rouge-score's scores, and `similar` their mean with them."""
    rng = random.Random(seed)
    entries = [mixed(rng) for _ in range(rng.randint(0, 5))]
    entries += [edited(rng, entry) for entry in entries]
    index = filled(0.7, *entries)
    asked = [mixed(rng), *(edited(rng, entry) for entry in entries[:9])]
    for one, found in zip(asked, index.top_all(asked, k), strict=True):
        scores = [rouge_l(one, entry) for entry in entries]
        best = sorted((-score, place) for place, score in enumerate(scores))[:k]
        assert found == [Match(str(place), -score) for score, place in best] == index.top(one, k)
        mean = sum(scores) / len(scores) if scores else 0.0
        most, average = index.similar(one, k)
        assert most == found
        assert average == pytest.approx(mean, abs=1e-12)


def one_by_one(index: RougeLIndex, entries: list[tuple[str, str]]) -> list[Match | None]:
    """What `add_novel` stands for."""
    found = []
    for text, id in entries:
        found.append(index.nearest(text))
        if found[-1] is None:
            index.add(text, id)
    return found


@settings(many, max_examples=250)
@given(
    seed=st.integers(0, 2**32),
    threshold=ANY_THRESHOLD,
    by=st.sampled_from(["rouge", "characters"]),
    size=st.sampled_from([1, 2, 3, 5, 64]),
)
def test_novel_as_rouge_score(seed: int, threshold: float, by: str, size: int) -> None:
    """Texts added many at once, in blocks of any size, get rouge-score's decisions one after the other."""
    rng = random.Random(seed)
    texts = [mixed(rng) for _ in range(rng.randint(1, 4))]
    texts += [edited(rng, rng.choice(texts)) for _ in range(rng.randint(1, 8))]
    texts = [text[:60] for text in texts] if by == "characters" else texts
    kept: list[int] = []
    wanted: list[Match | None] = []
    for place, text in enumerate(texts):
        best = expected(threshold, text, [texts[other] for other in kept], by)
        wanted.append(Match(str(kept[int(best.id)]), best.score) if best else None)
        kept += [place] if best is None else []
    with patch.object(novelty, "_BLOCK", size):
        index = RougeLIndex(threshold, by)
        assert index.add_novel((text, str(place)) for place, text in enumerate(texts)) == wanted
        assert len(index) == len(kept)
        again = [expected(threshold, text, [texts[other] for other in kept], by) for text in texts]
        assert index.nearest_all(texts) == [
            Match(str(kept[int(best.id)]), best.score) if best else None for best in again
        ]


@pytest.mark.parametrize(
    ("name", "by", "threshold", "most"),
    [
        ("alpaca_instructions_10k", "rouge", 0.7, 10_000),
        ("alpaca_instructions_10k", "rouge", 0.5, 3000),
        ("alpaca_instructions_10k", "spaces", 0.3, 1000),
        ("alpaca_zh_instructions_3k", "unicode", 0.7, 3000),
        ("alpaca_zh_instructions_3k", "characters", 0.5, 1500),
        ("user_oriented_instructions", "unicode", 0.2, 252),
    ],
)
def test_real_novel(shared: Path, name: str, by: str, threshold: float, most: int) -> None:
    """Real instructions get the same matches with the same scores one by one, together, and in turns."""
    entries = [(row["instruction"], str(place)) for place, row in enumerate(lines(shared / f"{name}.jsonl"))]
    entries = entries[:most]
    indexes = [RougeLIndex(threshold, by) for _ in range(3)]
    wanted = one_by_one(indexes[0], entries)
    assert indexes[1].add_novel(entries) == wanted
    mixed_up: list[Match | None] = []
    for start in range(0, len(entries), 100):
        some = entries[start : start + 100]
        mixed_up += indexes[2].add_novel(some) if start % 300 else one_by_one(indexes[2], some)
    assert mixed_up == wanted
    texts = [text for text, _ in entries[-200:]]
    later = [index.nearest_all(texts) for index in indexes]
    assert later[0] == later[1] == later[2] == [indexes[0].nearest(text) for text in texts]


@settings(many, max_examples=120)
@given(seed=st.integers(0, 2**32), threshold=st.sampled_from(THRESHOLDS))
def test_waiting(seed: int, threshold: float) -> None:
    """However many texts are added before the next question, it is compared with all of them."""
    rng = random.Random(seed)
    texts: list[str] = []
    index = RougeLIndex(threshold)
    block, many = rng.choice([2, 9, 40]), rng.choice([3, 25, 1000])
    with patch.object(novelty, "_BLOCK", block), patch.object(novelty, "_MANY", many):
        for _ in range(4):
            more = [edited(rng, mixed(rng)) for _ in range(rng.choice([0, 1, 2, 7, 8, 20]))]
            for text in more:
                index.add(text, str(len(texts)))
                texts.append(text)
            assert len(index) == len(texts)
            asked = edited(rng, rng.choice(texts)) if texts else "w1"
            assert index.nearest(asked) == expected(threshold, asked, texts)


def test_added_again() -> None:
    """A text that was looked up can be added twice, even if the tokens were sorted in between."""
    with patch.object(novelty, "_BLOCK", 3):
        index = filled(0.5, "x y y", "z y y")
        assert index.nearest("y z") is None
        index.add("y z", "2")
        assert index.nearest_all(["y z"]) == [Match("2", 1.0)]  # now there are enough texts to sort
        index.add("y z", "3")
        assert index.top("y z", 2) == [Match("2", 1.0), Match("3", 1.0)]


def test_looked_up_before_others_are_added() -> None:
    """A text that was looked up can be added later, when other texts have brought its words."""
    index = RougeLIndex(0.5)
    index.add("a b", "0")
    assert index.nearest("x y z") is None
    index.add("q x w", "1")
    index.add("x y z", "2")
    assert index.nearest("x y z") == Match("2", 1.0)
    assert index.nearest("q x w") == Match("1", 1.0)


def test_batches() -> None:
    """A batch gives what one call after the other gives; texts asked about are not added."""
    index, texts = RougeLIndex(0.5), ["a b c", "a b d", "", "x y z"]
    index.add_all(zip(texts, "0123", strict=True))
    assert len(index) == 4
    assert index.nearest_all(["a b d", "q"]) == [Match("1", 1.0), None]
    assert index.top_all(["x y", "a"] * 9, 1) == [index.top("x y", 1), index.top("a", 1)] * 9
    assert index.nearest_all([]) == []
    assert index.add_novel([]) == []
    assert index.top_all([], 3) == []
    assert len(index) == 4


def test_a_question_leaves_nothing() -> None:
    """Texts that are asked about and not added take no memory in the index."""
    index = filled(0.5, "a b c")
    for place in range(100):
        index.nearest(f"unknown{place} words")
        index.top(f"unknown{place} words", 1)
    assert len(index._numbers) == 3


def test_one_hundred_thousand_words() -> None:
    """A text of 100,000 tokens is added and found like any other."""
    rng = random.Random(3)
    words = [f"w{rng.randrange(20_000)}" for _ in range(100_000)]
    index = filled(0.7, "a b c", " ".join(words), "x y z")
    near = index.nearest(" ".join(words[:90_000]))
    assert near == Match("1", 2 * 1.0 * 0.9 / (1.0 + 0.9))
    assert index.nearest(" ".join(words[:50_000])) is None
    assert index.nearest("a b c") == Match("0", 1.0)
    assert [match.id for match in index.top(" ".join(words[:1000]), 3)] == ["1", "0", "2"]


def test_unpaired_surrogates() -> None:
    """Half a surrogate pair, as a broken JSON escape leaves it, is a character like any other."""
    index = RougeLIndex(0.5, "characters")
    index.add_all([("\ud800b\udfff", "0"), ("\ud801b\udffe", "1")])
    assert index.nearest("\ud800b\udfff") == Match("0", 1.0)
    assert index.nearest("\ud801b\udfff") == expected(
        0.5, "\ud801b\udfff", ["\ud800b\udfff", "\ud801b\udffe"], "characters"
    )
    for by in ("rouge", "unicode", "spaces"):
        other = RougeLIndex(0.5, by)
        other.add("a \ud800 b", "0")
        assert other.nearest("a \udfff b") == expected(0.5, "a \udfff b", ["a \ud800 b"], by)


def test_more_than_a_million_words() -> None:
    """Words beyond as many as there are characters are told apart, and found among the others."""
    index = RougeLIndex(0.6, "spaces")
    index.add("early one two three", "0")
    index.add_all(
        (" ".join(map(str, range(start, start + 50_000))), f"many-{start}")
        for start in range(0, 1_200_000, 50_000)
    )
    index.add("early one late words", "1")
    index.add("late words other", "2")
    assert index.nearest("early one late words too") == Match("1", 2 * 1.0 * 0.8 / 1.8)
    assert index.nearest("early one two three") == Match("0", 1.0)
    assert index.nearest("other words late") is None
    assert index.nearest_all(["early one late words too"] * 9) == [Match("1", 2 * 1.0 * 0.8 / 1.8)] * 9
    assert [match.id for match in index.top("late words unheard", 2)] == ["2", "1"]
    assert index.top("early one late", 3)[0] == Match("1", 2 * 1.0 * 0.75 / 1.75)
    # "late" is word 1,200,004: its number less as many as there are characters is that of "85888".
    assert {match.id: match.score for match in index.top("85888 85889", 99)}["2"] == 0.0


def test_nothing_heavy_is_imported_with_it() -> None:
    """NumPy, rapidfuzz and rouge-score wait until texts are compared."""
    code = (
        "import sys; from selfinstruct.text.novelty import RougeLIndex; RougeLIndex(0.7).add('a b', '0');"
        "print([name for name in ('numpy', 'rapidfuzz', 'rouge_score', 'nltk') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_tokenizer() -> None:
    """A tokenizer that does not exist is answered with the nearest that does."""
    with pytest.raises(ValueError, match="unknown tokenizer 'unicod'; did you mean 'unicode'"):
        RougeLIndex(0.7, "unicod")
