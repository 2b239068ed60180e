"""What Hydra composed once is kept: the same as composed anew, and never for other files or choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from conftest import seed_file
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfinstruct.project import composition
from selfinstruct.recipe.compose import compose


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Each test begins as a process does."""
    composition._KEPT.clear()
    yield
    composition._KEPT.clear()


def composed(project: Path, *overrides: str) -> str:
    """A composed recipe and the choices that made it, as text."""
    found = compose(overrides, project)
    return OmegaConf.to_yaml(found.config) + repr((found.choices, found.overrides, found.said))


@pytest.fixture
def by_hydra(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Composes as Hydra does: its files one after the other, and all anew."""

    def anew(project: Path, *overrides: str) -> str:
        composition._KEPT.clear()
        with monkeypatch.context() as patch:
            patch.setattr(composition, "_Together", Mock(side_effect=OmegaConfBaseException))
            return composed(project, *overrides)

    return anew


def test_what_is_kept_is_what_hydra_composes(project: Path, by_hydra: Callable[..., str]) -> None:
    """A recipe of each make: merged at once, kept, and with single keys changed, added and taken away."""
    for name in ("quickstart", "japanese", "judged"):
        words = [f"recipe={name}", "target=7", "+note=x", "~mix.generated"]
        composition._KEPT.clear()
        mine = [composed(project, *words), composed(project, *words[:1])]
        assert len(composition._KEPT) == 1, name  # so the second was not composed anew
        assert mine == [by_hydra(project, *words), by_hydra(project, *words[:1])], name


def test_another_choice_is_another_composition(project: Path) -> None:
    """A group chosen, added or taken away."""
    given = [["recipe=paper", *extra] for extra in ([], ["model=openai"], ["~export"], ["seeds=general_ja"])]
    anew = []
    for one in given:
        composition._KEPT.clear()
        anew.append(composed(project, *one))
    assert [composed(project, *one) for one in given] == anew
    assert len(set(anew)) == len(given)


def test_a_changed_file_is_another_composition(project: Path) -> None:
    """Of the same length, and back again; the next user's folder has the same files elsewhere."""
    for folder in (project / "one", project / "two"):
        seed_file(folder / "seeds/mine.jsonl")
        recipe, mix = folder / "recipes/mine.yaml", folder / "conf/mix/mine.yaml"
        for path in (recipe, mix):
            path.parent.mkdir(parents=True)
        told = []
        for number in (3, 4, 3):
            recipe.write_text(
                "defaults: [override /mix: mine]\nseeds: {path: seeds/mine.jsonl}\n", encoding="utf-8"
            )
            mix.write_text(f"human: 6\ngenerated: {number}\n", encoding="utf-8")
            told.append(compose(["recipe=mine"], folder).config.mix.generated)
        assert told == [3, 4, 3]
    assert len(composition._KEPT) == 2


def test_a_recipe_that_cannot_be_used_is_not_kept(project: Path) -> None:
    """What is wrong with it names its file, and may be mended without a change of the file."""
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text("a: 1\na: 2\n", encoding="utf-8")
    assert "recipes/mine.yaml" in str(compose(["recipe=mine"], project).config._fault_)
    assert not composition._KEPT


def test_a_folder_behind_a_link_is_read_each_time(project: Path) -> None:
    """It may lead back to where it is, so its files are not looked for."""
    (project / "conf").mkdir()
    (project / "elsewhere").mkdir()
    (project / "conf/mix").symlink_to(project / "elsewhere")
    for number in (3, 4):
        (project / "elsewhere/mine.yaml").write_text(f"human: 6\ngenerated: {number}\n", encoding="utf-8")
        assert compose(["recipe=paper", "mix=mine"], project).config.mix.generated == number
    assert not composition._KEPT


def test_as_many_are_kept_as_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first."""
    monkeypatch.setattr(composition, "MOST", 2)
    for model in ("openai", "vllm", "scripted"):
        compose(["recipe=paper", f"model={model}"], project)
    assert len(composition._KEPT) == 2
