"""What bad input gets: a message with the place and the remedy, exit status 1, and nothing written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from conftest import Typed, seed_file
from results import refused
from slips import FORBIDDEN, PAPER, RECIPE_SLIPS, TYPED_SLIPS


def recipe(project: Path, text: str, name: str = "mine") -> None:
    """Write a recipe of the user's own."""
    (project / "recipes").mkdir(exist_ok=True)
    (project / f"recipes/{name}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["there is no file mine.jsonl", "seeds.path=…"]),
        ("", ["mine.jsonl: is empty"]),
        ("\n \n", ["mine.jsonl: is empty"]),
        ('{"instruction": "Say hi."}\nnot json\n', ["mine.jsonl line 2: is not valid JSON"]),
        ('{"id": "a", "name": "x"}\n', ["mine.jsonl line 1: 'instruction' is a required property"]),
        ('{"instruction": "  "}\n', ["mine.jsonl line 1: instruction:"]),
        ('{"instruction": "Half \\ud83d"}\n', ["line 1: holds half of a character"]),
        ('["Say hi."]\n', ["line 1", "is not of type 'object'"]),
        (
            '{"id": 1, "instruction": "A."}\n{"id": 1, "instruction": "B."}\n',
            ["line 2: the id '1'", "line 1"],
        ),
        ('{"instruction": "Say hi."}\n' * 3, ["mix.examples: asks for 8 examples but there are 3 seeds"]),
        ('{"instruction": "Grüß Gott"}\n'.encode("latin-1"), ["is not UTF-8", "save it as UTF-8"]),
    ],
)
def test_a_seed_file_that_cannot_be_used(
    typed: Typed, project: Path, content: str | bytes | None, words: list[str]
) -> None:
    """File, line and remedy; for `check` and for `run`, which leaves no folder behind."""
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (project / "mine.jsonl").write_bytes(data)
    for verb in ("check", "run"):
        refused(typed(verb, *PAPER, "seeds.path=mine.jsonl"), *words)
    assert not (project / "runs").exists()


@pytest.mark.parametrize(("arguments", "words"), TYPED_SLIPS)
def test_a_mistake_on_the_command_line(typed: Typed, arguments: list[str], words: list[str]) -> None:
    """What is wrong, where, and the nearest name that there is."""
    refused(typed("check", *arguments), *words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("pipeline.instructions.model=5", ".model: should be a valid string or a valid dictionary, not 5"),
        ("model.fallbacks=[5]", "model.fallbacks.0: should be a valid string or a valid dictionary, not 5"),
        ("+seeds.columns={a: [b, 7]}", "seeds.columns.a.1: should be a valid string, not 7"),
        ("+filters.instructions.extra=[]", "extra: should be a valid dictionary, not []"),
        ("+prompts.instructions.messages=[]", "messages: list should have at least 1 item, not 0\n"),
        ("+seeds.from_run=''", "seeds.from_run: string should have at least 1 character, not ''"),
        (
            "+pipeline.instructions.from_run=''",
            "instructions.from_run: string should have at least 1 character",
        ),
    ],
)
def test_a_value_of_the_wrong_type(typed: Typed, given: str, words: str) -> None:
    """One fault at the key itself, in words for people who do not read Python."""
    status, _, err = typed("check", "recipe=paper", "model=scripted", given)
    assert status == 1
    assert words in err
    assert "recipe paper: 1 fault" in err


def test_a_key_is_needed_for_a_run_and_not_for_its_plan(typed: Typed, project: Path) -> None:
    """`check` says what it would cost and what is wanting; a run refuses before it makes a folder."""
    status, out, err = typed("check", "recipe=alpaca")
    assert status == 0, err
    assert "together" in out or "$" in out
    assert "before a run  model.api_key_env: the environment variable OPENAI_API_KEY is not set" in out
    assert "export OPENAI_API_KEY=" in out
    status, _, err = typed("recipe=alpaca")
    assert status == 1
    assert "the environment variable OPENAI_API_KEY is not set" in err
    assert not (project / "runs").exists()


