"""YAML files as configs: the same as OmegaConf reads, and always what the file says now."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Typed, seed_file
from omegaconf import OmegaConf

from selfinstruct.project.configfiles import load, text_of
from selfinstruct.project.layout import packaged
from selfinstruct.recipe.compose import compose

ODD = """\
"plain": {when: 2024-01-01, big: 1e3, none: ~, list: [1, 2.5, yes, "yes", 017, 0x1f, 1:30, .inf]}
aliased: &it
  a: "${plain.big}"
  b: ???
again: {<<: *it, c: 'é 中 😀'}
text: |
  two
   lines
"""


def test_a_config_is_what_omegaconf_reads(tmp_path: Path) -> None:
    """Ours and one with all that is odd in YAML: numbers, dates, aliases, interpolations."""
    odd = tmp_path / "odd.yaml"
    odd.write_text(ODD, encoding="utf-8")
    for path in [odd, *(packaged() / "conf").rglob("*.yaml"), *(packaged() / "recipes").glob("*.yaml")]:
        mine, usual = (
            OmegaConf.to_container(one, resolve=False) for one in (load(path), OmegaConf.load(path))
        )
        assert repr(mine) == repr(usual), path


def test_a_config_is_written_as_omegaconf_writes_it(tmp_path: Path) -> None:
    """The same, and sections that differ by little; twice, of which the second is not written anew."""
    texts = [
        ODD,
        "{}",
        "a: 1",
        "a: true",
        "a: '1'",
        "b: 1",
        "a: {b: [1]}",
        "a: {b: []}",
        "a: B",
        "a: b",
        "a: 2024-01-01",
    ]
    configs = [OmegaConf.create(text) for text in [*texts, "a: '2024-01-01'"]]
    configs += [load(path) for path in sorted((packaged() / "conf").rglob("*.yaml"))[::8]]
    for config in [*configs, *configs]:
        assert text_of(config) == OmegaConf.to_yaml(config)


@pytest.mark.parametrize(("text", "words"), [("a: 1\na: 2\n", "duplicate key a"), ("a: [1\n", "line 2")])
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    """A key twice, and no YAML at all."""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=words) as caught:
        load(path)
    assert "mine.yaml" in str(caught.value)


def test_a_config_is_the_callers_own(tmp_path: Path) -> None:
    """Changing it changes no other."""
    path = tmp_path / "mine.yaml"
    path.write_text("a: {b: 1}\n", encoding="utf-8")
    first = load(path)
    first.a.b = 2
    assert load(path).a.b == 1


def test_a_changed_file_is_read_again(project: Path) -> None:
    """A recipe and a file of conf/, each of the same length as before and written right after a compose."""
    seed_file(project / "seeds/mine.jsonl")
    recipe, mix = project / "recipes/mine.yaml", project / "conf/mix/mine.yaml"
    for path in (recipe, mix):
        path.parent.mkdir(parents=True)
    told = []
    for number in (3, 4, 5):
        recipe.write_text(
            f"defaults: [override /mix: mine]\nseeds: {{path: seeds/mine.jsonl}}\ntarget: {number}\n",
            encoding="utf-8",
        )
        mix.write_text(f"human: 6\nmachine: {number}\n", encoding="utf-8")
        config = compose(["recipe=mine"], project).config
        told.append((config.target, config.mix.generated))
    assert told == [(3, 3), (4, 4), (5, 5)]


def test_a_recipe_cannot_have_the_name_of_the_file_itself(project: Path, typed: Typed) -> None:
    """In a defaults list that name has a meaning; whatever the file holds, the message says so."""
    (project / "recipes").mkdir(exist_ok=True)
    (project / "recipes/_self_.yaml").write_text("a: b\nc\nd: [\n")
    for asked in ("recipe=_self_", "recipe=chat"):
        status, out, err = typed("check", asked)
        assert status == 1, out
        assert "_self_ means the file itself; rename it" in err
        assert "Traceback" not in err
