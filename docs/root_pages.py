"""A hook of MkDocs that makes pages of the site from the Markdown files in the repository's root.

README.md becomes the first page. In the repository these files are above docs/. In the site all pages are
side by side, so the links between the two are shortened.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> None:
    """Add the files of the root to those of docs/."""
    for name in NAMES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Shorten the links that lead from the root into docs/, and from docs/ to the root."""
    if page.file.src_uri in NAMES:
        return markdown.replace("](docs/", "](")
    return re.sub(rf"\]\(\.\./({'|'.join(map(re.escape, NAMES))})", r"](\1", markdown)
