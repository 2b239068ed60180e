"""The checks of each language on texts of that language."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record
from selfinstruct.stages.judge import Judge

SEEN = {
    "de": "Nenne drei Städte am Rhein.",
    "ja": "有名な日本の川を三つ挙げてください。",
    "zh": "给出三个保持健康的提示。",
}


def recipe(project: Path, language: str, *more: str) -> Recipe:
    """A recipe with the checks of a language."""
    (project / "recipes").mkdir(exist_ok=True)
    (project / "recipes/mine.yaml").write_text("target: 5\n")
    words = ["recipe=mine", "model=scripted", f"filters=default_{language}", f"seeds.language={language}"]
    return compose([*words, *more], project).recipe()


def judge(project: Path, language: str, *more: str) -> Judge:
    """The checks of its instructions, told of one seed."""
    made = recipe(project, language, *more).stage("instructions").judge
    made.learn(Record("seed", "seeds", 1, 0, {"instruction": SEEN[language]}))
    return made


def check(judge: Judge, instruction: str) -> str | None:
    """The check that rejects an instruction; None where it is accepted."""
    record = Record("i-1", "instructions", 1, 0, {"instruction": instruction})
    judge.admit(record)
    return record.check


@pytest.mark.parametrize(
    ("language", "instruction", "expected"),
    [
        ("de", "Übersetze den Satz ins Polnische.", None),
        ("de", "Übersetze ihn sofort.", "word_count"),
        ("de", "Beschreibe das BILD an der Wand.", "banned_words"),
        ("de", "Schreib ein Programm, das Primzahlen zählt.", "write_a_program"),
        ("de", "Nenne drei  STÄDTE am Rhein.", "exact_duplicate"),
        ("de", "Nenne drei Städte am Rhein!", "rouge_l"),
        ("de", "Nenne vier Berge am Meer.", None),
        ("ja", "猫について俳句を一つ詠んでください。", None),
        ("ja", "俳句を詠め", "word_count"),
        ("ja", "この画像を説明してください。", "banned_words"),
        ("ja", "素数を数えるプログラムを書いてください。", "write_a_program"),
        ("ja", "、そして続きを書いてください。", "first_character_wide"),
        ("ja", "有名な日本の川を三つ挙げてください。", "exact_duplicate"),
        ("ja", "有名な日本の山を三つ挙げてください!", "rouge_l"),
        ("ja", "「春」という字で始まる文を書いてください。", None),
        ("zh", "写一首关于秋天的短诗。", None),
        ("zh", "写首诗", "word_count"),
        ("zh", "请根据图片写一段话。", "banned_words"),
        ("zh", "请编写一个程序来排序。", "write_a_program"),
        ("zh", "：继续写下去吧。", "first_character_wide"),
        ("zh", "给出四个保持健康的提示！", "rouge_l"),
    ],
)
def test_one_check_each(project: Path, language: str, instruction: str, expected: str | None) -> None:
    """Good instructions pass; each sort of bad one is rejected by its own check."""
    assert check(judge(project, language), instruction) == expected


def test_a_filter_may_have_a_language_of_its_own(project: Path) -> None:
    """What is set in a filter goes before the recipe's language."""
    english = judge(project, "zh", "+filters.instructions.rouge_l.language=en")
    assert check(english, "给出四个保持健康的提示！") is None


def test_an_output_that_breaks_off_at_a_wide_colon(project: Path) -> None:
    """A full-width colon at the end counts as a colon."""
    instances = recipe(project, "ja").stage("instances").judge
    record = Record("o-1", "instances", 1, 0, {"instruction": "a", "input": "", "output": "例えば： "})
    instances.sift([record], random.Random(0))
    assert record.check == "output_ends_in_colon"
