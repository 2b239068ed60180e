"""Parsers: how the recipes set them up, and their options."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfinstruct.errors import Fault
from selfinstruct.parse import CUT, PARSERS, UNDECIDED, UNREADABLE, Parsed, Parser
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Reply

Recipes = Callable[[str], Recipe]
both = pytest.mark.parametrize("name", ["plain", "paper"])


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Recipes:
    """Recipes by name; `plain` is a user's that changes nothing of the default but the target."""
    project = tmp_path_factory.mktemp("project")
    (project / "recipes").mkdir()
    (project / "recipes" / "plain.yaml").write_text("target: 5\n", encoding="utf-8")
    return lru_cache(lambda name: compose([f"recipe={name}", "model=scripted"], project).recipe())


def parser(recipe: Recipe, stage: str, variant: str | None = None) -> Parser:
    """The parser of a stage's prompt, or of one of its variants."""
    return next(prompt.parse for prompt in recipe.stage(stage).prompts if prompt.name == variant)


def build(kind: str, **options: Any) -> Parser:
    """A parser with options of its own."""
    faults: list[Fault] = []
    made = PARSERS.build(kind, options, "parse", faults)
    assert made is not None, faults
    return made


def faults_of(kind: str, **options: Any) -> list[str]:
    """What is wrong with a parser's options."""
    faults: list[Fault] = []
    assert PARSERS.build(kind, options, "parse", faults) is None
    return [str(fault) for fault in faults]


def read(parse: Parser, text: str, cut: bool = False, shown: int = 8) -> list[Parsed]:
    """The candidates of a text, as the whole reply or as one cut by length."""
    return parse.read(Reply(text, "length" if cut else "stop"), shown)


def usable(pieces: list[Parsed]) -> list[dict[str, Any]]:
    """The fields of those that no check rejected."""
    return [piece.data for piece in pieces if piece.check is None]


class TestNumberedList:
    def items(self, recipe: Recipe, text: str) -> list[str]:
        """The instructions read from a reply."""
        return [data["instruction"] for data in usable(read(parser(recipe, "instructions"), text))]

    @both
    def test_items(self, recipes: Recipes, name: str) -> None:
        """A reply is split where a line starts with a number, an optional space, a dot and a space."""
        found = self.items(recipes(name), " Name a river.\n10. List two lakes.\n11 . Sort three seas.")
        assert found == ["Name a river.", "List two lakes.", "Sort three seas."]

    @both
    @pytest.mark.parametrize("text", ["Take 3. of them and 4. more.", "Take \n10.5 of them.", "Take 2016."])
    def test_other_numbers(self, recipes: Recipes, name: str, text: str) -> None:
        """A number within a line, or without dot and space after it, starts no item."""
        assert len(self.items(recipes(name), text)) == 1

    @both
    def test_whitespace(self, recipes: Recipes, name: str) -> None:
        """Whitespace within an item, line breaks too, is collapsed, and around it removed."""
        assert self.items(recipes(name), "  Name \t a\n  river. \n\n10.   Sort.  ") == [
            "Name a river.",
            "Sort.",
        ]

    @pytest.mark.parametrize(
        ("name", "said", "expected"),
        [
            ("plain", "explain what NASA does in Peru.", "Explain what NASA does in Peru."),
            ("paper", "explain what NASA does in Peru.", "Explain what nasa does in peru."),
        ],
    )
    def test_capitals(self, recipes: Recipes, name: str, said: str, expected: str) -> None:
        """The first letter is made a capital; the others stay, but in `paper` become lower case."""
        assert self.items(recipes(name), said) == [expected]

    @pytest.mark.parametrize("line", ["1.5 litres", " 10. Sort", "10) Sort", "10, 11", "10.Sort", "10．Sort"])
    def test_no_number_of_the_originals(self, recipes: Recipes, line: str) -> None:
        """In `paper` a line that starts otherwise belongs to the item before."""
        assert self.items(recipes("paper"), f"Name\n{line}") == [f"Name {line.strip().lower()}"]

    @pytest.mark.parametrize("line", ["1.5 litres", "10, 11", "3.14 times", "2016. It was", "10:30 at night"])
    def test_no_number(self, recipes: Recipes, line: str) -> None:
        """By default too, a number that is part of the text starts no item."""
        assert self.items(recipes("plain"), f"Name\n{line}") == [f"Name {line}"]

    @both
    def test_empty_pieces(self, recipes: Recipes, name: str) -> None:
        """An empty item is a candidate, for the filter to count; so is an empty reply."""
        assert self.items(recipes(name), "Name it.\n10. \n11. Sort it.") == ["Name it.", "", "Sort it."]
        assert self.items(recipes(name), " \n ") == [""]

    @pytest.mark.parametrize("text", [" 9. Name a river.\n10. Sort.", "9 . Name a river.\n10. Sort."])
    def test_first_number(self, recipes: Recipes, text: str) -> None:
        """The default removes a number that the reply repeats before its first item."""
        assert self.items(recipes("plain"), text) == ["Name a river.", "Sort."]

    def test_first_number_stays(self, recipes: Recipes) -> None:
        """`paper` leaves a repeated first number in the instruction."""
        assert self.items(recipes("paper"), "9. Name a river.\n10. Sort.") == ["9. name a river.", "Sort."]

    def test_cut_loses_the_last(self, recipes: Recipes) -> None:
        """By default a reply cut by length keeps its complete items; the last is rejected, not lost."""
        pieces = read(parser(recipes("plain"), "instructions"), "Name it.\n10. Sort it.\n11. Expl", cut=True)
        assert usable(pieces) == [{"instruction": "Name it."}, {"instruction": "Sort it."}]
        assert (pieces[-1].check, pieces[-1].data) == (CUT, {"instruction": "Expl"})

    def test_cut_loses_everything(self, recipes: Recipes) -> None:
        """In `paper` a reply cut by length yields nothing; its text is kept in one rejected candidate."""
        (piece,) = read(parser(recipes("paper"), "instructions"), "Name it.\n10. Sort it.", cut=True)
        assert (piece.check, piece.reason) == (CUT, "the reply reached max_tokens")
        assert piece.data == {"reply": "Name it.\n10. Sort it."}

    def test_field(self) -> None:
        """Items go into the field that the recipe names."""
        parse = build("numbered_list", field="question")
        assert parse.fields == ("question",)
        assert usable(read(parse, "why?\n2. how?")) == [{"question": "Why?"}, {"question": "How?"}]

    def test_capitals_takes_two_values(self) -> None:
        """Another value for `capitals` is a fault that names the two there are."""
        (fault,) = faults_of("numbered_list", capitals="upper")
        assert "parse.capitals" in fault
        assert "'keep' or 'lower'" in fault


