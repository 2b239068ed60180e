"""Overrides as users type them: invalid ones are refused here, the rest goes to Hydra.

After a slip (`--target 5`, `target = 5`, an unclosed bracket), the messages of Hydra's grammar and its option
parser are about themselves. Here each slip gets a message that says what to type instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from selfinstruct.errors import UserError, unknown
from selfinstruct.project.expansion import limited
from selfinstruct.project.hydra_files import register
from selfinstruct.project.layout import FOLDERS, GGUF, packaged, weights_named
from selfinstruct.project.parts import PARTS
from selfinstruct.project.renamed import may_be_missing
from selfinstruct.project.yaml_limits import DEEP

if TYPE_CHECKING:
    from omegaconf import DictConfig

# These mappings take any key: request parameters, template names, conditions on seeds, their columns, and a
# stage's own model, which has no keys as long as it is null. A model's file need not have all of the model's
# keys, nor an export's all of its, nor an evaluation's those of the judge.
OPEN = re.compile(
    r"([\w.]+\.)?(sampling|variables|where)(\.[\w.]+)?="
    r"|pipeline\.[\w-]+\.(model\.[\w.]+|patience)=|prompts\.[\w-]+\.constrain=|model\.(price\.)?\w+="
    r"|seeds\.columns(\.[\w-]+)?=|eval\.judge(\.[\w.-]+)?="
    r"|export\.[\w-]+\.(file|of|shuffle|format|split(\.\w+)?|provenance|max_tokens|tokenizer|system"
    r"|reasoning(_field)?)=|prompts\.[\w-]+\.(variants\.[\w-]+\.)?parse\.reasoning="
)
# The choice of a recipe, or of a file of conf/, by a name without quotes.
CHOICE = re.compile(rf"(\+{{0,2}}(?:recipe|hydra/\w+|{'|'.join(FOLDERS)})(?:@[\w.]+)?)=([\w.+,-]+)")
PAIRS = {"(": ")", "[": "]", "{": "}"}
LONG = re.compile(r"--([\w.@/]+)")


def refuse_spaces(arguments: Sequence[str]) -> None:
    """Refuse `target = 5`, which a shell splits into several words.

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
    valued = False  # whether the word before is an option that takes this one as its value
    for part, after in zip(arguments, [*arguments[1:], ""], strict=False):
        valued = not valued and part.startswith("-") and len(part) > 1 and _takes_value(part, after)


