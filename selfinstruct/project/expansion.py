"""How much the `${key}` of a recipe may come to, counted while they are replaced: OmegaConf has no limit.

A few lines can double a text or a section forty times. OmegaConf replaces each `${key}` anew wherever it is
read, so both the number of replacements and what they give are counted, in the two methods of its containers
that everyone who replaces one goes through: we, Hydra as it composes, and `--cfg job --resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any

REPLACED = 2_000  # times that a ${key} is replaced
CHARACTERS = 5_000_000  # of what they are replaced by
FILES = 1_000  # times that one is loaded for the defaults lists of a recipe: twice for each that they name
VALUE = 50  # characters that a value of a section counts for beside its own
TOO_MUCH = "expands to too much"
TOO_DEEP = "is nested too deep, or has a ${key} that leads back to where it is"
REMEDY = "write out what its ${key} stand for, or use fewer of them"


class _Count:
    """What was replaced so far."""

    __slots__ = ("characters", "replaced")

    def __init__(self) -> None:
        self.replaced = self.characters = 0

    def add(self, value: Any) -> None:
        """Count what a key was replaced by.

        Raises:
            InterpolationResolutionError: beyond a limit.
        """
        from omegaconf.errors import InterpolationResolutionError

        self.replaced += 1
        if self.replaced <= REPLACED:
            self.characters += _weight(value)
        if self.replaced > REPLACED or self.characters > CHARACTERS:
            limits = f"a recipe may replace {REPLACED:,} ${{key}}, by {CHARACTERS:,} characters"
            raise InterpolationResolutionError(f"{TOO_MUCH}: {limits}")


_COUNT: ContextVar[_Count | None] = ContextVar("count", default=None)


@contextmanager
def limited() -> Iterator[None]:
    """Hold all that is replaced inside to the limits together; outside, each value is held to them alone."""
    install()
    token = _COUNT.set(_Count())
    try:
        yield
    finally:
        _COUNT.reset(token)


@cache
def install() -> None:
    """Begin to count, in whatever OmegaConf replaces from here on."""
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
        if count is None:  # no limit for all together: one for this value
            with limited():
                return text_counted(*args, **kwargs)
        value = of_text(*args, **kwargs)
        count.add(value)
        return value

    container: Any = Container
    container._resolve_node_interpolation, container.resolve_parse_tree = node_counted, text_counted


def _weight(value: Any) -> int:
    """About how many characters a value has, counted no further than the limit."""
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
    """Begin to count the files that a defaults list comes to, each as often as lists name it."""
    from hydra._internal.config_repository import CachingConfigRepository
    from hydra.errors import ConfigCompositionException

    load = CachingConfigRepository.load_config

    @wraps(load)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.loaded = getattr(self, "loaded", 0) + 1  # one of these is made for each recipe composed
        if self.loaded > FILES:
            what = f"the defaults lists come to more than {FILES // 2:,} files"
            raise ConfigCompositionException(f"{what}; let fewer files name others, or name them less often")
        return load(self, *args, **kwargs)

    repository: Any = CachingConfigRepository
    repository.load_config = counted
