"""What `check` notes about seed files, and how it refuses files that it cannot read; typed as a user does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, seed_file

PAPER = ("recipe=paper", "model=scripted")
MINE = "seeds.path=mine.jsonl"


def task(instruction: str, output: str = "It is.", label: bool = False, **fields: Any) -> dict[str, Any]:
    """A line of a seed file."""
    instances = [{"input": "", "output": output}]
    return {"instruction": instruction, "instances": instances, "is_classification": label, **fields}


PLAIN = [
    task("Does the remark sound cheerful or gloomy?", "cheerful", label=True),
    task("Sort the animal into mammal, bird or fish.", "bird", label=True),
    *map(
        task,
        (
            "Explain why bread rises.",
            "Write a short note to a new neighbour.",
            "Give three ways to keep a kitchen cool in July.",
            "Turn the recipe below into a shopping list.",
            "How many minutes are there in a week?",
            "Plan one afternoon in an unknown town.",
            "Shorten this paragraph to twenty words.",
            "Which tool would you take to hang up a mirror, and how?",
        ),
    ),
]


def write(rows: list[dict[str, Any]]) -> None:
    """Write the seed file that the tests are about."""
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def noted(typed: Typed, *more: dict[str, Any], options: tuple[str, ...] = ()) -> str:
    """The notes of `check` on ten plain tasks, two of them classification, and more."""
    write([*PLAIN, *more])
    status, out, err = typed("check", *PAPER, MINE, *options)
    assert status == 0, err
    return "\n".join(line for line in out.splitlines() if "note: mine.jsonl" in line)


def test_nothing_is_noted_of_a_plain_file_nor_of_ours(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lint that always speaks is not read."""
    assert noted(typed) == ""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    for recipe in ("alpaca", "paper", "paper_classification", "quickstart"):
        assert "note: seeds/" not in typed("check", f"recipe={recipe}")[1]
    for language in ("de", "ja", "zh"):
        swapped = (f"seeds=general_{language}", f"filters=default_{language}")
        assert "note: seeds/" not in typed("check", "recipe=paper", "model=scripted", *swapped)[1]


def test_duplicates_and_near_duplicates(typed: Typed) -> None:
    """Each with its line, the line it is like, and how much."""
    said = noted(
        typed,
        task("Tell the story of an old lighthouse keeper and his dog."),
        task("tell the story of  an old lighthouse keeper and his dog."),
        task("Tell the story of an old lighthouse keeper and his cat."),
        task("Tell the tale of some young fishermen and their boat."),
    )
    assert "repeated tasks: line 12 of line 11" in said
    assert "ROUGE-L above 0.7: line 13 of line 11 (0.91)" in said
    assert "14" not in said


def test_near_duplicates_in_a_language_without_spaces(typed: Typed) -> None:
    """The tokenizer is that of the seeds' language."""
    rows = [
        task(text)
        for text in ("海辺の灯台について短い詩を書いてください。", "海辺の灯台について短い詩を書いて。")
    ]
    said = noted(typed, *rows, options=("seeds.language=ja", "filters=default_ja"))
    assert "line 12 of line 11" in said


def test_empty_outputs(typed: Typed) -> None:
    """The recipe's own schema refuses them; one that lets them pass leaves it to a note."""
    rows = (task("Name a river.", ""), task("Name a colour of the sky.", "  "))
    said = noted(
        typed, *rows, options=("schema.seeds.properties.instances.items.properties.output.pattern=''",)
    )
    assert "2 empty outputs: lines 11, 12" in said


@pytest.mark.parametrize(
    ("labels", "words"),
    [(0, "no task is a classification task"), (8, "8 of 10 tasks are classification"), (3, "")],
)
def test_the_balance_of_classes(typed: Typed, labels: int, words: str) -> None:
    """Said where none or most of the tasks are classification tasks."""
    write([{**row, "is_classification": place < labels} for place, row in enumerate(PLAIN)])
    out = typed("check", *PAPER, MINE)[1]
    assert words in out if words else "classification task" not in out
    if labels:  # who asks for them alone knows
        meant = typed("check", *PAPER, MINE, "mix.examples=3", "+seeds.where.is_classification=true")[1]
        assert "tasks are classification" not in meant


def test_label_words_that_differ_in_case(typed: Typed) -> None:
    """One label in two spellings is told with both lines, unless the tasks ask for just these spellings."""
    said = noted(
        typed,
        task("Is the review good or bad? It rained on us all day.", "Negative", label=True),
        task("What is the mood of the letter about the garden?", "negative ", label=True),
        task('Is nine odd? Reply "Yes" or "No".', "Yes", label=True),
        task("Is a whale a mammal (yes/no)?", "yes", label=True),
        task("How do people greet?", "Hello"),
        task("How else do friends greet?", "hello"),
    )
    assert "labels that differ only in case or spaces: 'Negative' (line 11), 'negative ' (line 12)" in said
    assert "'yes'" not in said
    assert "'hello'" not in said


def test_seeds_of_another_language_than_the_filters(typed: Typed) -> None:
    """The checks of the stage are tried on the seeds, and the right ones are named."""
    words = (
        "59 of 60 tasks filters.instructions.first_character_ascii",
        "60 of 60 tasks filters.instructions.word_count",
        "are seeds and filters of the same language? filters=",
        "filters=default_ja",
        "its tasks look like ja, but seeds.language is en: seeds.language=ja",
    )
    status, out, _ = typed("check", *PAPER, "seeds.path=seeds/general_ja.jsonl")
    assert status == 0
    for word in words:
        assert word in out
    assert "nearly repeated" not in out  # told by the tokenizer of the language that they are in
    assert "Latin letters, but seeds.language is ja" in typed("check", *PAPER, "seeds.language=ja")[1]


