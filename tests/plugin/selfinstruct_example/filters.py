"""A filter."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from selfinstruct.filters import Filter, text_filter
from selfinstruct.text.tokenizers import TokenizerName, counting
from selfinstruct.text.tokenizers import tokenizer as tokens_by


def sentence_length(
    *,
    field: str,
    most: Annotated[int, Field(ge=1)] = 30,
    tokenizer: TokenizerName | None = None,
    language: str = "en",
) -> Filter:
    """Rejects a text with a sentence that is too long.

    Args:
        field: the field to look at.
        most: words that a sentence may have.
        tokenizer: what counts as a word; null for what the language says.
        language: of the texts, as a BCP 47 tag; the recipe's unless it is set.
    """
    words = tokens_by(tokenizer or counting(language))

    def check(text: str) -> str | None:
        longest = max((len(words(sentence)) for sentence in re.split(r"[.!?。！？]", text)), default=0)
        return f"a sentence of {longest} words, more than {most}" if longest > most else None

    return text_filter(field, check)
