"""`selfinstruct check --list`: everything that a recipe can name, and which distribution provides it.

`--list filters` lists a registry, and `--list filters.rouge_l` explains one entry with its options. The
reference does not include the entries of plug-ins; users read about them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from selfinstruct import plugins
from selfinstruct.describe.description import REGISTRIES, found, installed
from selfinstruct.describe.wording import default_words, type_words
from selfinstruct.errors import Fault, UserError, unknown
from selfinstruct.registry import Registry

LISTS = {offer.registry.group: offer.registry for offer in REGISTRIES}
HELP = f"""\
selfinstruct check: compose and check a recipe without a request

  selfinstruct check recipe=NAME [GROUP=NAME …] [KEY=VALUE …]

Reports every fault with its place and its remedy (exit status 1), or what a run would do and cost (0).

  --list WHAT     what a recipe can name, and where each comes from (built in, or the distribution that
                  provides it): {", ".join(LISTS)}; without WHAT all of them
  --list filters.rouge_l      what one of them does, and its options
  -m              one check for each combination: a=1,2
"""


def answer(arguments: Sequence[str]) -> tuple[str, list[Fault]]:
    """The text that the arguments of `check --list` ask for, and the plug-ins that cannot be used.

    The names that a recipe can use depend on no recipe, so overrides among the arguments change nothing.

    Raises:
        UserError: for a word that is not a registry.
    """
    words = [part.removeprefix("--list=") for part in arguments if part != "--list"]
    words = [word for word in words if "=" not in word]
    faults: list[Fault] = []
    tables = [_explained(word, faults) if "." in word else _listed(word, faults) for word in words or LISTS]
    return "\n\n".join(tables), faults + ([] if any("." in word for word in words) else _astray())


def _explained(word: str, faults: list[Fault]) -> str:
    """What one entry does, and its options."""
    group, _, name = word.partition(".")
    registry = _registry(group)
    if name not in registry.known():
        raise UserError("\n  ".join(unknown(registry.kind, name, registry.known())))
    entry = found(registry, name)
    faults += [entry.fault] if entry.fault else []
    lines = [f"{word} ({', '.join(entry.origins)})", "", *entry.words.split("\n")]
    for key in entry.keys:
        default = "must be set" if key.required else f"{default_words(key)} unless set"
        lines += ["", f"  {key.name}: {type_words(key.schema, entry.shapes)}; {default}"]
        lines += wrap(key.words, 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def _registry(group: str) -> Registry[Any]:
    if group not in LISTS:
        raise UserError("\n  ".join(unknown("list", group, LISTS)))
    return LISTS[group]


def _listed(group: str, faults: list[Fault]) -> str:
    """The names of a registry, each with a line."""
    registry = _registry(group)
    there = installed(registry)
    faults += [one.fault for one in there if one.fault]
    rows = [
        (one.name, ", ".join(one.origins), "cannot be used; see below" if one.fault else one.summary)
        for one in there
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"  {name:<{widths[0]}}  {origin:<{widths[1]}}  {text}" for name, origin, text in rows]
    return "\n".join([registry.group, *lines])


def _astray() -> list[Fault]:
    """Entry points in groups whose names look like ours but are unknown."""
    groups = [plugins.PREFIX + group for group in LISTS]
    strays = [plugin for plugin in plugins.installed() if plugin.entry.group not in groups]
    return [
        Fault(f"{stray.entry.name!r} of {stray.origin}", *unknown("group", stray.entry.group, groups))
        for stray in strays
    ]
