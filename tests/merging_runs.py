"""Runs to merge: the recipe `parts` makes tasks, marks them, and answers each twice, by the run's script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conftest import Typed, lines, seed_file
from results import done

PARTS = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: alpaca
seeds: {path: seeds/mine.jsonl}
model: {mode: chat}
mix: {examples: 1, generated: 0}
pipeline:
  tasks: {kind: bootstrap, patience: 2, window: 1}
  marks: {kind: label}
  answers: {kind: expand}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  marks:
    style: chat
    template: "{{ instruction }}"
    parse: {kind: json, single: true, fields: {score: {scale: {lowest: 1, highest: 5}}}}
  answers:
    style: chat
    template: "{{ instruction }} {{ score }}"
    parse: {kind: numbered_list, field: output}
filters:
  tasks: {word_count: {field: instruction, minimum: 2}, rouge_l: {field: instruction}}
schema:
  tasks: {type: object, properties: {instruction: {type: string}}, additionalProperties: false}
  marks: {type: object, properties: {score: {type: integer}}}
  answers:
    type: object
    required: [instruction, score, output]
    properties: {instruction: {type: string}, score: {}, output: {type: string}, input: {}}
export: {alpaca: {columns: [score]}}
"""
KETTLE, ORCHARD = "Describe how a kettle is repaired in autumn.", "List three reasons to visit an orchard."
EVENING, VIOLINS = "Plan a quiet evening beside the harbour.", "Explain why violins need dry rooms."
GOOD = "List three good reasons to visit an orchard."
A, B = (KETTLE, ORCHARD, EVENING), (GOOD, VIOLINS, EVENING)


def two_runs(typed: Typed, project: Path) -> Path:
    """A folder with the recipe and two runs of it: of B's tasks one is nearly one of A's, and one is one."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/parts.yaml").write_text(PARTS, encoding="utf-8")
    make(typed, project, "a", A, "seed=1")
    make(typed, project, "b", B, "seed=2")
    return project


def make(
    typed: Typed,
    project: Path,
    name: str,
    tasks: Sequence[str],
    *keys: str,
    target: int = 3,
    marks: Mapping[int, str] | None = None,
    answer: str = "",
) -> Path:
    """A finished run with these tasks; `marks`, by number, and `answer` are other replies than usual."""
    rows: list[dict[str, Any]] = [
        {"stage": "tasks", "number": number, "reply": text} for number, text in enumerate(tasks, 1)
    ]
    rows += [{"stage": "marks", "number": number, "reply": text} for number, text in (marks or {}).items()]
    rows.append({"stage": "marks", "reply": '{"score": 4}'})
    rows.append({"stage": "answers", "reply": answer or f"1. {name} says so.\n2. {name} says more."})
    (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = (f"run_dir=runs/{name}", f"model.options.replies={name}.jsonl", f"target={target}")
    done(typed, "recipe=parts", *options, *keys)
    return project / f"runs/{name}"


def texts(run: Path, stage: str = "tasks") -> list[str]:
    """The tasks of a run, in order."""
    return [row["instruction"] for row in lines(run / f"{stage}.jsonl")]
