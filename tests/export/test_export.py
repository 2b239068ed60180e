"""Exports: the rows of each format, and what is left out of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import lines, seed_file
from jsonschema import Draft202012Validator

from selfinstruct import Run, run
from selfinstruct.errors import Fault
from selfinstruct.export import EXPORTS, Export, convert
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import ACCEPTED, REJECTED, Record

FORMATS = ["prompt_completion", "alpaca", "chat", "sharegpt"]
END = "<|endoftext|>"
SORT = {"instruction": "Sort.", "input": "b a", "output": "a b"}
SING = {"instruction": "Sing.", "input": "", "output": "La."}
PLAIN = {
    "with_input": {"only": {"prompt": "{{ instruction }}|{{ input }}", "completion": "{{ output }}"}},
    "without_input": {"only": {"prompt": "{{ instruction }}", "completion": "{{ output }}"}},
}


def build(name: str, **options: Any) -> Export:
    """A format with these options."""
    faults: list[Fault] = []
    options = {**PLAIN, **options} if name == "prompt_completion" else options
    shuffle = options.pop("shuffle", False)
    made = EXPORTS.build(name, options, f"export.{name}", faults)
    assert made is not None, faults
    return replace(made, shuffle=shuffle)


def faults_of(name: str, **options: Any) -> list[str]:
    """What is wrong with a format's options."""
    faults: list[Fault] = []
    assert EXPORTS.build(name, options, f"export.{name}", faults) is None
    return [str(fault) for fault in faults]


def record(place: int = 0, **data: Any) -> Record:
    """An accepted record; it has an instruction, an input and an output unless the fields are given."""
    fields = data or {"instruction": f"Sort list {place}.", "input": "b a", "output": "a b"}
    return Record(f"instances-{place}", "instances", place, 0, fields, fate=ACCEPTED)


