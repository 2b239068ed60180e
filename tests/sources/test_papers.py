"""Documents as people have them: pages, headings, tables, and files that cannot be read beside others."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from papers import (
    docx_of,
    epub_of,
    page,
    paragraph,
    pdf_of,
    pptx_of,
    shape,
    slide_table,
    word_table,
    zipped,
)
from results import refused, row

pytest.importorskip("semantic_text_splitter")
pytest.importorskip("pypdf")
pytest.importorskip("mammoth")

MINE = ("recipe=grounded", "model=scripted", "model.mode=chat", "pipeline.passages.path=mine")
READ = ("~filters.passages.word_count", "pipeline.passages.shuffle=false", "target=1000", "run_dir=run")
SIZE = "pipeline.passages.size={}"
SOAP = "Never use soap: it stays in the mesh, and foams when the pump starts."
FROST = "Water that freezes in the housing breaks the seal, which the guarantee does not cover."


def write(folder: Path, **files: str | bytes) -> None:
    """Write files, by their names with `_` for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / ".".join(name.rsplit("_", 1))
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def passages(typed: Typed, *overrides: str) -> list[dict[str, Any]]:
    """The passages that a run reads, in the order of the documents."""
    status, out, err = typed(*MINE, *READ, *overrides)
    assert status in (0, 4), out + err
    return lines(Path("run/passages.jsonl"))


