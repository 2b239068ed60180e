"""The examples that a model is tuned on: the records of a run in chat form, as `export` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from selfinstruct.config import ExportConfig, FinetuneConfig
from selfinstruct.dataset.origins import meanings
from selfinstruct.dataset.source import Source, of_run
from selfinstruct.errors import Fault, RecipeError, UserError
from selfinstruct.export import Export, converted
from selfinstruct.project.jsonl import json_line
from selfinstruct.recipe.exports import built, fitted
from selfinstruct.records import REJECTED, Record, stream
from selfinstruct.run_folder.folder import write_whole
from selfinstruct.run_folder.opened import OpenedRun
from selfinstruct.schema.validation import fields_of

NAME = "examples"  # of the export, for its faults
TRAIN = "train.jsonl"  # the file in the folder of the model
TALK = "messages"  # the field of a conversation
# Fields of records that single answers would leave out: what they are, and how to train on them.
BEYOND = {
    "chosen": ("pairs of answers", "train on the run's dataset/preference_trl.jsonl with TRL's DPOTrainer"),
    "calls": ("tool calls", "train on the run's dataset/trl.jsonl with TRL's SFTTrainer"),
}


@dataclass(frozen=True)
class Examples:
    """Examples in chat form.

    Attributes:
        rows: {"messages": [{"role", "content"}, …]}: perhaps a system message, the user's, the answer.
        records: the record of each row.
        left_out: how many records are left out, by the reason: `schema` (the row has an empty text),
            `duplicate`, `where`, `examples` (more than asked for).
    """

    rows: list[dict[str, Any]]
    records: list[Record]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """The lines of `train.jsonl`: the messages and the id of each example."""
        for row, record in zip(self.rows, self.records, strict=True):
            yield json_line({**row, "id": record.id})

    @property
    def digest(self) -> str:
        """A digest of the examples; equal for equal ones in the same order."""
        digest = sha256()
        for line in self.lines():
            digest.update(line.encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:16]


def examples_of(run: OpenedRun, config: FinetuneConfig) -> Examples:
    """The examples of a run, finished or not.

    Args:
        run: the run.
        config: which of its records to take.

    Raises:
        RecipeError: if the records have no instruction or output, or the conditions do not fit them.
        UserError: if no record is left.
    """
    source = of_run(run)
    seeds = config.seed_tasks or config.records == "none"
    if seeds and source.seeds is None:
        raise UserError(
            "finetune.seed_tasks: this run is of an earlier version that did not keep the seed tasks, and "
            "their file is gone or has changed; put it back, or set finetune.seed_tasks=false"
        )
    export = _export(run, config)
    tasks = source.seeds.rows if source.seeds and seeds else []
    records = [*tasks, *_records(source, export.of, config.records)]
    pairs, rejected = converted(NAME, export, records, source.outline.seed)
    left_out = Counter(record.check or "" for record in rejected)
    drawn = _drawn(pairs, config.examples, source.outline.seed)
    left_out["examples"] = len(pairs) - len(drawn)
    if not drawn:
        raise UserError(_nothing(run, config, export.of, len(records), left_out))
    return Examples([row for row, _ in drawn], [record for _, record in drawn], +left_out)


def write_examples(examples: Examples, folder: Path) -> None:
    """Write the examples, with their ids, to `train.jsonl` in a folder."""
    write_whole(folder / TRAIN, (line.encode("utf-8", "backslashreplace") for line in examples.lines()))


def _export(run: OpenedRun, config: FinetuneConfig) -> Export:
    """The export in chat form, which checks the records' fields too."""
    keys = {"kind": "chat", "of": config.of, "where": config.where}
    faults: list[Fault] = []
    makers = [stage.name for stage in run.outline.makers]
    export = built(NAME, ExportConfig.model_validate(keys), makers, run.project, faults)
    if export:
        sample = _sample(run, export.of)
        for name in [name for name in BEYOND if name in sample]:
            what, remedy = BEYOND[name]
            what = f"the records of {export.of} have {what}, and finetune trains on single answers"
            raise RecipeError([Fault("finetune.of", what, remedy)])
        if TALK in sample and "output" not in sample:  # conversations
            talks = ExportConfig.model_validate({**keys, "messages": TALK})
            export = built(NAME, talks, makers, run.project, faults) or export
        known = meanings(run.outline, export.of)
        export = fitted(NAME, export, {}, sample, known, dict.fromkeys(sample, ()), faults)
    if faults or export is None:
        named = [replace(one, where=one.where.replace(f"export.{NAME}", "finetune")) for one in faults]
        raise RecipeError(named)
    return export


def _sample(run: OpenedRun, of: str) -> dict[str, Any]:
    """A record of a stage, for the check of its fields; empty if the run has none."""
    first = next(run.records(of), None)
    return {**fields_of(run.config.get("schema", {}).get(of) or {}), **first.data} if first else {}


def _records(source: Source, of: str, which: str) -> Iterator[Record]:
    """The records of a stage; `all` adds those that a check rejected, with their parent's fields."""
    if which == "none":
        return
    yield from source.of(of)
    if which == "all":
        stage = source.outline.stage(of)
        own = set(stage.own)
        parents = {one.id: one.data for one in source.records[stage.of]} if stage.of else {}
        for record in source.journal.records(of, REJECTED):
            above = {
                key: value for key, value in parents.get(record.parent or "", {}).items() if key not in own
            }
            yield replace(record, data={**record.data, **above})


def _drawn(pairs: list[tuple[dict[str, Any], Record]], most: int | None, seed: int) -> list[Any]:
    """So many of the examples, in their order; each has a fixed number, so fewer are a part of more."""
    if most is None or most >= len(pairs):
        return pairs
    drawn = sorted(pairs, key=lambda pair: stream(seed, "finetune", pair[1].id).random())[:most]
    kept = {id(record) for _, record in drawn}
    return [pair for pair in pairs if id(pair[1]) in kept]


def _nothing(run: OpenedRun, config: FinetuneConfig, of: str, count: int, left_out: Mapping[str, int]) -> str:
    """Why there is no example, and what to do."""
    if config.records == "none":
        return "finetune: the run has no seed task with an output; set finetune.records=accepted"
    if not count:
        more = (
            "let it go on" if run.state in ("unfinished", "running") else "look at why: selfinstruct report"
        )
        return (
            f"finetune: {run.path} has no record of the stage {of} to tune on ({run.state}); {more}, or use "
            "what its checks rejected, or the seed tasks: finetune.records=all finetune.seed_tasks=true"
        )
    from selfinstruct.report.numbers.tuning import why_left_out

    why = ", ".join(f"{number:,} {why_left_out(check)}" for check, number in left_out.items() if number)
    return (
        f"finetune: none of the {count:,} records of the stage {of} can be used (left out: {why}); change "
        "finetune.where or finetune.of, or set finetune.seed_tasks=true"
    )
