"""Nothing that a model wrote vanishes, and no mark or stop string of ours cuts a text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfinstruct.errors import Fault
from selfinstruct.parse import PARSERS, UNDECIDED, UNREADABLE, Parsed, Parser
from selfinstruct.parse.marks import unmarked
from selfinstruct.parse.reading import candidates
from selfinstruct.parse.replies import THINKING_CUT
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Reply

Recipes = Callable[[str], Recipe]
A, B, C = "Name a river.", "List two lakes.", "Sort three seas."


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Recipes:
    """Recipes by name; `plain` is a user's that changes nothing of the default but the target."""
    project = tmp_path_factory.mktemp("project")
    (project / "recipes").mkdir()
    (project / "recipes" / "plain.yaml").write_text("target: 5\n", encoding="utf-8")
    return lru_cache(lambda name: compose([f"recipe={name}", "model=scripted"], project).recipe())


def build(kind: str, **options: Any) -> Parser:
    """A parser with options of its own."""
    faults: list[Fault] = []
    made = PARSERS.build(kind, options, "parse", faults)
    assert made is not None, faults
    return made


def usable(pieces: list[Parsed]) -> list[dict[str, Any]]:
    """The fields of those that no check rejected."""
    return [piece.data for piece in pieces if piece.check is None]


def items(text: str, **options: Any) -> list[str]:
    """The instructions of a list, read after eight examples."""
    found = build("numbered_list", **options).read(Reply(text), 8)
    return [piece.data["instruction"] if piece.check is None else f"({piece.check})" for piece in found]


class TestLists:
    @pytest.mark.parametrize(
        "mark",
        [
            "{}. ",
            "{}) ",
            "{}.",
            "({}) ",
            "**{}.** ",
            "**{})** ",
            "{}．",
            "{} - ",
            "{}: ",
            "{}、",
            "#{} ",
            "### {}. ",
            "Task {}: ",
            "Task {}. ",
            "**Task {}:** ",
            "### Task {}\n",
            "- {}. ",
            "  {}. ",
            "[{}] ",
            "{} . ",
            "> {}. ",
        ],
    )
    @pytest.mark.parametrize("first", [9, 1])
    def test_numbers(self, mark: str, first: int) -> None:
        """However a model writes the numbers, from the prompt's on or from one, each line is an item."""
        if mark.startswith(">"):
            mark = mark.removeprefix("> ")
        lines = [mark.format(number) + text for number, text in enumerate((A, B, C), first)]
        assert items("\n".join(lines)) == [A, B, C]
        assert items("\n\n".join(lines)) == [A, B, C]
        if first == 9:
            assert items("\n".join([A, *lines[1:]])) == [A, B, C]  # where the prompt left off

    @pytest.mark.parametrize("mark", ["- ", "* ", "• ", "•", "  - ", "– ", "・", "Task: ", "1. "])
    def test_bullets(self, mark: str) -> None:
        """Without numbers of their own, bullets are items."""
        assert items("\n".join(mark + text for text in (A, B, C))) == [A, B, C]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (f"9. {A}\n10. Order:\n   1. a\n   2. b\n11. {C}", [A, "Order: 1. a 2. b", C]),
            (f" Order these:\n1. a\n2. b\n10. {B}", ["Order these: 1. a 2. b", B]),
            (f"9. Compare\n- a\n- b\n10. {B}", ["Compare - a - b", B]),
            (f"9. Name\nit\nwell.\n10. {B}", ["Name it well.", B]),
            (f"**9. {A}**\n**10. {B}**", [A, B]),
            (f"9. {A} 10. {B} 11. {C}", [A, B, C]),
            (f"9. {A}\n10. {B}\n1. {C}\n2. {A}", [A, B, C, A]),
            (f"Here you go:\n\n9. {A}\n10. {B}", ["(unreadable)", A, B]),
            (f"9. Sort\n1. a\n2. b\n10. {B}", ["(unreadable)", B]),
            (f"Sure:\n- {A}\n- {B}", ["(unreadable)"]),
            (f"{A}\n{B}\n{C}", ["(unreadable)"]),
            ("Explain it.\nif x:\n    y()\n    z()", ["Explain it. if x: y() z()"]),
            (f"i. {A}\nii. {B}\niii. {C}", ["(unreadable)"]),
            (f"a) {A}\nb) {B}", ["(unreadable)"]),
            (f"```\n9. {A}\n10. {B}\n```", [A, B]),
            (f"① {A}\n② {B}", [A, B]),
        ],
    )
    def test_items_of_several_lines(self, text: str, expected: list[str]) -> None:
        """A list within an item belongs to it; what cannot be told apart is rejected, and never one text."""
        assert items(text) == expected

    @pytest.mark.parametrize(
        "text", [f"9) {A}\n10) {B}", f"9.{A}\n10.{B}", f"9．{A}\n10．{B}", f"- {A}\n- {B}"]
    )
    def test_the_originals_marks(self, text: str) -> None:
        """The original's rule knows one mark."""
        assert len(items(text, marks="original", strip_first_number=False)) == 1

    @given(
        st.lists(st.sampled_from([A, B, C, "Add 2.5 and 3.", "In 2016. Why?"]), min_size=1, max_size=9),
        st.sampled_from(["{}. ", "{}) ", "{}.", "**{}.** ", "({}) ", "Task {}: ", "{}．", "### {}. "]),
        st.integers(1, 30),
    )
    def test_as_many_as_were_written(self, texts: list[str], mark: str, first: int) -> None:
        """So many items written, so many read."""
        lines = [mark.format(number) + text for number, text in enumerate(texts, first)]
        assert items("\n".join(lines)) == texts

    @pytest.mark.parametrize(
        "text",
        ["1. x\n" * 50_000, "- x\n" * 50_000, "1. a:\n" * 30_000, "\n1. a\n2. b" * 15_000, "*" * 200_000],
    )
    def test_hostile(self, text: str) -> None:
        """A list of fifty thousand lines takes seconds at most."""
        began = time.process_time()
        items(text)
        assert time.process_time() - began < 15


