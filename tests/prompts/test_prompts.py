"""Prompts: templates, what they may reach, and the variants of a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfinstruct.config import PromptConfig
from selfinstruct.errors import Fault, RecipeError
from selfinstruct.prompts.building import build
from selfinstruct.prompts.rendering import TemplateFault, one_line, render
from selfinstruct.prompts.templates import Prompt
from selfinstruct.recipe.compose import compose
from selfinstruct.records import Reply

PARSE = {"kind": "choice", "field": "level", "choices": {"easy": {}, "hard": {}}}


def made(**keys: Any) -> tuple[list[Prompt], list[str]]:
    """The prompts of a section with these keys, and its faults."""
    faults: list[Fault] = []
    config = PromptConfig.model_validate({"template": "Ask.", "parse": PARSE, **keys})
    return build(config, "prompts.rating", faults), [str(fault) for fault in faults]


def one(**keys: Any) -> Prompt:
    """The one prompt of a section without a fault."""
    prompts, faults = made(**keys)
    assert not faults
    (prompt,) = prompts
    return prompt


class TestRender:
    def test_names(self) -> None:
        """Names are filled in as they are: nothing is escaped and no space is lost."""
        assert render(" {{ a }}\n{{ b }} ", {"a": "<1 & 2>", "b": "\n"}) == " <1 & 2>\n\n "

    def test_lines_of_tags(self) -> None:
        """A line that holds only a tag leaves no line, and a line break at the end stays."""
        template = "a\n  {% for x in xs %}\n{{ x }}\n  {% endfor %}\nb\n"
        assert render(template, {"xs": [1, 2]}) == "a\n1\n2\nb\n"

    @pytest.mark.parametrize(
        "template", ["{{ instrution }}", "{% if instrution %}a{% endif %}", "{{ instrution | one_line }}"]
    )
    def test_undefined(self, template: str) -> None:
        """A name that does not exist is a fault wherever it stands, with the nearest and all there are."""
        with pytest.raises(TemplateFault) as raised:
            render(template, {"instruction": "a", "input": "b"})
        said = "'instrution' is undefined; did you mean 'instruction'? (known: input, instruction)"
        assert str(raised.value) == said

    def test_undefined_field_of_an_example(self) -> None:
        """So is a field that an example does not have."""
        with pytest.raises(TemplateFault, match="no attribute 'instrution'; did you mean 'instruction'"):
            render("{{ examples[0].instrution }}", {"examples": [{"instruction": "a"}]})

    def test_optional_name(self) -> None:
        """A template may say what stands for a name that is missing."""
        assert render("{{ hint | default('none') }}", {}) == "none"

    @pytest.mark.parametrize(
        "template",
        [
            "{% for %}",
            "{{ a",
            "{{ a | nofilter }}",
            "{{ 1 / 0 }}",
            "{{ a + 1 }}",
            "{{ 'é'.encode('ascii') }}",
            "{{ '{b}'.format() }}",
            "{{ [].pop() }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        ],
    )
    def test_template_that_fails(self, template: str) -> None:
        """However a template fails, it is a fault of the recipe and no crash."""
        with pytest.raises(TemplateFault):
            render(template, {"a": "text"})


class TestSandbox:
    @pytest.mark.parametrize(
        "template",
        [
            "{{ ''.__class__ }}",
            "{{ ''['__class__'] }}",
            "{{ '' | attr('__class__') }}",
            "{{ '{0.__class__}'.format('') }}",
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ cycler.__init__.__globals__.os }}",
            "{{ lipsum.__globals__['os'].environ }}",
            "{{ self.__init__ }}",
            "{{ examples.__class__ }}",
        ],
    )
    def test_no_way_to_python(self, template: str) -> None:
        """A template cannot reach classes, globals or modules."""
        with pytest.raises(TemplateFault, match=r"unsafe|undefined"):
            render(template, {"examples": [{}]})

    @pytest.mark.parametrize(
        "template",
        ["{% import 'os' as os %}", "{% include '/etc/hostname' %}", "{{ os }}", "{{ open('x') }}"],
    )
    def test_no_way_to_files(self, template: str) -> None:
        """A template cannot import a module or include a file."""
        with pytest.raises(TemplateFault):
            render(template, {})

    def test_no_endless_range(self) -> None:
        """A template cannot fill the memory with a range."""
        with pytest.raises(TemplateFault, match="Range too big"):
            render("{{ range(10 ** 9) | list }}", {})

    @pytest.mark.parametrize("change", ["update({'instruction': 'b'})", "clear()", "pop('instruction')"])
    def test_no_change_of_records(self, change: str) -> None:
        """A template cannot change the records that it shows."""
        example = {"instruction": "a"}
        with pytest.raises(TemplateFault, match="unsafe"):
            render(f"{{{{ examples[0].{change} }}}}", {"examples": [example]})
        assert example == {"instruction": "a"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sort these:", "Sort these"),
        ("  Sort \t these\n\nwords. ", "Sort these words."),
        ("Sort: by name:\n", "Sort: by name"),
        ("Sort", "Sort"),
        ("下の語を\n並べよ：", "下の語を 並べよ"),
        (":", ""),
        ("", ""),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    """`one_line` collapses whitespace and removes a colon at the end, in Python and in a template."""
    assert one_line(text) == expected
    assert render("{{ text | one_line }}", {"text": text}) == expected


class TestFill:
    def test_parts(self) -> None:
        """Template and system message know the recipe's variables and the record's fields."""
        prompt = one(template="{{ a }} {{ b }}", system="Be {{ a }}.", variables={"a": "kind"})
        assert prompt.fill({"b": "now"}) == ("Be kind.", "kind now", {})

    def test_without_system(self) -> None:
        """A prompt without a system message has none."""
        assert one().fill({}) == (None, "Ask.", {})

    def test_stop_strings_are_templates(self) -> None:
        """Stop strings follow the examples; nothing else of the sampling is a template."""
        stop = ["\n{{ examples | length + 8 }}.", "{{ total }}", "plain"]
        prompt = one(sampling={"stop": stop, "user": "{{ x }}", "temperature": 0}, variables={"total": 20})
        sampling = prompt.fill({"examples": [{}, {}, {}]})[2]
        assert sampling == {"stop": ["\n11.", "20", "plain"], "user": "{{ x }}", "temperature": 0}
        assert prompt.sampling["stop"] == stop

    @pytest.mark.parametrize("keys", [{"system": "{{ x }}"}, {"sampling": {"stop": ["{{ x }}"]}}])
    def test_undefined(self, keys: dict[str, Any]) -> None:
        """A name that does not exist is a fault in the system message and in a stop string too."""
        with pytest.raises(TemplateFault, match="'x' is undefined"):
            one(**keys).fill({})


class TestBuild:
    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            ({"template": None}, "prompts.rating.template: is missing"),
            ({"parse": None}, "prompts.rating.parse: is missing"),
            ({"template": "a\n{% if %}"}, "prompts.rating.template: line 2:"),
            ({"system": "{{"}, "prompts.rating.system: line 1:"),
            ({"sampling": {"stop": "\n"}}, "prompts.rating.sampling.stop: is not a list of strings"),
            ({"sampling": {"stop": [1]}}, "prompts.rating.sampling.stop: is not a list of strings"),
            ({"parse": {"kind": "choise"}}, "did you mean 'choice'?"),
            ({"parse": {**PARSE, "fields": []}}, "prompts.rating.parse.fields: unknown key 'fields'"),
        ],
    )
    def test_faults(self, keys: dict[str, Any], said: str) -> None:
        """What is missing or cannot be used is a fault at its key."""
        (fault,) = made(**keys)[1]
        assert said in fault

    def test_all_faults_at_once(self) -> None:
        """All faults of a section are found together, those of its variants too."""
        variants = {"a": {"when": 1, "system": "{{"}, "b": {"when": 2, "sampling": {"stop": "x"}}}
        faults = made(template=None, variants=variants)[1]
        assert [fault.split(":")[0] for fault in faults] == [
            "prompts.rating.variants.a.template",
            "prompts.rating.variants.a.system",
            "prompts.rating.variants.b.template",
            "prompts.rating.variants.b.sampling.stop",
        ]


class TestVariants:
    def test_inherit(self) -> None:
        """A variant has the prompt's keys but for those it gives; variables and sampling are merged."""
        short, long = made(
            template="{{ tone }} {{ size }}",
            style="chat",
            variables={"tone": "kind", "size": "any"},
            sampling={"temperature": 0, "max_tokens": 10},
            variants={
                "short": {"when": "s", "variables": {"size": "short"}, "sampling": {"max_tokens": 5}},
                "long": {"when": "l", "template": "Long.", "system": "Be {{ tone }}.", "style": "completion"},
            },
        )[0]
        assert short.fill({}) == (None, "kind short", {"temperature": 0, "max_tokens": 5})
        assert long.fill({}) == ("Be kind.", "Long.", {"temperature": 0, "max_tokens": 10})
        assert [(p.name, p.when, p.style) for p in (short, long)] == [
            ("short", "s", "chat"),
            ("long", "l", "completion"),
        ]

    def test_parse(self) -> None:
        """A variant may read its reply in its own way."""
        other = {"kind": "choice", "field": "level", "choices": {"1": {"value": "easy"}}}
        words, numbers = made(variants={"w": {"when": True}, "n": {"when": False, "parse": other}})[0]
        assert words.parse.read(Reply("easy"), 0)[0].data == {"level": "easy"}
        assert numbers.parse.read(Reply("1"), 0)[0].data == {"level": "easy"}
        assert numbers.parse.read(Reply("easy"), 0)[0].check == "undecided"

    def test_chosen_by_value(self, project: Path) -> None:
        """The field that the stage names picks the variant."""
        stage = compose(["recipe=paper", "model=scripted"], project).recipe().stage("instances")
        assert stage.variant({"is_classification": True}, 1, 0).name == "output_first"
        assert stage.variant({"is_classification": False}, 1, 0).name == "input_first"


