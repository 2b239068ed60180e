"""How many tokens a text has, nearly: enough for a plan, since each model counts by its own tokenizer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

NAME = "cl100k_base"
URL = f"https://openaipublic.blob.core.windows.net/encodings/{NAME}.tiktoken"
# Folder in LiteLLM that holds tiktoken's files, each under the hash of the address it is from.
FOLDER = "litellm_core_utils/tokenizers"


def count(text: str) -> int:
    """The tokens of a text."""
    return _counter()[0](text)


def method() -> str:
    """What `count` goes by, in words."""
    return _counter()[1]


def by_rule(text: str) -> int:
    """A token for four ASCII characters and for each other one, where there is no tokenizer."""
    ascii_characters = sum(character.isascii() for character in text)
    return -(-ascii_characters // 4) + len(text) - ascii_characters


@lru_cache(maxsize=1)
def _counter() -> tuple[Callable[[str], int], str]:
    """The tokenizer in the file that LiteLLM brings, without the network and without importing LiteLLM."""
    folder = _folder()
    try:
        if folder is None:
            raise FileNotFoundError(URL)
        os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)  # as LiteLLM itself does when it is imported
        import tiktoken

        encoding = tiktoken.get_encoding(NAME)
    except (ImportError, OSError, ValueError):
        return by_rule, "four ASCII characters a token, one of any other"
    return lambda text: len(encoding.encode(text, disallowed_special=())), NAME


def _folder() -> Path | None:
    """The folder that has the file; tiktoken would download it where it is missing."""
    spec = find_spec("litellm")
    for package in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(package) / FOLDER
        if (folder / hashlib.sha1(URL.encode()).hexdigest()).is_file():
            return folder
    return None