def _takes_value(part: str, following: str) -> bool:
    """Whether the next word is the value of an option.

    Raises:
        UserError: if the option does not exist.
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
    raise UserError(f"{what}\n  {hint}\n  set a recipe's keys as KEY=VALUE, such as target=5")


def _bare(word: str) -> bool:
    """Whether a word may be the value of the key before it."""
    return bool(word) and "=" not in word and word[0] not in "-+~"


def meant(override: str) -> str:
    """What to type instead of an override that Hydra cannot parse."""
    key, equals, value = override.partition("=")
    if not equals:
        return "write KEY=VALUE"
    opened = [one for one, other in PAIRS.items() if value.count(one) > value.count(other)]
    closed = [other for one, other in PAIRS.items() if value.count(one) < value.count(other)]
    if opened or closed:
        wrong = f"{opened[0]!r} is not closed" if opened else f"{closed[0]!r} was never opened"
        return f"{wrong}; complete it, and put quotes around it for the shell: '{key}=…'"
    quoted = f"{key}={quoted_value(value)}"
    if not _parses(quoted):
        return "write KEY=VALUE"
    shell = quoted.replace("'", "'\\''")
    return f"put a value with such characters in quotes, and all of it in quotes for the shell: '{shell}'"


def quoted_value(text: str) -> str:
    """A text in the form that Hydra reads, with any characters.

    Hydra reads a backslash as it is, unless it comes before a quotation mark.
    """
    return '"{}"'.format(
        re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
    )


def opened(overrides: Sequence[str]) -> list[str]:
    """The overrides, with marks where Hydra would read them differently from what the user means.

    Hydra refuses `model.sampling.top_k=5` if a recipe sets no top_k, adds nothing for `export={}`, and reads
    the name in `recipe=12` as a number.

    Raises:
        UserError: for an override that chooses a file with `${…}`, copies the environment, or is nested too
            deeply for Hydra's parser.
    """
    for part in overrides:
        _refuse_outside(part)
        if _depth(part) > DEEP:
            raise UserError(f"{part[:40]!r} … is nested deeper than {DEEP} levels; remove some brackets")
    overrides = [one for part in overrides for one in _by_path(part)]
    plain = ["export=none" if re.fullmatch(r"export=(\{\s*\}|null)", part) else part for part in overrides]
    plain = [f"+{part}" if part.startswith(f"{PARTS}=") else part for part in plain]  # always added
    added = [f"++{part}" if OPEN.match(part) or may_be_missing(part) else part for part in plain]
    return [_named(part) for part in added]


def _by_path(override: str) -> list[str]:
    """`model=FILE.gguf` or `model=FOLDER` as the file of conf/model that runs weights, and its option.

    Raises:
        UserError: if a sweep over models names weights and files of conf/model; they have different keys.
    """
    key, _, value = override.partition("=")
    weights = [weights_named(name) for name in names_in(value)] if key == "model" else []
    known = [name for name in weights if name]
    if not known:
        return [override]
    if len(known) < len(weights):
        raise UserError(
            f"{override}: a sweep is over names of conf/model, or over weights (GGUF files and folders of "
            "tuned models); start two sweeps"
        )
    return [f"model={GGUF}", f"model.options.weights={','.join(map(quoted_value, known))}"]


def names_in(value: str) -> list[str]:
    """The names between the commas of a value, without quotes; a comma in quotes belongs to a name."""
    found = re.findall(r"""(?:\A|,)(\s*'[^']*'\s*(?=,|\Z)|\s*"[^"]*"\s*(?=,|\Z)|[^,]*)""", value)
    return [name.strip().strip("'\"") for name in found]


def _depth(text: str) -> int:
    """The deepest nesting of brackets in an override."""
    depth = deepest = 0
    for character in text:
        depth += (character in PAIRS) - (character in PAIRS.values())
        deepest = max(deepest, depth)
    return deepest


def _named(override: str) -> str:
    """The choice of a recipe or of a file of conf/, in quotes if Hydra would read its names as numbers."""
    choice = CHOICE.fullmatch(override)
    if not choice or (choice[1] != "recipe" and choice[2] == "null"):
        return override
    names = [name if _parses(f"x={name}", name) else f"'{name}'" for name in choice[2].split(",")]
    return f"{choice[1]}={','.join(names)}"


def _refuse_outside(override: str) -> None:
    """Refuse overrides that would bring something from outside into the config, before Hydra begins."""
    key, _, value = override.lstrip("+~").partition("=")
    chooses = key in (*FOLDERS, "recipe", "sweep_dir") or bool(re.search(r"[/@$]", key))
    if "${" in key or (chooses and "${" in value):
        raise UserError(f"{override!r}: write the name itself; ${{…}} means another key only in values")
    if key.startswith("hydra") and "env_copy" in override:
        raise UserError("hydra.job.env_copy would copy the environment into the config; leave it out")


def readable(name: str) -> bool:
    """Whether Hydra reads `recipe=NAME` as this name; it reads 12 as a number and null as nothing."""
    return _parses(f"recipe={name}", name)


def _parses(override: str, value: object = None) -> bool:
    """Whether Hydra can parse an override, and with this value if one is given."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        found = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return False
    return value is None or bool(found == value)


def composed(overrides: Sequence[str], project: Path) -> DictConfig:
    """The config that Hydra composes from overrides, with Hydra's own part."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    register(project)
    GlobalHydra.instance().clear()
    with limited(), hydra.initialize_config_dir(str(packaged() / "conf"), version_base="1.3"):
        return hydra.compose("config", opened(overrides), return_hydra_config=True)
