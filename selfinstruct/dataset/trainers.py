"""Files beside the dataset with which other projects train on it: LLaMA-Factory's and axolotl's.

They are written if an export is made for these projects (`sharegpt`, or `preference` for LLaMA-Factory). A
format says in `Export.trainers` how they read it. To add a project, add a function here and its name to
`export.TRAINERS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.dataset.splits import TRAIN
from selfinstruct.dataset.written import Written
from selfinstruct.export import AXOLOTL, LLAMA_FACTORY

DATASET_INFO, STANZA = "dataset_info.json", "axolotl.yaml"
HELD_OUT = ("validation", "test", "eval", "dev")  # the splits that axolotl evaluates on
HEAD = """\
# For axolotl: copy this into your config, and write the path of this folder before the names of the files.
"""


def files(recipe: str, exports: Sequence[Written]) -> dict[str, str]:
    """The contents of these files by name; none if no export is made for these projects."""
    read = [one for one in exports if one.files and one.export.format != "csv"]
    beside = [one for one in read if one.export.beside]
    if not beside:
        return {}
    info = {key: entry for one in read for key, entry in _dataset_info(recipe, one).items()}
    found = {DATASET_INFO: json.dumps(info, indent=2, ensure_ascii=False) + "\n"}
    for one in [one for one in beside if AXOLOTL in one.export.trainers][:1]:
        found[STANZA] = HEAD + yaml_text(_stanza(one))
    return found


def of_llama_factory(file: str, reads: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a file in `dataset_info.json`; `reads` is how LLaMA-Factory reads it."""
    return {"file_name": file, **reads}


def of_axolotl(file: str, kind: str, reads: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a file in axolotl's `datasets`; `reads` is how axolotl reads it."""
    return {"path": file, "ds_type": kind, "split": "train", **reads}


def plain_name(name: str) -> str:
    """A name for a dataset that both projects accept."""
    return re.sub(r"\W+", "_", name)


def _dataset_info(recipe: str, one: Written) -> dict[str, Any]:
    """The entries of `dataset_info.json` by the names of the datasets: a dataset for each split."""
    reads = one.export.trainers.get(LLAMA_FACTORY)
    name = plain_name(f"{recipe}_{one.name}")
    return {
        f"{name}_{split}" if one.export.split else name: of_llama_factory(file, reads)
        for split, file in one.files.items()
        if reads
    }


def _stanza(one: Written) -> dict[str, list[dict[str, Any]]]:
    """The lists `datasets` and `test_datasets` of a config of axolotl."""
    kind = "parquet" if one.export.format == "parquet" else "json"
    entries = {
        split: of_axolotl(file, kind, one.export.trainers[AXOLOTL]) for split, file in one.files.items()
    }
    held_out = [entry for split, entry in entries.items() if split in HELD_OUT and split != TRAIN]
    trained = [entry for split, entry in entries.items() if split not in HELD_OUT]
    return {"datasets": trained, **({"test_datasets": held_out} if held_out else {})}


def yaml_text(value: Any) -> str:
    """A value as YAML, with its keys in order."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes a value that occurs twice twice, without an anchor."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(value, Dumper=Plain, sort_keys=False, allow_unicode=True)
