"""Read a file of rows in any of the known formats; its content and its suffix show which one it has.

Text becomes rows in `seed_json` (objects) or `seed_tabular` (tables), or here (one instruction per line). To
add a format, recognize it in `_text` or `_binary` and fill a `Table`.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Set
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from selfinstruct.config import SeedsConfig
from selfinstruct.errors import Fault
from selfinstruct.project import textfiles
from selfinstruct.project.filetypes import ARROW, GZIP, PARQUET, page_of, type_of
from selfinstruct.project.layout import locate, no_path, roots
from selfinstruct.sources.seed_columns import is_task, known_names
from selfinstruct.sources.seed_json import read_json
from selfinstruct.sources.seed_table import LARGEST, LINE, TEXT_LINES, TOO_LARGE, Row, Table
from selfinstruct.sources.seed_tabular import header_of, read_arrow, read_csv

KINDS = "JSONL, JSON, CSV, TSV, Parquet, a folder that datasets saved, or text with one instruction per line"
_LINES = (".jsonl", ".ndjson", ".jsonlines")
_JSON = (*_LINES, ".json")
_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_TEXTS = (".txt", ".text", "")
MOST_FILES = 10_000  # in a folder
_ADDRESS = re.compile(r"\w{2,}://")
_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_DOWNLOAD = "hf download {0} --repo-type dataset --local-dir {1}, then seeds.path={1}/FILE"


@dataclass(frozen=True)
class Form:
    """What helps to recognize the format of a text.

    Attributes:
        columns: column names that the first line of a table may have, in their plain form.
        is_row: whether a JSON object is itself a row, rather than the holder of a list of rows.
    """

    columns: Set[str]
    is_row: Callable[[Any], bool]


def read_seed_file(config: SeedsConfig, project: Path, faults: list[Fault]) -> Table | None:
    """Read the rows of the seed file that a recipe names; None if a fault was added."""
    path = locate(config.path, project)
    if path is None:
        faults.append(_absent(config.path, project))
        return None
    table = Table(path)
    if path.is_dir():
        _folder(config.path, table)
    else:
        read_file(table, Form(known_names(config), lambda data: is_task(data, config)))
    if not table.rows and not table.faults:
        example = 'a line of a JSONL file is an object: {"instruction": …}'
        table.faults.append(Fault(str(path), "is empty", example))
    faults.extend(table.faults)
    return None if table.faults else table


def read_file(table: Table, form: Form) -> None:
    """Read the rows of a table's file into it, or the file's faults."""
    path = table.path
    if path.stat().st_size > LARGEST:
        table.faults.append(Fault(str(path), TOO_LARGE, table.smaller))
        return
    data = textfiles.read_bytes(path, table.faults)
    if data is not None:
        _binary(data, path.name.lower(), form, table)


def _binary(data: bytes, name: str, form: Form, table: Table) -> None:
    """Read Parquet, Arrow or gzip, which the first bytes show; otherwise read the bytes as text."""
    kind = type_of(data)
    if kind and kind.name in (PARQUET, ARROW):
        read_arrow(table.path, table)
    elif kind and kind.name == GZIP:
        inner = _unpacked(data, table)
        if inner is not None:
            _binary(inner, name.removesuffix(".gz"), form, table)
    else:
        text = textfiles.decode(data, str(table.path), table.faults)
        if text is not None and text.strip():
            _text(text, name, form, table)


def _unpacked(data: bytes, table: Table) -> bytes | None:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            inner = packed.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        what = f"is {GZIP}, but it cannot be unpacked: {error}"
        table.faults.append(Fault(str(table.path), what, "it may be cut short: copy it again"))
        return None
    if len(inner) > LARGEST:
        table.faults.append(Fault(str(table.path), TOO_LARGE, table.smaller))
        return None
    kind = type_of(inner)
    if kind:
        table.faults.append(
            Fault(str(table.path), f"is a gzip file with {kind.name} in it", "unpack it first")
        )
        return None
    return inner


def _text(text: str, name: str, form: Form, table: Table) -> None:
    """Read objects if the text begins with a bracket, a table if its first line names columns, else lines."""
    suffix, page = Path(name).suffix, page_of(text)
    if page:
        table.faults.append(Fault(str(table.path), f"is {page.name}", page.remedy))
        return
    begins = text.lstrip()[:1]
    header, mark, known = header_of(text, form.columns, _TABLES.get(suffix, ","))
    if begins in ("{", "[") and (suffix in _JSON or suffix not in (*_TABLES, *_TEXTS) or _is_json(text)):
        read_json(text, suffix in _LINES, form.is_row, table)
    elif suffix in _TABLES or (known == len(header) > 1):
        read_csv(text, mark, table)
    elif suffix in _TEXTS:
        table.unit, table.format = LINE, TEXT_LINES
        lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
        table.rows += [Row(at, str(at), {"instruction": line}, len(line)) for at, line in lines if line]
    elif suffix in _JSON:
        read_json(text, suffix in _LINES, form.is_row, table)
    else:
        what = f"is a kind of text file that cannot be read as {table.noun} ({suffix})"
        table.faults.append(Fault(str(table.path), what, f"save it as {KINDS}"))


def _is_json(text: str) -> bool:
    """Whether a text without a JSON suffix looks like JSON, by its first line."""
    first = text.lstrip().split("\n", 1)[0].strip()
    return first in ("{", "[") or re.match(r"\{\s*\"|\[\s*\{", first) is not None


def _folder(name: str, table: Table) -> None:
    """Read a folder of Parquet files or one that datasets saved; for any other, add a fault."""
    path = table.path
    if _holds_too_many(path):
        what = f"is a folder of more than {MOST_FILES:,} files and folders"
        table.faults.append(Fault(str(path), what, f"name a file: seeds.path={name.rstrip('/')}/FILE"))
        return
    saved = any((path / file).is_file() for file in ("dataset_info.json", "state.json", "dataset_dict.json"))
    if saved or any(path.rglob("*.parquet")):
        read_arrow(path, table)
        return
    kinds = {*_JSON, *_TABLES, ".gz", ".arrow", ".txt"}
    files = [str(file.relative_to(path)) for file in sorted(path.rglob("*")) if file.suffix.lower() in kinds]
    remedy = f"name a file: seeds.path={name.rstrip('/')}/{files[0]}" if files else f"seeds are {KINDS}"
    table.faults.append(Fault(str(path), "is a folder without Parquet files", remedy))


def _holds_too_many(folder: Path) -> bool:
    """Whether the folder is huge (a home, a whole disk) and would take minutes to look through."""
    counted = 0
    for _, folders, files in os.walk(folder):
        counted += len(folders) + len(files)
        if counted > MOST_FILES:
            return True
    return False


def _absent(name: str, project: Path) -> Fault:
    """The fault of a missing file, with a remedy for an address, a dataset on the hub, or a typo."""
    if wrong := no_path(name):
        return Fault("seeds.path", f"{name[:40]!r} {wrong}", "name a file: seeds.path=FILE")
    if _ADDRESS.match(name):
        remedy = "download it, then seeds.path=FILE"
        return Fault("seeds.path", f"{name} is an address, but seeds are read from disk", remedy)
    near = _nearest(name, project)
    if near:
        return Fault("seeds.path", f"there is no file {name}", f"did you mean {near!r}?")
    looked = f"looked in {project} and among the seeds that come with selfinstruct; set seeds.path=…"
    if _HUB.fullmatch(name) and not Path(name).suffix and not (project / name.split("/")[0]).is_dir():
        download = _DOWNLOAD.format(name, name.split("/")[1])
        lines = [
            "seeds are read from disk; to download a dataset from the Hugging Face hub:",
            download,
            looked,
        ]
        return Fault("seeds.path", f"there is no file {name}", "\n      ".join(lines))
    return Fault("seeds.path", f"there is no file {name}", looked)


def _nearest(name: str, project: Path) -> str:
    """The seed file with the most similar name; empty if there is none."""
    folder = Path(name).parent
    known = [str(folder / file.name) for root in roots(project) for file in (root / folder).glob("*.*")]
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "")
