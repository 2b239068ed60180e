"""Parts: a file that brings a stage or a filter with all that it needs, and the place where that goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines

from selfinstruct.errors import Fault, UserError
from selfinstruct.project.layout import packaged
from selfinstruct.project.resolving import resolved
from selfinstruct.recipe.compose import compose
from selfinstruct.recipe.order import in_order

WORDS = """\
# The words of an instruction, once more, right after it was made.
pipeline:
  words: {after: instructions, kind: derive, field: words, sources: [instruction], rule: majority}
filters:
  instructions:
    links: {before: rouge_l, kind: matches, field: instruction, pattern: 'https?://'}
    shouting: {after: word_count, kind: matches, field: instruction, pattern: '^[A-Z !]+$'}
schema:
  words: {type: object}
  classification: {properties: {words: {type: string}}}
  instances: {properties: {words: {type: string}}}
"""


def write(project: Path, files: dict[str, str]) -> None:
    """Files of a user's folder."""
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")


def keys(project: Path, *overrides: str) -> dict[str, Any]:
    """A composed recipe."""
    return resolved(compose(overrides, project).config)


def test_a_part_adds_a_stage_with_all_that_it_needs(project: Path) -> None:
    """A judge on a recipe of one stage: there is no fault, and the judge's keys can be changed."""
    composed = compose(
        ["recipe=alpaca", "model=scripted", "+parts=judge", "filters.judge.low_score.minimum=5"], project
    )
    assert [stage.name for stage in composed.recipe().stages] == ["tasks", "judge", "judge_again"]
    made, part = resolved(composed.config), packaged() / "conf/parts/judge.yaml"
    for group in ("pipeline", "prompts", "filters", "schema"):
        assert set(yaml.safe_load(part.read_text(encoding="utf-8"))[group]) <= set(made[group])
    assert made["filters"]["judge"]["low_score"]["minimum"] == 5


def test_parts_add_up(project: Path) -> None:
    """Those of a recipe, in either form, of the recipe that it is built on, and of the command line."""
    write(
        project,
        {
            "conf/parts/words.yaml": WORDS,
            "recipes/base.yaml": "defaults: [chat, override /model: scripted]\nparts: [judge]\n"
            "filters: {judge: {low_score: {minimum: 5}}}\n",
            "recipes/mine.yaml": "defaults: [base, override /seeds: starter_en, {/parts: words}, _self_]\n",
        },
    )
    made = keys(project, "recipe=mine", "parts=personas")
    assert list(made["pipeline"]) == [
        "instructions",
        "words",
        "classification",
        "instances",
        "judge",
        "judge_again",
    ]
    assert made["pipeline"]["instructions"]["lines"] == {"persona": "seeds/personas_en.txt"}
    assert made["filters"]["judge"]["low_score"]["minimum"] == 5  # a recipe's own keys are over its parts
    assert made["seeds"]["path"] == "seeds/starter_en.jsonl"
    assert "parts" not in made
    with pytest.raises(UserError, match="recipe mine has this part already"):  # it would set 5 back to 4
        compose(["recipe=mine", "+parts=[personas,judge]"], project)


def test_the_recipe_of_the_judge_is_the_part(project: Path) -> None:
    """`judged` is `chat` with it; and the four files that it was are still chosen by their names."""
    part = keys(project, "recipe=chat", "+parts=judge")
    four = [
        "pipeline=[paper,judge]",
        "prompts=[chat_en,judge_en]",
        "filters=[chat_en,judge]",
        "schema=[paper,judge]",
    ]
    assert part == keys(project, "recipe=judged") == keys(project, "recipe=chat", *four)


def test_all_see_one_order(typed: Typed, project: Path) -> None:
    """The plan, the run with its folder, and a replay: a stage and two filters among the others."""
    write(project, {"conf/parts/words.yaml": WORDS})
    words = ("recipe=paper", "model=scripted", "+parts=words", "target=3")
    stages = ["instructions", "words", "classification", "instances"]
    plan = typed("check", *words)[1]
    assert all(f"\n  {place} {name} (" in plan for place, name in enumerate(stages, 1))
    shown = yaml.safe_load(typed(*words, "--cfg", "job")[1])
    status, out, err = typed(*words, "run_dir=run")
    assert status == 0, out + err
    assert typed("replay", "run", "run_dir=again", "filters.instances.empty=null")[0] == 0
    for run in ("run", "again"):
        saved = yaml.safe_load((project / run / ".hydra/config.yaml").read_text(encoding="utf-8"))
        assert list(saved["pipeline"]) == list(shown["pipeline"]) == stages
        checks = list(saved["filters"]["instructions"])
        assert checks[checks.index("word_count") + 1] == "shouting"
        assert checks[checks.index("rouge_l") - 1] == "links"
        assert "words" in lines(project / run / "instructions.jsonl")[0]
    moved = ("filters.instructions.links.before=empty", "run_dir=run")
    status, _, err = typed(*words, *moved)
    assert status == 1
    assert 'filters.instructions.links.before: "rouge_l" → "empty"' in err


