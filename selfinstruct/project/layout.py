"""The places of recipes, config groups and seed files: ours, and those in the user's own folder.

In a wheel ours are inside the package, in a checkout beside it; the user's are in `recipes/`, `conf/` and
`seeds/` below the folder in which the command is typed. Only `project`, `recipe` and `cli` import Hydra.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, RecipeError, UserError
from selfinstruct.project import composition, configfiles, defaults_list, former, parts, textfiles
from selfinstruct.project.composition import FAULT_KEY
from selfinstruct.project.expansion import REMEDY, TOO_DEEP, TOO_MUCH, install, install_files, limited
from selfinstruct.project.interpolation import closed, refusal
from selfinstruct.project.yaml_limits import BYTES

GROUPS = (
    *("seeds", "model", "mix", "pipeline", "prompts", "filters", "schema", "export"),
    *("review", "train", "eval", "executor"),
)
GGUF = "gguf"  # the file of conf/model that runs the weights named by a path
TUNED = "model.gguf"  # the weights in the folder of a tuned model
FOLDERS = (*GROUPS, parts.PARTS)  # the folders of conf from which a recipe chooses files
ITSELF = "_self_"  # in a defaults list: the keys of the file itself
LONGEST_NAME = 255  # bytes, on every usual file system
ESCAPE = "${name} means another key of the recipe; to have it as text, write \\${name}"


def packaged() -> Path:
    """The folder with our `conf`, `recipes` and `seeds`."""
    here = Path(__file__).resolve().parents[1]
    return here if (here / "conf").is_dir() else here.parent


def roots(project: Path) -> list[Path]:
    """The folders to look in, the user's first; only one if both are the same."""
    ours = packaged()
    return [ours] if project.resolve() == ours else [project, ours]


def find(path: str, project: Path) -> Path | None:
    """A file named in a recipe: at an absolute path, or below the user's folder, or below ours."""
    found = locate(path, project)
    return found if found and found.is_file() else None


def locate(path: str, project: Path) -> Path | None:
    """A file or folder named in a recipe, searched for like `find`; a file comes before a folder."""
    places = [path_below(root, path) for root in roots(project)]
    if no_path(path):
        return None
    files = [place for place in places if place.is_file()]
    return next(iter([*files, *(place for place in places if place.is_dir())]), None)


def path_below(root: Path, path: str) -> Path:
    """The path for one that people write: absolute, below `root`, or below a home with `~`."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError:  # ~NAME of an unknown user is a name like others
        return root / path


def no_path(path: str) -> str:
    """Why no file can have this path; empty if one can."""
    if textfiles.NO_TEXT.search(path):
        return "has a control character or half of a character in it, which a file's name cannot have here"
    if any(len(part.encode()) > LONGEST_NAME for part in Path(path).parts):
        return f"has a name of more than {LONGEST_NAME} bytes, which no file can have"
    return ""


def listing(folder: str, project: Path) -> dict[str, Path]:
    """The YAML files of a folder such as `recipes` or `conf/model`, by name.

    Raises:
        UserError: if a file of the user's has the same name as one of ours.
    """
    found: dict[str, Path] = {}
    for root in reversed(roots(project)):
        for path in sorted((root / folder).glob("*.yaml")):
            if path.stem in found:
                raise UserError(f"{path}: selfinstruct has a {folder}/{path.name}; give yours another name")
            found[path.stem] = path
    return found


def headline(path: Path) -> str:
    """The first words of the first comment in a YAML file, for listings."""
    try:
        if path.stat().st_size > BYTES:  # reported where it is used
            return ""
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # reported where the file is chosen
        return ""
    for line in text.splitlines():
        said = line.lstrip("# ").strip()
        if line.startswith("#") and said and not said.startswith(("@", "yaml-language-server")):
            return said
    return ""


def weights_named(name: str) -> str | None:
    """The GGUF file that the name of a model means: the file itself, or that of a folder; None for a name.

    Args:
        name: what stands behind `model=`: openai, FILE.gguf, or runs/quickstart/model.
    """
    if name.endswith(".gguf"):
        return name
    return f"{name.rstrip('/')}/{TUNED}" if "/" in name else None


def model_config(name: str, project: Path, group: str = "model") -> dict[str, Any] | None:
    """The keys of `conf/<group>/<name>.yaml`; None if there is no such file.

    A GGUF file, or the folder of a tuned model, is a model too.

    Raises:
        UserError: if a value in it cannot be resolved.
    """
    weights = weights_named(name) if group == "model" else None
    if weights:
        keys = model_config(GGUF, project) or {}
        return {**keys, "options": {**keys.get("options", {}), "weights": weights}}
    files = listing(f"conf/{group}", project)
    if name not in files:
        return None
    try:
        with closed():
            return resolved(_with_defaults(name, files))
    except UserError as error:
        raise UserError(f"{files[name]}: {error}") from error


def load(path: Path) -> Any:
    """A YAML file that is not a recipe, such as one of a run folder.

    Raises:
        UserError: if it is not valid YAML or too large.
    """
    from omegaconf import OmegaConf

    unreadable = _unreadable(path)
    if unreadable:
        raise UserError(f"{path}: {'; '.join(unreadable)}")
    try:
        return OmegaConf.load(path)
    except Exception as error:  # as in _load
        raise UserError(f"{path}: {_told(error)}") from error


def _with_defaults(name: str, files: dict[str, Path], above: tuple[str, ...] = ()) -> Any:
    """A file's keys, merged over those of the files in its folder that its defaults list names."""
    from omegaconf import OmegaConf

    if name not in files or name in above:
        raise UserError(
            f"its defaults list names {name!r}, " + ("itself" if name in above else "which does not exist")
        )
    own = configfiles.load(files[name])
    defaults = own.pop("defaults", [])
    order = defaults if ITSELF in defaults else [*defaults, ITSELF]
    parts = [own if part == ITSELF else _with_defaults(str(part), files, (*above, name)) for part in order]
    return OmegaConf.merge(*parts)