class TestListMarks:
    LABELS = ("Task", "Instruction", "Aufgabe", "任务", "タスク")

    @pytest.mark.parametrize(
        "mark",
        [
            "1. ",
            "12) ",
            "(1) ",
            "1: ",
            "1.",
            "- ",
            "* ",
            "• ",
            "Task 3: ",
            "**Task 3:** ",
            "**Instruction:** ",
            "#1: ",
            "### 1. ",
            "- 1. ",
            "1. Task 1: ",
            "1 - ",
            "Task: ",
            "Aufgabe 1: ",
            "任务1：",
            "タスク１：",
            "1、",
            "①",
            "1．",
        ],
    )
    def test_taken_off(self, mark: str) -> None:
        """A number, a bullet or a label that a list gave it."""
        assert unmarked(f"{mark}List three.", self.LABELS) == "List three."

    @pytest.mark.parametrize(
        "text",
        [
            "3 reasons to go",
            "2.5 litres of it",
            "1984 is a book",
            "1984. Explain it",
            "A. B. Yehoshua wrote",
            "10:30 is late",
            "- 5 + 3 = ?",
            "-5 is cold",
            "1,000 men",
            "2. Weltkrieg: wann?",
            "3.x is old",
            "Task force work",
            "3、4 or 5?",
            "7:1 is odd",
            "3D models",
            "*Emma* is a book",
            "1.",
            "**Bold** words",
            "2016年の",
            "1 - 5 = ?",
        ],
    )
    def test_part_of_the_text(self, text: str) -> None:
        """Figures, signs and initials that belong to the text stay."""
        assert unmarked(text, self.LABELS, ["Weltkrieg"]) == text

    @pytest.mark.parametrize(
        ("name", "said", "read"),
        [
            ("chat_en", "Task 2: Name it.", "Name it."),
            ("chat_de", "Aufgabe 2: Nenne ihn.", "Nenne ihn."),
            ("chat_de", "2. Weltkrieg: Nenne drei Ursachen.", "2. Weltkrieg: Nenne drei Ursachen."),
            ("chat_ja", "タスク２：川の名を挙げて。", "川の名を挙げて。"),
            ("chat_zh", "2、写一封信。", "写一封信。"),
        ],
    )
    def test_in_the_shipped_recipes(self, tmp_path: Path, name: str, said: str, read: str) -> None:
        """They are taken off instructions in JSON, with the words of each language."""
        (tmp_path / "recipes").mkdir()
        (tmp_path / "recipes" / "mine.yaml").write_text(f"defaults: [{{override /prompts: {name}}}]\n")
        recipe = compose(["recipe=mine", "model=scripted"], tmp_path).recipe()
        (prompt,) = recipe.stage("instructions").prompts
        reply = Reply(json.dumps({"tasks": [{"instruction": said}]}))
        assert usable(candidates(prompt.parse, reply)) == [{"instruction": read}]


