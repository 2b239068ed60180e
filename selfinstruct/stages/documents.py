"""`documents`: passages of the user's own documents, about which later stages ask; it asks no model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import Field

from selfinstruct.config import Machine, OnDisk
from selfinstruct.errors import Fault
from selfinstruct.sources import documents as library
from selfinstruct.sources.passages import Cutting, Format
from selfinstruct.stages import STAGES, Material, Stage, StageContext, StageKind, StageRun
from selfinstruct.stages.fields import Sample
from selfinstruct.stages.forecast import Known
from selfinstruct.stages.kind import Parts, counted, samples
from selfinstruct.stages.ranges import Range
from selfinstruct.stages.unasked import taken, takes, up_to_target

FORMATS: dict[str, Format | None] = {
    "txt": "text",
    "md": "markdown",
    "markdown": "markdown",
    "html": "html",
    "htm": "html",
    "jsonl": "jsonl",
    "csv": "csv",
    "tsv": "csv",
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "epub": "epub",
}
SHOWN = 10  # files whose passages the plan counts
GIVES = {"passage": "text", "document": "text", "section": "text", "place": "text"}


@STAGES.register
def documents(
    *,
    path: Annotated[str, Machine, OnDisk],
    size: Annotated[int, Field(ge=20, le=1_000_000)] = 1000,
    overlap: Annotated[int, Field(ge=0, le=1_000_000)] = 0,
    formats: Annotated[dict[str, Format | None], Machine] = FORMATS,
    field: str = "text",
    shuffle: bool = True,
    largest_mb: Annotated[float, Field(gt=0, le=10_000), Machine] = 20.0,
    unreadable: Annotated[Literal["stop", "skip"], Machine] = "stop",
) -> Documents:
    """Makes a record of each passage of a folder of documents, until `target` are accepted; asks no model.

    Its records have `passage`, `document` (the file's name in the folder), `section` (the headings above the
    passage) and `place` (lines, pages, slides, chapters or characters). Hidden files and links to folders are
    skipped.

    Args:
        path: a folder (with its subfolders), a file, or a pattern such as notes/**/*.md; in your folder, or
            else among ours. It may change when a run continues, if the passages stay the same.
        size: the most characters in a passage; it ends at a heading, a paragraph or a sentence.
        overlap: the most characters that a passage has in common with the one before it.
        formats: the format of files by suffix: text, markdown, html, jsonl, csv, pdf, docx, pptx or epub;
            null skips them.
        field: the key that holds the text in the lines of a JSONL file, or the column in a CSV file.
        shuffle: take the passages in an order drawn with the recipe's seed, so that a small target covers all
            the documents; false takes them in the order of the files.
        largest_mb: the most megabytes in a file, and in the text that it unpacks to.
        unreadable: whether a file that is broken or encrypted is a fault (stop), or is passed over with a
            note (skip).
    """
    if overlap >= size:
        raise ValueError(f"overlap ({overlap}) is not less than size ({size})")
    cutting = Cutting(size, overlap, formats, field, largest_mb)

    return Documents(path=path, cutting=cutting, shuffle=shuffle, skip=unreadable == "skip")


@dataclass(frozen=True, kw_only=True)
class Documents(StageKind):
    """The kind `documents`; the passages are the stage's material."""

    path: str
    cutting: Cutting
    shuffle: bool
    skip: bool

    def build(self, parts: Parts) -> Stage | None:
        """See `StageKind`."""
        material = self._load(parts)
        stage = parts.unasked(self, material=material)
        return stage if material else None

    @property
    def reads_files(self) -> bool:
        """See `StageKind`."""
        return True

    def gives(self, stage: Stage | None = None) -> Sample:
        """See `StageKind`."""
        return samples(GIVES, stage.name if stage else "")

    def does(self, stage: Stage, target: int) -> str:
        """See `StageKind`."""
        return takes(stage, target)

    def remarks(self, stage: Stage) -> list[str]:
        """See `StageKind`; how many passages each file has."""
        counts = Counter(row["document"] for row in stage.material.rows) if stage.material else {}
        if len(counts) < 2:
            return []
        shown = [f"{count} {name}" for name, count in list(counts.items())[:SHOWN]]
        rest = list(counts.values())[SHOWN:]
        more = [f"{sum(rest)} in {len(rest)} more"] if rest else []
        return [f"{'of each':<8} {', '.join(shown + more)}"]

    def made_of(self, known: Known) -> Range:
        """See `StageKind`."""
        return up_to_target(known)

    def open(self, stage: Stage, run: StageContext) -> StageRun:
        """See `StageKind`."""
        return taken(stage, run, self.shuffle, "passages")

    def came(self, stage: Stage, accepted: int, left: int, target: int | None) -> str:
        """See `StageKind`; fewer passages than the target are as asked, since there are no more."""
        return counted(stage.name, accepted, left, target, " (all there are)")

    def _load(self, parts: Parts) -> Material | None:
        wanting = [name for name in ("semantic_text_splitter", "bs4", "markdownify") if not find_spec(name)]
        where = f"pipeline.{parts.name}"
        if wanting:
            what = f"documents needs the package {wanting[0]}"
            parts.faults.append(Fault(where, what, library.INSTALL))
            return None
        found = library.read(self.path, self.cutting, parts.project, where, parts.faults, self.skip)
        return Material(*found) if found else None
