"""`selfinstruct report RUN` and the page that it writes, in a real browser.

One run of recipe `chat` is shared by the file. Its scripted model wrote what a hostile one might: HTML, a
terminal's escape sequences, marks that turn the direction of writing, and a text of a million characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from chromium import Watched, chromium
from conftest import lines
from results import refused

from selfinstruct.cli.main import command
from selfinstruct.report.page import vega
from selfinstruct.report.page.theme import CELL_INK, CELLS, COLOURS, SERIES

GOOD = Path(__file__).parents[1] / "replies/en.jsonl"
SCRIPT = "Explain <script>window.ran = 1; document.title = 'ran'</script> to a child in a few words."
CLOSING = 'Say what </script><img src=x onerror="window.ran = 2"> does on a page of yours.'
ESCAPES = "Name three things that are \x1b[31mred\x1b[0m\x07 in the kitchen."
TURNED = "Find out why the file \u202egnp.exe is not a picture of the harbour."
JOINED = "می\u200cخواهم 👩\u200d🔬 Donau\u00addampf"  # the marks in it are part of the writing
LONG = ("harbour " * 125_000).strip() + "."
LIKE = "Explain <script>window.ran = 3</script> to a child in a few words, please."
CHAT = (
    *("recipe=chat", "model=scripted", "model.mode=chat", "model.options.replies=mine.jsonl", "cache=off"),
    *("+filters.instructions.near={kind: rouge_l, field: instruction, threshold: 0.7}", "target=8"),
)
Typed = tuple[int, str, str]


def script(project: Path) -> None:
    """Write the script: the hostile tasks first, then those that answer recipe `chat` well."""
    tasks = [SCRIPT, CLOSING, ESCAPES, TURNED, LIKE]
    reply = "\n".join(json.dumps({"instruction": task}) for task in tasks)
    first = [
        {"stage": "instructions", "number": 1, "reply": reply},
        {"stage": "instances", "match": "to a child", "reply": _instance("", LONG)},
        {"stage": "instances", "match": "onerror", "reply": _instance(f"<b>bold</b> {JOINED}", CLOSING)},
    ]
    last = [
        {"stage": "classification", "reply": '{"is_classification": false}'},
        {"stage": "instances", "reply": _instance("", "An answer as good as any.")},
    ]
    before, after = ("".join(json.dumps(line) + "\n" for line in some) for some in (first, last))
    text = before + GOOD.read_text(encoding="utf-8") + after
    (project / "mine.jsonl").write_text(text, encoding="utf-8")


def _instance(input: str, output: str) -> str:
    return json.dumps({"instances": [{"input": input, "output": output}]})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's folder with the run `run`, which wrote its report itself; what it printed is in said.txt."""
    project = tmp_path_factory.mktemp("report")
    script(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("XDG_CACHE_HOME", str(project / ".cache"))
        patch.delenv("SELFINSTRUCT_REPORT")
        with (project / "said.txt").open("w", encoding="utf-8") as said, redirect_stdout(said):
            assert command([*CHAT, "run_dir=run"]) == 0
        yield project


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the file."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Any, home: Path) -> Watched:
    """The report on a desk, with all its figures drawn."""
    watched = Watched(browser, home / "run/report.html", viewport={"width": 1280, "height": 900})
    watched.page.wait_for_selector("[data-table=rejected][data-ready]")
    watched.drawn()
    return watched


def typed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Typed:
    """Type a command: exit status, standard output, standard error."""
    capsys.readouterr()
    status = command(list(arguments))
    return status, *capsys.readouterr()


# At the end of a run


def test_a_run_ends_with_its_report(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line names it; the folder stays whole, and the numbers have no texts of records."""
    assert (home / "said.txt").read_text(encoding="utf-8").splitlines()[-1] == "report: run/report.html"
    status, out, _ = typed(capsys, "verify", "run")
    assert status == 0, out
    assert "report.html" not in out
    numbers = json.loads((home / "run/stats.json").read_text(encoding="utf-8"))
    assert numbers["sizes"]["instances"] == len(lines(home / "run/instances.jsonl"))
    assert not {"records", "rejected"} & set(numbers)


@pytest.mark.parametrize("how", ["report=off", "environment"])
def test_it_can_be_turned_off(
    home: Path, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the recipe or by the environment; the run says nothing of a report then."""
    overrides = [how] if "=" in how else []
    if not overrides:
        monkeypatch.setenv("SELFINSTRUCT_REPORT", "off")
    status, out, err = typed(capsys, *CHAT, "run_dir=quiet", *overrides)
    assert status == 0, err
    assert not (home / "quiet/report.html").exists()
    assert "report" not in out
    assert typed(capsys, "report", "quiet")[0] == 0
    assert (home / "quiet/report.html").exists(), "the verb writes it all the same"
    (home / "quiet/report.html").unlink()


def test_a_report_that_fails_is_a_note(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run is finished, and says how to try again."""
    (home / "blocked/report.html").mkdir(parents=True)
    (home / "blocked").rename(home / "aside")
    assert typed(capsys, *CHAT, "run_dir=blocked")[0] == 0
    (home / "blocked/report.html").unlink()
    (home / "aside/report.html").rename(home / "blocked/report.html")
    status, out, err = typed(capsys, *CHAT, "run_dir=blocked")
    assert status == 0
    assert "note: there is no report" in err
    assert "selfinstruct report blocked" in err
    assert "report:" not in out.splitlines()[-1]
    assert not list((home / "blocked").glob(".*.part"))


def test_a_run_out_of_budget_says_so_on_top(
    home: Path, browser: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its report is on what there is."""
    status, out, _ = typed(capsys, *CHAT, "run_dir=poor", "budget.requests=2")
    assert status == 3
    assert "report: poor/report.html" in out
    page = Watched(browser, home / "poor/report.html").page
    assert "Not finished" in page.inner_text("header")
    assert "this is what it has so far" in page.inner_text("header")


# The page in a browser


def test_it_loads_nothing_and_has_no_fault(opened: Watched) -> None:
    """No request but for the file itself, no error and no warning; its policy allows nothing else."""
    assert opened.asked == []
    assert opened.wrong == []
    policy = opened.page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_texts_of_records_are_shown_and_never_run(opened: Watched) -> None:
    """A script, a closing tag with an image, escape sequences, and a mark that turns the writing."""
    assert opened.page.evaluate("window.ran") is None
    assert opened.page.title() == "chat: report of a run"
    assert opened.page.query_selector("img") is None
    shown = opened.page.inner_text("body")
    for text in (SCRIPT, CLOSING, "⟨U+001B⟩[31mred⟨U+001B⟩[0m⟨U+0007⟩", "⟨U+202E⟩gnp.exe"):
        assert text in shown
    assert JOINED in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_policy_stops_a_script_that_gets_into_the_page(opened: Watched) -> None:
    """Also one that is added later."""
    before = len(opened.wrong)
    ran = opened.page.evaluate(
        """() => { const one = document.createElement("script"); one.textContent = "window.late = 1";
        document.body.append(one); return window.late; }"""
    )
    assert ran is None
    assert "Content Security Policy" in opened.wrong[before]
    del opened.wrong[before:]


def test_every_figure_is_drawn_and_has_its_numbers(opened: Watched) -> None:
    """Each with a title, a sentence, a label for screen readers and a table."""
    figures = opened.page.query_selector_all("figure")
    assert len(figures) >= 8
    for figure in figures:
        assert figure.query_selector("svg"), figure.inner_text()
        assert len(figure.query_selector("figcaption p").inner_text()) > 20
        assert figure.query_selector("h3").inner_text() in str(
            figure.query_selector(".drawing").get_attribute("aria-label")
        ).replace("ROUGE-L", "ROUGE\N{NON-BREAKING HYPHEN}L")
        assert figure.query_selector_all("details tbody tr")


def test_light_and_dark_need_no_new_drawing(opened: Watched) -> None:
    """The figures' colours follow the page's."""
    looks = []
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        looks.append(
            opened.page.evaluate(
                """() => [getComputedStyle(document.body).backgroundColor,
                getComputedStyle(document.querySelector("figure .mark-rect path")).fill]"""
            )
        )
    opened.page.emulate_media(color_scheme="light")
    assert looks[0][0] != looks[1][0]
    assert looks[0][1] != looks[1][1]


def test_a_printed_page_is_light_and_has_no_tools(opened: Watched) -> None:
    """Whatever the screen has."""
    opened.page.emulate_media(color_scheme="dark", media="print")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not opened.page.is_visible("nav")
    assert not opened.page.is_visible("[data-table=rejected] input")
    opened.page.emulate_media(color_scheme="light", media="screen")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction(home: Path, browser: Any, scheme: str) -> None:
    """At 390 pixels nothing is wider than the screen."""
    watched = Watched(
        browser, home / "run/report.html", viewport={"width": 390, "height": 844}, color_scheme=scheme
    )
    watched.drawn()
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.wrong == []


def test_without_scripts_the_numbers_are_there(home: Path, browser: Any) -> None:
    """The figures' tables, and where the rows of the searchable ones are."""
    page = Watched(browser, home / "run/report.html", java_script_enabled=False).page
    assert page.query_selector_all("figure details tbody tr")
    assert "instances.jsonl" in page.inner_text("#records")
    assert "rejected.jsonl" in page.inner_text("#rejected")


# The tables


def column(page: Any, table: str, place: int) -> list[str]:
    """The texts of a column."""
    cells = page.query_selector_all(f"[data-table={table}] tbody tr > :nth-child({place})")
    return [cell.inner_text() for cell in cells]


def test_a_table_can_be_searched_and_filtered(opened: Watched) -> None:
    """All the words have to be in a row; a check can be chosen; the count says how many match."""
    page, table = opened.page, "[data-table=rejected]"
    page.fill(f"{table} input", "window.ran a CHILD")
    page.wait_for_function("() => document.querySelectorAll('[data-table=rejected] tbody tr').length === 1")
    assert "1 to 1 of 1 rejections" in page.inner_text(f"{table} [role=status]")
    marks = [mark.inner_text() for mark in page.query_selector_all(f"{table} td:nth-child(5) mark")]
    assert "child" in marks, "what it has in common with the nearest text"
    page.fill(f"{table} input", "nowhere to be found")
    page.wait_for_function("() => !document.querySelector('[data-table=rejected] tbody tr')")
    page.fill(f"{table} input", "")
    page.wait_for_selector(f"{table} tbody tr")
    page.select_option(f"{table} label:has-text('check') select", index=1)
    assert len({cell.split("\n")[0] for cell in column(page, "rejected", 2)}) == 1
    page.select_option(f"{table} label:has-text('check') select", index=0)


def test_a_table_can_be_sorted_by_keyboard(opened: Watched) -> None:
    """Enter on a heading sorts; again, in the other direction; a screen reader is told."""
    page, table = opened.page, "[data-table=records]"
    unsorted = column(page, "records", 2)
    page.focus(f"{table} th:nth-child(2) button")
    page.keyboard.press("Enter")
    up = column(page, "records", 2)
    assert up != unsorted
    assert sorted(up) == sorted(unsorted)
    assert page.get_attribute(f"{table} th:nth-child(2)", "aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert column(page, "records", 2)[0] == up[-1]
    assert page.get_attribute(f"{table} th:nth-child(2)", "aria-sort") == "descending"
    assert page.get_attribute(f"{table} thead th", "scope") == "col"
    assert page.get_attribute(f"{table} tbody th", "scope") == "row"


def test_a_long_text_is_cut_and_says_how_long_it_is(opened: Watched, home: Path) -> None:
    """With the command that shows the whole; the page stays small."""
    page = opened.page
    assert (home / "run/report.html").stat().st_size < 2_000_000
    button = page.query_selector("[data-table=rejected] button.more:has-text('show all 1,000,')")
    button.click()
    told = button.evaluate("one => one.parentElement.innerText")
    assert re.search(r"first 20,000 of 1,000,\d+ characters.*selfinstruct show run \S+-\d+", told, re.DOTALL)
    button.click()


# Files and arguments


@pytest.mark.parametrize("form", ["svg", "png"])
def test_the_figures_are_written_as_files(home: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each figure of the page, under its name, without a browser."""
    status, _, err = typed(capsys, "report", "run", f"report.figures={form}", f"to=out/{form}.html")
    assert status == 0, err
    page = (home / f"out/{form}.html").read_text(encoding="utf-8")
    names = set(re.findall(r'data-figure="([^"]+)"', page))
    files = {path.stem: path for path in (home / f"out/{form}-figures").iterdir()}
    assert set(files) == names
    assert (home / f"out/{form}.json").exists()
    for path in files.values():
        if form == "svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert path.read_bytes().startswith(b"\x89PNG\r\n")


def test_names_of_files_are_safe() -> None:
    """Whatever the fields are called: no folder, no hidden file, and no name twice, in whichever case."""
    names = [
        "words-a",
        "words-../a",
        "words-A",
        "../../etc/passwd",
        ".hidden",
        "a\0b:c",
        "答え",
        "/",
        "x" * 300,
    ]
    found = list(vega.file_names(names))
    assert found[:7] == ["words-a", "words-..-a", "words-A-2", "etc-passwd", "hidden", "a-b-c", "答え"]
    assert found[7] == "figure"
    assert len(found[8]) < 100


def test_runs_are_compared(home: Path, browser: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the first run: what was set differently, the figures with the best one marked, and charts."""
    assert typed(capsys, *CHAT, "run_dir=other", "report=off", "seed=5", "target=5")[0] == 0
    status, out, err = typed(capsys, "report", "run", "other")
    assert status == 0, err
    assert "report: run-and-other.html, run-and-other.json" in out
    numbers = json.loads((home / "run-and-other.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in numbers["compare"]] == ["run", "other"]
    watched = Watched(browser, home / "run-and-other.html")
    assert watched.drawn()
    assert watched.wrong == watched.asked == []
    rows = {
        row.query_selector("th").inner_text(): [cell.inner_text() for cell in row.query_selector_all("td")]
        for row in watched.page.query_selector_all("#figures tbody tr")
    }
    assert rows["target"] == ["8", "5"]
    assert rows["accepted"] == ["★ 8", "5"]


def test_a_sweep_ends_with_a_comparison_of_its_jobs(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its jobs write no report of their own; the verb writes the same page."""
    monkeypatch.delenv("SELFINSTRUCT_REPORT", raising=False)
    arguments = [part for part in CHAT if not part.startswith("target")]
    status, out, err = typed(capsys, "-m", *arguments, "target=4,5", "sweep_dir=sweep")
    assert status == 0, err
    assert out.splitlines()[-1] == "report: sweep/report.html"
    page = (home / "sweep/report.html").read_text(encoding="utf-8")
    assert "job 0 target=4" in page
    assert "job 1 target=5" in page
    assert not list((home / "sweep").glob("[01]/report.html"))
    assert typed(capsys, "report", "sweep")[0] == 0
    assert (home / "sweep/report.html").read_text(encoding="utf-8") == page


def test_bad_arguments_are_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to type instead."""
    (home / "empty").mkdir(exist_ok=True)
    refused(typed(capsys, "report"), "selfinstruct report runs/NAME")
    refused(typed(capsys, "report", "empty"), "holds no run")
    refused(typed(capsys, "report", "nowhere"), "does not exist")
    refused(typed(capsys, "report", "run", "run"), "named twice")
    refused(typed(capsys, "report", "run", "to=page.txt"), "to=FILE.html")
    refused(typed(capsys, "report", "run", "--loud"), "--loud is not an option")
    refused(typed(capsys, "report", "run", "report.figures=gif"), "report.figures", "gif")
    refused(typed(capsys, "report", "run", "target=5"), "cannot be changed here")
    refused(typed(capsys, "report", "run", "report=off"), "report=off is for the command of a run")
    refused(typed(capsys, "report", "run", "to=mine.jsonl/page.html"), "cannot be written", "to=FILE.html")
    assert "report.figures=svg" in typed(capsys, "report", "--help")[1]


# Its parts


def test_the_javascript_is_kept_and_made_anew_if_it_is_damaged(home: Path) -> None:
    """A part of a file is no bundle; where nothing can be kept, it is made each time."""
    (kept,) = (home / ".cache/selfinstruct").glob("vega-*.js")
    whole = kept.read_text(encoding="utf-8")
    kept.write_text(whole[:1000], encoding="utf-8")
    assert vega.bundle() == whole
    assert kept.read_text(encoding="utf-8") == whole
    assert "</script" not in whole.lower()
    assert "<!--" not in whole


@pytest.mark.parametrize("dark", [False, True])
def test_colours_are_legible(dark: bool) -> None:
    """Texts have a contrast of 4.5 to their ground, marks of 3 (WCAG 2.2, level AA)."""
    colour = {name: pair[dark] for name, pair in COLOURS.items()}
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "kept", "lost"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
        for one in (*SERIES, "quiet"):
            assert contrast(colour[one], colour[ground]) >= 3, (one, ground)
    assert contrast(colour["ink"], colour["found"]) >= 4.5
    assert all(contrast(CELL_INK, cell) >= 4.5 for cell in CELLS)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
