"""A review from the run to the dataset, as a user does it."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Typed, lines
from reviewing import ReviewServer

from selfinstruct.run_folder.opened import opened

RUN = ("recipe=paper", "model=scripted", "cache=off", "run_dir=run")
GOOD = ("export=[chat]", "export.chat.where={review: ok}", "export.chat.provenance=true")


def test_from_a_run_to_reviewed_data(typed: Typed, project: Path) -> None:
    """Ten records are judged: the good ones are exported, edited; report, story and a longer run have all."""
    run = project / "run"
    assert typed(*RUN, "target=20")[0] == 0
    with ReviewServer(project, "run", "--sample", "10", "--name", "Ann") as server:
        ann = server.reviewer()
        edited = ann.record
        texts = {"field:output": "A text by Ann."}
        ann.send("/edit", id=edited, seen="", **texts)
        ann.send("/note", id=edited, note="was <wrong>", seen="")
        good = [ann.finish("ok") for _ in range(7)]
        wrong = [ann.finish("wrong") for _ in range(3)]
        assert "The sample is reviewed" in ann.text
    assert good[0] == edited and len({*good, *wrong}) == 10

    status, out, err = typed("export", "run", *GOOD)
    assert status == 0, err
    rows = {row["id"]: row for row in lines(run / "dataset/chat.jsonl")}
    assert set(rows) == set(good)
    assert {id for id, row in rows.items() if row["edited"]} == {edited}
    assert rows[edited]["messages"][-1] == {"role": "assistant", "content": "A text by Ann."}

    assert typed("report", "run")[0] == 0
    review = json.loads((run / "stats.json").read_text(encoding="utf-8"))["review"]
    assert review["reviewers"] == [{"name": "Ann", "reviewed": 10}]
    assert [one["share_good"] for one in review["questions"]] == [0.7, 0.7, 0.7]
    assert review["all_good"]["share"] == 0.7 and review["edited"] == 1
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Review by people" in page and review["questions"][0]["text"] in page

    status, out, _ = typed("show", "run", edited, "--json")
    story = json.loads(out)
    assert status == 0
    assert story["reviews"]["Ann"]["answers"] == {"instruction": "ok", "input": "ok", "output": "ok"}
    assert story["reviews"]["Ann"]["edit"] == {"output": "A text by Ann."}
    assert "was <wrong>" in typed("show", "run", edited)[1]

    with opened(run) as found:
        before = found.journal.facts("review/")
    assert typed(*RUN, "target=30")[0] == 0
    with opened(run) as found:
        assert found.journal.facts("review/") == before
        assert len(list(found.records("instructions"))) >= 30
    assert typed("export", "run", *GOOD)[0] == 0
    assert {row["id"] for row in lines(run / "dataset/chat.jsonl")} == set(good)
