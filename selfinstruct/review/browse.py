"""What the page shows of the run beside the sample: records by filter and words, and one record's story."""
from __future__ import annotations
from collections.abc import Mapping
from pathlib import Path
from typing import Any

def browse(path: Path, query: Mapping[str, str]) -> dict[str, Any]:
    return {}
def told(path: Path, query: Mapping[str, str]) -> dict[str, Any]:
    return {}
