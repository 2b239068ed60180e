"""`paper` and `alpaca_original` against the rules of the originals, written anew here as small functions.

Each odd reply, made up of pieces or written by hand, is read and judged by the recipe and by these functions,
which follow the released code in what it does and know nothing of ours. What the two recipes do otherwise is
in docs/from-the-paper.md, "Where it differs, and why": each row of it is asserted at the end.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from conftest import seed_file
from pages import NOT_RESTORED, PAPER_TABLES

from selfinstruct import run
from selfinstruct.errors import ModelError, RecipeError
from selfinstruct.export import convert
from selfinstruct.journal.store import Journal
from selfinstruct.recipe.build import Recipe
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record, Reply

Pair = tuple[str, str]
Triple = tuple[str, str, str]
TASK = "Explain how tall birches grow in the far north."
LOST = ("cut", "unreadable", "empty_reply")  # checks that say that a candidate was not read

# The originals' rules

BANNED = ["image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"]
BANNED += ["draw", "plot", "go to"]
MORE_BANNED = ["video", "audio", "music", "flowchart", "diagram"]


def original_instructions(text: str, cut: bool) -> list[str]:
    """What a reply for new instructions holds."""
    if cut:
        return []
    pieces = re.split(r"\n\d+\s?\. ", text)
    return [" ".join(piece.split()).capitalize() for piece in pieces]


def original_passes(text: str, banned: list[str]) -> bool:
    """Whether an instruction passes all checks but the comparison with others."""
    words = text.split()
    if not 4 <= len(words) <= 150 or text.startswith("Write a program"):
        return False
    if any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for word in banned):
        return False
    return text[0] not in string.punctuation and text[0].isascii()


def rouge_l(one: str, other: str) -> float:
    """The F-measure of the longest common subsequence of two texts' words."""
    first, second = (re.findall("[a-z0-9]+", text.lower()) for text in (one, other))
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for place, known in enumerate(second, 1):
            here = row[place]
            row[place] = before + 1 if word == known else max(row[place], row[place - 1])
            before = here
    if not row[-1]:
        return 0.0
    precision, recall = row[-1] / len(second), row[-1] / len(first)
    return 2 * precision * recall / (precision + recall)


def original_admits(text: str, pool: list[str], banned: list[str]) -> list[float] | None:
    """The scores of an instruction that is accepted, and so joins the pool; None for another."""
    if not original_passes(text, banned):
        return None
    scores = [rouge_l(text, known) for known in pool]
    if max(scores) > 0.7:
        return None
    pool.append(text)
    return scores


def original_label(text: str) -> bool:
    """Whether an answer says that a task is classification."""
    return text.strip() in ("Yes", "yes", "YES")


def original_input_first(text: str, cut: bool) -> list[Pair]:
    """Input and output of each instance of an input-first reply."""
    text = text.strip()
    if re.search(r"Example\s?\d*\.?", text):
        pieces = [piece.strip() for piece in re.split(r"Example\s?\d*\.?", text) if piece.strip()]
    else:
        pieces = [text] if re.search(r"Output\s*\d*\s*:", text) else []
    found = []
    for piece in pieces:
        parts = re.split(r"Output\s*\d*\s*:", piece)
        given, said = (parts[0], parts[1]) if len(parts) > 1 else ("", piece)
        said = re.split(r"Input\s*\d*\s*:", said.strip())[0].strip()
        found.append((re.sub(r"^Input\s*\d*\s*:", "", given.strip()).strip(), said))
    return found[:-1] if cut else found


def original_output_first(text: str, cut: bool) -> list[Pair]:
    """Input and output, which is the label, of each instance of an output-first reply."""
    found = []
    for piece in text.split("Class label:")[1:]:
        label, _, rest = piece.strip().partition("\n")
        found.append((rest.strip(), label.strip()))
    return found[:-1] if cut else found


def original_kept(instances: list[Pair]) -> list[Pair]:
    """The instances of a task that are left, before five of them are drawn."""
    left = [
        (given, said)
        for given, said in instances
        if given != said and said and not given.endswith(":") and not said.endswith(":")
    ]
    for one, other in combinations(left, 2):
        if one[0] and one[0] == other[0] and one[1] != other[1]:
            return []
    return list(dict.fromkeys(left))


