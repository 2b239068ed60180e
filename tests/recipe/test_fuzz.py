"""No recipe, override or seed file ends in a traceback: a sample of the fuzzer's mutants, and its finds."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed
from fuzz import SAMPLE, fuzz

from selfinstruct.project.defaults_list import faults
from selfinstruct.sources import seed_files

ON_TOP = "defaults: [quickstart, _self_]\n"


def said(typed: Typed, recipe: bytes | str, name: str = "mine") -> str:
    """What `check` says of a recipe that it refuses."""
    path = Path("recipes") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(recipe if isinstance(recipe, bytes) else recipe.encode())
    status, _, err = typed("check", f"recipe={name}")
    assert status == 1, err
    return err


@pytest.mark.slow
@pytest.mark.parametrize("sort", SAMPLE)
def test_no_mutant_ends_in_a_traceback(sort: str) -> None:
    """The same sample each time; `python tests/fuzz.py` tries all, and `--seed` others."""
    found = list(fuzz(sort, 0, *SAMPLE[sort]))
    assert not found, "\n".join(map(str, found))


def test_the_fuzzer_finds_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A check that raises, one without end, one that ends the process: each is named, and the rest go on."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import sys, types, os\n"
        "def check(number):\n"
        "    if number == 1: raise KeyError('a fault')\n"
        "    if number == 3:\n"
        "        while True: pass\n"
        "    if number == 5: os.abort()\n"
        "made = types.ModuleType('mutants')\n"
        "made.mutant = lambda sort, seed, number: ('', lambda: check(number))\n"
        "sys.modules['mutants'] = made\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = {one.number: one.what for one in fuzz("keys", 0, 0, 8)}
    assert list(found) == [1, 3, 5]
    assert found[1].startswith("KeyError at ")
    assert "Hang" in found[3]
    assert "the process ended with -6" in found[5]


@pytest.mark.parametrize(
    "properties", ["5", "text", "true", "{1: {type: string}}", "{input: 5}", "{input: {type: 7}}"]
)
def test_a_schema_whose_fields_are_none(typed: Typed, properties: str) -> None:
    """It is named, and the rest of the recipe is checked by what it still says."""
    err = said(typed, f"{ON_TOP}target: 0\nschema: {{instances: {{properties: {properties}}}}}\n")
    assert "schema.instances.properties" in err
    assert "target: should be greater" in err


def test_keys_below_a_value(typed: Typed) -> None:
    """They cannot be set and not be taken away; the message says what there is."""
    for override in ("~model.concurrency.y", "model.concurrency.y=3", "~model.name.x.y"):
        status, _, err = typed("check", "recipe=quickstart", override)
        assert status == 1
        assert "which has no keys" in err
        assert override.lstrip("~").partition("=")[0] in err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seeds=12", "unknown seeds config '12'"),
        ("+schema=inf", "unknown schema config 'inf'"),
        ("hydra/launcher=1e5", "unknown launcher '1e5'"),
        ("model=null", "'model=null': a config group takes the name"),
        ("+model=null", "+model=null: a config group takes the name"),
        ("model=[1]", "'model=[1]': a config group takes the name"),
        ("recipe={a:1}", "'recipe={a:1}': a recipe is chosen by its name"),
    ],
)
def test_a_choice_of_what_is_no_name(typed: Typed, override: str, words: str) -> None:
    """What Hydra takes for a number, nothing or a list is answered with the choice that was typed."""
    status, _, err = typed("check", "recipe=quickstart", override)
    assert status == 1
    assert words in err


@pytest.mark.parametrize("name", ["nan", "inf", "12", "1e5", "true", "null", "-3"])
def test_a_recipe_named_as_a_number(typed: Typed, name: str) -> None:
    """It is found by its name as any other; where there is none, that is said."""
    status, _, err = typed("check", f"recipe={name}")
    assert status == 1
    assert f"unknown recipe '{name}'" in err
    assert "target: should be greater" in said(typed, f"{ON_TOP}target: 0\n", name)


def test_what_no_defaults_list_can_name() -> None:
    """No path, no interpolation, no control character, not nothing: each with what to write instead."""
    paths = ["../x", "a/../b", "a//b", ".", "..", "", " ", "/", "//x", "a\\b", "../../etc/passwd"]
    names = [*paths, "${seed}", "${oc.env:HOME}", "a\0b", "\x1b[31m", "a@b@c"]
    entries: list[Any] = [*names, *({"override /model": name} for name in names)]
    entries += [{"override /model": "/etc/passwd"}, {"override /model": ["openai", "../x"]}]
    entries += [{"/": "x"}, {"": "x"}, {"@": "x"}, {"override /../model": "x"}, {"optional ../x": "y"}]
    for entry in entries:
        (told,) = faults([entry])
        assert f"the defaults list has the entry {entry!r}" in told
        assert "override /GROUP: NAME" in told


def test_what_a_defaults_list_can_name() -> None:
    """Names, whatever their characters, with a package at times; what is of another type is refused."""
    fine: list[Any] = ["chat", "_self_", "über uns", "a[b]", "common/clean@x", "/seeds/x@seeds"]
    fine += [{"override /model": "openai"}, {"/model@pipeline.instances.model": "openai"}]
    fine += [{"override /model": ["a", "b"]}, {"recipe": None}]
    assert faults(fine) == []
    others: list[Any] = [None, 1, True, ["a"], {}, {"a": "b", "c": "d"}, {1: "x"}, {"a": 5}, {"a": [None]}]
    for entry in others:
        assert faults([entry]) == ["'defaults' is a list of names and of 'override /GROUP: NAME'"]


def test_a_defaults_list_with_a_path(typed: Typed) -> None:
    """A file elsewhere on the machine is not read, whether it is there or not."""
    Path("secret.yaml").write_text("target: 7\n")
    for entry in ("../secret", "{override /model: ../../secret}", "{override /model: '${oc.env:HOME}'}"):
        err = said(typed, f"defaults: [quickstart, {entry}, _self_]\n")
        assert "recipes/mine.yaml: the defaults list has the entry" in err


def test_what_yaml_holds_and_a_recipe_cannot(typed: Typed) -> None:
    """Each is named with its line; none of them ends the process, as the last ones did."""
    for text, words in (
        ("null: x", "has the key 'null', which YAML reads as null"),
        ("[a]: b", "has a list or mapping as a key"),
        ("x: !!set {a, b}", "has the tag '!!set'"),
        ("x: !!timestamp 2024-01-01", "has the tag '!!timestamp'"),
        ("x: !!python/object/apply:os.system [ls]", "has the tag '!!python/object/apply:os.system'"),
        ("x: &a [*a]", "the alias *a is inside the value it refers to"),
        ("target: 0x" + "f" * 5_000, "has a number of 5,002 characters"),
        ("x: " + "[" * 900 + "]" * 900, "is nested more than 30 deep"),
        ("x: " + "[" * 100_000, "is nested more than 30 deep"),
        ("x: " + "{a: " * 100_000, "is nested more than 30 deep"),
    ):
        assert f"recipes/mine.yaml: line 2: {words}" in said(typed, f"{ON_TOP}{text}\n")
    assert "mix.1: is a key that YAML does not read as text" in said(typed, f"{ON_TOP}mix: {{1: 2}}\n")


def test_overrides_that_no_parser_gets_through(typed: Typed) -> None:
    """Brackets without end, and numbers of more digits than Python reads."""
    status, _, err = typed("check", "recipe=quickstart", "x=" + "[" * 3_000 + "]" * 3_000)
    assert (status, "is nested deeper than 30 levels" in err) == (1, True)
    status, _, err = typed("check", "recipe=quickstart", "target=" + "9" * 5_000)
    assert (status, "has a number with too many digits" in err) == (1, True)


def test_paths_that_no_file_can_have(typed: Typed) -> None:
    """A NUL, a name of 300 letters, half of a character: a fault that names the key, all of them at once."""
    long = "x" * 300
    keys = [f"seeds.path={long}", f"cache.path={long}", f"scratch='a\tb/{long}'", f"replay=runs/{long}"]
    status, _, err = typed("check", "recipe=quickstart", *keys)
    assert status == 1
    for key in ("seeds.path", "cache.path", "scratch", "replay"):
        assert f"  {key}: '" in err
    status, _, err = typed("check", "recipe=quickstart", "seeds.path='~nobody-here/x.jsonl'", "replay=/")
    assert (status, "replay: / holds no run" in err) == (1, True)


def test_seed_files_without_end(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packed file that grows a thousandfold, one that is too large as it is, a folder that is a disk."""
    monkeypatch.setattr(seed_files, "LARGEST", 10_000_000)
    monkeypatch.setattr(seed_files, "MOST_FILES", 20)
    row = b'{"instruction": "Say something."}\n'
    Path("bomb.jsonl.gz").write_bytes(gzip.compress(row * 400_000))
    Path("large.jsonl").write_bytes(row * 400_000)
    Path("many").mkdir()
    for number in range(30):
        Path(f"many/{number}.txt").touch()
    for path, words in (
        ("bomb.jsonl.gz", "has more than 200 MB (unpacked"),
        ("large.jsonl", "has more than 200 MB"),
        ("many", "is a folder of more than 20 files"),
    ):
        status, _, err = typed("check", "recipe=quickstart", f"seeds.path={path}")
        assert status == 1
        assert f"{path}: {words}" in err


