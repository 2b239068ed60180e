"""A review through its page, over HTTP: who gets what, what is stored, and what is refused."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Typed, lines
from results import refused
from reviewing import ReviewServer

from selfinstruct.cli.main import command
from selfinstruct.journal.store import Journal
from selfinstruct.run_folder.opened import opened

RUN = ("recipe=paper", "model=scripted", "cache=off", "target=12")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for all that review copies of it."""
    project = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert command([*RUN, "run_dir=run"]) == 0
    return project / "run"


@pytest.fixture
def run(finished: Path, project: Path) -> Path:
    """A copy of it in the user's folder."""
    shutil.copytree(finished, project / "run")
    return project / "run"


@pytest.fixture
def server(run: Path, project: Path) -> Iterator[ReviewServer]:
    """A review of the copy."""
    with ReviewServer(project, "run") as found:
        yield found


def stored(run: Path) -> dict[str, Any]:
    """The reviews in the journal, by REVIEWER/RECORD."""
    with opened(run) as found:
        return found.journal.facts("review/")


def outputs(run: Path) -> set[str]:
    """The texts that nobody may see who was not given the address."""
    return {row["output"] for row in lines(run / "instances.jsonl") if len(row["output"]) > 12}


def test_who_gets_nothing(server: ReviewServer, run: Path) -> None:
    """Without the token, with a wrong one, under another host's name, or from another site's page."""
    token = server.address.partition("token=")[2]
    secrets = outputs(run)
    ann = server.reviewer("Ann")
    assert any(text in ann.text for text in secrets)
    page, cookies = f"/review?id={ann.record}", dict(ann.browser.cookies)
    host = server.base.removeprefix("http://")
    other = {"host": "evil.example"}
    refused = [
        httpx.get(server.base + page),
        httpx.get(f"{server.base}/?token=wrong"),
        httpx.get(f"{server.base}/?token={token[:-1]}"),
        httpx.get(server.base + page, cookies=dict.fromkeys(cookies, "wrong")),
        httpx.get(server.base + page, cookies=cookies, headers=other),
        httpx.get(server.address, headers={"host": host.replace("127.0.0.1", "rebound.example")}),
        httpx.get(f"{server.base}/page.js"),
        httpx.get(f"{server.base}/browse"),
    ]
    form = {"id": ann.record, "question": "output", "value": "ok", "seen": ""}
    for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": f"https://{host}"}):
        refused.append(httpx.post(f"{server.base}/answer", data=form, cookies=cookies, headers=origin))
    refused.append(httpx.post(f"{server.base}/answer", data=form, headers={"origin": server.base}))
    for response in refused:
        assert response.status_code in (403, 421), (response.request.url, response.status_code)
        assert not any(text in response.text for text in secrets)
        assert "set-cookie" not in response.headers
    assert stored(run) == {}
    huge = httpx.post(
        f"{server.base}/note", content=b"x" * (5 << 20), cookies=cookies, headers={"origin": server.base}
    )
    assert huge.status_code == 413


