"""What counts as a word, by tokenizer and by language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import tokenize

from selfinstruct.describe.description import entries
from selfinstruct.text.tokenizers import TOKENIZERS, comparing, counting, tokenizer, unspaced

many = settings(max_examples=2000, deadline=None, derandomize=True)


@many
@given(st.one_of(st.text(), st.text("aZ9 -_.\n\tİKſéß文", max_size=30)))
def test_rouge_is_rouge_scores(text: str) -> None:
    """`rouge` is the tokenizer of rouge-score without its stemmer, for any text."""
    assert tokenizer("rouge")(text) == tokenize.tokenize(text, None)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Name a well-known river, don't!", ["name", "a", "well", "known", "river", "don", "t"]),
        ("snake_case 2nd", ["snake", "case", "2nd"]),
        ("GRÜSSE aus Köln", ["grüsse", "aus", "köln"]),
        ("Größe größe GRÖSSE", ["grösse"] * 3),
        ("Привет, мир", ["привет", "мир"]),
        ("γειά σου", ["γειά", "σου"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("写一首诗。", ["写", "一", "首", "诗"]),
        ("ABCと123を", ["abc", "と", "123", "を"]),
        ("東京・タワー々", ["東", "京", "タ", "ワ", "ー", "々"]),
        ("ที่ภาษาไทย", ["ที่", "ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("ကို။ ฿๕", ["ကို", "๕"]),
        ("ＡＢＣ　１２", ["abc", "12"]),
        ("ｶﾞｷﾞ", ["ガ", "ギ"]),
        ("か\u3099", ["が"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("\U00020000\U0002a6d6", ["\U00020000", "\U0002a6d6"]),
        ("a\ud800b", ["a", "b"]),
        ("?! … 🙂", []),
        ("", []),
    ],
)
def test_unicode(text: str, tokens: list[str]) -> None:
    """Words in scripts with spaces, characters in those without, whatever their width and case."""
    assert tokenizer("unicode")(text) == tokens


@many
@given(st.text(st.characters(max_codepoint=127)))
def test_unicode_of_ascii(text: str) -> None:
    """Of a text in ASCII, `unicode` and `rouge` make the same words."""
    assert tokenizer("unicode")(text) == tokenizer("rouge")(text)


def test_characters_and_spaces() -> None:
    """Every character that is no space; and what stands between spaces."""
    assert tokenizer("characters")(" Ａb,\n文 ß") == ["a", "b", ",", "文", "s", "s"]
    assert tokenizer("spaces")(" Well-known,\u3000文字 x ") == ["Well-known,", "文字", "x"]


@pytest.mark.parametrize(
    ("language", "compared", "counted"),
    [
        ("en", "rouge", "spaces"),
        ("en-GB", "rouge", "spaces"),
        ("EN_us", "rouge", "spaces"),
        ("ja", "unicode", "unicode"),
        ("zh-Hant", "unicode", "unicode"),
        ("de", "unicode", "unicode"),
        ("enm", "unicode", "unicode"),
    ],
)
def test_by_language(language: str, compared: str, counted: str) -> None:
    """English goes by the original's own; all others by words of any script."""
    assert (comparing(language), counting(language)) == (compared, counted)


def test_unspaced() -> None:
    """Scripts without spaces, told by a character."""
    assert all(map(unspaced, "文かカーㄅไກကខ々"))
    assert not any(map(unspaced, ["a", "é", "한", "я", "。", "", "1"]))


def test_names() -> None:
    """There are these and no others; each has a line that says what it does."""
    assert TOKENIZERS.names() == ["characters", "rouge", "spaces", "unicode"]
    assert all(entry.summary for entry in entries(TOKENIZERS))
    with pytest.raises(ValueError, match="known: characters, rouge, spaces, unicode"):
        tokenizer("words")
