"""Answers judged by a model and by people: what each sees, what is counted, and how far they agree.

Two scripted models answer twelve tasks, one shortly and one at length. The judge does to each task what its
kind says: it prefers the first position (bias), prefers the longer answer (length), leaves the scale (scale),
answers in prose (prose), or does so only when it is asked for the first time (again).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Typed, lines
from results import refused
from reviewing import Reviewer, ReviewServer

from selfinstruct.cli.main import command
from selfinstruct.run_folder.opened import opened

KINDS = {"bias": 4, "length": 4, "same": 1, "scale": 1, "prose": 1, "again": 1}
EVALUATE = ("evaluate", "model=alder,birch", "eval.path=tasks.jsonl", "eval.resamples=200", "to=ev")
JUDGE = "eval.judge.model=cedar"
REASON = "The judge has its reasons."


def says(**keys: str) -> str:
    """A reply of the judge."""
    return json.dumps({"reason": REASON, **keys})


ANSWERS = {  # by model, the rules by which it answers
    "alder": {"same": ["(same)", "The same words."], "rest": [r"Task (\d+)", "Short {{ match[0] }}."]},
    "birch": {
        "same": ["(same)", "The same words."],
        "rest": [r"Task (\d+)", "A much longer answer, with the number {{ match[0] }}."],
    },
}
VERDICTS = {
    "prose": [r"\(prose\)", "I would give it a four, or so."],
    "scale_rating": [r"(?s)\(scale\).*<answer>", says(rating="E")],
    "scale_pair": [r"(?s)\(scale\).*<first>", says(better="both")],
    "empty": [r"<answer>\n\n</answer>", says(rating="D")],
    "short": [r"<answer>\nShort", says(rating="D")],
    "long": [r"<answer>\nA much", says(rating="A")],
    "same": [r"<answer>\nThe same", says(rating="B")],
    "bias": [r"(?s)\(bias\).*<first>", says(better="first")],
    "length": [
        r"(?s)<first>\n(.*)\n</first>\n<second>\n(.*)\n</second>",
        f'{{"reason": "{REASON}", "better": '
        "\"{{ 'first' if match[0] | length > match[1] | length else 'second' }}\"}",
    ],
}
REPLIES = [
    {"stage": "rating", "match": r"\(again\)", "reply": "Hm."},
    {"stage": "rating_again", "match": r"\(again\)", "reply": says(rating="C")},
    {"stage": "comparison", "match": r"\(again\)", "reply": "Hm."},
]


def write(project: Path) -> None:
    """The tasks, the two models and the judge."""
    kinds = [kind for kind, times in KINDS.items() for _ in range(times)]
    rows = [
        {"instruction": f"Task {place} ({kind}): say something.", "references": ["Something."]}
        for place, kind in enumerate(kinds)
    ]
    (project / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in REPLIES))
    (project / "conf/model").mkdir(parents=True)
    for name, rules in {**ANSWERS, "cedar": VERDICTS}.items():
        keys = {
            "kind": "scripted",
            "name": name,
            "mode": "chat",
            "api_base": None,
            "api_key_env": None,
            "concurrency": 4,
            "timeout": 10,
            "retries": 0,
            "sampling": {},
            "options": {
                "replies": "replies.jsonl" if name == "cedar" else None,
                "rules": {key: {"match": match, "reply": reply} for key, (match, reply) in rules.items()},
            },
        }
        (project / f"conf/model/{name}.yaml").write_text(yaml.safe_dump(keys, sort_keys=False))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation with a judge, whose budget was first spent in the middle of the judging."""
    project = tmp_path_factory.mktemp("judged")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("XDG_CACHE_HOME", str(project / ".cache"))
        write(project)
        spent = [*EVALUATE, JUDGE, "budget.requests=40", "cache=off"]
        assert command(spent) == 3
        assert json.loads((project / "ev/evaluation.json").read_text())["models"]["alder"]["scores"]
        assert command([*EVALUATE, JUDGE, "cache=off"]) == 0
    return project


@pytest.fixture
def ready(judged: Path, project: Path) -> Path:
    """A copy of it in the user's folder."""
    shutil.copytree(judged, project, dirs_exist_ok=True)
    return project


def result(project: Path) -> dict[str, Any]:
    """What evaluation.json says of the judging."""
    return dict(json.loads((project / "ev/evaluation.json").read_text())["judged"])


def asked(run: Path) -> Counter[str]:
    """How many replies each stage of a run has got."""
    with opened(run) as found:
        names = [stage.name for stage in found.outline.stages]
        return Counter({name: found.journal.stats(name).replies for name in names})


# The judge


