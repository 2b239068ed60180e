"""What a stranger wrote is shown and never acted on: by a terminal, or by rich as its markup.

Escape sequences, control characters and bidi overrides in names, values, headlines, seeds, and in what a
model or a server says; through the command line, with real files and a server on this machine.
"""

from __future__ import annotations

import json
import os
import pty
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Typed, lines
from results import on_a_terminal
from server import Answer, Asked, ModelServer, status, text
from tiny_recipe import TINY, write_tiny

from selfinstruct.journal.stage_stats import StageStats
from selfinstruct.monitor.progress import Progress
from selfinstruct.monitor.terminal import safe, visible

# What a terminal would do with it, and how it is shown.
ACTS = {
    "a colour": ("\x1b[31mred", "\\x1b[31mred"),
    "the clipboard": ("\x1b]52;c;cm0gLXJm\x07", "\\x1b]52;c;cm0gLXJm\\x07"),
    "a link": ("\x1b]8;;http://evil.example\x1b\\x", "\\x1b]8;;http://evil.example\\x1b\\x"),
    "CSI in one character": ("\x9b31mred", "\\x9b31mred"),
    "OSC in one character": ("\x9d52;c;x\x9c", "\\x9d52;c;x\\x9c"),
    "back over what was written": ("safe\b\b\b\bevil", "safe\\x08\\x08\\x08\\x08evil"),
    "back to the line's begin": ("safe\revil", "safe\\x0devil"),
    "a bell and a delete": ("\x07\x7f", "\\x07\\x7f"),
    "other alphabets": ("\x0e\x0f\x00", "\\x0e\\x0f\\x00"),
    "a new page": ("\x0b\x0c\x85\u2028", "\\x0b\\x0c\\x85\\u2028"),
    "the direction of writing": ("\u202egnp.exe\u202c\u2066x\u2069", "\\u202egnp.exe\\u202c\\u2066x\\u2069"),
    "what nobody sees": ("a\U000e0041\ufeffb", "a\\U000e0041\\ufeffb"),
    "half a character": ("\ud83d", "\\ud83d"),
}
EVIL = "".join(before for before, _ in ACTS.values() if "\ud83d" not in before)
ACTING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
MARKUP = "[bold]loud[/bold] [link=http://evil.example]here[/link] [/] :smile:"


