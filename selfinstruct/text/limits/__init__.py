"""Limits that an instruction sets and a program can count: words, sentences, items, forms, labels.

>>> [limit.words for limit in find("Explain rain to a child in at most two sentences.", "en")]
['in at most two sentences']
>>> broken(find("Answer with yes or no.", "en")[0], "Perhaps.")
"the answer does not begin with one of 'yes', 'no'"

`find` says nothing if the words may mean something else, such as the length of an input. `broken` says
nothing if the answer can be counted in two ways and one of them keeps the limit. So what is said is rarely
wrong, and some broken limits are not found. To add a language, write a module like `en` and list it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selfinstruct.text.limits import de, en, ja, zh
from selfinstruct.text.limits.answers import broken as broken
from selfinstruct.text.limits.grammar import QUOTE, Grammar, Limit, plain
from selfinstruct.text.limits.labels import labels
from selfinstruct.text.limits.quantities import items, quantities

GRAMMARS: dict[str, Grammar] = {"en": en.GRAMMAR, "de": de.GRAMMAR, "ja": ja.GRAMMAR, "zh": zh.GRAMMAR}
LISTS = ("numbered", "bullets")
LONGEST = 4_000  # characters of an instruction that are searched


def find(instruction: str, language: str) -> list[Limit]:
    """The limits that an instruction sets on its answer, each once.

    Args:
        instruction: the instruction, without its input.
        language: its language, as a BCP 47 tag; one of `GRAMMARS`.

    Raises:
        KeyError: if there is no grammar for the language.
    """
    grammar = GRAMMARS[re.split("[-_]", language)[0].lower()]
    return list(dict.fromkeys(_all(plain(instruction[:LONGEST]), grammar)))


def _all(text: str, grammar: Grammar) -> Iterator[Limit]:
    bare = grammar.quoted.sub(QUOTE, text)
    yield from quantities(bare, grammar)
    yield from items(bare, grammar)
    yield from labels(text, grammar)
    for form, pattern in grammar.forms.items():
        found = pattern.search(bare)
        if found and (form in LISTS or not grammar.not_form.search(bare)):
            yield Limit(form, words=found[0].strip())
