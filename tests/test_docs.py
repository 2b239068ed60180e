"""The pages in docs/: their commands run, their figures are those of the code, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfinstruct import reference, replies

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


# The reference


def test_the_reference_is_what_the_code_says() -> None:
    """A key, an option or a docstring has changed since; the message says how to renew the page."""
    stale = (DOCS / "reference.md").read_text(encoding="utf-8") != reference.page()
    assert not stale, f"docs/reference.md is stale; renew it: {reference.RENEW}"


def test_the_reference_says_what_each_key_is() -> None:
    """No key and no option is without words; those of an option are its Args in the factory's docstring."""
    page = reference.page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []
    heads = [line for line in page.splitlines() if line.startswith(("| key |", "| option |"))]
    assert [head for head in heads if "what it is" not in head] == [], "such a column is left out where empty"


def test_the_reference_knows_every_check_of_a_reply() -> None:
    """A check that is added to `replies` gets a line in the reference."""
    assert set(replies.CHECKS) <= set(reference.reply_checks())


# All pages


@pytest.mark.parametrize("page", [*PAGES, DOCS.parent / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to another page or to a heading finds it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        other = page.parent / name if name else page
        assert other.exists(), target
        if heading:
            found = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in found}, target
