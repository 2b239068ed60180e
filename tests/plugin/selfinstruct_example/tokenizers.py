"""A tokenizer."""

from __future__ import annotations

from selfinstruct.text.tokenizers import Tokenizer


def bigrams() -> Tokenizer:
    """Each two characters that stand side by side, spaces and case aside."""

    def tokens(text: str) -> list[str]:
        bare = "".join(text.casefold().split())
        return [bare[place : place + 2] for place in range(len(bare) - 1)]

    return tokens
