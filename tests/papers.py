"""Small files of the formats that people have, made from their texts: PDF, DOCX, PPTX, EPUB."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from zipfile import ZIP_DEFLATED, ZipFile

Line = tuple[int, int, str]  # where it begins on the page, in points, and its text
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
# The codes 1 to 6 are a ligature and Japanese characters
NAMED = "\ufb01石けんは網"
ENCODING = (
    "<< /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences "
    f"[1 {' '.join(f'/uni{ord(one):04X}' for one in NAMED)}] >>"
)
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"


def page(*lines: str, top: int = 750) -> list[Line]:
    """The lines of a page, one below the other."""
    return [(72, top - 14 * place, line) for place, line in enumerate(lines)]


def pdf_of(pages: Sequence[Sequence[Line]], bookmarks: Mapping[str, int] | None = None) -> bytes:
    """A PDF file; a page without lines has a grey box, as a scanned one has an image.

    Args:
        pages: the lines of each page.
        bookmarks: the title of each, and the number of its page from 1.
    """
    count, marks = len(pages), list((bookmarks or {}).items())
    first = 5 + 2 * count  # the number of the first bookmark's object
    outlines = f" /Outlines {4 + 2 * count} 0 R" if marks else ""
    kids = " ".join(f"{4 + 2 * place} 0 R" for place in range(count))
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R{outlines} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        3: f"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding {ENCODING} >>",
    }
    for place, lines in enumerate(pages):
        drawn = "".join(f"BT /F1 10 Tf 1 0 0 1 {x} {y} Tm ({_escaped(text)}) Tj ET\n" for x, y, text in lines)
        drawn = drawn or "0.5 g 72 72 200 200 re f\n"
        objects[4 + 2 * place] = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * place} 0 R >>"
        )
        objects[5 + 2 * place] = f"<< /Length {len(drawn)} >>\nstream\n{drawn}endstream"
    if marks:
        last = first + len(marks) - 1
        objects[4 + 2 * count] = (
            f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R /Count {len(marks)} >>"
        )
    for place, (title, number) in enumerate(marks):
        following = f" /Next {first + place + 1} 0 R" if place + 1 < len(marks) else ""
        target = f"/Dest [{2 + 2 * number} 0 R /Fit]"
        objects[first + place] = (
            f"<< /Title ({_escaped(title)}) /Parent {4 + 2 * count} 0 R {target}{following} >>"
        )
    return _written(objects)


def _escaped(text: str) -> str:
    text = text.translate({ord(one): code for code, one in enumerate(NAMED, 1)})
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _written(objects: Mapping[int, str]) -> bytes:
    made, places = b"%PDF-1.4\n", {}
    for number, content in sorted(objects.items()):
        places[number] = len(made)
        made += f"{number} 0 obj\n{content}\nendobj\n".encode("cp1252")
    table = "".join(f"{places[number]:010} 00000 n \n" for number in sorted(places))
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>"
    return made + f"{end}\nstartxref\n{len(made)}\n%%EOF\n".encode()


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive with these members."""
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def docx_of(body: str) -> bytes:
    """A Word document with this XML in its body; `heading`, `paragraph` and `word_table` make some."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return zipped(
        {
            "[Content_Types].xml": (
                '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                '<Default Extension="rels" '
                'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
                f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>'
            ),
            "_rels/.rels": (
                f'<Relationships xmlns="{RELS}"><Relationship Id="r1" Type="{R}/officeDocument" '
                'Target="word/document.xml"/></Relationships>'
            ),
            "word/styles.xml": (
                f'<w:styles xmlns:w="{W}"><w:style w:type="paragraph" w:styleId="Heading1">'
                '<w:name w:val="heading 1"/></w:style>'
                '<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style></w:styles>'
            ),
            "word/_rels/document.xml.rels": (
                f'<Relationships xmlns="{RELS}"><Relationship Id="r1" Type="{R}/styles" Target="styles.xml"/>'
                "</Relationships>"
            ),
            "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
        }
    )


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of a Word document."""
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def word_table(*rows: Sequence[str]) -> str:
    """A table of a Word document."""
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def pptx_of(slides: Sequence[str], notes: Mapping[int, str] | None = None) -> bytes:
    """A presentation; `shape` and `slide_table` make the XML of a slide."""
    members: dict[str, str | bytes] = {}
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="s{n}"/>' for n in range(1, len(slides) + 1))
    # The files are numbered the other way round, since the order is that of the list.
    files = {n: f"slide{len(slides) + 1 - n}.xml" for n in range(1, len(slides) + 1)}
    links = "".join(
        f'<Relationship Id="s{n}" Type="{R}/slide" Target="slides/{file}"/>' for n, file in files.items()
    )
    members["ppt/presentation.xml"] = (
        f'<p:presentation xmlns:p="{P}" xmlns:r="{R}"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>'
    )
    members["ppt/_rels/presentation.xml.rels"] = f'<Relationships xmlns="{RELS}">{links}</Relationships>'
    for number, content in enumerate(slides, 1):
        members[f"ppt/slides/{files[number]}"] = _slide("sld", content)
        if notes and number in notes:
            members[f"ppt/notesSlides/notesSlide{number}.xml"] = _slide("notes", notes[number])
            members[f"ppt/slides/_rels/{files[number]}.rels"] = (
                f'<Relationships xmlns="{RELS}"><Relationship Id="n1" Type="{R}/notesSlide" '
                f'Target="../notesSlides/notesSlide{number}.xml"/></Relationships>'
            )
    return zipped(members)


def _slide(tag: str, content: str) -> str:
    tree = f"<p:cSld><p:spTree>{content}</p:spTree></p:cSld>"
    return f'<p:{tag} xmlns:p="{P}" xmlns:a="{A}" xmlns:r="{R}">{tree}</p:{tag}>'


def shape(*lines: str, kind: str = "body") -> str:
    """A text of a slide; its kind is title, body, sldNum …"""
    text = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return (
        f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>'
    )


def slide_table(*rows: Sequence[str]) -> str:
    """A table of a slide."""
    made = "".join(
        "<a:tr>"
        + "".join(
            f"<a:tc><a:txBody><a:p><a:r><a:t>{cell}</a:t></a:r></a:p></a:txBody></a:tc>" for cell in row
        )
        + "</a:tr>"
        for row in rows
    )
    graphic = f"<a:graphic><a:graphicData><a:tbl>{made}</a:tbl></a:graphicData></a:graphic>"
    return f"<p:graphicFrame>{graphic}</p:graphicFrame>"


def epub_of(chapters: Mapping[str, str], more: Mapping[str, str] | None = None) -> bytes:
    """An e-book with the HTML of each chapter by the name of its file, in reading order."""
    items = "".join(f'<item id="c{n}" href="{name}"/>' for n, name in enumerate(chapters))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": (
                '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
                '<rootfile full-path="book/book.opf"/></rootfiles></container>'
            ),
            "book/book.opf": (
                f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
                f"<spine>{spine}</spine></package>"
            ),
            **{f"book/{name.replace('%20', ' ')}": text for name, text in chapters.items()},
            **(more or {}),
        }
    )
