"""The code in a text: fenced blocks, and answers that are code as a whole because the task asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from selfinstruct.text.limits import GRAMMARS, LONGEST
from selfinstruct.text.syntax import tagged

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<tag>[\w+#.-]*)(?P<more>[^`]*)$")
# Words of an instruction that asks for code, whatever the language of the instruction.
_CLAIMS: Mapping[str, re.Pattern[str]] = {
    "python": re.compile(r"(?i)\bpython(?!\s*2)\b|python(?=[\u3040-\u9fff])"),
    "sql": re.compile(r"(?i)(?<![a-z])SQL(?![a-z])"),
    "regex": re.compile(r"(?i)\bregex\b|\bregular expression|\breguläre[rn]? ausdr|正規表現|正则表达式"),
}
_PYTHON_2 = re.compile(r"(?i)python\s*2")
_ASKS = re.compile(
    r"(?i)\b(?:write|create|give|provide|compose|build|supply|make|schreib\w*|gib|erstell\w*|nenn\w*|formulier\w*)\b"
    r"|書|作|写|给出|编"
)
_BEGINS: Mapping[str, re.Pattern[str]] = {
    "json": re.compile(r"[\[{]"),
    "yaml": re.compile(r"---(?:\s|$)|- \S|[\w.-]+:(?:\s|$)"),
    "python": re.compile(
        r"(?:async def|def|class|import|from \w|for \w+ in|while |with |try:|print\(|@\w|#|\"\"\"|>>> )"
        r"|\w+ ?= ?[^=]"
    ),
    "sql": re.compile(
        r"(?i)(?:select|insert into|update|delete from|create (?:table|view|index)|alter table|with \w+ as)\b"
    ),
    "regex": re.compile(r"\S+$"),
}
_PROSE = re.compile(r"(?m)^[ \t]*[\"'*]*[^\W\d_a-z][^\n()=\[\]{}_#]{15,}[.:!?。：]\s*$")
_SPECIAL = re.compile(r"[\\\[({^$*+?|]")


class Snippet(NamedTuple):
    """Code, its language, and the line of the text on which it begins, from 1."""

    language: str
    code: str
    line: int


def snippets(text: str, instruction: str = "", language: str = "en") -> Iterator[Snippet]:
    """The code of a text.

    A block without a tag is in the language that the instruction asks for, if it is the only one. Without any
    block, the whole text is code if it begins like code in that language and has no sentences around it.

    Args:
        text: the text.
        instruction: the instruction that it answers; empty if it is not known.
        language: the language of the instruction, as a BCP 47 tag.
    """
    asked = claims(instruction, language)
    blocks = list(_blocks(text))
    for block in blocks:
        name = (
            tagged(block.language) if block.language else asked[0] if len(blocks) == len(asked) == 1 else None
        )
        if name and not (name == "python" and _PYTHON_2.search(instruction)):
            yield block._replace(language=name)
    if not blocks and "```" not in text and len(asked) == 1:
        yield from _whole(text, asked[0])


def claims(instruction: str, language: str) -> list[str]:
    """The languages that an instruction asks for."""
    text = instruction[:LONGEST]
    grammar = GRAMMARS.get(re.split("[-_]", language)[0].lower())
    found = []
    if grammar and not grammar.not_form.search(text):
        found = [name for name in ("json", "yaml") if grammar.forms[name].search(text)]
    if not found and _ASKS.search(text):
        found = [name for name, pattern in _CLAIMS.items() if pattern.search(text)]
    return [name for name in found if not (name == "python" and _PYTHON_2.search(text))]


def _blocks(text: str) -> Iterator[Snippet]:
    """The fenced blocks that are closed, with their tags; the indent of a fence is not part of the code."""
    opened: re.Match[str] | None = None
    code: list[str] = []
    begins = 0
    for number, row in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(row)
        if opened is None and fence:
            opened, code, begins = fence, [], number + 1
        elif opened and fence and not fence["tag"] and fence["mark"].startswith(opened["mark"]):
            yield Snippet(opened["tag"], "\n".join(code), begins)
            opened = None
        elif opened:
            code.append(row.removeprefix(opened["indent"]))


def _whole(text: str, name: str) -> Iterator[Snippet]:
    """The whole text as code, if it looks like it and has no sentence beside the code."""
    body = text.strip()
    if not _BEGINS[name].match(body):
        return
    line = text[: len(text) - len(text.lstrip())].count("\n") + 1
    if name == "json":
        body = body[: max(body.rfind("}"), body.rfind("]")) + 1] or body
    elif name == "sql" and ";" in body:
        body = body[: body.rfind(";") + 1]
    elif name == "sql" and "\n\n" in body:
        return
    elif name == "regex":
        body = body.strip("`")
        if "\n" in body or not _SPECIAL.search(body) or body.endswith((".", ":")):
            return
    if name in ("json", "regex") or not _PROSE.search(body):
        yield Snippet(name, body, line)