def original_records(text: str, cut: bool) -> list[Triple]:
    """Alpaca's records: three fields under the number of their place."""
    found = []
    pieces = f"4. Instruction:{text}".split("###")
    for number, piece in enumerate(pieces[:-1] if cut else pieces, 4):
        parts = re.split(rf"\b{number}\.\s+(Instruction|Input|Output):", piece)
        if parts[1::2] == ["Instruction", "Input", "Output"]:
            instruction, given, said = (part.strip() for part in parts[2::2])
            found.append((instruction, "" if given.lower() == "<noinput>" else given, said))
    return found


def original_rows(instruction: str, given: str, said: str) -> set[Pair]:
    """The prompts with their completions that a record may become, by the draws of the encoding."""
    plain = given.split(":", 1)[1].strip() if len(set(re.findall(r"(\w+):", given))) == 1 else given
    end = "<|endoftext|>"
    rows = set()
    for text in (given, plain.replace("\n\n", "\n")):
        heads = [f"{instruction}\nInput: {text}\n", f"{instruction}\n\nInput: {text}\n\n"]
        heads += [f"Task: {instruction}\nInput: {text}\n", f"{instruction}\n\n{text}\n\n"]
        bare = [
            f"{instruction}\n\n{text}\n\n",
            f"{instruction}\n{text}\n\n",
            f"Task: {instruction}\n\n{text}\n\n",
        ]
        if not text:
            heads = [f"{instruction} ", f"{instruction}\n", f"{instruction}\n\n"]
            bare = [f"{instruction}\n", f"{instruction}\n\n", f"Task: {instruction}\n\n"]
        rows |= {(f"{head}Output:", f" {said}{end}") for head in heads} | {
            (head, f"{said}{end}") for head in bare
        }
    return rows


# Odd replies

ITEMS = [
    "Explain how NASA tests a parachute before it flies to Mars.",
    "explain   how\ttea is grown\n on the hills of Assam.",
    "Which of the two sentences has the better rhythm: why?",
    "Draw a river and name its banks.",
    "Describe the picture on the wall of the old station.",
    "Go to the market and list what is in season.",
    "Write a program that adds two numbers from a list.",
    "write a Program that adds two numbers from a list.",
    "Write a programme for a small concert in May.",
    "«Translate» this sentence for a visitor from Spain.",
    "(Optional) say what the poem is about in a line.",
    "'Quote' three proverbs about rain and their meaning.",
    "Élaborate on the use of silence in short stories.",
    "Too short here",
    "",
    " ",
    "5 reasons why bread rises slowly in a cold kitchen",
    "Name one thing that is a city in Peru ： 2016. and 16 more",
    "word " * 151,
    "mapmaker or cartographer: say which word is older, and why.",
    "Compare the 3.14 of one table with the 2.71 of another.",
    "Say something number 3 about a violin you know.",
    "Say something number 3 about a violin that you know.",
    "Suggest a title for the video of a wedding in June.",
    "Ask for the music that suits a quiet dinner at home.",
    "Sort these words. Task: by length, then by letter.",
    "İstanbul'da bir gün nasıl geçer, yaz bana lütfen.",
    "ﬁve words that begin with a ligature are needed here",
    "List **bold** words: 1. one 2. two 3. three of them",
]
MARKS = ["\n10. "] * 6 + [
    "\n11 . ",
    "\n9) ",
    "\n10.",
    "\n10．",
    "\n12、",
    "\n 13. ",
    "\n- ",
    "\n",
    "\n10.\t",
    " 10. ",
]
FIELDS = [
    "Input:",
    "Input 1:",
    "Input2 :",
    "Text:",
    "Town: Oslo\nInput:",
    "",
    "Output:",
    "input:",
    "  Input:",
]
DIVIDERS = [
    "\nOutput:",
    "\nOutput 1:",
    " Output:",
    "\nOutput :",
    "\nAnswer:",
    "\noutput:",
    "\nOutput\n2:",
    "Output:",
]
HEADS = [
    "Example 1\n",
    "Example 2.\n",
    "Example\n",
    "\nExample 3 ",
    " example 4\n",
    "For Example 5: ",
    "Examples:\n",
    "",
]
VALUES = ["Oslo", "Oslo", "a cold town", "", "Rome:", "two\n\nlines", "https://a.example/b", "Input: again"]
VALUES += ["Example of it", "It is Output: 3", "Task", "None", "名前：東京", "6", "Class label: x"]
LABELS = ["positive", "negative", "positive ", "", "A:", "positive\n", "Class label", "Yes"]
ANSWERS = [" Yes", "yes", "YES", "yES", "Yes.", " Yes\n", "Yes Task", "", " ", "No", "no", "Y", "\tYes\t"]
ANSWERS += ["Yes, it", "Yes\xa0", "ｙｅｓ", "Ja", "True", "**Yes**", "Yes Yes", "Answer: Yes", "Yes\nTask: x"]
NAMES = ["Instruction", "Input", "Output"]
EMPTY_WORDS = [
    "<noinput>",
    "<NoInput>",
    "<none>",
    "None",
    "N/A",
    "noinput",
    "",
    "a list of 16 towns",
    "<noinput>.",
]