def record(number: int, instruction: str, output: str = "Done.") -> str:
    """A record of numbered fields."""
    return f"{number}. Instruction: {instruction}\n{number}. Input:\n<none>\n{number}. Output:\n{output}\n"


class TestRecords:
    def read(self, text: str, shown: int = 3) -> list[str]:
        """The outputs of a reply in numbered fields."""
        names = {"instruction": "Instruction", "input": "Input", "output": "Output"}
        parse = build("numbered_fields", separator="###", fields=names, empty={"input": ["<none>"]})
        found = parse.read(Reply(text), shown)
        return [one.data["output"] if one.check is None else f"({one.check})" for one in found]

    @pytest.mark.parametrize(
        "output",
        [
            "Two parts.\n\n### The first part\nA spring.\n\n### The second part\nA wheel.",
            "```\n###\n1. Output: x\n5. Instruction: y\n```\nThat is it.",
            "Steps:\n1. Input: read it\n2. Output: print it",
            "Like so.\nInput: 5\nOutput: 8",
            "It has ### in it, and 20. too.\n20 eggs.",
        ],
    )
    def test_a_mark_in_a_text(self, output: str) -> None:
        """A heading, code and field names of the text's own cut nothing."""
        assert self.read(f"{record(4, 'a', output)}###\n{record(5, 'b')}") == [output, "Done."]

    def test_a_separator_that_may_be_either(self) -> None:
        """One before other text costs its record, and not the rest of the reply."""
        assert self.read(
            f"{record(4, 'a', 'x###y' + chr(10) + '###' + chr(10) + 'z')}###\n{record(5, 'b')}"
        ) == [
            "(unreadable)",
            "Done.",
        ]

    @pytest.mark.parametrize(
        "text",
        [
            f"{record(2, 'a')}###\n{record(3, 'b')}",
            f"{record(1, 'a')}###\n{record(1, 'b')}",
            f" a\n5. Input:\n<none>\n6. Output:\nDone.\n###\n{record(7, 'b')}",
            f"{record(4, 'a')}{record(5, 'b')}",
            f"{record(4, 'a')}### {record(5, 'b')}",
            f"{record(4, 'a')}###\n###\n{record(5, 'b')}###\n",
            f"{record(4, 'a')}###\n{record(5, 'b')}".replace(". ", ") "),
            f"{record(4, 'a')}###\n{record(5, 'b')}".replace(". I", ".I").replace(". O", ".O"),
            f"{record(4, 'a')}###\n{record(5, 'b')}".replace("Input:", "**Input:**"),
            f"{record(4, 'a')}###\n{record(5, 'b')}".replace("4. ", "").replace("5. ", ""),
        ],
    )
    def test_complete_records(self, text: str) -> None:
        """They are read whatever the numbers on their fields."""
        assert self.read(text) == ["Done.", "Done."]

    def test_a_preamble(self) -> None:
        """What stands before the first record is rejected alone."""
        assert self.read(f"Sure, here they are:\n\n###\n{record(4, 'a')}") == ["(unreadable)", "Done."]

    def test_of_a_real_model(self, recipes: Recipes, shared: Path) -> None:
        """Of a real model's replies those three records that are complete are read."""
        path = shared.parent / "trials" / "real-replies" / "alpaca.jsonl"
        if not path.is_file():
            pytest.skip("needs the replies of a real model, which only its developers have")
        (prompt,) = recipes("alpaca").stage("tasks").prompts
        found: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found += usable(candidates(prompt.parse, Reply(row["reply"], row["finish_reason"]), 3))
        assert [one["instruction"][:20] for one in found] == [
            "Compare the recipe w",
            "Design a gap-fill ex",
            "Write a short poem a",
        ]

    @pytest.mark.parametrize(
        "text", ["4. Output:\n" * 20_000, "###\n" * 50_000, "4. Instruction: a\n" * 12_000]
    )
    def test_hostile(self, text: str) -> None:
        """A quarter of a megabyte of marks takes seconds at most."""
        began = time.process_time()
        self.read(text)
        assert time.process_time() - began < 15


