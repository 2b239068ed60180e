"""What `${…}` can get wrong: the message names the key, what it says, and how to write plain text."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Typed
from results import refused

PLAIN = "${name} means another key of the recipe; to have it as text, write \\${name}"
NAME = "between ${ and } there must be the name of a key, such as ${seeds.path}"
FOREIGN = (
    "full_key",
    "object_type",
    "nterpolation",
    "ConfigKeyError",
    "viable",
    "Error merging",
    "mismatched",
)
FAULTY = [
    ("${seeds.path.}", NAME),
    ("${seeds..path}", NAME),
    ("${ }", NAME),
    ("${}", NAME),
    ("${a b}", NAME),
    ("${model.name.x}", "${model.name.x}: model.name is not a section, so it has no key 'x'"),
    ("${target}", "'${target}': its value depends on target itself"),
    ("${.target}", "'${.target}': its value depends on target itself"),
    ("${..target}", "'${..target}' does not name another key"),
    ("${nope}", "${nope}: there is no key 'nope'"),
]


def told(result: tuple[int, str, str], *words: str) -> None:
    """The command was refused with these words, and none of the library's own."""
    refused(result, *words, PLAIN)
    assert [one for one in FOREIGN if one in result[2]] == []


@pytest.mark.parametrize(("value", "words"), FAULTY)
def test_on_the_command_line(typed: Typed, value: str, words: str) -> None:
    """Without quotes, and in quotes, as a shell passes them on."""
    told(typed("check", "recipe=chat", f"target={value}"), "target: ", words)
    told(typed("check", "recipe=chat", f'target="{value}"'), "target: ", words)


@pytest.mark.parametrize(("value", "words"), [*FAULTY, ("${a", NAME)])
def test_in_a_recipe(typed: Typed, project: Path, value: str, words: str) -> None:
    """As a value, and inside a list: the message has the place in the list."""
    (project / "recipes").mkdir(exist_ok=True)
    (project / "recipes/one.yaml").write_text(f"defaults: [chat]\ntarget: '{value}'\n", encoding="utf-8")
    told(typed("check", "recipe=one"), "target: ", words)
    if "target" in value:
        return
    listed = f"defaults: [chat]\nmodel: {{sampling: {{stop: ['#', '{value}']}}}}\n"
    (project / "recipes/one.yaml").write_text(listed, encoding="utf-8")
    told(typed("check", "recipe=one"), "model.sampling.stop[1]: ", words)


def test_keys_that_need_each_other(typed: Typed, project: Path) -> None:
    """Two keys in a circle, and a list that is to contain itself."""
    told(typed("check", "recipe=chat", "target=${seed}", "seed=${target}"), "'${seed}': its value depends on")
    inside = "+model.sampling.stop=['${model.sampling.stop}']"
    told(typed("check", "recipe=chat", inside), "model.sampling.stop[0]: '${model.sampling.stop}': its value")


def test_a_value_that_must_be_given(typed: Typed) -> None:
    """`???` is no value."""
    refused(typed("check", "recipe=chat", "target=???"), "target: has no value", "set it: target=…")


def test_functions(typed: Typed) -> None:
    """The environment, an unknown function, and one with a wrong argument."""
    refused(typed("check", "recipe=chat", "target=${oc.env:NOPE}"), "target: reads the environment")
    refused(typed("check", "recipe=chat", "target=${unknown:1}"), "cannot use the function 'unknown'")
    told(typed("check", "recipe=chat", "target=${oc.dict.keys:nope}"), "'${oc.dict.keys:nope}' does not name")
