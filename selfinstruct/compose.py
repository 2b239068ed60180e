"""Composing a recipe with Hydra's overrides, and saying in our words what Hydra found wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import RecipeError, UserError, unknown
from selfinstruct.layout import FAULT_KEY, GROUPS, listing, packaged, register, resolved

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from selfinstruct.recipe import Recipe


# Mappings that take any key: a request's parameters, names for templates, conditions on seeds, and a stage's
# model of its own, which has no key as long as it is null. A model's own keys need not all stand in its file.
OPEN = re.compile(
    r"([\w.]+\.)?(sampling|variables|where)(\.[\w.]+)?="
    r"|pipeline\.[\w-]+\.model\.[\w.]+=|model\.(price\.)?\w+="
)


EXTRAS = {  # that bring the launchers and sweepers which the presets in conf/hydra build on
    "joblib": "parallel",
    "submitit_local": "slurm",
    "submitit_slurm": "slurm",
    "ray": "ray",
    "optuna": "search",
}


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Attributes:
        name: the recipe's name.
        config: the config, without Hydra's own part.
        project: the user's folder.
        saved: what goes to `.hydra/`, by file name.
    """

    name: str
    config: DictConfig
    project: Path
    saved: dict[str, str] = field(default_factory=dict)

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
        return build(self.name, keys, self.project)

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


def opened(overrides: Sequence[str]) -> list[str]:
    """The overrides, with those marked that Hydra takes otherwise than whoever types them means.

    It refuses `model.sampling.top_k=5` where a recipe sets no top_k, and adds nothing for `export={}`.
    """
    plain = ["export=none" if re.fullmatch(r"export=(\{\s*\}|null)", part) else part for part in overrides]
    return [f"++{part}" if OPEN.match(part) else part for part in plain]


def readable(name: str) -> bool:
    """Whether Hydra reads `recipe=NAME` as this name; it makes a number of 12 and nothing of null."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        return bool(OverridesParser.create().parse_override(f"recipe={name}").value() == name)
    except OverrideParseException:
        return False


def compose(overrides: Sequence[str], project: Path) -> Composed:
    """Compose a config outside a Hydra application.

    Args:
        overrides: Hydra overrides, the recipe's among them.
        project: the user's folder.

    Raises:
        UserError: for an override, group or recipe that does not exist.
    """
    try:
        config = _composed(overrides, project)
    except Exception as error:
        raise explain(error, overrides, project) from error
    return from_hydra(config, project)


def _composed(overrides: Sequence[str], project: Path) -> DictConfig:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    register(project)
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(packaged() / "conf"), version_base="1.3"):
        return hydra.compose("config", opened(overrides), return_hydra_config=True)


def from_hydra(config: DictConfig, project: Path) -> Composed:
    """Split what Hydra composed into the recipe's part and what is kept of Hydra's own.

    Raises:
        UserError: where no recipe was chosen.
    """
    from omegaconf import OmegaConf, open_dict

    hydra = config.hydra
    name = hydra.runtime.choices.get("recipe")
    if not name:
        known = ", ".join(listing("recipes", project))
        raise UserError(
            f"choose a recipe: selfinstruct recipe=NAME (known: {known})\n"
            "  To try it out without a key: selfinstruct recipe=quickstart"
        )
    rest = config.copy()
    with open_dict(rest):
        del rest["hydra"]
    choices = {key: value for key, value in hydra.runtime.choices.items() if "hydra" not in str(key)}
    saved = {
        "config.yaml": OmegaConf.to_yaml(rest),
        "overrides.yaml": OmegaConf.to_yaml(hydra.overrides.task),
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": {"runtime": {"choices": choices}}})),
    }
    return Composed(str(name), rest, project, saved)


def explain(error: Exception, overrides: Sequence[str], project: Path) -> Exception:
    """What Hydra could not compose, with the nearest names there are; an error of ours or a bug as it is."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    for part in overrides:
        if isinstance(error, TypeError | ValueError) and re.match(rf"({'|'.join(GROUPS)})=(null|\[)", part):
            return UserError(f"{part!r}: a config group takes the name of one of its files")
    if isinstance(error, RecursionError):
        return UserError("the defaults list of a recipe leads back to the recipe itself")
    if isinstance(error, UserError) or not isinstance(error, HydraException | OmegaConfBaseException):
        return error
    text = _text(error)
    if isinstance(error, OverrideParseException):
        known = error.override in listing("recipes", project)
        hint = f"\n  did you mean recipe={error.override}?" if known else ""
        return UserError(
            f"{error.override!r} is no override; write KEY=VALUE, quoted for the shell, and where the value "
            f"has brackets, braces or quotes in it: 'KEY=\"VALUE\"'{hint}"
        )
    plugin = re.search(r"Could not (?:find|load) 'hydra/(launcher|sweeper)/(\w+)'", text)
    if plugin:
        return UserError(_no_plugin(plugin[1], plugin[2], project))
    missing = re.search(r"Could not (?:find|load) '([\w-]+)/([^']*)'", text)
    if missing and missing[1] in (*GROUPS, "recipe"):
        return UserError(_no_choice(missing[1], missing[2], project))
    twice = re.search(r"Multiple values for ([\w/]+)\..*'override \1: ([^']*)'", text)
    if twice:
        how = f"in a defaults list write 'override /{twice[1]}: {twice[2]}', on the command line"
        return UserError(f"{twice[1]} is chosen already; {how} {twice[1]}={twice[2]}")
    if "Cannot merge" in text:
        return UserError(_unlike(text, project))
    group = re.search(
        r"Could not (?:override|delete)\D*'(?:override )?/?([^'@]*)[^']*'.*\n?No match in the def", text
    )
    if group:
        return UserError("; ".join(unknown("config group", group[1], (*GROUPS, "recipe"))))
    key = re.search(r"Could not (?:override|append to config\.|delete from config\.) ?'?([\w.-]*)", text)
    if (key and "not in struct" in text) or "does not exist" in text:
        named = re.search(r"full_key: ([\w.-]+)", text) or re.search(r"'([\w.-]+)'", text)
        name = named[1] if named else (key[1] if key else "")
        return UserError(_no_key(name, project, overrides))
    lines = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    return UserError("\n  ".join(lines))