@pytest.mark.parametrize("stage", ["seeds", "instances"])
@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("http://127.0.0.1:9/input.json", "$ref 'http://127.0.0.1:9/input.json' leads nowhere"),
        ("https://json-schema.org/none", "leads nowhere"),
        ("#/$defs/none", "$ref '#/$defs/none' leads nowhere"),
        ("#/type", "leads nowhere"),
        ("#none", "leads nowhere"),
        ("http://[", "leads nowhere"),
        ("#/properties/input", "leads back to itself without end"),
    ],
)
def test_a_reference_that_leads_nowhere(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch, stage: str, ref: str, words: str
) -> None:
    """A schema is whole in itself: nothing is fetched, and a $ref to nothing is a fault of its schema."""
    monkeypatch.setattr("socket.create_connection", lambda *args, **options: pytest.fail("the network"))
    recipe(
        project,
        f"defaults: [paper, _self_]\nschema: {{{stage}: {{properties: {{input: {{$ref: '{ref}'}}}}}}}}\n",
    )
    result = typed("check", "recipe=mine", "model=scripted", "seeds.instances_key=null")
    refused(result, f"schema.{stage}: ", words)


def test_a_reference_within_a_schema(typed: Typed, project: Path) -> None:
    """$defs, an anchor and an $id that the schema gives itself are found."""
    recipe(
        project,
        "defaults: [paper, _self_]\n"
        "schema:\n"
        "  instances:\n"
        "    $id: https://example.org/instance\n"
        "    $defs: {a: {$anchor: text, type: string}, b: {$id: other, minLength: 1}}\n"
        "    properties: {input: {$ref: '#text'}, output: {$ref: other}, instruction: {$ref: '#/$defs/a'}}\n",
    )
    status, _, err = typed("recipe=mine", "model=scripted", "target=2")
    assert status == 0, err


def test_all_faults_are_told_at_once(typed: Typed, project: Path) -> None:
    """Faults of seeds, model, mix, filters, prompts, schema and export come in one message."""
    result = typed(
        "check",
        *PAPER,
        "seeds.path=none.jsonl",
        "model.mode=chatty",
        "mix.generated=9",
        "filters.instructions.rouge_l.threshold=2",
        "prompts.classification.template='{{ instrction }}'",
        "schema.instances.type=objekt",
        "export.alpaca.of=instance",
    )
    refused(
        result, "none.jsonl", "model.mode", "rouge_l.threshold", "instrction", "objekt", "export.alpaca.of"
    )


def test_a_label_that_yaml_turned_into_a_boolean(typed: Typed, project: Path) -> None:
    """An unquoted yes is pointed out as the boolean that YAML makes of it."""
    recipe(
        project,
        "defaults: [paper, _self_]\n"
        "prompts: {classification: {parse: {choices: {sure: {answers: [yes, Sure]}}}}}\n",
    )
    refused(typed("check", "recipe=mine", "model=scripted"), "answers.0", "boolean True", "quotes")


@pytest.mark.parametrize(("text", "words"), FORBIDDEN)
def test_a_recipe_that_is_no_recipe_or_reaches_for_code(
    typed: Typed, project: Path, text: str, words: list[str]
) -> None:
    """A recipe from somebody else runs no code; one that tries is refused before Hydra sees it."""
    recipe(project, text)
    for verb in ("check", "run"):
        refused(typed(verb, "recipe=mine"), "recipes/mine.yaml", *words)


@pytest.mark.parametrize(("text", "words"), RECIPE_SLIPS)
def test_a_slip_in_a_recipe(typed: Typed, project: Path, text: str, words: list[str]) -> None:
    """What newcomers write at first: the place, and what it has to be."""
    recipe(project, text)
    refused(typed("check", "recipe=mine", "model=scripted"), *words)