@pytest.fixture
def tiny(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with the recipe `tiny` of `tiny_recipe` in it."""
    monkeypatch.setenv("TINY_KEY", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", 0.05)
    write_tiny(project)
    return project


def shown(told: tuple[int, str, str], *words: str) -> str:
    """What was printed, in which nothing acts and these words are."""
    printed = told[1] + told[2]
    assert "Traceback" not in printed
    assert not ACTING.search(printed), ACTING.findall(printed)
    for word in words:
        assert word in printed
    return printed


@pytest.mark.parametrize("name", ACTS)
def test_what_a_terminal_would_do_is_written_out(name: str) -> None:
    """Each kind; lines, tabs and the letters of all languages stay as they are."""
    before, after = ACTS[name]
    assert visible(before) == safe(before) == after
    usual = "Zeilen\n\tund Größe, 日本語, עברית, العربية \u200f, फ़ारसी\u200c, 👩\u200d🚀"
    assert visible(usual) == usual


def test_names_and_headlines(typed: Typed, tiny: Path) -> None:
    """Of recipes and of files of conf, in the lists and where something is not known."""
    (tiny / "recipes/ev\x1b[31mil\u202e.yaml").write_text(f"# {EVIL}, a headline\ntarget: 5\n")
    (tiny / "conf/model/m\x9b2Jx.yaml").write_text("# A model \x1b]52;c;eA==\x07.\n", encoding="utf-8")
    shown(typed("--help"), "ev\\x1b[31mil\\u202e", "\\x1b[31mred", "\\x1b]52;c;eA==\\x07")
    (tiny / "conf/model/m\x9b2Jx.yaml").unlink()
    shown(typed("check", "recipe=nothing"), "ev\\x1b[31mil\\u202e")
    shown(typed("check", "recipe=ev\x1b[31mil"), "\\x1b[31m")
    shown(typed("e\x1b[31m"), "\\x1b[31m")
    shown(typed("check", "--list", "\x1b[31m"), "\\x1b[31m")
    shown(typed("new", "\x1b[31m"), "\\x1b[31m")
    shown(typed("new", "x", "--from", "\x1b[31m"), "\\x1b[31m")
    shown(typed("recipe=tiny", "\x1b[31m=5"), "\\x1b[31m")
    shown(typed("recipe=tiny", "--\x1b[31m"), "\\x1b[31m")


def test_values_of_a_recipe(typed: Typed, tiny: Path) -> None:
    """In the plan, in faults and in notes, and of seeds."""
    usual = EVIL.replace("\U000e0041", "")  # which YAML writes otherwise than JSON
    evil, name = json.dumps(MARKUP + usual), json.dumps(f"openai/{usual}")
    recipe, plain = tiny / "recipes/mine.yaml", TINY["recipes/tiny.yaml"]
    recipe.write_text(f"{plain}model: {{name: {name}}}\nrun_dir: {evil}\n")
    shown(typed("check", "recipe=mine"), "\\x1b[31mred", "[bold]loud[/bold]")
    recipe.write_text(f"{plain}filters: {{ideas: {{{evil}: {{kind: {evil}}}}}}}\npipeline: {{{evil}: 5}}\n")
    shown(typed("check", "recipe=mine"), "\\x1b[31mred", "\\u202e")
    rows = [{"instruction": EVIL + " again", EVIL: 1}, {"instruction": EVIL + " again", EVIL: 1}]
    (tiny / "seeds/tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown(typed("check", "recipe=tiny"))


def test_what_a_model_and_a_server_say(typed: Typed, tiny: Path) -> None:
    """In lines of progress, sample records and the table; files keep it, as JSON writes it."""

    def script(asked: Asked) -> Answer:
        if asked.number == 1:
            return status(500, f"sorry {EVIL}")
        return text(f"1. Idea {asked.number}: {EVIL} {MARKUP}")

    with ModelServer(script) as server:
        command = ["recipe=tiny", f"model.api_base={server.base}", "model.retries=3", "target=3"]
        printed = shown(typed(*command, "run_dir=run"), "sorry \\x1b[31mred", "\\u202egnp.exe", "sample 3")
        assert printed.count("[link=http://evil.example]here[/link] [/] :smile:") == 3
        rows = lines(tiny / "run/ideas.jsonl")
        assert {"\x1b[31mred" in row["instruction"] for row in rows} == {True}
        on_screen = on_a_terminal(tiny, *command, "run_dir=seen", "model.concurrency=1")
    assert "━" in on_screen, "rich's own bars and colours"
    assert "\x1b[1m" in on_screen
    for own in ("\x1b[31mred", "\x1b]", "\x07", "\x9b", "\b", "\u202e", "\x7f"):
        assert own not in on_screen
    assert "\\x1b[31mred" in on_screen
    assert "loud[/bold]" in on_screen


def test_the_table_of_a_sweep(typed: Typed, tiny: Path) -> None:
    """A value with markup and escapes is a cell as it was typed."""
    values = [f'"a\x1b[31m[bold]{n}[/bold][/]"' for n in (1, 2)]
    with ModelServer(lambda asked: text(f"1. Idea {asked.number}")) as server:
        told = typed(
            *("-m", "recipe=tiny", "target=1", "sweep_dir=s", f"model.api_base={server.base}"),
            f"prompts.ideas.system={','.join(values)}",
        )
    assert told[0] == 0, told
    shown(told, "sweep of 2 jobs", "a\\x1b[31m[bold]1[/bold][/]", "a\\x1b[31m[bold]2[/bold][/]")


def test_what_others_print_beside_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """While rich has a stream of its own in the place of standard error, which reads escapes and colours."""
    outside, inside = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("SOME_TOKEN", "a1b2c3d4e5f6")
    with open(inside, "w", encoding="utf-8") as stream:  # noqa: PTH123  a descriptor has no path
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress(stream).stage("\x1b[31mred[bold]", 3, StageStats(), None):
            print(f"printed {EVIL} a1b2c3d4e5f6", file=sys.stderr)
    seen = b""
    with suppress(OSError):  # all is read, and the other side is closed
        while part := os.read(outside, 65536):
            seen += part
    os.close(outside)
    on_screen = seen.decode()
    assert "━" in on_screen
    for own in ("\x1b[31mred", "\x1b]", "\x07", "\x9b", "\b", "\u202e", "\x7f", "a1b2c3d4e5f6"):
        assert own not in on_screen
    for words in ("printed \\x1b[31mred", "***", "\r\x1b[2K\\x1b[31mred[bold]"):
        assert words in on_screen.replace("\r\n", "")  # where a line was broken
