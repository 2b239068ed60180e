"""Plug-ins: factories in other installed distributions, found by their entry points.

In an installed distribution's metadata an entry point in the group `selfinstruct.filters` (each registry has
such a group) names a factory like the built-in ones. Finding the entry points reads metadata and imports
nothing. A plug-in's module is imported when a recipe names the plug-in, so other plug-ins neither run nor
stop the recipe.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any, get_type_hints

from selfinstruct.errors import UserError

PREFIX = "selfinstruct."
_loaded: dict[str, str] = {}


class PluginError(UserError):
    """A plug-in cannot be used.

    Attributes:
        what: the plug-in, its distribution, and what is wrong with it.
        remedy: what to do.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}\n  {remedy}")


@dataclass(frozen=True)
class Plugin:
    """An entry of a registry that comes from an installed distribution.

    Attributes:
        entry: its entry point: the group, the name that a recipe uses, and the factory's place.
        package: the distribution's name.
        version: its version.
    """

    entry: EntryPoint
    package: str
    version: str

    @property
    def origin(self) -> str:
        """The distribution and its version."""
        return f"{self.package} {self.version}"

    def load(self) -> Callable[..., Any]:
        """Import its factory.

        Raises:
            PluginError: if the import fails, or its result is not a factory like the built-in ones.
        """
        try:
            factory = self.entry.load()
        except (Exception, SystemExit) as error:  # the module is not ours: it may raise anything
            raise self._unusable(_one_line(error)) from error
        wrong = _misfit(factory)
        if wrong:
            raise self._unusable(wrong)
        _loaded[self.package] = self.version
        return factory  # type: ignore[no-any-return]

    def _unusable(self, why: str) -> PluginError:
        return PluginError(
            f"the plug-in {self.entry.name!r} of {self.origin} cannot be loaded: {why}",
            f"fix {self.entry.value}, or uninstall it: pip uninstall {self.package}",
        )


def found(group: str) -> dict[str, list[Plugin]]:
    """The plug-ins of a group by name; if several have one name, the error is raised when it is used."""
    named: dict[str, list[Plugin]] = {}
    for plugin in installed():
        if plugin.entry.group == PREFIX + group:
            named.setdefault(plugin.entry.name, []).append(plugin)
    return named


def loaded() -> dict[str, str]:
    """The distributions with a plug-in that this process has used, with their versions."""
    return dict(sorted(_loaded.items()))


@lru_cache(maxsize=1)
def installed() -> tuple[Plugin, ...]:
    """All entry points in our groups; if a distribution is installed twice, the first on the path counts."""
    brought: dict[str, list[Plugin]] = {}
    for distribution in distributions():
        plugins = _brought(distribution)
        if plugins:
            brought.setdefault(re.sub("[-_.]+", "-", plugins[0].package).lower(), plugins)
    return tuple(plugin for _, plugins in sorted(brought.items()) for plugin in plugins)


def _brought(distribution: Distribution) -> list[Plugin]:
    if PREFIX not in (distribution.read_text("entry_points.txt") or "") or _is_here(distribution):
        return []
    name, version = distribution.metadata["Name"] or "a package without a name", distribution.version
    return [
        Plugin(entry, name, version) for entry in distribution.entry_points if entry.group.startswith(PREFIX)
    ]


def _is_here(distribution: Distribution) -> bool:
    """Whether the distribution is in the current folder, where `python -m` would find it.

    A recipe from somebody else may come with such a file, and nobody has installed it.
    """
    return Path(str(distribution.locate_file(""))).resolve() == Path.cwd().resolve()


def _misfit(factory: Any) -> str | None:
    """Why it is not a function with only typed keyword arguments, as built-in factories are; else None."""
    if not inspect.isfunction(factory):
        return f"it is a {type(factory).__name__}, not a function"
    try:
        hints = get_type_hints(factory)
    except Exception as error:  # annotations may be any text
        return f"its types cannot be read: {error}"
    for option in inspect.signature(factory).parameters.values():
        if option.kind is not inspect.Parameter.KEYWORD_ONLY:
            return f"its argument {option.name!r} is not keyword-only: def {factory.__name__}(*, …)"
        if option.name not in hints:
            return f"its option {option.name!r} has no type"
    return None


def _one_line(error: BaseException) -> str:
    """An import error in one line, with the file and line where it was raised."""
    words = traceback.format_exception_only(type(error), error)[-1].strip()
    if isinstance(error, SyntaxError):
        return f"{words} ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    inside = [frame for frame in frames if "importlib" not in frame.filename]
    return f"{words} ({inside[-1].filename}, line {inside[-1].lineno})" if inside else words
