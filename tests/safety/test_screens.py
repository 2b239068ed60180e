"""A screen never excludes a text in which its expression matches."""

from __future__ import annotations

import random
import re

import pytest
import yaml

from selfinstruct.project.layout import packaged
from selfinstruct.safety.screens import screen_of

SHIPPED = sorted(
    {
        text
        for path in (packaged() / "conf/filters").rglob("*.yaml")
        for text in re.findall(r"(?m)^ +\w+: (?:&\w+ )?('(?:[^'\n]|'')+')", path.read_text(encoding="utf-8"))
    }
)
PATTERNS = [
    *(str(yaml.safe_load(text)) for text in SHIPPED),
    r"(?i)<image>|\[photo \d+\]",
    r"(?:a|)b?c",
    r"a{0,2}b{2}",
    r"(?:ab|c){4,}d",
    r"(?:x?){3}y",
    r"(?i)\u017ft\u212a",  # a long s and the sign of kelvin, which are s and k in another case
    r"(?i)[\u0100-\u2fff]z",
    r"[[:alpha:]]",
    r"(?<!a)b(?=c)|(?!d)e",
    r"(a)\1|[^a-z]\d",
    r"(?P<q>['\"]).*?(?P=q)",
    r"",
]
PIECES = (
    "ab",
    "b",
    "c",
    "d",
    "AB",
    "xy",
    "n/a",
    "[",
    "]",
    "<image>",
    "photo 12",
    " ",
    "\n",
    "1234",
    "sk-",
    "stk",
    "iz",
    "é",
    "“",
)


def texts(pattern: str) -> list[str]:
    """Texts that match here and there: pieces of the pattern itself, in any case, between other pieces."""
    rng = random.Random(pattern)
    own = re.findall(r"[^\\()\[\]|?*+{}]+|[\[\]()|{}]", pattern.replace("\\", "")) or ["a"]
    made = []
    for _ in range(60):
        parts = rng.choices([*own, *own, *PIECES], k=rng.randint(0, 5))
        text = "".join(rng.choice((part, part.upper(), part[: rng.randint(0, 9)])) for part in parts)
        made += [text, text.encode("ascii", "ignore").decode()]
    return made


@pytest.mark.filterwarnings("ignore:Possible nested set")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_excluded_does_not_match(pattern: str) -> None:
    """Searches, matches and whole matches, by Python's engine and by `regex`, which may differ."""
    import regex

    screen = screen_of(pattern)
    for engine in (re, regex):
        compiled = engine.compile(pattern)
        for text in texts(pattern):
            assert not (screen.excludes(text) and compiled.search(text)), text
            assert not (screen.excludes_at(text) and compiled.match(text)), text
            middle = len(text) // 2
            assert not (screen.excludes_at(text, middle) and compiled.match(text, middle)), text


def test_most_of_our_patterns_have_a_screen() -> None:
    """An everyday text is excluded without a search by most patterns."""
    text = "Write a short poem about the sea, and give it a title that nobody expects."
    assert len(PATTERNS) > 100
    assert sum(screen_of(pattern).excludes(text) for pattern in PATTERNS) > 0.7 * len(PATTERNS)
    assert screen_of(r"(?i)<image>|\[photo \d+\]").excludes(text)
    assert not screen_of(r"(?i)<image>|\[photo \d+\]").excludes("See <IMAGE>.")
