"""The filter of tasks about a text that did not come with them."""

from __future__ import annotations

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, compiled, value
from selfinstruct.records import Record, Rejection


@FILTERS.register
def missing_input(
    *,
    patterns: Patterns,
    within: Patterns,
    field: str | None = "input",
    instruction: str = "instruction",
) -> Filter:
    """Rejects a record without an input if its instruction speaks of one ("the article below").

    Args:
        patterns: name: words of an instruction about a text that comes with it.
        within: name: signs that the instruction holds the text itself, such as a colon with text after it.
        field: the field of the input; null if the records have none.
        instruction: the field of the instruction.
    """
    speaks, holds = compiled(patterns), compiled(within)

    def each(record: Record) -> Rejection | None:
        if value(record, field).strip():
            return None
        text = value(record, instruction)
        for name, pattern in speaks:
            found = pattern.search(text)
            if found and not any(sign.search(text) for _, sign in holds):
                missing = f"{field} is empty" if field else "it does not have it"
                return Rejection(f"instruction speaks of {found[0][:60]!r} ({name}), but {missing}")
        return None

    return Filter(each=each, fields=(field, instruction) if field else (instruction,))
