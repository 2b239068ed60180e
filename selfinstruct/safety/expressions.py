"""Regular expressions of a recipe, which never take long: neither on a model's text nor on one made for it.

Python's own engine cannot be interrupted, and `(a+)+$` keeps it busy for longer than anyone lives. The engine
of the package `regex` reads the same expressions and takes a limit of processor time. A text on which an
expression reaches that limit is never let pass and never rejected, which would depend on the machine: the run
stops, names the expression, and keeps all that it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from math import prod
from typing import Annotated, Any

from pydantic import AfterValidator

from selfinstruct.errors import UserError

SECONDS = 1.0  # of processor time, for one search in one text
TRIAL_SECONDS, TRIAL_LENGTH = 0.2, 2_000  # of a search that shows at once that an expression is a slow one
LENGTH = 20_000  # characters of an expression
WAYS = 5_000  # to match at one place, of an expression that is quick in any engine
REMEDY = "write it so that no repetition (*, + or {}) stands inside another that can match the same text"

# What may be slow: a group that is repeated, or one repetition right after another.
_REPEATED = re.compile(r"\)[*+{]|[*+}]\??\)?\(?(?:\\?.|\[[^\]]*\])[*+{]")
# What `regex` alone takes for something else than its letters: an approximate match, such as {e<=1}.
_APPROXIMATE = re.compile(r"(?<!\\)\{[\d<=+\s,]*[eids](?![\w-])[^{}\\]*\}")
_WHERE: ContextVar[str] = ContextVar("where", default="")


class SlowExpression(UserError):
    """An expression that takes too long on a text."""


@contextmanager
def made_for(where: str) -> Iterator[None]:
    """Have the expressions that are made inside know the key of the recipe that they come from."""
    token = _WHERE.set(where)
    try:
        yield
    finally:
        _WHERE.reset(token)


class Expression:
    """A regular expression, ready to search.

    Attributes:
        pattern: what the recipe has.
    """

    __slots__ = ("_compiled", "_limit", "_where", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern, self._where = pattern, _WHERE.get()
        fixed = _is_fixed(pattern)
        self._compiled: Any = re.compile(pattern) if fixed else _compile(pattern)
        self._limit = {} if fixed else {"timeout": SECONDS}

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The first match.

        Raises:
            SlowExpression: where that takes too long, as all of these do.
        """
        try:
            return self._compiled.search(text, start, **self._limit)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self._slow(text) from error

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """A match that begins at a place."""
        try:
            return self._compiled.match(text, start, **self._limit)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self._slow(text) from error

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """A match of the whole text."""
        try:
            return self._compiled.fullmatch(text, **self._limit)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self._slow(text) from error

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches that do not overlap."""
        try:
            yield from self._compiled.finditer(text, **self._limit)
        except TimeoutError as error:
            raise self._slow(text) from error

    def sub(self, new: str, text: str) -> str:
        """The text with its matches replaced."""
        try:
            return str(self._compiled.sub(new, text, **self._limit))
        except TimeoutError as error:
            raise self._slow(text) from error

    def _slow(self, text: str) -> SlowExpression:
        where = f"{self._where}: " if self._where else ""
        shown = self.pattern if len(self.pattern) <= 200 else f"{self.pattern[:200]}…"
        what = f"{where}the regular expression {shown!r} takes more than {SECONDS:g} s of processor time"
        on = f"on a text of {len(text):,} characters, {text[:40]!r}…"
        kept = "what was received is kept, and replay reads it under the changed recipe"
        return SlowExpression(f"{what} {on}\n  {REMEDY}; {kept}")


def fault_of(pattern: str) -> str | None:
    """What is wrong with a regular expression: that it is none, or that it is slow, as far as can be seen."""
    if len(pattern) > LENGTH:
        return f"has {len(pattern):,} characters; a regular expression has {LENGTH:,} at most"
    try:
        re.compile(pattern)
        _compile(pattern)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        return f"is no regular expression ({error})"
    except Exception as error:  # of `regex`, whose error is its own
        return f"is no regular expression ({error})"
    if found := _APPROXIMATE.search(pattern):
        return f"has {found[0]!r}; write \\{{ for a brace that is meant as such"
    return _slow_on(pattern)


def _checked(pattern: str) -> str:
    fault = fault_of(pattern)
    if fault:
        raise ValueError(fault)
    return pattern


Pattern = Annotated[str, AfterValidator(_checked)]  # a regular expression, bound from YAML


def _is_fixed(pattern: str) -> bool:
    """Whether an expression has so few ways to match at a place that it cannot take long in any engine.

    It repeats single characters alone, and not without end. Python's engine is several times as quick to
    begin with, which counts in a text of many tokens.
    """
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern, flags=re.DOTALL).replace("(?", "(")
    repeated = r"(?<!\))\{(?:\d*,)?(\d+)\}\??"
    ways = prod(int(most) + 1 for most in re.findall(repeated, bare))
    bare = re.sub(repeated, "", bare)
    ways *= 2 ** min(20, bare.count("?") + bare.count("|"))
    return not re.search(r"[*+{]", bare) and ways <= WAYS


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> Any:
    import regex

    return regex.compile(pattern, regex.VERSION0)


@lru_cache(maxsize=4096)
def _slow_on(pattern: str) -> str | None:
    """A text on which an expression is slow, in words, where one of a few is."""
    if not _REPEATED.search(pattern):
        return None
    letters = dict.fromkeys(one for one in pattern if one.isalnum() or one in " -_")
    for one in [*"a0 -", *letters][:12]:
        try:
            _compile(pattern).search(one * TRIAL_LENGTH + "\0", timeout=TRIAL_SECONDS)
        except TimeoutError:
            what = (
                f"takes more than {TRIAL_SECONDS} s on {TRIAL_LENGTH:,} times {one!r} with something after it"
            )
            return f"{what}; {REMEDY}"
    return None