class TestChoice:
    @both
    @pytest.mark.parametrize("answer", ["Yes", "yes", "YES", " Yes\n"])
    def test_yes(self, recipes: Recipes, name: str, answer: str) -> None:
        """Yes, yes and YES, stripped, mean a classification task."""
        assert usable(read(parser(recipes(name), "classification"), answer)) == [{"is_classification": True}]

    @both
    @pytest.mark.parametrize("answer", ["No", "no", "NO\n"])
    def test_no(self, recipes: Recipes, name: str, answer: str) -> None:
        """No, no and NO mean that it is none."""
        assert usable(read(parser(recipes(name), "classification"), answer)) == [{"is_classification": False}]

    @pytest.mark.parametrize("answer", ["yEs", "Yes.", "Yes, it", "It is", "", " \n"])
    def test_any_other_is_a_no_in_the_original(self, recipes: Recipes, answer: str) -> None:
        """In `paper` any other answer, an empty one too, means that it is none."""
        found = usable(read(parser(recipes("paper"), "classification"), answer))
        assert found == [{"is_classification": False}]

    def test_without_otherwise(self) -> None:
        """Without `otherwise` an answer that means no label is undecided, with the answers there are."""
        parse = build("choice", field="level", choices={"easy": {}, "hard": {"answers": ["Hard", "hard"]}})
        assert usable(read(parse, " easy ")) == [{"level": "easy"}]
        assert usable(read(parse, "Hard")) == [{"level": "hard"}]
        (piece,) = read(parse, "medium")
        assert piece.check == UNDECIDED
        assert piece.reason == "the answer 'medium' is none of easy, Hard, hard"

    def test_values(self) -> None:
        """A label stores itself unless it names a value, which may be null."""
        parse = build("choice", field="n", choices={"one": {"value": 1}, "none": {"value": None}, "two": {}})
        assert parse.values == {"n": (1, None, "two")}
        assert usable(read(parse, "none")) == [{"n": None}]

    def test_answer_of_two_labels(self) -> None:
        """One answer cannot mean two labels."""
        (fault,) = faults_of("choice", field="x", choices={"a": {"answers": ["1"]}, "b": {"answers": ["1"]}})
        assert "the answer '1' belongs to two labels" in fault

    def test_unknown_otherwise(self) -> None:
        """`otherwise` has to be one of the labels."""
        (fault,) = faults_of("choice", field="x", choices={"a": {}, "b": {}}, otherwise="c")
        assert "otherwise: 'c' is none of the labels a, b" in fault