def test_one_task_in_another_script(typed: Typed) -> None:
    """It is told with its line."""
    assert "1 task is in another script than the rest: line 11" in noted(typed, task("Опиши старый маяк."))


def test_examples_that_nobody_replaced(typed: Typed) -> None:
    """What `new` wrote is pointed out until it is gone."""
    said = noted(typed, task("Name a river.", id="replace_me_1"), task("Sing.", id="replace_me_2"))
    assert "2 tasks are still the example that `selfinstruct new` wrote: lines 11, 12" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"instruction": "Grüße"}\n'.encode("utf-16"), "mine.jsonl: is not UTF-8 but UTF-16"),
        ('{"instruction": "Say hi"}\n'.encode("utf-16-le"), "mine.jsonl: is not UTF-8 but UTF-16"),
        (
            '{"instruction": "A"}\n{"instruction": "Grüße"}\n'.encode("latin-1"),
            "(line 2, where Latin-1 would",
        ),
    ],
)
def test_a_seed_file_in_another_encoding(typed: Typed, project: Path, content: bytes, words: str) -> None:
    """The encoding is named where it can be told, the line where it cannot, and the remedy."""
    (project / "mine.jsonl").write_bytes(content)
    status, _, err = typed("check", *PAPER, MINE)
    assert status == 1
    assert words in err
    assert "save it as UTF-8" in err


def test_a_seed_file_that_does_not_exist(typed: Typed, project: Path) -> None:
    """The nearest there is, among the user's and ours; else where it was looked for."""
    seed_file(project / "seeds/garden.jsonl")
    for typo, meant in (
        ("seeds/grden.jsonl", "seeds/garden.jsonl"),
        ("seeds/leagl.jsonl", "seeds/legal.jsonl"),
    ):
        status, _, err = typed("check", *PAPER, f"seeds.path={typo}")
        assert status == 1
        assert f"there is no file {typo}\n      did you mean '{meant}'?" in err
    assert f"looked in {project}" in typed("check", *PAPER, "seeds.path=nowhere.jsonl")[2]


def test_a_byte_order_mark_is_read_past(typed: Typed, project: Path) -> None:
    """In seeds and in recipes; editors write it unasked."""
    path = seed_file(project / "mine.jsonl")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_bytes(b"\xef\xbb\xbfdefaults: [paper, _self_]\ntarget: 7\n")
    status, out, err = typed("check", "recipe=mine", "model=scripted", MINE)
    assert status == 0, err
    assert "until 7 are accepted" in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"target: 5\nseed: 1\ntarget: 6\n", ["line 3: the key 'target' is there already, on line 1"]),
        (
            b"prompts:\n  classification:\n    parse:\n      choices:\n        yes: {}\n        on: {}\n",
            ["line 6: the key 'on' (read as True) is there already, on line 5"],
        ),
        (
            b"mix: {examples: 3,\n  examples: 4}\nseed: 1\nseed: 2\n",
            ["line 2: the key 'examples'", "line 4:"],
        ),
        (b"a: [1\n", ["line 1: is not valid YAML: a '[' is not closed in 'a: [1'"]),
        (b"a: 'x\nb: 1\n", ["line 1: is not valid YAML: a quotation mark is not closed"]),
        (
            b"a: 1\ntarget 100\n\n# so much\n\nmix: {}\n",
            ["line 2: is not valid YAML: no colon follows 'target 100'"],
        ),
        (b"target 100\nmix: {}\n", ["line 1: is not valid YAML: no colon follows 'target 100'"]),
        (b"a: b: c\n", ["line 1, column 5", "needs quotes around it"]),
        (b"a: 1\n  b: 2\n", ["line 2, column 4", "align it with the keys above"]),
        (b"mix:\n\texamples: 3\n", ["line 2, column 1: is not valid YAML", "not with a tab"]),
        (b"# Gr\xfc\xdfe\ntarget: 5\n", ["is not UTF-8 at byte 4 (line 1", "save it as UTF-8"]),
        ("target: 5\n".encode("utf-16"), ["is not UTF-8 but UTF-16"]),
    ],
)
def test_a_recipe_file_that_is_broken(typed: Typed, project: Path, content: bytes, words: list[str]) -> None:
    """The file, the line and the key; in ./recipes, and in ./conf where any recipe reads it."""
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_bytes(content)
    status, _, err = typed("check", "recipe=mine", "model=scripted")
    assert status == 1
    for word in ["recipes/mine.yaml: ", *words]:
        assert word in err
    (project / "conf/mix").mkdir(parents=True)
    (project / "recipes/mine.yaml").rename(project / "conf/mix/mine.yaml")
    status, _, err = typed("check", *PAPER)
    assert status == 1
    for word in ["conf/mix/mine.yaml: ", *words]:
        assert word in err


def test_ours_are_free_of_it() -> None:
    """Files that come with the package are not looked at when a command starts, so they are here."""
    from selfinstruct.project.layout import packaged
    from selfinstruct.project.textfiles import yaml_faults

    files = [path for folder in ("conf", "recipes") for path in (packaged() / folder).rglob("*.yaml")]
    assert len(files) > 20
    assert [(path, fault) for path in files for fault in yaml_faults(path.read_text(encoding="utf-8"))] == []
