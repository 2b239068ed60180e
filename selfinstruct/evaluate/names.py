"""Short names of models and prediction files, for tables and folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

CHAT = {"local": "embedded"}  # a model that completes prompts, and the same in chat mode
UNNAMED = {"model", "models", "runs", "evaluation", "evaluations", ".", "..", "/"}  # parts that say nothing


def choice(model: str) -> str:
    """The override that chooses a model; a comma in the path of its weights separates nothing."""
    return f'model="{model}"' if "," in model else f"model={model}"


def names_of(models: Sequence[str]) -> list[str]:
    """A short name for each model, for tables and folders; different ones for different models.

    `runs/quickstart/model` is quickstart, `runs/sweep/models/3` is sweep-3, and `data/preds.jsonl` is preds.
    Names that would be the same get more parts of their paths.
    """
    parts = [_parts(model) for model in models]
    sizes = [2 if len(one) > 1 and one[-1].isdigit() else 1 for one in parts]
    while True:
        names = ["-".join(one[-size:]) for one, size in zip(parts, sizes, strict=True)]
        times = Counter(map(str.casefold, names))
        longer = [
            size + (times[name.casefold()] > 1 and size < len(one))
            for name, one, size in zip(names, parts, sizes, strict=True)
        ]
        if longer == sizes:
            break
        sizes = longer
    return [name if times[name.casefold()] == 1 else f"{name}-{place}" for place, name in enumerate(names, 1)]


def _parts(model: str) -> list[str]:
    path = PurePath(model)
    stem = re.sub(r"(\.(gguf|jsonl?|csv|tsv|parquet|txt|gz))+$", "", path.name)
    found = [part for part in [*path.parts[:-1], stem] if part not in UNNAMED]
    plain = [re.sub(r"[^\w.-]+", "-", part).strip("-.") for part in found or [stem]]
    return [part for part in plain if part] or ["model"]