class TestSections:
    def pairs(self, recipe: Recipe, text: str) -> list[tuple[str, str]]:
        """Input and output of each instance of an input-first reply."""
        pieces = usable(read(parser(recipe, "instances", "input_first"), text))
        return [(piece["input"], piece["output"]) for piece in pieces]

    @both
    @pytest.mark.parametrize("marks", ["Example 1|Example 2", "Example 1.|Example 2.", "Example|Example"])
    def test_examples(self, recipes: Recipes, name: str, marks: str) -> None:
        """Each `Example`, with a number and a dot or without, starts an instance."""
        first, second = marks.split("|")
        text = f"{first}\nTown: Oslo\nOutput: Cold.\n{second}\nTown: Rome\nOutput: Warm."
        assert self.pairs(recipes(name), text) == [("Town: Oslo", "Cold."), ("Town: Rome", "Warm.")]

    @both
    @pytest.mark.parametrize(
        ("text", "pair"),
        [
            ("Output: A poem.", ("", "A poem.")),
            ("Output 1 : A poem.", ("", "A poem.")),
            ("Town: Oslo\nOutput:\nCold.\nVery.", ("Town: Oslo", "Cold.\nVery.")),
        ],
    )
    def test_without_examples(self, recipes: Recipes, name: str, text: str, pair: tuple[str, str]) -> None:
        """A reply without `Example` but with an output field is one instance."""
        assert self.pairs(recipes(name), text) == [pair]

    @both
    def test_neither(self, recipes: Recipes, name: str) -> None:
        """A reply with neither `Example` nor an output field is unreadable, and kept."""
        (piece,) = read(parser(recipes(name), "instances", "input_first"), "I cannot say.")
        assert (piece.check, piece.data) == (UNREADABLE, {"reply": "I cannot say."})
        assert piece.reason == "the reply has neither a section nor a divider"

    @both
    def test_without_output_field(self, recipes: Recipes, name: str) -> None:
        """An example without an output field is all output, and its input is empty."""
        text = "Example 1\nTown: Oslo\nExample 2\nTown: Rome\nOutput: Warm."
        assert self.pairs(recipes(name), text) == [("", "Town: Oslo"), ("Town: Rome", "Warm.")]

    @pytest.mark.parametrize(
        ("name", "pairs"), [("plain", [("", "Warm.")]), ("paper", [("", "Gladly:"), ("", "Warm.")])]
    )
    def test_empty_pieces(self, recipes: Recipes, name: str, pairs: list[tuple[str, str]]) -> None:
        """Empty examples are dropped; text before the first one is an instance of its own in `paper` only."""
        text = "Gladly:\nExample 1\n \nExample 2\nOutput: Warm."
        assert self.pairs(recipes(name), text) == pairs

    @both
    @pytest.mark.parametrize(
        "text",
        [
            "Output: Cold.\nOutput: Warm.",
            "Output: Cold.\nInput: Rome",
            "Output: Cold.\nInput 2: Rome\nOutput: Warm.",
            "Example 1\nCold.\nInput: Rome",
        ],
    )
    def test_end_of_output(self, recipes: Recipes, name: str, text: str) -> None:
        """The output ends at a second output field and where a next input field starts."""
        assert self.pairs(recipes(name), text) == [("", "Cold.")]

    @both
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("Input: Oslo", "Oslo"),
            ("Input 1: Oslo", "Oslo"),
            ("Input: Oslo\nInput: Rome", "Oslo\nInput: Rome"),
            ("Town: Oslo", "Town: Oslo"),
            ("Town: Oslo\nInput: Rome", "Town: Oslo\nInput: Rome"),
        ],
    )
    def test_field_names(self, recipes: Recipes, name: str, given: str, expected: str) -> None:
        """Only a leading `Input` name is removed from the input; other field names stay."""
        assert self.pairs(recipes(name), f"Example 1\n{given}\nOutput: It.") == [(expected, "It.")]

    @pytest.mark.parametrize(
        ("name", "pairs"),
        [
            ("plain", [("Text: An Example 2 of it", "Short.")]),
            ("paper", [("", "Text: An"), ("of it", "Short.")]),
        ],
    )
    def test_example_in_a_line(self, recipes: Recipes, name: str, pairs: list[tuple[str, str]]) -> None:
        """`Example` within a line starts an instance in `paper` only."""
        assert self.pairs(recipes(name), "Example 1\nText: An Example 2 of it\nOutput: Short.") == pairs

    @pytest.mark.parametrize(
        ("name", "pairs"),
        [("plain", [("Log: Output: 3", "A log.")]), ("paper", [("Log:", "3")])],
    )
    def test_output_in_a_line(self, recipes: Recipes, name: str, pairs: list[tuple[str, str]]) -> None:
        """An output field within a line divides in `paper` only."""
        assert self.pairs(recipes(name), "Example 1\nLog: Output: 3\nOutput: A log.") == pairs

    @pytest.mark.parametrize(("name", "output"), [("plain", "Write Input: here."), ("paper", "Write")])
    def test_input_in_a_line(self, recipes: Recipes, name: str, output: str) -> None:
        """An input field within a line ends the output in `paper` only."""
        assert self.pairs(recipes(name), "Example 1\nOutput: Write Input: here.") == [("", output)]

    def test_longer_word(self, recipes: Recipes) -> None:
        """By default a line that starts with a longer word, such as `Examples`, starts no instance."""
        text = "Example 1\nTopic: birds\nExamples wanted: two\nOutput: Wren, owl."
        assert self.pairs(recipes("plain"), text) == [("Topic: birds\nExamples wanted: two", "Wren, owl.")]

    @both
    def test_cut(self, recipes: Recipes, name: str) -> None:
        """A reply cut by length loses its last instance, which is kept as rejected."""
        text = "Example 1\nOutput: Cold.\nExample 2\nTown: Rome\nOutput: Wa"
        pieces = read(parser(recipes(name), "instances", "input_first"), text, cut=True)
        assert [piece.check for piece in pieces] == [None, CUT]
        assert pieces[1].data == {"input": "Town: Rome", "output": "Wa"}

    def test_bad_pattern(self) -> None:
        """A mark that is no regular expression is a fault that says so."""
        marks = {"split": "(", "divider": "D", "end": "E", "lead": "L"}
        (fault,) = faults_of("sections", **marks, before="a", after="b")
        assert "parse.split: is not a valid regular expression" in fault


