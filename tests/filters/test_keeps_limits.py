"""Limits that an instruction sets: which answers `keeps_limits` rejects, and how often it is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.records import Record, Rejection
from selfinstruct.text.limits import broken, find

MARKED = Path(__file__).parent / "marked" / "limits.jsonl"
SEEDS = Path(__file__).resolve().parents[2] / "seeds"
CASES = {"en": "general_en", "de": "general_de", "ja": "general_ja", "zh": "general_zh"}


def marked(path: Path) -> list[dict[str, Any]]:
    """The marked records; the first line says how they were marked."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][1:]


def rejection(instruction: str, output: str, language: str = "en", **options: Any) -> Rejection | None:
    """What the filter says of an answer."""
    check = FILTERS.factory("keeps_limits")(language=language, **options)
    return _said(check, instruction, output)


def _said(check: Filter, instruction: str, output: str) -> Rejection | None:
    assert check.each
    return check.each(Record("a-000001-0", "a", 1, 0, {"instruction": instruction, "output": output}))


def test_precision_and_recall_on_the_records_marked_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of docs/better-data.md; a change that lowers one of them is a step back."""
    checks = {language: FILTERS.factory("keeps_limits")(language=language) for language in CASES}
    rows = marked(MARKED)
    said = [bool(_said(checks[row["language"]], row["instruction"], row["output"])) for row in rows]
    wrong = [row["verdict"] == "wrong" for row in rows]
    both = sum(a and b for a, b in zip(said, wrong, strict=True))
    precision, recall = both / sum(said), both / sum(wrong)
    with capsys.disabled():
        print(f"\nkeeps_limits: precision {precision:.2f}, recall {recall:.2f}, {len(rows)} records")
    assert (precision, recall) == (1.0, 1.0)


def seeds() -> Iterator[tuple[str, dict[str, Any]]]:
    """The seed tasks of the project, whose outputs people wrote and checked."""
    for path in sorted(SEEDS.glob("*.jsonl")):
        language = path.stem[-2:] if path.stem[-3:] in ("_de", "_ja", "_zh") else "en"
        for line in path.read_text(encoding="utf-8").splitlines():
            yield language, json.loads(line)


def test_no_output_of_our_seed_tasks_is_rejected() -> None:
    """They keep their limits; over 150 of them have one."""
    limited, said = 0, []
    for language, task in seeds():
        for instance in task["instances"]:
            found = find(task["instruction"], language)
            limited += bool(found)
            said += [(limit, why) for limit in found if (why := broken(limit, instance["output"]))]
    assert said == []
    assert limited > 150


def test_no_output_of_the_papers_seed_tasks_is_rejected(shared: Path) -> None:
    """Instructions that other people wrote."""
    for task in lines(shared / "seed_tasks.jsonl"):
        for instance in task["instances"]:
            for limit in find(task["instruction"], "en"):
                assert broken(limit, instance["output"]) is None


def test_a_rejection_names_the_words_of_the_instruction_and_the_count() -> None:
    """So that a reader of rejected.jsonl can judge it without the record."""
    found = rejection("Name three rivers in Europe.", "1. Rhine\n2. Elbe\n3. Oder\n4. Po")
    assert found == Rejection(
        "instruction says 'Name three rivers', but the answer has 4 items", {"limit": "Name three rivers"}
    )


@pytest.mark.parametrize(
    ("instruction", "language"),
    [
        ("Summarize the following three sentences.", "en"),
        ("Sort the words by length. If a word has more than five letters, leave it out.", "en"),
        ("Fasse die drei Absätze zusammen.", "de"),
        ("次の三つの文を読んでください。", "ja"),
        ("把下面三个段落读一遍。", "zh"),
        ("Describe a day in 1984.", "en"),
        ('Translate "in one word" into German.', "en"),
        ("Explain how to read YAML as a file in Python.", "en"),
        ("What is JSON in 2024?", "en"),
    ],
)
def test_a_number_that_limits_something_else_is_no_limit(instruction: str, language: str) -> None:
    """Inputs, quotations, years."""
    assert find(instruction, language) == []


@pytest.mark.parametrize(
    ("words", "least", "most"),
    [
        ("at most 50 words", 0, 50),
        ("fewer than 50 words", 0, 49),
        ("exactly 50 words", 50, 50),
        ("at least 50 words", 50, None),
        ("50 words", 40, 60),
        ("about 50 words", 30, 70),
        ("ten words", 10, 10),
        ("two to four sentences", 2, 4),
        ("about three sentences", 1, 5),
    ],
)
def test_what_a_limit_allows(words: str, least: int, most: int | None) -> None:
    """The tolerance is as documented."""
    (found,) = find(f"Describe a bakery in {words}.", "en")
    assert (found.least, found.most) == (least, most)


def test_a_limit_on_one_of_several_things_only_asks_for_enough() -> None:
    """The definition has one sentence, and the example follows it."""
    (found,) = find("Define inertia in one sentence, then add an example.", "en")
    assert broken(found, "Inertia keeps things as they are. A ball rolls on.") is None


def test_a_unit_can_be_switched_off() -> None:
    """By its name; an unknown name is a fault."""
    assert rejection("Name three rivers.", "Po, Oder", units={"items": False}) is None
    with pytest.raises(ValueError, match="there is no 'item'"):
        rejection("Name three rivers.", "Po, Oder", units={"item": False})


def test_a_language_without_a_table_is_a_fault() -> None:
    """Found by `check`, before a run."""
    with pytest.raises(ValueError, match="de, en, ja, zh, not of 'fr'"):
        rejection("", "", "fr")


@pytest.mark.parametrize(
    "text", ["a, b or " * 500, "in 3 " * 800, "{" * 20_000, "「" * 20_000, "1. a\n" * 9_000]
)
def test_no_text_takes_long(text: str) -> None:
    """Neither as an instruction nor as an answer; the time limit of the tests would end it."""
    for language in CASES:
        find(text, language)
    for limit in find("Answer as JSON in three sentences, in 20 words and in two lines.", "en"):
        broken(limit, text)


def test_in_a_recipe(typed: Typed) -> None:
    """`check` accepts it, and knows the language from the seeds."""
    status, out, _ = typed("check", "recipe=german", "model=scripted", "+filters.instances.keeps_limits={}")
    assert (status, "keeps_limits" in out) == (0, True)


LABELS = [
    ("Is the text a poem or a report?", "Poem", True),
    ("Is the text a poem or a report?", "Not enough information", False),
    ("Is 51 a prime number?", "No", True),
    ("Decide whether the number is even.", "true", True),
    ("Describe how a kettle works.", "Kettle", True),
    ("Describe how a kettle works.", "Positive", False),
    ("Tell the animal's class.", "yes", False),
]


@pytest.mark.parametrize(("instruction", "output", "passes"), LABELS)
def test_a_label_is_one_that_the_instruction_names(instruction: str, output: str, passes: bool) -> None:
    """Or a yes or a no, if it asks whether something is so."""
    check = FILTERS.factory("named_label")()
    data = {"instruction": instruction, "output": output, "is_classification": True}
    assert check.each
    assert (check.each(Record("a-000001-0", "a", 1, 0, data)) is None) is passes
    assert check.each(Record("a-000001-0", "a", 1, 0, {**data, "is_classification": False})) is None


def test_a_label_may_be_kept_out_of_the_input() -> None:
    """An input may give the answer away; without `classification` each record is looked at."""
    check = FILTERS.factory("named_label")(classification=None, absent_from="input")
    data = {"instruction": "Is a cat a mammal or a bird?", "output": "mammal"}
    assert check.each
    told = check.each(Record("a-000001-0", "a", 1, 0, {**data, "input": "Cat: The cat is a Mammal."}))
    assert told
    assert told.reason == "the label 'mammal' is in the input"
    assert check.each(Record("a-000001-0", "a", 1, 0, {**data, "input": "Cat: all mammals."})) is None
    assert check.each(Record("a-000001-0", "a", 1, 0, {**data, "input": "", "output": "fish"}))


def test_nearly_all_labels_of_our_seed_tasks_pass() -> None:
    """All but two of over two hundred."""
    said, total = 0, 0
    for language, task in seeds():
        check = FILTERS.factory("named_label")(language=language)
        for instance in task["instances"] if task.get("is_classification") else ():
            assert check.each
            record = Record("a-000001-0", "a", 1, 0, {**task, "output": instance["output"]})
            total, said = total + 1, said + bool(check.each(record))
    assert total > 200
    assert said <= 2
