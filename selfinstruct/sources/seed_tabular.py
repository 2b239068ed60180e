"""Read seed files that are tables: CSV, TSV, Parquet and Arrow files, and the folders that `datasets` saves.

pyarrow is an extra. It is imported only if a file needs it; if it is missing, the fault names the command to
install it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from selfinstruct.errors import Fault
from selfinstruct.project.filetypes import ARROW, INSTALL, PARQUET
from selfinstruct.sources.row_faults import RowFaults
from selfinstruct.sources.seed_table import LARGEST, LINE, ROW, TOO_LARGE, Row, Table, plain

MARKS = ",;\t|"
_EMPTY = ("", "nan", "NaN")  # how pandas and others write that a cell has no value
_INDEX = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # the row numbers that pandas adds
_LONGEST = 2**31 - 1  # characters of a cell; the default of the csv module is 131,072
_SPLIT = re.compile(r"(\w+)-\d{5}-of-\d{5}")  # train-00000-of-00003.parquet


def header_of(text: str, known: Iterable[str], mark: str = ",") -> tuple[list[str], str, int]:
    """The columns that the first line names, their separator, and how many of them are known.

    Args:
        text: the content of the file.
        known: plain names of columns (see `plain`).
        mark: the separator that the file's suffix implies, used if none fits better.
    """
    names = set(known)
    first = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    declared = re.fullmatch(r"sep=(.)", first)  # Excel's own first line
    best = ([first], mark, 0)
    for each in dict.fromkeys([declared[1] if declared else mark, *MARKS]):
        line = text.lstrip("\r\n").split("\n", 2)[1] if declared else first
        try:
            cells = next(csv.reader([line.rstrip("\r")], delimiter=each, strict=True), [])
        except csv.Error:
            continue
        count = sum(plain(cell) in names for cell in cells)
        if count > best[2] or (count == best[2] == 0 and len(best[0]) == 1 and each == mark):
            best = ([cell.strip() for cell in cells], each, count)
    return best


def read_csv(text: str, mark: str, table: Table) -> None:
    """Read the rows of a CSV file; its first line names the columns."""
    table.unit, table.format, table.header = LINE, "a TSV file" if mark == "\t" else "a CSV file", True
    csv.field_size_limit(_LONGEST)
    lead = len(text) - len(text.lstrip("\r\n"))
    skipped = text.count("\n", 0, lead)
    declared = re.match(r"sep=.\r?\n", text[lead:])
    body, skipped = (text[lead + declared.end() :], skipped + 1) if declared else (text[lead:], skipped)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=mark, strict=True)
    wrong, names, begins = RowFaults(table.path, LINE), list[str](), 1
    try:
        for cells in reader:
            line, begins = begins + skipped, reader.line_num + 1
            if not names:
                names = [cell.strip() for cell in cells]
                _check_header(names, table)
            elif len(cells) > len(names):
                what = f"has {len(cells)} cells, but the first line names {len(names)} columns"
                wrong.add(str(line), what, f'put "quotes" around a text that holds {_named(mark)}')
            elif any(cell.strip() for cell in cells):
                table.rows.append(_csv_row(line, names, cells))
    except csv.Error as error:
        what = f"is not valid CSV: {error}"
        wrong.add(str(begins + skipped), what, "a quote inside a quoted text is written twice")
    table.faults.extend(wrong.faults())


BATCH = 10_000  # rows unpacked at once
ROW_BYTES = 100  # counted for each row in addition to its texts: about the memory it takes


def read_arrow(path: Path, table: Table) -> None:
    """Read the rows of a Parquet or Arrow file, of a folder of them, or of a folder that datasets saved."""
    files, name = _arrow_files(path, table)
    table.unit, table.format = ROW, name
    if not files and not table.faults:
        table.faults.append(Fault(str(path), f"is {name}, but it has no file with rows", "save it again"))
    try:
        for file in files:
            _arrow_rows(file, table)
    except ImportError:
        table.faults.append(Fault(str(path), f"is {name}, and reading it needs pyarrow", INSTALL))
    except (OSError, ValueError) as error:  # every error of pyarrow is one of these
        why = " ".join(str(error).split())[:200]
        what = f"is {name}, but it cannot be read: {why}"
        table.faults.append(Fault(str(path), what, "it may be cut short: copy or download it again"))


def _arrow_files(path: Path, table: Table) -> tuple[list[Path], str]:
    """The files with the rows, in order, and a phrase that describes them."""
    if path.is_file():
        with path.open("rb") as file:
            return [path], PARQUET if file.read(4) == b"PAR1" else ARROW
    if (path / "dataset_dict.json").is_file():
        splits = sorted(part.name for part in path.iterdir() if part.is_dir())
        if len(splits) == 1:
            return _arrow_files(path / splits[0], table)
        example = path / ("train" if "train" in splits else (splits or ["SPLIT"])[0])
        _choose(path, "is a folder saved by datasets with the splits", splits, example, table)
        return [], ""
    if (path / "dataset_info.json").is_file() or (path / "state.json").is_file():
        return _saved(path), "a folder saved by datasets"
    files = sorted(file for file in path.rglob("*.parquet") if file.is_file())
    splits = sorted({found[1] for file in files if (found := _SPLIT.match(file.name))})
    if len(splits) > 1:
        example = next((file for file in files if file.name.startswith("train-")), files[0])
        _choose(path, "is a folder of Parquet files of the splits", splits, example, table)
        return [], ""
    return files, "a folder of Parquet files"


def _saved(path: Path) -> list[Path]:
    """The Arrow files of a folder that datasets saved, in the order listed in its state.json."""
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        named = [path / part["filename"] for part in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        named = []
    return named or sorted(path.glob("*.arrow"))


def _choose(path: Path, what: str, splits: Sequence[str], example: Path, table: Table) -> None:
    remedy = f"choose one: seeds.path={example}"
    table.faults.append(Fault(str(path), f"{what} {', '.join(splits)}", remedy))


def _arrow_rows(file: Path, table: Table) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    with file.open("rb") as opened:
        begins = opened.read(6)
    if begins.startswith(b"PAR1"):
        _take(parquet.ParquetFile(file).iter_batches(BATCH), file, table)
        return
    with arrow.OSFile(str(file)) as source:
        if begins == b"ARROW1":
            found = arrow.ipc.open_file(source)
            _take(map(found.get_batch, range(found.num_record_batches)), file, table)
        else:
            _take(arrow.ipc.open_stream(source), file, table)


def _take(batches: Iterable[Any], file: Path, table: Table) -> None:
    """Add the rows of some batches, up to a seed file's limit: a kilobyte can unpack to millions of rows."""
    unpacked = 0
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH):
            for row in batch.slice(start, BATCH).to_pylist():
                number = len(table.rows) + 1
                data = {key: _plain(value) for key, value in row.items() if not _INDEX.fullmatch(key)}
                size = sum(len(value) for value in data.values() if isinstance(value, str))
                unpacked += size + ROW_BYTES
                table.rows.append(Row(number, str(number), data, size))
            if unpacked > LARGEST:
                table.faults.append(Fault(str(file), TOO_LARGE, table.smaller))
                table.rows.clear()
                return


def _plain(value: Any) -> Any:
    """A value that JSON can hold: times and the like become text, NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _csv_row(line: int, names: list[str], cells: list[str]) -> Row:
    data = {
        name: None if cell.strip() in _EMPTY else cell
        for name, cell in zip(names, cells, strict=False)
        if not _INDEX.fullmatch(name)
    }
    return Row(line, str(line), data, sum(map(len, cells)))


def _check_header(names: list[str], table: Table) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        what = f"names the column {twice[0]!r} twice in its first line"
        table.faults.append(Fault(str(table.path), what, "give each column a different name"))


def _named(mark: str) -> str:
    return {"\t": "a tab", ",": "a comma", ";": "a semicolon"}.get(mark, repr(mark))
