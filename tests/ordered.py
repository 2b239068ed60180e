"""What `finetune` hands to a kind of training, without a run: for tests of the kinds that tune elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfinstruct.config import FinetuneConfig, TrainConfig
from selfinstruct.monitor.progress import Progress
from selfinstruct.project.resolving import model_config
from selfinstruct.records import Record
from selfinstruct.train.examples import Examples
from selfinstruct.train.kinds import Prepared


def examples_of(count: int = 20) -> Examples:
    """So many short examples; the first has a system message, and line breaks of other alphabets."""
    rows: list[dict[str, Any]] = [
        {
            "messages": [
                {"role": "user", "content": f"Say the number {place}, please."},
                {"role": "assistant", "content": f"It is {place}.\u2028Grüße, 数字."},
            ]
        }
        for place in range(count)
    ]
    rows[0]["messages"].insert(0, {"role": "system", "content": "You count."})
    records = [Record(f"instances_{place}", "instances", 1, place, {}) for place in range(count)]
    return Examples(rows, records)


def prepared_for(project: Path, kind: str, to: str = "runs/tiny/model", **changes: Any) -> Prepared:
    """A training of this kind: `train__KEY=VALUE` changes a key of conf/train, others those of `Prepared`."""
    keys = {key[7:]: changes.pop(key) for key in list(changes) if key.startswith("train__")}
    config = TrainConfig.model_validate({**(model_config(kind, project, "train") or {}), **keys})
    given: dict[str, Any] = {
        "run": "runs/tiny",
        "folder": project / to,
        "project": project,
        "train": config,
        "finetune": FinetuneConfig.model_validate({}),
        "examples": examples_of(),
        "overlap": {},
        "seed": 7,
        "progress": Progress(),
        "again": f"selfinstruct finetune runs/tiny train={kind}",
        "overrides": (f"train={kind}", *(f"train.{key}={value}" for key, value in keys.items())),
    }
    return Prepared(**{**given, **changes})
