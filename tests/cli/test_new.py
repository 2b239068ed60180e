"""`selfinstruct new`: what it writes passes `check` at once, and nothing is ever overwritten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from conftest import Typed, lines
from jsonschema import Draft7Validator

from selfinstruct.project.layout import packaged

OURS = sorted(path.stem for path in (packaged() / "recipes").glob("*.yaml"))
OTHERS = {  # those whose prompts show no seed tasks, and what they begin with
    "grounded": "passages of 4 documents in seeds/documents",
    "grounded_conversations": "passages of 4 documents in seeds/documents",
    "topics": "topics path=seeds/topics_en.yaml",
    "evaluate": "tasks (rows path=",
    "translate": "rows of seeds/general_en.jsonl",
    "rate": "rows path=seeds/evaluation/example_answers.jsonl",
    "compare": "rows path=seeds/evaluation/example_pairs.jsonl",
}
OWN = {
    "checked",
    "tools",
}  # the examples are their own seed tasks, since those of ours lack fields that they need
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")


@pytest.fixture
def keys(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the usual models are set."""
    for key in KEYS:
        monkeypatch.setenv(key, "none")


def uncommented(text: str) -> str:
    """The recipe with every suggestion taken: a # right before a key or a -."""
    return re.sub(r"^( *)#(?=[\w-])", r"\1", text, flags=re.MULTILINE)


def test_from_an_empty_folder_to_a_recipe_that_passes_check(typed: Typed, project: Path) -> None:
    """Three files, the three commands that follow, and what is missing: the key, which is all."""
    status, out, err = typed("new", "my_domain", "--from", "chat")
    assert status == 0, err
    files = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert files == {"recipes/my_domain.yaml", "seeds/my_domain.jsonl", "recipes/.recipe.schema.json"}
    commands = ["check recipe=my_domain", "recipe=my_domain target=5", "recipe=my_domain"]
    assert re.findall(r"^  selfinstruct (.*?)  ", out, re.MULTILINE) == commands
    assert "export OPENAI_API_KEY=…" in out
    status, out, err = typed("check", "recipe=my_domain")
    assert status == 0, err
    assert "before a run  model.api_key_env: the environment variable OPENAI_API_KEY is not set" in out


@pytest.mark.parametrize("base", OURS)
def test_from_each_recipe_of_ours(typed: Typed, project: Path, keys: None, base: str) -> None:
    """It passes as written and with every suggestion taken, and an editor underlines nothing in either."""
    assert typed("new", "mine", f"--from={base}")[0] == 0
    status, out, err = typed("check", "recipe=mine")
    assert status == 0, err
    if base in OTHERS:
        assert OTHERS[base] in out
        assert not (project / "seeds").exists()
    else:
        if base not in OWN:
            assert "still the example that `selfinstruct new` wrote" in out
        assert len(lines(project / "seeds/mine.jsonl")) in range(8, 11)
    text = (project / "recipes/mine.yaml").read_text()
    schema = json.loads((project / "recipes/.recipe.schema.json").read_text())
    assert list(Draft7Validator(schema).iter_errors(yaml.safe_load(text))) == []
    taken = uncommented(text)
    assert taken.count("#") < text.count("#")
    assert list(Draft7Validator(schema).iter_errors(yaml.safe_load(taken))) == []
    (project / "recipes/mine.yaml").write_text(taken)
    status, _, err = typed("check", "recipe=mine")
    assert status == 0, err


def test_what_it_says_of_itself(typed: Typed, project: Path, keys: None) -> None:
    """`--help` lists it by its own first line, and that of `new` explains it."""
    assert typed("new", "rose-garden")[0] == 0
    assert "Tasks about rose garden." in typed("--help")[1]
    assert 'scope: "about rose garden"' in (project / "recipes/rose-garden.yaml").read_text()
    for asked in (("new", "--help"), ("new", "x", "-h")):
        status, out, _ = typed(*asked)
        assert status == 0
        assert "selfinstruct new NAME [--from RECIPE]" in out
        assert "recipes (recipe=NAME)" not in out
    assert not (project / "recipes/x.yaml").exists()