@both
class TestHeaded:
    def parse(self, recipe: Recipe) -> Parser:
        """The output-first parser."""
        return parser(recipe, "instances", "output_first")

    def test_blocks(self, recipes: Recipes, name: str) -> None:
        """The head's line is the label, which is the output, and all lines after it are the input."""
        text = "Class label: cold\nTown: Oslo\nMonth: May\nClass label:  warm \n\nTown: Rome\n"
        assert usable(read(self.parse(recipes(name)), text)) == [
            {"input": "Town: Oslo\nMonth: May", "output": "cold"},
            {"input": "Town: Rome", "output": "warm"},
        ]

    def test_before_the_first_head(self, recipes: Recipes, name: str) -> None:
        """What comes before the first head is dropped."""
        found = usable(read(self.parse(recipes(name)), "Sure!\nClass label: warm\nTown: Rome"))
        assert found == [{"input": "Town: Rome", "output": "warm"}]

    def test_without_input(self, recipes: Recipes, name: str) -> None:
        """A label without a line after it has an empty input."""
        found = usable(read(self.parse(recipes(name)), "Class label: cold\nClass label: warm"))
        assert found == [{"input": "", "output": "cold"}, {"input": "", "output": "warm"}]

    def test_without_head(self, recipes: Recipes, name: str) -> None:
        """A reply without a head is unreadable, and kept."""
        (piece,) = read(self.parse(recipes(name)), "class label: warm")
        assert piece.check == UNREADABLE
        assert (piece.reason or "").startswith("the reply has no ")
        assert piece.data == {"reply": "class label: warm"}

    def test_cut(self, recipes: Recipes, name: str) -> None:
        """A reply cut by length loses its last block, which is kept as rejected."""
        pieces = read(self.parse(recipes(name)), "Class label: cold\nOslo\nClass label: warm\nRo", cut=True)
        assert [piece.check for piece in pieces] == [None, CUT]
        assert pieces[1].data == {"input": "Ro", "output": "warm"}


def test_a_head_with_groups() -> None:
    """A head is a regular expression; its groups are no blocks."""
    parse = build("headed", head=r"(?m)^(Label|Class)( \d)?:", first_line="output", rest="input")
    found = usable(read(parse, "Label 1: cold\nClass: ice\nMy Label: 3\nLabel: (b)"))
    assert [(one["output"], one["input"]) for one in found] == [
        ("cold", ""),
        ("ice", "My Label: 3"),
        ("(b)", ""),
    ]
    (fault,) = faults_of("headed", head="(", first_line="output", rest="input")
    assert "parse.head" in fault
    assert "is not a valid regular expression" in fault