def row(export: Export, data: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """The row of a record with these fields."""
    return export.convert(dict(data), random.Random(seed))


def encoded(input: str, **options: Any) -> str:
    """An input as the paper's format writes it, in a layout that shows nothing else of it."""
    made = build("prompt_completion", **{"strip_field_name": 1.0, **options})
    prompt = row(made, {"instruction": "Sing.", "input": input, "output": "La."})["prompt"]
    return str(prompt).removeprefix("Sing.").removeprefix("|")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A recipe with every format as it comes."""
    return compose(["recipe=paper", "model=scripted"], tmp_path_factory.mktemp("project")).recipe()


class TestRows:
    def test_alpaca(self) -> None:
        """Alpaca's rows have an instruction, an input and an output, and nothing else."""
        made = row(build("alpaca"), {**SORT, "is_classification": False})
        assert made == SORT

    def test_alpaca_without_input(self) -> None:
        """A record without an input has an empty one there."""
        assert row(build("alpaca"), {"instruction": "Sing.", "output": "La."})["input"] == ""

    def test_alpaca_fields(self) -> None:
        """The fields to write are the recipe's to name."""
        made = build("alpaca", instruction="question", input="context", output="answer")
        assert row(made, {"question": "Why?", "context": "Here.", "answer": "So."}) == {
            "instruction": "Why?",
            "input": "Here.",
            "output": "So.",
        }

    @pytest.mark.parametrize(
        ("name", "rows", "who", "what", "roles"),
        [
            ("chat", "messages", "role", "content", ["system", "user", "assistant"]),
            ("sharegpt", "conversations", "from", "value", ["system", "human", "gpt"]),
        ],
    )
    def test_turns(self, name: str, rows: str, who: str, what: str, roles: list[str]) -> None:
        """A chat row has a system message where there is one, then a user's and the answer."""
        said = ["Be kind.", "Sort.\n\nb a", "a b"]
        turns = [{who: role, what: text} for role, text in zip(roles, said, strict=True)]
        assert row(build(name, system="Be kind."), SORT) == {rows: turns}
        assert row(build(name), SORT) == {rows: turns[1:]}

    @pytest.mark.parametrize("name", ["chat", "sharegpt"])
    @pytest.mark.parametrize("data", [{"input": ""}, {}])
    def test_user_without_input(self, name: str, data: dict[str, str]) -> None:
        """Without an input the user's message is the instruction alone."""
        (turns,) = row(build(name), {"instruction": "Sing.", "output": "La.", **data}).values()
        assert "Sing." in turns[0].values()

    @pytest.mark.parametrize("name", ["chat", "sharegpt"])
    def test_user_template(self, name: str) -> None:
        """The user's message is a template over the record's fields."""
        made = build(name, user="{{ question }} ({{ level }})", output="answer")
        (turns,) = row(made, {"question": "Why?", "level": 3, "answer": "So."}).values()
        assert "Why? (3)" in turns[0].values()
        assert "So." in turns[1].values()


@pytest.mark.parametrize("name", FORMATS)
class TestSchema:
    def test_is_valid(self, recipe: Recipe, name: str) -> None:
        """A format's schema is valid, and its rows satisfy it."""
        export = recipe.exports[name]
        Draft202012Validator.check_schema(export.schema)
        rows, rejected = convert(name, export, [record(place) for place in range(20)], 0)
        assert (len(rows), rejected) == (20, [])
        assert all(Draft202012Validator(export.schema).is_valid(one) for one in rows)

    def test_refuses_other_keys(self, recipe: Recipe, name: str) -> None:
        """A row with a key more than the format has does not satisfy its schema."""
        export = recipe.exports[name]
        more = {**row(export, SING), "more": 1}
        assert not Draft202012Validator(export.schema).is_valid(more)

    @pytest.mark.parametrize("lacking", ["instruction", "output"])
    @pytest.mark.parametrize("value", [None, "", " \n"], ids=["no field", "empty", "blank"])
    def test_record_lacks_a_field(self, recipe: Recipe, name: str, lacking: str, value: str | None) -> None:
        """A record without an instruction or an output is rejected by `schema`, which says where."""
        data = {key: text for key, text in {**SING, lacking: value}.items() if text is not None}
        rows, (rejected,) = convert(name, recipe.exports[name], [record(1, **data), record(2)], 0)
        assert len(rows) == 1
        assert (rejected.id, rejected.fate, rejected.check) == ("instances-1", REJECTED, "schema")
        assert rejected.stage == f"export.{name}"
        assert rejected.reason
        assert rejected.detail["path"].startswith("$")


@pytest.mark.parametrize("name", ["chat", "sharegpt"])
@pytest.mark.parametrize("lacking", ["instruction", "output"])
def test_system_message_stands_for_no_other(name: str, lacking: str) -> None:
    """With a system message too, a record without an instruction or an output is rejected by `schema`."""
    data = {key: text for key, text in SING.items() if key != lacking}
    rows, rejected = convert(name, build(name, system="Be kind."), [record(1, **data)], 0)
    assert rows == []
    assert [one.check for one in rejected] == ["schema"]


class TestLayouts:
    def shapes(self, recipe: Recipe, input: str) -> Counter[tuple[str, str]]:
        """How often each layout is drawn."""
        export = recipe.exports["prompt_completion"]
        rows = [row(export, {**SORT, "input": input}, seed) for seed in range(600)]
        return Counter((one["prompt"], one["completion"]) for one in rows)

    @pytest.mark.parametrize(("input", "count"), [("b a", 7), ("", 6), (" \n", 6)])
    def test_all_are_used(self, recipe: Recipe, input: str, count: int) -> None:
        """With an input 7 layouts that differ are drawn about as often as each other, without one 6."""
        shapes = self.shapes(recipe, input)
        assert len(shapes) == count
        assert min(shapes.values()) > 600 / count * 0.7
        assert max(shapes.values()) < 600 / count * 1.3

    @pytest.mark.parametrize("input", ["b a", ""])
    def test_hold_everything(self, recipe: Recipe, input: str) -> None:
        """Each layout shows the instruction and the input; the completion is the output and the end mark."""
        for prompt, completion in self.shapes(recipe, input):
            assert "Sort." in prompt
            assert input in prompt
            assert "a b" not in prompt
            space = " " if prompt.endswith("Output:") else ""
            assert completion == f"{space}a b{END}"

    def test_are_the_originals(self, recipe: Recipe) -> None:
        """Exactly the 7 and 6 layouts of the released code, with its end mark."""
        labelled, bare = f" a b{END}", f"a b{END}"
        assert set(self.shapes(recipe, "b a")) == {
            ("Sort.\nInput: b a\nOutput:", labelled),
            ("Sort.\n\nInput: b a\n\nOutput:", labelled),
            ("Task: Sort.\nInput: b a\nOutput:", labelled),
            ("Sort.\n\nb a\n\nOutput:", labelled),
            ("Sort.\n\nb a\n\n", bare),
            ("Sort.\nb a\n\n", bare),
            ("Task: Sort.\n\nb a\n\n", bare),
        }
        assert set(self.shapes(recipe, "")) == {
            ("Sort. Output:", labelled),
            ("Sort.\nOutput:", labelled),
            ("Sort.\n\nOutput:", labelled),
            ("Sort.\n", bare),
            ("Sort.\n\n", bare),
            ("Task: Sort.\n\n", bare),
        }

    @pytest.mark.parametrize("name", ["prompt_completion", "all_de", "all_ja", "all_zh"])
    def test_no_mark_of_a_tokenizer(self, project: Path, name: str) -> None:
        """Where not the paper's layouts are meant, a completion is the output and nothing after it."""
        made = compose(["recipe=paper", "model=scripted", f"export={name}"], project).recipe().exports
        row_ = row(made["prompt_completion"], SORT)
        assert row_["completion"].strip() == "a b"

    def test_input_is_labelled_only_where_there_is_one(self, recipe: Recipe) -> None:
        """No layout names an input that is not there."""
        assert not any("Input" in prompt for prompt, _ in self.shapes(recipe, ""))

    def test_blanks_around_fields(self) -> None:
        """Blanks around the fields are removed."""
        made = row(build("prompt_completion"), {key: f"\n{text} " for key, text in SORT.items()})
        assert made == {"prompt": "Sort.|b a", "completion": "a b"}

    def test_end_mark(self) -> None:
        """The end mark is the recipe's, and there is none unless it sets one."""
        assert row(build("prompt_completion", end="</s>"), SING)["completion"] == "La.</s>"
        assert row(build("prompt_completion"), SING)["completion"] == "La."

    def test_faults(self) -> None:
        """Layouts are needed for both, and each is tried out when a recipe is checked."""
        only = {"only": {"prompt": "{{ instruction }}", "completion": "{{ output }}"}}
        (none,) = faults_of("prompt_completion", with_input=only, without_input={})
        assert "with_input and without_input need at least one layout each" in none
        wrong = {"only": {"prompt": "{{ instrution }}", "completion": "{{ output }}"}}
        (undefined,) = faults_of("prompt_completion", with_input=only, without_input=wrong)
        assert "did you mean 'instruction'?" in undefined


class TestFieldNames:
    @pytest.mark.parametrize(
        ("input", "expected"),
        [
            ("Sentence: It rains.", "It rains."),
            ("Sentence:\nIt rains.", "It rains."),
            ("First line.\nSentence: It rains.", "It rains."),
            ("Name: Ann\nName: Ben", "Ann\nName: Ben"),
            ("Question: Why?\nContext: Here.", "Question: Why?\nContext: Here."),
            ("It rains.", "It rains."),
            ("It rains : often", "It rains : often"),
            ("Sentence:", ""),
        ],
    )
    def test_always(self, input: str, expected: str) -> None:
        """With probability 1 an input with one distinct name loses all up to its first colon."""
        assert encoded(input) == expected

    @pytest.mark.parametrize("input", ["Sentence: It rains.", "a\n\nb", "https://a.example"])
    def test_never(self, input: str) -> None:
        """With probability 0 an input stays as it is."""
        assert encoded(input, strip_field_name=0.0) == input

    def test_half(self) -> None:
        """With probability 0.5 about half of the inputs lose theirs."""
        export = build("prompt_completion", strip_field_name=0.5)
        data = {**SORT, "input": "Sentence: It rains."}
        kept = sum("Sentence" in row(export, data, seed)["prompt"] for seed in range(1000))
        assert 440 < kept < 560

    @pytest.mark.parametrize(
        ("url", "stripped"),
        [
            ("https://a.example/b", "//a.example/b"),
            ("See http://a.example", "//a.example"),
            ("mailto:ann@a.example", "ann@a.example"),
        ],
    )
    def test_url_scheme(self, url: str, stripped: str) -> None:
        """The scheme of a URL is no name, but counts as one where the recipe wants the original's rule."""
        assert encoded(url) == url
        assert encoded(url, keep_url_scheme=False) == stripped

    @pytest.mark.parametrize(
        ("input", "expected"),
        [
            ("Sentence: It rains.", "It rains."),
            ("Dear all,\nthree things: salt, oil, rice.", "Dear all,\nthree things: salt, oil, rice."),
            ("if wet:\n    stay()", "if wet:\n    stay()"),
            ("try:\n    stay()", "try:\n    stay()"),
            ("at 10:30", "at 10:30"),
            ("10:30 on the stairs", "10:30 on the stairs"),
            ("3:1 in our favour", "3:1 in our favour"),
            ("集合は10:30です。", "集合は10:30です。"),
            ("Time: 10:30", "10:30"),
            ("Sum: 12", "12"),
            ("Line 1: 3 eggs", "Line 1: 3 eggs"),
            ("L1: 3 eggs", "3 eggs"),
        ],
    )
    def test_name_first(self, input: str, expected: str) -> None:
        """Where only a name at the beginning counts, letters and code keep what stands before a colon."""
        assert encoded(input, name_first=True) == expected

    def test_times_in_the_original(self) -> None:
        """Where a name may stand anywhere, as in the original, a time counts as one."""
        assert encoded("at 10:30") == "30"

    def test_blank_lines(self) -> None:
        """Where names are removed, blank lines are folded; the indent of lines stays."""
        assert encoded("a\n\nb\n \t\n\n  c\nd") == "a\nb\n  c\nd"

    @pytest.mark.parametrize(
        ("input", "expected"),
        [("a\n\nb", "a\nb"), ("a\n\n\nb", "a\n\nb"), ("a\n\n\n\nb", "a\n\nb"), ("a\n \t\nb", "a\n \t\nb")],
    )
    def test_blank_lines_in_the_original(self, recipe: Recipe, input: str, expected: str) -> None:
        """There two line breaks in a row become one, once, and lines of blanks stay."""
        keys = recipe.config.export["prompt_completion"].options
        assert encoded(input, fold=keys["fold"]) == expected

    def test_without_what_is_left(self) -> None:
        """An input of which nothing is left gets a layout for records without one."""
        made = build("prompt_completion", strip_field_name=1.0)
        assert row(made, {**SORT, "input": "A:"}) == {"prompt": "Sort.", "completion": "a b"}

    def test_probability_out_of_range(self) -> None:
        """The probability has to lie between 0 and 1."""
        (fault,) = faults_of("prompt_completion", **PLAIN, strip_field_name=1.5)
        assert "export.prompt_completion.strip_field_name" in fault


class TestConvert:
    def test_duplicates_of_long_before(self) -> None:
        """A duplicate is found, and names the first one, however many records are between them."""
        records = [record(place, **{**SORT, "instruction": f"Sort {place % 400}."}) for place in range(450)]
        rows, rejected = convert("alpaca", build("alpaca"), records, 0)
        assert [row["instruction"] for row in rows] == [f"Sort {place}." for place in range(400)]
        assert [(one.id, one.detail["nearest"]) for one in rejected] == [
            (f"instances-{place}", f"instances-{place - 400}") for place in range(400, 450)
        ]

    @pytest.mark.parametrize("name", FORMATS)
    def test_duplicates(self, name: str) -> None:
        """A row equal to an earlier one is rejected by `duplicate`, which names the record of that one."""
        records = [record(1, **SING), record(2), record(3, **SING), record(4, **{**SING, "output": "Li."})]
        rows, (rejected,) = convert(name, build(name), records, 0)
        assert len(rows) == 3
        assert (rejected.id, rejected.check, rejected.reason) == (
            "instances-3",
            "duplicate",
            "an exact duplicate",
        )
        assert rejected.detail == {"nearest": "instances-1", "score": 1.0}

    @pytest.mark.parametrize("name", FORMATS)
    def test_order(self, name: str) -> None:
        """Rows are in the order of the records, unless the recipe has them shuffled."""
        records = [record(place) for place in range(30)]
        rows = convert(name, build(name, shuffle=False), records, 0)[0]
        places = [
            next(place for place in records if place.data["instruction"] in json.dumps(one)) for one in rows
        ]
        assert places == records
        shuffled = convert(name, build(name, shuffle=True), records, 0)[0]
        assert shuffled != rows
        assert sorted(map(str, shuffled)) == sorted(map(str, rows))

    def test_seeded(self, recipe: Recipe) -> None:
        """The same seed writes the same rows in the same order, another seed others."""
        export, records = recipe.exports["prompt_completion"], [record(place) for place in range(30)]
        first, again, other = (convert("set", export, records, seed)[0] for seed in (1, 1, 2))
        assert first == again
        assert sorted(map(str, first)) != sorted(map(str, other))

    def test_choices_are_each_records_own(self, recipe: Recipe) -> None:
        """What is drawn for a record does not depend on the records beside it."""
        export, records = recipe.exports["prompt_completion"], [record(place) for place in range(30)]
        every = {str(one) for one in convert("set", export, records, 0)[0]}
        assert {str(one) for one in convert("set", export, records[10:20], 0)[0]} <= every


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on 12 seeds, of which two have the same fields, that writes all formats, one with its seeds."""
    project = tmp_path_factory.mktemp("project")
    seeds = seed_file(project / "mine.jsonl")
    again = {**lines(seeds)[3], "id": "again"}
    seeds.write_text(seeds.read_text(encoding="utf-8") + json.dumps(again) + "\n", encoding="utf-8")
    overrides = ["model=scripted", "target=6", "seeds.path=mine.jsonl", "export.chat.seed_tasks=true"]
    return run("paper", overrides, project=project, quiet=True)


def dataset(done: Run, name: str) -> str:
    """The text of one of a run's datasets."""
    return (done.folder / "dataset" / f"{name}.jsonl").read_text(encoding="utf-8")


class TestRun:
    @pytest.mark.parametrize(
        ("name", "counts"),
        [("prompt_completion", {12, 13}), ("chat", {12}), ("alpaca", {0}), ("sharegpt", {0})],
    )
    def test_seed_tasks(self, done: Run, name: str, counts: set[int]) -> None:
        """Seed tasks are written where the recipe says so, beside every record of the last stage."""
        text = dataset(done, name)
        assert text.count("Say something number") in counts
        assert all(one["output"] in text for one in done.records("instances"))

    def test_rejected(self, done: Run) -> None:
        """What an export leaves out is told in rejected.jsonl, with the export, the check and the reason."""
        left_out = [one for one in done.records("rejected") if one["stage"] == "export.chat"]
        (again,) = [one for one in left_out if one["id"].startswith("again")]
        assert (again["check"], again["reason"]) == ("duplicate", "an exact duplicate")
        assert again["nearest"].startswith("seed_3")

    def test_shuffled(self, done: Run) -> None:
        """The paper's format is shuffled: seed tasks stand between the others."""
        are_seeds = [
            "Say something number" in line for line in dataset(done, "prompt_completion").splitlines()
        ]
        assert are_seeds not in (sorted(are_seeds), sorted(are_seeds, reverse=True))

    @pytest.mark.parametrize(
        "without",
        [["export=none"], ["export={}"], ["export=null"], ["~export"], [f"~export.{x}" for x in FORMATS]],
    )
    def test_none(self, project: Path, without: list[str]) -> None:
        """Without any export the records alone are written."""
        assert compose(["recipe=paper", "model=scripted", *without], project).recipe().exports == {}

    @pytest.mark.parametrize("exports", [["alpaca"], ["prompt_completion"], ["alpaca", "chat"]])
    def test_some(self, project: Path, exports: list[str]) -> None:
        """A recipe's own exports make way for those chosen, one or several."""
        chosen = f"export=[{','.join(exports)}]" if len(exports) > 1 else f"export={exports[0]}"
        made = compose(["recipe=paper", "model=scripted", chosen], project).recipe().exports
        assert list(made) == exports

    def test_a_run_without_any(self, project: Path) -> None:
        """The records, no dataset."""
        done = run("paper", ["model=scripted", "target=2", "export=none"], project=project, quiet=True)
        assert len(done.records("instances")) > 0
        assert not (done.folder / "dataset").exists()

    def test_every_instance_of_a_seed(self, project: Path) -> None:
        """A seed task with several instances is a row each."""
        instances = [{"input": str(place), "output": f"It is {place}."} for place in range(3)]
        seed_file(project / "mine.jsonl", instances=instances)
        overrides = ["model=scripted", "target=1", "seeds.path=mine.jsonl", "export.alpaca.seed_tasks=true"]
        made = lines(run("paper", overrides, project=project, quiet=True).folder / "dataset" / "alpaca.jsonl")
        assert sum("Say something number" in one["instruction"] for one in made) == 36
