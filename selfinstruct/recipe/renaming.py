"""Moves values from the old name of a key to its new name, and returns notes about it.

The names are in `project.renamed`. If both names have a value, the value set nearest to the run counts: the
command line, then a recipe, then the recipe that it is built on, then `conf/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from selfinstruct.project.renamed import RENAMED, Renamed, kind_of
from selfinstruct.recipe.said import Said

if TYPE_CHECKING:
    from omegaconf import DictConfig


def rename(config: DictConfig, said: Said) -> list[str]:
    """Give the keys of a composed config their new names.

    Args:
        config: the config; it is changed.
        said: who set which value.

    Returns:
        A note on each old name that was used.
    """
    return [_moved(section, path, one, said) for section, path, one in _old(config)]


def _old(config: DictConfig) -> Iterator[tuple[DictConfig, list[str], Renamed]]:
    """Each section with an old name in it, and its place."""
    for one in RENAMED:
        for section, path in _places(config, one.place.split("."), []):
            if one.old in section and one.kind in ("", kind_of(_texts(section), path[-1])):
                yield section, path, one


def _places(node: Any, place: Sequence[str], path: list[str]) -> Iterator[tuple[DictConfig, list[str]]]:
    """The sections at a place, if they are written there and not linked."""
    from omegaconf import DictConfig

    if not isinstance(node, DictConfig) or node._is_none() or node._is_interpolation() or node._is_missing():
        return
    if not place:
        yield node, path
        return
    for name in node if place[0] == "*" else [one for one in place[:1] if one in node]:
        yield from _places(node._get_node(name), place[1:], [*path, str(name)])


def _texts(section: DictConfig) -> Mapping[str, Any]:
    """The kind of a part, as it is written."""
    node: Any = section._get_node("kind") if "kind" in section else None
    return {"kind": node._value() if node is not None else None}


def _moved(section: DictConfig, path: list[str], one: Renamed, said: Said) -> str:
    """Move the value under the old name; returns the note."""
    from omegaconf import DictConfig, OmegaConf, open_dict

    old: Any = section._get_node(one.old)
    value: Any = OmegaConf.to_container(old, resolve=False) if hasattr(old, "keys") else old._value()
    value = one.value(value)
    there = section._get_node(one.new) if one.new in section else None
    nearer = _nearer([*path, one.old], [*path, one.new], said)
    with open_dict(section):
        del section[one.old]
        if isinstance(value, dict) and isinstance(there, DictConfig):
            parts = (value, there) if nearer == one.new else (there, value)
            section[one.new] = OmegaConf.merge(*parts)
        elif there is None or nearer != one.new:
            section[one.new] = value
    before, after = (".".join([*path, name]) for name in (one.old, one.new))
    values = [f"{was!r} is {now!r}" for was, now in one.values.items() if was in _leaves(old)]
    words = f", and its value {', '.join(values)}" if values else ""
    return f"{before} is called {after} now{words}; the old name still works in this version"


def _leaves(node: Any) -> list[Any]:
    return [node._value()] if not hasattr(node, "keys") else [node._get_node(key)._value() for key in node]


def _nearer(old: Sequence[str], new: Sequence[str], said: Said) -> str:
    """The name that was set nearer to the run; the old one if that is not known."""
    typed = [name for name, _ in said.typed]
    for key in reversed(typed):
        for path in (old, new):
            if key.split(".")[: len(path)] == [*path]:
                return path[-1]
    here = (path[-1] for recipe, path in product(said.recipes, (old, new)) if _has(recipe, path))
    return next(here, old[-1])


def _has(keys: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(keys, Mapping) or part not in keys:
            return False
        keys = keys[part]
    return True