def _text(error: BaseException) -> str:
    """The words of an error and of its causes."""
    parts = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        parts.append(str(error))
    return "\n".join(parts)


def _no_choice(group: str, name: str, project: Path) -> str:
    folder = "recipes" if group == "recipe" else f"conf/{group}"
    what, known = unknown(group if group == "recipe" else f"{group} config", name, listing(folder, project))
    if group == "recipe" and name.split("/")[0] in GROUPS:  # Hydra looks beside the recipe that says so
        known = f"to choose it in a recipe's defaults list, write 'override /{name.replace('/', ': ')}'"
    path = {"seeds": "\n  for a seed file of your own: seeds.path=FILE.jsonl"}.get(group, "")
    return f"{what}\n  {known}{path}"


def _no_plugin(group: str, name: str, project: Path) -> str:
    """Words for a launcher or sweeper that is not there: the extra that brings it, or the names there are."""
    if name in EXTRAS:
        return f"hydra/{group}={name} is not installed: pip install 'selfinstruct[{EXTRAS[name]}]'"
    return "\n  ".join(unknown(group, name, ["basic", *listing(f"conf/hydra/{group}", project)]))


def _unlike(text: str, project: Path) -> str:
    """Words for a list where a mapping belongs, or the other way round; Hydra says of which file only."""
    from omegaconf import OmegaConf

    found = re.search(r"In '([\w/-]+)'", text)
    group, _, name = (found[1] if found else "").rpartition("/")
    path = listing("recipes" if group == "recipe" else f"conf/{group}", project).get(name)
    if path is None:
        return "a list stands where a mapping belongs, or the other way round"
    clash = _clash(OmegaConf.load(path), _composed([], project))
    return f"{path}: {clash or 'some key'} is a list where a mapping belongs, or the other way round"


def _clash(mine: Any, usual: Any, path: str = "") -> str:
    """The first place at which one is a list and the other a mapping."""
    for key in mine:
        one, other = mine._get_node(key), usual._get_node(key) if key in usual else None
        if {type(one).__name__, type(other).__name__} == {"DictConfig", "ListConfig"}:
            return f"{path}{key}"
        if hasattr(one, "items") and hasattr(other, "items"):
            deeper = _clash(one, other, f"{path}{key}.")
            if deeper:
                return deeper
    return ""


def _no_key(name: str, project: Path, overrides: Sequence[str]) -> str:
    """Words for a key that does not exist, with the nearest among those of the recipe without overrides."""
    chosen = [part for part in overrides if re.fullmatch(rf"(recipe|{'|'.join(GROUPS)})=[\w/-]+", part)]
    try:
        config = _composed(chosen, project)
    except Exception:  # a second mistake, or the same one: the names there are cannot be known
        return f"there is no key {name!r}"
    same_depth = [str(key) for key in _keys(config) if str(key).count(".") == name.count(".")]
    near = unknown("key", name, same_depth)[1].split("known:")[0]
    level: Any = config
    for part in name.split(".")[:-1]:
        level = level.get(part) if hasattr(level, "get") and part in level else {}
    here = f"known there: {', '.join(map(str, level))}" if level else ""
    removes = any(part.startswith(f"~{name}") for part in overrides)
    add = "" if removes else f"\n  to add a key that the recipe does not have yet: +{name}=…"
    return f"unknown key {name!r}\n  {near}{here}{add}"


def _keys(node: Any, prefix: str = "") -> list[str]:
    if not hasattr(node, "items"):
        return []
    found = []
    for key in node:
        path = f"{prefix}{key}"
        found += [path, *_keys(node._get_node(key), f"{path}.")]
    return found