class TestInARecipe:
    def faults(self, project: Path, *overrides: str) -> list[str]:
        """The faults of the paper's recipe with these overrides."""
        with pytest.raises(RecipeError) as raised:
            compose(["recipe=paper", "model=scripted", *overrides], project).recipe()
        return [str(fault) for fault in raised.value.faults]

    @pytest.mark.parametrize(
        ("key", "name"),
        [("instructions", "examples"), ("classification", "instruction"), ("instances", "is_classification")],
    )
    def test_variables_clash(self, project: Path, key: str, name: str) -> None:
        """A variable may not have the name of a field of the records, or of `examples`."""
        for fault in self.faults(project, f"+prompts.{key}.variables.{name}=x"):
            assert fault.startswith(f"prompts.{key}.")
            assert f"variables: {name!r} is a field of the records too" in fault

    def test_templates_are_tried(self, project: Path) -> None:
        """A template that names no field of the records is a fault before the first request."""
        (fault,) = self.faults(project, "prompts.classification.template='{{ instrution }}'")
        assert fault.startswith("prompts.classification.template: 'instrution' is undefined")

    def test_stop_strings_are_tried(self, project: Path) -> None:
        """So is a stop string."""
        (fault,) = self.faults(project, "prompts.classification.sampling.stop=['{{ nothing }}']")
        assert "'nothing' is undefined" in fault

    def test_no_variant_for_a_value(self, project: Path) -> None:
        """Each value that a label can have needs a variant where it picks one."""
        (fault,) = self.faults(project, "~prompts.instances.variants.input_first")
        assert "no variant of prompts.instances has 'when: False', a value of 'is_classification'" in fault
