"""The README.md of `dataset/`: what each file contains, how it was made, and how to load it.

`load_dataset("runs/x/dataset", "chat")` reads its header, and the Hugging Face hub shows it: it has a config
for each export. The page has no date and no path, so the same replies make the same bytes.

The library caches what it has loaded by the name of the folder and the header, not by the contents of the
files. Every run has a folder named `dataset`, so each config has the digest of its file in its description.
Otherwise a second run, or one that has grown, would load as the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from selfinstruct.export import Export
from selfinstruct.project.jsonl import json_line
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.origins import Origins, names
from selfinstruct.dataset.features import features
from selfinstruct.safety.blot import blotted


@dataclass(frozen=True)
class Written:
    """An export and its rows.

    Attributes:
        name: its name.
        export: the format, and what is written in it.
        rows: the rows; a file is written if there are any.
        seed_tasks: how many of these are seed tasks.
    """

    name: str
    export: Export
    rows: list[Any]
    seed_tasks: int = 0

    @cached_property
    def text(self) -> str:
        """The contents of the file, exactly as written, since the header has its digest."""
        return blotted("".join(map(json_line, self.rows)))


def card(
    recipe: Recipe, origins: Origins, exports: Sequence[Written], left: dict[str, int], finished: bool
) -> str:
    """The whole page.

    Args:
        recipe: the recipe.
        origins: knows which models answered.
        exports: the exports, also those without rows.
        left: how many records there are at the end, by stage that makes records.
        finished: whether the run is finished.
    """
    filled = [one for one in exports if one.rows]
    parts = [
        _header(recipe, filled),
        *_opening(recipe, exports, finished),
        *_loading(filled),
        *(_columns(recipe, one) for one in filled),
        *_making(recipe, origins, left),
    ]
    return "\n\n".join(parts) + "\n"


def digest(contents: str | bytes) -> str:
    """The beginning of the SHA-256 of a file."""
    data = contents if isinstance(contents, bytes) else contents.encode("utf-8", "backslashreplace")
    return sha256(data).hexdigest()[:16]


def _header(recipe: Recipe, filled: Sequence[Written]) -> str:
    import yaml

    keys: dict[str, Any] = {}
    if filled:
        keys["configs"] = [
            {
                "config_name": one.name,
                **({"default": True} if place == 0 else {}),
                "description": f"{len(one.rows)} rows, sha256 {digest(one.text)}",
                "data_files": [{"split": "train", "path": one.export.file}],
            }
            for place, one in enumerate(filled)
        ]
    types = {one.name: features(one.rows) for one in filled}
    if any(types.values()):
        keys["dataset_info"] = [
            {"config_name": name, "features": found} for name, found in types.items() if found
        ]
    language = re.split("[-_]", recipe.config.seeds.language)[0].lower()
    keys |= {"language": [language], "pretty_name": recipe.name, "tags": ["synthetic", "instruction-tuning"]}
    return "---\n" + yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=100) + "---"


def _opening(recipe: Recipe, exports: Sequence[Written], finished: bool) -> Iterator[str]:
    yield f"# {recipe.name}"
    yield f"Tasks and answers that a language model wrote, by the recipe `{recipe.name}` of selfinstruct."
    if not finished:
        yield "The run was not finished when these files were written."
    rows = [
        [f"`{one.name}`", f"`{one.export.file}`" if one.rows else "none: no row", _count(one)]
        for one in exports
    ]
    yield _table(["config", "file", "rows"], rows)
    if not all(one.rows for one in exports):
        why = "no record was accepted, or none fits the format; rejected.jsonl of the run says why"
        yield f"An export without a row has no file: {why}."


def _count(one: Written) -> str:
    seeds = f", {one.seed_tasks:,} of them from seed tasks" if one.seed_tasks else ""
    return f"{len(one.rows):,}{seeds}"


def _loading(filled: Sequence[Written]) -> Iterator[str]:
    if not filled:
        return
    yield "## Loading"
    yield (
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/of/this/folder", "{filled[0].name}", split="train")\n```'
    )
    yield (
        "Each file has one JSON object per line, in UTF-8. All rows of a config are in the split `train`; "
        "`rows.train_test_split(0.05, seed=0)` takes some of them out for evaluation. If you change a file, "
        'load it with `download_mode="force_redownload"`: the library only looks at this page for changes.'
    )


def _columns(recipe: Recipe, one: Written) -> str:
    """The columns of a config, and their meanings."""
    meanings: dict[str, str] = {}
    for stage in (*recipe.config.pipeline, one.export.of):
        meanings |= _described(recipe.config.schemas.get(stage, {}))
    known = names(recipe.stages, one.export.of)
    meanings |= {name: known[name] for name in one.export.origins} | _described(one.export.schema)
    rows = [[f"`{name}`", meanings.get(name) or f"the field `{name}` of the records"] for name in one.rows[0]]
    return f"## Columns of `{one.name}`\n\n" + _table(["column", "what it is"], rows)


def _described(schema: dict[str, Any]) -> dict[str, str]:
    """What a schema says about its fields."""
    fields = (schema.get("properties") or {}).items()
    return {
        name: spec["description"] for name, spec in fields if isinstance(spec, dict) and "description" in spec
    }


def _making(recipe: Recipe, origins: Origins, left: dict[str, int]) -> Iterator[str]:
    yield "## How it was made"
    seeds = f"{len(recipe.seeds.tasks):,} seed tasks of `{recipe.seeds.path.name}`"
    yield f"Recipe `{recipe.name}`, seed {recipe.config.seed}, from {seeds}, by selfinstruct{_version()}."
    rows = []
    for stage in recipe.stages:
        models = sorted(set(origins.models(stage.name).values()))
        count = f"{left[stage.name]:,}" if stage.name in left else "labels"
        rows.append([f"`{stage.name}`", ", ".join(f"`{name}`" for name in models) or "no model", count])
    yield _table(["stage", "model", "records"], rows)
    yield (
        "No licence is set. Before you publish this, add `license:` to the header, and see what the provider "
        "of each model allows you to do with its output."
    )


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
