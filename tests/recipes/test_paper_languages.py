"""What the paper's prompts have in common in all languages: numbers, sampling and demonstrations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from paper_prompts import ASKED, prompt, shown

from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record, Reply


@dataclass(frozen=True)
class Words:
    """The words of the prompts in a language: yes, no, and those before a label, an example and an output."""

    yes: str
    no: str
    label: str
    example: str
    output: str


WORDS = {
    "de": Words("Ja", "Nein", "Richtige Klasse: ", "Beispiel ", "Ausgabe: "),
    "ja": Words("はい", "いいえ", "クラスラベル：", "例", "出力："),
    "zh": Words("是", "否", "类别标签：", "示例", "输出："),
}


@pytest.fixture(scope="module", params=WORDS)
def language(request: pytest.FixtureRequest) -> str:
    """Each language but English."""
    return str(request.param)


@pytest.fixture(scope="module")
def recipe(language: str, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The paper's pipeline in the language."""
    return composed(language, tmp_path_factory.mktemp("project"))


def composed(language: str, project: Path, *more: str) -> Recipe:
    """The paper's pipeline in a language, composed anew."""
    groups = [f"seeds=general_{language}", f"prompts=paper_{language}", f"filters=default_{language}"]
    return compose(["recipe=completion", "model=scripted", *groups, *more], project).recipe()


def test_numbers_of_demonstrations(recipe: Recipe, language: str) -> None:
    """31 tasks with 12 yes and 19 no, 16 output-first, 11 input-first, as in the paper; none twice."""
    yes_no, output_first, input_first = (shown(recipe, *where) for where in ASKED)
    words = WORDS[language]
    assert Counter(one["answer"] for one in yes_no) == {words.yes: 12, words.no: 19}
    assert (len(output_first), len(input_first)) == (16, 11)
    assert len({one["instruction"] for one in yes_no + output_first + input_first}) == 58


def test_sampling_is_that_of_the_english_prompts(recipe: Recipe, language: str, project: Path) -> None:
    """Only the stop strings differ."""
    english = composed(language, project, "prompts=paper_en")
    for where in [("instructions", None), *ASKED]:
        mine, theirs = (dict(prompt(one, *where).sampling) for one in (recipe, english))
        assert len(mine.pop("stop")) <= 4  # the most that providers take
        theirs.pop("stop")
        assert mine == theirs, where


def test_demonstrations_are_new(language: str, project: Path) -> None:
    """Each would pass as a new instruction: it is unlike all seed tasks and the other demonstrations."""
    recipe = composed(language, project)
    judge = recipe.stage("instructions").judge
    for task in recipe.seeds.tasks:
        judge.learn(task)
    for place, one in enumerate(task for where in ASKED for task in shown(recipe, *where)):
        record = Record(f"i-{place}", "instructions", 1, 0, {"instruction": one["instruction"]})
        judge.admit(record)
        assert record.check not in ("exact_duplicate", "rouge_l"), (one, record.detail)
        assert language != "ja" or record.check is None, (record.check, one)


def test_demonstrations_can_be_read(recipe: Recipe, language: str) -> None:
    """What a demonstration shows is what is read from a reply that is like it."""
    words = WORDS[language]
    for one in shown(recipe, "instances", "output_first"):
        reply = "".join(f"{words.label}{each['label']}\n{each['input']}\n" for each in one["examples"])
        expected = [(each["input"], each["label"]) for each in one["examples"]]
        assert pairs(recipe, "output_first", reply) == expected
    for one in shown(recipe, "instances", "input_first"):
        reply = "".join(
            (f"{words.example}{number}\n{each['input']}\n" if each["input"] else "")
            + f"{words.output}{each['output']}\n"
            for number, each in enumerate(one["examples"], 1)
        )
        expected = [(each["input"], each["output"]) for each in one["examples"]]
        assert pairs(recipe, "input_first", reply) == expected


def pairs(recipe: Recipe, variant: str, text: str) -> list[tuple[str, str]]:
    """Inputs and outputs read from a reply."""
    found = prompt(recipe, "instances", variant).parse.read(Reply(text), 0)
    return [(one.data["input"], one.data["output"]) for one in found]
