"""Regular expressions of a recipe, with a time limit, so that neither a text nor a pattern can stall a run.

Python's own engine cannot be interrupted, and `(a+)+$` can keep it busy for a lifetime. The package `regex`
reads the same expressions and accepts a limit of processor time. If an expression reaches that limit on a
text, the text is neither accepted nor rejected, since that would depend on the machine's speed: the run
stops, names the expression, and keeps everything received so far.
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
from selfinstruct.safety.screens import Screen, screen_of

SECONDS = 1.0  # processor time for one search in one text
TRIAL_SECONDS, TRIAL_LENGTH = 0.2, 2_000  # limits of the trial search that finds a slow expression at once
LENGTH = 20_000  # the most characters of an expression
WAYS = 5_000  # the most ways to match at one place, for an expression that is quick in any engine
REMEDY = "write it so that no repetition (*, + or {}) is inside another that can match the same text"

# Expressions that may be slow: a group that is repeated, or one repetition right after another.
_REPEATED = re.compile(r"\)[*+{]|[*+}]\??\)?\(?(?:\\?.|\[[^\]]*\])[*+{]")
# An approximate match, such as {e<=1}: `regex` gives it a meaning, Python reads plain letters.
_APPROXIMATE = re.compile(r"(?<!\\)\{[\d<=+\s,]*[eids](?![\w-])[^{}\\]*\}")
_WHERE: ContextVar[str] = ContextVar("where", default="")


class SlowExpression(UserError):
    """An expression takes too long on a text."""


@contextmanager
def made_for(where: str) -> Iterator[None]:
    """Note the recipe's key in all expressions that are made inside the block, for their messages."""
    token = _WHERE.set(where)
    try:
        yield
    finally:
        _WHERE.reset(token)


class Expression:
    """A regular expression, ready to search; a text that its screen excludes is not searched.

    Attributes:
        pattern: the text of the expression in the recipe.
        screen: what every match needs.
    """

    __slots__ = ("_limit", "_made", "_where", "pattern", "screen")
    screen: Screen

    def __init__(self, pattern: str) -> None:
        self.pattern, self._where = pattern, _WHERE.get()
        fixed = _is_fixed(pattern)
        self._made: Any = re.compile(pattern) if fixed else _unless_later(pattern)
        self._limit = {} if fixed else {"timeout": SECONDS}

    def __getattr__(self, name: str) -> Any:
        """The screen, made at the first use, since `check` uses few of them; then a plain attribute."""
        if name != "screen":
            raise AttributeError(name)
        self.screen = screen_of(self.pattern)
        return self.screen

    @property
    def _compiled(self) -> Any:
        """The expression in its engine; `regex` takes long to make it, so that is done at the first use."""
        if self._made is None:
            self._made = _compile(self.pattern)
        return self._made

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The first match.

        Raises:
            SlowExpression: if that takes too long; the other methods raise it too.
        """
        if self.screen.excludes(text):
            return None
        try:
            return self._compiled.search(text, start, **self._limit)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self._slow(text) from error

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """A match that begins exactly at `start`."""
        if self.screen.excludes_at(text, start):
            return None
        try:
            return self._compiled.match(text, start, **self._limit)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self._slow(text) from error

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """A match of the whole text."""
        if self.screen.excludes_at(text):
            return None
        try:
            return self._compiled.fullmatch(text, **self._limit)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self._slow(text) from error

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches that do not overlap."""
        if self.screen.excludes(text):
            return
        try:
            yield from self._compiled.finditer(text, **self._limit)
        except TimeoutError as error:
            raise self._slow(text) from error

    def sub(self, new: str, text: str) -> str:
        """The text with its matches replaced."""
        if self.screen.excludes(text):
            return text
        try:
            return str(self._compiled.sub(new, text, **self._limit))
        except TimeoutError as error:
            raise self._slow(text) from error

    def _slow(self, text: str) -> SlowExpression:
        where = f"{self._where}: " if self._where else ""
        shown = self.pattern if len(self.pattern) <= 200 else f"{self.pattern[:200]}…"
        what = f"{where}the regular expression {shown!r} takes more than {SECONDS:g} s of processor time"
        on = f"on a text of {len(text):,} characters, {text[:40]!r}…"
        kept = "everything received is kept, and replay reads it again with the changed recipe"
        return SlowExpression(f"{what} {on}\n  {REMEDY}; {kept}")


def fault_of(pattern: str) -> str | None:
    """The fault of a regular expression: it is not valid, too long, or visibly slow; None if it has none."""
    if len(pattern) > LENGTH:
        return f"has {len(pattern):,} characters; a regular expression has {LENGTH:,} at most"
    try:
        re.compile(pattern)
        _compile(pattern)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        return f"is not a valid regular expression ({error})"
    except Exception as error:  # `regex` has an error class of its own
        return f"is not a valid regular expression ({error})"
    if found := _APPROXIMATE.search(pattern):
        return f"has {found[0]!r}; if you mean a plain brace, write \\{{"
    return _slow_on(pattern)


def _checked(pattern: str) -> str:
    fault = fault_of(pattern)
    if fault:
        raise ValueError(fault)
    return pattern


Pattern = Annotated[str, AfterValidator(_checked)]  # a regular expression, bound from YAML


def _is_fixed(pattern: str) -> bool:
    """Whether an expression has so few ways to match at one place that no engine can take long.

    It repeats only single characters, and each only up to a limit. For these, Python's engine is used: it
    starts several times as fast as `regex`, which matters in a text of many tokens.
    """
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern, flags=re.DOTALL).replace("(?", "(")
    repeated = r"(?<!\))\{(?:\d*,)?(\d+)\}\??"
    ways = prod(int(most) + 1 for most in re.findall(repeated, bare))
    bare = re.sub(repeated, "", bare)
    ways *= 2 ** min(20, bare.count("?") + bare.count("|"))
    return not re.search(r"[*+{]", bare) and ways <= WAYS


def _unless_later(pattern: str) -> Any:
    """None if Python's engine shows, in a quarter of the time, that the expression is valid."""
    try:
        re.compile(pattern)
    except re.error:  # as for `(?s)` inside it, which `regex` accepts
        return _compile(pattern)
    return None


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> Any:
    import regex

    return regex.compile(pattern, regex.VERSION0)


@lru_cache(maxsize=4096)
def _slow_on(pattern: str) -> str | None:
    """Try an expression on a few texts; return a sentence about the first on which it is slow, or None."""
    if not _REPEATED.search(pattern):
        return None
    letters = dict.fromkeys(one for one in pattern if one.isalnum() or one in " -_")
    for one in [*"a0 -", *letters][:12]:
        try:
            _compile(pattern).search(one * TRIAL_LENGTH + "\0", timeout=TRIAL_SECONDS)
        except TimeoutError:
            text = f"{TRIAL_LENGTH:,} times {one!r} and another character"
            what = f"takes more than {TRIAL_SECONDS} s on a text of {text}"
            return f"{what}; {REMEDY}"
    return None
