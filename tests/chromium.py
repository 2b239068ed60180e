"""A real browser for tests of pages: Debian's Chromium, or the one that Playwright has installed.

A test that takes `browser` is skipped, with the reason, where Playwright or a browser is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, open for as long as the block."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with api.sync_playwright() as playwright:
        path = found or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("needs Chromium: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and what went wrong in it.

    Attributes:
        page: the page.
        asked: the addresses that it asked for, without its own.
        wrong: its errors and warnings on the console.
    """

    def __init__(self, browser: Any, file: Path, **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.asked: list[str] = []
        self.wrong: list[str] = []
        own = file.as_uri()
        self.page.on("request", lambda one: self._asks(one.url, own))
        self.page.on("console", lambda one: self._says(one.type, one.text))
        self.page.on("pageerror", lambda error: self._says("error", str(error)))
        self.page.goto(own)

    def _asks(self, address: str, own: str) -> None:
        if address.split("#")[0] != own:
            self.asked.append(address)

    def _says(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(text)

    def drawn(self) -> list[str]:
        """Scroll to every figure; the names of those that are drawn."""
        names = []
        for figure in self.page.query_selector_all("[data-figure]"):
            figure.scroll_into_view_if_needed()
            self.page.wait_for_function("one => one.dataset.drawn", arg=figure, timeout=60_000)
            assert figure.get_attribute("data-drawn") == "yes", figure.inner_text()
            names.append(figure.get_attribute("data-figure"))
        return names
