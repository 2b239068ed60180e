"""Every recipe that comes with the project, from its seeds to its exports, with realistic replies.

`replies/<language>.jsonl` holds replies to the chat prompts of a language, some of them with the slips that
models make; other prompts are answered by the rules in conf/model/scripted.yaml.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from jsonschema import Draft202012Validator
from results import prompts_of
from server import Answer, Asked, ModelServer

from selfinstruct.project.layout import headline, packaged
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Record

EVALUATION = {"compare", "evaluate", "rate"}  # they make no dataset; tests/evaluate runs them
RECIPES = sorted({path.stem for path in (packaged() / "recipes").glob("*.yaml")} - EVALUATION)
REPLIES = Path(__file__).parents[1] / "replies"
SCRIPTED = ("model=scripted", "model.mode=chat")
TARGET = 10
# Those whose checks are not those of chat alone; the others are chat, and all that are made of it.
OTHERS = {"alpaca", "alpaca_original", "evolve", "grounded", "judged", "quickstart"}
OTHERS |= {"checked", "conversations", "grounded_conversations", "magpie", "paper", "paper_classification"}
OTHERS |= {"preferences", "preferences_pairwise", "tools", "topics", "translate"}
# By the rules of conf/model/scripted.yaml
BY_RULES = {"checked", "grounded", "grounded_conversations", "magpie", "tools", "topics"}
COMPLETES = {"magpie"}  # it has a chat template of its own
AGREE = {"second_answer", "third_answer"}
CHAT = sorted({*RECIPES} - OTHERS)
ONE_MODEL = {"distill": ("pipeline.instances.model=null",)}  # for all stages, where a recipe has more
ONE_MODEL["preferences_pairwise"] = ("pipeline.preferred.length_bias=null",)

every = pytest.mark.parametrize("name", RECIPES)


@every
def test_it_runs_to_its_end(typed: Typed, project: Path, name: str) -> None:
    """It reaches its target; its records fit its schema, and every export has rows."""
    model = SCRIPTED[:1] if name in COMPLETES else SCRIPTED
    recipe = compose([f"recipe={name}", *model], project).recipe()
    replies = "null" if name in BY_RULES else REPLIES / f"{recipe.config.seeds.language}.jsonl"
    overrides = (*model, *ONE_MODEL.get(name, ()), f"model.options.replies={replies}", f"target={TARGET}")
    status, out, err = typed(f"recipe={name}", *overrides, "run_dir=run")
    assert status == 0, out + err
    summary = json.loads((project / "run/summary.json").read_text())
    assert summary["finished"] is True
    for stage in recipe.stages:
        some = stage.kind.where or stage.name in AGREE  # the script's answers seldom agree
        assert summary["stages"][stage.name]["accepted"] >= (1 if some else TARGET)
    for stage in recipe.makers:
        schema = recipe.config.schemas[stage.name]
        rows = lines(project / f"run/{stage.name}.jsonl")
        fields = schema["properties"]
        for row in rows:
            Draft202012Validator(schema).validate({key: row[key] for key in row if key in fields})
    for export in recipe.exports.values():
        assert lines(project / "run/dataset" / export.file)


@pytest.mark.parametrize("name", ["chat", "chinese", "german", "japanese"])
def test_good_replies_pass(typed: Typed, project: Path, name: str) -> None:
    """Of the replies in `replies` the checks reject what is bad, and nothing else."""
    language = compose([f"recipe={name}", *SCRIPTED], project).recipe().config.seeds.language
    replies = f"model.options.replies={REPLIES / language}.jsonl"
    status, out, err = typed(f"recipe={name}", *SCRIPTED, replies, "target=14", "run_dir=run")
    assert status == 0, out + err
    rejected = [(row["stage"], row["check"]) for row in lines(project / "run/rejected.jsonl")]
    assert rejected == [("instructions", check) for check in ("banned_words", "exact_duplicate", "cut")]


@pytest.mark.parametrize("name", CHAT)
def test_its_filters_are_those_for_chat_models(project: Path, name: str) -> None:
    """It has the set of its language, and what it changes there is there."""
    recipe = compose([f"recipe={name}", *SCRIPTED], project).recipe()
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text("target: 5\n")
    language = recipe.config.seeds.language
    words = ["recipe=mine", f"filters=chat_{language}", f"seeds=general_{language}", *SCRIPTED]
    chat = compose(words, project).recipe().config.filters
    assert {stage: list(part) for stage, part in recipe.config.filters.items()} == {
        stage: list(part) for stage, part in chat.items()
    }
    text = (packaged() / f"recipes/{name}.yaml").read_text(encoding="utf-8")
    for stage, changes in yaml.safe_load(text).get("filters", {}).items():
        for check, options in changes.items():
            known = chat[stage][check]
            assert known
            for option, entries in (options or {}).items():
                assert set(entries) <= set(known.options[option])


@every
def test_its_header(name: str) -> None:
    """It opens with a line that says what it is, and has the command that runs it."""
    path = packaged() / f"recipes/{name}.yaml"
    assert len(headline(path)) > 20
    assert f"selfinstruct recipe={name}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["de", "ja", "zh"])
def test_the_paper_with_the_checks_of_another_language(project: Path, language: str) -> None:
    """What `paper` changes in its checks can be changed in those of every language."""
    words = ["recipe=paper", f"filters=default_{language}", f"seeds=general_{language}", *SCRIPTED]
    assert compose(words, project).recipe().stages


@pytest.mark.parametrize("language", ["de", "ja", "zh"])
def test_the_paper_with_the_prompts_of_another_language(project: Path, language: str) -> None:
    """They keep their own marks, stop strings and capitals: those of the original are English."""
    prompts, seeds = f"prompts=paper_{language}", f"seeds=general_{language}"
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text("target: 5\n")
    words = [prompts, seeds, *SCRIPTED]
    made, own = (compose([f"recipe={name}", *words], project) for name in ("paper", "mine"))
    assert made.recipe().config.prompts == own.recipe().config.prompts


def shape(section: Any, key: str = "", parse: bool = False) -> Any:
    """The keys of a section of prompts, and all values but those that are in a language."""
    if key in ("demonstrations", "answers", "list_marks"):
        return None
    if isinstance(section, dict):
        return {name: shape(part, name, parse or name == "parse") for name, part in section.items()}
    return section if parse or not isinstance(section, str) else str


@pytest.mark.parametrize("language", ["de", "ja", "zh"])
@pytest.mark.parametrize("name", ["chat", "grounded"])
def test_prompts_have_the_same_keys(name: str, language: str) -> None:
    """What a recipe changes in the English prompts it can change in the others, and only words differ."""
    english, other = (
        yaml.safe_load((packaged() / f"conf/prompts/{name}_{one}.yaml").read_text(encoding="utf-8"))
        for one in ("en", language)
    )
    assert shape(other) == shape(english)


@pytest.mark.parametrize(
    ("name", "instruction", "check"),
    [
        ("chat", "Write a program that counts the vowels of a word.", "write_a_program"),
        ("code", "Write a program that counts the vowels of a word.", None),
        ("chat", "Read the CSV file line by line in Go.", "banned_words"),
        ("code", "Read the CSV file line by line in Go.", None),
        ("chat", "Say what {{ name }} stands for in the greeting.", "placeholder"),
        ("code", "Say what {{ name }} stands for in the greeting.", None),
        ("code", "Write a letter to [Your Name] on Go.", "placeholder"),
        ("code", "Go to the picture of the parser class.", "banned_words"),
        ("legal", "Say by when the appeal must be on file.", None),
        ("education", "Set five questions about reading a map scale.", None),
        ("education", "Describe the picture to a first grader.", "banned_words"),
    ],
)
def test_a_trade_lets_its_own_words_through(
    project: Path, name: str, instruction: str, check: str | None
) -> None:
    """A recipe drops a check or lets a word through, and keeps the rest."""
    judge = compose([f"recipe={name}", *SCRIPTED], project).recipe().stage("instructions").judge
    record = Record("i-1", "instructions", 1, 0, {"instruction": instruction})
    judge.admit(record)
    assert record.check == check


def test_what_a_hosted_model_gets(typed: Typed, project: Path) -> None:
    """Over HTTP: two messages and the schema of the reply, which the journal holds too."""
    task = "Say in one sentence what a lighthouse is for."

    def answer(asked: Asked) -> Answer:
        (kind,) = asked.body["response_format"]["json_schema"]["schema"]["properties"]
        replies = {
            "tasks": {"tasks": [{"instruction": task}]},
            "is_classification": {"is_classification": False},
            "instances": {"instances": [{"input": "", "output": "It shows ships the way at night."}]},
        }
        return Answer(json.dumps(replies[kind]))

    with ModelServer(answer) as server:
        where = [
            f"model.api_base={server.base}",
            "model.name=hosted_vllm/m",
            "model.mode=chat",
            "run_dir=run",
        ]
        status, out, err = typed("recipe=chat", "model=vllm", *where, "target=1", "model.concurrency=1")
    assert status == 0, out + err
    assert [message["role"] for message in server.bodies[0]["messages"]] == ["system", "user"]
    (row,) = lines(project / "run/instances.jsonl")
    assert (row["instruction"], row["is_classification"], row["input"]) == (task, False, "")
    with closing(sqlite3.connect(project / "run/run.sqlite")) as journal:
        sampling = [json.loads(text) for (text,) in journal.execute("SELECT sampling FROM request")]
    assert all(
        one["response_format"] in [body["response_format"] for body in server.bodies] for one in sampling
    )


@pytest.mark.parametrize("name", sorted({*RECIPES} - {"quickstart"}))
def test_its_header_names_the_command_that_gives_the_cost(name: str) -> None:
    """Prices change, so no comment of a recipe has a dollar figure; `check` prints the cost."""
    text = (packaged() / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    header = text.split("defaults:")[0]
    assert f"#   selfinstruct check recipe={name} " in header
    assert not re.search(r"\$\d", text)


@pytest.mark.parametrize("name", ["conversations", "magpie"])
@pytest.mark.parametrize(
    ("instruction", "check"),
    [
        ("Summarize the message below in two lines for the office manager.", "missing_input"),
        ("Shorten the message below to one line.\n\nThe lift is out of order until noon.", None),
    ],
)
def test_a_first_message_has_its_text(project: Path, name: str, instruction: str, check: str | None) -> None:
    """Nobody adds an input to it later."""
    model = SCRIPTED[:1] if name in COMPLETES else SCRIPTED
    judge = compose([f"recipe={name}", *model], project).recipe()
    record = Record("i-1", "instructions", 1, 0, {"instruction": instruction})
    judge.stage("instructions").judge.admit(record)
    assert record.check == check
    if check:
        assert record.reason and record.reason.endswith("but it does not have it")


def test_examples_of_first_messages_have_their_texts(typed: Typed, project: Path) -> None:
    """The prompt of recipe conversations shows the input of a seed task below its instruction."""
    script = (*SCRIPTED, f"model.options.replies={REPLIES / 'en.jsonl'}", "target=5", "run_dir=run")
    assert typed("recipe=conversations", *script)[0] == 0
    prompt = prompts_of(project / "run", "instructions")[1]
    shown = [json.loads(line)["instruction"] for line in prompt.splitlines() if line.startswith('{"ins')]
    seeds = lines(packaged() / "seeds/general_en.jsonl")
    texts = {f"{seed['instruction']}\n\n{seed['instances'][0]['input']}".strip() for seed in seeds}
    assert len(shown) == 8
    assert {*shown} <= texts
    assert any("\n\n" in one for one in shown)


@pytest.mark.parametrize("name", ["grounded_conversations"])
def test_all_kinds_of_documents_are_read(project: Path, name: str) -> None:
    """A recipe about documents reads the same kinds of files as recipe grounded."""
    made, known = (
        compose([f"recipe={one}", *SCRIPTED], project).recipe().config.pipeline["passages"].options
        for one in (name, "grounded")
    )
    assert made == known


@pytest.mark.parametrize(
    ("name", "export", "words"),
    [
        (
            "conversations",
            "chat",
            "set export.chat.messages=messages (chat, sharegpt or trl), or use export=",
        ),
        ("preferences", "alpaca", "these records are pairs: use export=preferences"),
    ],
)
def test_an_export_for_other_records(typed: Typed, project: Path, name: str, export: str, words: str) -> None:
    """The message says which export fits."""
    status, _, err = typed("check", f"recipe={name}", *SCRIPTED, f"export={export}")
    assert status == 1
    assert f"export.{export}: unknown field 'output'" in err
    assert words in err