def test_a_place_that_does_not_exist(typed: Typed, project: Path) -> None:
    """All faults at once, each with its key and the nearest name."""
    write(
        project,
        {
            "recipes/mine.yaml": "defaults: [paper, override /model: scripted, {/parts: judge}, _self_]\n"
            "pipeline: {judge: {after: instancs}}\n"
            "filters: {instances: {empty: {before: duplicates}, duplicate: {fields: [nope]}}}\n"
        },
    )
    status, _, err = typed("check", "recipe=mine")
    assert status == 1
    assert "pipeline.judge.after: unknown stage 'instancs'\n      did you mean 'instances'?" in err
    assert (
        "filters.instances.empty.before: unknown filter 'duplicates'\n      did you mean 'duplicate'?" in err
    )
    assert "filters.instances.duplicate: unknown field 'nope'" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parts: jugde", "unknown part 'jugde'\n  did you mean 'judge'?"),
        ("parts: {judge: true}", "recipes/mine.yaml: 'parts' is the name of a file of conf/parts, or a list"),
        ("parts: [1]", "'parts' is the name of a file of conf/parts, or a list of such names"),
        ("defaults: [{/parts: ../judge}]", "a name cannot be a path"),
    ],
)
def test_what_is_no_part(typed: Typed, project: Path, text: str, said: str) -> None:
    """The file, and the nearest name or the form."""
    write(project, {"recipes/mine.yaml": text})
    status, _, err = typed("check", "recipe=mine")
    assert status == 1
    assert said in err


def test_help_lists_the_parts(typed: Typed, project: Path) -> None:
    """Ours and the user's, with a line each."""
    write(project, {"conf/parts/words.yaml": WORDS})
    out = typed("--help")[1]
    assert "parts (+parts=NAME" in out
    assert "  words                The words of an instruction, once more" in out
    assert "  judge                A judge that scores each record" in out


NAMES = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("places", "ordered"),
    [
        ({"d": {"after": "a"}}, "adbc"),
        ({"a": {"after": "d"}}, "bcda"),
        ({"d": {"before": "a"}}, "dabc"),
        ({"c": {"after": "a"}, "d": {"after": "a"}}, "acdb"),
        ({"c": {"after": "d"}, "d": {"after": "a"}}, "adcb"),
        ({"c": {"before": "a"}, "d": {"before": "a"}}, "cdab"),
        ({"d": {"after": "a", "before": "b"}}, "adbc"),
        ({"b": {"after": "a"}}, "abcd"),
    ],
)
def test_the_order(places: dict[str, dict[str, str]], ordered: str) -> None:
    """Right beside the one named; several beside the same one stay in the order in which they came."""
    faults: list[Fault] = []
    assert "".join(in_order(NAMES, places, "pipeline", "stage", faults)) == ordered
    assert not faults
    assert "".join(in_order(list(ordered), places, "pipeline", "stage", faults)) == ordered


@pytest.mark.parametrize(
    ("places", "where", "what"),
    [
        (
            {"a": {"after": "b"}, "b": {"after": "a"}},
            "pipeline.a",
            "goes beside b, which goes beside a: that is a circle",
        ),
        (
            {"a": {"after": "b"}, "b": {"before": "c"}, "c": {"after": "a"}},
            "pipeline.a",
            "goes beside b, which goes beside c, which goes beside a: that is a circle",
        ),
        ({"a": {"after": "a"}}, "pipeline.a.after", "unknown stage 'a'"),
        (
            {"d": {"after": "c", "before": "a"}},
            "pipeline.d",
            "cannot go after 'c' and before 'a', which comes first",
        ),
    ],
)
def test_no_order(places: dict[str, dict[str, str]], where: str, what: str) -> None:
    """A circle names all in it; what contradicts itself says so."""
    faults: list[Fault] = []
    in_order(NAMES, places, "pipeline", "stage", faults)
    assert [(fault.where, fault.what) for fault in faults] == [(where, what)]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["+parts=calibration"], ["${pipeline.judge.model}: pipeline has no key 'judge'", "instructions"]),
        (
            ["+parts=[rubric,calibration]", "pipeline.calibrated.like=rubrik"],
            ["${pipeline.rubrik.model}: pipeline has no key 'rubrik'", "did you mean 'rubric'?"],
        ),
        (["target=${no.such}"], ["${no.such}: there is no key 'no'"]),
        (["target=${model.nam}"], ["${model.nam}: model has no key 'nam'", "did you mean 'name'?"]),
    ],
)
def test_a_key_that_another_one_needs_and_that_is_missing(
    typed: Typed, overrides: list[str], said: list[str]
) -> None:
    """The message names the part of the path that is missing, and what is there instead."""
    code, _, err = typed("check", "recipe=chat", *overrides)
    assert code == 1
    assert [words for words in said if words not in err] == [], err
