"""Makes printed text safe: without secrets, and with control characters shown as escapes.

Names, values of a recipe and texts of a model or a server may have escape sequences in them, which could hide
a line or write to the clipboard, and characters that reverse the direction of writing. They are printed as
`\\x1b`, on a terminal and elsewhere; files keep them as they are. `screened` does this for the standard
streams. It does not cover rich's own output, since its colours are such sequences; so `console` makes each
text safe before rich gets it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from selfinstruct.safety.blot import blotted, without_passwords

if TYPE_CHECKING:
    from rich.console import Console

# Control characters except line breaks and tabs; characters that reverse the direction of writing; line
# breaks that only some programs know; invisible marks; and unpaired surrogates, which no stream accepts.
ACTING = re.compile(
    "[\\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with escapes in place of the characters that a terminal would act on."""
    return ACTING.sub(_escape, text)


def safe(text: str) -> str:
    """The text without secrets and control characters, fit to be printed."""
    return visible(without_passwords(blotted(text)))


def console(stream: TextIO, **options: Any) -> Console:
    """A rich console that makes every text safe, and does not read rich's markup in it."""
    from rich.console import Console

    class SafeConsole(Console):
        def render_str(self, text: str, **options: Any) -> Any:  # all texts, also of tables, go through here
            return super().render_str(safe(text), **{**options, "markup": False, "emoji": False})

    return SafeConsole(file=stream.below if isinstance(stream, Screen) else stream, **options)


class Screen:
    """A stream that makes all written text safe.

    Args:
        below: the stream that gets the safe text.
    """

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        """Write a text, made safe; return the length of the original."""
        self.below.write(safe(text))
        return len(text)

    def writelines(self, texts: Any) -> None:
        """Write texts, made safe."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


@contextmanager
def screened() -> Iterator[None]:
    """Make all text on the standard streams safe, until the end of the block."""
    before = sys.stdout, sys.stderr
    screen()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def screen() -> None:
    """Make all text on the standard streams safe from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Screen):
            setattr(sys, name, cast(TextIO, Screen(stream)))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
