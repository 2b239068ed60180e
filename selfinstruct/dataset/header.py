"""The header of the dataset's README.md, which `load_dataset` and the Hugging Face hub read.

It has a config for each export, with a file for each split. The library caches what it has loaded by the
name of the folder and the header, not by the contents of the files. Every run has a folder named `dataset`,
so each config has the digests of its files in its description. Otherwise a second run, or one that has grown,
would load as the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from selfinstruct.dataset.merged import languages, merged
from selfinstruct.dataset.source import Source
from selfinstruct.dataset.written import Written

SIZES = (  # the hub's names for how many rows there are
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")),
    *((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B")),
)
TAGS = ("synthetic", "instruction-tuning", "self-instruct")
TASKS = ("text-generation",)


def header(source: Source, loadable: Sequence[Written]) -> str:
    """The header, between its two lines of dashes.

    Args:
        source: the run.
        loadable: the exports that the library loads, and that have rows.
    """
    import yaml

    keys: dict[str, Any] = {"license": source.license} if source.license else {}
    if loadable:
        keys["configs"] = [_config(one, first=one is loadable[0]) for one in loadable]
    types = {one.name: one.features for one in loadable}
    if any(types.values()):
        keys["dataset_info"] = [
            {"config_name": name, "features": found} for name, found in types.items() if found
        ]
    tags = languages(merged(source.journal)) or [source.outline.language]
    spoken = list(dict.fromkeys(re.split("[-_]", tag)[0].lower() for tag in tags))
    keys |= {"language": spoken, "pretty_name": source.outline.recipe}
    if loadable:
        most = max(one.count for one in loadable)
        keys["size_categories"] = [next((name for limit, name in SIZES if most < limit), "n>1B")]
    keys |= {"task_categories": list(TASKS), "tags": list(TAGS)}
    return "---\n" + yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=100) + "---"


def _config(one: Written, first: bool) -> dict[str, Any]:
    digests = ", ".join(content.digest for content in one.contents.values())
    return {
        "config_name": one.name,
        **({"default": True} if first else {}),
        "description": f"{one.count} rows, sha256 {digests}",
        "data_files": [{"split": split, "path": name} for split, name in one.files.items()],
    }