class TestSections:
    def pairs(self, recipes: Recipes, text: str, variant: str = "input_first") -> list[tuple[str, str]]:
        """Input and output of each instance; a rejected one has its check as both."""
        prompts = recipes("plain").stage("instances").prompts
        parse = next(prompt.parse for prompt in prompts if prompt.name == variant)
        found = candidates(parse, Reply(text))
        return [
            (one.data["input"], one.data["output"]) if one.check is None else (one.check, one.check)
            for one in found
        ]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "Example 1\nx\nOutput: Run:\n```\nOutput: 3\nExample 2\n```\nDone.\nExample 2\ny\nOutput: b",
                [("x", "Run:\n```\nOutput: 3\nExample 2\n```\nDone."), ("y", "b")],
            ),
            (
                "Example 1\nx\nOutput: See:\nExample 1: a cat\nExample 2: a dog",
                [("x", "See:\nExample 1: a cat\nExample 2: a dog")],
            ),
            ("Example 1: x\nOutput: a\nExample 2: y\nOutput: b", [("x", "a"), ("y", "b")]),
            ("Output: a\n\nTask: sort\nOutput: b", [("unreadable", "unreadable")]),
            (
                "Example 1\nOutput: a\nExample 2\nOutput: b\nTask: sort",
                [("", "a"), ("unreadable", "unreadable")],
            ),
        ],
    )
    def test_marks_in_texts(self, recipes: Recipes, text: str, expected: list[tuple[str, str]]) -> None:
        """Nothing in a code block is a mark, nor an example in a text; another task is not an instance."""
        assert self.pairs(recipes, text) == expected

    def test_a_label_in_an_input(self, recipes: Recipes) -> None:
        """The label's mark counts at the start of a line, and not in code."""
        text = "Class label: spam\nMail: my Class label: none\n```\nClass label: x\n```\nClass label: fine"
        assert self.pairs(recipes, text, "output_first") == [
            ("Mail: my Class label: none\n```\nClass label: x\n```", "spam"),
            ("", "fine"),
        ]


@pytest.mark.parametrize("name", ["paper_en", "paper_de", "paper_ja", "paper_zh", "alpaca_en"])
def test_no_stop_string_is_in_a_text(tmp_path: Path, name: str) -> None:
    """A record's text may have a number and a dot, lines with figures, and the word for a task."""
    recipe = "alpaca" if name == "alpaca_en" else "plain"
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "plain.yaml").write_text(f"defaults: [{{override /prompts: {name}}}]\n")
    stages = compose([f"recipe={recipe}", "model=scripted"], tmp_path).recipe().stages
    text = "In 2020. Or 2016.\n20 eggs\n20. Boil them.\nTask: boil\nAufgabe: x\nタスク：煮る\n任务：煮\n# A\n"
    examples = [{"instruction": "Sort it.", "input": "", "output": "x"}] * 3
    for prompt in [one for stage in stages if stage.name in ("instances", "tasks") for one in stage.prompts]:
        _, _, sampling = prompt.fill({"instruction": "Sort it.", "examples": examples})
        assert sampling["stop"]
        assert len(sampling["stop"]) <= 4
        assert not [stop for stop in sampling["stop"] if stop in text]


