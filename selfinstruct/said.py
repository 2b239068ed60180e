"""Who said a value of a composed recipe: a recipe's file in the user's folder, or the user.

People share recipes as they share scripts, so a file in `recipes/` may be a stranger's. What is typed on the
command line, what is in the user's `conf/` and what comes with selfinstruct is the user's own will. Some keys
(addresses, names of keys, paths) may say more there than in a recipe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct import configfiles
from selfinstruct.layout import listing, packaged

if TYPE_CHECKING:
    from omegaconf import DictConfig

MISSING = object()
DEEPEST = 20  # interpolations that lead to one another
WHOLE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")  # an interpolation that is a whole value, of a key


@dataclass(frozen=True)
class Said:
    """What each has said.

    Attributes:
        recipes: the keys of the recipe's files that are in the user's folder, as they are written.
        composed: all keys, as they are written.
        typed: the overrides by their key, in order.
    """

    recipes: Sequence[Mapping[str, Any]] = ()
    composed: Mapping[str, Any] = field(default_factory=dict)
    typed: Sequence[tuple[str, Any]] = ()

    def by_recipe(self, key: str) -> bool:
        """Whether the value of a key is what a recipe's file says, and nobody typed another.

        Args:
            key: the key with its sections, as `model.api_base`; a place in a list by its number.
        """
        return self._by_recipe(key, 0)

    def _by_recipe(self, key: str, depth: int) -> bool:
        if not self.recipes:
            return False
        value = self._typed(key)
        if value is not MISSING:
            return self._taken(value, "", depth)
        if any(_says(recipe, key) for recipe in self.recipes):
            return True
        found, rest = _down(self.composed, key.split("."))  # of conf, which may take in what a recipe says
        return self._taken(found, rest, depth)

    def _typed(self, key: str) -> Any:
        """The value that was typed for a key, the last if there are several."""
        for typed, value in reversed(self.typed):
            if key == typed:
                return value
            if key.startswith(f"{typed}."):
                inner, rest = _down(value, key[len(typed) + 1 :].split("."))
                if not rest:
                    return inner
        return MISSING

    def _taken(self, value: Any, rest: str, depth: int) -> bool:
        """Whether a value may take in what a recipe says; what is not simply another key may."""
        if not isinstance(value, str) or "${" not in value:
            return False
        other = WHOLE.fullmatch(value)
        if other is None or depth == DEEPEST:
            return True
        return self._by_recipe(f"{other[1]}.{rest}" if rest else other[1], depth + 1)


def said_of(name: str, config: DictConfig, overrides: Sequence[str], project: Path) -> Said:
    """Who said what of a composed recipe.

    Args:
        name: the recipe's name.
        config: all its keys, as Hydra composed them.
        overrides: what was typed.
        project: the user's folder.
    """
    from omegaconf import OmegaConf

    recipes = [*_recipes(name, project)]
    if not recipes:
        return Said()
    keys: Any = OmegaConf.to_container(config, resolve=False)
    return Said(recipes, keys, [*_parsed(overrides)])


def _recipes(name: str, project: Path) -> Iterator[dict[str, Any]]:
    """The keys of a recipe's file and of those that it builds on, as far as they are in the user's folder."""
    from omegaconf import OmegaConf

    files, waiting, seen = listing("recipes", project), [name], set[str]()
    while waiting:
        one = waiting.pop()
        path = files.get(one)
        if one in seen or path is None or packaged() in path.resolve().parents:
            continue
        seen.add(one)
        keys = OmegaConf.to_container(configfiles.load(path), resolve=False)
        assert isinstance(keys, dict), "it was composed"
        entries = keys.pop("defaults", None) or []
        waiting += [word for entry in entries for word in _names(entry)]
        yield {str(key): value for key, value in keys.items()}


def _names(entry: Any) -> Iterator[str]:
    """All that an entry of a defaults list may name; what is not a recipe is not found."""
    for part in [*entry, *entry.values()] if isinstance(entry, dict) else [entry]:
        for word in part if isinstance(part, list) else [part]:
            yield str(word).partition("@")[0].split()[-1].split("/")[-1] if word else ""


def _parsed(overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The overrides that set a key, and what they set it to."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if not override.is_delete():
            value = override.value()
            yield override.key_or_group.replace("/", "."), str(value) if _is_quoted(value) else value


def _is_quoted(value: Any) -> bool:
    from hydra.core.override_parser.types import QuotedString

    return isinstance(value, QuotedString)


def _down(value: Any, path: Sequence[str]) -> tuple[Any, str]:
    """What is found on a path, as far as it leads, and the rest of the path."""
    for place, part in enumerate(path):
        if isinstance(value, Mapping) and any(str(key) == part for key in value):
            value = next(inner for key, inner in value.items() if str(key) == part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return value, ".".join(path[place:])
    return value, ""


def _says(recipe: Mapping[str, Any], key: str) -> bool:
    """Whether a recipe says what is at a key: itself, or by an interpolation or a list that holds it."""
    found, rest = _down(recipe, key.split("."))
    return not rest or isinstance(found, list) or (isinstance(found, str) and "${" in found)
