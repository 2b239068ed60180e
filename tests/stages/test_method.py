"""The recipes against the numbers of Self-Instruct (arXiv 2212.10560) and of Alpaca.

How replies are read and judged is compared with the originals' rules in test_original.py.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from conftest import seed_file

from selfinstruct import Run, run
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record, Reply

Recipes = Callable[[str], Recipe]
PAPER, MENDED = ["paper", "paper_classification"], ["plain"]
three = pytest.mark.parametrize("name", [*PAPER, *MENDED])
BANNED = {"image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"}
BANNED |= {"draw", "plot", "go to"}
ALPACA_BANNED = BANNED | {"video", "audio", "music", "flowchart", "diagram"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the recipe `plain`, which changes nothing of the default but the target."""
    project = tmp_path_factory.mktemp("project")
    (project / "recipes").mkdir()
    (project / "recipes" / "plain.yaml").write_text("target: 5\n", encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def recipes(place: Path) -> Recipes:
    """Recipes by name."""
    return lru_cache(lambda name: compose([f"recipe={name}", "model=scripted"], place).recipe())


def prompt(recipe: Recipe, stage: str, variant: str | None = None) -> Prompt:
    """A stage's prompt, or one of its variants."""
    return next(one for one in recipe.stage(stage).prompts if one.name == variant)


def examples(count: int, instruction: str = "Sort this.") -> dict[str, Any]:
    """Few-shot examples, as a prompt gets them."""
    return {"examples": [{"instruction": instruction, "input": "", "output": "Done."}] * count}


def task(instruction: str = "Sort this.", **fields: Any) -> dict[str, Any]:
    """A record's fields, as a prompt gets them."""
    return {"instruction": instruction, **fields}


def without_stop(prompt: Prompt) -> dict[str, Any]:
    """A prompt's sampling but for its stop strings."""
    return {key: value for key, value in prompt.sampling.items() if key != "stop"}


def options(recipe: Recipe, stage: str) -> dict[str, dict[str, Any]]:
    """A stage's filters in order: name, with the kind where it has another name, and options."""
    filters = recipe.config.filters[stage]
    return {
        name: {**({"kind": one.kind} if one.kind else {}), **one.options}
        for name, one in filters.items()
        if one
    }


def judged(recipe: Recipe, instruction: str, stage: str = "instructions") -> str | None:
    """The check that rejects an instruction, None where it is accepted."""
    fields = {"input": "", "output": "Done."} if stage == "tasks" else {}
    one = Record("one", stage, 1, 0, {"instruction": instruction, **fields})
    recipe.stage(stage).judge.admit(one)
    return one.check


class TestSeeds:
    @pytest.mark.parametrize("name", ["paper", "plain", "completion", "alpaca", "alpaca_original"])
    def test_own(self, recipes: Recipes, name: str) -> None:
        """The recipes come with 175 seed tasks, 26 of them classification."""
        tasks = recipes(name).seeds.tasks
        assert len(tasks) == 175
        assert sum(one.data["is_classification"] for one in tasks) == 26

    def test_classification_only(self, recipes: Recipes) -> None:
        """`paper_classification` takes only the classification seeds."""
        tasks = recipes("paper_classification").seeds.tasks
        assert len(tasks) == 26
        assert all(one.data["is_classification"] for one in tasks)

    def test_the_papers(self, place: Path, shared: Path) -> None:
        """The paper's own seed file is read as it is: 175 tasks, 26 classification, 50 with empty input."""
        path = f"seeds.path={shared / 'seed_tasks.jsonl'}"
        tasks = compose(["recipe=paper", "model=scripted", path], place).recipe().seeds.tasks
        assert len(tasks) == 175
        assert sum(one.data["is_classification"] for one in tasks) == 26
        assert sum(one.data["input"] == "" for one in tasks) == 50

    def test_never_filtered(self, place: Path) -> None:
        """Seeds that every filter would reject stay."""
        seed_file(place / "odd.jsonl", instruction="draw")
        recipe = compose(["recipe=paper", "model=scripted", "seeds.path=odd.jsonl"], place).recipe()
        assert [one.data["instruction"] for one in recipe.seeds.tasks] == ["draw"] * 12


class TestInstructions:
    @three
    def test_sampling(self, recipes: Recipes, name: str) -> None:
        """Instructions are asked for with the paper's sampling, one completion a request."""
        assert without_stop(prompt(recipes(name), "instructions")) == {
            "max_tokens": 1024,
            "temperature": 0.7,
            "top_p": 0.5,
            "frequency_penalty": 0,
            "presence_penalty": 2,
        }

    @three
    def test_mix(self, recipes: Recipes, name: str) -> None:
        """A prompt holds 8 examples, 2 of them machine-made; 5 requests are in flight."""
        config = recipes(name).config
        assert (config.mix.examples, config.mix.generated) == (8, 2)
        assert config.pipeline["instructions"].options["window"] == 5
        assert config.pipeline["instructions"].options["batched"] is (name in PAPER)

    @three
    def test_layout(self, recipes: Recipes, name: str) -> None:
        """A header of one line, numbered instructions, and at the end the next number and a dot."""
        system, text, _ = prompt(recipes(name), "instructions").fill(examples(8, " Sort\n\tthese  words: "))
        header, *rest = [line for line in text.split("\n") if line]
        assert header.endswith(":")
        assert rest == [*(f"{number}. Sort these words" for number in range(1, 9)), "9."]
        assert text.endswith("\n9.")
        assert system is None

    def test_classification_header(self, recipes: Recipes) -> None:
        """`paper_classification` asks for classification tasks with their labels, `paper` for any."""
        plain, labels = (prompt(recipes(name), "instructions").variables["header"] for name in PAPER)
        assert "classification tasks" in labels
        assert "labels" in labels
        assert "classification" not in plain

    @pytest.mark.parametrize("name", PAPER)
    def test_stops(self, recipes: Recipes, name: str) -> None:
        """`paper` stops at a blank line and at number 16."""
        stop = prompt(recipes(name), "instructions").fill(examples(8))[2]["stop"]
        assert stop == ["\n\n", "\n16", "16.", "16 ."]

    @pytest.mark.parametrize(("count", "last"), [(8, 16), (3, 11)])
    def test_mended_stops(self, recipes: Recipes, count: int, last: int) -> None:
        """By default stops follow the number of examples, and none fires inside 2016."""
        stop = prompt(recipes("plain"), "instructions").fill(examples(count))[2]["stop"]
        fires = {
            text: any(one in text for one in stop) for text in [f"\n{last}. Go", f"\n{last} . Go", "\n\n"]
        }
        assert all(fires.values()), fires
        assert not any(one in f" Since 20{last}.\n{last - 1}. In 20{last} .\n" for one in stop)

    @three
    def test_filters(self, recipes: Recipes, name: str) -> None:
        """The paper's checks come in its order, with its bounds; in `paper` there is no other."""
        papers = [
            "empty",
            "word_count",
            "banned_words",
            "write_a_program",
            "first_character_punctuation",
            "first_character_ascii",
            "exact_duplicate",
            "rouge_l",
        ]
        all_checks = options(recipes(name), "instructions")
        checks = {check: all_checks[check] for check in all_checks if check in papers}
        assert list(checks) == papers
        assert name != "paper" or list(all_checks) == papers
        assert {one["field"] for one in checks.values()} == {"instruction"}
        assert (checks["word_count"]["minimum"], checks["word_count"]["maximum"]) == (4, 150)
        assert checks["rouge_l"]["threshold"] == 0.7

    @three
    def test_banned_words(self, recipes: Recipes, name: str) -> None:
        """The banned words are the paper's, all of them on."""
        words = options(recipes(name), "instructions")["banned_words"]["words"]
        assert words == dict.fromkeys(BANNED, True)

    @pytest.mark.parametrize("name", PAPER)
    def test_keep_similar(self, recipes: Recipes, name: str) -> None:
        """`paper` keeps the 10 most similar instructions with each record."""
        assert options(recipes(name), "instructions")["rouge_l"]["keep_similar"] == 10

    @pytest.mark.parametrize(
        ("instruction", "check"),
        [
            ("", "empty"),
            ("Count all seas", "word_count"),
            ("Explain how tall birches grow", None),
            ("Draw any", "word_count"),
            ("Explain the Graph of it", "banned_words"),
            ("Write a program: draw it", "banned_words"),
            ("Write a program that adds numbers", "write_a_program"),
            ("Write a programme for concerts", "write_a_program"),
            ("(Explain) how bread rises", "first_character_punctuation"),
            ("«Explain» how bread rises", "first_character_ascii"),
            ("Échelle de valeurs humaines", "first_character_ascii"),
        ],
    )
    @three
    def test_one_check_each(self, recipes: Recipes, name: str, instruction: str, check: str | None) -> None:
        """Each sort of bad instruction is rejected by its own check, the first that applies."""
        assert judged(recipes(name), instruction) == check

    @pytest.mark.parametrize(("name", "stage"), [("paper", "instructions"), ("alpaca_original", "tasks")])
    def test_write_a_program_has_a_case(self, recipes: Recipes, name: str, stage: str) -> None:
        """In the two originals only banned words are found in any case; `Write a program` is exact."""
        assert judged(recipes(name), "write a program that adds numbers", stage) is None

    @pytest.mark.parametrize(
        ("name", "stored"),
        [(name, "Explain nasa's work") for name in PAPER]
        + [(name, "Explain NASA's work") for name in (*MENDED, "completion")],
    )
    def test_capitals(self, recipes: Recipes, name: str, stored: str) -> None:
        """`paper` lowers all letters after the first; the default and `completion` keep the model's."""
        (piece,) = prompt(recipes(name), "instructions").parse.read(Reply("explain NASA's work"), 8)
        assert piece.data == {"instruction": stored}


class TestClassification:
    @three
    def test_sampling(self, recipes: Recipes, name: str) -> None:
        """The question is asked for 3 tokens at temperature 0, up to a line break or the next task."""
        asked = prompt(recipes(name), "classification")
        assert without_stop(asked) == {
            "max_tokens": 3,
            "temperature": 0,
            "top_p": 0,
            "frequency_penalty": 0,
            "presence_penalty": 0,
        }
        assert asked.fill(task())[2]["stop"] == ["\n", "Task" if name in PAPER else "Task:"]

    @three
    def test_demonstrations(self, recipes: Recipes, name: str) -> None:
        """31 demonstration tasks, 12 yes and 19 no, stand before the task."""
        asked = prompt(recipes(name), "classification")
        shown = asked.variables["demonstrations"]
        assert Counter(one["answer"] for one in shown) == {"Yes": 12, "No": 19}
        assert len({one["instruction"] for one in shown}) == 31
        text = asked.fill(task("Sort\nthese:"))[1]
        assert all(f"Task: {one['instruction']}\n" in text for one in shown)
        *_, last, question = text.split("\n")
        assert (last, question) == ("Task: Sort these", "Fixed set of labels?")

    @pytest.mark.parametrize("name", PAPER)
    def test_anything_else_is_no(self, recipes: Recipes, name: str) -> None:
        """Yes, yes and YES mean yes; anything else, an empty reply too, means no."""
        read = prompt(recipes(name), "classification").parse.read
        answers = [" Yes", "yes", "YES", "No", "yES", "", "Yes."]
        said = [read(Reply(text), 0)[0].data["is_classification"] for text in answers]
        assert said == [True] * 3 + [False] * 4


class TestInstances:
    @pytest.mark.parametrize(("variant", "tokens"), [("output_first", 300), ("input_first", 350)])
    @three
    def test_sampling(self, recipes: Recipes, name: str, variant: str, tokens: int) -> None:
        """300 tokens for classification and 350 otherwise, at temperature 0; five examples at most."""
        asked = prompt(recipes(name), "instances", variant)
        assert without_stop(asked) == {
            "max_tokens": tokens,
            "temperature": 0,
            "top_p": 0,
            "frequency_penalty": 0,
            "presence_penalty": 1.5,
        }
        original, mended = ["Example 6", "Task:"], ["\nExample 6", "\n\nTask:"]
        assert asked.fill(task())[2]["stop"] == (original if name in PAPER else mended)

    @pytest.mark.parametrize(("variant", "count"), [("output_first", 16), ("input_first", 11)])
    @three
    def test_demonstrations(self, recipes: Recipes, name: str, variant: str, count: int) -> None:
        """16 demonstration tasks for classification and 11 for the others stand before the task."""
        asked = prompt(recipes(name), "instances", variant)
        shown = [one["instruction"] for one in asked.variables["demonstrations"]]
        assert len(set(shown)) == len(shown) == count
        text = asked.fill(task("Sort\nthese:"))[1]
        assert all(f"Task: {instruction}\n" in text for instruction in shown)
        assert text.count("Task: ") == count + 1
        assert text.endswith("\nTask: Sort these\n")

    @three
    def test_output_first_demonstrations(self, recipes: Recipes, name: str) -> None:
        """In each output-first demonstration the label stands first, then the input."""
        asked = prompt(recipes(name), "instances", "output_first")
        text = asked.fill(task())[1]
        for shown in asked.variables["demonstrations"]:
            for one in shown["examples"]:
                assert f"Class label: {one['label']}\n{one.get('input', '')}".strip() in text

    @three
    def test_input_first_demonstrations(self, recipes: Recipes, name: str) -> None:
        """In each input-first demonstration the examples are numbered, each input before its output."""
        asked = prompt(recipes(name), "instances", "input_first")
        text = asked.fill(task())[1]
        for shown in asked.variables["demonstrations"]:
            for number, one in enumerate(shown["examples"], 1):
                numbered = f"Example {number}\n{one['input']}\n" if one["input"] else ""
                assert f"{numbered}Output: {one['output']}\n" in text

    @three
    def test_demonstrations_can_be_read(self, recipes: Recipes, name: str) -> None:
        """What a demonstration shows is what the parser reads from a reply that is like it."""
        asked = prompt(recipes(name), "instances", "input_first")
        for shown in asked.variables["demonstrations"]:
            pairs = [(one["input"], one["output"]) for one in shown["examples"] if one["input"]]
            reply = "".join(
                f"Example {number}\n{input}\nOutput: {output}\n"
                for number, (input, output) in enumerate(pairs, 1)
            )
            read = asked.parse.read(Reply(reply), 0) if pairs else []
            assert [(one.data["input"], one.data["output"]) for one in read] == pairs

    @three
    def test_variants(self, recipes: Recipes, name: str) -> None:
        """Classification tasks are asked output-first, the others input-first."""
        stage = recipes(name).stage("instances")
        assert stage.variant({"is_classification": True}, 1, 0).name == "output_first"
        assert stage.variant({"is_classification": False}, 1, 0).name == "input_first"

    @three
    def test_filters(self, recipes: Recipes, name: str) -> None:
        """The paper's checks come in its order, at most 5 instances stay; in `paper` there is no other."""
        papers = {
            "input_equals_output": {"kind": "equal", "fields": ["input", "output"]},
            "empty": {"field": "output"},
            "ends_in_colon": {"kind": "ends_with", "text": ":", "fields": ["input", "output"]},
            "contradicting": {"same": "input", "differs": "output"},
            "duplicate": {"fields": ["input", "output"]},
            "at_most": {"count": 5},
        }
        checks = options(recipes(name), "instances")
        assert [(check, checks[check]) for check in checks if check in papers] == list(papers.items())
        assert name != "paper" or checks == papers


class TestEncoding:
    @three
    def test_prompt_completion(self, recipes: Recipes, name: str) -> None:
        """7 layouts with input and 6 without, seed tasks included, shuffled; GPT-3's end mark in `paper`."""
        config = recipes(name).config.export["prompt_completion"]
        keys = config.options
        assert (len(keys["with_input"]), len(keys["without_input"])) == (7, 6)
        assert keys["strip_field_name"] == 0.5
        assert config.seed_tasks
        assert config.shuffle
        assert keys["end"] == ("" if name in MENDED else "<|endoftext|>")

    @three
    def test_url_scheme(self, recipes: Recipes, name: str) -> None:
        """The scheme of a URL counts as a field name in `paper` only."""
        config = recipes(name).config.export["prompt_completion"]
        keys = config.options
        assert keys["keep_url_scheme"] is (name in MENDED)


class TestAlpaca:
    @pytest.mark.parametrize("name", ["alpaca", "alpaca_original"])
    def test_one_stage(self, recipes: Recipes, name: str) -> None:
        """One bootstrap stage makes whole records; a prompt holds 3 seed tasks and nothing machine-made."""
        recipe = recipes(name)
        assert [(one.name, one.shows_seeds) for one in recipe.stages] == [("tasks", True)]
        assert (recipe.config.mix.examples, recipe.config.mix.generated) == (3, 0)
        assert prompt(recipe, "tasks").parse.fields == ("instruction", "input", "output")

    def test_sampling(self, recipes: Recipes) -> None:
        """3072 tokens at temperature 1, up to number 20, and never the end of a text of GPT-3."""
        asked = prompt(recipes("alpaca_original"), "tasks")
        bias = {"50256": -100}
        assert without_stop(asked) == {
            "max_tokens": 3072,
            "temperature": 1.0,
            "top_p": 1.0,
            "logit_bias": bias,
        }
        assert asked.fill(examples(3))[2]["stop"] == ["\n20", "20."]

    def test_stop(self, recipes: Recipes) -> None:
        """`alpaca` stops at the number after the last, with a field's name, which no text has."""
        asked = prompt(recipes("alpaca"), "tasks")
        assert without_stop(asked) == {"max_tokens": 3072, "temperature": 1.0, "top_p": 1.0}
        assert asked.fill(examples(3))[2]["stop"] == ["\n21. Instruction:"]

    @pytest.mark.parametrize(
        ("name", "style", "empty"),
        [("alpaca", "chat", "<none>"), ("alpaca_original", "completion", "<noinput>")],
    )
    def test_layout(self, recipes: Recipes, name: str, style: str, empty: str) -> None:
        """Numbered fields between ### marks, with a word for an empty input, in a list of up to 20."""
        asked = prompt(recipes(name), "tasks")
        text = asked.fill(examples(3))[1]
        assert "up to 20" in text.split("\n")[0]
        shown = f"###\n{{0}}. Instruction: Sort this.\n{{0}}. Input:\n{empty}\n{{0}}. Output:\nDone.\n"
        assert text.endswith("".join(shown.format(number) for number in (1, 2, 3)) + "###\n4. Instruction:")
        assert asked.style == style

    def test_filters(self, recipes: Recipes) -> None:
        """`alpaca_original` has the paper's checks with five more banned words, and no other."""
        checks = options(recipes("alpaca_original"), "tasks")
        words = checks["banned_words"].pop("words")
        papers = options(recipes("paper"), "instructions")
        del papers["banned_words"]["words"]
        assert words == dict.fromkeys(ALPACA_BANNED, True)
        assert checks == papers
        assert list(checks) == list(papers)

    def test_filters_for_today(self, recipes: Recipes) -> None:
        """`alpaca` has them too, after others that look at the answers and do not learn."""
        papers = options(recipes("alpaca_original"), "tasks")
        checks = options(recipes("alpaca"), "tasks")
        assert [name for name in checks if name in papers] == list(papers)
        assert list(checks).index("rouge_l") > list(checks).index("unfinished")
        assert {"refusal", "placeholder", "repetition", "unfinished"} < set(checks)
        assert checks["banned_words"] == papers["banned_words"]
        assert checks["rouge_l"]["keep_similar"] == 0
        assert judged(recipes("alpaca"), "write a program that adds numbers", "tasks") == "write_a_program"


def source(id: str) -> int:
    """The number of the request that made a record, 0 for a seed."""
    found = re.fullmatch(r"[a-z]+-(\d{6})-\d+", id)
    return int(found[1]) if found else 0


class Ran:
    """What a run's journal has of its first stage.

    Args:
        done: the run.
        stage: the stage.
    """

    def __init__(self, done: Run, stage: str) -> None:
        with sqlite3.connect(done.folder / "run.sqlite") as journal:
            rows = journal.execute("SELECT number, examples, sampling FROM request WHERE stage = ?", (stage,))
            found = {number: (json.loads(shown), json.loads(said)) for number, shown, said in rows}
            accepted = journal.execute(
                "SELECT id FROM record WHERE stage = ? AND fate = 'accepted'", (stage,)
            )
            self.made = [id for (id,) in accepted]
        journal.close()
        self.shown: dict[int, list[str]] = {number: found[number][0] for number in sorted(found)}
        self.sampling: dict[int, dict[str, Any]] = {number: found[number][1] for number in sorted(found)}

    def machine(self, number: int) -> list[int]:
        """Of the machine-made examples of a request, the requests that made them."""
        return [source(id) for id in self.shown[number] if source(id)]

    def accepted_up_to(self, number: int) -> int:
        """How many records the replies up to that number added."""
        return sum(source(id) <= number for id in self.made)


@pytest.fixture(scope="module")
def ran(place: Path) -> Callable[[str], tuple[Run, Ran]]:
    """Runs by recipe, of 80 instructions each."""

    @lru_cache
    def go(name: str) -> tuple[Run, Ran]:
        stage = "tasks" if name.startswith("alpaca") else "instructions"
        done = run(name, ["model=scripted", "target=80"], project=place, quiet=True)
        return done, Ran(done, stage)

    return go


Runs = Callable[[str], tuple[Run, Ran]]


class TestRuns:
    @pytest.mark.parametrize("name", ["paper", "plain"])
    def test_first_prompts(self, ran: Runs, name: str) -> None:
        """The first five prompts hold 8 seeds."""
        journal = ran(name)[1]
        assert list(journal.shown)[:6] == [1, 2, 3, 4, 5, 6]
        assert all(journal.machine(number) == [] for number in range(1, 6))

    @pytest.mark.parametrize("name", ["paper", "plain"])
    def test_examples(self, ran: Runs, name: str) -> None:
        """Each prompt holds 8 different examples, and as many machine-made ones as there are, up to 2."""
        journal = ran(name)[1]
        for number, shown in journal.shown.items():
            assert len(set(shown)) == len(shown) == 8
            visible = (number - 1) // 5 * 5 if name == "paper" else max(0, number - 5)
            assert len(journal.machine(number)) == min(2, journal.accepted_up_to(visible))

    @pytest.mark.parametrize("name", ["paper", "plain"])
    def test_examples_are_shuffled(self, ran: Runs, name: str) -> None:
        """Machine-made examples stand anywhere among the others, and seeds of the whole file are drawn."""
        shown = ran(name)[1].shown
        places = {place for ids in shown.values() for place, id in enumerate(ids) if source(id)}
        assert len(places) > 4
        assert len({id for ids in shown.values() for id in ids if not source(id)}) > 40

    def test_a_batch_sees_one_pool(self, ran: Runs) -> None:
        """In `paper` the five of a batch show what was accepted before the batch, up to its last reply."""
        journal = ran("paper")[1]
        made = {number: journal.machine(number) for number in journal.shown}
        assert all(one <= (number - 1) // 5 * 5 for number, seen in made.items() for one in seen)
        assert any(one > number - 5 for number, seen in made.items() for one in seen)

    def test_a_window_moves_on(self, ran: Runs) -> None:
        """By default request i shows what was accepted up to reply i - 5."""
        journal = ran("plain")[1]
        made = {number: journal.machine(number) for number in journal.shown}
        assert all(one <= number - 5 for number, seen in made.items() for one in seen)
        assert any(one > (number - 1) // 5 * 5 - 5 for number, seen in made.items() for one in seen)

    @pytest.mark.parametrize("name", ["paper", "plain", "alpaca", "alpaca_original"])
    def test_target(self, ran: Runs, name: str) -> None:
        """A run stops at its target to the record."""
        assert len(ran(name)[1].made) == 80

    @pytest.mark.parametrize("name", ["alpaca", "alpaca_original"])
    def test_alpaca_shows_seeds_only(self, ran: Runs, name: str) -> None:
        """In both of Alpaca's recipes every prompt holds 3 seed tasks."""
        shown = ran(name)[1].shown
        assert {len(set(ids)) for ids in shown.values()} == {3}
        assert not any(source(id) for ids in shown.values() for id in ids)

    def test_sampling_is_sent(self, ran: Runs) -> None:
        """The recipe's sampling is what the requests are sent with."""
        sampling = ran("paper")[1].sampling.values()
        assert all(one["max_tokens"] == 1024 and one["presence_penalty"] == 2 for one in sampling)
        assert all(one["stop"] == ["\n\n", "\n16", "16.", "16 ."] for one in sampling)

    def test_kept_with_each_instruction(self, ran: Runs) -> None:
        """In `paper` each instruction has its 10 most similar, its average similarity and its request."""
        for one in ran("paper")[0].records("instructions"):
            scores = list(one["most_similar"].values())
            assert len(scores) == 10
            assert scores == sorted(scores, reverse=True)
            assert 0 < one["average_similarity"] < scores[0] <= 0.7
            assert source(one["id"]) == one["request"]

    def test_kinds_of_instance(self, ran: Runs) -> None:
        """Classification tasks have labels as outputs, and none has more than 5 instances."""
        records = ran("paper")[0].records("instances")
        assert {one["is_classification"] for one in records} == {True, False}
        labels = {one["output"] for one in records if one["is_classification"]}
        assert labels <= {"positive", "negative", "neutral"}
        assert max(Counter(one["parent"] for one in records).values()) <= 5