def resolved(config: Any) -> dict[str, Any]:
    """A config as plain dicts and lists, with every `${key}` in it replaced.

    Raises:
        RecipeError: with the first key that cannot be resolved.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with closed(), limited():
            keys = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except RecursionError as error:
        raise RecipeError([Fault("", TOO_DEEP, REMEDY)]) from error
    except OmegaConfBaseException as error:
        raise RecipeError([_unresolved(error)]) from error
    return {str(key): value for key, value in keys.items()} if isinstance(keys, dict) else {}


def value_of(config: Any, key: str) -> Any:
    """The value of one key of a config, with every `${key}` in it replaced; None if there is none.

    Raises:
        RecipeError: if it cannot be resolved.
    """
    from omegaconf.errors import OmegaConfBaseException

    try:
        with closed(), limited():
            return config.get(key)
    except RecursionError as error:
        raise RecipeError([Fault(key, TOO_DEEP, REMEDY)]) from error
    except OmegaConfBaseException as error:
        raise RecipeError([_unresolved(error, key)]) from error


def _unresolved(error: Exception, key: str = "") -> Fault:
    """The fault of a key whose `${…}` cannot be resolved."""
    where, what = str(getattr(error, "full_key", None) or key), str(error).split("\n")[0]
    refused = refusal(what)
    if refused:
        return Fault(where, *refused)
    if TOO_MUCH in what or "RecursionError" in what:
        return Fault(where, what if TOO_MUCH in what else TOO_DEEP, REMEDY)
    return Fault(where, what, ESCAPE if "nterpolation" in what else "")


def plain_list(source: Any) -> list[str]:
    """The texts of a list, or of a YAML file that holds one, unchanged: `${…}` has no meaning in them."""
    from omegaconf import OmegaConf

    found = load(source) if isinstance(source, Path) else source
    texts = OmegaConf.to_container(found, resolve=False)
    return [str(part) for part in texts] if isinstance(texts, list) else []


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

    faults = _unreadable(path)
    try:
        node = None if faults else _without_empty(configfiles.load(path), path)
        faults = faults or _forbidden(node) or _moved(node) or parts.faults(node) or _unlike(node)
        node = node if faults else parts.spread(node)
    except Exception as error:  # yaml's and omegaconf's own errors share no base
        faults = [_told(error)]
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


def _unreadable(path: Path) -> list[str]:
    """The faults of a YAML file as a file; a test checks ours."""
    if packaged() == Path(__file__).resolve().parents[1] and packaged() in path.resolve().parents:
        return []
    found: list[Fault] = []
    text = textfiles.read_yaml(path, found)
    return (
        ["; ".join(filter(None, (fault.what, fault.remedy))) for fault in found]
        if text is None
        else textfiles.yaml_faults(text)
    )


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


def _told(error: Exception) -> str:
    """The message of a yaml or omegaconf error, with a remedy if a text has ${ in it."""
    if isinstance(error, RecursionError) or "recursion depth" in str(error):
        return f"{TOO_DEEP}; {REMEDY}"
    remedy = f"\n  {ESCAPE}" if "full_key" in str(error) else ""
    return f"{str(error).strip()}{remedy}"


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
        elif unreadable := _unreadable(path):
            raise UserError(f"{path}: {'; '.join(unreadable)}")


def _check_conf_file(path: Path, group: str) -> None:
    unreadable = _unreadable(path)
    if unreadable:
        raise UserError(f"{path}: {'; '.join(unreadable)}")
    text = path.read_text(encoding="utf-8")
    header = re.search(r"^#\s*@package\s+(\S+)", text, re.MULTILINE)
    own = "_global_" if group == parts.PARTS else group
    if header and header[1] not in ("_group_", own):
        raise UserError(f"{path}: '@package {header[1]}' is not for a file of this folder; remove it")
    try:
        faults = _forbidden(configfiles.load(path))
    except Exception as error:  # as in _load
        raise UserError(f"{path}: {_told(error)}") from error
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
