"""What a recipe can say is described in one place, whole, and every reader has it from there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args

import pytest
from conftest import ROOT, Typed
from pydantic import BaseModel, Field

from selfinstruct import config
from selfinstruct.describe import catalogue, description, reference
from selfinstruct.describe.description import REGISTRIES, SECTIONS, Offer
from selfinstruct.describe.recipe_schema import recipe_schema
from selfinstruct.describe.wording import default_words, type_words
from selfinstruct.filters import Filter
from selfinstruct.registry import Registry


def models(hint: Any) -> Iterator[type[BaseModel]]:
    """The models that a type has in it, and those in their fields."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
        if hint is not config.PromptConfig:  # whose variants are prompts
            for field in hint.model_fields.values():
                yield from models(field.annotation)
    for inner in get_args(hint):
        yield from models(inner)


def test_every_section_of_a_recipe_is_described() -> None:
    """A model that is added to `config` and not to `SECTIONS` would be missing from the reference."""
    of_prompts = {config.VariantConfig, config.ParseConfig, *models(list[config.MessageConfig])}
    there = {*models(config.RecipeConfig), *of_prompts} - {config.Component}
    assert there == set(SECTIONS.values())


def test_every_group_of_plug_ins_is_described() -> None:
    """A registry that is not in `REGISTRIES` would be in no list, no schema and no reference."""
    page = (ROOT / "docs/plug-ins.md").read_text(encoding="utf-8")
    groups = re.findall(r"^\| `selfinstruct\.(\w+)` \|", page, re.MULTILINE)
    assert sorted(groups) == sorted(offer.registry.group for offer in REGISTRIES)


@pytest.mark.parametrize("offer", REGISTRIES, ids=lambda offer: str(offer.registry.group))
def test_every_entry_and_every_option_has_words(offer: Offer) -> None:
    """They are what `--list`, an editor and the reference show."""
    for entry in description.entries(offer.registry):
        assert entry.summary.endswith("."), entry.name
        assert [key.name for key in entry.keys if not key.words] == [], entry.name


def test_every_key_has_words() -> None:
    """So do the keys of the sections."""
    bare = [
        (place, key.name)
        for place, one in description.sections().items()
        for key in one.keys
        if not key.words
    ]
    assert bare == []


FRUIT: Registry[Filter] = Registry("fruit", (), "fruits", Filter)


@FRUIT.register
def pear(
    *, seeds: Annotated[int, Field(ge=1, lt=9)] = 5, of: list[str], anything: Callable[[], int] | None = None
) -> Filter:
    """Rejects what is no pear.

    It looks at the stalk.

    Args:
        seeds: how many; a pear
            has five.
        of: the orchards.
        anything: what JSON has no words for.
    """
    raise NotImplementedError


def test_an_entry_is_described_by_its_signature_and_its_docstring() -> None:
    """Name, type, default, bounds and words of each option, as plain data."""
    pear = description.found(FRUIT, "pear")
    assert pear.words == "Rejects what is no pear.\n\nIt looks at the stalk."
    assert (pear.summary, pear.origins) == ("Rejects what is no pear.", ("built in",))
    seeds, of, anything = pear.keys
    assert (seeds.name, seeds.default, seeds.words) == ("seeds", 5, "how many; a pear has five.")
    assert seeds.schema == {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}
    assert (of.required, of.schema) == (True, {"type": "array", "items": {"type": "string"}})
    assert (anything.required, anything.default, anything.words) == (
        False,
        None,
        "what JSON has no words for.",
    )
    assert type_words(seeds.schema, pear.shapes) == "whole number, at least 1, below 9"
    assert [default_words(key) for key in pear.keys] == ["`5`", "—", "`null`"]


@pytest.mark.parametrize("offer", REGISTRIES, ids=lambda offer: str(offer.registry.group))
def test_every_reader_has_every_registry(offer: Offer) -> None:
    """The reference, the schema for editors, the list, and the help on one entry."""
    page, schema = reference.page(), recipe_schema()["definitions"]
    group = offer.registry.group
    listed, _ = catalogue.answer(["--list", group])
    assert f"\n## {offer.title}\n\n{offer.place}\n" in page
    assert group in catalogue.HELP
    for entry in description.entries(offer.registry):
        assert f"\n### `{entry.name}`\n\n{entry.words}\n" in page
        assert re.search(rf"^  {entry.name} .*{re.escape(entry.summary)}$", listed, re.MULTILINE)
        text, faults = catalogue.answer(["--list", f"{group}.{entry.name}"])
        assert text.startswith(f"{group}.{entry.name} (built in)\n\n{entry.words}")
        assert faults == []
        for key in entry.keys:
            assert f"| `{key.name}` | {type_words(key.schema, entry.shapes)} |".replace("\n", " ") in page
            assert f"\n  {key.name}: {type_words(key.schema, entry.shapes)}; " in text
        if offer.word:
            assert {key.name for key in entry.keys} <= set(schema[f"{offer.word}.{entry.name}"]["properties"])


def test_the_help_on_an_entry(typed: Typed) -> None:
    """Typed as `check --list GROUP.NAME`; a wrong name is answered with the nearest."""
    status, out, _ = typed("check", "--list", "filters.word_count")
    assert status == 0
    assert "filters.word_count (built in)\n\nRejects a text with fewer words than `minimum`" in out
    assert "\n  field: text; must be set\n      the field to look at.\n" in out
    assert re.search(r"\n  minimum: whole number, at least 0, at most \d+; `\d+` unless set\n", out)
    assert typed("check", "--list", "filters.wordcount")[2].startswith(
        "selfinstruct: unknown filter 'wordcount'\n  did you mean 'word_count'? known: agreement, at_most, "
    )
    assert (
        "unknown list 'filter'\n  did you mean 'filters'?" in typed("check", "--list", "filter.word_count")[2]
    )