def test_a_recipe_that_cannot_be_read_harms_no_other(typed: Typed, project: Path) -> None:
    """Though a defaults list has its name, for a file of a group."""
    (project / "recipes").mkdir()
    content = "# x\ndefaults: [paper, override /model: scripted, _self_]\n"
    (project / "recipes/mine.yaml").write_text(content, encoding="utf-8")
    (project / "recipes/scripted.yaml").write_text("# x\na: [b\nc: d: e\n", encoding="utf-8")
    status, out, err = typed("check", "recipe=mine")
    assert status == 0, out + err


def test_an_empty_section_changes_nothing(typed: Typed, project: Path) -> None:
    """A section whose lines are all commented out is left as it is; null still takes a check away."""
    recipe(
        project,
        "defaults: [paper, _self_]\nmix:\nfilters:\n  instructions:\n    rouge_l:\n      # threshold: 0.6\n"
        "    word_count: null\n  instances:\ntarget: 7\n",
    )
    status, out, err = typed("recipe=mine", "model=scripted", "--cfg", "job")
    assert status == 0, err
    kept = yaml.safe_load(out)
    assert kept["filters"]["instructions"]["rouge_l"]["threshold"] == 0.7
    assert kept["filters"]["instructions"]["word_count"] is None
    assert (kept["mix"]["examples"], kept["target"]) == (8, 7)
    assert typed("check", "recipe=mine", "model=scripted")[0] == 0


def test_an_empty_section_of_a_config_file(typed: Typed, project: Path) -> None:
    """There it would take the place of nothing else, so it is a fault that says what to write."""
    (project / "conf/filters").mkdir(parents=True)
    (project / "conf/filters/mine.yaml").write_text("instructions:\n  # empty: {}\n")
    words = ("filters.instructions: has nothing in it", "write {} for none")
    refused(typed("check", *PAPER, "filters=mine"), *words)