def fields(number: int, instruction: str, input: str = "<none>", output: str = "Done.") -> str:
    """A record of numbered fields."""
    return f"{number}. Instruction: {instruction}\n{number}. Input:\n{input}\n{number}. Output:\n{output}\n"


class TestNumberedFields:
    def read(self, recipes: Recipes, text: str, cut: bool = False, shown: int = 3) -> list[Parsed]:
        """The records of a reply to a prompt that showed so many."""
        return read(parser(recipes("alpaca"), "tasks"), text, cut, shown)

    def test_records(self, recipes: Recipes) -> None:
        """Records stand between ### marks, each under the next number; no letter is changed."""
        text = "###\n".join([fields(4, "name NASA's Boss", "Now"), fields(5, "Sort it.", "b\na", "a\nb")])
        assert usable(self.read(recipes, text)) == [
            {"instruction": "name NASA's Boss", "input": "Now", "output": "Done."},
            {"instruction": "Sort it.", "input": "b\na", "output": "a\nb"},
        ]

    def test_prompt_left_off(self, recipes: Recipes) -> None:
        """A reply may repeat the field name that the prompt ends with, or go on after it."""
        whole = fields(4, "Name it.")
        assert self.read(recipes, whole) == self.read(recipes, whole.removeprefix("4. Instruction:"))

    @pytest.mark.parametrize("word", ["<none>", "<NONE>", "None", "N/A", "n/a", ""])
    def test_empty_word(self, recipes: Recipes, word: str) -> None:
        """A word that stands for an empty input, in any case, becomes an empty input."""
        (data,) = usable(self.read(recipes, fields(4, "Name it.", word)))
        assert data["input"] == ""

    def test_empty_word_elsewhere(self, recipes: Recipes) -> None:
        """That word stays where it is only part of an input, or is an output."""
        (data,) = usable(self.read(recipes, fields(4, "Name it.", "None of it", "None")))
        assert (data["input"], data["output"]) == ("None of it", "None")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (fields(4, "Name it.").replace("4. Input:", ""), "it lacks Input"),
            (fields(4, "Name it.").replace("4. Output:", ""), "it lacks Output"),
            (fields(4, "Name it.").replace("Input", "Text"), "it lacks Input"),
            (
                fields(4, "Name it.").replace("Input", "X").replace("Output", "Input").replace("X", "Output"),
                "its fields are not in order",
            ),
            (fields(4, "Name it.") + "4. Output:\nMore.", "it has Output twice"),
        ],
        ids=["no input", "no output", "name", "order", "twice"],
    )
    def test_needs_all_fields(self, recipes: Recipes, text: str, reason: str) -> None:
        """A record without each field once, in order, is unreadable; the next one is read."""
        first, second = self.read(recipes, f"{text}\n###\n{fields(5, 'Sort it.')}")
        assert (first.check, first.reason, second.check) == (UNREADABLE, reason, None)

    def test_next_after_an_unreadable_one(self, recipes: Recipes) -> None:
        """After an unreadable record the next is expected under its own number."""
        pieces = self.read(
            recipes, "###\n".join([fields(4, "Name it."), "5. Nothing\n", fields(6, "Sort it.")])
        )
        assert [piece.check for piece in pieces] == [None, UNREADABLE, None]

    @pytest.mark.parametrize("shown", [1, 3, 9])
    def test_expected_number(self, recipes: Recipes, shown: int) -> None:
        """The first expected number follows the number of examples shown."""
        assert len(usable(self.read(recipes, fields(shown + 1, "Name it."), shown=shown))) == 1

    def test_cut(self, recipes: Recipes) -> None:
        """A reply cut by length loses its last record, which is kept as rejected."""
        pieces = self.read(recipes, fields(4, "Name it.") + "###\n5. Instruction: So", cut=True)
        assert [piece.check for piece in pieces] == [None, CUT]
        assert pieces[1].data == {"reply": "5. Instruction: So"}

    def test_last_separator(self, recipes: Recipes) -> None:
        """A ### mark at the end of a reply starts no record."""
        assert len(self.read(recipes, fields(4, "Name it.") + "###\n")) == 1

    def test_empty_of_no_field(self) -> None:
        """Empty words for a field that a record does not have are a fault."""
        (fault,) = faults_of("numbered_fields", separator="#", fields={"q": "Q"}, empty={"a": ["-"]})
        assert "empty: 'a' is none of the fields" in fault