def odd(kind: str, count: int, make: Callable[[random.Random], str]) -> list[tuple[str, bool]]:
    """So many replies of a kind, and whether each was cut by length; the same ones at each call."""
    found = []
    for number in range(count):
        rng = random.Random(f"{kind} {number}")
        found.append((make(rng), rng.random() < 0.2))
    return found


def odd_item(rng: random.Random) -> str:
    """An instruction: an odd one, or one that is new in most of its words."""
    words = [
        f"{rng.choice(string.ascii_lowercase)}{rng.choice('aeiou')}{rng.randint(1, 99)}" for _ in range(6)
    ]
    return rng.choice(ITEMS) if rng.random() < 0.7 else f"explain {' '.join(words)} to a Visitor from Rome."


def odd_list(rng: random.Random) -> str:
    """A list of instructions."""
    first = rng.choice(["", " ", "9. ", "\n9. "])
    return first + "".join(odd_item(rng) + rng.choice(MARKS) for _ in range(rng.randint(1, 7)))


def odd_input_first(rng: random.Random) -> str:
    """Instances, the input first."""
    kinds = (HEADS, FIELDS, VALUES, DIVIDERS, VALUES)
    parts = ["{}{} {}{} {}\n".format(*map(rng.choice, kinds)) for _ in range(rng.choice([1, 2, 3, 7]))]
    return "".join(parts)


def odd_output_first(rng: random.Random) -> str:
    """Instances, the label first."""
    first = rng.choice(["", "", "Sure!\n", "\n"])
    heads = ["Class label:", "\nClass label:", "class label:", "Class Label:", " Class label: Class label:"]
    parts = [
        f"{rng.choice(heads[:2] * 3 + heads)} {rng.choice(LABELS)}\n{rng.choice(VALUES)}\n"
        for _ in range(rng.choice([1, 2, 3, 8]))
    ]
    return first + "".join(parts)


def odd_records(rng: random.Random) -> str:
    """Alpaca's records; the prompt ends in `4. Instruction:`."""
    text = ""
    for place in range(rng.randint(1, 5)):
        number = rng.choice([place + 4] * 9 + [place + 3, place + 14])
        names = rng.choice([NAMES] * 7 + [NAMES[:2], ["Instruction", "Output"], [*NAMES, "Output"]])
        said = rng.choice([*VALUES, "In 2020. it was", "# one\n### two"])
        values = [odd_item(rng), rng.choice(EMPTY_WORDS), said]
        for name, value in zip(names, [*values, "more"], strict=False):
            opens = place == 0 and name == "Instruction"
            text += f" {value}\n" if opens else f"{number}. {name}:{rng.choice([' ', chr(10)])}{value}\n"
        text += rng.choice(["###\n"] * 5 + ["####\n", "### ###\n", "\n", " ###"])
    return text[: -rng.randint(3, 12)] if rng.random() < 0.5 else text


