"""Documents of the user's own: which are read, how they are cut, what is said of those that cannot be."""

from __future__ import annotations

import json
import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import Typed, lines
from results import refused

from selfinstruct.plan.estimate import estimate
from selfinstruct.project.layout import packaged
from selfinstruct.recipe.compose import compose

pytest.importorskip("semantic_text_splitter")
pytest.importorskip("markdownify")

MINE = ("recipe=grounded", "model=scripted", "model.mode=chat", "pipeline.passages.path=mine")
KEEP = "~filters.passages.word_count"  # the documents here are short


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write files below a folder, by their names."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def passages(typed: Typed, *overrides: str) -> list[dict[str, Any]]:
    """The passages that a run reads, in the order of the documents."""
    shuffle = "pipeline.passages.shuffle=false"
    status, out, err = typed(*MINE, KEEP, shuffle, "target=1000", "run_dir=run", "fresh=true", *overrides)
    assert status == 0, out + err
    return lines(Path("run/passages.jsonl"))


def places(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Where passages are."""
    return [(row["document"], row["section"], row["place"]) for row in rows]


GUIDE = """\
# Bees

## Hives

They live in hives.

## Winter

They keep warm in a cluster.

```sh
# not a heading
```

## Summer

They swarm in June.
"""


PAGE = """\
<html><head><title>Page</title></head><body><nav>Menu</nav>
<h1>Ants</h1><p>They <b>dig</b> <a href="http://a.example">here</a>.</p><script>no()</script></body></html>
"""


def test_a_passage_has_its_place(typed: Typed, project: Path) -> None:
    """Document, headings and lines or characters, with which a reader finds it; sorted by document."""
    write(
        project / "mine",
        {
            "guide.md": GUIDE,
            "b/notes.txt": "One line.\n\nAnother one,\nover two.\n",
            "page.html": PAGE,
            "z.jsonl": '{"text": "The first."}\n\n{"text": "The third is longer. It makes two passages."}\n',
        },
    )
    rows = passages(typed, "pipeline.passages.size=40")
    assert places(rows) == [
        ("b/notes.txt", "", "lines 1-4"),
        ("guide.md", "Bees > Hives", "lines 1-5"),
        ("guide.md", "Bees > Winter", "lines 7-9"),
        ("guide.md", "Bees > Winter", "lines 11-13"),
        ("guide.md", "Bees > Summer", "lines 15-17"),
        ("page.html", "Ants", "characters 1-26 of its text"),
        ("z.jsonl", "", "line 1"),
        ("z.jsonl", "", "line 3, characters 1-20"),
        ("z.jsonl", "", "line 3, characters 22-43"),
    ]
    assert rows[5]["passage"] == "# Ants\n\nThey **dig** here."
    text = (project / "mine/guide.md").read_text().splitlines()
    for row in rows[1:5]:
        first, last = map(int, re.findall(r"\d+", row["place"]))
        assert "\n".join(text[first - 1 : last]) == row["passage"]


@pytest.mark.parametrize(
    "text",
    ["蜂は巣に住む。冬は固まって暖を取る。六月に分封する。", "蜜蜂住在蜂箱里。冬天抱成一团取暖。六月分蜂。"],
)
def test_scripts_without_spaces_are_cut_at_sentences(typed: Typed, project: Path, text: str) -> None:
    """And the place counts characters, not bytes."""
    write(project / "mine", {"a.jsonl": json.dumps({"text": text})})
    rows = passages(typed, "pipeline.passages.size=20")
    assert "".join(row["passage"] for row in rows) == text
    assert all(row["passage"].endswith("。") for row in rows)
    assert rows[-1]["place"].endswith(f"-{len(text)}")


def test_overlap(typed: Typed, project: Path) -> None:
    """A passage begins with the end of the one before it."""
    write(project / "mine", {"a.txt": " ".join(f"Sentence {number}." for number in range(20))})
    rows = passages(typed, "pipeline.passages.size=60", "pipeline.passages.overlap=20")
    assert len(rows) > 3
    for before, after in pairwise(rows):
        assert after["passage"].split(". ")[0] in before["passage"]


def test_which_files_are_read(typed: Typed, project: Path) -> None:
    """Known suffixes whatever their case, byte order marks and line ends; hidden files are left out."""
    write(
        project / "mine",
        {
            "A.TXT": b"\xef\xbb\xbfFirst line.\r\nSecond line.\r\n",
            "b.rst": "A title\n=======\n",
            "/_hidden.md": "Hidden.",
        },
    )
    (project / "mine/.secret").mkdir()
    write(project / "mine/.secret", {"c.md": "Hidden too."})
    assert places(passages(typed)) == [("A.TXT", "", "lines 1-2")]
    assert "are passed over: 1 .rst" in typed("check", *MINE)[1]
    assert len(passages(typed, "+pipeline.passages.formats.rst=text")) == 2


@pytest.mark.parametrize(("path", "names"), [("mine/a.md", ["a.md"]), ("mine/**/*.md", ["a.md", "b/c.md"])])
def test_a_file_or_a_pattern(typed: Typed, project: Path, path: str, names: list[str]) -> None:
    """A name is that in the folder that the path names without doubt."""
    write(project / "mine", {"a.md": "One.", "b/c.md": "Two.", "d.txt": "Three."})
    rows = passages(typed, f"pipeline.passages.path={path}")
    assert [row["document"] for row in rows] == names


def test_a_small_target_sees_all_documents_and_grows(typed: Typed, project: Path) -> None:
    """Passages are drawn by the seed; those of a smaller target are the first of a larger one."""
    for number in range(4):
        text = "\n\n".join(f"Paragraph {place} of document {number}, long enough." for place in range(8))
        write(project / "mine", {f"d{number}.txt": text})
    overrides = (KEEP, "pipeline.passages.size=50", "run_dir=run")
    status, _, err = typed(*MINE, *overrides, "target=8")
    assert status == 0
    assert "passages: 24 of 32 passages are left; a larger target takes more" in err
    few = lines(project / "run/passages.jsonl")
    assert len({row["document"] for row in few}) > 1
    assert typed(*MINE, *overrides, "target=12")[0] == 0
    more = lines(project / "run/passages.jsonl")
    assert more[:8] == few
    assert len(more) == 12
    assert typed(*MINE, *overrides[:-1], "target=12", "run_dir=whole")[0] == 0
    for name in ("passages", "instructions", "instances"):
        assert lines(project / f"run/{name}.jsonl") == lines(project / f"whole/{name}.jsonl")


def test_a_changed_document_is_no_part_of_an_old_run(typed: Typed, project: Path) -> None:
    """The run is not gone on with, and the message says what differs; the folder itself may move."""
    write(project / "mine", {"a.txt": "They live in hives."})
    passages(typed)
    (project / "mine").rename(project / "moved")
    path, shuffle = "pipeline.passages.path=moved", "pipeline.passages.shuffle=false"
    again = (*MINE[:-1], path, shuffle, KEEP, "run_dir=run", "target=1000")
    assert typed(*again)[0] == 0
    write(project / "moved", {"a.txt": "They live in trees."})
    refused(typed(*again), "pipeline.passages (contents)")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["pipeline.passages.path: there is no file or folder mine", "set pipeline.passages.path=…"]),
        ({"a.odt": "x"}, ["no file of mine is of a known kind (.txt, .md,", "formats.SUFFIX=text"]),
        (
            {"a.txt": "Grüße".encode("latin-1")},
            ["a.txt: is not UTF-8 at byte 2 (line 1", "save it as UTF-8"],
        ),
        ({"a.md": "Hallo".encode("utf-16")}, ["a.md: is not UTF-8 but UTF-16"]),
        ({"a.txt": " \n", "b.md": ""}, ["there is no text in the documents of mine"]),
        ({"a.txt": "x" * 2_000_001}, ["a.txt: has 2 MB, more than 1", "largest_mb"]),
        ({"a.jsonl": '{"text": "One."}\nno\n'}, ["a.jsonl line 2: is not valid JSON"]),
        ({"a.jsonl": '{"body": "One."}\n'}, ["a.jsonl line 1: has no text under 'text'", "field=…"]),
        ({"a.jsonl": '["One."]\n'}, ["a.jsonl line 1: is not a JSON object"]),
        ({"a.jsonl": '{"text": "half \\ud83d"}\n'}, ["a.jsonl line 1: holds half of a character"]),
        ({"a.html": "<div>" * 20_000 + "x"}, ["a.html: its elements are nested too deeply"]),
    ],
)
def test_documents_that_cannot_be_used(
    typed: Typed, project: Path, files: dict[str, str | bytes], words: list[str]
) -> None:
    """File, place and remedy, before anything is asked; for `check` and for `run`."""
    write(project / "mine", files)
    for verb in ("check", "run"):
        refused(typed(verb, *MINE, "pipeline.passages.largest_mb=1"), *words)
    assert not (project / "runs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links(typed: Typed, project: Path) -> None:
    """A link to a folder, which may loop, is told and not followed; one that leads nowhere is a fault."""
    write(project / "mine", {"a.md": "One."})
    (project / "mine/loop").symlink_to(project / "mine", target_is_directory=True)
    (project / "mine/also.md").symlink_to(project / "mine/a.md")
    status, out, _ = typed("check", *MINE)
    assert status == 0
    assert "takes all 2 passages of 2 documents in mine" in out
    assert "note: mine: loop: a link to a folder, which is not followed" in out
    (project / "mine/b.md").symlink_to("b.md")
    (project / "mine/c.md").symlink_to("none.md")
    refused(typed("check", *MINE), "b.md: cannot be read:", "c.md: cannot be read: No such file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(typed: Typed, project: Path) -> None:
    """It is named."""
    write(project / "mine", {"a.md": "One."})
    (project / "mine/a.md").chmod(0)
    refused(typed("check", *MINE), "a.md: cannot be read: Permission denied")


def test_an_empty_document_is_told(typed: Typed, project: Path) -> None:
    """It is no fault, as there is text in others."""
    write(project / "mine", {"a.md": "One.", "b.md": "\n"})
    assert "note: mine: b.md: no text in it" in typed("check", *MINE)[1]


def test_without_the_extra(typed: Typed, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setattr("selfinstruct.stages.documents.find_spec", lambda name: None)
    refused(typed("check", *MINE), "documents needs the package", "pip install 'selfinstruct[documents]'")


def test_options_that_cannot_be(typed: Typed, project: Path) -> None:
    """An overlap as large as a passage, and a format that does not exist."""
    refused(typed("check", *MINE, "pipeline.passages.overlap=1000"), "is not less than size (1000)")
    refused(typed("check", *MINE, "+pipeline.passages.formats.rst=rest"), "formats.rst", "'text', 'markdown'")


# The recipe


@pytest.mark.parametrize("language", ["en", "de", "ja", "zh"])
def test_the_recipe_in_each_language(typed: Typed, project: Path, language: str) -> None:
    """Passage and place go into each record, and each export has the passage as its input."""
    names = "" if language == "en" else f"_{language}"
    overrides = [f"prompts=grounded_{language}", f"filters=grounded_{language}", f"seeds=general_{language}"]
    words = ("recipe=grounded", "model=scripted", "model.mode=chat", f"export=all{names}", "run_dir=run")
    status, out, err = typed(*words, *overrides)
    assert status == 0, out + err
    rows = lines(project / "run/instances.jsonl")
    assert len({row["document"] for row in rows}) == 4
    assert all(row["place"] and row["passage"] and 0.5 <= row["within_passage"] <= 1 for row in rows)
    given = {row["instruction"]: row["passage"] for row in rows}
    for row in lines(project / "run/dataset/alpaca.jsonl"):
        assert row["input"] == given[row["instruction"]]
    for name in ("chat", "sharegpt", "prompt_completion"):
        for line in (project / f"run/dataset/{name}.jsonl").read_text(encoding="utf-8").splitlines():
            said = json.dumps(json.loads(line), ensure_ascii=False)
            assert any(json.dumps(text, ensure_ascii=False)[1:40] in said for text in given.values())


def test_its_header_names_the_command_that_gives_the_cost(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    """The header has no dollar figure, because prices change; `check` has one for each stage that asks."""
    header = (packaged() / "recipes/grounded.yaml").read_text(encoding="utf-8").split("defaults:")[0]
    assert "#   selfinstruct check recipe=grounded " in header
    assert not re.search(r"\$\d", header)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    status, out, err = typed("check", "recipe=grounded")
    assert status == 0, err
    for stage in ("instructions", "instances", "together"):
        assert re.search(rf"^ +{stage} .*\$\d", out, re.MULTILINE)


def test_the_plan_counts_real_passages(typed: Typed, project: Path) -> None:
    """A prompt is as long as its passage, also in the stage after the next."""
    write(project / "mine", {"short.txt": "They live in hives."})
    short = estimate(compose(MINE, project).recipe(), project / "none")
    write(project / "mine", {"short.txt": "They live in hives. " * 40})
    long = estimate(compose(MINE, project).recipe(), project / "none")
    for one, other in zip(short.stages, long.stages, strict=True):
        assert other.prompt_tokens.expected - one.prompt_tokens.expected > 100