INSTANCES: dict[str, Any] = {"fields": {"input": {"default": ""}, "output": {}}, "items": "instances"}
TASKS: dict[str, Any] = {"fields": {"instruction": {}}, "items": "tasks"}
YES_NO: dict[str, Any] = {
    "fields": {
        "is_classification": {
            "choices": {"true": {"answers": ["true", "Yes"], "value": True}, "false": {"value": False}}
        }
    },
    "single": True,
}
A, B = {"input": "a", "output": "b"}, {"input": "c", "output": "d"}
TWO = '{"input": "a", "output": "b"}, {"input": "c", "output": "d"}'


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            f'{{"instances": [{TWO}]}}',
            f"[{TWO}]",
            f"```json\n[{TWO}]\n```",
            f'Sure, "here" {{are}} [2] of them:\n[{TWO}]\nDo you like them?',
            '{"instances": [{"input": "a", "output": "b",}, {"input": "c", "output": "d"},],}',
            TWO.replace(", {", "\n{"),
            TWO.replace(", {", ",\n{"),
            f"[{TWO}]".replace(", {", "\n{"),
            f'{{"examples": [{TWO}]}}',
            f'{{"instances": [{TWO}]}}'.replace('"output": "b"', '"OUTPUT ": "b", "note": null'),
            f'{{"instances": [{TWO}',
            f'{{"instances": [{TWO}}}',
        ],
        ids=[
            "as asked",
            "bare list",
            "fence",
            "text around",
            "commas",
            "lines",
            "lines with commas",
            "comma missing",
            "other key",
            "case and more keys",
            "brackets missing",
            "wrong bracket",
        ],
    )
    def test_lenient(self, text: str) -> None:
        """Whatever stands around the objects or between them, each whole one is read as it is."""
        assert usable(read(build("json", **INSTANCES), text)) == [A, B]

    def test_one_object_for_a_list(self) -> None:
        """A bare object where a list was asked for is a list of one, with its key or without."""
        parse = build("json", **INSTANCES)
        assert usable(read(parse, '{"input": "a", "output": "b"}')) == [A]
        assert usable(read(parse, '{"instances": {"input": "a", "output": "b"}}')) == [A]

    def test_strings_for_objects(self) -> None:
        """Where objects have one field, strings are taken for them."""
        found = usable(read(build("json", **TASKS), '["Name it.", "Sort it."]'))
        assert found == [{"instruction": "Name it."}, {"instruction": "Sort it."}]

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            (r"line\nbreak \u00e9 \ud83d\ude00 \" \\ \/", 'line\nbreak é 😀 " \\ /'),
            ("line\nbreak\tand tab", "line\nbreak\tand tab"),
            (r"\d+ \\d \(x\) it\'s \u12", r"\d+ \d \(x\) it's \u12"),
            (r"half \ud83d", "half \ufffd"),
            ("[a, {b}: `c` ```d```", "[a, {b}: `c` ```d```"),
        ],
        ids=["escapes", "raw line break", "escapes of nothing", "half a character", "brackets and fences"],
    )
    def test_strings(self, written: str, expected: str) -> None:
        """Strings are what JSON says they are; a line break or a backslash in them may stand as it is."""
        (data,) = usable(read(build("json", **INSTANCES), f'[{{"output": "{written}"}}]'))
        assert data["output"] == expected

    @pytest.mark.parametrize(
        "tail",
        [
            '{"input": "c", "outp',
            '{"input": "c", "output": "d',
            '{"input": "c", "output": "d\\',
            '{"input": "c", "output": "d"',
            '{"input": "c", "output": {"d": [1',
            '{"input":',
            "{",
        ],
    )
    @pytest.mark.parametrize("cut", [True, False])
    def test_cut(self, tail: str, cut: bool) -> None:
        """The whole items of a list that ends in the middle are kept; the last is rejected with its text."""
        text = '{"instances": [{"input": "a", "output": "b"}, ' + tail
        first, last = read(build("json", **INSTANCES, non_strings="write"), text, cut=cut)
        assert (first.check, first.data) == (None, A)
        assert (last.check, last.reason) == (CUT, "the reply ends within this one")
        assert last.data == {"reply": tail}

    def test_cut_string(self) -> None:
        """So is the last string of a list of strings."""
        pieces = read(build("json", **TASKS), '["Name it.", "Sor', cut=True)
        assert [piece.check for piece in pieces] == [None, CUT]

    @pytest.mark.parametrize("text", ["", "Here are the", "<think>A list (of"])
    def test_cut_before_the_first(self, text: str) -> None:
        """A reply cut before its first item is cut, not unreadable."""
        (piece,) = read(build("json", **INSTANCES), text, cut=True)
        assert piece.check == CUT

    def test_cut_after_the_last(self) -> None:
        """A reply cut by length after its last bracket loses nothing."""
        found = usable(read(build("json", **INSTANCES), '[{"output": "b"}]\nI hope', cut=True))
        assert found == [{"input": "", "output": "b"}]

    @pytest.mark.parametrize(
        ("item", "reason"),
        [
            ('{"input": "a"}', "it lacks output"),
            ('{"input": "a", "output": null}', "it lacks output"),
            ('{"output": 3}', "output is not a string: 3"),
            ('{"output": ["x"]}', "output is not a string: ["),
            ('"b"', "it is not an object"),
            ('["b"]', "it is not an object"),
            ('{"output": "He said "hi" to me"}', "'hi' is in the wrong place"),
            ('{"output": "a", "b"}', "'b' has no value"),
            ('{"output": "use ": " here", "input": "x"}', "a colon is in the wrong place"),
            ('{"output": "a "" b"}', "' b' is in the wrong place"),
            ('{"output": nothing}', "'nothing' is not a value"),
            ('{"output": "b", "tags": ["x" "y"]}', "no comma"),
            ('{"output": "b", "tags": ["x", y]}', "'y' is not a value"),
            ('{"output": "b", "n": 1e999}', "'1e999' is not a value"),
        ],
    )
    def test_unreadable(self, item: str, reason: str) -> None:
        """An item that lacks something or is broken is rejected with the reason; its neighbours stay."""
        neighbour = '{"input": "a", "output": "b"}'
        first, piece, last = read(build("json", **INSTANCES), f"[{neighbour}, {item}, {neighbour}]")
        assert (first.data, piece.check, last.data) == (A, UNREADABLE, A)
        assert reason in (piece.reason or "")

    def test_no_json(self) -> None:
        """A reply without JSON is unreadable, and kept."""
        (piece,) = read(build("json", **INSTANCES), "I cannot help with that.")
        assert (piece.check, piece.reason) == (UNREADABLE, "the reply has no JSON")
        assert piece.data == {"reply": "I cannot help with that."}

    def test_keys_and_defaults(self) -> None:
        """A field may have another key in the reply, and a value for where it is null or missing."""
        parse = build("json", fields={"topic": {"key": "subject"}, "level": {"default": "any"}})
        assert parse.fields == ("topic", "level")
        assert usable(read(parse, '[{"subject": "a"}, {"subject": "b", "level": null}]')) == [
            {"topic": "a", "level": "any"},
            {"topic": "b", "level": "any"},
        ]

    @pytest.mark.parametrize(
        ("non_strings", "expected"),
        [("write", ["3", "true", '{"é": [1.5]}']), ("keep", [3, True, {"é": [1.5]}]), ("reject", [])],
    )
    def test_non_strings(self, non_strings: str, expected: list[Any]) -> None:
        """A value that is no string is rejected, written as JSON, or kept, as the recipe says."""
        parse = build("json", fields={"output": {}}, non_strings=non_strings)
        pieces = read(parse, '[{"output": 3}, {"output": true}, {"output": {"é": [1.5]}}]')
        assert [data["output"] for data in usable(pieces)] == expected
        assert len(pieces) == 3

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ('{"is_classification": true}', True),
            ('```json\n{"is_classification": false,}\n```', False),
            ('{"is_classification": "yes"}', True),
            ('{"is_classification": "False"}', False),
            ('{"is_classification": true} {"is_classification": true}', True),
            ('The {form} is clear.\n{"is_classification": true}', True),
            ("Yes.", True),
            ("`false`", False),
        ],
    )
    def test_label(self, text: str, value: bool) -> None:
        """A field with a closed set serves a label stage, and a bare answer is enough."""
        parse = build("json", **YES_NO)
        assert parse.values == {"is_classification": (True, False)}
        assert usable(read(parse, text)) == [{"is_classification": value}]

    @pytest.mark.parametrize(
        "text",
        [
            '{"is_classification": 1}',
            '{"is_classification": "maybe"}',
            '{"is_classification": null}',
            '{"is_classification": true} or {"is_classification": false}',
            "Yes and no.",
            "{}",
        ],
    )
    def test_no_label(self, text: str) -> None:
        """What is none of the values, or two of them, is rejected, never taken for one."""
        (piece,) = read(build("json", **YES_NO), text)
        assert piece.check == UNREADABLE

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 500_000,
            '[{"a":' * 100_000,
            '"' * 500_000,
            '["' + '\\"' * 250_000,
            '{"' * 250_000,
            "{]" * 250_000,
            "{}" * 30_000,
            '[""' + '"' * 200_000,
            "[" + "," * 500_000,
            '{"tasks": [' + "9" * 500_000 + "]}",
            '{"instances": [' + '{"output": "a"},' * 30_000,
        ],
        ids=lambda text: str(text[:12]),
    )
    def test_hostile(self, text: str) -> None:
        """Half a megabyte of brackets or quotes takes seconds at most, and no recursion."""
        began = time.process_time()
        for options in (INSTANCES, TASKS, YES_NO):
            read(build("json", **options), text)
        assert time.process_time() - began < 15

    def test_too_deep(self) -> None:
        """What is nested deeper than any answer is unreadable."""
        (piece,) = read(build("json", **TASKS), '[{"instruction": ' + "[" * 100)
        assert piece.check == UNREADABLE
        assert "nested deeper" in (piece.reason or "")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"fields": {}}, "name at least one"),
            ({"fields": {"a": {}}, "items": "x", "single": True}, "so leave out items"),
            ({"fields": {"a": {"kee": "b"}}}, "unknown key 'kee'"),
            ({"fields": {"a": {}}, "non_strings": "drop"}, "parse.non_strings"),
            (
                {"fields": {"a": {"choices": {"b": {"answers": ["x"]}, "c": {"answers": ["x"]}}}}},
                "the answer 'x' belongs to two labels",
            ),
        ],
    )
    def test_faults(self, options: dict[str, Any], said: str) -> None:
        """Options that do not fit together are faults of the recipe."""
        (fault,) = faults_of("json", **options)
        assert said in fault


