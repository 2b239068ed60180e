"""The README.md of `dataset/`: what each file contains, how it was made, its limits, and how to load it.

The page has no date and no path, so the same replies make the same bytes. `header` has its header.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from selfinstruct.dataset import recipe_text
from selfinstruct.dataset.header import header
from selfinstruct.dataset.merged import merged, page
from selfinstruct.dataset.origins import Origins, meanings
from selfinstruct.dataset.source import Source
from selfinstruct.dataset.splits import TRAIN
from selfinstruct.dataset.written import Written

README = "README.md"
LOADERS = {"jsonl": "json", "parquet": "parquet"}  # the library's names of the formats
LEFT_OUT = {  # why an export leaves out a record, by the name of the check
    "where": "do not fit its `where`",
    "schema": "lack a text that the format needs",
    "duplicate": "are exact duplicates of an earlier row",
    "max_tokens": "are longer than its `max_tokens`",
    "split": "have an instruction that is in another split already",
}


def card(source: Source, origins: Origins, exports: Sequence[Written]) -> str:
    """The whole page.

    Args:
        source: the run.
        origins: knows which models answered.
        exports: the exports, also those without rows.
    """
    filled = [one for one in exports if one.count]
    typed = [one for one in filled if one.export.format != "csv"]
    # The library reads all files of a folder in the format of the first config.
    loadable = [one for one in typed if one.export.format == typed[0].export.format]
    parts = [
        header(source, loadable),
        *_opening(source, exports),
        *_loading(loadable, [one for one in typed if one not in loadable]),
        *(_columns(source, one) for one in filled),
        *_making(source, origins),
        *_merged(source),
        *_funnel(source),
        *_limits(source, origins, exports),
        *_recipe(source),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(source: Source, exports: Sequence[Written]) -> Iterator[str]:
    name = source.outline.recipe
    yield f"# {name}"
    yield f"Tasks and answers that a language model wrote, by the recipe `{name}` of selfinstruct."
    if not source.finished:
        yield "The run was not finished when these files were written."
    yield _table(["config", "split", "file", "rows"], [row for one in exports for row in _rows(one)])
    if not all(one.count for one in exports):
        why = "no record was accepted, or none fits the format; rejected.jsonl of the run says why"
        yield f"An export without a row has no file: {why}."
    for one in exports:
        counts = [f"{count:,} {LEFT_OUT.get(check, check)}" for check, count in one.left_out.items()]
        if counts:
            yield f"`{one.name}` leaves out {sum(one.left_out.values()):,} records: {', '.join(counts)}."


def _rows(one: Written) -> Iterator[list[str]]:
    if not one.count:
        yield [f"`{one.name}`", "", "none: no row", "0"]
    for split, file in one.files.items():
        first = split == TRAIN or TRAIN not in one.files
        seeds = f", {one.seed_tasks:,} of them from seed tasks" if one.seed_tasks and first else ""
        yield [f"`{one.name}`", f"`{split}`", f"`{file}`", f"{one.counts[split]:,}{seeds}"]


def _loading(loadable: Sequence[Written], others: Sequence[Written]) -> Iterator[str]:
    if not loadable:
        return
    first = loadable[0]
    yield "## Loading"
    yield (
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/of/this/folder", "{first.name}", split="{next(iter(first.files))}")\n```'
    )
    for one in others:
        yield (
            f"`{one.name}` is in another format, and the library reads one format in a folder. Load it with "
            f'`load_dataset("{LOADERS[one.export.format]}", data_files={json.dumps(one.files)})`.'
        )
    if any(one.export.format == "jsonl" for one in (*loadable, *others)):
        yield "A file that ends in .jsonl has one JSON object per line, in UTF-8."
    if any(one.export.split for one in loadable):
        yield (
            "The splits are by instruction: all records made from one instruction are in one split, and "
            "seed tasks are in `train`. A record stays in its split when the run grows."
        )
    else:
        yield (
            "All rows of a config are in the split `train`. `export.NAME.split` makes others, by "
            "instruction; `rows.train_test_split(0.05, seed=0)` may put records of one instruction on both "
            "sides."
        )
    yield (
        'If you change a file, load it with `download_mode="force_redownload"`: the library only looks at '
        "this page for changes."
    )


def _columns(source: Source, one: Written) -> str:
    """The columns of an export, and their meanings."""
    described: dict[str, str] = {}
    for stage in (*(stage.name for stage in source.outline.stages), one.export.of):
        described |= _described(source.schemas.get(stage) or {})
    known = meanings(source.outline, one.export.of)
    described |= {name: known[name] for name in one.export.origins if name in known}
    described |= _described(one.export.schema)
    rows = [[f"`{name}`", described.get(name) or f"the field `{name}` of the records"] for name in one.types]
    note = ""
    if one.export.format == "csv":
        note = (
            "This file is for people and is no config: it opens in a spreadsheet. A text that begins like a "
            "formula has an apostrophe before it, and control characters are shown as signs.\n\n"
        )
    return f"## Columns of `{one.name}`\n\n{note}" + _table(["column", "what it is"], rows)


def _described(schema: dict[str, Any]) -> dict[str, str]:
    """What a schema says about its fields."""
    fields = (schema.get("properties") or {}).items()
    return {
        name: spec["description"] for name, spec in fields if isinstance(spec, dict) and "description" in spec
    }


def _making(source: Source, origins: Origins) -> Iterator[str]:
    outline, seeds = source.outline, source.seeds
    yield "## How it was made"
    by = f"by selfinstruct{_version()}"
    given = f", from {len(seeds.tasks):,} seed tasks of `{seeds.path.name}`" if seeds else ""
    yield f"Recipe `{outline.recipe}`, seed {outline.seed}{given}, {by}."
    rows = []
    for stage in outline.stages:
        models = origins.named(stage.name)
        count = f"{source.left[stage.name]:,}" if stage.name in source.left else "labels"
        rows.append([f"`{stage.name}`", ", ".join(f"`{name}`" for name in models) or "no model", count])
    yield _table(["stage", "model", "records"], rows)
    yield (
        f"The licence is `{source.license}`, as set by `license`. "
        if source.license
        else "No licence is set. Before you publish this, set `license` in the recipe or in the header. "
    ) + "See also what the provider of each model allows you to do with its output."


def _funnel(source: Source) -> Iterator[str]:
    """How many candidates each check rejected."""
    rows = []
    for stage in source.outline.stages:
        stats = source.journal.stats(stage.name)
        if not stats.candidates:
            continue
        left = source.left.get(stage.name, stats.accepted)
        counts = (stats.candidates, sum(stats.rejected.values()), stats.accepted, left)
        rows.append([f"`{stage.name}`", *(f"{count:,}" for count in counts)])
        rows += [["", "", f"`{check}`: {count:,}", "", ""] for check, count in stats.rejected.items()]
    if rows:
        yield "## From candidates to records"
        yield _table(["stage", "candidates", "rejected", "accepted", "left after labels"], rows)


def _merged(source: Source) -> Iterator[str]:
    facts = merged(source.journal)
    if facts:
        yield from page(facts)


def _limits(source: Source, origins: Origins, exports: Sequence[Written]) -> Iterator[str]:
    yield "## Known limits"
    models = any(stage.model or origins.named(stage.name) for stage in source.outline.stages)
    lines = []
    if models:
        lines.append(
            "The texts are a model's. They may be wrong, out of date, biased, or close to texts that the "
            "model was trained on; a check for form does not find this."
        )
    count = len(source.reviews)
    verdicts = [source.reviews.verdict(id) for id in source.reviews.ids]
    lines.append(
        f"People have reviewed {count:,} of the records; {verdicts.count('ok'):,} of these were right in "
        "every answer. Nobody has read the others."
        if count
        else "Nobody has reviewed the records."
    )
    if any(one.seed_tasks for one in exports):
        lines.append("Some files include the seed tasks, which the model has seen as examples.")
    kinds = {kind for stage in source.outline.stages for kind in stage.checks.values()}
    if "decontaminate" not in kinds:
        lines.append("It was not compared with the test data of benchmarks.")
    yield "\n".join(f"- {line}" for line in lines)


def _recipe(source: Source) -> Iterator[str]:
    text = recipe_text.text(source.journal)
    if text:
        fence = recipe_text.fence(text)
        yield "## The recipe"
        yield "Every setting that the records follow from."
        summary = f"<summary>recipe {source.outline.recipe}</summary>"
        yield f"<details>\n{summary}\n\n{fence}yaml\n{text}{fence}\n\n</details>"


def _version() -> str:
    try:
        return " " + version("selfinstruct")
    except PackageNotFoundError:
        return ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
