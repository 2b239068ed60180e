"""Who set a value of a composed recipe: a recipe's file in the user's folder, or the user.

People share recipes as they share scripts, so a file in `recipes/` may be a stranger's. Everything typed on
the command line, in the user's `conf/` or from selfinstruct itself counts as the user's own. There some keys
(addresses, names of keys, paths) may have values that a recipe may not give them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.project import configfiles
from selfinstruct.project.layout import listing, packaged

if TYPE_CHECKING:
    from omegaconf import DictConfig

MISSING = object()
DEEPEST = 20  # at most so many interpolations in a chain
WHOLE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")  # a value that is only an interpolation of a key


@dataclass(frozen=True)
class Said:
    """The values by who set them.

    Attributes:
        recipes: the keys in the recipe's files in the user's folder, as they are written.
        composed: all keys, as they are written.
        typed: the overrides by their key, in order.
    """

    recipes: Sequence[Mapping[str, Any]] = ()
    composed: Mapping[str, Any] = field(default_factory=dict)
    typed: Sequence[tuple[str, Any]] = ()

    def by_recipe(self, key: str | Sequence[str]) -> bool:
        """Whether a recipe's file set the value of a key, and nobody typed another.

        A value without a known source counts as a recipe's.

        Args:
            key: the key with its sections, such as `model.api_base`; a place in a list is its number. Give a
                sequence of its parts if one of them may have a dot in it, as a filter's name may.
        """
        return self._by_recipe(_path(key), 0)

    def was_typed(self, key: str | Sequence[str]) -> bool:
        """Whether the value of a key was typed."""
        return self._typed(_path(key)) is not MISSING

    def _by_recipe(self, path: Sequence[str], depth: int) -> bool:
        if not self.recipes:
            return False
        value = self._typed(path)
        if value is not MISSING:
            return self._taken(value, (), depth)
        if any(_says(recipe, path) for recipe in self.recipes):
            return True
        found, rest = _down(self.composed, path)  # from conf, but it may include a value of a recipe
        unknown = bool(rest) and not isinstance(found, str)
        return unknown or self._taken(found, rest, depth)

    def _typed(self, path: Sequence[str]) -> Any:
        """The value typed for a key, the last one if there are several."""
        for typed, value in reversed(self.typed):
            parts = typed.split(".")
            if [*path[: len(parts)]] == parts:
                inner, rest = _down(value, path[len(parts) :])
                if not rest:
                    return inner
        return MISSING

    def _taken(self, value: Any, rest: Sequence[str], depth: int) -> bool:
        """Whether a value may include a recipe's value; anything but a plain link to another key may."""
        if not isinstance(value, str) or "${" not in value:
            return False
        other = WHOLE.fullmatch(value)
        if other is None or depth == DEEPEST:
            return True
        return self._by_recipe([*other[1].split("."), *rest], depth + 1)


def said_of(name: str, config: DictConfig, overrides: Sequence[str], project: Path) -> Said:
    """Who set which value of a composed recipe.

    Args:
        name: the recipe's name.
        config: all its keys, as Hydra composed them.
        overrides: the overrides as typed.
        project: the user's folder.
    """
    from omegaconf import OmegaConf

    recipes = [*_recipes(name, project)]
    keys: Any = OmegaConf.to_container(config, resolve=False)
    return Said(recipes, keys, [*_parsed(overrides)])


def _recipes(name: str, project: Path) -> Iterator[dict[str, Any]]:
    """The keys of those files, of a recipe and of those it builds on, that are in the user's folder."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    known = listing("recipes", project)
    files = {one: path for one, path in known.items() if not _is_ours(path, project)}
    waiting, seen = [*_named(name, known)] or [*files], set[str]()
    while waiting:
        one = waiting.pop()
        if one in seen or one not in files:
            continue
        seen.add(one)
        try:
            keys = OmegaConf.to_container(configfiles.load(files[one]), resolve=False)
        except (YAMLError, OmegaConfBaseException, OSError, ValueError, RecursionError):
            continue  # only its name is in a defaults list: what cannot be read was not composed either
        if isinstance(keys, dict):
            waiting += _named("\n".join(_texts(keys.pop("defaults", None))), files)
            yield {str(key): value for key, value in keys.items()}


def _is_ours(path: Path, project: Path) -> bool:
    """Whether a recipe came with selfinstruct; unknown, so False, if its folder is also the user's."""
    ours = packaged() / "recipes"
    return project.resolve() != packaged() and Path(os.path.realpath(path)).parent == ours


def _texts(value: Any) -> Iterator[str]:
    """All the texts in a defaults list, as they are: a name may have any character."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value is not None:
        yield str(value)


def _named(text: str, known: Iterable[str]) -> Iterator[str]:
    """The recipes that a text may name, in any form; all of them if it has an interpolation."""
    for name in known:
        if "${" in text or re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
            yield name


def _parsed(overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The overrides that set a key, and their values."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if not override.is_delete():
            yield override.key_or_group.replace("/", "."), override.value()


def _path(key: str | Sequence[str]) -> Sequence[str]:
    return key.split(".") if isinstance(key, str) else key


def _down(value: Any, path: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """The value at a path, as far as the path leads, and the rest of the path."""
    for place, part in enumerate(path):
        if isinstance(value, Mapping) and any(str(key) == part for key in value):
            value = next(inner for key, inner in value.items() if str(key) == part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return value, path[place:]
    return value, ()


def _says(recipe: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a recipe sets the value of a key: directly, or by an interpolation or list around it."""
    found, rest = _down(recipe, path)
    return not rest or isinstance(found, list) or (isinstance(found, str) and "${" in found)
