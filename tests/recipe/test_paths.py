"""Files that a recipe from somebody else names: those of the project, unless the user typed another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from conftest import Typed, seed_file

from selfinstruct.recipe.paths import faults_of, outside
from selfinstruct.recipe.said import Said

SECRET = "A private key that nobody else may read."


@pytest.fixture
def home(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder beside the project, with something private in it."""
    other = tmp_path_factory.mktemp("home")
    (other / "id.txt").write_text(f"{SECRET}\n")
    (other / "seeds.jsonl").write_text(json.dumps({"instruction": SECRET, "output": "no"}) + "\n")
    return other


def recipe(project: Path, name: str, keys: dict[str, Any], base: str = "paper") -> None:
    """Write a recipe file of the project."""
    (project / "recipes").mkdir(exist_ok=True)
    whole = {"defaults": [base, {"override /model": "scripted"}, "_self_"], **keys}
    (project / f"recipes/{name}.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))


def at(key: str, value: Any) -> dict[str, Any]:
    """The keys of a recipe with this value at one of them."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


PLACES = {
    "seeds.path": "seeds.jsonl",
    "cache.path": "cache.sqlite",
    "run_dir": "run",
    "scratch": "scratch",
    "replay": "run",
    "model.options.replies": "id.txt",
    "pipeline.instructions.lines.person": "id.txt",
    "pipeline.passages.path": "",
    "pipeline.instances.model.options.weights": "id.txt",
    "model.fallbacks": "id.txt",
}


@pytest.mark.parametrize("key", PLACES)
def test_a_recipe_names_no_file_outside_of_the_project(project: Path, home: Path, key: str) -> None:
    """Whichever key it is; the same value is fine where nobody but the user has said it."""
    where, value = key, cast(Any, str(home / PLACES[key]))
    if key == "model.fallbacks":
        where, value = f"{key}.0.options.replies", [{"options": {"replies": value}}]
    keys = at(key, value)
    (fault,) = faults_of(keys, Said([keys], keys), project)
    assert fault.where == where
    assert str(home) in fault.what
    assert f"{where}=…" in fault.remedy
    assert not faults_of(keys, Said([keys], keys, [(key, value)]), project)  # typed
    assert not faults_of(keys, Said([{"target": 5}], keys), project)  # of conf/


WAYS_OUT = {
    "absolute": "{home}/seeds.jsonl",
    "up": "../{name}/seeds.jsonl",
    "up and down": "seeds/../../{name}/seeds.jsonl",
    "of the user": "~/seeds.jsonl",
    "a link": "seeds/link.jsonl",
    "a link to a folder": "seeds/folder/seeds.jsonl",
    "a folder with a link in it": "seeds",
    "a pattern": "{home}/*.jsonl",
    "a pattern that goes up": "seeds/*/../../../{name}/*.jsonl",
    "a pattern over a link": "seeds/*.jsonl",
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_leads_out(project: Path, home: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Neither dots nor the user's home nor links, those that are deep in a folder too."""
    monkeypatch.setenv("HOME", str(home))
    (project / "seeds").mkdir()
    (project / "seeds/link.jsonl").symlink_to(home / "seeds.jsonl")
    (project / "seeds/folder").symlink_to(home)
    path = WAYS_OUT[way].format(home=home, name=home.name)
    assert outside(path, project) is not None


@pytest.mark.parametrize(
    "path",
    [
        "seeds/mine.jsonl",
        "./seeds/../seeds/mine.jsonl",
        "seeds/general_en.jsonl",
        "seeds",
        "seeds/*.jsonl",
        "new",
    ],
)
def test_a_path_in_the_project_is_fine(project: Path, path: str) -> None:
    """Absolute or not, there or not; and the files that come with selfinstruct are."""
    seed_file(project / "seeds/mine.jsonl")
    assert outside(path, project) is None
    assert outside(str(project / path), project) is None


def test_a_strangers_recipe_reads_nothing_private(typed: Typed, project: Path, home: Path) -> None:
    """The check refuses it without a word of what is in the file; typed by the user, it is read."""
    outer = home / "seeds.jsonl"
    recipe(project, "stranger", {"seeds": {"path": str(outer)}})
    recipe(project, "follower", {"target": 5}, base="stranger")
    for name in ("stranger", "follower"):
        status, out, err = typed("check", f"recipe={name}")
        assert status == 1
        assert f"seeds.path: {outer} is outside of the project" in err
        assert "type the key yourself: seeds.path=" in err
        assert SECRET not in out + err
    assert "is outside" not in typed("check", "recipe=stranger", f"seeds.path={outer}")[2]


def test_an_interpolation_hides_no_path(typed: Typed, project: Path, home: Path) -> None:
    """What a recipe says by way of another key, it says."""
    recipe(project, "stranger", {"seeds": {"path": "${cache.path}"}, "cache": {"path": str(home / "id.txt")}})
    status, _, err = typed("check", "recipe=stranger")
    assert status == 1
    assert "seeds.path: " in err
    assert "cache.path: " in err


def test_a_recipe_is_not_put_below_a_key(typed: Typed, project: Path, home: Path) -> None:
    """Its keys would be said at a place that is not written in it."""
    recipe(project, "paths", {"path": str(home / "seeds.jsonl")})
    recipe(project, "stranger", {}, base="paths@seeds")
    status, _, err = typed("check", "recipe=stranger")
    assert status == 1
    assert "'paths@seeds': a recipe cannot be put below a key" in err


@pytest.mark.parametrize("name", ["other", "a\xa0b", "it's\"x", "a b", "ä.ö", "a[b]"])
def test_a_base_recipe_says_what_it_says_whatever_its_name(
    typed: Typed, project: Path, home: Path, name: str
) -> None:
    """A name that YAML or Python would write in another way is found all the same."""
    recipe(project, name, {"seeds": {"path": str(home / "seeds.jsonl")}})
    recipe(project, "stranger", {"target": 5}, base=name)
    status, out, err = typed("check", "recipe=stranger")
    assert status == 1
    assert "seeds.path: " in err
    assert "is outside of the project" in err
    assert SECRET not in out + err


def test_a_project_inside_a_checkout_has_strangers_too(project: Path) -> None:
    """Only the recipes that come with selfinstruct are its own, wherever the project is."""
    from selfinstruct.project.layout import packaged
    from selfinstruct.recipe.said import _is_ours

    assert _is_ours(packaged() / "recipes/paper.yaml", project)
    assert not _is_ours(packaged() / "mine/recipes/paper.yaml", packaged() / "mine")


@pytest.mark.parametrize("folder", ["conf/model/x", "recipes/run", "seeds", "./seeds/../conf/y"])
def test_a_run_is_not_put_where_a_project_keeps_what_it_is(project: Path, folder: str) -> None:
    """Its files would be taken for recipes, seeds or config."""
    keys = at("run_dir", folder)
    (fault,) = faults_of(keys, Said([keys], keys), project)
    assert "a run may not write there" in fault.what
    assert not faults_of(at("run_dir", "runs/x"), Said([at("run_dir", "runs/x")], keys), project)


def test_a_lines_key_with_a_dot_hides_no_path(project: Path, home: Path) -> None:
    """Keys are compared part by part."""
    keys = {"pipeline": {"instructions": {"lines": {"a.b": str(home / "id.txt")}}}}
    (fault,) = faults_of(keys, Said([keys], keys), project)
    assert fault.where == "pipeline.instructions.lines.a.b"


@pytest.mark.parametrize("path", ["~nobodyxyz/foo", "a\0b", "loop/x"])
def test_odd_paths_end_in_words(typed: Typed, project: Path, path: str) -> None:
    """Homes of nobody, characters that no file has, links that lead to themselves."""
    (project / "loop").symlink_to("loop")
    (project / "recipes").mkdir()
    (project / "recipes/round.yaml").symlink_to("round.yaml")
    recipe(project, "stranger", {"seeds": {"path": path}})
    status, _, err = typed("check", "recipe=stranger")
    assert status == 1
    assert "seeds.path" in err


def test_sections_that_hold_others_of_their_kind(project: Path, home: Path) -> None:
    """Variants of prompts are prompts; that is known once one was read."""
    from selfinstruct.config import PromptConfig

    PromptConfig.model_rebuild(force=True)
    keys = at("run_dir", str(home))
    assert [fault.where for fault in faults_of(keys, Said([keys], keys), project)] == ["run_dir"]


def test_a_package_is_named_not_imported(project: Path) -> None:
    """A name with a dot in it would import what is before the dot."""
    from selfinstruct.llm import MODELS

    faults: list[Any] = []
    MODELS.build("local", {"package": "this.that"}, "model.options", faults)
    assert "is not the name of a package" in str(faults[0])
