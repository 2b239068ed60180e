"""The user's and our recipes and config groups, in the form in which Hydra finds them.

A file with a fault is known by its name too; its fault is reported if a recipe chooses it. Only `project`,
`recipe` and `cli` import Hydra.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError
from selfinstruct.project import composition, configfiles, defaults_list, former, parts, textfiles
from selfinstruct.project.composition import FAULT_KEY
from selfinstruct.project.expansion import install, install_files
from selfinstruct.project.layout import FOLDERS, GROUPS, listing, packaged
from selfinstruct.project.resolving import unreadable, words_of


def register(project: Path) -> None:
    """Make the user's and our recipes and groups known to Hydra, before it composes anything.

    Hydra forgets nothing by itself, so entries that an earlier call added for another folder are removed
    here.
    """
    from hydra.core.config_store import ConfigStore

    install()
    configfiles.use_in_hydra()
    install_files()
    composition.install(packaged() / "conf")
    _check_conf(project)
    _search_path().conf = project / "conf"
    store = ConfigStore.instance().repo
    store["recipe"] = _Recipes((f"{name}.yaml", path) for name, path in listing("recipes", project).items())
    store |= {group: former.JudgeSection(group, packaged()) for group in former.OF_JUDGE}


def parts_of(name: str, project: Path) -> list[str]:
    """The parts that a recipe adds: its own, and those of the recipes that it builds on."""
    known, found, waiting = listing("recipes", project), list[str](), [name]
    for one in waiting:
        for entry in _load(known[one], _version(known[one])).get("defaults") or [] if one in known else []:
            found += [str(entry).removeprefix(parts.ENTRY)] if str(entry).startswith(parts.ENTRY) else []
            waiting += [str(entry)] if str(entry) in known and str(entry) not in waiting else []
    return found


class _Recipes(dict[str, Any]):
    """The recipes by the names of their files, in Hydra's store; each is read when Hydra asks for it."""

    def __getitem__(self, file: str) -> Any:
        from hydra.core.config_store import ConfigNode

        path = super().__getitem__(file)
        return ConfigNode(path.stem, _load(path, _version(path)), "recipe", "_global_", str(path))

    def __deepcopy__(self, memo: Any) -> _Recipes:
        return self  # Hydra copies the whole store each time it composes, and changes nothing in it


def _version(path: Path) -> tuple[int, ...]:
    """Numbers that change when a file does; empty for a link that leads nowhere, which `_load` reports."""
    try:
        about = path.stat()
    except OSError:
        return ()
    return about.st_ino, about.st_mtime_ns, about.st_size


@lru_cache(maxsize=256)
def _load(path: Path, version: tuple[int, ...]) -> Any:
    """A recipe in Hydra's form; one with a fault becomes a node that says so if it is chosen.

    The file is read again if its version (the file and its time of writing) has changed; Hydra works on
    copies.
    """
    from omegaconf import OmegaConf

    faults = unreadable(path)
    try:
        node = None if faults else _without_empty(configfiles.load(path), path)
        faults = faults or _forbidden(node) or _moved(node) or parts.faults(node) or _unlike(node)
        node = node if faults else parts.spread(node)
    except Exception as error:  # yaml's and omegaconf's own errors share no base
        faults = [words_of(error)]
    if faults:
        text = f"{path}: {'; '.join(faults)}"
        return OmegaConf.create({FAULT_KEY: text.encode()})  # as bytes, in which ${ has no meaning
    return node


def _without_empty(node: Any, path: Path) -> Any:
    """A recipe without its empty sections, which change nothing; null removes a section."""
    from omegaconf import DictConfig

    if packaged() in path.resolve().parents:  # ours have none, and skipping them saves time
        return node
    for *above, key in textfiles.empty_keys(path.read_text(encoding="utf-8-sig")):
        holder = node
        for part in above:
            holder = holder._get_node(part) if isinstance(holder, DictConfig) else None
        if isinstance(holder, DictConfig):
            holder.pop(key, None)
    return node


