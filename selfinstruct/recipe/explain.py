"""Hydra's errors about a recipe or overrides, in our words: the place, and what to type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from selfinstruct.errors import UserError, unknown
from selfinstruct.llm.naming import full_names
from selfinstruct.project.interpolation import refusal
from selfinstruct.project.layout import FOLDERS, GROUPS, listing
from selfinstruct.project.parts import PARTS
from selfinstruct.project.resolving import unnamed, unnamed_in
from selfinstruct.recipe.overrides import composed, meant

DIGITS = re.compile(r"\d{1000}")
EXTRAS = {  # the extras with the launchers and sweepers that the presets in conf/hydra use
    "joblib": "parallel",
    "submitit_local": "slurm",
    "submitit_slurm": "slurm",
    "ray": "ray-sweeps",
    "optuna": "search",
}
RENAMED = {"salvage": "repair"}  # keys of earlier versions


def explain(error: Exception, overrides: Sequence[str], project: Path) -> Exception:
    """Hydra's error as a clear message, with the nearest existing names; other errors as they are."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    for part in overrides:
        if part.startswith("recipe={"):
            return UserError(f"{part!r}: a recipe is chosen by its name, recipe=NAME")
        if isinstance(error, TypeError | ValueError) and re.match(rf"({'|'.join(GROUPS)})=(null|\[)", part):
            return UserError(f"{part!r}: a config group takes the name of one of its files")
        if (
            isinstance(error, ValueError)
            and "integer string conversion" in str(error)
            and DIGITS.search(part)
        ):
            return UserError(f"{part[:40]!r} … has a number with too many digits; write a smaller one")
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        typed = ", ".join(part for part in overrides if not part.startswith(("recipe=", "-")))
        return UserError(f"{typed}: a config group takes the name of one of its files")
    if isinstance(error, RecursionError):
        return UserError("the defaults list of a recipe leads back to the recipe itself")
    if isinstance(error, UserError) or not isinstance(error, HydraException | OmegaConfBaseException):
        return error
    text = _text(error)
    refused = refusal(text)
    if refused:
        return UserError(_refused(text, *refused))
    if wrong := unnamed(error):
        return UserError(wrong)
    if isinstance(error, OverrideParseException):
        word = str(error.override)
        name, _, value = word.lstrip("+").partition("=")
        if value.count("{") == value.count("}") and (wrong := unnamed_in(name, value)):
            return UserError(wrong)
        remedy = f"did you mean recipe={word}?" if word in listing("recipes", project) else meant(word)
        return UserError(f"{word!r} is not an override\n  {remedy}")
    several = re.search(r"Ambiguous value for argument '(.*)'", text)
    if several:
        return UserError(
            f"{several[1]!r} gives several values; for one run with each put -m first: selfinstruct -m …\n"
            f"  one value with a comma in it: {meant(several[1]).partition(': ')[2]}"
        )
    plugin = re.search(r"Could not (?:find|load) 'hydra/(launcher|sweeper)/(\w+)'", text)
    if plugin:
        return UserError(_no_plugin(plugin[1], plugin[2], project))
    missing = re.search(r"Could not (?:find|load) '([\w-]+)/([^']*)'", text)
    if missing and missing[1] in (*FOLDERS, "recipe"):
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
    if group and group[1] == PARTS:
        return UserError("~parts: a recipe's own parts cannot be removed; use the recipe that it is built on")
    if group:
        return UserError("; ".join(unknown("config group", group[1], (*FOLDERS, "recipe"))))
    key = re.search(r"Could not (?:override|append to config\.|delete from config\.) ?'?([\w.-]*)", text)
    if (key and "not in struct" in text) or "does not exist" in text:
        named = re.search(r"full_key: ([\w.-]+)", text) or re.search(r"'([\w.-]+)'", text)
        name = named[1] if named else (key[1] if key else "")
        return UserError(_no_key(name, project, overrides))
    lines = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    return UserError("\n  ".join(lines))


def _refused(text: str, what: str, remedy: str) -> str:
    """A message about a `${…}` that does more than name another key, with its place if known."""
    place = re.search(r"full_key: (\S+)", text)
    return f"{place[1] if place else '${…}'}: {what}\n  {remedy}"


def _text(error: BaseException) -> str:
    """The messages of an error and of its causes."""
    parts = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        parts.append(str(error))
    return "\n".join(parts)


