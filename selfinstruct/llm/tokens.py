"""Estimate how many tokens a text has: good enough for a plan, since each model has its own tokenizer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

NAME = "cl100k_base"
URL = f"https://openaipublic.blob.core.windows.net/encodings/{NAME}.tiktoken"
# The folder in LiteLLM that holds tiktoken's files, each named by the hash of its address.
FOLDER = "litellm_core_utils/tokenizers"


def count(text: str) -> int:
    """The number of tokens of a text."""
    return _counter()[0](text)


def method() -> str:
    """The method that `count` uses, in words."""
    return _counter()[1]


def by_rule(text: str) -> int:
    """The count without a tokenizer: one token for four ASCII characters or for one other character."""
    ascii_characters = sum(character.isascii() for character in text)
    return -(-ascii_characters // 4) + len(text) - ascii_characters


@lru_cache(maxsize=1)
def _counter() -> tuple[Callable[[str], int], str]:
    """The tokenizer from the file that comes with LiteLLM; needs neither the network nor LiteLLM's import."""
    found = folder()
    try:
        if found is None:
            raise FileNotFoundError(URL)
        os.environ["TIKTOKEN_CACHE_DIR"] = str(found)  # as LiteLLM itself does when it is imported
        import tiktoken

        encoding = tiktoken.get_encoding(NAME)
    except (ImportError, OSError, ValueError):
        return by_rule, "four ASCII characters a token, one of any other"
    return lambda text: len(encoding.encode(text, disallowed_special=())), NAME


def folder() -> Path | None:
    """The folder that has the file; None if it is missing, since tiktoken would then download it."""
    spec = find_spec("litellm")
    for package in (spec.submodule_search_locations or []) if spec else []:
        place = Path(package) / FOLDER
        if (place / hashlib.sha1(URL.encode()).hexdigest()).is_file():
            return place
    return None