def test_a_dollar_and_brace_as_text(typed: Typed, project: Path) -> None:
    """A template that shows ${name} writes it with a backslash."""
    recipe(project, "prompts: {classification: {system: 'export A=\\${HOME} {{ instruction }}'}}\n")
    shown = typed("check", "recipe=mine", "model=scripted")
    assert shown[0] == 0, shown[2]


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:SECRET}",
        "Bearer ${oc.env:SECRET,none}",
        "${oc.decode:${oc.env:SECRET}}",
        "${oc.${name}:SECRET}",  # parts that make it up
        '${oc.decode:"$${rest}"}',
    ],
)
def test_a_recipe_does_not_read_the_environment(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """In a recipe, in a file of conf and on the command line: a key read there would be written down."""
    monkeypatch.setenv("SECRET", "sk-secret")
    places = {
        "${name}": "${prompts.instructions.variables.a}",
        "${rest}": "${prompts.instructions.variables.b}",
    }
    for short, long in places.items():
        value = value.replace(short, long)
    names = {"a": "env", "b": "{oc.env:SECRET}"}
    plain, mine = (
        {"prompts": {"instructions": {"variables": v}}} for v in (names, {**names, "header": value})
    )
    recipe(project, json.dumps(plain), "plain")
    recipe(project, json.dumps(mine))
    (project / "conf/mix").mkdir(parents=True)
    (project / "conf/mix/mine.yaml").write_text(json.dumps({"examples": value}))
    for verb in ("check", "run"):
        refused(
            typed(verb, "recipe=mine", "model=scripted"),
            "variables.header: reads the environment",
            "api_key_env",
        )
        refused(
            typed(verb, "recipe=plain", "model=scripted", "mix=mine"), "mix.examples: reads the environment"
        )
    assert not (project / "runs").exists()


def test_nor_does_an_override_or_a_stages_own_model(
    typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on the command line, and in a file of conf/model that a stage names."""
    monkeypatch.setenv("SECRET", "sk-secret")
    typed_in = [
        "model.sampling.api_key=${oc.env:SECRET}",
        "run_dir=${oc.env:SECRET}",
        "target=${oc.env:SECRET}",
    ]
    for override in typed_in:
        for verb in ("check", "run"):
            refused(typed(verb, *PAPER, override), f"{override.split('=')[0]}: reads the environment")
    (project / "conf/model").mkdir(parents=True)
    (project / "conf/model/mine.yaml").write_text("name: openai/${oc.env:SECRET}\n")
    own = "pipeline.instances.model=mine"
    refused(typed("check", *PAPER, own), "conf/model/mine.yaml", "name: reads the environment")
    (project / "conf/model/mine.yaml").write_text("name: openai/${nothing}\n")
    refused(typed("check", *PAPER, own), "conf/model/mine.yaml", "${nothing}: there is no key 'nothing'")
    assert not (project / "runs").exists()


def test_a_broken_recipe_does_not_stand_in_the_way_of_others(typed: Typed, project: Path) -> None:
    """Only who chooses it hears of it."""
    recipe(project, "a: [1\n")
    assert typed("check", *PAPER)[0] == 0


def test_a_recipe_of_the_users_own_may_not_hide_one_of_ours(typed: Typed, project: Path) -> None:
    """Two recipes of one name are an error, not a choice made silently."""
    recipe(project, "target: 5\n", name="paper")
    refused(typed("check", *PAPER), "selfinstruct has a recipes/paper.yaml")


def test_a_config_group_of_the_users_own_may_not_reach_for_hydra(typed: Typed, project: Path) -> None:
    """A file in ./conf cannot place itself in Hydra's settings."""
    (project / "conf/model").mkdir(parents=True)
    (project / "conf/model/mine.yaml").write_text("# @package hydra.callbacks\nx: {_target_: os.system}\n")
    refused(typed("check", *PAPER), "conf/model/mine.yaml", "@package")


def test_a_config_file_of_the_users_own_anywhere_may_not_reach_for_hydra(typed: Typed, project: Path) -> None:
    """Nor one below a group, nor one in a group of its own, that a recipe names."""
    for place in ("conf/model/sub", "conf/foo"):
        (project / place).mkdir(parents=True)
        (project / place / "evil.yaml").write_text("# @package _global_\nhydra: {callbacks: {x: {y: z}}}\n")
        refused(typed(*PAPER), f"{place}/evil.yaml", "@package")
        (project / place / "evil.yaml").unlink()


def test_a_run_folder_that_cannot_be_written(typed: Typed, project: Path) -> None:
    """A place where nothing can be made is told with the key that chooses another."""
    (project / "file").write_text("mine")
    refused(typed(*PAPER, "run_dir=file"), "run_dir", "is a file")
    refused(typed(*PAPER, "run_dir=file/run"), "run_dir")
    assert (project / "file").read_text() == "mine"


def test_a_read_only_folder(typed: Typed, project: Path) -> None:
    """A read-only folder is refused before anything is sent."""
    closed = Path("/proc") if os.geteuid() == 0 else project / "closed"  # the superuser writes elsewhere
    if not closed.exists():
        closed.mkdir(mode=0o500)
    refused(typed(*PAPER, f"run_dir={closed}/run"), "cannot be written", "run_dir=…")


def test_check_says_what_a_run_would_do_and_writes_nothing(typed: Typed, project: Path) -> None:
    """Stages, models, filters, files and the run folder's state; not a file is made."""
    status, out, err = typed("check", *PAPER, "target=12")
    assert status == 0, err
    for words in ("no fault found", "until 12 are accepted", "runs/paper: new", "rouge_l", "rejected.jsonl"):
        assert words in out
    assert list(project.iterdir()) == []
    assert typed(*PAPER, "target=3")[0] == 0
    assert "continues the run in it: 3 instructions" in typed("check", *PAPER, "target=12")[1]


def test_a_domain_of_ones_own_is_a_recipe_and_a_seed_file(typed: Typed, project: Path) -> None:
    """A YAML in ./recipes and a JSONL in ./seeds are enough, with nothing installed or registered."""
    seed_file(project / "seeds/mine.jsonl")
    recipe(project, "defaults: [paper, _self_]\nseeds: {path: seeds/mine.jsonl}\ntarget: 4\n")
    assert "12 tasks" in typed("check", "recipe=mine", "model=scripted")[1]
    assert typed("recipe=mine", "model=scripted")[0] == 0
    rows = (project / "runs/mine/instructions.jsonl").read_text().splitlines()
    assert len([json.loads(row) for row in rows]) == 4


def test_a_model_of_ones_own_may_start_from_another(typed: Typed, project: Path) -> None:
    """Its defaults list counts where a stage names it, as it does where the recipe does."""
    (project / "conf/model").mkdir(parents=True)
    (project / "conf/model/mine.yaml").write_text("defaults: [scripted]\nname: mine\n")
    own = "pipeline.instances.model=mine"
    assert "model    mine, completion mode" in typed("check", *PAPER, own)[1]
    for name, word in (("mine", "itself"), ("none", "which does not exist")):
        (project / "conf/model/mine.yaml").write_text(f"defaults: [{name}]\nname: mine\n")
        refused(typed("check", *PAPER, own), "conf/model/mine.yaml", word)


def test_a_config_file_that_is_not_utf_8(typed: Typed, project: Path) -> None:
    """It is told by its name."""
    (project / "conf/model").mkdir(parents=True)
    (project / "conf/model/mine.yaml").write_bytes("# Größe\n".encode("latin-1"))
    refused(typed("check", *PAPER), "conf/model/mine.yaml: is not UTF-8")


@pytest.mark.parametrize(
    "swap", ["filters=default_de", "filters=default_en", "mix=alpaca", "prompts=starter_en"]
)
def test_a_recipe_leaves_nothing_behind_in_a_group_that_is_swapped(typed: Typed, swap: str) -> None:
    """The paper's recipe differs from the default by groups that can be chosen, so others can be too."""
    status, _, err = typed("check", *PAPER, swap)
    assert status == 0, err


def test_a_config_group_of_ones_own(typed: Typed, project: Path) -> None:
    """A file in ./conf/model is chosen by its name like one of ours, and listed by --help."""
    (project / "conf/model").mkdir(parents=True)
    ours = Path(__file__).resolve().parents[2] / "conf/model/scripted.yaml"
    (project / "conf/model/mine.yaml").write_text("# A model of mine.\n" + ours.read_text())
    assert typed("recipe=paper", "model=mine", "target=3")[0] == 0
    assert "A model of mine." in typed("--help")[1]


def test_a_variable_that_no_template_uses_is_noted(typed: Typed) -> None:
    """A slip in the one key that everybody edits would cost money and yield what nobody wanted."""
    status, out, err = typed("check", *PAPER, "prompts.instructions.variables.heading=Bees")
    assert status == 0, err
    assert "note: prompts.instructions.variables.heading: no template uses this variable" in out
    assert "did you mean 'header'?" in out
    assert "no template uses" not in typed("check", *PAPER, "prompts.instructions.variables.header=Bees")[1]


def test_the_same_fault_of_many_lines_is_said_once(typed: Typed, project: Path) -> None:
    """A seed file of forty wrong lines: the first few lines and how many more, with what helps."""
    (project / "wrong.jsonl").write_text('{"instructions": "A slip in the name."}\n' * 40, encoding="utf-8")
    status, _, err = typed("check", *PAPER, "seeds.path=wrong.jsonl")
    assert status == 1
    assert err.count("is a required property") == 1
    assert "wrong.jsonl lines 1, 2, 3, 4, 5 and 35 more: 'instruction' is a required property" in err
    assert "its columns are instructions; name the column that holds it" in err
    assert "seeds.columns.instruction=NAME" in err
