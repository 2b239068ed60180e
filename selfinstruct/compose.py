"""Composing a recipe with Hydra's overrides; what is wrong with them is said in `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import RecipeError, UserError
from selfinstruct.explain import explain
from selfinstruct.layout import FAULT_KEY, listing, resolved
from selfinstruct.overrides import composed
from selfinstruct.said import Said, said_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from selfinstruct.recipe import Recipe


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Attributes:
        name: the recipe's name.
        config: the config, without Hydra's own part.
        project: the user's folder.
        overrides: what was typed.
        choices: the file chosen for each group.
        said: who said what of it.
    """

    name: str
    config: DictConfig
    project: Path
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    said: Said = field(default_factory=Said)

    @cached_property
    def saved(self) -> dict[str, str]:
        """What goes to `.hydra/`, by file name."""
        from omegaconf import OmegaConf

        chosen = {"hydra": {"runtime": {"choices": self.choices}}}
        return {
            "config.yaml": OmegaConf.to_yaml(self.config),
            "overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(self.overrides)),
            "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create(chosen)),
        }

    def recipe(self) -> Recipe:
        """The recipe, checked.

        Raises:
            RecipeError: with every fault found.
        """
        from selfinstruct.recipe import build

        broken = self.config.get(FAULT_KEY)
        if broken:
            raise UserError(broken.decode())
        try:
            keys = resolved(self.config)
        except RecipeError as error:
            raise RecipeError(error.faults, self.name) from error
        return build(self.name, keys, self.project, self.said)

    def run_dir(self) -> Path:
        """The run folder: as set, or runs/<recipe>; for a replay the first free one beside its source."""
        given, source = self.config.get("run_dir"), self.config.get("replay")
        if not given and source:
            path = self.project / Path(str(source)).expanduser()
            return next(
                free for n in count(1) if not (free := path.with_name(f"{path.name}.replay-{n}")).exists()
            )
        return self.project / Path(str(given or f"runs/{self.name}")).expanduser()


def replayed(arguments: Sequence[str], project: Path) -> list[str]:
    """The arguments of a run that replays another: its recipe and overrides, then those given now.

    Raises:
        UserError: where the first word is no folder of a run.
    """
    from omegaconf import OmegaConf

    words = [part for part in arguments if "=" not in part and part[:1] not in ("-", "~")]
    if not words:
        raise UserError("replay takes the folder of a run: selfinstruct replay runs/NAME KEY=VALUE …")
    folder = project / Path(words[0]).expanduser()
    saved = folder / ".hydra/overrides.yaml"
    if (folder / "0" / saved.relative_to(folder)).is_file():
        raise UserError(f"{folder} is a sweep; replay takes the folder of one of its jobs: {words[0]}/0")
    if not saved.is_file():
        raise UserError(f"{folder} holds no run ({saved.name} is not there); replay takes the folder of one")
    given = [part for part in arguments if part != words[0]]
    if any(_key(part) == "replay" for part in given):
        raise UserError("the run to replay is named once: selfinstruct replay RUN KEY=VALUE …")
    keys = {_key(part) for part in given} | {"run_dir", "fresh", "salvage", "replay"}
    if "recipe" in keys:
        raise UserError("a replay keeps the recipe of its run; leave out recipe=…, and change single keys")
    kept = [part for part in map(str, OmegaConf.load(saved)) if _key(part) not in keys]
    source = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return [*given, *kept, f'replay="{source}"']


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

    try:
        config = composed(overrides, project)
    except Exception as error:
        raise explain(error, overrides, project) from error
    with open_dict(config):
        hydra = config.pop("hydra")
    return from_hydra(config, hydra, project)


def from_hydra(config: DictConfig, hydra: DictConfig, project: Path) -> Composed:
    """The recipe's part of what Hydra composed, and what is kept of Hydra's own.

    Raises:
        UserError: where no recipe was chosen.
    """
    name = hydra.runtime.choices.get("recipe")
    if not name:
        known = ", ".join(listing("recipes", project))
        raise UserError(
            f"choose a recipe: selfinstruct recipe=NAME (known: {known})\n"
            "  To try it out without a key: selfinstruct recipe=quickstart"
        )
    choices = {str(key): value for key, value in hydra.runtime.choices.items() if "hydra" not in str(key)}
    typed = [str(override) for override in hydra.overrides.task]
    broken = FAULT_KEY in config  # of which there is nothing to be known
    said = Said() if broken else said_of(str(name), config, typed, project)
    return Composed(str(name), config, project, typed, choices, said)
