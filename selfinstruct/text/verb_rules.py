"""Root verb and direct object of an English instruction by rules and lists of words. Usable on their own.

>>> pair("Please write a short story about the sea.")
('write', 'story')

These rules are for machines without a parser; `text.verbs` picks between the two. The verb is the first word
of the first sentence that is in the list of verbs and does not follow a determiner or a preposition. The
object is the last word of the noun phrase right after it. On real instructions, the rules give the same verb
as spaCy's small model for nine in ten, and the same verb and object for five in six
(tests/bench/text_measures.py). To teach them a word, see `text.english`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from selfinstruct.text import english

Pair = tuple[str | None, str | None]

_TOKENS = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z0-9]+)*|\d[\w,.]*|[^\w\s]")
_SENTENCE = re.compile(r".*?(?:[.!?](?=\s|$)|\n\s*\n|$)", re.DOTALL)
_QUOTES = "\"'“”‘’"
_PARTICIPLES = ("ed", "ing")


def pair(text: str) -> Pair:
    """The root verb of a text's first sentence and the verb's direct object, both as base forms.

    Either is None where there is none; the object is never a name, a pronoun or a number.
    """
    found = _SENTENCE.match(text.strip())
    words = _main_clause(_TOKENS.findall(found[0] if found else ""))
    before = ""
    for place, word in enumerate(map(str.lower, words)):
        passive = before in english.AUXILIARIES  # "you are given a word"; but "the given word"
        noun = before in english.DETERMINERS or before in english.PREPOSITIONS
        verb = None if noun or (word in english.DETERMINERS and not passive) else _verb(word)
        if verb:
            return verb, _object(words[place + 1 :])
        before = word
    return None, None


def _main_clause(words: list[str]) -> list[str]:
    """The words without the part before the first comma in "Given a word, ..." and "In this task, ..."."""
    first = words[0].lower() if words else ""
    led = first in english.PREPOSITIONS or first in english.OPENINGS
    return words[words.index(",") + 1 :] if led and "," in words else words


@lru_cache(maxsize=4096)
def _verb(word: str) -> str | None:
    """The base form of a verb; None for an auxiliary and for what is not in the list."""
    if word in english.AUXILIARIES:
        return None
    if word in english.VERBS:
        return word
    for ending, base in english.VERB_ENDINGS:
        stem = word.removesuffix(ending)
        # The second form is for a doubled letter: planned, planning.
        for form in (stem + base, stem[:-1] if stem[-1:] == stem[-2:-1] else ""):
            if stem != word and form in english.VERBS:
                return form
    return english.IRREGULAR_VERBS.get(word)


def _object(words: Sequence[str]) -> str | None:
    """The head of the noun phrase that the words begin with."""
    head = before = ""
    if len(words) > 1 and words[0].lower() in ("and", "or") and _verb(words[1].lower()):
        words = words[2:]  # "compare and contrast"
    for word in words:
        low = word.lower()
        if (not head and low in english.PARTICLES) or (not head and word in _QUOTES):
            continue
        if _ends_phrase(word, head, before):
            break
        before = low
        if not (
            low in english.DETERMINERS or low in english.NUMBERS or low in english.ADVERBS or low[0].isdigit()
        ):
            head = word
    if not head:
        return "following" if before == "following" else None
    return _singular(head.lower()) if head.islower() or head.isupper() else None


def _ends_phrase(word: str, head: str, before: str) -> bool:
    """Whether a noun phrase ends before this word."""
    low = word.lower()
    if low in english.PREPOSITIONS or low in english.AUXILIARIES or not word[0].isalnum():
        return True
    if not head:  # here "that" and "what" are determiners, and begin no clause
        return low in english.CLAUSES and low not in english.DETERMINERS
    if low in english.CLAUSES or low in english.DETERMINERS:
        return True
    named = word[0].isupper() and head.islower()  # "the character Cinderella"
    # "a story | involving ..."; but "a very interesting detailed story"
    clause = (
        low.endswith(_PARTICIPLES) and before == head.lower() and not head.endswith((*_PARTICIPLES, "ly"))
    )
    return named or clause or low.endswith("ly")


@lru_cache(maxsize=4096)
def _singular(noun: str) -> str:
    if noun in english.IRREGULAR_NOUNS:
        return english.IRREGULAR_NOUNS[noun]
    for ending, base in english.NOUN_ENDINGS:
        if noun.endswith(ending) and len(noun) > len(ending) + 1:
            return noun.removesuffix(ending) + base
    return noun