def test_from_a_recipe_of_ones_own(typed: Typed, project: Path, keys: None) -> None:
    """Its own language, its own condition on seeds, and what it has already."""
    (project / "recipes").mkdir()
    (project / "recipes/base.yaml").write_text(
        "defaults: [chat, {override /seeds: general_de}, {override /filters: default_de}, _self_]\n"
    )
    assert typed("new", "garten", "--from", "base")[0] == 0
    assert "Schreibe" in (project / "seeds/garten.jsonl").read_text(encoding="utf-8")
    assert "language: de" in (project / "recipes/garten.yaml").read_text(encoding="utf-8")
    assert typed("check", "recipe=garten")[0] == 0
    assert typed("new", "child", "--from", "garten")[0] == 0
    assert typed("check", "recipe=child")[0] == 0


@pytest.mark.parametrize("language", ["ja", "zh", "fr"])
def test_the_examples_are_in_the_recipes_language(
    typed: Typed, project: Path, keys: None, language: str
) -> None:
    """English ones where there are none in it; no note on language or filters where there are."""
    swap = f", {{override /filters: default_{language}}}" if language != "fr" else ""
    (project / "recipes").mkdir()
    (project / "recipes/base.yaml").write_text(
        f"defaults: [paper{swap}, _self_]\nseeds: {{language: {language}, path: seeds/general_en.jsonl}}\n"
    )
    assert typed("new", "mine", "--from", "base")[0] == 0
    rows = lines(project / "seeds/mine.jsonl")
    assert ("letter" in rows[0]["instruction"]) is (language == "fr")
    status, out, err = typed("check", "recipe=mine")
    assert status == 0, err
    assert len(re.findall("note: seeds/mine", out)) == 1  # that they are examples


def test_it_runs(typed: Typed, project: Path) -> None:
    """What it wrote is a recipe like any other."""
    assert typed("new", "mine", "--from", "paper")[0] == 0
    status, _, err = typed("recipe=mine", "model=scripted", "target=3")
    assert status == 0, err
    assert len(lines(project / "runs/mine/instructions.jsonl")) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["my domain"], ["'my domain' cannot name a recipe", "letters, digits, _ and -"]),
        (["../x"], ["cannot name a recipe"]),
        (["gärten"], ["cannot name a recipe"]),
        (["null"], ["is not read as a word"]),
        (["12"], ["is not read as a word"]),
        (["paper"], ["a shipped recipe has the name 'paper'", "another name"]),
        (["mine", "--from", "chatt"], ["--from: unknown recipe 'chatt'", "did you mean 'chat'?"]),
        (["mine", "--from"], ["new takes one NAME"]),
        (["mine", "--form", "chat"], ["new takes one NAME"]),
        ([], ["new takes one NAME"]),
    ],
)
def test_what_it_refuses(typed: Typed, project: Path, arguments: list[str], words: list[str]) -> None:
    """With the reason, and nothing written."""
    status, _, err = typed("new", *arguments)
    assert status == 1
    for word in words:
        assert word in err
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("place", ["recipes/mine.yaml", "seeds/mine.jsonl"])
def test_it_never_overwrites(typed: Typed, project: Path, place: str) -> None:
    """Neither of the files, and it writes none where it cannot write both."""
    (project / place).parent.mkdir()
    (project / place).write_text("# mine\ntarget: 5\n")
    status, _, err = typed("new", "mine")
    assert status == 1
    assert f"{place}: exists already" in err
    assert (project / place).read_text() == "# mine\ntarget: 5\n"
    assert [path for path in project.rglob("*") if path.is_file()] == [project / place]


def test_a_schema_of_another_version_stays_and_is_told(typed: Typed, project: Path, keys: None) -> None:
    """Not even that is overwritten."""
    assert typed("new", "one")[0] == 0
    assert "another version" not in typed("new", "two")[1]
    (project / "recipes/.recipe.schema.json").write_text("{}")
    assert "recipes/.recipe.schema.json is from another version" in typed("new", "three")[1]
    assert (project / "recipes/.recipe.schema.json").read_text() == "{}"


def test_a_recipe_with_faults_is_no_base(typed: Typed, project: Path, keys: None) -> None:
    """They are told, and nothing is written."""
    (project / "recipes").mkdir()
    (project / "recipes/broken.yaml").write_text("defaults: [paper, _self_]\ntarget: 0\n")
    status, _, err = typed("new", "mine", "--from", "broken")
    assert status == 1
    assert "recipe broken: 1 fault" in err
    assert not (project / "seeds").exists()


def test_a_folder_that_cannot_be_written(typed: Typed, project: Path) -> None:
    """The place is named."""
    (project / "seeds").write_text("a file")
    status, _, err = typed("new", "mine")
    assert status == 1
    assert "seeds: cannot be written: it is not a folder" in err