TEXTS = st.text("ab é\\\"'[]{},:\n`日😀", max_size=12)
OBJECTS = st.lists(st.fixed_dictionaries({"input": TEXTS, "output": TEXTS}), max_size=4)


class TestLenient:
    @given(OBJECTS, st.booleans(), st.sampled_from([None, 2]))
    def test_as_json(self, objects: list[dict[str, str]], ascii: bool, indent: int | None) -> None:
        """What is JSON is read as JSON is, whatever the strings hold."""
        text = json.dumps({"instances": objects}, ensure_ascii=ascii, indent=indent)
        assert usable(read(build("json", **INSTANCES), text)) == objects

    @given(OBJECTS, st.data())
    def test_cut_anywhere(self, objects: list[dict[str, str]], data: st.DataObject) -> None:
        """A reply cut at any character keeps the objects that are whole, and makes up none."""
        text = json.dumps({"instances": objects})
        end = data.draw(st.integers(0, len(text)))
        kept = usable(read(build("json", **INSTANCES), text[:end], cut=True))
        whole = [place for place in range(1, end + 1) if _is_list(text[:place] + "]}")]
        assert kept == (json.loads(text[: whole[-1]] + "]}")["instances"] if whole else [])

    @given(st.text('[]{}",:\\ \natrue1é', max_size=60), st.booleans())
    def test_anything(self, text: str, cut: bool) -> None:
        """No text is an error."""
        for options in (INSTANCES, TASKS, YES_NO):
            read(build("json", **options), text, cut)


