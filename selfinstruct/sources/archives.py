"""DOCX, PPTX and EPUB files as Markdown: archives of XML, in which headings and tables are marked as such.

An archive may unpack to far more than its own size. What is read of it may not be larger than `largest_mb`.
"""

from __future__ import annotations

import io
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import unquote
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from selfinstruct.project.filetypes import type_of
from selfinstruct.sources.passages import Leaf, Passage, Reading, cut, markdown_of, table_of

_STYLES = "p[style-name='Title'] => h1:fresh"  # beside those that mammoth knows
SLIDES, CHAPTERS = ("slide", "slides"), ("chapter", "chapters")
_AGAIN = "open it in its program and save it again, or take it out"
_TEXT = re.compile(r"\.(xml|rels|x?html?|opf)$", re.IGNORECASE)
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FURNITURE = ("sldNum", "dt", "ftr", "hdr", "sldImg")  # placeholders that are not part of the text
Members = Mapping[str, bytes]


def docx(data: bytes, reading: Reading) -> Iterator[Passage]:
    """The passages of a Word document; the place is that in its text, since its pages are not in the file."""
    if _members(data, reading) is None:
        return
    import mammoth

    try:
        page = mammoth.convert_to_html(io.BytesIO(data), convert_image=_no_image, style_map=_STYLES).value
    except Exception as error:  # mammoth raises errors of many types for a broken file
        _broken(reading, "a Word document", error)
        return
    text = markdown_of(page, reading)
    if text is not None:
        yield from cut([Leaf(text, 0)], None, reading.cutting)


def pptx(data: bytes, reading: Reading) -> Iterator[Passage]:
    """The passages of a presentation: slides with their titles, texts, tables and notes."""
    yield from _read(data, reading, "a presentation", _slides, SLIDES)


def epub(data: bytes, reading: Reading) -> Iterator[Passage]:
    """The passages of an e-book: its chapters in reading order."""
    yield from _read(data, reading, "an e-book", _chapters, CHAPTERS)


def _read(
    data: bytes,
    reading: Reading,
    what: str,
    leaves_of: Callable[[Members, Reading], list[Leaf]],
    units: tuple[str, str],
) -> Iterator[Passage]:
    members = _members(data, reading)
    if members is None:
        return
    try:
        leaves = leaves_of(members, reading)
    except (ElementTree.ParseError, KeyError, ValueError, RecursionError) as error:
        _broken(reading, what, error)
        return
    yield from cut(leaves, units, reading.cutting)


def _members(data: bytes, reading: Reading) -> Members | None:
    """The texts in an archive by name; None after adding a fault."""
    if not data.startswith(b"PK"):
        kind = type_of(data)
        if kind and data.startswith(b"\xd0\xcf\x11\xe0"):  # an OLE file; Office encrypts into one
            reading.fault("is encrypted, or from an old Office", "save it again, without a password")
        else:
            what = f"is {kind.name}" if kind else "is not a ZIP archive, as such a file has to be"
            reading.fault(what, _AGAIN)
        return None
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            texts = [one for one in archive.infolist() if _TEXT.search(one.filename)]
            if any(one.flag_bits & 1 for one in texts):
                reading.fault("is encrypted", "save it without its password, or take it out")
                return None
            size = sum(one.file_size for one in texts)  # no more than this is unpacked
            if size > reading.cutting.largest_mb * 1e6:
                reading.too_large(size, "unpacks to")
                return None
            found = {one.filename: archive.read(one) for one in texts}
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        _broken(reading, "a ZIP archive", error)
        return None
    if any(b"<!ENTITY" in content for content in found.values()):  # which could grow without bound
        reading.fault("declares entities in its XML, which is not read", _AGAIN)
        return None
    return found


def _broken(reading: Reading, what: str, error: Exception) -> None:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    reading.fault(f"is not {what} that can be read: {said}", _AGAIN)


def _no_image(image: object) -> list[object]:
    return []


