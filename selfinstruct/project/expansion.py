"""Limits how much text the `${key}` of a recipe may expand to, since OmegaConf has no limit.

A few lines can double a text or a section forty times. OmegaConf replaces a `${key}` again each time it is
read, so both the number of replacements and their size are counted. The counting is in two methods of
OmegaConf's containers, which every replacement goes through: ours, those of Hydra when it composes, and those
of `--cfg job --resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any

REPLACED = 2_000  # the most replacements of a ${key}
CHARACTERS = 5_000_000  # the most characters of all replacements
FILES = 1_000  # the most loads of files for the defaults lists of a recipe; each named file is loaded twice
VALUE = 50  # characters added for each value of a section, for its overhead
TOO_MUCH = "expands to too much"
TOO_DEEP = "is nested too deep, or has a ${key} that leads back to itself"
REMEDY = "write out the values of its ${key}, or use fewer of them"


class _Count:
    """The replacements so far."""

    __slots__ = ("characters", "replaced")

    def __init__(self) -> None:
        self.replaced = self.characters = 0

    def add(self, value: Any) -> None:
        """Count a value that replaced a key.

        Raises:
            InterpolationResolutionError: if a limit is exceeded.
        """
        from omegaconf.errors import InterpolationResolutionError

        self.replaced += 1
        if self.replaced <= REPLACED:
            self.characters += _weight(value)
        if self.replaced > REPLACED or self.characters > CHARACTERS:
            limits = f"a recipe may replace ${{key}} {REPLACED:,} times, with {CHARACTERS:,} characters"
            raise InterpolationResolutionError(f"{TOO_MUCH}: {limits}")


_COUNT: ContextVar[_Count | None] = ContextVar("count", default=None)


@contextmanager
def limited() -> Iterator[None]:
    """Apply the limits to all replacements inside the block together; outside, they apply to each value."""
    install()
    token = _COUNT.set(_Count())
    try:
        yield
    finally:
        _COUNT.reset(token)


@cache
def install() -> None:
    """Count all replacements that OmegaConf makes from now on."""
    from omegaconf.base import Container

    of_node, of_text = Container._resolve_node_interpolation, Container.resolve_parse_tree

    @wraps(of_node)
    def node_counted(*args: Any, **kwargs: Any) -> Any:
        value = of_node(*args, **kwargs)
        count = _COUNT.get()
        if count:
            count.add(value)
        return value

    @wraps(of_text)
    def text_counted(*args: Any, **kwargs: Any) -> Any:
        count = _COUNT.get()
        if count is None:  # outside `limited`: apply the limits to this value
            with limited():
                return text_counted(*args, **kwargs)
        value = of_text(*args, **kwargs)
        count.add(value)
        return value

    container: Any = Container
    container._resolve_node_interpolation, container.resolve_parse_tree = node_counted, text_counted


def _weight(value: Any) -> int:
    """The approximate number of characters in a value; counting stops at the limit."""
    total, todo = 0, [value]
    while todo and total <= CHARACTERS:
        one = todo.pop()
        inner = one._value() if hasattr(one, "_value") else one
        total += VALUE
        if isinstance(inner, str | bytes):
            total += len(inner)
        elif isinstance(inner, dict):
            todo += inner.values()
        elif isinstance(inner, list | tuple):
            todo += inner
    return total


@cache
def install_files() -> None:
    """Count the files that defaults lists load from now on; a file counts each time a list names it."""
    from hydra._internal.config_repository import CachingConfigRepository
    from hydra.errors import ConfigCompositionException

    load = CachingConfigRepository.load_config

    @wraps(load)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.loaded = getattr(self, "loaded", 0) + 1  # Hydra makes a new repository for each recipe
        if self.loaded > FILES:
            what = f"the defaults lists name more than {FILES // 2:,} files"
            raise ConfigCompositionException(f"{what}; name fewer files in them, or name them less often")
        return load(self, *args, **kwargs)

    repository: Any = CachingConfigRepository
    repository.load_config = counted