def test_an_empty_answer_is_judged_too(ready: Path, typed: Typed) -> None:
    """The rubric has a level for it; a model without an answer to a task does not end the evaluation."""
    rows = [{"prediction": "" if place % 2 else "Short."} for place in range(12)]
    (ready / "theirs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ("predictions=theirs.jsonl", "eval.path=tasks.jsonl", "eval.resamples=200", "to=other")
    status, _, err = typed("evaluate", "model=alder", *given, JUDGE)
    assert status == 0, err
    made = json.loads((ready / "other/evaluation.json").read_text())["judged"]
    theirs = made["ratings"]["judge"]["models"]["theirs"]
    assert (theirs["left_out"], theirs["levels"]["D"]["count"]) == (2, 9)
    assert made["pairs"]["judge"][0]["pairs"] + made["pairs"]["judge"][0]["left_out"] == 12


def test_ratings_by_model(judged: Path) -> None:
    """The shares of the levels; what has no rating after the second asking is left out, and counted."""
    found = result(judged)["ratings"]
    assert (found["levels"], found["answers"]) == (["A", "B", "C", "D"], 24)
    assert asked(judged / "ev/judges/cedar/rating") == {"answers": 0, "rating": 24, "rating_again": 6}
    counts = {
        name: {level: one["count"] for level, one in model["levels"].items()}
        for name, model in found["judge"]["models"].items()
    }
    assert counts == {"alder": {"A": 0, "B": 1, "C": 1, "D": 8}, "birch": {"A": 8, "B": 1, "C": 1, "D": 0}}
    for model in found["judge"]["models"].values():
        assert (model["rated"], model["left_out"]) == (10, 2)
    birch = found["judge"]["models"]["birch"]
    assert birch["at_least"]["B"]["mean"] == 90
    assert 60 <= birch["at_least"]["B"]["low"] < 90 < birch["at_least"]["B"]["high"] == 100
    assert birch["at_least"]["D"]["mean"] == 100
    (better,) = (one for one in found["judge"]["differences"] if one["at_least"] == "B")
    assert (better["after"], better["mean"], better["tasks"], better["shown"]) == ("birch", 80, 10, True)


def test_a_verdict_that_changes_with_the_position_is_a_tie(judged: Path) -> None:
    """Each pair is judged twice; the pairs that show a bias are counted, and how often the first one won."""
    (found,) = result(judged)["pairs"]["judge"]
    assert [found[key] for key in ("before", "after")] == ["alder", "birch"]
    assert [found[key] for key in ("wins", "ties", "losses")] == [5, 5, 0]
    assert (found["pairs"], found["identical"], found["left_out"]) == (10, 1, 2)
    assert found["win_rate"]["mean"] == 75
    place = found["position"]
    assert (place["changed"], place["named"]) == (4, 18)
    assert place["changed_share"] == pytest.approx(100 * 4 / 9)
    assert place["first_share"] == pytest.approx(100 * 13 / 18)  # 8 of 8 biased ones, and half of the rest
    assert found["longer_won"] == 100
    assert found["characters"]["after"] > 3 * found["characters"]["before"]


def test_what_the_judge_is_asked(judged: Path) -> None:
    """Instruction and answers in both orders; nothing about the models, in the prompt or the ids."""
    with opened(judged / "ev/judges/cedar/comparison") as run:
        prompts = {
            (stage, pair.id): request.prompt
            for stage in ("comparison", "swapped")
            for pair in run.records("pairs")
            if (request := run.journal.request(stage, pair.request))
        }
    assert len(prompts) == 2 * 9
    for (stage, id), text in prompts.items():
        other = prompts["swapped" if stage == "comparison" else "comparison", id]
        assert ("<first>\nShort" in text) != ("<first>\nShort" in other)
        assert ("<second>\nShort" in text) == ("<first>\nShort" in other)
        assert not any(name in text for name in ("alder", "birch", "cedar"))
    rows, key = lines(judged / "ev/rating.jsonl"), json.loads((judged / "ev/rating.key.json").read_text())
    assert all(set(row) == {"instruction", "input", "answer"} for row in rows)
    owners = [one["model"] for one in key["key"]]
    long = [row["answer"].startswith("A much") for row in rows]
    assert [owner == "birch" for owner, yes in zip(owners, long, strict=True) if yes] == [True] * 11
    assert owners.count("birch") == 12
    assert owners != sorted(owners)


def test_again_it_asks_nothing(ready: Path, typed: Typed) -> None:
    """The same command, and the folder alone, print the same."""
    before, runs = result(ready), sorted(ready.glob("ev/judges/cedar/*"))
    counts = [asked(run) for run in runs]
    status, out, err = typed(*EVALUATE, JUDGE, "cache=off")
    assert status == 0, out + err
    assert (result(ready), [asked(run) for run in runs]) == (before, counts)
    status, again, err = typed("evaluate", "ev")
    assert status == 0, err
    assert again == out
    for words in (
        "ratings by cedar",
        "comparisons by cedar",
        "4 verdicts changed (44%) and count as ties",
        "the answer shown first was called better in 72%",
        "the longer answer had 100% of the wins",
        "left out: 4 answers and 2 pairs",
    ):
        assert words in " ".join(out.split()), out


def test_the_plan_has_the_judge(ready: Path, typed: Typed) -> None:
    """Its requests are in the plan, and nothing is asked."""
    status, out, err = typed(*EVALUATE, JUDGE, "to=new", "--plan")
    assert status == 0, err
    assert "judge, rating" in out and "judge, comparison" in out
    assert "no price" not in out
    keys = "{name: openai/mine, api_base: 'http://127.0.0.1:9/v1', api_key_env: null}"
    out = typed(*EVALUATE, f"eval.judge.model={keys}", "to=new", "--plan")[1]
    assert "no price is known for openai/mine" in out
    assert not (ready / "new").exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["eval.judge.model=nobody"], "nobody"),
        (["eval.judge.model=openai"], "OPENAI_API_KEY is not set"),
        (["eval.judge.modle=cedar"], "eval.judge.modle"),
        ([JUDGE, "eval.judge.rate=nothing"], "nothing"),
    ],
)
def test_a_judge_with_a_fault(ready: Path, typed: Typed, keys: list[str], words: str) -> None:
    """It is found before a model is asked."""
    refused(typed(*EVALUATE, *keys, "to=new"), words)
    assert not (ready / "new").exists()


