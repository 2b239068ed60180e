"""A review in a real browser: the keys, what a reload keeps, and that nothing in a record runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from reviewing import ReviewServer

from selfinstruct.cli.main import command
from selfinstruct.journal.store import Journal
from selfinstruct.run_folder.opened import opened

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)

BIDI = "user \u202egnp.exe\u202c and \x1b[31mred\x07 and \0"
HOSTILE = (
    "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    "</textarea></div><svg onload='window.ran = 3'><a href='javascript:window.ran=4'>x</a>{{ 7 * 7 }}"
)

# However busy the machine is, the next record cannot be shown between these keys.
FIVE_AT_ONCE = "for (let i = 0; i < 5; i++) document.dispatchEvent(new KeyboardEvent('keydown', {key: 'y'}))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """A review of a run whose first record of the sample is hostile, and the second a megabyte long."""
    project = tmp_path_factory.mktemp("reviewed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("XDG_CACHE_HOME", str(project / ".cache"))
        assert command(["recipe=paper", "model=scripted", "cache=off", "target=12", "run_dir=run"]) == 0
        from selfinstruct.review.sample import place_of

        with opened(project / "run") as run:
            ids = [record.id for record in run.records("instances")]
            order = sorted(ids, key=lambda one: place_of(run.outline.seed, one))
            first, second = (run.record(id) for id in order[:2])
        assert first and second
        journal = Journal(project / "run/run.sqlite")
        data = {**first.data, "input": BIDI, "output": HOSTILE}
        journal.take("instances", first.request, [replace(first, data=data)])
        long = {**second.data, "output": "word " * 200_000 + "the end"}
        journal.take("instances", second.request, [replace(second, data=long)])
        journal.close()
        with ReviewServer(project, "run", "--name", "Ann") as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of the file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        found = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(server: ReviewServer, browser: Any) -> Iterator[Any]:
    """The page of a new browser; an error of its scripts or of its policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield found
    context.close()
    assert not [error for error in errors if "ERR_FAILED" not in error]  # a test cuts the line


def reviews(server: ReviewServer) -> dict[str, Any]:
    """The reviews in the journal."""
    with opened(server.project / "run") as run:
        return run.journal.facts("review/")


def record_of(page: Any) -> str:
    """The id of the record on the page."""
    return str(page.get_attribute("[data-record]", "data-record"))


def wait_for_other(page: Any, id: str) -> str:
    """Wait until the page shows another record than this, and hears keys."""
    page.wait_for_selector(f"[data-record]:not([data-record='{id}'])")
    page.wait_for_load_state()
    return record_of(page)


def wait_for_answers(page: Any, count: int) -> None:
    """Wait until so many questions of the page have an answer."""
    from playwright.sync_api import expect

    expect(page.locator(".answered")).to_have_count(count, timeout=20_000)


def test_nothing_in_a_record_runs(server: ReviewServer, page: Any) -> None:
    """Scripts, handlers, links and templates are text; control characters are shown by their codes."""
    page.goto(server.address)
    assert page.url.startswith(f"{server.base}/review?id=")
    shown = page.inner_text(".record")
    assert HOSTILE in shown
    assert "U+202E" in shown and "U+001B" in shown and "U+0000" in shown and "\u202e" not in shown
    page.keyboard.press("e")
    assert page.input_value("textarea[name='field:output']") == HOSTILE
    page.click("text=Save the edit")  # nothing was changed, also where a form cannot give a character back
    page.wait_for_selector("#edit:not([open])", state="attached")
    page.goto(f"{server.base}/story?id={record_of(page)}")
    assert HOSTILE in page.inner_text("main")
    page.goto(f"{server.base}/browse?words=onerror")
    assert "onerror" in page.inner_text("main")
    assert page.evaluate("window.ran") is None
    assert page.locator("main script, main img, main svg").count() == 0
    assert not any(review["edit"] for review in reviews(server).values())


