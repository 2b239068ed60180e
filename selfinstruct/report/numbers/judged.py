"""The numbers of a judgement of open answers: how often each rating was given, and who won."""

from __future__ import annotations

from typing import Any


def judged(found: Any) -> dict[str, Any] | None:
    """The numbers; None if nothing was judged."""
    return None