def _is_list(text: str) -> bool:
    try:
        return bool(json.loads(text)["instances"])
    except ValueError:
        return False


class TestText:
    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            (" A text.\n", "A text."),
            ("```\nA text.\n```", "A text."),
            ('```markdown\n"A text."\n```', "A text."),
            ("“A text.”", "A text."),
            ("「詩」", "詩"),
            ('"Yes" or "no"', '"Yes" or "no"'),
            ('"', '"'),
            ("```py\na\n```\nand\n```py\nb\n```", "```py\na\n```\nand\n```py\nb\n```"),
        ],
    )
    def test_stripped(self, said: str, expected: str) -> None:
        """A fence or quotes around all of it go where the recipe says so; within it they stay."""
        parse = build("text", field="output", strip_fence=True, strip_quotes=True)
        assert usable(read(parse, said)) == [{"output": expected}]

    def test_as_it_is(self) -> None:
        """Otherwise only space around it goes."""
        assert usable(read(build("text", field="output"), ' "A"\n\nb \n')) == [{"output": '"A"\n\nb'}]

    def test_cut(self) -> None:
        """A text cut by length is rejected, and kept."""
        (piece,) = read(build("text", field="output"), "Half a", cut=True)
        assert (piece.check, piece.data) == (CUT, {"reply": "Half a"})


def test_unknown_parser() -> None:
    """An unknown parser is answered with the nearest name."""
    (fault,) = faults_of("numberd_list")
    assert "unknown parser 'numberd_list'" in fault
    assert "did you mean 'numbered_list'?" in fault
