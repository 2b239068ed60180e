"""Sections of the config that a run has saved, with what a user types now: for export, report and review.

    export=[chat,alpaca] export.chat.format=parquet report.figures=svg review=mine

The rest of the recipe is not needed, so its files may have changed or be gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import UserError, unknown
from selfinstruct.project.layout import listing
from selfinstruct.project.resolving import model_config, resolved
from selfinstruct.recipe.overrides import meant, refuse_options, refuse_spaces

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

SECTIONS = ("export", "report", "review")
CHOSEN = ("export", "review", "train", "eval")  # those that are groups, with files to choose from


def sections(
    saved: Mapping[str, Any],
    overrides: Sequence[str],
    project: Path,
    allowed: Sequence[str] = SECTIONS,
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """The sections of a saved config, changed by overrides.

    Args:
        saved: the composed config of a run.
        overrides: the overrides as typed.
        project: the user's folder, whose conf/ files can be chosen.
        allowed: the sections that the verb uses.
        also: other keys of the verb, for the message about a wrong one.

    Raises:
        UserError: for an override that cannot be read, or of another section.
    """
    from omegaconf import OmegaConf

    refuse_spaces(overrides)
    refuse_options(overrides)
    config = OmegaConf.create({key: deepcopy(saved.get(key)) for key in allowed})
    changes = [_parsed(override) for override in overrides]
    for change in sorted(changes, key=lambda one: one.key_or_group not in CHOSEN):  # files come first
        _refuse_others(change, allowed, also)
        _apply(config, change, project)
    return {**dict.fromkeys(allowed), **resolved(config)}  # ~export leaves out the section itself


def _parsed(override: str) -> Override:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise UserError(f"{override!r} cannot be read as an override: {meant(override)}") from error
    if parsed.is_sweep_override():
        raise UserError(f"{override!r} has several values; this verb takes one")
    return parsed


def _refuse_others(change: Override, allowed: Sequence[str], also: Sequence[str]) -> None:
    section = change.key_or_group.partition(".")[0]
    if section not in allowed:
        _, known = unknown("key", section, [*allowed, *also])
        raise UserError(f"{change.input_line!r}: {section} cannot be changed here; {known}")


def _apply(config: DictConfig, change: Override, project: Path) -> None:
    from omegaconf import OmegaConf

    key, value = change.key_or_group, change.value()
    if change.is_delete():
        _delete(config, key)
    elif key in CHOSEN and isinstance(value, str | list):
        OmegaConf.update(config, key, _chosen(key, value, project), merge=False)
    else:
        if not change.is_add():
            _refuse_unchosen(config, key, change.input_line or key)
        OmegaConf.update(config, key, value, merge=False, force_add=True)


def _refuse_unchosen(config: DictConfig, key: str, typed: str) -> None:
    """Refuse a key of an export that is not written: the export would be written too, unasked.

    Raises:
        UserError: with how to choose it.
    """
    section, name, *rest = [*key.split("."), ""]
    chosen = config.get(section) or {}
    if section == "export" and rest and name not in chosen:
        written = f"export=[{','.join([*map(str, chosen), name])}]"
        raise UserError(
            f"{typed!r}: {name} is not among the exports; add it ('{written}'), or write '+{typed}'"
        )


def _delete(config: DictConfig, key: str) -> None:
    from omegaconf import OmegaConf

    above, _, last = key.rpartition(".")
    holder: Any = OmegaConf.select(config, above) if above else config
    if holder is None or last not in holder:
        raise UserError(f"~{key}: there is no such key to leave out")
    del holder[last]


def _chosen(group: str, names: str | list[Any], project: Path) -> dict[str, Any]:
    """The keys of the files of a group that a user has chosen."""
    found: dict[str, Any] = {}
    for name in [names] if isinstance(names, str) else names:
        keys = model_config(str(name), project, group)
        if keys is None:
            raise UserError("; ".join(unknown(group, name, listing(f"conf/{group}", project))))
        found |= keys
    return found
