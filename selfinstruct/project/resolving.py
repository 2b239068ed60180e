"""YAML files that are not recipes, and the values of a config with each `${key}` in it replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault, RecipeError, UserError, unknown
from selfinstruct.project import configfiles, textfiles
from selfinstruct.project.expansion import REMEDY, TOO_DEEP, TOO_MUCH, limited
from selfinstruct.project.interpolation import closed, refusal
from selfinstruct.project.layout import GGUF, listing, packaged, weights_named

MISSING = re.compile(r"Interpolation key '([^'.][^']*)' not found")  # in the words of OmegaConf
WITHIN = re.compile(r"trying to access (\S+): node `(.*)` is not a container and thus cannot contain `(.*)`")
CIRCLES = ("Recursive interpolation detected", "Interpolation to parent node detected")
LONGEST = 60  # characters of a value in a message
ITSELF = "_self_"  # in a defaults list: the keys of the file itself
ESCAPE = "${name} means another key of the recipe; to have it as text, write \\${name}"


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
        raise RecipeError([_unresolved(config, error)]) from error
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
        raise RecipeError([_unresolved(config, error, key)]) from error


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

    faults = unreadable(path)
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}")
    try:
        return OmegaConf.load(path)
    except Exception as error:  # as in _load
        raise UserError(f"{path}: {words_of(error)}") from error


def plain_list(source: Any) -> list[str]:
    """The texts of a list, or of a YAML file that holds one, unchanged: `${…}` has no meaning in them."""
    from omegaconf import OmegaConf

    found = load(source) if isinstance(source, Path) else source
    texts = OmegaConf.to_container(found, resolve=False)
    return [str(part) for part in texts] if isinstance(texts, list) else []


def unreadable(path: Path) -> list[str]:
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


def words_of(error: Exception) -> str:
    """The message of a yaml or omegaconf error, with a remedy if a text has ${ in it."""
    if isinstance(error, RecursionError) or "recursion depth" in str(error):
        return f"{TOO_DEEP}; {REMEDY}"
    return unnamed(error) or str(error).strip()


def unnamed(error: BaseException | None) -> str:
    """The message about a `${` that is not followed by the name of a key and `}`; empty for other errors."""
    from omegaconf.errors import GrammarParseError

    while error and not isinstance(error, GrammarParseError):
        error = error.__cause__
    if not isinstance(error, GrammarParseError):
        return ""
    where = f"{error.full_key}: " if error.full_key else ""
    what = "between ${ and } there must be the name of a key, such as ${seeds.path}"
    return f"{where}{_quoted(str(error.value))}: {what}\n  {ESCAPE}"


def unnamed_in(key: str, value: str) -> str:
    """The message about such a `${` in the value of a key; empty if there is none."""
    from omegaconf import OmegaConf
    from omegaconf.errors import GrammarParseError

    try:
        OmegaConf.create({key: value})
    except GrammarParseError as error:
        return unnamed(error)
    return ""


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


def _unresolved(config: Any, error: Exception, key: str = "") -> Fault:
    """The fault of a key whose `${…}` cannot be resolved."""
    where, what = str(getattr(error, "full_key", None) or key), str(error).split("\n")[0]
    refused = refusal(what)
    if refused:
        return Fault(where, *refused)
    if TOO_MUCH in what or "RecursionError" in what:
        return Fault(where, what if TOO_MUCH in what else TOO_DEEP, REMEDY)
    if missing := MISSING.match(what):
        return Fault(where, *_missing(config, missing[1]))
    if within := WITHIN.search(what):
        node, part = within[2], within[3]
        return Fault(where, f"${{{within[1]}}}: {node} is not a section, so it has no key {part!r}", ESCAPE)
    if what in CIRCLES:
        return Fault(where, f"{_written(config, where)}: its value depends on {where} itself", ESCAPE)
    if what.startswith("Missing mandatory value"):
        return Fault(where, "has no value: ??? means that one must be given", f"set it: {where}=…")
    if "nterpolation" in what:
        return Fault(where, f"{_written(config, where)} does not name another key", ESCAPE)
    return Fault(where, what)


def _written(config: Any, key: str) -> str:
    """The value of a key as it was written, in quotes."""
    from omegaconf import OmegaConf

    node: Any = config._get_root()
    for part in re.findall(r"[^.\[\]]+", key):
        node = node._get_node(int(part) if OmegaConf.is_list(node) else part)
    return _quoted(str(node._value()))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def _missing(config: Any, path: str) -> tuple[str, str]:
    """What a `${path}` lacks: the first part of it that is missing, and the names that are there."""
    node, above = config._get_root(), ""
    for part in path.split("."):
        names = [str(name) for name in node] if isinstance(node, Mapping) else []
        if part not in names:
            break
        node, above = node._get_node(part), f"{above}.{part}" if above else part
    _, known = unknown("key", part, names)
    lacking = f"{above} has no key {part!r}" if above else f"there is no key {part!r}"
    return f"${{{path}}}: {lacking}", f"{known}; {ESCAPE}"
