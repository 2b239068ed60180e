"""Whether code parses in the language that it claims to be in. Nothing is ever run. Usable on its own.

>>> wrong("json", '{"a": }')
Wrong(line=1, words='Expecting value')

Code that is too long, too deep or of a newer version than the parser knows is not judged. To add a language,
write a function from code to `Wrong` or None, and put it into `PARSERS` with the tags that fences use.
"""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple

LONGEST = 20_000  # characters; longer code is not judged
LONGEST_OF = {"sql": 5_000, "regex": 1_000}  # characters, for parsers that take longer
NESTED = 60  # brackets in brackets; more are not judged, since a parser may need much memory for them
INSTALL = "pip install 'selfinstruct[sql]'"
DIALECTS = ("", "postgres", "mysql", "sqlite", "tsql", "bigquery", "oracle", "snowflake", "duckdb", "spark")

_TEMPLATE = re.compile(r"\{\{|\{%|<%|\$\{\{")  # filled in later, such as by Jinja
_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)
_MAGIC = re.compile(r"^([ \t]*)[%!?][^\n]*", re.MULTILINE)  # of a notebook
_NEWER = re.compile(
    r"^\s*type \w+ ?(?:\[|=)|^\s*(?:def|class) \w+\[|\bexcept\*|\blazy\s+(?:import|from)\b", re.MULTILINE
)


class Wrong(NamedTuple):
    """Where code does not parse, and the parser's words."""

    line: int
    words: str


def wrong(language: str, code: str) -> Wrong | None:
    """The first place at which code does not parse; None if it does, or if that is not certain."""
    limit = LONGEST_OF.get(language, LONGEST)
    if not code.strip() or len(code) > limit or _depth(code) > NESTED:
        return None
    try:
        return PARSERS[language](code)
    except (RecursionError, MemoryError):
        return None


def can_check(language: str) -> bool:
    """Whether the parser for a language is installed."""
    return language != "sql" or find_spec("sqlglot") is not None


def _depth(code: str) -> int:
    """How deep brackets are nested, at most; those in strings count too."""
    deepest = depth = 0
    for character in code:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth = max(0, depth - 1)
    return deepest


def _python(code: str) -> Wrong | None:
    """Python 3, also as a session with prompts, or as a cell of a notebook."""
    if _PROMPT.search(code) and ">>>" in code:
        return _session(code)
    text = _MAGIC.sub(r"\1pass", textwrap.dedent(code).strip("\n"))
    try:
        with warnings.catch_warnings():  # such as for an invalid escape, which is no fault of the syntax
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        newer = sys.version_info < (3, 14) and ("f-string" in str(error.msg) or _NEWER.search(text))
        return None if newer else Wrong(error.lineno or 1, str(error.msg))
    except ValueError as error:  # null bytes
        return Wrong(1, str(error))
    return None


def _session(code: str) -> Wrong | None:
    """Each input of a session: the lines with prompts, without the output between them."""
    source: list[str] = []
    start = 0
    for number, line in enumerate([*textwrap.dedent(code).splitlines(), ">>> pass"], 1):
        mark = line[:4].rstrip()
        if mark == ">>>" and source:
            found = _python("\n".join(source))
            if found:
                return Wrong(start + found.line - 1, found.words)
            source = []
        if mark == ">>>":
            source, start = [line[4:]], number
        elif mark == "..." and source:
            source.append(line[4:])
    return None


def _json(code: str) -> Wrong | None:
    """JSON, or one document on each line."""
    found = _document(code)
    rows = [line for line in code.splitlines() if line.strip()]
    many = found and len(rows) > 1 and all(_document(line) is None for line in rows)
    return None if many else found


def _document(text: str) -> Wrong | None:
    def refuse(name: str) -> Any:
        raise json.JSONDecodeError(f"{name} is not valid JSON", text, max(0, text.find(name)))

    try:
        json.loads(text, parse_constant=refuse, parse_int=str)
    except json.JSONDecodeError as error:
        return Wrong(error.lineno, error.msg)
    return None


def _yaml(code: str) -> Wrong | None:
    """YAML, as nodes: nothing is made of them, so aliases take no memory and tags no code."""
    import yaml

    if _TEMPLATE.search(code):
        return None
    try:
        for _ in yaml.compose_all(code, Loader=yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Wrong(mark.line + 1 if mark else 1, str(error.problem or error.context))
    except yaml.YAMLError as error:  # a character that YAML does not allow
        return Wrong(1, str(error).splitlines()[0])
    return None


def _sql(code: str) -> Wrong | None:
    """SQL of any of the usual dialects; None if sqlglot is not installed."""
    if not can_check("sql") or _TEMPLATE.search(code) or "%s" in code:
        return None
    first: Wrong | None = None
    for dialect in DIALECTS:
        found = _in_dialect(code, dialect)
        if found is None:
            return None
        first = first or found
    return first


def _in_dialect(code: str, dialect: str) -> Wrong | None:
    import sqlglot
    from sqlglot.errors import ParseError, SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it notes statements that it only passes on
    try:
        sqlglot.parse(code, read=dialect or None)
    except ParseError as error:
        fault = error.errors[0] if error.errors else {}
        return Wrong(int(fault.get("line") or 1), _shown(str(fault.get("description") or error)))
    except SqlglotError as error:
        return Wrong(1, _shown(str(error)))
    return None


def _shown(words: str) -> str:
    """The words of sqlglot without the names of its classes."""
    words = re.sub(r"<Token .*?text: (.*?), line.*", r"\1", words.splitlines()[0])
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", words)


def _regex(code: str) -> Wrong | None:
    """A regular expression of Python's `re` or of the package `regex`, which knows more; also as /.../i."""
    found = None
    for text in [code.strip(), *(line.strip() for line in code.strip().splitlines())]:
        bare = re.fullmatch(r"/(.+)/[a-z]*", text) or re.fullmatch(r"r[\"'](.+)[\"']", text)
        error = _expression(bare[1] if bare else text)
        if error is None:
            return None
        found = found or error
    return found


def _expression(text: str) -> Wrong | None:
    import regex

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
        return None
    except (re.error, OverflowError) as error:
        words = getattr(error, "msg", str(error))
    try:
        regex.compile(text)
    except (regex.error, OverflowError, ValueError):
        return Wrong(1, words)
    return None


PARSERS: Mapping[str, Callable[[str], Wrong | None]] = {
    "python": _python,
    "json": _json,
    "yaml": _yaml,
    "sql": _sql,
    "regex": _regex,
}
TAGS: Mapping[str, str] = {
    **dict.fromkeys(("python", "py", "python3", "py3", "pycon"), "python"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    **dict.fromkeys(("sql", "mysql", "postgresql", "postgres", "pgsql", "sqlite"), "sql"),
    **dict.fromkeys(("regex", "regexp"), "regex"),
}


@lru_cache
def tagged(tag: str) -> str | None:
    """The language of a fence's tag; None for one that is not checked."""
    return TAGS.get(tag.lower())
