"""What the fuzzer puts where something else belongs. To try one more value everywhere, add it to a list here.

`TEXTS` go where a text may be, `VALUES` where anything may be, `KEYS` where a key is, `NAMES` where a file or
a config group is named, `YAML` as they are into a recipe's file, and `JSON` into a seed file.
"""

from __future__ import annotations

from typing import Any

LONG = "word " * 2_000
CONTROLS = (
    "\0",
    "\x01",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x7f",
    "\x85",
    "a\tb",
    "a\r\nb",
    "\u2028",
)
UNICODE = (
    "\u202egnp.exe",
    "\ufeff",
    "\ufffe",
    "e\u0301",
    "\U0001f468\u200d\U0001f469",
    "\U0010ffff",
    "İ",
    "ﬁ",
)
NUMBERLIKE = ("nan", "inf", "-inf", "1e5", "0x1f", "1_0", "0o7", "190:20:30", "-0", "007", "1e999", "٣")
YAMLLIKE = (
    "null",
    "~",
    "true",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "2024-01-01",
    "2024-13-45",
    "<<",
    "=",
    "---",
    "...",
)
PATHS = (
    *("..", ".", "/", "//", "../x", "../../etc/passwd", "/etc/passwd", "~", "~nobody/x", "a/../b", "C:\\x"),
    *(
        "/dev/zero",
        "/dev/null",
        "/dev/stdin",
        "/proc/self/mem",
        "file:///etc/passwd",
        "https://example.org/x",
    ),
    *("x" * 300, "a/" * 200, " ", "a b", ".hidden", "-x", "--x", "*.jsonl", "**/*", "seeds", "conf/model"),
)
GLOBS = ("*", "?", "[z-a]", "[", "[!a]", "a[b]", "{a,b}", "{a", "$(ls)", "`ls`", "a;b", "a|b", "a&b")
INTERPOLATIONS = (
    *(
        "${seed}",
        "${oc.env:HOME}",
        "${",
        "${}",
        "${x",
        "\\${x}",
        "${.}",
        "${..}",
        "${..seed}",
        "${model}",
        "$x",
    ),
    *("${now:%Y}", "${hydra:runtime.cwd}", "${oc.create:{a: 1}}", "${oc.decode:'[1'}", "${oc.select:model}"),
    *("${oc.dict.keys:model}", "${oc.deprecated:seed}", "${nope:1}", "${model.${seed}}", "${seed}${", "???"),
)
TEMPLATES: tuple[str, ...] = (
    *("{{ instruction }}", "{{ nope }}", "{{", "}}", "{% for", "{% for x in examples %}", "{# ", "{{ 1/0 }}"),
    *(
        "{{ ''.__class__.__mro__ }}",
        "{{ self }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ [][0] }}",
    ),
    *(
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ loop.index }}",
        "{{ examples[99].instruction }}",
    ),
    *(
        "{% set examples = 3 %}{{ examples.x }}",
        "{{ instruction | nofilter }}",
        "{{ (1).__add__ }}",
        "{{ 08 }}",
    ),
    *(
        "{% raw %}",
        "{{ cycler() }}",
        "{{ {} | json }}",
        "{{ range(3) | map('x') | list }}",
        "{{ dict(a=1) | json }}",
    ),
    *(
        "{{ lipsum }}",
        "{{ namespace | json }}",
        "{{ examples | tojson }}",
        "{{ instruction | format(1, 2) }}",
    ),
)
BOMBS = (  # templates that would grow or go on without a limit
    "{{ 'a' * 4000000000 }}",
    "{{ 10 ** 10 ** 8 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{{ '%999999999d' % 1 }}",
)
SLOW = ("(a+)+$", "(a|a)*b", "(.*a){25}", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$")  # patterns that explode
TEMPLATES += BOMBS
PATTERNS = (
    *SLOW,
    "(",
    "[z-a]",
    "a{1,",
    "(?P<n>",
    "\\",
    "*",
    "(?<=a+)b",
    "\\u12",
    "(?i",
    "a**",
    "\\Z\\A",
    "(?P<a>)(?P<a>)",
)
MODELS = (
    "openai/",
    "/",
    "nobody/x",
    "openai//x",
    "hosted_vllm/x",
    "azure/",
    "http://x",
    "openai/ft:x::y",
    "gpt-4o",
)
# Left out until each is bounded: templates, aliases, patterns and numbers that take all time or all memory.

TEXTS: tuple[str, ...] = (
    *("", LONG, *CONTROLS, *UNICODE, *NUMBERLIKE, *YAMLLIKE, *PATHS, *GLOBS, *INTERPOLATIONS, *TEMPLATES),
    *(*PATTERNS, *MODELS),
)


def nested(depth: int, leaf: Any = 1) -> Any:
    """A list in a list in a list."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def chained(depth: int, leaf: Any = 1) -> Any:
    """A mapping in a mapping in a mapping."""
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


NUMBERS: tuple[Any, ...] = (
    *(
        0,
        -1,
        1,
        2,
        255,
        2**31,
        2**63,
        -(2**63) - 1,
        2**64,
        10**30,
        -(10**30),
        10**400,
        0.0,
        -0.0,
        0.5,
        1.5,
        -1e-9,
    ),
    *(1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
)
OTHERS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        b"",
        b"\xff\xfe",
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": None},
        {"a": {}},
        ["a", 1, None, {}],
    ),
    *(
        nested(30),
        chained(30),
        list(range(500)),
        {str(n): n for n in range(500)},
        {"kind": None},
        {"kind": "x"},
    ),
    *({1: 2}, {True: 1}, {1.5: {}}, {"type": "object"}, {"$ref": "#"}, {"_target_": "os.system"}),
)
VALUES: tuple[Any, ...] = (*NUMBERS, *OTHERS)
KEYS: tuple[Any, ...] = (
    *("", " ", "a.b", "a b", "a/b", "a-b", "kind", "name", "when", "_target_", "_self_", "defaults", "hydra"),
    *(
        "[key]",
        "0",
        "é",
        "x" * 300,
        "\x1b[31m",
        "\0",
        "${seed}",
        "{{ x }}",
        "..",
        "null",
        "seeds",
        "rejected",
    ),
    *("examples", "id", "self", "class", "__class__", 1, -1, 1.5, True, float("nan"), b"x"),
)
NAMES: tuple[str, ...] = (
    *("paper", "chat", "openai", "default_en", "_self_"),
    *PATHS,
    *GLOBS,
    *NUMBERLIKE,
    *YAMLLIKE,
)
YAML: tuple[str, ...] = (
    *("1: 2", "null: x", "true: x", "[a]: b", "{a: b}: c", "? [a]\n: b", ".nan: 1", "2024-01-01: x", "~: 1"),
    *(
        "x: !!binary aGk=",
        "x: !!binary '?'",
        "x: !!set {a, b}",
        "x: !!omap [a: 1]",
        "x: !!timestamp 2024-01-01",
    ),
    *(
        "x: !!int nope",
        "x: !!float x",
        "x: !!bool x",
        "x: !!null x",
        "x: !foo bar",
        "!foo x: 1",
        "x: !!pairs [a: 1]",
    ),
    *("x: !!python/object/apply:os.system [ls]", "x: !!map [1]", "x: !!seq {a: 1}", "x: !!str [a]"),
    *(
        "x: &a [*a]",
        "x: &a {b: *a}",
        "x: *nope",
        "<<: 5",
        "<<: [1]",
        "<<: {a: 1}",
        "<<: *x",
        "x: {<<: {a: 1}, <<: 2}",
    ),
    *(
        "--- x",
        "...",
        "%YAML 9.9\n---\na: 1",
        "%TAG ! x",
        "x: |\n  a\n b",
        "\tx: 1",
        "x: 'a",
        'x: "\\q"',
        "x: [1",
        "x: }",
    ),
    *(
        "x: 2024-99-99",
        "x: 0x" + "f" * 5000,
        "x: " + "9" * 5000,
        "x: 1e999999",
        "x: 190:20:30",
        "x: 0b2",
        "x: =",
    ),
    *(
        "x: " + "[" * 1000 + "]" * 1000,
        "x: " + "{a: " * 1000 + "}" * 1000,
        "x: " + "[" * 100_000,
        "- a",
        "? ",
        ": ",
    ),
    *(
        "model: null",
        "model: openai",
        "model: [a]",
        "prompts: null",
        "pipeline: []",
        "schema: 5",
        "seeds: x",
        "mix: ''",
    ),
    *(
        "filters: null",
        "export: null",
        "target: null",
        "_target_: x",
        "hydra: {}",
        "defaults: x",
        "recipe: x",
    ),
    *(
        "defaults: [../x]",
        "defaults: ['[z-a]']",
        "defaults: [[z-a]]",
        "defaults: [{a: b, c: d}]",
        "defaults: {}",
    ),
)
JSON: tuple[str, ...] = (
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "9" * 5000,
        "1." + "9" * 5000,
        "0123",
        "+1",
        ".5",
        "0x1f",
    ),
    *(
        '"\\ud800"',
        '"\\udfff\\ud800"',
        '"\\u0000"',
        '"\\u001b[31m"',
        '"\\x"',
        '"a\nb"',
        '"',
        "'a'",
        "None",
        "True",
    ),
    *(
        "[" * 1000 + "]" * 1000,
        "[" * 100_000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        '{"a": 1, "a": 2}',
        '{"": 1}',
        "{",
        "}",
    ),
    *(
        "null",
        "true",
        "[]",
        "{}",
        "[[]]",
        '""',
        '" "',
        "0",
        "-0",
        "[null]",
        "[{}]",
        '[{"a": [1, "b", null]}]',
        "//x",
    ),
    *(
        '"' + "x" * 100_000 + '"',
        '"{{ x }}"',
        '"${x}"',
        '"###"',
        '"<|im_start|>"',
        '"\u202e"',
        '{"value": []}',
        ",",
    ),
)
BYTES: tuple[bytes, ...] = (
    *(
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1b",
        b"\r",
        b"\r\n",
        b"\n",
        b"\t",
        b"\x85",
    ),
    *(
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x80\xa8",
        b"\x7f",
        b" ",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b":",
        b": ",
        b"- ",
        b"#",
        b"&a",
        b"*a",
        b"!",
        b"|",
        b">",
        b"%",
        b"@",
        b"`",
        b",",
        b";",
        b"${",
        b"{{",
        b"---\n",
    ),
)
