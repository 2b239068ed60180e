"""The place of a stage or a filter: `after: instances`, `before: rouge_l`.

Hydra merges files, so what a file adds comes last. A stage or a filter with `after` or `before` is moved
right beside the one that it names. This happens once, in the composed config, so the plan, the run, a replay
and the `config.yaml` of a run folder have the same order. Entries with neither key do not move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from selfinstruct.config import AFTER, BEFORE
from selfinstruct.errors import Fault, unknown

if TYPE_CHECKING:
    from omegaconf import DictConfig

Places = Mapping[str, Mapping[str, str]]  # by name, the names that it goes after or before


def arrange(config: DictConfig) -> list[Fault]:
    """Put the stages and the filters of a composed config in order; returns the faults.

    Args:
        config: the config; it is changed.
    """
    faults: list[Fault] = []
    for where, kind, section in _sections(config):
        names = [str(name) for name in section]
        places = {str(name): place for name in section if (place := _place(section, name))}
        ordered = in_order(names, places, where, kind, faults)
        if ordered != names:
            _reorder(section, ordered)
    return faults


def in_order(names: list[str], places: Places, where: str, kind: str, faults: list[Fault]) -> list[str]:
    """The names in order; those that go after the same one keep the order in which they came.

    Args:
        names: all names, in the order of the files.
        places: where the names with a place go.
        where: the section's key, for messages.
        kind: the word for one of them in messages ("stage").
        faults: gets the faults; a name with a fault is not moved.
    """
    found: list[Fault] = []
    for name, place in places.items():
        found += [
            Fault(f"{where}.{name}.{side}", *unknown(kind, other, [one for one in names if one != name]))
            for side, other in place.items()
            if other not in names or other == name
        ]
    circle = [] if found else _circle(places)
    if circle:
        chain = ", which goes beside ".join([*circle[1:], circle[0]])
        what, remedy = f"goes beside {chain}: that is a circle", "name one that is not in it"
        found.append(Fault(f"{where}.{circle[0]}", what, remedy))
    if found:
        faults += found
        return names
    ordered = [name for name in names if name not in places]
    for name in _anchors_first(places):
        ordered.insert(_index(name, places, ordered), name)
    for name, place in places.items():
        if {AFTER, BEFORE} <= set(place) and ordered.index(place[AFTER]) > ordered.index(place[BEFORE]):
            what = f"cannot go after {place[AFTER]!r} and before {place[BEFORE]!r}, which comes first"
            faults.append(Fault(f"{where}.{name}", what, "leave one of the two out"))
    return ordered


def _sections(config: DictConfig) -> Iterator[tuple[str, str, DictConfig]]:
    """The sections with an order, each with its key and its entries, except those that link to another."""
    from omegaconf import DictConfig

    pipeline, filters = (config._get_node(key) if key in config else None for key in ("pipeline", "filters"))
    if isinstance(pipeline, DictConfig) and _is_own(pipeline):
        yield "pipeline", "stage", pipeline
    if isinstance(filters, DictConfig) and _is_own(filters):
        for stage in map(str, filters):
            checks = filters._get_node(stage)
            if isinstance(checks, DictConfig) and _is_own(checks):
                yield f"filters.{stage}", "filter", checks


def _is_own(node: DictConfig) -> bool:
    """Whether a node has keys of its own: it is not null and not a link to another key."""
    return not (node._is_none() or node._is_interpolation() or node._is_missing())


def _place(section: DictConfig, name: Any) -> dict[str, str]:
    """Where an entry goes; a value that is not text is a fault that the recipe's types report."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        entry = section.get(name)
        given = {side: entry.get(side) for side in (AFTER, BEFORE)} if hasattr(entry, "keys") else {}
    except OmegaConfBaseException:  # an invalid `${…}`, which is reported elsewhere with its place
        return {}
    return {side: other for side, other in given.items() if isinstance(other, str)}


def _circle(places: Places) -> list[str]:
    """Names that form a circle, each beside the next and the last beside the first; or empty."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        beside = places.get(name, {}).values()
        found = next((hit for other in beside if (hit := walk(other, [*path, name]))), [])
        done.add(name)
        return found

    return next((hit for name in places if (hit := walk(name, []))), [])


def _anchors_first(places: Places) -> list[str]:
    """The names with a place, each after the one that it goes beside."""
    ordered: list[str] = []

    def enter(name: str) -> None:
        if name in places and name not in ordered:
            for other in places[name].values():
                enter(other)
            ordered.append(name)

    for name in places:
        enter(name)
    return ordered


def _index(name: str, places: Places, ordered: list[str]) -> int:
    """The index for a name: right before another, or right after it and those placed after it earlier."""
    if AFTER not in places[name]:
        return ordered.index(places[name][BEFORE])
    index = ordered.index(places[name][AFTER]) + 1
    while index < len(ordered) and _follows(ordered[index], places[name][AFTER], places):
        index += 1
    return index


def _follows(name: str, other: str, places: Places) -> bool:
    """Whether one goes after another, directly or through others."""
    while AFTER in places.get(name, {}):
        name = places[name][AFTER]
        if name == other:
            return True
    return False


def _reorder(section: DictConfig, names: list[str]) -> None:
    from omegaconf import open_dict

    nodes = {str(key): (key, section._get_node(key)) for key in section}
    with open_dict(section):
        for name in names:
            key, node = nodes[name]
            del section[key]
            section[key] = node
