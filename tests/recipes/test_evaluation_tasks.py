"""The evaluation tasks that come with the project: their form and answers, and no training data has them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import yaml
from conftest import lines

from selfinstruct.filters import FILTERS
from selfinstruct.records import Record, Rejection
from selfinstruct.text.novelty import RougeLIndex
from selfinstruct.text.tokenizers import comparing

ROOT = Path(__file__).resolve().parents[2]
SEED_FILES = [*ROOT.glob("seeds/*.jsonl"), *ROOT.glob("seeds/examples/*.jsonl")]
SETS = {"en": 120, "de": 24, "ja": 24, "zh": 24}
CATEGORIES = [
    *("rewriting", "summarizing", "extraction", "classification", "reading", "knowledge"),
    *("reasoning", "planning", "writing", "explaining", "code_and_tables", "forms"),
]
FIELDS = ("id", "category", "level", "is_classification", "instruction", "input", "references")
# The most words (in Chinese and Japanese: characters) of an answer, where the instruction sets a limit.
LIMITS = {
    "en": {6: 12, 12: 5, 13: 6, 15: 25, 17: 20, 84: 12, 85: 60, 86: 45, 90: 70, 99: 60},
    "de": {2: 12},
    "ja": {2: 30},
    "zh": {2: 20},
}


def tasks(language: str) -> list[dict[str, Any]]:
    """The tasks in a language."""
    return lines(ROOT / f"seeds/evaluation/general_{language}.jsonl")


def task(language: str, number: int) -> dict[str, Any]:
    """One of them; they are numbered from 1."""
    return tasks(language)[number - 1]


@pytest.mark.parametrize("language", SETS)
def test_form(language: str) -> None:
    """Each has its fields, each category as many tasks, and each level its share."""
    found = tasks(language)
    assert [one["id"] for one in found] == [f"eval_{language}_{n:03}" for n in range(1, SETS[language] + 1)]
    assert {tuple(one) for one in found} == {FIELDS}
    assert Counter(one["category"] for one in found) == dict.fromkeys(CATEGORIES, SETS[language] // 12)
    labels = {one["category"] for one in found if one["is_classification"]}
    assert labels == {"classification"}
    levels = Counter(one["level"] for one in found)
    assert set(levels) == {"easy", "middle", "hard"}
    assert min(levels.values()) >= SETS[language] / 4
    for one in found:
        texts = [one["instruction"], one["input"], *one["references"]]
        assert [text.strip() for text in texts] == texts, one["id"]
        assert one["instruction"], one["id"]
        assert 1 <= len(set(one["references"])) == len(one["references"]) <= 3, one["id"]
        assert all(one["references"]), one["id"]
    prompts = [(one["instruction"], one["input"]) for one in found]
    assert len(set(prompts)) == len(prompts)


def test_english_is_plain_and_of_all_lengths() -> None:
    """ASCII punctuation, as in the seeds; from labels to letters, in the middle a sentence."""
    assert [one["id"] for one in tasks("en") if not json.dumps(one, ensure_ascii=False).isascii()] == []
    words = [len(one["references"][0].split()) for one in tasks("en")]
    assert 15 <= median(words) <= 25
    assert (min(words), max(words) <= 90) == (1, True)


@pytest.mark.parametrize("language", SETS)
def test_labels(language: str) -> None:
    """The label of a classification task is one of the words that its instruction gives to choose from."""
    for one in tasks(language):
        if one["is_classification"]:
            (label,) = one["references"]
            before = r"\b" if language in ("en", "de") else ""
            assert re.search(f"{before}{label}{before}", one["instruction"]), one["id"]


@pytest.mark.parametrize("language", SETS)
def test_limits(language: str) -> None:
    """No reference is longer than its instruction allows."""
    for number, most in LIMITS[language].items():
        for text in task(language, number)["references"]:
            length = len(text) if language in ("ja", "zh") else len(re.findall(r"[\w'.-]*\w", text))
            assert length <= most, text


def test_code_answers() -> None:
    """The references that are code do what their tasks ask for."""
    (even,) = task("en", 104)["references"]
    (initials,) = task("en", 109)["references"]
    scope: dict[str, Any] = {}
    exec(f"{even}\n{initials}", scope)
    assert [number for number in range(-2, 4) if scope["is_even"](number)] == [-2, 0, 2]
    assert [scope["initials"](name) for name in ("Ada Lovelace", "Ada", "A B C")] == [
        "A. L.",
        "A.",
        "A. B. C.",
    ]

    (query,) = task("en", 108)["references"]
    members = sqlite3.connect(":memory:")
    members.execute("CREATE TABLE members (name TEXT, city TEXT, joined INTEGER)")
    rows = [("Zoe", "Ely", 2021), ("Al", "Ely", 2020), ("Bo", "Bath", 2023)]
    members.executemany("INSERT INTO members VALUES (?, ?, ?)", rows)
    assert members.execute(query).fetchall() == [("Bo",), ("Zoe",)]
    members.close()

    assert task("en", 101)["references"] == [str(len("banana"))]
    exec(task("en", 110)["input"], scope)
    assert (scope["largest"]([-3, -1]), scope["largest"]([3, 1])) == (0, 3)
    (book,) = task("en", 116)["references"]
    assert set(json.loads(book)) == {"title", "year", "pages"}


def texts_of(value: Any) -> Iterable[str]:
    """All texts in a value, but not its keys."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(one)


