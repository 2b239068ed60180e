"""Overrides as users type them: what cannot be one is refused here, the rest is handed to Hydra.

Hydra's grammar and its parser of options answer a slip (`--target 5`, `target = 5`, a bracket left open) in
words about themselves. Here each is answered with what to type instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from selfinstruct.errors import UserError, unknown
from selfinstruct.project.expansion import limited
from selfinstruct.project.layout import FOLDERS, packaged, register
from selfinstruct.project.parts import PARTS
from selfinstruct.project.renamed import may_be_missing
from selfinstruct.project.yaml_limits import DEEP

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Mappings that take any key: a request's parameters, names for templates, conditions on seeds, their
# columns, and a stage's model of its own, which has no key as long as it is null. A model's own keys need
# not all stand in its file.
OPEN = re.compile(
    r"([\w.]+\.)?(sampling|variables|where)(\.[\w.]+)?="
    r"|pipeline\.[\w-]+\.(model\.[\w.]+|patience)=|prompts\.[\w-]+\.constrain=|model\.(price\.)?\w+="
    r"|seeds\.columns(\.[\w-]+)?="
)
# The choice of a recipe, or of a file of conf/, by a name without quotes.
CHOICE = re.compile(rf"(\+{{0,2}}(?:recipe|hydra/\w+|{'|'.join(FOLDERS)})(?:@[\w.]+)?)=([\w.+,-]+)")
PAIRS = {"(": ")", "[": "]", "{": "}"}
LONG = re.compile(r"--([\w.@/]+)")


def refuse_spaces(arguments: Sequence[str]) -> None:
    """Refuse `target = 5`, which a shell makes several words of.

    Raises:
        UserError: with what to type instead.
    """
    for before, part, after in zip(["", *arguments], arguments, [*arguments[1:], ""], strict=False):
        if part.startswith("=") and _bare(before):
            raise UserError(_closer(before, part, after if part == "=" else ""))
        if part.endswith("=") and part != "=" and _bare(after):
            raise UserError(_closer(part, after))


def _closer(*words: str) -> str:
    return f"an override has no spaces around '=': write {''.join(words)}"


def refuse_options(arguments: Sequence[str]) -> None:
    """Refuse options that do not exist, such as `--target 5`.

    Raises:
        UserError: with what to type instead.
    """
    valued = False  # the word before is an option that takes this one
    for part, after in zip(arguments, [*arguments[1:], ""], strict=False):
        valued = not valued and part.startswith("-") and len(part) > 1 and _takes_value(part, after)


def _takes_value(part: str, following: str) -> bool:
    """Whether an option is followed by its value.

    Raises:
        UserError: for one that does not exist.
    """
    from hydra._internal.utils import get_args_parser

    options = {name: one for one in get_args_parser()._actions for name in one.option_strings}
    name = part.partition("=")[0]
    if name in options:
        return options[name].nargs is None and "=" not in part
    long, value = LONG.fullmatch(name), part.partition("=")[2] or following
    known = [one for one in options if one.startswith("--")]
    if long and value and not get_close_matches(name, known, n=1, cutoff=0.8):
        raise UserError(f"keys of a recipe have no dashes: write {long[1]}={value}")
    what, hint = unknown("option", name, known)
    raise UserError(f"{what}\n  {hint}\n  keys of a recipe are written KEY=VALUE, such as target=5")


def _bare(word: str) -> bool:
    """Whether a word may be a value that was meant for the key before it."""
    return bool(word) and "=" not in word and word[0] not in "-+~"


def meant(override: str) -> str:
    """What to type instead of an override that Hydra cannot parse."""
    key, equals, value = override.partition("=")
    if not equals:
        return "write KEY=VALUE"
    opened = [one for one, other in PAIRS.items() if value.count(one) > value.count(other)]
    closed = [other for one, other in PAIRS.items() if value.count(one) < value.count(other)]
    if opened or closed:
        wrong = f"{opened[0]!r} is not closed" if opened else f"{closed[0]!r} closes what was not opened"
        return f"{wrong}; complete it, and put quotes around it for the shell: '{key}=…'"
    quoted = f"{key}={quoted_value(value)}"
    if not _parses(quoted):
        return "write KEY=VALUE"
    shell = quoted.replace("'", "'\\''")
    return f"a value with such characters needs quotes of its own, inside the shell's: '{shell}'"


def quoted_value(text: str) -> str:
    """A text as Hydra reads it, whatever characters are in it."""
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def opened(overrides: Sequence[str]) -> list[str]:
    """The overrides, with those marked that Hydra takes otherwise than whoever types them means.

    It refuses `model.sampling.top_k=5` where a recipe sets no top_k, adds nothing for `export={}`, and makes
    a number of the name in `recipe=12`.

    Raises:
        UserError: for one that would choose a file by what `${…}` says, or copy the environment, or is nested
            so deeply that Hydra's parser comes to its own end.
    """
    for part in overrides:
        _refuse_outside(part)
        if _depth(part) > DEEP:
            raise UserError(f"{part[:40]!r} … is nested deeper than {DEEP} levels; take brackets out")
    plain = ["export=none" if re.fullmatch(r"export=(\{\s*\}|null)", part) else part for part in overrides]
    plain = [f"+{part}" if part.startswith(f"{PARTS}=") else part for part in plain]  # always added to others
    added = [f"++{part}" if OPEN.match(part) or may_be_missing(part) else part for part in plain]
    return [_named(part) for part in added]


def _depth(text: str) -> int:
    """How deep the brackets of an override are nested at most."""
    depth = deepest = 0
    for character in text:
        depth += (character in PAIRS) - (character in PAIRS.values())
        deepest = max(deepest, depth)
    return deepest


def _named(override: str) -> str:
    """The choice of a recipe or of a file of conf/ whose names Hydra would take for numbers, in quotes."""
    choice = CHOICE.fullmatch(override)
    if not choice or (choice[1] != "recipe" and choice[2] == "null"):
        return override
    names = [name if _parses(f"x={name}", name) else f"'{name}'" for name in choice[2].split(",")]
    return f"{choice[1]}={','.join(names)}"


def _refuse_outside(override: str) -> None:
    """Refuse what would bring something from outside into the composition, before Hydra begins it."""
    key, _, value = override.lstrip("+~").partition("=")
    chooses = key in (*FOLDERS, "recipe", "sweep_dir") or bool(re.search(r"[/@$]", key))
    if "${" in key or (chooses and "${" in value):
        raise UserError(f"{override!r}: write the name itself; ${{…}} stands for another key in values only")
    if key.startswith("hydra") and "env_copy" in override:
        raise UserError("hydra.job.env_copy copies the environment into the config; leave it out")


def readable(name: str) -> bool:
    """Whether Hydra reads `recipe=NAME` as this name; it makes a number of 12 and nothing of null."""
    return _parses(f"recipe={name}", name)


def _parses(override: str, value: object = None) -> bool:
    """Whether Hydra can parse an override, and as this value where one is given."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        found = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return False
    return value is None or bool(found == value)


def composed(overrides: Sequence[str], project: Path) -> DictConfig:
    """What Hydra composes of some overrides, its own part included."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    register(project)
    GlobalHydra.instance().clear()
    with limited(), hydra.initialize_config_dir(str(packaged() / "conf"), version_base="1.3"):
        return hydra.compose("config", opened(overrides), return_hydra_config=True)