def places(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Where passages are."""
    return [(row["document"], row["section"], row["place"]) for row in rows]


# PDF


def test_pages_and_headings_of_a_pdf(typed: Typed, project: Path) -> None:
    """A bookmark is a heading in its place; a passage over two pages names both; a torn word is whole."""
    pages = [
        page(
            "1 Cleaning",
            "Rinse the filter every four weeks with cold water, and re-",
            "place it once a year.",
        ),
        page(
            "Never use soap.",
            "2 Frost",
            "The pump stands frost down to two degrees below zero while it runs.",
        ),
        page(FROST),
    ]
    write(project / "mine", pump_pdf=pdf_of(pages, {"1 Cleaning": 1, "2 Frost": 2}))
    rows = passages(typed, SIZE.format(100))
    assert places(rows) == [
        ("pump.pdf", "1 Cleaning", "page 1"),
        ("pump.pdf", "1 Cleaning", "page 2"),
        ("pump.pdf", "2 Frost", "page 2"),
        ("pump.pdf", "2 Frost", "page 3"),
    ]
    assert "and replace it once a year." in rows[0]["passage"]
    assert rows[3]["passage"] == FROST
    together = passages(typed, SIZE.format(1000), "fresh=true")
    assert places(together) == [("pump.pdf", "1 Cleaning", "pages 1-3")]


def test_a_sentence_over_two_pages(typed: Typed, project: Path) -> None:
    """It goes on, as over two lines; a page that ends with a sentence ends a paragraph."""
    pages = [page("The pump stands frost while"), page("it runs."), page("Never use soap.")]
    write(project / "mine", pump_pdf=pdf_of(pages))
    (one,) = passages(typed)
    assert one["passage"] == "The pump stands frost while\nit runs.\n\nNever use soap."
    assert one["place"] == "pages 1-3"


def test_a_table_of_a_pdf(typed: Typed, project: Path) -> None:
    """Columns become cells; columns of prose, and what is at the edge of all pages, do not."""
    table = [(72, 650, "Model"), (250, 650, "Price"), (72, 636, "P20"), (250, 636, "149"), (72, 622, "P30")]
    table.append((250, 622, "199"))
    prose = [
        (x, 700 - 14 * n, f"{word} column has long lines of text, {n}")
        for n in range(3)
        for x, word in ((40, "The left"), (330, "The other"))
    ]
    firsts = ["Prices.", "A comparison.", "Remarks.", "An outlook."]
    pages = [
        [*page(f"Price list, page {n}", first), *(table if n == 1 else prose)]
        for n, first in enumerate(firsts, 1)
    ]
    write(project / "mine", prices_pdf=pdf_of(pages))
    (first,) = passages(typed, SIZE.format(5000))
    assert "| Model | Price |\n| --- | --- |\n| P20 | 149 |\n| P30 | 199 |" in first["passage"]
    assert first["passage"].count("| --- |") == 1
    assert "Price list" not in first["passage"]
    assert "An outlook." in first["passage"]


def test_a_table_above_columns_of_prose(typed: Typed, project: Path) -> None:
    """Only the table becomes cells; each column of prose is read to its end."""
    table = [
        (x, y, word)
        for y, row in ((720, "Model Price"), (706, "P20 149"))
        for x, word in zip((72, 250), row.split(), strict=True)
    ]
    left = [(40, 600 - 14 * n, f"Left line {n} of the text in this column.") for n in range(3)]
    right = [(330, 600 - 14 * n, f"Right line {n} of the text in that column.") for n in range(3)]
    write(project / "mine", pump_pdf=pdf_of([[*table, *left, *right]]))
    (one,) = passages(typed)
    words = ["| P20 | 149 |", *(text for _, _, text in [*left, *right])]
    assert [line for line in one["passage"].split("\n") if line in words] == words


def test_close_columns_of_a_table_stay_apart(typed: Typed, project: Path) -> None:
    """Where the layout runs the words of two cells together, they stay as they are in the text."""
    rows = [(72, 720, "Part"), (190, 720, "Number"), (72, 706, "Seal"), (190, 706, "P20-1")]
    close = [(230, 720, "Price"), (220, 706, "350 yen")]
    write(project / "mine", pump_pdf=pdf_of([[*rows, *close]]))
    (one,) = passages(typed)
    assert "P20-1350" not in one["passage"]


def test_characters_that_only_a_page_has(typed: Typed, project: Path) -> None:
    """Ligatures, soft hyphens and bullets become what one would type; lines without spaces are joined."""
    text = [
        "Rinse the \ufb01lter with cold wa\xad",
        "ter, inputs and out-",
        "or side doors.",
        "\x7f",
        "Never use soap.",
    ]
    japanese = ["石けんは網", "石けんは網", "石け"]
    write(project / "mine", a_pdf=pdf_of([page(*text)]), b_pdf=pdf_of([page(*japanese)]))
    first, second = passages(typed)
    assert first["passage"].split("\n") == [
        "Rinse the filter with cold water, inputs and out-",
        "or side doors.",
        "• Never use soap.",
    ]
    assert second["passage"] == "".join(japanese)


def test_two_running_lines(typed: Typed, project: Path) -> None:
    """A title and a page number below it are both left out, and so are two lines at the foot."""
    said = ["Rinse the filter.", "Never use soap.", "Empty it before winter."]
    pages = [
        page("Pump P20", f"Page {n}", text, "All rights reserved", f"- {n} -")
        for n, text in enumerate(said, 1)
    ]
    write(project / "mine", a_pdf=pdf_of(pages))
    (one,) = passages(typed)
    assert one["passage"].split("\n\n") == said


def test_scanned_pages_are_counted(typed: Typed, project: Path) -> None:
    """A file of images has no text and says so; one with some such pages is read, with a note."""
    write(project / "mine", scan_pdf=pdf_of([[], []]), half_pdf=pdf_of([page(FROST), []]))
    out = typed("check", *MINE)[1]
    assert "scan.pdf: 1 document: only images of pages, no text; recognise the text first (OCR)" in out
    assert "half.pdf: 1 of 2 pages have no text" in out
    assert "passages of 1 document in mine" in out
    (project / "mine/half.pdf").unlink()
    refused(typed("check", *MINE), "there is no text in the documents of mine: scan.pdf", "(OCR)")


def encrypted(data: bytes, password: str) -> bytes:
    """A PDF file that needs a password, or only has one for its owner if the password is empty."""
    from pypdf import PdfReader, PdfWriter

    writer, made = PdfWriter(clone_from=PdfReader(io.BytesIO(data))), io.BytesIO()
    writer.encrypt(password, "owner", algorithm="RC4-128")
    writer.write(made)
    return made.getvalue()


def test_a_password(typed: Typed, project: Path) -> None:
    """A file that needs one is a fault; one that is only protected against printing is read."""
    data = pdf_of([page(FROST)])
    write(project / "mine", free_pdf=encrypted(data, ""), closed_pdf=encrypted(data, "secret"))
    result = typed("check", *MINE)
    refused(result, "closed.pdf: is encrypted", "save it without its password")
    assert "1 fault" in result[2]
    rows = passages(typed, "pipeline.passages.unreadable=skip")
    assert places(rows) == [("free.pdf", "", "page 1")]
    out = typed("check", *MINE, "pipeline.passages.unreadable=skip")[1]
    assert "closed.pdf is encrypted; it is passed over" in out


KEYS = {"O": 48, "U": 48, "OE": 32, "UE": 32, "Perms": 16}  # of an encrypted file, and their bytes


def test_a_cipher_that_needs_a_package(typed: Typed, project: Path) -> None:
    """The fault says which, since most files with such a cipher open without a password."""
    if find_spec("cryptography"):
        pytest.skip("the package is there")
    keys = " ".join(f"/{name} <{'00' * size}>" for name, size in KEYS.items())
    cipher = (
        f"/Encrypt << /Filter /Standard /V 5 /R 6 /Length 256 /P -4 {keys} /StmF /StdCF /StrF /StdCF "
        "/CF << /StdCF << /CFM /AESV3 /Length 32 >> >> >> /ID [<00> <00>]"
    )
    data = pdf_of([page(FROST)]).replace(b"/Root 1 0 R", f"/Root 1 0 R {cipher}".encode())
    write(project / "mine", a_pdf=data)
    refused(typed("check", *MINE), "a.pdf: is encrypted with AES", "pip install cryptography")


# DOCX, PPTX, EPUB, CSV


def test_headings_and_tables_of_a_word_document(typed: Typed, project: Path) -> None:
    """As in Markdown; the place is that in its text, since a document has no pages."""
    body = paragraph("Frost", "Heading1") + paragraph(FROST) + word_table(["Model", "Price"], ["P20", "149"])
    write(project / "mine", pump_docx=docx_of(body))
    (one,) = passages(typed)
    assert (one["section"], one["place"]) == ("Frost", f"characters 1-{len(one['passage'])} of its text")
    assert one["passage"].startswith(f"# Frost\n\n{FROST}")
    assert "| Model | Price |\n| --- | --- |\n| P20 | 149 |" in one["passage"]


def test_the_title_of_a_word_document(typed: Typed, project: Path) -> None:
    """It is a heading, whatever the language of the program that wrote it."""
    write(project / "mine", pump_docx=docx_of(paragraph("Pump P20", "Titel") + paragraph(FROST)))
    (one,) = passages(typed)
    assert (one["section"], one["passage"]) == ("Pump P20", f"# Pump P20\n\n{FROST}")


def test_slides(typed: Typed, project: Path) -> None:
    """Titles are headings; order, tables and notes are those of the presentation; numbers are left out."""
    slides = [
        shape("Frost", kind="title") + shape(FROST, "Second point.") + shape("7", kind="sldNum"),
        shape("Prices", kind="ctrTitle") + slide_table(["Model", "Price"], ["P20", "149"]),
    ]
    notes = {2: shape("Say that prices change in May.")}
    write(project / "mine", talk_pptx=pptx_of(slides, notes))
    first, second = passages(typed, SIZE.format(130))
    assert places([first, second]) == [("talk.pptx", "Frost", "slide 1"), ("talk.pptx", "Prices", "slide 2")]
    assert first["passage"] == f"# Frost\n\n{FROST}\nSecond point."
    assert (
        "| Model | Price |\n| --- | --- |\n| P20 | 149 |\n\nSay that prices change in May."
        in second["passage"]
    )


def test_chapters(typed: Typed, project: Path) -> None:
    """In reading order, whatever their files are called."""
    book = epub_of(
        {
            "z.xhtml": (
                "<?xml version='1.0'?><!-- no text --><html><head><title>x</title></head>"
                f"<body><h1>Frost</h1><p>{FROST}</p></body></html>"
            ),
            "a%20b.xhtml": "<html><body><h1>Soap</h1><p>Never use soap.</p></body></html>",
        }
    )
    write(project / "mine", book_epub=book)
    rows = passages(typed, SIZE.format(110))
    assert places(rows) == [("book.epub", "Frost", "chapter 1"), ("book.epub", "Soap", "chapter 2")]
    assert rows[0]["passage"] == f"# Frost\n\n{FROST}"


def test_long_cells_of_a_table(typed: Typed, project: Path) -> None:
    """The column that the stage names is cut, row by row; the others are only columns."""
    text = f'id;text\n1;"{FROST}\nSecond line."\n2;\n3;"{SOAP} {FROST}"\n'
    write(project / "mine", faq_csv=text)
    rows = passages(typed, SIZE.format(110))
    assert [row["place"] for row in rows] == [
        "line 2",
        "line 5, characters 1-69",
        "line 5, characters 71-156",
    ]
    assert rows[0]["passage"] == f"{FROST}\nSecond line."
    refused(
        typed("check", *MINE, "pipeline.passages.field=body"), "faq.csv: has no column 'body'", "id, text"
    )


# What cannot be read


BOMB = zipped({"[Content_Types].xml": "<a/>", "word/document.xml": b" " * 30_000_000})
ENTITIES = '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
LOCKED = {
    "META-INF/encryption.xml": (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
        '<e:CipherReference URI="book/a.xhtml"/></e:CipherData></e:EncryptedData></encryption>'
    )
}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a_pdf", b"%PDF-1.4\nbroken", "a.pdf: is not a PDF file that can be read"),
        ("a_pdf", b"", "a.pdf: is not a PDF file that can be read"),
        ("a_docx", b"PK\x03\x04 broken", "a.docx: is not a ZIP archive that can be read"),
        ("a_docx", zipped({"x.xml": "<a/>"}), "a.docx: is not a Word document that can be read"),
        ("a_docx", pdf_of([page("Text")]), "a.docx: is a PDF file"),
        ("a_docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 99, "a.docx: is encrypted, or from an old Office"),
        ("a_docx", BOMB, "a.docx: unpacks to 30 MB, more than 20"),
        ("a_docx", zipped({"word/document.xml": ENTITIES}), "a.docx: declares entities in its XML"),
        ("a_pptx", zipped({"ppt/presentation.xml": "<a"}), "a.pptx: is not a presentation that can be read"),
        ("a_pptx", zipped({"b.xml": "<a/>"}), "a.pptx: is not a presentation that can be read"),
        ("a_epub", zipped({"b.xml": "<a/>"}), "a.epub: is not an e-book that can be read"),
        ("a_epub", epub_of({"a.xhtml": "<p>Text</p>"}, LOCKED), "a.epub: is encrypted"),
    ],
)
def test_a_broken_file_is_one_fault_beside_good_ones(
    typed: Typed, project: Path, name: str, data: bytes, words: str
) -> None:
    """The fault names it; where the recipe skips such files, the others are read."""
    good = pdf_of([page(FROST)])
    files: dict[str, str | bytes] = {name: data, "z_pdf": good, "b_md": "Never use soap."}
    write(project / "mine", **files)
    result = typed("check", *MINE)
    refused(result, words, "1 fault")
    out = typed("check", *MINE, "pipeline.passages.unreadable=skip")[1]
    assert "takes all 2 passages of 2 documents in mine" in out
    assert "it is passed over" in out


def test_the_plan_counts_the_passages_of_each_file(typed: Typed, project: Path) -> None:
    """As many as a run then asks about."""
    write(project / "mine", a_pdf=pdf_of([page(FROST), page(FROST)]), b_md="Never use soap.")
    out = typed("check", *MINE, SIZE.format(100), "~filters.passages.word_count")[1]
    assert "of each  2 a.pdf, 1 b.md" in out
    assert row(out, "instructions")[0] == "3"
