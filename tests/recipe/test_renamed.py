"""Keys that have another name now: the old one works, says so once, and a run of before goes on."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed

from selfinstruct.config import RecipeConfig
from selfinstruct.filters import FILTERS
from selfinstruct.journal.store import Journal
from selfinstruct.project.renamed import RENAMED, now
from selfinstruct.project.resolving import resolved
from selfinstruct.recipe.compose import compose
from selfinstruct.stages import STAGES

BEFORE = {
    "seeds.instances_key": "seeds.each",
    "mix.generated": "mix.machine",
    "refusal.self_references": "refusal.talk",
    "echo.sources": "echo.of",
    "ignore_case_and_punctuation": "letters",
    "ignore_spacing": "spacing",
}
WORDS = re.compile("|".join(map(re.escape, BEFORE)))
OLD = """\
# A recipe of before.
defaults: [judged, override /model: scripted, _self_]
seeds: {each: instances}
mix: {machine: 1}
filters:
  judge: {low_score: {least: 5}}
  instances:
    refusal: {talk: {maker: false}}
    echo: {of: {input: letters}}
    covered: {kind: within_passage, field: output, of: [instruction], letters: 3}
"""


def write(project: Path, name: str, text: str) -> None:
    """A file of a user's folder."""
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(text, encoding="utf-8")


def test_the_new_names_are_there_and_the_old_ones_are_not() -> None:
    """Each line of the table is about a key that exists, so that none is forgotten in it."""
    sections: dict[str, Any] = {name: field.annotation for name, field in RecipeConfig.model_fields.items()}
    registries: dict[str, Any] = {"pipeline": STAGES, "filters": FILTERS}
    for one in RENAMED:
        section = one.place.split(".")[0]
        model = registries[section].options(one.kind) if one.kind else sections[section]
        assert one.new in model.model_fields
        assert one.old not in model.model_fields


def test_a_recipe_of_before_says_the_same(typed: Typed, project: Path) -> None:
    """Every old name in a recipe; a note on each, in the plan."""
    write(project, "recipes/mine.yaml", OLD)
    made = resolved(compose(["recipe=mine"], project).config)
    assert (made["seeds"]["instances_key"], made["mix"]["generated"]) == ("instances", 1)
    assert made["filters"]["judge"]["low_score"]["minimum"] == 5
    checks = made["filters"]["instances"]
    assert checks["refusal"]["self_references"]["maker"] is False
    assert checks["refusal"]["self_references"]["training"]  # the patterns of conf/ are still there
    same = "ignore_case_and_punctuation"
    assert checks["echo"]["sources"] == {"instruction": same, "input": same}
    assert (checks["covered"]["sources"], checks["covered"]["prefix_length"]) == (["instruction"], 3)
    assert checks["copied"]["least"] == 5  # the same word, which is still the name of this one
    status, out, err = typed("check", "recipe=mine")
    assert status == 0, err
    notes = [line for line in out.splitlines() if "the old name still works in this version" in line]
    assert len(notes) == 7
    assert out.count("mix.machine is called mix.generated now;") == 1
    words = f"filters.instances.echo.sources now, and its value 'letters' is '{same}'"
    assert f"filters.instances.echo.of is called {words}" in out


@pytest.mark.parametrize(
    ("typed_keys", "minimum"),
    [
        (["filters.judge.low_score.least=2"], 2),
        (["filters.judge.low_score.minimum=2"], 2),
        (["filters.judge.low_score.minimum=2", "filters.judge.low_score.least=3"], 3),
        (["filters.judge.low_score.least=3", "filters.judge.low_score.minimum=2"], 2),
        ([], 5),
    ],
)
def test_the_nearer_name_counts(project: Path, typed_keys: list[str], minimum: int) -> None:
    """What is typed, by either name, before what the recipe says; the recipe before the one below it."""
    write(project, "recipes/low.yaml", "defaults: [judged]\nfilters: {judge: {low_score: {least: 1}}}\n")
    write(project, "recipes/mine.yaml", "defaults: [low]\nfilters: {judge: {low_score: {minimum: 5}}}\n")
    made = resolved(compose(["recipe=mine", *typed_keys], project).config)
    assert made["filters"]["judge"]["low_score"]["minimum"] == minimum


def test_a_file_of_before_and_a_new_key(project: Path) -> None:
    """A file of the user's conf has the old name alone; what is typed under the new one is taken."""
    write(project, "conf/mix/mine.yaml", "examples: 4\nmachine: 3\n")
    assert resolved(compose(["recipe=chat", "mix=mine"], project).config)["mix"]["generated"] == 3
    assert resolved(compose(["recipe=chat", "mix=mine", "mix.generated=1"], project).config)["mix"] == {
        "examples": 4,
        "generated": 1,
    }


def test_a_run_of_before_goes_on(typed: Typed, project: Path) -> None:
    """Its journal has the old names; a key that differs is still refused, and a replay says what differs."""
    words = ("recipe=completion", "model=scripted", "target=3", "run_dir=run")
    status, out, err = typed(*words, "mix.machine=1")
    assert status == 0, out + err
    assert err.count("note: mix.machine is called mix.generated now") == 1
    with closing(Journal(project / "run/run.sqlite")) as journal:
        shape = journal.meta("shape")
        old = json.loads(WORDS.sub(lambda found: BEFORE[found[0]], json.dumps(shape)))
        assert len(set(shape) - set(old)) > 10
        assert now(old) == shape
        journal.set_meta("shape", old)
    status, out, err = typed(*words, "mix.generated=1", "target=4")
    assert status == 0, out + err
    assert "4 instructions" in out
    assert typed("replay", "run", "run_dir=again")[0] == 0
    status, _, err = typed(*words, "mix.machine=2", "target=4")
    assert status == 1
    assert "other settings:\n  mix.generated: 1 → 2\n  Choose" in err


def test_a_sweep_by_an_old_name(typed: Typed, project: Path) -> None:
    """Its jobs differ in that key."""
    status, out, err = typed(
        "check", "-m", "recipe=paper", "model=scripted", "target=2", "mix.machine=0,1", "sweep_dir=sweep"
    )
    assert status == 0, err
    assert "up to 0 of them" in out
    assert "up to 1 of them" in out
