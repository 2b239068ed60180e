"""Composing a recipe with Hydra's overrides; `explain` words what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault, RecipeError, UserError
from selfinstruct.project import configfiles, textfiles
from selfinstruct.project.composition import FAULT_KEY
from selfinstruct.project.expansion import limited
from selfinstruct.project.hydra_files import parts_of
from selfinstruct.project.interpolation import closed
from selfinstruct.project.layout import listing, no_path, path_below
from selfinstruct.project.parts import PARTS
from selfinstruct.project.resolving import plain_list, resolved, value_of
from selfinstruct.recipe.explain import explain
from selfinstruct.recipe.order import arrange
from selfinstruct.recipe.overrides import composed
from selfinstruct.recipe.renaming import rename
from selfinstruct.recipe.said import Said, said_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from selfinstruct.recipe.build import Recipe


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Attributes:
        name: the recipe's name.
        config: the config, without Hydra's own part.
        project: the user's folder.
        overrides: the overrides as typed.
        choices: the file chosen for each group.
        said: who set which value.
        faults: faults in the places of its stages and filters.
        notes: what the user should know about how it was composed.
    """

    name: str
    config: DictConfig
    project: Path
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    said: Said = field(default_factory=Said)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def saved(self) -> dict[str, str]:
        """The contents of the files in `.hydra/`, by file name."""
        from omegaconf import OmegaConf

        chosen = {"hydra": {"runtime": {"choices": self.choices}}}
        return {
            "config.yaml": configfiles.text_of(self.config),
            "overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(self.overrides)),
            "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create(chosen)),
        }

    def recipe(self) -> Recipe:
        """The recipe, checked.

        Raises:
            RecipeError: with every fault found.
        """
        from selfinstruct.recipe.build import build

        broken = self.config.get(FAULT_KEY)
        if broken:
            raise UserError(broken.decode())
        try:
            recipe = build(self.name, resolved(self.config), self.project, self.said)
        except RecipeError as error:
            faults = [*self.faults, *error.faults]
            raise RecipeError(faults, self.name, [*self.notes, *error.notes]) from error
        if self.faults:
            raise RecipeError(self.faults, self.name, self.notes)
        return replace(recipe, warnings=[*self.notes, *recipe.warnings])

    def run_dir(self) -> Path:
        """The run folder: as set, or runs/<recipe>; for a replay the first free name beside its source."""
        given = value_of(self.config, "run_dir")
        source = value_of(self.config, "replay")
        if given or not source:
            return path_below(self.project, str(given or f"runs/{self.name}"))
        path = path_below(self.project, str(source))
        if not path.name:
            raise UserError(f"replay: {path} holds no run; give the folder of a run")
        numbered = (path.with_name(f"{path.name}.replay-{n}") for n in count(1))
        return next(free for free in numbered if not os.path.lexists(free))


def replayed(arguments: Sequence[str], project: Path) -> list[str]:
    """The arguments of a run that replays another: the ones given now, and the overrides of that run.

    Raises:
        UserError: if the first word is not the folder of a run.
    """
    words = [part for part in arguments if "=" not in part and part[:1] not in ("-", "~")]
    if not words:
        raise UserError("replay takes the folder of a run: selfinstruct replay runs/NAME KEY=VALUE …")
    if wrong := no_path(words[0]):
        raise UserError(f"{words[0][:40]!r} {wrong}; replay takes the folder of a run")
    folder = path_below(project, words[0])
    saved = folder / ".hydra/overrides.yaml"
    if (folder / "0" / saved.relative_to(folder)).is_file():
        raise UserError(f"{folder} is a sweep; replay takes the folder of one of its jobs: {words[0]}/0")
    if not saved.is_file():
        raise UserError(f"{folder} holds no run ({saved.name} is missing); give the folder of a run")
    given = [part for part in arguments if part != words[0]]
    if any(_key(part) == "replay" for part in given):
        raise UserError("name the run to replay only once: selfinstruct replay RUN KEY=VALUE …")
    # A run of an earlier version may have salvage=true among its overrides; the key is repair now.
    keys = {_key(part) for part in given} | {"run_dir", "fresh", "repair", "salvage", "replay", "trust"}
    if "recipe" in keys:
        raise UserError("a replay keeps the recipe of its run; leave out recipe=…, and change single keys")
    before = overrides_of(saved)
    if any(part.startswith("-") or _key(part).startswith("hydra") for part in before):
        raise UserError(f"{saved}: has Hydra's own settings, which no run writes there; remove them")
    if before[:1] == ["merge"]:
        runs = ", ".join(before[1:3])
        raise UserError(
            f"replay: {folder} is a merge, which has no replies; replay one of its runs ({runs}, …), or "
            "merge them again with other options of filters: selfinstruct merge --help"
        )
    kept = [part for part in before if _key(part) not in keys]
    source = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return [*given, *kept, f'replay="{source}"']


def overrides_of(path: Path) -> list[str]:
    """The overrides that a run has saved.

    Raises:
        UserError: if the file has something else.
    """
    import yaml

    found: list[Fault] = []
    text = textfiles.read(path, found)
    wrong = [fault.what for fault in found] if text is None else textfiles.yaml_faults(text)
    saved = [] if wrong or text is None else yaml.safe_load(text)
    if wrong or not isinstance(saved, list) or not all(isinstance(part, str) for part in saved):
        what = "; ".join(wrong) or "is not a list of overrides"
        raise UserError(f"{path}: {what}; the run in its folder cannot be replayed without it")
    return [str(part) for part in saved]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def compose(overrides: Sequence[str], project: Path) -> Composed:
    """Compose a config outside a Hydra application.

    Args:
        overrides: Hydra overrides, the recipe's among them.
        project: the user's folder.

    Raises:
        UserError: for an override, group or recipe that does not exist.
    """
    from omegaconf import open_dict

    with closed():
        try:
            config = composed(overrides, project)
        except Exception as error:
            raise explain(error, overrides, project) from error
        with open_dict(config):
            hydra = config.pop("hydra")
        return from_hydra(config, hydra, project)


def from_hydra(config: DictConfig, hydra: DictConfig, project: Path) -> Composed:
    """The recipe in a config that Hydra composed, with what is kept of Hydra's own part.

    Raises:
        UserError: if no recipe was chosen.
    """
    name = hydra.runtime.choices.get("recipe")
    if not name:
        known = ", ".join(listing("recipes", project))
        raise UserError(
            f"choose a recipe: selfinstruct recipe=NAME (known: {known})\n"
            "  To try it out without a key: selfinstruct recipe=quickstart"
        )
    choices = {str(key): value for key, value in hydra.runtime.choices.items() if "hydra" not in str(key)}
    typed = plain_list(hydra.overrides.task)
    broken = FAULT_KEY in config  # nothing is known about its keys
    said = Said() if broken else said_of(str(name), config, typed, project)
    _refuse_twice(str(name), said, project)
    with closed(), limited():
        notes = [] if broken else rename(config, said)
        faults = [] if broken else arrange(config)
    return Composed(str(name), config, project, typed, choices, said, faults, notes)


def _refuse_twice(name: str, said: Said, project: Path) -> None:
    """Refuse to add a part that the recipe already has: applied again, it would undo the recipe's changes.

    Raises:
        UserError: with its name.
    """
    typed = [value for key, value in said.typed if key == PARTS]
    added = [str(part) for value in typed for part in ([value] if isinstance(value, str) else value)]
    there = parts_of(name, project) if added else []
    for part in added:
        if part in there:
            raise UserError(f"+{PARTS}={part}: recipe {name} has this part already; leave it out here")
