"""Whose run a folder holds: one recipe's, with one set of settings that shape the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import RunFolderError
from selfinstruct.journal.store import MERGED, Journal
from selfinstruct.llm.batch.still_open import still_open

if TYPE_CHECKING:
    from selfinstruct.recipe.build import Recipe

ELSEWHERE = "another run_dir (of a sweep: sweep_dir)"  # in messages; verbs put their own option in its place


def claim(journal: Journal, recipe: Recipe, path: Path, mended: bool) -> None:
    """Note in its journal whose run a folder holds, or compare that with this recipe.

    Args:
        journal: the run's journal.
        recipe: the recipe that asks for the folder.
        path: the folder, for messages.
        mended: whether the journal was repaired, which may have cost it its notes.

    Raises:
        RunFolderError: as `compare`.
    """
    from selfinstruct.run_folder.shape import NAMES, SHAPE, WHOLE, store_shape

    if not _is_kept(journal):  # nothing was paid for yet, so nothing needs protection
        journal.forget()
    if not _is_kept(journal) or (mended and journal.meta("shape") is None):
        journal.set_meta("recipe", recipe.name)
        store_shape(journal, recipe)
    compare(journal, recipe, path)
    if journal.meta(SHAPE) and journal.meta(NAMES) != WHOLE:
        store_shape(journal, recipe)  # with the keys that a run of before did not name


def _is_kept(journal: Journal) -> bool:
    """Whether a journal may not be begun anew: it has replies, or the records of a merge."""
    return journal.has_replies() or journal.meta(MERGED) is not None


def compare(journal: Journal, recipe: Recipe, path: Path) -> None:
    """Refuse to continue a run of another recipe, or one with other settings that shape the data.

    Raises:
        RunFolderError: with what differs, and with the batches that the run has at a provider.
    """
    out = f"Choose {ELSEWHERE}, or set fresh=true to set the old run aside (nothing is deleted). It is {path}"
    name = journal.meta("recipe")
    if not _is_kept(journal):
        return
    waiting = "".join(
        f"\n  {line}" for line in still_open(journal, "the command with the settings of before")
    )
    if name not in (None, recipe.name):
        what = f"the run folder holds a run of recipe {name}, not {recipe.name}. {out}"
        raise RunFolderError(f"{what}{waiting}")
    from selfinstruct.run_folder.shape import shapes

    old, new = shapes(journal, recipe)
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if {"model.kind", "model.name"} & set(changed):  # another model: no need to list its other keys
        changed = [
            key for key in changed if not key.startswith("model.") or key in ("model.kind", "model.name")
        ]
    target = journal.meta("target", 0)
    lines = [f"  {key}: {_short(old, key)} → {_short(new, key)}" for key in changed[:10]]
    if len(changed) > 10:
        lines.append(f"  and {len(changed) - 10} more")
    if target > recipe.config.target:
        lines.append(f"  target: {target} → {recipe.config.target} (it may only grow)")
    elif target < recipe.config.target:
        lines += _chosen(journal, recipe, target)
    if lines and old:
        raise RunFolderError(
            "\n".join(["the run folder holds a run with other settings:", *lines, f"  {out}"]) + waiting
        )


def _chosen(journal: Journal, recipe: Recipe, target: int) -> list[str]:
    """The stages that would choose other records for a larger target, and were asked about already."""
    lines = []
    for stage in recipe.stages:
        asked = [one.name for one in recipe.descending(stage.name) if journal.replied(one.name)]
        if asked and not stage.kind.grows:
            why = f"{stage.name} would choose other records than {' and '.join(asked)} asked about"
            lines.append(f"  target: {target} → {recipe.config.target} ({why})")
    return lines


def _short(shape: dict[str, Any], key: str) -> str:
    text = json.dumps(shape[key], ensure_ascii=False) if key in shape else "not set"
    return text if len(text) <= 60 else f"{text[:57]}…"
