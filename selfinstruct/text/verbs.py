"""Root verb and direct object of instructions, and the most common of them. Usable on its own.

>>> read = parser("en")
>>> drawn = sunburst(read.pairs(["Write a poem about rain.", "Write a poem.", "List some rivers."]))
>>> drawn.verbs[0]
Verb(name='write', count=2, objects=(('poem', 2),))

The paper shows them in its figure 3 (arXiv 2212.10560, section 3). Its code takes the verb that is closest to
the root of the first sentence, and the verb's first direct object that is a noun, both from spaCy's parse. So
does `parser`, if spaCy and an English model are installed. Otherwise it uses the rules of `text.verb_rules`,
and says so. There is no parser for other languages here: `text.common_words` counts their words. To prefer
another model, change `_MODELS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from selfinstruct.text import verb_rules
from selfinstruct.text.common_words import most_common
from selfinstruct.text.tokenizers import is_english

Pair = verb_rules.Pair  # verb and object

INSTALL = 'pip install "selfinstruct[verbs]"'
# The names are those of Python packages. First these, in this order; then any other with this beginning.
_MODELS = ("en_core_web_sm", "en_core_web_md", "en_core_web_lg")
_BEGINNING = "en_core_web"
_LONGEST = 500  # characters; the first sentence of an instruction is mostly shorter
_AT_ONCE = 128  # texts
# Control characters other than tab and newline, marks of direction and width, and surrogates.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_RULES = (
    "Rules with a list of verbs find them; verb and object are spaCy's for about five in six instructions."
)


@dataclass(frozen=True)
class Parser:
    """A way to find the root verb and the direct object of texts.

    Attributes:
        name: the name of the model; "rules" or "none" without a model.
        how: what finds them, as a sentence or two for a reader of the figures.
        each: gives the pair of each text, one by one, so that a caller can show progress.
        slow: whether 10,000 texts take more than a few seconds.
    """

    name: str
    how: str
    each: Callable[[Iterable[str]], Iterator[Pair]]
    slow: bool = False

    def pairs(self, texts: Iterable[str]) -> list[Pair]:
        """For each text its verb and object as base forms, each None where there is none.

        Only the first sentence counts, and of it the first 500 characters. spaCy takes about 2 ms a text.
        """
        return list(self.each(texts))


@dataclass(frozen=True)
class Verb:
    """A root verb, how many texts have it with an object, and its most common objects with their counts."""

    name: str
    count: int
    objects: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Sunburst:
    """The most common verbs with their most common objects, as in the paper's figure 3.

    Attributes:
        verbs: the verbs, the most common first.
        texts: the number of texts.
        paired: how many texts have a verb and an object (in the paper: 26,559 of 52,445).
        shown: how many texts have a verb and an object that are among those here (in the paper: 14%).
    """

    verbs: tuple[Verb, ...]
    texts: int
    paired: int
    shown: int

    @property
    def covered(self) -> float:
        """The share of all texts that is shown, from 0 to 1."""
        return self.shown / self.texts if self.texts else 0.0


def parser(language: str) -> Parser:
    """The best parser for texts of a language (a BCP 47 tag) that this machine has."""
    if not is_english(language):
        how = f"Verbs and objects are found in English texts only; these are in {language!r}."
        return Parser("none", how, lambda texts: ((None, None) for _ in texts))
    name = _installed()
    if name is None:
        return _by_rules(f"To use a parser instead: {INSTALL}")
    try:
        return _by_spacy(name)
    except Exception as error:  # what a model of another version of spaCy raises can be anything
        return _by_rules(
            f"spaCy is installed, but its model {name} fails: {str(error).strip().partition(chr(10))[0]}"
        )


def sunburst(pairs: Iterable[Pair], verbs: int = 20, objects: int = 4) -> Sunburst:
    """The most common verbs and, for each, its most common objects; of equally common ones, by the alphabet.

    As in the paper, a text counts only if it has both.

    Args:
        pairs: a verb and an object for each text, from `Parser.pairs`.
        verbs: the number of verbs.
        objects: the number of objects for each verb.
    """
    texts, whole, counts = 0, Counter[tuple[str, str]](), Counter[str]()
    for verb, noun in pairs:
        texts += 1
        if verb and noun:
            whole[verb, noun] += 1
    for (verb, _), count in whole.items():
        counts[verb] += count
    shown = []
    for verb, count in most_common(counts, verbs):
        nouns = Counter({noun: times for (first, noun), times in whole.items() if first == verb})
        shown.append(Verb(verb, count, tuple(most_common(nouns, objects))))
    drawn = sum(times for verb in shown for _, times in verb.objects)
    return Sunburst(tuple(shown), texts, whole.total(), drawn)


def _installed() -> str | None:
    """The name of the English model of spaCy to use; None if there is none, or no spaCy."""
    if find_spec("spacy") is None:
        return None
    names = {point.name for point in entry_points(group="spacy_models")}
    others = sorted(name for name in names if name.startswith(_BEGINNING))
    return next((name for name in (*_MODELS, *others) if name in names), None)


def _by_rules(why: str) -> Parser:
    return Parser("rules", f"{_RULES} {why}", lambda texts: map(verb_rules.pair, map(_clean, texts)))


def _by_spacy(name: str) -> Parser:
    import spacy

    nlp = spacy.load(name, exclude=["ner", "senter"])
    how = f"spaCy {spacy.__version__} parses the first sentence, with the model {name} {nlp.meta['version']}."

    def each(texts: Iterable[str]) -> Iterator[Pair]:
        return map(_closest_to_root, nlp.pipe(map(_clean, texts), batch_size=_AT_ONCE))

    return Parser(name, how, each, slow=True)


def _clean(text: str) -> str:
    """The beginning of a text, without invisible characters, and without surrogates, which spaCy refuses."""
    return _UNSEEN.sub("", text[: 2 * _LONGEST]).strip()[:_LONGEST]


def _closest_to_root(doc: Any) -> Pair:
    """The verb of the first sentence that is closest to its root, and the verb's first direct object."""
    level = [sentence.root for sentence in doc.sents][:1]
    while level:
        for token in level:
            if token.pos_ == "VERB" and token.is_alpha and len(token) > 1:
                return token.lemma_.lower(), _direct_object(token)
        level = [child for token in level for child in token.children]
    return None, None


def _direct_object(verb: Any) -> str | None:
    nouns = (
        child for child in verb.children if child.dep_ == "dobj" and child.pos_ == "NOUN" and child.is_alpha
    )
    return next((noun.lemma_.lower() for noun in nouns), None)
