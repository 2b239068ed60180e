"""The pages of docs/: their tables, and their commands as scripts."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from children import program

DOCS = Path(__file__).resolve().parents[1] / "docs"

Row = list[str]


def tables(page: str) -> dict[str, list[Row]]:
    """The rows of the first table under each heading."""
    found = {}
    for section in re.split(r"^## ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        rows = [line.strip("|") for line in section.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows[2:]]
        found[section.splitlines()[0]] = [[cell.replace(r"\|", "|") for cell in row] for row in cells]
    return found


PAPER_TABLES = tables("from-the-paper.md")
NOT_RESTORED = "Where it differs, and why"  # which tests/parse/test_original.py asserts
HOSTED = f"model=scripted model.mode=chat model.options.replies={Path(__file__).parent / 'replies/en.jsonl'}"
shell = pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are for a shell")
# The script for hosted models has fourteen instructions, fewer than some pages ask for: it misses targets.
TYPED = """
selfinstruct() {
  local status=0
  case $1 in finetune|evaluate) (printf '%q ' "$@"; echo) >> typed.txt; return;; esac  # a test reads them
  case $1 in verify|show|report|review|export|push|merge) $PROGRAM "$@"; return;; esac  # they take no keys
  $PROGRAM "$@" $EXTRA || status=$?
  if [[ $status = 4 && $EXTRA = *replies/en.jsonl ]]; then status=0; fi
  return $status
}"""


def script(page: str, local: str, fresh: bool = False) -> str:
    """The commands of a page as one script that ends at the first that fails.

    Args:
        page: the page.
        local: overrides for commands that ask the embedded model. Those after the heading about a hosted
            model get a scripted one, as that page says.
        fresh: whether each command is a fresh interpreter, as `children` explains.
    """
    parts = ["set -eu", f"PROGRAM='{program(fresh)}'", TYPED, f"EXTRA='{local}'"]
    for section in re.split(r"^(?=## )", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE):
        if "hosted" in section.splitlines()[0]:
            parts.append(f"EXTRA='{HOSTED}'")
        for language, text in re.findall(r"^```(sh|python)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            if language == "sh":
                parts.append(text)
            else:
                text = re.sub(r'run\("(\w+)"\)', rf'run("\1", "{local}".split())', text)
                parts.append(f"\"{sys.executable}\" - <<'PYTHON'\n{text}\nPYTHON")
    return "\n".join(parts)
