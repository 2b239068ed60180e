"""Nothing in a recipe takes long or fills the memory: each case ends with a message that says the limit."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines, seed_file

from selfinstruct.errors import Fault, RecipeError
from selfinstruct.filters import FILTERS
from selfinstruct.parse import PARSERS
from selfinstruct.project.expansion import CHARACTERS, REPLACED
from selfinstruct.project.resolving import resolved
from selfinstruct.project.textfiles import yaml_faults
from selfinstruct.prompts.meter import STEPS
from selfinstruct.prompts.rendering import TemplateFault, render
from selfinstruct.records import Record, Reply
from selfinstruct.safety.expressions import SECONDS, Expression, SlowExpression, fault_of
from selfinstruct.schema.validation import compile_schema
from selfinstruct.stages import STAGES

LONGEST = 5.0  # seconds of processor time; the clock on the wall depends on what else the machine does
MOST_MEMORY = 600 * 1024  # KB

pytestmark = pytest.mark.timeout(120)


@contextmanager
def bounded() -> Iterator[None]:
    """Fails where what is inside takes long or much memory; pytest-timeout ends what would never end."""
    began, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < LONGEST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MOST_MEMORY


GROW = "{% set ns = namespace(x=START) %}{% for i in range(60) %}{% set ns.x = NEXT %}{% endfor %}"
TEXT = GROW.replace("START", "'a'")
LIST = GROW.replace("START", "[1]").replace("NEXT", "[ns.x, ns.x]")
TUPLE = GROW.replace("START", "(1,)").replace("NEXT", "(ns.x, ns.x)")
LOOP = "{% for i in range(40000) %}"
BIG = "{% set a = 'x' * 1000000 %}"

TOO_LARGE = [
    "{{ 'a' * 4000000000 }}",
    "{{ 4000000000 * 'a' }}",
    "{{ [1] * 4000000000 }}",
    "{{ ['a' * 10000] * 10000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 1000000000) }}",
    "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | indent(1000000000, true) }}",
    "{{ range(40000) | join('a' * 100000) }}",
    "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "{{ range(10) | batch(1000000000, 'x') | list }}",
    "{{ range(10) | slice(1000000000) | list }}",
    "{{ ('a' * 1000000) | wordwrap(1) }}",
    "{{ ('<!---->' * 1000000) | striptags }}",
    "{{ {'a': [1] * 1000} | tojson(indent=1000000) }}",
    "{{ {'a': [1] * 1000} | json(indent=1000000) }}",
    "{{ range(40000) | list | sum(start=[]) }}",
    "{{ 1.5 | round(1000000000, 'ceil') }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ '\t'.expandtabs(1000000000) }}",
    "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "{{ ('b' * 100000).join('a' * 100000) }}",
    "{% filter center(1000000000) %}a{% endfilter %}",
    TEXT.replace("NEXT", "ns.x ~ ns.x"),
    TEXT.replace("NEXT", "ns.x + ns.x"),
    TEXT.replace("{% set ns.x = NEXT %}", "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}"),
    LIST + "{{ ns.x }}",
    LIST + "{{ ns }}",
    LIST + "{{ ns.x | json }}",
    LIST + "{{ ns.x ~ '' }}",
    LIST + "{{ '%s' % ns.x }}",
    LIST + "{{ [ns.x, 1] == [ns.x ~ '', 1] }}",
    TUPLE + "{{ {ns.x: 1} }}",
    TUPLE + "{{ {}[ns.x] }}",
    TUPLE + "{{ ns.x in {} }}",
    BIG + LOOP + "{{ a }}{% endfor %}",
    BIG + LOOP + "{% set b = a[1:] %}{% endfor %}",
    BIG + LOOP + "{% if 'y' in a %}{% endif %}{% endfor %}",
    BIG + LOOP + "{% set b = a.count('y') %}{% endfor %}",
    LOOP + "a" * 100_000 + "{% endfor %}",
    LOOP + "{% set x %}" + "a" * 100_000 + "{% endset %}{% endfor %}",
    "{% macro m() %}{% set x %}" + "a" * 900_000 + "{% endset %}{% endmacro %}"
    "{% for i in range(9000) %}{{ m() }}{% endfor %}",
]
TOO_MANY_STEPS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for i in range(99) %}{% for j in range(9999) if false %}{% endfor %}{% endfor %}",
    "{% macro m(n) %}{{ m(n-1) ~ m(n-1) if n else 'x' }}{% endmacro %}{{ m(40) }}",
    "{{ range(90000) | map('string') | list }}",
    "{% for i in 'a' * 9000000 %}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([1, 1]) if loop.depth < 40 }}{% endfor %}",
]
OTHERWISE = {
    "{{ 2 ** 100000000 }}": "an integer of more than 4,300 digits",
    "{{ 10 ** 4000 * 10 ** 4000 }}": "an integer of more than 4,300 digits",
    "{{ '%*d' % (1000000000, 1) }}": "write the width into the format",
    "{{ (1).to_bytes(1000000000, 'big') }}": "cannot call the method 'to_bytes' of 'int'",
    "{{ dict.fromkeys(range(40000), 'a') }}": "cannot call the method 'fromkeys'",
    "{{ 'a'.translate({97: 'bb'}) }}": "cannot call the method 'translate'",
    "{{ 'a'.encode() }}": "cannot call the method 'encode'",
    "{{ [1, 2] | random }}": "No filter named 'random'",
    "{{ lipsum() }}": "'lipsum' is undefined",
    "{{ ('(' * 1000000) | urlize }}": "No filter named 'urlize'",
    "{% block a %}{{ self.a() }}{% endblock %}": "recursion depth",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}": "nested too deep",
    "{{ a" + "|upper" * 5000 + " }}": "nested too deep",
    "{% for a in [1] %}" * 50 + "{% endfor %}" * 50: "nested too deep",
    "{{ " + "1" * 5000 + " }}": "a number that cannot be read",
    "{{a}}" * 100_000: "more than 20,000 words and signs",
    "{{ [" + "1," * 100_000 + "] }}": "more than 20,000 words and signs",
    "a" * 2_000_000 + "{": "a template has 1,000,000 at most",
}


class TestTemplates:
    @pytest.mark.parametrize("template", TOO_LARGE, ids=lambda text: str(text)[:60])
    def test_size(self, template: str) -> None:
        """A template that would work on too many characters is refused, before they are made."""
        with bounded(), pytest.raises(TemplateFault, match="works on more than 10,000,000 characters"):
            render(template, {})

    @pytest.mark.parametrize("template", TOO_MANY_STEPS)
    def test_steps(self, template: str) -> None:
        """A template that would take too many steps is refused."""
        with bounded(), pytest.raises(TemplateFault, match=f"more than {STEPS:,} steps"):
            render(template, {})

    @pytest.mark.parametrize(("template", "told"), OTHERWISE.items(), ids=lambda text: str(text)[:60])
    def test_refused(self, template: str, told: str) -> None:
        """What cannot be bounded, depends on chance or cannot be compiled is refused with the reason."""
        with bounded(), pytest.raises(TemplateFault) as raised:
            render(template, {"a": "a"})
        assert told in str(raised.value)

    def test_each_rendering_is_counted_alone(self) -> None:
        """A template far within the limits can be filled in as often as there are prompts."""
        for _ in range(30):
            assert len(render("{{ 'a' * 2000000 }}", {})) == 2_000_000

    @pytest.mark.parametrize(
        ("template", "text"),
        [
            (
                "{% for x in items | map('upper') %}{{ loop.index }}/{{ loop.length }}{{ x }} {% endfor %}",
                "1/2A 2/2B ",
            ),
            ("{% for x in items if x != 'a' %}{{ x }}{% else %}-{% endfor %}", "b"),
            ("{% for x in tree recursive %}{{ x.n }}{{ loop(x.c) if x.c }}{% endfor %}", "123"),
            (
                "{{ items | join(', ') }} {{ '%03d|%s' % (7, 'x') }} {{ '{:>4}{}'.format(1, 'y') }}",
                "a, b 007|x    1y",
            ),
            (
                "{{ items | batch(3, '-') | list }} {{ [3, 1] | sort }} {{ [1, 2] | sum }}",
                "[['a', 'b', '-']] [1, 3] 3",
            ),
            (
                "{{ 'a\nb' | indent(2) }}|{{ 'abc'[1:] ~ 1 }}|{{ 2 ** 10 }}|{{ 'a' in items }}",
                "a\n  b|bc1|1024|True",
            ),
            ("{% macro m(x) %}<{{ x }}{{ caller() }}>{% endmacro %}{% call m(1) %}!{% endcall %}", "<1!>"),
            ("{{ {'a': 1} | json }} {{ tree | map(attribute='n') | first }} {{ none }}", '{"a": 1} 1 None'),
            ("{{ 'x y'.split() | last }} {{ 'a-b'.replace('-', '+') }} {{ 'é'.upper() }}", "y a+b É"),
        ],
    )
    def test_what_templates_are_for_still_works(self, template: str, text: str) -> None:
        """Loops, filters, methods, macros and formats give what they gave."""
        names = {"items": ["a", "b"], "tree": [{"n": 1, "c": [{"n": 2, "c": []}]}, {"n": 3, "c": []}]}
        assert render(template, names) == text


def test_places_in_angle_brackets() -> None:
    """What a prompt has in angle brackets is found in a time that grows as the text does."""
    from selfinstruct.prompts.asked import _BRACKETED

    assert _BRACKETED.findall("<a b> <a/b c> <a b/c> <br/> <a\nb> <a=b c>") == ["a b", "a b/c", "a\nb"]
    with bounded():
        assert _BRACKETED.findall("<" + " a" * 100_000) == []


def test_a_template_that_is_too_much_in_the_run(typed: Typed, project: Path) -> None:
    """A text that the check does not have stops the run with the key, and what there is is kept."""
    (project / "recipes").mkdir()
    (project / "recipes/mine.yaml").write_text(
        "# x\ndefaults: [paper, override /model: scripted, _self_]\ntarget: 3\ncache: off\n"
        "prompts: {classification: {template: \"{{ 'a' * 4000000000 if instruction != 'text' else '' }}\"}}\n"
    )
    status, _, err = typed("recipe=mine")
    assert status == 1
    assert "prompts.classification.template, request 1: template: works on more than 10,000,000" in err
    assert lines(project / "runs/mine/instructions.jsonl")


def _interpolated(**keys: Any) -> None:
    from omegaconf import OmegaConf

    resolved(OmegaConf.create(keys))


class TestInterpolations:
    @pytest.mark.parametrize(
        "keys",
        [
            {"z0": "x", **{f"z{i}": f"${{z{i - 1}}}${{z{i - 1}}}" for i in range(1, 40)}},
            {"z0": {"a": 1}, **{f"z{i}": dict.fromkeys("ab", f"${{z{i - 1}}}") for i in range(1, 40)}},
            {"z0": [1], **{f"z{i}": [f"${{z{i - 1}}}"] * 2 for i in range(1, 40)}},
            {"t": "x" * 300_000, "u": "${t}" * 500},
            {"t": list(range(5000)), "u": ["${t}"] * 500},
            {"t": {"a": 1}, "u": ["${oc.dict.values:t}"] * 3000},
        ],
        ids=["text", "mapping", "list", "long text", "long list", "resolver"],
    )
    def test_growth(self, keys: dict[str, Any]) -> None:
        """What a few keys would make of one another is counted, and refused with the key and the limit."""
        with bounded(), pytest.raises(RecipeError) as raised:
            _interpolated(**keys)
        told = str(raised.value)
        assert f"may replace ${{key}} {REPLACED:,} times, with {CHARACTERS:,} characters" in told
        assert "write out the values of its ${key}" in told

    @pytest.mark.parametrize(
        "keys",
        [
            {"a": "${b}", "b": "${a}"},
            {"a": {"x": "${b}"}, "b": {"x": "${a}"}},
            {f"c{i}": f"${{c{i + 1}}}" for i in range(900)} | {"c900": 1},
        ],
        ids=["cycle", "cycle of mappings", "chain"],
    )
    def test_endless(self, keys: dict[str, Any]) -> None:
        """What leads back to itself, or on and on, is a fault of the recipe."""
        with bounded(), pytest.raises(RecipeError, match=r"depends on a itself|leads back|Recursive"):
            _interpolated(**keys)

    def test_check(self, typed: Typed, project: Path) -> None:
        """The run folder, which is looked up before the recipe is built, is held to it too."""
        seed_file(project / "seeds/mine.jsonl")
        growing = "".join(f"z{i}: ${{z{i - 1}}}${{z{i - 1}}}\n" for i in range(1, 40))
        (project / "recipes").mkdir()
        (project / "recipes/mine.yaml").write_text(
            f"# x\ndefaults: [quickstart, _self_]\nz0: x\n{growing}run_dir: ${{z39}}\n"
        )
        with bounded():
            status, _, err = typed("check", "recipe=mine")
        assert (status, "expands to too much" in err) == (1, True)


class TestDefaults:
    def test_files_that_name_others_twice(self, typed: Typed, project: Path) -> None:
        """Files that each name another twice are composed so often, and no more."""
        folder = project / "conf/filters"
        folder.mkdir(parents=True)
        (folder / "f0.yaml").write_text("k: 1\n")
        for place in range(1, 26):
            below = f"f{place - 1}"
            (folder / f"f{place}.yaml").write_text(
                f"defaults: [{below}@x{place}, {below}@y{place}, _self_]\n"
            )
        with bounded():
            status, _, err = typed("check", "recipe=quickstart", "filters=f25")
        assert (status, "the defaults lists name more than 500 files" in err) == (1, True)


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
MERGES = "a0: &a0 {k: x}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 10)
)
YAML = {
    ALIASES: "with its aliases replaced",
    MERGES: "with its aliases replaced",
    "t: &t " + "x" * 400_000 + "\nl: [" + "*t, " * 900 + "]\n": "2,000,000 characters, with its aliases",
    "a: &a [*a]\n": "the alias *a is inside the value it refers to",
    "a0: &a0 [1]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200)): "30 deep, with its aliases",
    "a: " + "[" * 100_000: "nested more than 30 deep",
    "a: " + "{a: " * 200 + "1" + "}" * 200: "nested more than 30 deep",
    "a:\n  " + "- " * 5000 + "x\n": "nested more than 30 deep",
    "a: [" + "1, " * 20_000 + "]\n": "more than 10,000 values",
    "a: " + "x" * 600_000: "a file may have 500,000 at most",
    "a: " + "1" * 100_000: "a number of 100,000 characters",
    "a: " + "1:" * 50_000 + "1": "a number of 100,001 characters",
    "a: 0x" + "f" * 5_000: "a number of 5,002 characters",
    "a: !!int '" + "1" * 5_000 + "'": "a number of 5,000 characters",
    "a: ${b}\n" * 2000: "uses ${key} more than 1,000 times",
    "a: \"${oc.decode:'[" + "1," * 5_000 + "]'}\"": "${name:…} in a value of more than 2,000 characters",
}


class TestYaml:
    @pytest.mark.parametrize(("text", "told"), YAML.items(), ids=lambda text: str(text)[:40])
    def test_limits(self, text: str, told: str) -> None:
        """A file that stands for too much is refused with the line, before any of it is built."""
        with bounded():
            (fault,) = yaml_faults(text)
        assert told in fault

    def test_plain_files_pass(self) -> None:
        """Aliases, merge keys and nesting as people use them are no fault, nor is a long text of figures."""
        text = "a: &a {k: 1}\nb: {<<: *a, l: [*a, *a]}\nc: '" + "1" * 100 + "'\nd: " + "x1" * 100 + "\n"
        assert yaml_faults(text) == []

    def test_check(self, typed: Typed, project: Path) -> None:
        """A recipe, a file of conf/ and what is no file are held to the limits as they are read."""
        (project / "recipes").mkdir()
        (project / "recipes/bomb.yaml").write_text(f"# x\n{ALIASES}")
        (project / "recipes/folder.yaml").mkdir()
        with bounded():
            status, _, err = typed("check", "recipe=bomb")
            assert status == 1 and "bomb.yaml: line 6: has more than 10,000 values" in err
            assert "folder.yaml: is not a file" in typed("check", "recipe=folder")[2].replace(
                "folder.yaml: " * 2, "folder.yaml: "
            )
            (project / "conf/model").mkdir(parents=True)
            (project / "conf/model/mine.yaml").write_text(ALIASES)
            status, _, err = typed("check", "recipe=quickstart")
        assert status == 1 and "mine.yaml: line 5: has more than 10,000 values" in err


SLOW = [r"(a+)+$", r"(x+x+)+y", r"([a-z]+)*$", r"(é+é+)+!", r"((((a{1,1000}){1,1000}){1,1000}){1,1000})b"]
QUICK = [
    r"(a|a)*b",
    r"(.*a){25}",
    r"(\d+)*\.x",
    r"\d+\s+apples",
    r"(?i)^\s*(?:sorry|i am),? ",
    r"(?<=\d)\s?€",
]
HARD = r"(?:xy|xyxy)+$"  # on no text of one letter
LONG = "xy" * 5_000 + "!"


class TestExpressions:
    @pytest.mark.parametrize("pattern", SLOW)
    def test_slow_ones_are_found_at_the_check(self, pattern: str) -> None:
        """An expression that explodes on a plain text is a fault of its key, with an example."""
        found: list[Fault] = []
        with bounded():
            FILTERS.build("matches", {"field": "output", "pattern": pattern}, "filters.x.matches", found)
        assert [fault.where for fault in found] == ["filters.x.matches.pattern"]
        assert "times" in found[0].what and "no repetition (*, + or {}) is inside another" in found[0].what

    @pytest.mark.parametrize("pattern", QUICK)
    def test_others_pass(self, pattern: str) -> None:
        """An expression that stays quick is no fault, and searches long texts."""
        assert fault_of(pattern) is None
        with bounded():
            Expression(pattern).search("a" * 10_000)

    def test_a_text_that_takes_long_is_never_rejected_quietly(self) -> None:
        """Where an expression meets a text that it is slow on, the run stops and names both."""
        found: list[Fault] = []
        check = FILTERS.build("matches", {"field": "output", "pattern": HARD}, "filters.x.matches", found)
        assert check and check.each and not found
        record = Record(id="r", stage="x", request=1, position=0, data={"output": LONG})
        with bounded(), pytest.raises(SlowExpression) as raised:
            check.each(record)
        told = str(raised.value)
        assert told.startswith(
            f"filters.x.matches: the regular expression {HARD!r} takes more than {SECONDS:g} s"
        )
        assert "everything received is kept" in told

    def test_parsers(self) -> None:
        """The expressions of a parser are held to the same."""
        found: list[Fault] = []
        options = {"head": HARD, "first_line": "output", "rest": "input", "marks": "original"}
        parser = PARSERS.build("headed", options, "prompts.x.parse", found)
        assert parser and not found
        reply = Reply(LONG, "stop", "m", 1, 1, 0.0)
        with bounded(), pytest.raises(SlowExpression, match=r"prompts\.x\.parse: the regular expression"):
            parser.read(reply, 0)

    @pytest.mark.parametrize(
        ("pattern", "told"),
        [
            ("[z-a]", "is not a valid regular expression"),
            ("(" * 5000 + ")" * 5000, "is not a valid regular expression"),
            ("a{99999999999}", "is not a valid regular expression"),
            ("a" * 30_000, "a regular expression has 20,000 at most"),
            ("(?:foo){e<=1}", "a plain brace, write \\{"),
        ],
    )
    def test_refused(self, pattern: str, told: str) -> None:
        """What is none, is too long or would be read in two ways is refused."""
        with bounded():
            assert told in str(fault_of(pattern))


def _schema_faults(schema: dict[str, Any]) -> list[str]:
    found: list[Fault] = []
    compile_schema(schema, "schema.x", found)
    return [str(fault) for fault in found]


class TestSchemas:
    @pytest.mark.parametrize(
        "schema",
        [
            {"properties": {"a": {"type": "string", "pattern": "(a+)+$"}}},
            {"properties": {"a": {"type": "object", "patternProperties": {"(a+)+$": {}}}}},
        ],
    )
    def test_slow_patterns(self, schema: dict[str, Any]) -> None:
        """A pattern that explodes is found with the schema."""
        with bounded():
            (told,) = _schema_faults(schema)
        assert told.startswith("schema.x: its pattern '(a+)+$' takes more than")

    @pytest.mark.parametrize(
        "schema",
        [
            {"properties": {"a": {"type": "string", "pattern": HARD}}},
            {"properties": {"a": {"patternProperties": {HARD: {}}}}},
            {"properties": {"a": {"patternProperties": {HARD: {}}, "additionalProperties": False}}},
        ],
    )
    def test_a_record_that_takes_long(self, schema: dict[str, Any]) -> None:
        """A pattern that is slow on a text stops the run with the schema's key."""
        validate = compile_schema(schema, "schema.x", [])
        assert validate
        data = {"a": LONG if "pattern" in schema["properties"]["a"] else {LONG: 1}}
        with (
            bounded(),
            pytest.raises(SlowExpression, match=r"schema\.x: the regular expression '\(\?:xy"),
        ):
            validate(data)

    def test_references_that_double(self) -> None:
        """Definitions that each ask for another twice are followed so often, and no further."""
        ref = [{"$ref": f"#/$defs/d{i + 1}"} for i in range(40)]
        defs: dict[str, Any] = {f"d{i}": {"allOf": [ref[i], ref[i]]} for i in range(40)} | {"d40": {}}
        with bounded():
            (told,) = _schema_faults({"$defs": defs, "properties": {"a": {"$ref": "#/$defs/d0"}}})
        assert told.startswith("schema.x: follows more than 2,000 $ref")

    def test_pattern_properties_as_before(self) -> None:
        """Keys that match a pattern are held to its schema, and the others to additionalProperties."""
        inner = {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
        validate = compile_schema({"properties": {"a": inner}}, "schema.x", [])
        assert validate
        assert validate({"a": {"x1": 1, "y": "text"}}) is None
        assert "'no' is not of type 'integer'" in str(validate({"a": {"x1": "no"}}))
        assert "1 is not of type 'string'" in str(validate({"a": {"y": 1}}))


NUMBERS = {
    "target": ["1e26", str(10**26), "0"],
    "seed": [str(10**39)],
    "mix.examples": [str(10**9)],
    "model.concurrency": [str(10**9)],
    "model.requests_per_minute": ["1e-300", "nan", "inf"],
    "model.tokens_per_minute": ["1e300"],
    "model.prompts_per_request": [str(10**9)],
    "model.batch_size": [str(10**9), "0"],
    "model.timeout": ["inf", "nan", "1e300"],
    "model.retries": [str(10**12), "-1"],
    "model.sampling.max_tokens": [str(10**30), "nan", str(10**9)],
    "budget.usd": ["nan", "inf", "-1"],
    "budget.tokens": [str(10**30)],
    "cache.max_gb": ["inf"],
    "pipeline.instructions.window": [str(10**12)],
    "pipeline.instructions.patience": [str(10**18)],
    "pipeline.instructions.expected": ["inf"],
}


class TestNumbers:
    def test_check(self, typed: Typed, project: Path) -> None:
        """Numbers beyond any use are refused, each with its key and its range, and together."""
        for place in range(max(map(len, NUMBERS.values()))):
            values = {key: given[place] for key, given in NUMBERS.items() if place < len(given)}
            with bounded():
                status, _, err = typed(
                    "check", "recipe=quickstart", *(f"{key}={value}" for key, value in values.items())
                )
            assert status == 1
            for key in values:
                (line,) = [line for line in err.splitlines() if _about(key, line.strip())]
                assert any(
                    word in line
                    for word in ("less than or equal", "greater than", "finite", "more than", "valid integer")
                ), line

    @pytest.mark.parametrize("registry", [FILTERS, PARSERS, STAGES], ids=lambda registry: registry.group)
    def test_every_number_has_a_range(self, registry: Any) -> None:
        """An option that is a number says the least and the most that it may be."""
        for name in registry.names():
            for where, spec in _numbers(registry.options(name).model_json_schema()):
                assert {"minimum", "exclusiveMinimum"} & set(spec), f"{name}{where}"
                assert {"maximum", "exclusiveMaximum"} & set(spec), f"{name}{where}"

    def test_every_key_has_a_range(self) -> None:
        """So does every key of a recipe."""
        from selfinstruct.config import RecipeConfig

        for where, spec in _numbers(RecipeConfig.model_json_schema()):
            assert {"minimum", "exclusiveMinimum"} & set(spec), where
            assert {"maximum", "exclusiveMaximum"} & set(spec), where


def _about(key: str, line: str) -> bool:
    """Whether a fault is about a key; those of sampling are told of all its parameters, by name."""
    above, _, last = key.rpartition(".")
    return line.startswith((f"{key}:", f"{above}: {last} "))


def _numbers(part: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts of a JSON Schema that are numbers."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if not isinstance(part, dict):
        return
    if (
        part.get("type") in ("integer", "number")
        and "const" not in part
        and "enum" not in part
        and where.rpartition(".")[2] != "when"
    ):
        yield where, part
    for key, inner in part.items():
        if key != "default" and not (key == "anyOf" and where.endswith(".when")):
            yield from _numbers(inner, f"{where}.{key}")
