"""The filter of texts that overlap with evaluation data, which nobody should train on.

A model that has seen a test's texts gets a score that says nothing. How others find such overlaps, and where
the defaults here are from:

- GPT-3 (arXiv 2005.14165, appendix C) counts a test example as dirty if it shares any run of N words with
  the training data, in lower case and without punctuation. N is 8 to 13, by the length of the test's
  examples; fewer than 8 words are often chance.
- lm-evaluation-harness always takes 13 ("just 13 for simplicity", its docs/decontamination.md).
- Tulu 3 (arXiv 2411.15124, section 3.2) takes 8, and counts a test example as met if more than half of its
  tokens are in shared runs.

Those remove test sets or passages of long documents; here one record is dropped, which costs little, so the
strictest of them is the default: any 8 words in a row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from weakref import WeakValueDictionary

from pydantic import Field

from selfinstruct.config import Machine, OnDisk
from selfinstruct.errors import Fault
from selfinstruct.filters import FILTERS, Filter, Loaded
from selfinstruct.filters.patterns import value
from selfinstruct.monitor.progress import Progress
from selfinstruct.records import Record, Rejection
from selfinstruct.sources import evaluation
from selfinstruct.sources.evaluation import EvaluationText, Found
from selfinstruct.text.copies import Words
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.overlap import Overlaps

SHOWN = 100  # characters of the shared words in a detail


@FILTERS.register
def decontaminate(
    *,
    files: Annotated[str | list[str], Machine, OnDisk],
    fields: list[str] | None = None,
    columns: list[str] | None = None,
    ngram_size: Annotated[int | None, Field(ge=2, le=1000)] = 8,
    share: Annotated[float, Field(ge=0, le=1)] = 0.0,
    shortest: Annotated[int, Field(ge=1, le=1000)] = 5,
    rouge_l: Annotated[float | None, Field(gt=0, lt=1)] = None,
) -> Filter:
    """Rejects a record if one of its texts overlaps with a text of an evaluation file.

    Two texts overlap if they share a run of `ngram_size` words. An evaluation text with fewer words must be
    the whole text. Case, punctuation and spacing make no difference; in scripts without spaces two characters
    are a word. The detail has the file, the line (or row, or item), the field and the shared words.

    Args:
        files: the evaluation files: JSONL, JSON, CSV, TSV, Parquet, Arrow, or text with one example per line,
            gzipped or not; also folders and patterns such as evals/**/*.jsonl; in your folder, or else among
            ours. They may move when a run continues, if their texts stay the same.
        fields: the fields of the record to compare; null for all that hold text.
        columns: the keys or columns of the evaluation files to compare, at any depth; null for all that hold
            text.
        ngram_size: how many words in a row must be the same: 8, the smallest that GPT-3 used; 13 as in
            lm-evaluation-harness; null to compare whole texts only.
        share: the share of the evaluation text's words that must be in shared runs; 0.5 as in Tulu 3. With 0,
            one run is enough.
        shortest: the fewest words of an evaluation text that is compared; shorter ones, such as labels and
            names, are in many texts that have nothing to do with the evaluation.
        rouge_l: also reject a text whose ROUGE-L F-measure to an evaluation text is above this, such as 0.7;
            null does not compare in this way, which takes more time.
    """
    named = [files] if isinstance(files, str) else files
    if not named:
        raise ValueError("files is empty; name the evaluation files: files=[evals/my_test.jsonl]")
    if columns == [] or fields == []:
        raise ValueError(f"{'columns' if columns == [] else 'fields'} is empty; null takes all with text")

    def load(project: Path, where: str, faults: list[Fault]) -> Filter | None:
        before = len(faults)
        found = evaluation.find(named, project, f"{where}.files", faults)
        if len(faults) > before:
            return None
        key = (_versions(found.files), columns and tuple(columns), ngram_size, shortest, rouge_l)
        known = _KNOWN.get(key)
        if known is None:
            with Progress(quiet=not sys.stderr.isatty()).busy(f"{where}: reading the evaluation files"):
                texts = evaluation.read(found.files, columns, where, faults)
                if texts is None:
                    return None
                known = _KNOWN[key] = _Evaluation(texts, ngram_size, shortest, rouge_l)
        if not known.overlaps.compared:
            what = f"none of the {len(known.texts):,} evaluation texts has {shortest} words or more"
            faults.append(Fault(where, what, f"set {where}.shortest lower"))
            return None
        loaded = Loaded(known.told(found), known.digest)
        return Filter(each=_check(known, fields, share), fields=tuple(fields or ()), loaded=loaded)

    return Filter(load=load, fields=tuple(fields or ()))


class _Evaluation:
    """The texts of some evaluation files, ready to compare with.

    Attributes:
        texts: the texts.
        overlaps: an index of their words.
        digest: a digest of the texts and of their rows.
    """

    def __init__(
        self, texts: Sequence[EvaluationText], ngram_size: int | None, shortest: int, rouge_l: float | None
    ) -> None:
        self.texts = texts
        self.overlaps = Overlaps([one.text for one in texts], ngram_size, shortest)
        self.digest = _digest(texts)
        self._shortest = shortest
        self._alike: RougeLIndex | None = None
        if rouge_l:
            self._alike = RougeLIndex(rouge_l, "unicode")
            entries = ((one.text, str(number)) for number, one in enumerate(texts))
            self._alike.add_all(entry for entry in entries if Words(entry[0]).length >= 2 * shortest)

    def told(self, found: Found) -> str:
        """What it holds, and what was passed over, in words."""
        count, compared, files = len(self.texts), self.overlaps.compared, list(found.files)
        named = files[0] if len(files) == 1 else f"{len(files):,} files"
        have = "has" if compared == 1 else "have"
        some = f"; {compared:,} of them {have} {self._shortest} words or more" if compared < count else ""
        others = ", ".join(f"{many} {kind}" for kind, many in sorted(found.others.items()) if many)
        return f"compares with {count:,} texts of {named}{some}" + (
            f"; passed over: {others}" if others else ""
        )

    def meet(self, field: str, text: str, share: float) -> Rejection | None:
        """The rejection of a text that overlaps with one of the texts; None if it passes."""
        found = self.overlaps.best(text, share)
        if found:
            shared = found.words[:SHOWN] + "…" * (len(found.words) > SHOWN)
            detail = {"field": field, "shared": shared, "share": round(found.share, 3)}
            return _rejection(f"{field} shares {shared!r} with", self.texts[found.number], detail)
        near = None if self._alike is None else self._alike.nearest(text)
        if near:
            detail = {"field": field, "score": round(near.score, 4)}
            return _rejection(f"ROUGE-L of {field} is {near.score:.3f} to", self.texts[int(near.id)], detail)
        return None


# The evaluations in use, since the filters of several stages mostly compare with the same files.
_KNOWN: WeakValueDictionary[tuple[object, ...], _Evaluation] = WeakValueDictionary()


def _check(
    known: _Evaluation, fields: list[str] | None, share: float
) -> Callable[[Record], Rejection | None]:
    def each(record: Record) -> Rejection | None:
        names = record.data if fields is None else fields
        met = (known.meet(name, text, share) for name in names if (text := value(record, name)))
        return next(filter(None, met), None)

    return each


def _rejection(what: str, one: EvaluationText, detail: dict[str, Any]) -> Rejection:
    return Rejection(f"{what} {one.place}", {"file": one.file, one.unit: one.number, **detail})


def _digest(texts: Iterable[EvaluationText]) -> str:
    digest = sha256()
    for one in texts:
        digest.update(f"{one.unit} {one.number}: {one.text}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _versions(files: Mapping[str, Path]) -> tuple[tuple[object, ...], ...]:
    """Numbers that change when one of the files does, with the names of the files."""
    found = ((name, path, path.stat()) for name, path in files.items())
    return tuple(
        (name, str(path), about.st_ino, about.st_mtime_ns, about.st_size) for name, path, about in found
    )