# People


def answer_all(ann: Reviewer, question: str, answers: dict[str, str], rest: str) -> int:
    """Answer every record of a reviewer, by words on the page; return how many there were."""
    for count in range(100):
        if not ann.record:
            return count
        assert REASON not in ann.text and "cedar" not in ann.text
        given = next((value for words, value in answers.items() if words in ann.text), rest)
        ann.answer(question, given)
    raise AssertionError("the review does not end")


@pytest.fixture
def page(ready: Path) -> Iterator[ReviewServer]:
    """A review of the answers, as the command line offers it."""
    with ReviewServer(ready, "ev/rating", "review=rating", "--overlap", "3") as found:
        yield found


def test_people_rate_blindly_and_disagree(ready: Path, typed: Typed, page: ReviewServer) -> None:
    """They see neither model nor rating; the agreement is in the file, and the judge is said to disagree."""
    ann = page.reviewer("Ann")
    assert "A: valid and satisfying" in ann.text
    assert answer_all(ann, "rating", {"Short": "A", "A much": "D"}, "B") == 24
    assert answer_all(page.reviewer("Ben"), "rating", {}, "B") == 3
    assert "the results of the models: selfinstruct evaluate ev" in page.stop()
    status, out, err = typed("evaluate", "ev")
    assert status == 0, err
    found = result(ready)["ratings"]
    assert found["reviewers"] == {"Ann": 24, "Ben": 3}
    agreement = found["agreement"]
    assert agreement["records"] == 20
    assert agreement["weighted_kappa"] < agreement["kappa"] < 0
    assert agreement["disagrees"] is True
    assert [one["reviewers"] for one in agreement["between_people"]] == [["Ann", "Ben"]]
    assert "the judge disagrees with people" in out
    assert sum(one["rated"] for one in found["people"]["models"].values()) == 24
    assert found["people"]["models"]["alder"]["levels"]["A"]["count"] >= 8


def test_people_compare_without_a_judge(ready: Path, typed: Typed) -> None:
    """`eval.judge.people` prepares the pairs; each is shown once, and whoever prefers the long one agrees."""
    status, out, err = typed(*EVALUATE, "eval.judge.people=true", "to=by_people")
    assert status == 0, out + err
    assert "selfinstruct review by_people/comparison" in out
    assert not (ready / "by_people/judges").exists()
    with ReviewServer(ready, "by_people/comparison", "review=comparison") as server:
        ann = server.reviewer("Ann")
        assert "Which answer is better?" in ann.text
        for _ in range(11):
            first, second = (ann.text.index(words) for words in ("A much", "Short"))
            ann.answer("verdict", "first" if first < second else "second")
    typed("evaluate", "by_people")
    found = json.loads((ready / "by_people/evaluation.json").read_text())["judged"]
    assert (found["judge"], "judge" in found["pairs"]) == (None, False)
    (pair,) = found["pairs"]["people"]
    assert [pair[key] for key in ("wins", "ties", "losses")] == [11, 1, 0]
    assert pair["position"]["changed"] == 0


def test_other_answers_do_not_replace_what_people_reviewed(ready: Path, typed: Typed) -> None:
    """Reviews are of the answers that people saw; new answers need a folder of their own."""
    with ReviewServer(ready, "ev/rating") as server:
        server.reviewer("Ann").answer("rating", "A")
    refused(typed(*EVALUATE, JUDGE, "eval.judge.tasks=5"), "ev/rating", "to=DIR")
    assert typed(*EVALUATE, JUDGE, "eval.judge.tasks=5", "to=fresh")[0] == 0
    assert json.loads((ready / "fresh/evaluation.json").read_text())["judged"]["ratings"]["answers"] == 10
