"""Read seed files in JSON: one object per line, an array of objects, an object with such an array, or objects
that span several lines.

The text is first cut into its objects, so that each can be read by itself and a fault has its place. This
module refuses some things that Python's reader accepts: NaN, a key that occurs twice, brackets nested too
deeply.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.sources.row_faults import RowFaults
from selfinstruct.sources.seed_content import control_in
from selfinstruct.sources.seed_table import ITEM, JSON_LINES, LINE, ROW, Row, Table

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = json.JSONDecoder()
_QUOTES = "JSON needs double quotes: Python writes them with json.dumps"
_DEEP = "take the innermost lists or objects out"


class Unfit(ValueError):
    """A JSON text that cannot be read; it has a message and a remedy."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


class Written(float):
    """A number that remembers its digits, since as text 9.90 differs from 9.9."""

    text: str


@dataclass(frozen=True)
class _Piece:
    """The text of one object in the file, and the line on which it begins."""

    text: str
    line: int


def read_json(text: str, lines: bool, is_row: Callable[[Any], bool], table: Table) -> None:
    """Read the rows of a JSON text.

    Args:
        text: the text.
        lines: whether the file's suffix says that each line is one object.
        is_row: whether an object is itself a seed, rather than the holder of a list of seeds.
        table: receives the rows, the words for them, and the faults.
    """
    spans = _values(text)
    if spans is None:
        if _is_lines(text, lines):
            _read(_by_line(text), LINE, JSON_LINES, table)
        else:
            table.faults.append(_broken(text, table))
        return
    start, _, first = spans[0]
    if len(spans) == 1 and isinstance(first, list):
        _read(_items(text, start), ITEM, "a JSON array", table)
    elif len(spans) > 1 or not isinstance(first, dict) or not _holds(first, is_row, text, start, table):
        _read(_pieces(text, [span[:2] for span in spans]), LINE, JSON_LINES, table)


def parse(text: str) -> Any:
    """Parse a JSON value.

    Raises:
        Unfit: if the text is not valid JSON, or holds something that a seed cannot have.
    """
    try:
        return _STRICT.decode(text)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Invalid control character"):
            raise Unfit(
                f"{control_in(text[error.pos])} unescaped", "write it as \\u and four digits, or take it out"
            ) from error
        at = f"column {error.colno}" if error.lineno == 1 else f"its line {error.lineno}"
        quotes = _QUOTES if "double quotes" in error.msg else ""
        raise Unfit(f"is not valid JSON: {error.msg} at {at}", quotes) from error
    except RecursionError as error:
        raise Unfit("is nested too deeply", _DEEP) from error
    except Unfit:
        raise
    except ValueError as error:  # an integer with more digits than Python reads
        raise Unfit("holds a number of too many digits", "write it as text, in quotes") from error


def _read(pieces: Iterator[_Piece], unit: str, format: str, table: Table) -> None:
    """Read each piece as a row; all faults go to the table."""
    table.unit, table.format = unit, format
    wrong = RowFaults(table.path, unit)
    for number, piece in enumerate(pieces, 1):
        at = number if unit == ITEM else piece.line
        place = f"{number} (line {piece.line})" if unit == ITEM else str(piece.line)
        try:
            table.rows.append(Row(at, place, parse(piece.text), len(piece.text)))
        except Unfit as error:
            wrong.add(place, str(error), error.remedy)
    table.faults.extend(wrong.faults())


def _values(text: str) -> list[tuple[int, int, Any]] | None:
    """The JSON values of which a text consists; None if it holds anything else."""
    found, at = [], _after_space(text, 0)
    try:
        while at < len(text):
            value, end = _PLAIN.raw_decode(text, at)
            found.append((at, end, value))
            at = _after_space(text, end)
    except (ValueError, RecursionError):
        return None
    return found


def _is_lines(text: str, lines: bool) -> bool:
    """Whether a text that is not valid JSON as a whole has one object per line, some of them broken."""
    texts = [line for line in text.split("\n") if line.strip()]
    if text.lstrip().startswith("["):  # lines that are arrays, or an array without its end
        return len(texts) > 1 and _is_object(texts[0], list)
    return lines or any(_is_object(line, dict) for line in texts)


def _is_object(line: str, kind: type) -> bool:
    try:
        value = _PLAIN.decode(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, kind) and bool(value)


def _broken(text: str, table: Table) -> Fault:
    """The fault of an invalid JSON text, with the line and column of the error."""
    try:
        _PLAIN.decode(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        quotes = _QUOTES if "double quotes" in error.msg else ""
        return Fault(f"{table.path} {at}", f"is not valid JSON: {error.msg}", quotes)
    except (RecursionError, ValueError):
        pass
    return Fault(str(table.path), "is nested too deeply, or holds a number of too many digits", _DEEP)


def _by_line(text: str) -> Iterator[_Piece]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _Piece(line.rstrip("\r"), number)


def _pieces(text: str, spans: list[tuple[int, int]]) -> Iterator[_Piece]:
    line, counted = 1, 0
    for start, end in spans:
        line += text.count("\n", counted, start)
        counted = start
        yield _Piece(text[start:end], line)


def _items(text: str, start: int) -> Iterator[_Piece]:
    """The items of the array that begins at `start`; the text is known to be valid JSON."""
    spans, at = [], _after_space(text, start + 1)
    while text[at] != "]":
        end = _PLAIN.raw_decode(text, at)[1]
        spans.append((at, end))
        at = _after_space(text, end)
        at = _after_space(text, at + 1) if text[at] == "," else at
    return _pieces(text, spans)


def _holds(whole: dict[str, Any], is_row: Callable[[Any], bool], text: str, start: int, table: Table) -> bool:
    """Read the seeds that an object holds (a list of objects, or a list for each column), if it holds any."""
    columns = _columns(whole)
    if columns and is_row(whole):
        table.unit, table.format = ROW, "a JSON object of columns"
        table.rows += [Row(place, str(place), row, 0) for place, row in enumerate(columns, 1)]
        return True
    lists = [key for key, value in whole.items() if isinstance(value, list) and all(map(_is_dict, value))]
    if is_row(whole) or not lists:
        return False
    if len(lists) > 1:
        names = ", ".join(map(repr, lists))
        what = f"holds more than one list of objects: {names}"
        table.faults.append(Fault(str(table.path), what, f"save the list of {table.noun} as a separate file"))
        return True
    _read(
        _items(text, _start_of(text, start, lists[0])),
        ITEM,
        f"a JSON object with the list {lists[0]!r}",
        table,
    )
    return True


def _columns(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object of columns: equally long lists, or the form that pandas writes."""
    values = [list(value.values()) if isinstance(value, dict) else value for value in whole.values()]
    if not all(isinstance(value, list) and value and not any(map(_is_dict, value)) for value in values):
        return []
    if len({len(value) for value in values}) != 1:
        return []
    return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]


def _start_of(text: str, start: int, wanted: str) -> int:
    """The position of a key's value in the object that begins at `start`."""
    at = _after_space(text, start + 1)
    while True:
        key, at = _PLAIN.raw_decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        if key == wanted:
            return at
        at = _after_space(text, _PLAIN.raw_decode(text, at)[1])
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Unfit(f"has the key {twice!r} twice", "leave one of them out")
    return made


def _constant(name: str) -> float:
    raise Unfit(f"holds {name}, which is not valid JSON", "leave the value out, or write null")


def _number(text: str) -> float:
    number = Written(text)
    if number in (float("inf"), float("-inf")):
        raise Unfit("holds a number that is too large", "write it as text, in quotes")
    number.text = text
    return number


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