LISTS = [
    *odd("list", 60, odd_list),
    ("", False),
    ("Name the planet that is nearest to the sun.", True),
    ("Name a river.\n\n10. Name the longest river of Asia, please.", False),
]
INPUT_FIRST = [
    *odd("input first", 60, odd_input_first),
    ("Output: a poem of four lines", False),
    ("A poem of four lines, without any field", False),
    ("Example 1\nTown: Oslo\nOutput: cold\nExample 2\nTown: Oslo\nOutput: warm", False),
    ("Example 1\nTown: Oslo\nOutput: cold\nExample 2\nTown: Rome\nOutput: wa", True),
    ("".join(f"Example {n}\nTown {n}: {n}\nOutput: {n} cold\n" for n in range(9)), False),
]
OUTPUT_FIRST = [
    *odd("output first", 40, odd_output_first),
    ("positive", False),
    ("Class label: positive", True),
]
RECORDS = [
    *odd("records", 60, odd_records),
    (" Name the months.\n4. Input:\n<noinput>\n4. Output:\nMay\n###\n", True),
    (" Name the months.\n4. Input:\n<noinput>\n4. Output:\n\n###\n5. Instruction: Sort them now.", False),
    (
        " Name the months.\n4. Input:\n<noinput>\n4. Output:\n# Head\n### Part\nMay\n###\n5. Instruction: x",
        False,
    ),
    (" Name the months.\n4. Input:\n<noinput>\n4. Output:\nMay, Jun", True),
    ("4. Instruction: Name the months.\n4. Input:\n<noinput>\n4. Output:\nMay", False),
]


