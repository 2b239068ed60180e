"""Numbers, sizes and times as words of the lines that people read."""

from __future__ import annotations

import time


def requests(count: int) -> str:
    """A number of requests."""
    return "1 request" if count == 1 else f"{count:,} requests"


def size(count: int) -> str:
    """A number of bytes."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{max(1, count // 1000)} kB"


def span(seconds: float) -> str:
    """A time."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def since(moment: float) -> str:
    """The time since a moment, which is given in seconds since 1970."""
    return span(max(0.0, time.time() - moment))


def clock(moment: float) -> str:
    """A moment, which is given in seconds since 1970, in local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