def _forbidden(node: Any) -> list[str]:
    """Keys that would give a recipe access to code or Hydra's own settings."""
    from omegaconf import DictConfig, OmegaConf

    if not isinstance(node, DictConfig):
        return ["a recipe is a mapping of keys; this file is not"]
    plain = OmegaConf.to_container(node, resolve=False)
    assert isinstance(plain, dict)
    faults = defaults_list.faults(plain["defaults"]) if "defaults" in plain else []
    if any(str(key).split(".")[0] == "hydra" for key in plain):
        faults.append("a recipe may not have a 'hydra' key: set Hydra's own settings on the command line")
    if any(str(key).split(".")[0] == "trust" for key in plain):
        faults.append("a 'trust' key belongs on the command line: only you may decide who gets your keys")
    if any(str(key).split(".")[0] == "executor" for key in plain):
        faults.append(
            "an 'executor' key belongs on the command line or in conf/executor: a cluster's machines run code"
        )
    return faults + [f"a recipe may not have the key {key!r}: it would run code" for key in _targets(plain)]


def _moved(node: Any) -> list[str]:
    """Recipes that a recipe puts below one of its keys; then it is unknown who set which key."""
    entries = [
        part
        for entry in node.get("defaults") or []
        for part in (entry if hasattr(entry, "keys") else [entry])
    ]
    return [
        f"the defaults list names {str(entry)!r}: a recipe cannot be put below a key; name it without '@'"
        for entry in entries
        if "@" in str(entry) and not re.match(rf"(override |optional )*/({'|'.join(GROUPS)})[/@]", str(entry))
    ]


def _unlike(node: Any) -> list[str]:
    """Groups of a recipe that are not a mapping; a name there is meant to choose a file."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(node, resolve=False)
    assert isinstance(plain, dict)
    return [
        f"{group!r} is a mapping of keys; to choose a file of conf/{group}, write 'override /{group}: NAME' "
        "in the defaults list" + ("; a seed file is seeds: {path: FILE.jsonl}" if group == "seeds" else "")
        for group in GROUPS
        if isinstance(plain.get(group), str | int | list)
    ]


def _targets(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        items = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        items = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        return []
    found = [f"{path}{key}" for key, _ in items if key == "_target_"]
    return found + [hit for key, inner in items for hit in _targets(inner, f"{path}{key}.")]


def _check_conf(project: Path) -> None:
    """Refuse config files of the user's that hide one of ours, or that contain Hydra's settings.

    The folder `conf/hydra` has Hydra's own groups; only the command line can name them, not a recipe.
    """
    conf = project / "conf"
    if conf.resolve() == packaged() / "conf":
        return
    for group in FOLDERS:
        listing(f"conf/{group}", project)
    for path in sorted(conf.rglob("*.yaml")):
        group = path.relative_to(conf).parts[0]
        if group != "hydra":
            _check_conf_file(path, group)
        elif wrong := unreadable(path):
            raise UserError(f"{path}: {'; '.join(wrong)}")


def _check_conf_file(path: Path, group: str) -> None:
    wrong = unreadable(path)
    if wrong:
        raise UserError(f"{path}: {'; '.join(wrong)}")
    text = path.read_text(encoding="utf-8")
    header = re.search(r"^#\s*@package\s+(\S+)", text, re.MULTILINE)
    own = "_global_" if group == parts.PARTS else group
    if header and header[1] not in ("_group_", own):
        raise UserError(f"{path}: '@package {header[1]}' is not for a file of this folder; remove it")
    try:
        faults = _forbidden(configfiles.load(path))
    except Exception as error:  # as in _load
        raise UserError(f"{path}: {words_of(error)}") from error
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}")


@cache
def _search_path() -> Any:
    """Hydra's plugin that adds the user's `conf`, registered once; its attribute `conf` is the folder."""
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class UserConf(SearchPathPlugin):
        conf = Path("conf")

        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            if self.conf.is_dir() and self.conf.resolve() != packaged() / "conf":
                search_path.append("selfinstruct-user", self.conf.resolve().as_uri())

    Plugins.instance().register(UserConf)
    return UserConf
