"""The filter of code that does not parse in the language it claims to be in."""

from __future__ import annotations

from typing import Literal

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import value
from selfinstruct.records import Record, Rejection
from selfinstruct.text.snippets import snippets
from selfinstruct.text.syntax import INSTALL, PARSERS, can_check, wrong

Language = Literal["python", "json", "yaml", "sql", "regex"]


@FILTERS.register
def parses(
    *,
    field: str = "output",
    instruction: str | None = "instruction",
    languages: dict[Language, bool] = {},  # noqa: B006  # options are read, never changed
    language: str = "en",
) -> Filter:
    """Rejects a text with code that does not parse: Python, JSON, YAML, SQL or a regular expression.

    It checks blocks with a tag (```json), and answers that are code as a whole because the instruction asks
    for it. Nothing is run. Python is Python 3, also as a session with prompts. SQL may be of any usual
    dialect; it needs pip install 'selfinstruct[sql]', and passes without it, as `check` then says. Code that
    is long, deeply nested or has gaps for a template passes.

    Args:
        field: the field to look at.
        instruction: the field of the instruction; null looks only at blocks with a tag.
        languages: language: whether it is checked; all are unless they are false here.
        language: the language of the instructions, as a BCP 47 tag; the recipe's by default.
    """
    on = [name for name in PARSERS if languages.get(name, True)]  # type: ignore[call-overload]

    def each(record: Record) -> Rejection | None:
        for found in snippets(value(record, field), value(record, instruction), language):
            fault = wrong(found.language, found.code) if found.language in on else None
            if fault:
                line = found.line + fault.line - 1
                reason = f"{field} has {found.language} that does not parse: line {line}: {fault.words}"
                return Rejection(reason, {"language": found.language, "line": line, "error": fault.words})
        return None

    fields = (field, instruction) if instruction else (field,)
    return Filter(each=each, fields=fields, note=_note(on))


def _note(on: list[str]) -> str:
    missing = [name for name in on if not can_check(name)]
    return f"does not check SQL, because sqlglot is not installed: {INSTALL}" if missing else ""