def training_texts() -> dict[str, str]:
    """What our recipes show to a model or put into a dataset: seed tasks and prompts, by their place."""
    found: dict[str, str] = {}
    for path in SEED_FILES:
        for place, row in enumerate(lines(path), 1):
            found |= {f"{path.name}:{place}:{n}": text for n, text in enumerate(texts_of(row))}
    for path in ROOT.glob("conf/prompts/**/*.yaml"):
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        found |= {f"{path.name}:{n}": text for n, text in enumerate(texts_of(config))}
    return found


def overlaps(texts: dict[str, str]) -> list[str]:
    """What the filter `decontaminate` says of the texts that have eight words of an evaluation task."""
    made = FILTERS.build("decontaminate", {"files": "seeds/evaluation"}, "filters.decontaminate", [])
    made = made.load(ROOT, "filters.decontaminate", []) if made and made.load else None
    assert made
    assert made.each
    rejections: dict[str, Rejection | None] = {
        place: made.each(Record("a-1", "instances", 1, 0, {"output": text})) for place, text in texts.items()
    }
    return [f"{place}: {one.reason}" for place, one in rejections.items() if one]


def near(language: str, instructions: dict[str, str]) -> list[str]:
    """The tasks whose instructions have a ROUGE-L above 0.5 to one of these instructions."""
    index = RougeLIndex(0.5, comparing(language))
    index.add_all((text, place) for place, text in instructions.items())
    found = [(one["id"], index.nearest(one["instruction"])) for one in tasks(language)]
    return [f"{id}: {match.score:.2f} to {match.id}" for id, match in found if match]


def test_no_seed_and_no_prompt_has_them() -> None:
    """No eight words in a row of a task are in a seed task or a prompt."""
    assert overlaps(training_texts()) == []


@pytest.mark.parametrize("language", SETS)
def test_no_seed_is_like_them(language: str) -> None:
    """No instruction is like that of a seed task."""
    seeds = {
        f"{path.name}:{n}": row["instruction"] for path in SEED_FILES for n, row in enumerate(lines(path), 1)
    }
    assert len(seeds) > 600
    assert near(language, seeds) == []


def test_none_is_from_the_paper(shared: Path) -> None:
    """Neither the paper's seed tasks nor its evaluation tasks have them."""
    files = [shared / f"{name}.jsonl" for name in ("seed_tasks", "user_oriented_instructions")]
    rows = {f"{path.name}:{n}": row for path in files for n, row in enumerate(lines(path), 1)}
    assert near("en", {place: row["instruction"] for place, row in rows.items()}) == []
    texts = {f"{place}:{n}": text for place, row in rows.items() for n, text in enumerate(texts_of(row))}
    assert overlaps(texts) == []