# What the recipes make of them


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve seed tasks."""
    project = tmp_path_factory.mktemp("project")
    seed_file(project / "seeds/few.jsonl")
    return project


def composed(place: Path, name: str, *more: str) -> Recipe:
    """A recipe of an original, anew, with the twelve seeds learned."""
    recipe = compose(
        [f"recipe={name}", "model=scripted", "seeds.path=seeds/few.jsonl", *more], place
    ).recipe()
    recipe.stages[0].judge.learn_all(recipe.seeds.tasks)
    return recipe


@lru_cache
def common(place: Path, name: str) -> Recipe:
    """The same for all tests that accept no new instruction."""
    return composed(place, name)


def candidates(
    recipe: Recipe, stage: str, number: int, reply: Reply, label: bool | None = None
) -> list[Record]:
    """The candidates of a reply as a run reads them, through the checks that see a whole reply."""
    asked = recipe.stage(stage)
    about = {"instruction": "Say where it is cold."} | ({} if label is None else {"is_classification": label})
    parent = None if asked.shows_seeds else Record("i-1", "instructions", 1, 0, about)
    prompt = asked.prompts[0] if label is None else asked.variant(about, number, 0)
    shown = recipe.config.mix.examples if asked.shows_seeds else 0
    return asked.read(prompt, number, reply, 0, shown, parent)


def admitted(recipe: Recipe, stage: str, records: list[Record]) -> list[Record]:
    """Those that pass the rest of the checks, one after the other."""
    judge = recipe.stage(stage).judge
    return [record for record in records if record.fate != "rejected" and judge.admit(record)]


def reply(text: str, cut: bool = False) -> Reply:
    """A reply as it arrives."""
    return Reply(text, "length" if cut else "stop")


def test_there_are_enough() -> None:
    """Some two hundred odd replies, no two alike, most of which hold something."""
    texts = [*LISTS, *INPUT_FIRST, *OUTPUT_FIRST, *RECORDS]
    assert len(texts) + len(ANSWERS) > 240
    assert len(set(texts)) == len(texts)


def test_instructions(place: Path) -> None:
    """Of each list the same instructions are accepted, in the same order, with the same similar ones."""
    recipe = composed(place, "paper")
    pool = [seed.data["instruction"] for seed in recipe.seeds.tasks]
    ids = [seed.id for seed in recipe.seeds.tasks]
    held = 0
    for number, (text, cut) in enumerate(LISTS, 1):
        wanted = []
        for item in original_instructions(text, cut):
            scores = original_admits(item, pool, BANNED)
            if scores is not None:
                wanted.append((item, sorted(scores, reverse=True)[:10], sum(scores) / len(scores)))
        found = admitted(recipe, "instructions", candidates(recipe, "instructions", number, reply(text, cut)))
        assert [record.data["instruction"] for record in found] == [item for item, _, _ in wanted], text
        for record, (_, best, average) in zip(found, wanted, strict=True):
            assert list(record.detail["most_similar"].values()) == [round(score, 4) for score in best]
            assert record.detail["average_similarity"] == round(average, 4)
            assert set(record.detail["most_similar"]) <= set(ids)
            ids.append(record.id)
        held += len(found)
    assert held > 10


def test_a_scored_text_of_the_threshold_itself_stays(place: Path) -> None:
    """0.7 is not above 0.7: 7 of 10 and 10 words in common."""
    recipe = composed(place, "paper")
    pool = [seed.data["instruction"] for seed in recipe.seeds.tasks]
    texts = ["One two three four five six seven eight nine ten", "One two three four five six seven 8 9 10"]
    assert rouge_l(*texts) == 0.7
    found = candidates(recipe, "instructions", 1, reply("\n10. ".join(texts)))
    assert [one.data["instruction"] for one in admitted(recipe, "instructions", found)] == [
        text.capitalize() for text in texts if original_admits(text.capitalize(), pool, BANNED) is not None
    ]


@pytest.mark.parametrize("cut", [False, True])
def test_classification(place: Path, cut: bool) -> None:
    """Each answer means the same, and no answer, a refused or an empty one, is a no."""
    recipe = common(place, "paper")
    refused = [Reply("", "content_filter", error="no"), Reply("", "context", error="too long")]
    for number, answer in enumerate([*(reply(text, cut) for text in ANSWERS), *refused], 1):
        (record,) = admitted(recipe, "classification", candidates(recipe, "classification", number, answer))
        assert record.data["is_classification"] is original_label(answer.text), answer.text


@pytest.mark.parametrize(
    ("label", "replies", "rule"),
    [(False, INPUT_FIRST, original_input_first), (True, OUTPUT_FIRST, original_output_first)],
    ids=["input first", "output first"],
)
def test_instances(
    place: Path, label: bool, replies: list[tuple[str, bool]], rule: Callable[[str, bool], list[Pair]]
) -> None:
    """Each reply has the same instances, and the same are left; of more than five, five of them."""
    recipe = common(place, "paper")
    held = 0
    for number, (text, cut) in enumerate(replies, 1):
        read = candidates(recipe, "instances", number, reply(text, cut), label)
        pairs = [(one.data.get("input"), one.data.get("output")) for one in read if one.check not in LOST]
        wanted = rule(text, cut)
        assert pairs == wanted, text
        found = [(one.data["input"], one.data["output"]) for one in admitted(recipe, "instances", read)]
        kept = original_kept(wanted)
        assert found == [pair for pair in kept if pair in found], text
        assert len(found) == min(5, len(kept)), text
        held += len(found)
    assert held > 10


def test_records(place: Path) -> None:
    """Alpaca: each reply has the same records, and the same instructions are new."""
    recipe = composed(place, "alpaca_original")
    pool = [seed.data["instruction"] for seed in recipe.seeds.tasks]
    held = 0
    for number, (text, cut) in enumerate(RECORDS, 1):
        read = candidates(recipe, "tasks", number, reply(text, cut))
        wanted = original_records(text, cut)
        assert [triple(one) for one in read if one.check not in LOST] == wanted, text
        new = [one for one in wanted if original_admits(one[0], pool, BANNED + MORE_BANNED) is not None]
        assert [triple(one) for one in admitted(recipe, "tasks", read)] == new, text
        held += len(new)
    assert held > 10


def test_training_data(place: Path) -> None:
    """Each instance becomes a row that the original may draw for it, and in time each of these."""
    export = common(place, "paper").exports["prompt_completion"]
    pairs = {pair for text, cut in INPUT_FIRST for pair in original_kept(original_input_first(text, cut))}
    pairs |= {pair for text, cut in OUTPUT_FIRST for pair in original_kept(original_output_first(text, cut))}
    pairs |= {
        ("See https://a.example/b", "x"),
        ("At 10:30: go", "x"),
        ("A: 1\n\n\n\nA: 2", "x"),
        ("Text:\n\nx", "y"),
    }
    assert len(pairs) > 40
    for given, said in sorted(pairs):
        fields = {"instruction": TASK, "input": given, "output": said}
        drawn = (export.convert(fields, random.Random(number)) for number in range(150))
        rows = {(row["prompt"], row["completion"]) for row in drawn}
        assert rows == original_rows(TASK, given, said), given


def triple(record: Record) -> tuple[Any, ...]:
    """Instruction, input and output."""
    return tuple(record.data.get(name) for name in ("instruction", "input", "output"))


# What they do otherwise: the rows of the table in docs/from-the-paper.md

SCRIPTED = ["model=scripted", "seeds.path=seeds/few.jsonl", "cache=off", "export=none"]


def the_end_of_a_run(place: Path) -> None:
    """The five replies in flight at the end are not all taken in."""
    assert len(run("paper", [*SCRIPTED, "target=9"], project=place, quiet=True).records("instructions")) == 9


def a_run_that_adds_nothing(place: Path) -> None:
    """`patience` has a value."""
    assert common(place, "paper").config.pipeline["instructions"].options["patience"] == 50


def a_request_that_fails(place: Path) -> None:
    """The run ends with the error, and no record is labelled."""
    words = [*SCRIPTED, "target=3", "~model.options.rules.classification", "run_dir=fails"]
    with pytest.raises(ModelError):
        run("paper", words, project=place, quiet=True)
    journal = Journal(place / "fails/run.sqlite")
    assert len(list(journal.records("instructions", "accepted"))) == 3
    assert list(journal.records("classification")) == []
    journal.close()


def a_prompt_too_long_for_the_model(place: Path) -> None:
    """It is asked again, in all stages; how often is the model's (test_shorten.py)."""
    recipes = [common(place, name) for name in ("paper", "alpaca_original")]
    assert all(one.may_shorten for recipe in recipes for stage in recipe.stages for one in stage.prompts)