class TestNothingVanishes:
    def read(self, text: str, **options: Any) -> list[str]:
        """The outputs of a reply in JSON, a rejected one as its reason."""
        given = {
            "fields": {"output": {}, "input": {"default": ""}},
            "items": "instances",
            "non_strings": "write",
        }
        found = build("json", **{**given, **options}).read(Reply(text), 0)
        return [one.data["output"] if one.check is None else f"({one.reason})" for one in found]

    @pytest.mark.parametrize(
        "text",
        [
            '{"instances": [{"output": "a"}], "instances": [{"output": "b"}]}',
            '{"instances": [{"output": "a"}]}\n{"instances": [{"output": "b"}]}',
            '{"instances": [{"output": "a"}], "more": [{"output": "b"}]}',
            '{"first": [{"output": "a"}], "second": [{"output": "b"}], "tags": ["c"]}',
            '{"output": "a", "input": "c", "input": "c"} and {"output": "b"}',
        ],
    )
    def test_all_objects(self, text: str) -> None:
        """Lists under one key, another or several; a key that says the same again is no fault."""
        assert self.read(text) == ["a", "b"]

    def test_keys_twice(self) -> None:
        """Two values for a key, in any case, reject their object, and the key is named."""
        pairs = ['"output": "b"', '"Output": "d"', '"OUTPUT": null']
        text = ", ".join('{"output": "e", ' + pair + "}" for pair in pairs)
        twice = "(the key 'output' has two values)"
        assert self.read(text) == [twice, twice, "e"]

    @pytest.mark.parametrize("between", [", ", "\n", ",\n  "])
    @pytest.mark.parametrize("bad", ['{"output": "x}', '{"output": "x\\"}', '{"output": "x""}'])
    def test_after_a_missing_quote(self, between: str, bad: str) -> None:
        """In a list and in JSON lines the objects after a bad one are read."""
        text = between.join(['{"output": "a"}', bad, '{"output": "b"}', '{"output": "c"}'])
        for whole in (text, f"[{text}]", f'{{"instances": [{text}]}}'):
            found = self.read(whole)
            assert [one for one in found if not one.startswith("(")] == ["a", "b", "c"]
            assert len(found) == 4

    @pytest.mark.parametrize(
        "number",
        ["1.10", "1e3", "0.30000000000000004", "12345678901234567890", "007", "-0.0", "5.", "1" * 400],
    )
    def test_numbers_keep_their_digits(self, number: str) -> None:
        """A number in the place of a text is written as the model wrote it, in lists and objects too."""
        assert self.read(f'{{"output": {number}}}') == [number]
        assert self.read(f'{{"output": [{number}, {{"a": {number}}}]}}') == [f'[{number}, {{"a": {number}}}]']

    def test_numbers_as_numbers(self) -> None:
        """Kept as they are they are Python's; one that JSON does not know is rejected."""
        found = build("json", fields={"output": {}}, non_strings="keep").read(
            Reply('[{"output": [1.10, 2]}, {"output": 007}]'), 0
        )
        assert found[0].data == {"output": [1.1, 2]}
        assert json.dumps(found[0].data) == '{"output": [1.1, 2]}'
        assert found[1].check == UNREADABLE

    @given(
        st.lists(st.text('ab "\\{}[],:\n1é', max_size=8), max_size=5),
        st.sampled_from(["\n", ", ", " "]),
        st.booleans(),
    )
    def test_as_many_as_were_written(self, texts: list[str], between: str, listed: bool) -> None:
        """So many objects written, so many read, whatever their strings hold."""
        text = between.join(json.dumps({"output": one}) for one in texts)
        assert self.read(f"[{text}]" if listed else text) == (
            texts or ["(the reply has no JSON)"] * (not listed)
        )