def test_files_that_cannot_be_read(typed: Typed) -> None:
    """Links that lead nowhere or round, and folders named as files, are named where they are chosen."""
    Path("recipes/folder.yaml").mkdir(parents=True)
    Path("recipes/dead.yaml").symlink_to("nowhere")
    Path("recipes/loop.yaml").symlink_to("loop.yaml")
    for name in ("folder", "dead", "loop"):
        status, _, err = typed("check", f"recipe={name}")
        assert status == 1
        assert f"recipes/{name}.yaml: is not a file" in err
    assert typed("help")[0] == 0


@pytest.mark.parametrize(
    "saved", ["", "5", "{a: b}", "- [a]", "[recipe=quickstart", "- " + "[" * 100_000, "- !x y"]
)
def test_a_run_folder_whose_overrides_are_none(typed: Typed, saved: str) -> None:
    """What a run wrote down may have been written by somebody else."""
    Path("run/.hydra").mkdir(parents=True)
    Path("run/.hydra/overrides.yaml").write_text(saved)
    status, _, err = typed("replay", "run")
    assert status == 1
    assert "run/.hydra/overrides.yaml: " in err
    assert "cannot be replayed without it" in err


@pytest.mark.parametrize("option", ["--resolve", "--shell-completion", "--experimental-rerun=x"])
def test_options_of_hydra_that_need_others(typed: Typed, option: str) -> None:
    """Hydra raises an error for them that is no fault of ours."""
    status, _, err = typed("check", "recipe=quickstart", option)
    assert status == 1
    assert "--hydra-help" in err


def test_names_of_300_letters(typed: Typed) -> None:
    """No file can have them, whatever it is that is named."""
    long = "x" * 300
    for arguments in (["new", long], ["replay", long], ["check", f"recipe={long}"]):
        status, _, err = typed(*arguments)
        assert status == 1
        assert "x" * 40 in err


def test_a_field_that_only_the_parent_s_schema_names(typed: Typed) -> None:
    """A record has it all the same, and the plan fills in the prompts of the stages after with it."""
    keys = ["~schema.instances.properties", "~schema.instances.additionalProperties"]
    status, out, err = typed("check", "recipe=judged", *keys)
    assert (status, err) == (0, "")
    assert "no fault found" in out
