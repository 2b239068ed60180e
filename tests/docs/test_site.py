"""The docs as a site: it builds without a warning, loads nothing from elsewhere, and finds dead links."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("material", reason="needs the extra docs")

ROOT = Path(__file__).resolve().parents[2]
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does, into a folder of the test's."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this repository."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    """Those of docs/, and README.md as the first, CONTRIBUTING.md and CHANGELOG.md; no file of Python."""
    pages = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    mine = {"index.html", "CONTRIBUTING.html", "CHANGELOG.html", "404.html"}
    assert {path.name for path in site.glob("*.html")} == pages | mine
    assert "Instruction datasets from a handful of seed tasks" in (site / "index.html").read_text("utf-8")
    assert list(site.rglob("*.py")) == []


def test_search_finds_keys_functions_and_headings(site: Path) -> None:
    """Its index has the entries of the reference, the docstrings of the Python interface, and the README."""
    rows = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))["docs"]
    found = {row["location"]: row["text"] for row in rows}
    assert "ROUGE-L" in found["reference.html#rouge_l"]
    assert "show no progress" in found["python.html#selfinstruct.run"]
    assert "On a model of your own" in [row["title"] for row in rows]


class Loaded(HTMLParser):
    """Gathers the addresses that a browser loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See what a tag loads."""
        self.addresses += [value or "" for name, value in attrs if name == LOADS.get(tag)]


def loaded(site: Path) -> Iterator[str]:
    """Every address that a page or a style sheet of the site loads."""
    for page in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        yield from parser.addresses
    for sheet in site.rglob("*.css"):
        yield from re.findall(r"url\(['\"]?([^'\")]+)", sheet.read_text(encoding="utf-8"))


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """Neither fonts nor scripts nor pictures: the site can be read without a network."""
    addresses = set(loaded(site))
    assert any(address.endswith(".css") for address in addresses)
    assert [one for one in addresses if re.match(r"(\w+:)?//", one)] == []


def test_what_is_dead_stops_the_build(tmp_path: Path) -> None:
    """A link without its page, an anchor without its heading, and a page that no one is led to."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# Title\n\n[a](gone.md) [b](#gone) [c](/lost.md)\n", encoding="utf-8")
    (docs / "alone.md").write_text("# Alone\n", encoding="utf-8")
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\nnav: [index.md]\nhooks: []\nplugins: []\nwatch: []\n",
        encoding="utf-8",
    )
    done = build(config, tmp_path / "site")
    assert done.returncode != 0
    for dead in ("gone.md", "#gone", "/lost.md", "alone.md"):
        assert dead in done.stderr
