"""The files and folders that a recipe names: they must be in the project, unless the user typed them.

A recipe may come from somebody else. The files that it names are read and sent to a model, or written. So it
may name nothing outside of the folder that it is used in; on the command line, and in `conf/`, every path is
allowed. A key with a path is marked with `OnDisk` where it is declared, as a field or as an option.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel

from selfinstruct.config import OnDisk, RecipeConfig
from selfinstruct.errors import Fault
from selfinstruct.export import EXPORTS
from selfinstruct.filters import FILTERS
from selfinstruct.llm import MODELS
from selfinstruct.parse import PARSERS
from selfinstruct.project.layout import no_path, path_below, roots
from selfinstruct.recipe.said import Said
from selfinstruct.registry import Registry
from selfinstruct.stages import STAGES

WRITTEN = ("run_dir", "scratch", "cache.path")  # keys of the files and folders that a run writes
KEPT = ("conf", "recipes", "seeds")  # the folders with a project's own files
# A model's keys may also be those of one stage, of a prompt's variant, or of a fallback.
CHAT_TEMPLATES = r"(?:.*\.)?(?:model|fallbacks\.\d+)\.chat_template"
REMEDY = "a recipe may only name files of its project; copy it there, or type the key yourself: {}=…"


def faults_of(keys: dict[str, Any], said: Said, project: Path) -> list[Fault]:
    """The paths outside of the project that the recipe itself names.

    Args:
        keys: the composed recipe.
        said: who set which value.
        project: the user's folder.
    """
    if not said.recipes:
        return []
    paths, found = named(), []
    for parts, path in _leaves(keys, ()):
        key = ".".join(parts)
        if not paths.fullmatch(key) or not said.by_recipe(parts) or no_path(path):  # reported elsewhere
            continue
        place = outside(path, project)
        if place:
            what = f"{path} is outside of the project: it leads to {place}"
            found.append(Fault(key, what, REMEDY.format(key)))
        elif key in WRITTEN and (folder := _of_project(path, project)) in KEPT:
            remedy = f"name a folder beside {folder}, or leave {key} out"
            found.append(Fault(key, f"{path} is in {folder}; a run may not write there", remedy))
    return found


def _of_project(path: str, project: Path) -> str:
    """The folder of the project that has a path in it; empty if none has."""
    home, real = Path(os.path.realpath(project)), Path(os.path.realpath(path_below(project, path)))
    return real.relative_to(home).parts[0] if home in real.parents else ""


def outside(path: str, project: Path) -> Path | None:
    """The target of a path that is not, or does not stay, in the user's folder or ours; None if it stays.

    Args:
        path: a file, a folder with its subfolders, or a pattern, as in a recipe.
        project: the user's folder.
    """
    homes = [root.resolve() for root in roots(project)]
    fixed = re.split(r"[*?\[]", path)[0]
    if fixed != path and ".." in Path(path).parts:
        return Path(path)
    folder = "".join(fixed.rpartition("/")[:2])  # the folder before a pattern's first wildcard
    start = path_below(project, path if fixed == path else folder)
    for place in _reached(start):
        real = Path(os.path.realpath(place))
        if not any(real == home or home in real.parents for home in homes):
            return real
    return None


def _reached(start: Path) -> Iterator[Path]:
    """A file, or a folder and the links in it."""
    yield start
    for folder, folders, files in os.walk(start):
        yield from (path for name in [*folders, *files] if (path := Path(folder, name)).is_symlink())


def _leaves(value: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts in a recipe with their keys as parts; a place in a list is its number."""
    if isinstance(value, str):
        yield key, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in items:
        yield from _leaves(inner, (*key, str(part)))


def named() -> re.Pattern[str]:
    """A pattern for the keys that hold paths."""
    options: dict[str, Registry[Any]] = {
        r"pipeline\.[^.]+": STAGES,
        r"filters\.[^.]+\.[^.]+": FILTERS,
        r"export\.[^.]+": EXPORTS,
        r"prompts\.(?:[^.]+\.)+parse": PARSERS,
        r"(?:.*\.)?options": MODELS,
    }
    places = [*_fields(RecipeConfig), CHAT_TEMPLATES]
    for place, registry in options.items():
        places += [rf"{place}\.{name}" for name in sorted(registry.marked(OnDisk))]
    return re.compile(rf"(?:{'|'.join(places)})(?:\..+)?")


def _fields(model: type[BaseModel], above: str = "", within: tuple[Any, ...] = ()) -> Iterator[str]:
    """The marked keys of a model and its sections, which may contain sections of their own type."""
    for name, field in model.model_fields.items():
        if OnDisk in field.metadata:
            yield above + name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner not in (model, *within):
                each = r"[^.]+\." if get_origin(field.annotation) is dict else ""
                yield from _fields(inner, rf"{above}{name}\.{each}", (model, *within))