def replies_that_are_not_read_at_all(place: Path) -> None:
    """Each is rejected under a name of its own."""
    recipe = common(place, "paper")
    replies = {
        "content_filter": Reply(TASK, "content_filter"),
        "oversized": Reply(TASK + " word" * 60_000),
        "repeated_line": Reply(f"{TASK}\n" * 22),
    }
    for number, (check, odd) in enumerate(replies.items(), 1):
        (record,) = candidates(recipe, "instructions", number, odd)
        assert record.check == check


def a_thought_before_the_answer(place: Path) -> None:
    """What it drafts is no record."""
    recipe = common(place, "paper")
    (record,) = candidates(recipe, "instructions", 1, Reply(f"<think>\n1. A draft.\n</think>\n{TASK}"))
    assert "draft" not in record.data["instruction"].lower()
    (record,) = candidates(recipe, "instructions", 2, Reply(f"<think>\n1. A draft. {TASK}"))
    assert record.check == "thinking_cut"


def tokens_for_the_five_of_a_batch(place: Path) -> None:
    """They are those of the task alone."""
    prompts = common(place, "paper").stage("instances").prompts
    assert {one.name: one.sampling["max_tokens"] for one in prompts} == {
        "output_first": 300,
        "input_first": 350,
    }


def a_colon_at_the_end_of_a_task(place: Path) -> None:
    """It is in no prompt."""
    recipe = common(place, "paper")
    for stage in ("classification", "instances"):
        for one in recipe.stage(stage).prompts:
            assert "Sort these words\n" in one.fill({"instruction": "Sort these words：:"})[1]


def the_10_most_similar(place: Path) -> None:
    """They are there by id, with four digits."""
    recipe = composed(place, "paper")
    text = "Say in one sentence what a violin costs today."
    (record,) = admitted(recipe, "instructions", candidates(recipe, "instructions", 1, reply(text)))
    similar = record.detail["most_similar"]
    assert set(similar) <= {seed.id for seed in recipe.seeds.tasks}
    assert all(score == round(score, 4) for score in [*similar.values(), record.detail["average_similarity"]])