class TestAnswers:
    CHOICES: ClassVar[dict[str, Any]] = {
        "yes": {"answers": ["Yes", "Ja", "はい", "是", "是的"], "value": True},
        "no": {"answers": ["No", "Nein", "いいえ", "否", "不是"], "value": False},
    }

    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            *(
                (one, True)
                for one in ("Yes.", "yes", " YES! ", "**Yes**", '"Yes"', "Yes, because", "Answer: Yes")
            ),
            *(
                (one, True)
                for one in ("(Yes)", "Ja.", "はい。", "はい、そうです", "是。", "是的，因为", "Yes…")
            ),
            *(
                (one, True)
                for one in ("`yes`", "Yes\n\nTask: x", "Yes - it names two", "- Yes", "答え：はい")
            ),
            *((one, True) for one in ("Yes</s>", "Yes, since there is no other")),
            *(
                (one, False)
                for one in ("No.", "The answer is: No", "no, it has none", "Nein, denn", "不是。")
            ),
            *((one, None) for one in ("Yes and no", "No idea", "not sure", "Y", "", "Yes/No", "Yes. No.")),
            *(
                (one, None)
                for one in ("Yes it is", "Maybe", "是不是", "No wait: yes", "Yes or no?", "Yes\nNo")
            ),
            *((one, None) for one in ("Nope", "no-brainer", "いい", "N/A")),
        ],
    )
    def test_meaning(self, said: str, meant: bool | None) -> None:
        """What is clear in any dress is understood, in a text and in JSON; what is not is undecided."""
        choice = build("choice", field="x", choices=self.CHOICES)
        in_json = build("json", fields={"x": {"choices": self.CHOICES}}, single=True)
        for parse, text in ((choice, said), (in_json, json.dumps({"x": said})), (in_json, said)):
            for finish_reason in ("stop", "length"):
                (piece,) = candidates(parse, Reply(text, finish_reason))
                if meant is None or (parse is in_json and text == said and finish_reason == "length"):
                    assert piece.check == UNDECIDED
                else:
                    assert (piece.check, piece.data) == (None, {"x": meant})

    @pytest.mark.parametrize("said", ["Yes.", "yEs", "", "Maybe"])
    def test_exactly(self, said: str) -> None:
        """The original takes three words for a yes, and all else, even no answer, for a no."""
        parse = build(
            "choice", field="x", choices=self.CHOICES, match="exact", otherwise="no", when_refused="otherwise"
        )
        assert usable(candidates(parse, Reply(said))) == [{"x": False}]
        assert usable(candidates(parse, Reply(" Yes"))) == [{"x": True}]

    @pytest.mark.parametrize("name", ["paper", "chat", "starter_en", "paper_de", "paper_ja", "paper_zh"])
    def test_the_shipped_recipes(self, tmp_path: Path, name: str) -> None:
        """An answer that is neither is undecided in all but the recipe that restores the original."""
        recipe = name if name in ("paper", "chat") else "mine"
        (tmp_path / "recipes").mkdir()
        (tmp_path / "recipes" / "mine.yaml").write_text(f"defaults: [{{override /prompts: {name}}}]\n")
        stage = compose([f"recipe={recipe}", "model=scripted"], tmp_path).recipe().stage("classification")
        for said in ("Perhaps", ""):
            (piece,) = candidates(stage.prompts[0].parse, Reply(said))
            expected = (None, False) if name == "paper" else (UNDECIDED, None)
            assert (piece.check, piece.data.get("is_classification")) == expected
        (piece,) = candidates(stage.prompts[0].parse, Reply("<think>Is it"))
        assert piece.check == THINKING_CUT  # no model of the original's time wrote one
