"""Recognises files that are not plain text by their first bytes, and says what to do with them.

To add one, add a line to `_TYPES`.
"""

from __future__ import annotations

from dataclasses import dataclass

PARQUET, ARROW, GZIP = "a Parquet file", "an Arrow file", "a gzip file"
INSTALL = "pip install 'selfinstruct[parquet]'"
_UNPACK = "unpack it first"
_AS_CSV = "save the sheet as CSV in UTF-8"
_AS_TEXT = "save its text as a separate file, in UTF-8"
_EXPORT = "write its rows to a JSONL, CSV or Parquet file"
_DOWNLOAD = "download the file itself, not the page that shows it"


@dataclass(frozen=True)
class FileType:
    """A kind of file that is not plain text.

    Attributes:
        name: what it is, with its article.
        remedy: what to do about it.
    """

    name: str
    remedy: str


_TYPES: tuple[tuple[int, bytes, FileType], ...] = (
    (0, b"PAR1", FileType(PARQUET, _EXPORT)),
    (0, b"ARROW1", FileType(ARROW, _EXPORT)),
    (0, b"\xff\xff\xff\xff", FileType(ARROW, _EXPORT)),  # a stream of record batches, as `datasets` writes it
    (0, b"\x1f\x8b", FileType(GZIP, _UNPACK)),
    (4, b"1AY&SY", FileType("a bzip2 file", _UNPACK)),
    (0, b"\xfd7zXZ\0", FileType("an xz file", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", FileType("a zstd file", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", FileType("a 7z archive", _UNPACK)),
    (257, b"ustar", FileType("a tar archive", _UNPACK)),
    (0, b"SQLite format 3\0", FileType("an SQLite database", _EXPORT)),
    (0, b"%PDF-", FileType("a PDF file", _AS_TEXT)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileType("an old Office file (.xls or .doc)", _AS_CSV)),
    (0, b"{\\rtf", FileType("an RTF document", _AS_TEXT)),
    (0, b"\x89HDF", FileType("an HDF5 file", _EXPORT)),
    (0, b"\x93NUMPY", FileType("a NumPy file", _EXPORT)),
    (0, b"Obj\x01", FileType("an Avro file", _EXPORT)),
    (0, b"FEA1", FileType("a Feather file of version 1", _EXPORT)),
    (0, b"\x80\x04\x95", FileType("a Python pickle", _EXPORT)),
    (0, b"\x80\x05\x95", FileType("a Python pickle", _EXPORT)),
    (0, b"\x89PNG", FileType("a PNG image", _AS_TEXT)),
    (0, b"\xff\xd8\xff", FileType("a JPEG image", _AS_TEXT)),
    (0, b"version https://git-lfs", FileType("a Git LFS pointer in place of the file", "run git lfs pull")),
)
_OFFICE = (
    (b"xl/", FileType("an Excel workbook", _AS_CSV)),
    (b"word/", FileType("a Word document", _AS_TEXT)),
    (b"opendocument.spreadsheet", FileType("an OpenDocument spreadsheet", _AS_CSV)),
)


def type_of(data: bytes) -> FileType | None:
    """The type of a file; None if it may be text."""
    if data.startswith(b"PK\x03\x04"):  # an Office file is a ZIP archive with parts of these names
        inside = (kind for name, kind in _OFFICE if name in data[:4096] or name in data[-65536:])
        return next(inside, FileType("a ZIP archive", _UNPACK))
    return next((kind for at, magic, kind in _TYPES if data.startswith(magic, at)), None)


def page_of(text: str) -> FileType | None:
    """The type for a text that is a web page, saved by mistake in place of a file; None for other texts."""
    begins = text[:200].lstrip().lower()
    return FileType("a web page (HTML)", _DOWNLOAD) if begins.startswith(("<!doctype", "<html")) else None