def _no_choice(group: str, name: str, project: Path) -> str:
    folder = "recipes" if group == "recipe" else f"conf/{group}"
    kind = {"recipe": "recipe", PARTS: "part"}.get(group, f"{group} config")
    what, known = unknown(kind, name, listing(folder, project))
    if group == "recipe" and name.split("/")[0] in GROUPS:  # Hydra looks beside the recipe that names it
        known = f"to choose it in a recipe's defaults list, write 'override /{name.replace('/', ': ')}'"
    own = {
        "seeds": "for a seed file of your own: seeds.path=FILE.jsonl",
        "model": _model_named(name, project),
    }
    return "\n  ".join([what, known, *([own[group]] if group in own else [])])


def _model_named(name: str, project: Path) -> str:
    """How to choose a model by its own name, which is often typed in place of a file's."""
    full = name if "/" in name else next(iter(full_names(name)), f"openai/{name}")
    provider = full.split("/")[0]
    chosen = f"model={provider} " if provider in listing("conf/model", project) else ""
    return f"set a model's own name, with its provider, like this: {chosen}model.name={full}"


def _no_plugin(group: str, name: str, project: Path) -> str:
    """A message about an unknown launcher or sweeper: the extra that has it, or the known names."""
    if name in EXTRAS:
        return f"hydra/{group}={name} is not installed: pip install 'selfinstruct[{EXTRAS[name]}]'"
    return "\n  ".join(unknown(group, name, ["basic", *listing(f"conf/hydra/{group}", project)]))


def _unlike(text: str, project: Path) -> str:
    """A message about a list in place of a mapping, or the reverse; Hydra says only in which file."""
    from omegaconf import OmegaConf

    found = re.search(r"In '([\w/-]+)'", text)
    group, _, name = (found[1] if found else "").rpartition("/")
    path = listing("recipes" if group == "recipe" else f"conf/{group}", project).get(name)
    if path is None:
        return "there is a list where a mapping belongs, or the other way round"
    clash = _clash(OmegaConf.load(path), composed([], project))
    return f"{path}: {clash or 'some key'} is a list where a mapping belongs, or the other way round"


def _clash(mine: Any, usual: Any, path: str = "") -> str:
    """The first place where one has a list and the other a mapping."""
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
    """A message about an unknown key, with the nearest keys of the recipe without overrides."""
    choices = re.compile(rf"(recipe|\+?{PARTS}|{'|'.join(GROUPS)})=[\w/,\[\]-]+")
    chosen = [part for part in overrides if choices.fullmatch(part)]
    typed = next((part for part in overrides if part.lstrip("+~").startswith(name)), name)
    full = typed.lstrip("+~").partition("=")[0]
    if full in RENAMED:
        return f"the key {full!r} is called {RENAMED[full]!r} now: {typed.replace(full, RENAMED[full], 1)}"
    try:
        config = composed(chosen, project)
    except Exception:  # a second mistake, or the same one: the known keys cannot be found
        return f"there is no key {full!r}"
    keys = ["recipe", *(key for key in _keys(config) if not f"{key}.".startswith("hydra."))]
    level: Any = config
    parts = full.split(".")[:-1]
    for place, part in enumerate(parts):
        level = level.get(part) if part in level else {}
        if not hasattr(level, "keys"):
            return f"unknown key {full!r}\n  {'.'.join(parts[: place + 1])} is {level!r}, which has no keys"
    there = ["recipe", *level] if level is config else list(level)
    here = f"known there: {', '.join(str(key) for key in there if key != 'hydra')}" if there else ""
    near = _nearest(full, keys)
    hints = [f"did you mean {' or '.join(map(repr, near))}?"] if near else []
    if not near and not typed.startswith("~"):
        hints.append(f"to add a key that the recipe does not have yet: +{full}=…")
    return "\n  ".join([f"unknown key {full!r}", *hints, *([here] if here else [])])


def _nearest(full: str, keys: Sequence[str]) -> list[str]:
    """The keys that were perhaps meant: those that only lack sections in between, else the most similar."""
    words = full.split(".")
    deeper = [key for key in keys if _within(words, key.split("."))]
    if any(".sampling." in key for key in deeper):  # the model's own key holds for all stages
        return [f"model.sampling.{words[-1]}", *deeper[:2]]
    return deeper[:3] or get_close_matches(full, keys, n=1, cutoff=0.75)


def _within(words: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the words are parts of a key, in order, and the last word is its last part."""
    rest = iter(parts)
    return words[-1] == parts[-1] and all(word in rest for word in words)


def _keys(node: Any, prefix: str = "") -> list[str]:
    if not hasattr(node, "items"):
        return []
    found = []
    for key in node:
        path = f"{prefix}{key}"
        found += [path, *_keys(node._get_node(key), f"{path}.")]
    return found