def equal_instructions(place: Path) -> None:
    """They are known before ROUGE-L sees them."""
    recipe = composed(place, "paper")
    found = candidates(recipe, "instructions", 1, reply(f"{TASK}\n10. {TASK}"))
    assert len(admitted(recipe, "instructions", found)) == 1
    assert found[1].check == "exact_duplicate"
    assert original_admits(TASK, [TASK], BANNED) is None


def seeds_with_faults(place: Path) -> None:
    """They are refused before the first request."""
    seed_file(place / "seeds/faulty.jsonl", instances=[{"input": "", "output": ""}])
    seed_file(place / "seeds/twice.jsonl", id="one")
    for name in ("faulty", "twice"):
        with pytest.raises(RecipeError, match=name):
            composed(place, "paper", f"seeds.path=seeds/{name}.jsonl")


def alpacas_fields_in_another_order(place: Path) -> None:
    """The record is not read, and those after it are."""
    text = f" {TASK}\n4. Output:\nWell.\n4. Input:\n<noinput>\n###\n5. Instruction: {TASK}\n5. Input:\nx"
    read = candidates(common(place, "alpaca_original"), "tasks", 1, reply(f"{text}\n5. Output:\ny"))
    assert [(one.check, one.data.get("output")) for one in read] == [("unreadable", None), (None, "y")]


def alpacas_empty_outputs(place: Path) -> None:
    """The record is accepted, and in no export."""
    recipe = composed(place, "alpaca_original")
    text = f" {TASK}\n4. Input:\n<noinput>\n4. Output:\n"
    found = admitted(recipe, "tasks", candidates(recipe, "tasks", 1, reply(text)))
    assert [triple(one) for one in found] == [(TASK, "", "")]
    for name, export in recipe.exports.items():
        assert convert(name, export, found, 0)[0] == []


ASSERTED = {
    "the end of a run": the_end_of_a_run,
    "a run that adds nothing": a_run_that_adds_nothing,
    "a request that fails": a_request_that_fails,
    "a prompt too long for the model": a_prompt_too_long_for_the_model,
    "replies that are not read at all": replies_that_are_not_read_at_all,
    "a thought before the answer": a_thought_before_the_answer,
    "tokens for the five of a batch": tokens_for_the_five_of_a_batch,
    "a colon at the end of a task": a_colon_at_the_end_of_a_task,
    "the 10 most similar": the_10_most_similar,
    "equal instructions": equal_instructions,
    "seeds with faults": seeds_with_faults,
    "Alpaca's fields in another order": alpacas_fields_in_another_order,
    "Alpaca's empty outputs": alpacas_empty_outputs,
}


def test_the_page_has_each_difference_that_is_asserted() -> None:
    """And none besides."""
    assert [row[0] for row in PAPER_TABLES[NOT_RESTORED]] == list(ASSERTED)


@pytest.mark.parametrize("rule", ASSERTED)
def test_a_difference_is_what_the_page_says(place: Path, rule: str) -> None:
    """Each row of the page is so."""
    ASSERTED[rule](place)


@pytest.mark.parametrize(("name", "month"), [("paper", "february"), ("completion", "February")])
def test_a_name_in_the_replies_of_a_real_model(place: Path, shared: Path, name: str, month: str) -> None:
    """Its February becomes february in `paper`, as in the original, and stays in `completion`."""
    replies = shared.parent / "trials/real-replies/paper.jsonl"
    words = ["model=scripted", f"model.options.replies={replies}", "seed=2", "target=20", "cache=off"]
    with suppress(ModelError):  # where a check rejects more, the replies do not last
        run(name, [*words, "export=none", f"run_dir=real-{name}"], project=place, quiet=True)
    journal = Journal(place / f"real-{name}/run.sqlite")
    told = [record.data["instruction"] for record in journal.records("instructions", "accepted")]
    journal.close()
    assert f"What is the total number of days from 20th to 30th {month}?" in told