def test_keys_undo_and_a_reload(server: ReviewServer, page: Any) -> None:
    """Fast keys answer one question each and never the next record; u takes them back; a reload keeps all."""
    page.goto(server.address)
    first = record_of(page)
    page.keyboard.press("y")
    page.keyboard.press("n")
    wait_for_answers(page, 2)
    page.reload()
    assert page.locator(".answered").count() == 2
    key = f"Ann/{first}"
    assert reviews(server)[key]["answers"] == {"instruction": "ok", "input": "wrong"}
    page.keyboard.press("u")
    wait_for_answers(page, 1)
    page.evaluate(FIVE_AT_ONCE)  # three too many: they were typed before the next record was seen
    second = wait_for_other(page, first)
    page.wait_for_timeout(300)
    assert page.locator(".answered").count() == 0
    page.keyboard.press("ArrowLeft")
    assert wait_for_other(page, second) == first
    assert page.locator(".answered").count() == 3
    page.keyboard.press("ArrowRight")
    assert wait_for_other(page, first) == second
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("y")  # nothing behind the help is answered
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    assert page.locator(".answered").count() == 0
    assert "1 of " in page.inner_text("#progress")


def test_a_note_and_an_edit_by_keys(server: ReviewServer, page: Any) -> None:
    """Keys write text in a text; Ctrl-Enter saves; an unsaved note is saved when an answer is clicked."""
    page.goto(server.address)
    id = record_of(page)
    page.keyboard.press("c")
    page.keyboard.type("you need n more")
    page.click(".question button.good >> nth=0")
    wait_for_answers(page, 1)
    assert page.input_value("textarea[name=note]") == "you need n more"
    page.keyboard.press("e")
    area = page.locator("textarea[name='field:instruction']")
    before = area.input_value()
    area.fill(f"{before} Please.")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("ins")
    assert page.inner_text("ins").strip() == "Please."
    review = reviews(server)[f"Ann/{id}"]
    assert review["note"] == "you need n more" and review["answers"] == {"instruction": "ok"}
    assert review["edit"] == {"instruction": f"{before} Please."}


def test_a_long_text_is_cut_and_can_be_seen_whole(server: ReviewServer, page: Any) -> None:
    """A megabyte: the beginning, its length, and a link."""
    page.goto(server.address)
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(200)
    for _ in range(3):
        if page.locator("text=Show all 1,000,007 characters").count():
            break
        page.goto(f"{server.base}/forward?id={record_of(page)}")
    assert len(page.inner_text(".record")) < 10_000
    page.click("text=Show all 1,000,007 characters")
    assert page.inner_text(".record").rstrip().endswith("the end") or "the end" in page.inner_text(".record")


def test_the_server_ends_and_nothing_is_lost_silently(server: ReviewServer, page: Any) -> None:
    """The page says that an answer was not saved, and does not show it as given."""
    page.goto(server.address)
    page.route("**/answer", lambda route: route.abort())
    before = page.locator(".answered").count()
    page.click(".question:not(.answered) button.good >> nth=0")
    page.wait_for_selector("#lost", state="visible")
    assert page.locator(".answered").count() == before
    page.unroute("**/answer")


@pytest.mark.parametrize("path", ["/", "/summary", "/browse", "/name"])
def test_it_fits_a_narrow_window(server: ReviewServer, browser: Any, path: str) -> None:
    """390 pixels: nothing is wider than the window."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(server.address)
    page.goto(server.base + path)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_a_wrong_token_shows_nothing(server: ReviewServer, browser: Any) -> None:
    """A browser without the address gets a sentence, and no cookie."""
    context = browser.new_context()
    page = context.new_page()
    for address in (f"{server.base}/?token=wrong", f"{server.base}/browse"):
        assert page.goto(address).status == 403
        assert "instances-" not in json.dumps(page.content())
    assert context.cookies() == []
    context.close()
