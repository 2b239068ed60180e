"""The folder that a merge is written to: it is empty, or holds the same merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfinstruct.errors import RunFolderError, UserError
from selfinstruct.journal.store import MERGED
from selfinstruct.merge.parts import Part
from selfinstruct.project.layout import path_below
from selfinstruct.run_folder.folder import JOURNAL
from selfinstruct.run_folder.opened import opened

ANOTHER = "another folder: --to FOLDER"
ASIDE = f"name {ANOTHER}, or set fresh=true to set the old one aside (nothing is deleted)"


def folder_to_write(words: str, parts: Sequence[Part], replaced: bool, project: Path) -> Path:
    """The folder of the merged run.

    Args:
        words: the folder, as typed.
        parts: the runs.
        replaced: whether what is in the folder does not matter: it is set aside, mended, or not used.
        project: the user's folder.

    Raises:
        UserError: if it is that of a run that is merged, or in it, or if it holds another run.
    """
    path = path_below(project, words)
    for part in parts:
        own = part.path.resolve()
        if own in (path.resolve(), *path.resolve().parents):
            raise UserError(f"merge: {words} is the folder of a run that is merged; name {ANOTHER}")
    if (path / JOURNAL).is_file() and not replaced:
        with opened(path, project) as run:
            before, paid = run.journal.meta(MERGED), run.journal.has_replies()
        if before is None and paid:
            raise RunFolderError(f"merge: {words} holds a run that is not a merge; {ASIDE}")
        _refuse_another(words, before or [], parts)
    return path


def _refuse_another(words: str, before: Sequence[Mapping[str, Any]], parts: Sequence[Part]) -> None:
    """Refuse a folder with a merge of other runs, or of the same ones when they had other records."""
    there, now = [one["run"] for one in before], [part.name for part in parts]
    if before and there != now:
        what = f"merge: {words} holds a merge of {_listed(there)}, but this is one of {_listed(now)}"
        raise RunFolderError(f"{what}; {ASIDE}")
    for one, part in zip(before, parts, strict=False):
        if one.get("digests", part.origins) != part.origins:
            what = f"merge: {words} holds a merge from before {part.words} had all of its present records"
            raise RunFolderError(f"{what}; {ASIDE}")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
