"""What people see: no secret, and no character that does something to a terminal instead of being shown.

Names, values of a recipe and what a model or a server said may hold escape sequences, which could hide a line
or write to the clipboard, and characters that turn the direction of writing. They are shown as `\\x1b`,
whether or not anybody looks at a terminal; files keep what they hold. `screened` puts this between us and the
standard streams. What rich draws goes past it, since rich's own colours are such sequences, so `console`
makes each text safe before rich has it.
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

# Control characters but line breaks and tabs, what turns the direction of writing, line breaks that only some
# programs know, marks that nobody sees, and halves of characters, which no stream takes.
_ACTING = re.compile(
    "[\\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with what a terminal would act on written out."""
    return _ACTING.sub(_escape, text)


def safe(text: str) -> str:
    """A text as people may see it."""
    return visible(without_passwords(blotted(text)))


def console(stream: TextIO, **options: Any) -> Console:
    """A rich console on a stream that makes every text safe, and reads none as rich's markup."""
    from rich.console import Console

    class SafeConsole(Console):
        def render_str(self, text: str, **options: Any) -> Any:  # all texts pass here, those of tables too
            return super().render_str(safe(text), **{**options, "markup": False, "emoji": False})

    return SafeConsole(file=stream.below if isinstance(stream, Screen) else stream, **options)


class Screen:
    """A stream that makes safe what is written to it.

    Args:
        below: the stream to which that goes.
    """

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        """Write a text, safe; returns the length of what was given."""
        self.below.write(safe(text))
        return len(text)

    def writelines(self, texts: Any) -> None:
        """Write texts, safe."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


@contextmanager
def screened() -> Iterator[None]:
    """Make safe what goes to the standard streams, until the end of the block."""
    before = sys.stdout, sys.stderr
    screen()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def screen() -> None:
    """Make safe what goes to the standard streams from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Screen):
            setattr(sys, name, cast(TextIO, Screen(stream)))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
