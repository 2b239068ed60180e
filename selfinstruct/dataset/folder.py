"""The folder `dataset/`: a file for each export that has rows, and a README.md that describes them.

Files that an earlier start of the run wrote and that are no longer asked for go to `set-aside/` beside it, so
that nobody trains on them by mistake. The journal has the digest of each file that a run wrote, so a file
with another digest is the user's. It stays in place; if an export needs its name, it goes to `set-aside/`
first. If README.md is the user's, the new one is README.new.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

from selfinstruct.dataset.card import README
from selfinstruct.dataset.contents import AT_ONCE, Contents
from selfinstruct.journal.repair import WRITTEN
from selfinstruct.run_folder.folder import RunFolder
from selfinstruct.run_folder.handover import ASIDE, DATASET

NEW = "README.new.md"


def write_dataset(folder: RunFolder, files: Mapping[str, Contents]) -> None:
    """Write the files, and set aside earlier files that are not among them.

    Args:
        folder: the run folder.
        files: the contents of each file by its name.
    """
    known = folder.journal.meta(WRITTEN)
    log = _Log(folder, known or {}, first=known is None)
    names = []
    for name, content in files.items():
        users = log.is_users(name, content)
        names.append(NEW if users and name == README else name)
        if users and name != README:
            set_aside(folder.path, name)
        log.write(names[-1], content)
    log.keep_only(names)


def set_aside(run: Path, name: str) -> None:
    """Move a file out of `dataset/` to a free name; it replaces a copy with the same bytes."""
    source, number = run / DATASET / name, 1
    target = run / ASIDE / name
    while target.exists() and target.read_bytes() != source.read_bytes():
        number += 1
        target = run / ASIDE / str(number) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


class _Log:
    """The files that a run has written to `dataset/`, kept in the journal.

    Args:
        folder: the run folder.
        written: the digests by name; several if a start ended while it wrote.
        first: whether nothing was noted yet, so an existing file is from a version that kept no such notes.
    """

    def __init__(self, folder: RunFolder, written: dict[str, list[str]], first: bool) -> None:
        self._folder, self._written, self._first = folder, written, first

    def is_users(self, name: str, content: Contents | None = None) -> bool:
        """Whether a file exists that differs from what a run has written, or is about to write."""
        path = self._folder.path / DATASET / name
        if self._first and name != README:
            return False
        ours = {*chain(*self._written.values()), *([content.digest] if content else [])}
        return path.exists() and _digest(path) not in ours

    def write(self, name: str, content: Contents) -> None:
        """Note the digest, then write the file: in this order, no kill leaves a file that we do not know."""
        self._written[name] = [*self._written.get(name, []), content.digest]
        self._note(self._written)
        self._folder.write_bytes(f"{DATASET}/{name}", content.pieces())
        self._written[name] = [content.digest]

    def keep_only(self, names: Iterable[str]) -> None:
        """Set aside all other files that were written."""
        names = list(names)
        for name in [name for name in self._written if name not in names]:
            if (self._folder.path / DATASET / name).exists() and not self.is_users(name):
                set_aside(self._folder.path, name)
        self._note({name: self._written[name] for name in names})

    def _note(self, written: dict[str, list[str]]) -> None:
        self._folder.journal.set_meta(WRITTEN, written)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return Contents(iter(partial(file.read, AT_ONCE), b"")).digest
