"""The shape of a run: what may not change when it goes on, by the whole path of each key.

Variants, variables and options of other kinds may be named like an option that may change; `share` and
`patience` of a stage, which may, stand beside them.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Typed, seed_file
from results import refused

from selfinstruct.journal.store import Journal

RECIPE = """\
defaults:
  - override /model: scripted
  - override /pipeline: null
  - override /prompts: null
  - override /filters: null
  - override /schema: null
  - override /export: none
seeds: {path: seeds/mine.jsonl}
model: {mode: chat, options: {replies: replies.jsonl}}
mix: {examples: 1, machine: 0}
target: 3
pipeline:
  tasks: {kind: bootstrap, patience: 3}
  evolved:
    kind: expand
    draw: {share: 1, patience: 1, other: 1}
    patience: 3
  drawn: {kind: sample, share: 0.5}
prompts:
  tasks: {style: chat, template: "{{ examples[0].instruction }}", parse: {kind: text, field: instruction}}
  evolved:
    style: chat
    parse: {kind: text, field: output}
    variables: {options: {delay: 1}, expected: 1}
    variants:
      share: {template: "{{ instruction }} {{ expected }}"}
      patience: {template: "{{ instruction }} {{ options.delay }}"}
      other: {template: "{{ instruction }}"}
schema: {tasks: {}, evolved: {}}
"""
# What shapes the data, though its key ends like an option that may change.
SHAPING = [
    "pipeline.evolved.draw.share=5",
    "pipeline.evolved.draw.patience=5",
    "prompts.evolved.variables.options.delay=2",
    "pipeline.drawn.share=0.4",
    "prompts.evolved.variables.expected=2",
]
UNNAMED = SHAPING[:3]  # those that a run of before does not name


@pytest.fixture
def run(typed: Typed, project: Path) -> Path:
    """A run of the recipe that has come to its end."""
    seed_file(project / "seeds/mine.jsonl")
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(RECIPE, encoding="utf-8")
    rows = [{"stage": "tasks", "number": number, "reply": f"Task {number}"} for number in range(1, 9)]
    text = "".join(json.dumps(row) + "\n" for row in [*rows, {"stage": "evolved", "reply": "Done."}])
    (project / "replies.jsonl").write_text(text, encoding="utf-8")
    status, out, err = typed("recipe=mine", "run_dir=run")
    assert status == 0, out + err
    return project / "run"


def test_what_shapes_the_data_may_not_change(typed: Typed, run: Path) -> None:
    """Whatever its key ends in; the message has its whole path, for a start and for a replay."""
    for override in SHAPING:
        key = override.partition("=")[0]
        refused(typed("recipe=mine", "run_dir=run", override), f"other settings:\n  {key}: ")
    refused(typed("replay", "run", "run_dir=other", SHAPING[0]), "pipeline.evolved.draw.share")


def test_what_belongs_to_the_machine_may(typed: Typed, run: Path) -> None:
    """The options of the same names, of the kinds that mark them so."""
    options = ["tasks.patience=9", "evolved.patience=9", "tasks.expected=3", "evolved.expected=3"]
    overrides = [f"++pipeline.{option}" for option in options]
    status, out, err = typed("recipe=mine", "run_dir=run", *overrides, "model.options.delay=0.01")
    assert status == 0, out + err


def test_a_run_of_before_opens(typed: Typed, run: Path) -> None:
    """It does not name such keys. From its next start on they are held to what they are then."""
    with closing(Journal(run / "run.sqlite")) as journal:
        shape = journal.meta("shape")
        for override in UNNAMED:
            del shape[override.partition("=")[0]]
        journal.set_meta("shape", shape)
        journal.set_meta("shape_names", None)
    for words in (("check", "recipe=mine", "run_dir=run"), ("replay", "run", "run_dir=other")):
        assert typed(*words)[0] == 0
    refused(typed("recipe=mine", "run_dir=run", "seed=1"), "other settings:\n  seed: 0 → 1")
    assert typed("recipe=mine", "run_dir=run")[0] == 0
    refused(typed("recipe=mine", "run_dir=run", SHAPING[0]), "pipeline.evolved.draw.share: 1 → 5")
