"""Counts the tokens of a text with a tokenizer that the user names; nothing is downloaded for it.

A name is that of an encoding or a model of tiktoken, a `tokenizer.json`, or a model of the Hugging Face hub.
For a tokenizer whose file is not on this machine, the message has the command that gets it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfinstruct.project.layout import path_below

Counter = Callable[[str], int]
CACHE = "TIKTOKEN_CACHE_DIR"


def counter(name: str, project: Path) -> Counter:
    """A function that counts the tokens of a text.

    Args:
        name: the tokenizer's name.
        project: the user's folder.

    Raises:
        ValueError: if there is no such tokenizer on this machine; the message says how to get it.
    """
    encoding = _encoding(name)
    if encoding:
        return _of_tiktoken(encoding)
    if find_spec("tokenizers") is None:
        raise ValueError(f"{name!r} needs the package tokenizers: pip install tokenizers")
    from tokenizers import Tokenizer

    try:
        made: Any = Tokenizer.from_file(str(_file(name, project)))
    except ValueError:
        raise
    except Exception as error:  # the package raises nothing more precise
        raise ValueError(f"{name!r} cannot be read as a tokenizer: {error}") from error
    return lambda text: len(made.encode(text, add_special_tokens=False).ids)


def _encoding(name: str) -> str | None:
    """The name of tiktoken's encoding with this name, or of the model with this name; None without one."""
    import tiktoken

    if name in tiktoken.list_encoding_names():
        return name
    try:
        return tiktoken.encoding_name_for_model(name)
    except KeyError:
        return None


def _of_tiktoken(encoding: str) -> Counter:
    """The counter of an encoding whose file is on this machine: with LiteLLM, or in tiktoken's cache."""
    import tiktoken

    from selfinstruct.llm import tokens

    # Without a folder, tiktoken looks where it stores files by default; LiteLLM points it to its own folder.
    for place in (os.environ.get(CACHE), None, tokens.folder()):
        with _looking_in(place):
            try:
                made = tiktoken.get_encoding(encoding)
            except FileNotFoundError:
                continue
        return lambda text: len(made.encode(text, disallowed_special=()))
    command = f"python -c \"import tiktoken; tiktoken.get_encoding('{encoding}')\""
    raise ValueError(f"the file of {encoding} is not on this machine; get it with: {command}")


@contextmanager
def _looking_in(place: str | Path | None) -> Iterator[None]:
    """Have tiktoken look for files in a folder only, and download none."""
    from tiktoken import load

    loading: Any = load

    def refuse(path: str) -> bytes:
        raise FileNotFoundError(path)

    before, download = os.environ.pop(CACHE, None), loading.read_file
    try:
        if place:
            os.environ[CACHE] = str(place)
        loading.read_file = refuse
        yield
    finally:
        loading.read_file = download
        os.environ.pop(CACHE, None)
        if before is not None:
            os.environ[CACHE] = before


def _file(name: str, project: Path) -> Path:
    """The tokenizer.json with this name: a file, or that of a model in the cache of the hub's library."""
    path = path_below(project, name)
    if path.is_file():
        return path
    if name.endswith(".json"):
        raise ValueError(f"{path} does not exist")
    if find_spec("huggingface_hub") and name.count("/") <= 1 and not name.startswith((".", "/")):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(name, "tokenizer.json")
        if isinstance(cached, str):
            return Path(cached)
    command = f"hf download {name} tokenizer.json"
    raise ValueError(f"no tokenizer {name!r} is on this machine; get one from the hub with: {command}")
