"""`selfinstruct check --list`: everything that a recipe can name, and which distribution brings it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from selfinstruct import plugins
from selfinstruct.errors import Fault, UserError, unknown
from selfinstruct.export import EXPORTS
from selfinstruct.filters import FILTERS
from selfinstruct.llm import MODELS
from selfinstruct.parse import PARSERS
from selfinstruct.plugins import PluginError
from selfinstruct.registry import Registry
from selfinstruct.stages import STAGES
from selfinstruct.text.tokenizers import TOKENIZERS

REGISTRIES: dict[str, Registry[Any]] = {
    registry.group: registry for registry in (FILTERS, EXPORTS, TOKENIZERS, PARSERS, STAGES, MODELS)
}
HELP = f"""\
selfinstruct check: compose and check a recipe without a request

  selfinstruct check recipe=NAME [GROUP=NAME …] [KEY=VALUE …]

Tells every fault with its place and its remedy (exit status 1), or what a run would do and cost (0).

  --list WHAT     what a recipe can name, and where each comes from (built in, or the distribution that
                  brings it): {", ".join(REGISTRIES)}; without WHAT all of them
  -m              one check for each combination: a=1,2
"""


def told(arguments: Sequence[str]) -> tuple[str, list[Fault]]:
    """What the arguments of `check --list` ask for, as text, and the plug-ins that cannot be used.

    What a recipe can name depends on no recipe, so overrides among them change nothing.

    Raises:
        UserError: for a word that names no registry.
    """
    words = [part.removeprefix("--list=") for part in arguments if part != "--list"]
    words = [word for word in words if "=" not in word]
    for word in words:
        if word not in REGISTRIES:
            raise UserError("\n  ".join(unknown("list", word, REGISTRIES)))
    faults: list[Fault] = []
    tables = [_table(REGISTRIES[word], faults) for word in words or REGISTRIES]
    return "\n\n".join(tables), faults + _astray()


def _table(registry: Registry[Any], faults: list[Fault]) -> str:
    rows = []
    for name in registry.known():
        try:
            summary = (inspect.getdoc(registry.find(name)) or "").split("\n")[0]
        except PluginError as error:
            faults.append(Fault(registry.group, error.what, error.remedy))
            summary = "cannot be used; see below"
        rows.append((name, ", ".join(registry.origins(name)), summary))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"  {name:<{widths[0]}}  {origin:<{widths[1]}}  {text}" for name, origin, text in rows]
    return "\n".join([registry.group, *lines])


def _astray() -> list[Fault]:
    """Entry points in groups that look like ours and are not."""
    groups = [plugins.PREFIX + group for group in REGISTRIES]
    strays = [plugin for plugin in plugins.installed() if plugin.entry.group not in groups]
    return [
        Fault(f"{stray.entry.name!r} of {stray.origin}", *unknown("group", stray.entry.group, groups))
        for stray in strays
    ]
