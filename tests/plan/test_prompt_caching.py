"""What `check` says about providers' caches of prompts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conftest import Typed

LONG = "Keep to this rule in everything that you write, whatever the task may be. " * 40


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are never used."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")


def mine(project: Path, template: str, system: str | None = None) -> None:
    """A recipe whose classification has a prompt of its own."""
    prompt = {"template": template, "system": system, "variables": {"rule": LONG}}
    keys = {"defaults": ["chat", "_self_"], "prompts": {"classification": prompt}}
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(yaml.safe_dump(keys, sort_keys=False), encoding="utf-8")


def checked(typed: Typed, *words: str) -> str:
    """What `check` prints about the recipe."""
    status, out, err = typed("check", "recipe=mine", "target=1000", *words)
    assert status == 0, err
    return out


@pytest.mark.parametrize(
    ("template", "system", "late"),
    [
        ("{{ rule }}\nTask: {{ instruction }}\n{}", None, False),
        ("Task: {{ instruction }}\n{{ rule }}", None, True),
        ("{{ rule }}\nTask: {{ instruction }}", "About {{ instruction }}.", True),
        ("{% set task = instruction %}{{ rule }}\nTask: {{ task }}", None, False),
        ("{% for n in [1, 2] %}{{ rule }}{% endfor %}{{ instruction }}", None, False),
    ],
)
def test_a_prompt_whose_fixed_text_comes_too_late_is_noted(
    typed: Typed, project: Path, template: str, system: str | None, late: bool
) -> None:
    """With its place; what the recipe's own variables and loops make is fixed, too."""
    mine(project, template, system)
    found = re.findall(r"note: prompts\.classification\.template: about ([\d,]+) tokens", checked(typed))
    assert bool(found) is late
    assert all(int(count.replace(",", "")) > 500 for count in found)


def test_the_plan_says_what_is_saved(typed: Typed, project: Path) -> None:
    """Long enough for OpenAI: its share and its dollars; the others are too short for it."""
    mine(project, "{{ rule }}{{ rule }}\nTask: {{ instruction }}")
    out = checked(typed)
    share, usd = re.findall(r"classification: (\d+)% of the tokens sent .* openai, .* \$([\d.]+)", out)[0]
    assert int(share) > 80
    assert 1000 * 1152 * 0.075e-6 - 0.005 < float(usd) < 1000 * 1408 * 0.075e-6  # in steps of 128 tokens
    assert "openai caches beginnings of 1,024 tokens or more; too short: instructions (" in out
    assert "$0.15 sent ($0.075 from its cache)" in out


def test_the_mark_decides_for_claude(typed: Typed, project: Path) -> None:
    """Nothing is saved without it; a beginning is stored once, at a higher price."""
    mine(project, "{{ rule }}" * 8 + "\nTask: {{ instruction }}")
    claude = "model=anthropic"
    assert re.search(
        r"classification: \d+% of the tokens sent .* anthropic, which saves", checked(typed, claude)
    )
    assert "of anthropic" not in checked(typed, claude, "++model.prompt_cache=off")


def test_a_model_that_is_not_known_to_cache_has_no_line(typed: Typed, project: Path) -> None:
    """As a script."""
    mine(project, "{{ rule }}\nTask: {{ instruction }}")
    assert "  cache " not in checked(typed, "model=scripted")