def _slides(members: Members, reading: Reading) -> list[Leaf]:
    show = "ppt/presentation.xml"
    linked = _links(members, show)
    tree = ElementTree.fromstring(members[show])
    names = [linked[one.attrib[f"{_R}id"]] for one in tree.iter(f"{_P}sldId")]
    leaves = []
    for number, name in enumerate(names, 1):
        parts = list(_shapes(ElementTree.fromstring(members[name])))
        for other in _links(members, name).values():
            if "notesSlides/" in other and other in members:
                parts += _shapes(ElementTree.fromstring(members[other]))
        leaves.append(Leaf("\n\n".join(part for part in parts if part.strip()), number))
    return leaves


def _links(members: Members, name: str) -> dict[str, str]:
    """The members that one of them refers to, by the id of the reference."""
    folder, file = posixpath.split(name)
    rels = members.get(f"{folder}/_rels/{file}.rels")
    if rels is None:
        return {}
    found = {}
    for one in ElementTree.fromstring(rels):
        target = one.attrib.get("Target", "")
        path = (
            target.lstrip("/")
            if target.startswith("/")
            else posixpath.normpath(posixpath.join(folder, target))
        )
        found[one.attrib.get("Id", "")] = path
    return found


def _shapes(slide: ElementTree.Element) -> Iterator[str]:
    """The texts of a slide, in its order; the title is a heading."""
    for shape in slide.iter():
        if shape.tag == f"{_P}sp":
            kind = next((one.attrib.get("type", "") for one in shape.iter(f"{_P}ph")), "")
            lines = [] if kind in _FURNITURE else [_paragraph(one) for one in shape.iter(f"{_A}p")]
            text = "\n".join(line for line in lines if line.strip())
            if kind in ("title", "ctrTitle") and text:
                yield f"# {' '.join(text.split())}"
            else:
                yield text
        elif shape.tag == f"{_A}tbl":
            yield table_of([[_cell(cell) for cell in row.iter(f"{_A}tc")] for row in shape.iter(f"{_A}tr")])


def _cell(cell: ElementTree.Element) -> str:
    return " ".join(_paragraph(one) for one in cell.iter(f"{_A}p"))


def _paragraph(paragraph: ElementTree.Element) -> str:
    parts = (one.text or "" if one.tag == f"{_A}t" else " " for one in paragraph.iter() if one.tag in _WORDS)
    return "".join(parts).strip()


_WORDS = (f"{_A}t", f"{_A}br")


def _chapters(members: Members, reading: Reading) -> list[Leaf]:
    container = ElementTree.fromstring(members["META-INF/container.xml"])
    book = next(one.attrib["full-path"] for one in container.iter() if one.tag.endswith("}rootfile"))
    tree = ElementTree.fromstring(members[book])
    items = {
        one.attrib.get("id"): one.attrib.get("href", "") for one in tree.iter() if one.tag.endswith("}item")
    }
    spine = [items[one.attrib["idref"]] for one in tree.iter() if one.tag.endswith("}itemref")]
    names = [posixpath.normpath(posixpath.join(posixpath.dirname(book), unquote(href))) for href in spine]
    if _locked(members, names):
        reading.fault("is encrypted", "take it out, or use a copy that is not")
        return []
    texts = (
        markdown_of(members[name].decode("utf-8-sig", "replace"), reading)
        for name in names
        if name in members
    )
    return [
        Leaf(text, number) for number, text in enumerate((one for one in texts if one and one.strip()), 1)
    ]


def _locked(members: Members, names: Sequence[str]) -> bool:
    """Whether a chapter is encrypted; some books only have encrypted fonts."""
    listed = members.get("META-INF/encryption.xml")
    if listed is None:
        return False
    uris = {
        one.attrib.get("URI")
        for one in ElementTree.fromstring(listed).iter()
        if one.tag.endswith("}CipherReference")
    }
    return not uris.isdisjoint(names)