def test_another_machine_gets_no_connection(server: ReviewServer) -> None:
    """The port is closed on the addresses that others reach."""
    port = int(server.base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing; says which address others see
        except OSError:
            pytest.skip("this machine has no address but the loopback")
        own = asking.getsockname()[0]
    with pytest.raises(OSError), socket.create_connection((own, port), timeout=5):
        pass


def test_the_token_leaves_the_address_and_nothing_is_kept_by_the_browser(server: ReviewServer) -> None:
    """A redirect with a cookie that no script reads and no other site sends; the pages are not cached."""
    first = httpx.get(server.address)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "domain" not in cookie
    ann = server.reviewer("Ann")
    assert "token" not in str(ann.page.url) and "token=" not in ann.text
    headers = ann.page.headers
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "<script>" not in ann.text and " style=" not in ann.text and " onclick" not in ann.text


def test_answers_are_stored_at_once_and_the_run_stays_whole(
    server: ReviewServer, run: Path, typed: Typed
) -> None:
    """Each answer, note and edit is in the journal before the next page; undo takes them back one by one."""
    ann = server.reviewer("Ann")
    id = ann.record
    ann.answer("instruction", "ok")
    assert stored(run)[f"Ann/{id}"]["answers"] == {"instruction": "ok"}
    ann.send("/note", id=id, note="too\r\nshort ", seen="")
    with opened(run) as found:
        record = found.record(id)
        assert record
        before, same = record.data["output"], record.data["input"]
    ann.send("/edit", id=id, seen="", **{"field:output": f"{before} Indeed.", "field:input": same})
    assert "<ins> Indeed.</ins>" in ann.text
    review = stored(run)[f"Ann/{id}"]
    assert review["note"] == "too\nshort"
    assert review["edit"] == {"output": f"{before} Indeed."}
    assert set(review) == {"answers", "edit", "note", "at"} and review["at"].endswith("+00:00")
    with opened(run) as found:
        record = found.record(id)
        assert record and record.data["output"] == before  # the record itself stays as it was
    status, out, _ = typed("verify", "run")
    assert status == 0, out
    ann.answer("input", "ok")
    ann.answer("output", "wrong")
    assert ann.record != id
    for left in (["instruction", "input"], ["instruction"], ["instruction"], ["instruction"], []):
        ann.send("/undo", id=ann.record)
        assert ann.record == id
        assert list(stored(run)[f"Ann/{id}"]["answers"]) == left
    review = stored(run)[f"Ann/{id}"]
    assert review["edit"] is None and review["note"] == ""
    assert "nothing to undo" in ann.send("/undo", id=id).text
    ann.answer("instruction", "ok")
    said = server.stop()
    assert "1 review is saved (1 of them now); 0 of " in said
    assert "to go on: selfinstruct review run --no-browser" in said
    assert typed("verify", "run")[0] == 0
    assert not list(run.glob("*-wal"))


def test_two_people_never_get_the_same_record(server: ReviewServer, run: Path) -> None:
    """They take turns through the whole sample; each record has one review, and the end page says so."""
    ann, bob = server.reviewer("Ann"), server.reviewer("Bob")
    done: dict[str, list[str]] = {"Ann": [], "Bob": []}
    while ann.record or bob.record:
        for name, one in (("Ann", ann), ("Bob", bob)):
            if one.record:
                done[name].append(one.finish("wrong" if name == "Bob" else "ok"))
    assert not set(done["Ann"]) & set(done["Bob"])
    assert {*done["Ann"], *done["Bob"]} == {row["id"] for row in lines(run / "instances.jsonl")}
    assert "The sample is reviewed" in ann.open("/summary")
    assert "selfinstruct report run" in ann.text and "export.chat.where={review: ok}" in ann.text
    other = ann.open(f"/review?id={done['Bob'][0]}")
    assert "The sample is reviewed" in other  # not given to Ann, so there is nothing for her to answer
    ann.send("/answer", id=done["Bob"][0], question="output", value="ok", seen="")
    assert f"Ann/{done['Bob'][0]}" not in stored(run)


def test_the_overlap_goes_to_all_and_gives_kappa(run: Path, project: Path) -> None:
    """The first three records of the sample, to each reviewer; agreement is on the summary."""
    with ReviewServer(project, "run", "--sample", "5", "--overlap=3") as server:
        people = [server.reviewer(name) for name in ("Ann", "Bob")]
        got = [[one.finish(value) for value in ("ok", "ok", "wrong")] for one in people]
        assert got[0] == got[1]
        assert people[0].record != people[1].record
        for one in people:
            one.finish()
        assert "The sample is reviewed" in people[0].open("/summary")
        assert "1.00" in people[0].text and "Ann, Bob" in people[0].text


def test_the_sample_is_the_same_each_time_and_grows(run: Path, project: Path) -> None:
    """What was given stays with who got it, a larger sample adds to it, and a name goes on where it was."""
    with ReviewServer(project, "run", "--sample", "4", "--name", "Ann") as server:
        ann = server.reviewer()
        first = [ann.finish() for _ in range(3)]
        fourth = ann.record
    again = project / "again"
    shutil.copytree(run, again)
    with ReviewServer(project, "run", "--sample", "6") as server:
        ann = server.reviewer("Ann")
        assert ann.record == fourth
        assert "3 of 6 reviewed" in ann.text
        bob = server.reviewer("Bob")
        more = [bob.finish(), bob.finish()]
        assert not {*more} & {*first, fourth}
        assert not bob.record
    with ReviewServer(project, str(again), "--sample", "6", "--name", "Cleo") as server:
        cleo = server.reviewer()
        assert [cleo.finish(), cleo.finish()] == more


def test_undo_reaches_back_to_an_earlier_start(run: Path, project: Path) -> None:
    """What was answered yesterday is taken back today, as far as the first change."""
    with ReviewServer(project, "run", "--name", "Ann") as server:
        ann = server.reviewer()
        id = ann.record
        ann.answer("instruction", "ok")
        ann.answer("input", "wrong")
    with ReviewServer(project, "run", "--name", "Ann") as server:
        ann = server.reviewer()
        assert "Your last change is undone" in ann.send("/undo", id=ann.record).text
        assert stored(run)[f"Ann/{id}"]["answers"] == {"instruction": "ok"}
        ann.send("/undo", id=id)
        assert stored(run)[f"Ann/{id}"]["answers"] == {}
        assert "nothing to undo" in ann.send("/undo", id=id).text


def test_records_of_somebody_who_does_not_come_back_are_released(
    run: Path, project: Path, typed: Typed
) -> None:
    """Those not finished go to who asks next, also during a review; no answer is lost; a typo is found."""
    with ReviewServer(project, "run", "--sample", "3") as server:
        ann, bob = server.reviewer("Ann"), server.reviewer("Bob")
        done, open_ = ann.finish(), ann.record
        ann.answer("instruction", "ok")
        assert bob.finish() not in (done, open_)
        assert not bob.record  # the last one is with Ann
        refused(typed("review", "run", "--release", "Anne"), "unknown reviewer 'Anne'", "'Ann'")
        status, out, _ = typed("review", "run", "--release", "Ann")
        assert (status, out) == (0, "1 record of Ann is free for other reviewers; no answer was changed\n")
        bob.open("/")
        assert bob.record == open_
        assert "not yours any more" in ann.send("/note", id=open_, note="too late", seen="").text
        assert stored(run)[f"Ann/{open_}"]["answers"] == {"instruction": "ok"}
        assert stored(run)[f"Ann/{open_}"]["note"] == ""
        assert bob.finish("wrong") == open_
    assert typed("verify", "run")[0] == 0


def test_the_same_reviewer_in_two_tabs_loses_nothing(server: ReviewServer, run: Path) -> None:
    """Another question is answered as well; the same one, a note or an edit is not overwritten unseen."""
    one, other = server.reviewer("Ann"), server.reviewer("Ann")
    id = one.record
    assert other.record == id
    one.answer("instruction", "ok")
    other.answer("input", "wrong")
    assert stored(run)[f"Ann/{id}"]["answers"] == {"instruction": "ok", "input": "wrong"}
    clash = one.send("/answer", id=id, question="input", value="ok", seen="")
    assert clash.status_code == 409 and "answered in another tab: “No”" in clash.text
    assert stored(run)[f"Ann/{id}"]["answers"]["input"] == "wrong"
    one.send("/answer", id=id, question="input", value="ok", seen="wrong")
    assert stored(run)[f"Ann/{id}"]["answers"]["input"] == "ok"
    one.send("/note", id=id, note="from one", seen="")
    clash = other.send("/note", id=id, note="from the other", seen="")
    assert clash.status_code == 409
    assert "from one" in clash.text and "from the other" in clash.text
    assert stored(run)[f"Ann/{id}"]["note"] == "from one"
    other.send("/note", id=id, note="from the other", seen=other.seen("note"))
    assert stored(run)[f"Ann/{id}"]["note"] == "from the other"
    one.send("/edit", id=id, seen="", **{"field:output": "one"})
    clash = other.send("/edit", id=id, seen="", **{"field:output": "other"})
    assert clash.status_code == 409 and "output: one" in clash.text
    other.send("/edit", id=id, seen=other.seen("edit"), **{"field:output": "other"})
    assert stored(run)[f"Ann/{id}"]["edit"] == {"output": "other"}
    undone = one.send("/undo", id=id)
    assert undone.status_code == 200 and stored(run)[f"Ann/{id}"]["edit"] == {"output": "one"}


def test_names_that_cannot_be_stored(server: ReviewServer) -> None:
    """The page asks again and says why."""
    someone = server.reviewer()
    for name in ("", " \t", "a/b", "x" * 41, "a\u202eb", "a\x00"):
        refused = someone.send("/name", name=name)
        assert refused.status_code == 400 and "name" in refused.text
        assert not someone.record


def test_the_run_is_browsed_by_stage_check_words_and_fields(server: ReviewServer, run: Path) -> None:
    """Pages of 50; each record leads to its story; a wrong filter is explained on the page."""
    ann = server.reviewer("Ann")
    rows = lines(run / "instances.jsonl")
    listed = ann.open("/browse?stage=instances")
    assert f"{len(rows)} records" in listed and all(f"/story?id={row['id']}" in listed for row in rows)
    assert "0 records" in ann.open("/browse?rejected=any+check")
    with opened(run) as found:
        parent = found.record(rows[0]["id"])
        assert parent and parent.parent
    journal = Journal(run / "run.sqlite")
    wrong = replace(
        parent, id="instances-000001-9", position=9, fate="rejected", check="odd", reason="too odd"
    )
    journal.take("instances", wrong.request, [wrong])
    journal.close()
    for query in ("rejected=any+check", "rejected=odd", "stage=instances&rejected=odd"):
        listed = ann.open(f"/browse?{query}")
        assert "1 record<" in listed and f"/story?id={wrong.id}" in listed and "too odd" in listed
    assert "rejected by odd" in ann.open(f"/story?id={wrong.id}")
    word = rows[0]["output"].split()[0]
    assert f"/story?id={rows[0]['id']}" in ann.open(f"/browse?stage=instances&words={word}")
    assert "0 records" in ann.open("/browse?where=is_classification%3Dmaybe") and "never" in ann.text
    assert "unknown field" in ann.open("/browse?where=nothing%3D1")
    assert "write FIELD=VALUE" in ann.open("/browse?where=nothing")
    assert "50 on this page" in ann.open("/browse?words=a") and "page=2" in ann.text
    second = ann.open("/browse?words=a&page=2")
    assert "51 to" in second
    for page in ("0", "-1", "x", "9" * 30, "1x"):
        assert ann.browser.get(f"/browse?page={page}").status_code == 200
    assert ann.browser.get("/story?id=instances-9").status_code == 404
