"""Secrets: no `${…}` reads them, and nothing that is printed, logged or stored holds one.

A key-like variable of the environment is blotted out of every text, however it is written there; what looks
like one and is none stays. Real runs against a server on this machine that repeats whatever it was sent.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from conftest import Typed, lines
from server import Answer, Asked, ModelServer, refused, status, text
from tiny_recipe import TINY, write_tiny

import selfinstruct
from selfinstruct.errors import RecipeError
from selfinstruct.project.resolving import resolved
from selfinstruct.safety.blot import BLOT, blotted, secrets

KEY = "sk-Zx+81/co \"q'7\\end&0"  # has every character that some language writes in a way of its own
TYPED = "sk-typed-4711-Abcdef"
PASSWORD = "hunter2-of-the-proxy"


@pytest.fixture
def tiny(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with the recipe `tiny` of `tiny_recipe`, and secrets in the environment."""
    monkeypatch.setenv("TINY_KEY", KEY)
    monkeypatch.setenv("SOME_TOKEN", TYPED)
    monkeypatch.setenv("ftp_proxy", f"http://bob:{PASSWORD}@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("selfinstruct.llm.attempts.FIRST_WAIT", 0.05)
    write_tiny(project)
    return project


def environment() -> dict[str, str]:
    """That of a process of its own, which finds this package wherever it is started."""
    package = str(Path(selfinstruct.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}


def disguises(secret: str) -> dict[str, str]:
    """A secret as it may be written, by what writes it so."""
    coded = secret.encode()
    return {
        "plain": secret,
        "JSON": json.dumps(secret)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "an address": quote(secret, safe=""),
        "an address, slashes as they are": quote(secret),
        "an address in lower case": quote(secret, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        "a form": quote_plus(secret),
        "HTML": html.escape(secret),
        "Python": repr(secret)[1:-1],
        "YAML": secret.replace("'", "''"),
        "base64": base64.b64encode(coded).decode(),
        "base64 of an address": base64.urlsafe_b64encode(coded).decode(),
        "base64 of Basic auth, one letter": base64.b64encode(b"u:" + coded + b"\n").decode(),
        "base64 of Basic auth, two letters": base64.b64encode(b"us:" + coded).decode(),
        "base64 of Basic auth, three letters": base64.b64encode(b"use:" + coded).decode(),
    }


def leaks(found: Iterable[tuple[str, bytes]], *hidden: str) -> list[str]:
    """Where a secret is, and in which disguise."""
    forms = [
        (how, (form[8:-8] if "base64" in how else form).encode())  # without what depends on its neighbours
        for secret in hidden
        for how, form in disguises(secret).items()
    ]
    return [f"{where}: {how}" for where, data in found for how, form in forms if form in data]


def everything(folder: Path) -> list[tuple[str, bytes]]:
    """Every file below a folder."""
    return [(str(path), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]


def echo(asked: Asked) -> Answer:
    """Repeats the key in everything that an answer has."""
    told = json.dumps(disguises(KEY)) + f" {TYPED} http://bob:{PASSWORD}@x"
    kind = asked.number % 5
    if kind == 1:
        return status(500, f"no luck with {told}", X_Key=quote(KEY))
    if kind == 2:
        return Answer({"error": {"message": f"Refused: {KEY}", "code": "content_policy_violation"}}, 400)
    if kind == 3:
        return refused()
    body = {
        "id": KEY,
        "object": "chat.completion",
        "created": 0,
        "model": f"{KEY} {TYPED}",
        "choices": [
            {
                "index": 0,
                "finish_reason": KEY,
                "message": {"role": "assistant", "content": f"1. Idea {asked.number} of {KEY}: {told}"},
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    }
    return Answer(body)


def test_what_a_server_repeats_is_nowhere(typed: Typed, tiny: Path) -> None:
    """In its errors, replies, model's name and finish reason; in a recipe and an override too; and again."""
    (tiny / "recipes/mine.yaml").write_text(
        TINY["recipes/tiny.yaml"]
        + f"prompts: {{ideas: {{template: 'Another, by {TYPED}: {{{{ examples[0].instruction }}}}'}}}}\n"
        + "export: {rows: {kind: alpaca, output: instruction}}\n"
    )
    with ModelServer(echo) as server:
        command = ["recipe=mine", f"model.api_base={server.base}", f"model.name=openai/{TYPED}"]
        command += ["model.retries=3", "run_dir=run", "model.concurrency=1"]
        told = [typed(*command, f"target={target}") for target in (3, 5)]
        assert [code for code, _, _ in told] == [0, 0], told[-1]
        assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in server.asked)
        assert TYPED in server.asked[0].prompt, "what is sent is as the recipe has it"
    printed = [
        (name, text.encode()) for out in told for name, text in zip(("out", "err"), out[1:], strict=True)
    ]
    stored = everything(tiny / "run") + everything(tiny / ".cache")
    assert len(lines(tiny / "run/ideas.jsonl")) == 5
    assert {"run.sqlite", "events.jsonl", "summary.json"} <= {Path(name).name for name, _ in stored}
    assert leaks([*printed, *stored], KEY, TYPED, PASSWORD) == []
    assert f"Idea 4 of {BLOT}" in lines(tiny / "run/ideas.jsonl")[0]["instruction"]
    assert f"name: openai/{BLOT}" in (tiny / "run/.hydra/config.yaml").read_text()
    assert "replies.sqlite" in {Path(name).name for name, _ in stored}
    code, out, err = typed("replay", "run", "run_dir=again")
    assert code == 0, err
    assert (
        leaks([("out", out.encode()), ("err", err.encode()), *everything(tiny / "again")], KEY, TYPED) == []
    )
    assert lines(tiny / "again/ideas.jsonl") == lines(tiny / "run/ideas.jsonl")


REFUSED = [
    "${oc.env:SOME_TOKEN}",
    "Bearer ${oc.env:SOME_TOKEN,none}",
    "${env:SOME_TOKEN}",
    "${oc.${part}:SOME_TOKEN}",
    "${oc.decode:${oc.env:SOME_TOKEN}}",
    "${oc.decode:'$${rest}'}",
    "${oc.select:nothing,${oc.env:SOME_TOKEN}}",
    "${oc.create:{a: ${oc.env:SOME_TOKEN}}}",
    "${oc.dict.values:${oc.env:SOME_TOKEN}}",
    "${hydra:job.env_set.SOME_TOKEN}",
    "${hydra:runtime.cwd}",
    "${now:%Y}",
    "${python_version:}",
    "${of_a_plugin:x}",
]


@pytest.mark.parametrize("value", REFUSED)
def test_no_value_reads_more_than_the_config(tiny: Path, value: str) -> None:
    """However it is put together, and whoever brings the function."""
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("of_a_plugin", lambda name: TYPED, replace=True)
    config = OmegaConf.create({"part": "env", "rest": "{oc.env:SOME_TOKEN}", "deep": {"value": value}})
    with pytest.raises(RecipeError) as error:
        resolved(config)
    assert "deep" in str(error.value)
    assert TYPED not in str(error.value)
    assert re.search("reads the environment|cannot use the function", str(error.value))


def test_from_python_other_configs_go_on_to_read_the_environment(tiny: Path) -> None:
    """Only ours are closed, and only while they are composed and resolved."""
    script = """
from omegaconf import OmegaConf
from selfinstruct.recipe.compose import compose
from pathlib import Path
composed = compose(["recipe=tiny", "model.name=openai/${oc.env:SOME_TOKEN}"], Path("."))
try:
    composed.recipe()
except Exception as error:
    print(error)
print(OmegaConf.create({"mine": "${oc.env:SOME_TOKEN}"}).mine)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    *refusal, last = done.stdout.splitlines()
    assert "model.name: reads the environment" in refusal[1]
    assert last == TYPED


def test_a_value_may_be_made_of_other_keys(tiny: Path) -> None:
    """Keys, and the functions that look at the config alone."""
    from omegaconf import OmegaConf

    config = OmegaConf.create(
        {
            "part": "b",
            "a": {"b": 5, "c": "${a.${part}}", "d": "${.b} of ${oc.select:a.x,7}", "e": "${oc.decode:'[1]'}"},
            "keys": "${oc.dict.keys:a}",
        }
    )
    assert resolved(config)["a"] == {"b": 5, "c": 5, "d": "5 of 7", "e": [1]}
    assert resolved(config)["keys"] == [*"bcde"]


@pytest.mark.parametrize(
    "entry",
    [
        "override /model: ${oc.env:SOME_TOKEN}",
        "override /model: [local, '${oc.env:SOME_TOKEN}']",
        "override /model@${oc.env:SOME_TOKEN}: local",
        "${oc.env:SOME_TOKEN}",
        "override /${oc.env:SOME_TOKEN}: local",
        "override /model: '${oc.${model}:SOME_TOKEN}'",
        "override /model: x${now:%Y}",
        "optional ${hydra:runtime.cwd}: local",
    ],
)
def test_no_defaults_list_is_put_together(typed: Typed, tiny: Path, entry: str) -> None:
    """In a recipe and in a file of conf; the entry is shown as it was written."""
    (tiny / "recipes/bad.yaml").write_text(f"defaults:\n  - {entry}\n")
    recipe = typed("check", "recipe=bad", "model=scripted")
    (tiny / "recipes/bad.yaml").unlink()
    (tiny / "conf/model/bad.yaml").write_text(f"defaults:\n  - {entry}\n")
    conf = typed("check", "recipe=tiny", "model=bad")
    for (code, out, err), file in ((recipe, "recipes/bad.yaml"), (conf, "conf/model/bad.yaml")):
        assert (code, out) == (1, "")
        assert f"{file}: the defaults list has the entry" in err
        assert "${" in err
        assert TYPED not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=${oc.env:SOME_TOKEN}"], "write the name itself"),
        (["recipe=${oc.env:SOME_TOKEN}"], "write the name itself"),
        (["+model@${oc.env:SOME_TOKEN}=local"], "write the name itself"),
        (["${oc.env:SOME_TOKEN}=1"], "write the name itself"),
        (["-m", "sweep_dir=${oc.env:SOME_TOKEN}", "seed=1,2"], "reads the environment"),
        (["-m", "model=${oc.env:SOME_TOKEN},local"], "write the name itself"),
        (["-m", "hydra.sweep.subdir=${oc.env:SOME_TOKEN}", "seed=1,2"], "hydra.sweep.subdir: reads the env"),
        (["run_dir=${oc.env:SOME_TOKEN}/x"], "run_dir: reads the environment"),
        (["model.name=openai/${oc.env:SOME_TOKEN}"], "model.name: reads the environment"),
        (["run_dir=runs/${now:%Y}"], "run_dir=runs/$(date +%F)"),
        (["--cfg", "job", "--resolve", "model.name=${oc.env:SOME_TOKEN}"], "reads the environment"),
        (["--cfg", "hydra", "hydra.job.env_copy=[SOME_TOKEN]"], "copy the environment"),
        (["--cfg", "hydra", "hydra.job={env_copy: [SOME_TOKEN]}"], "copy the environment"),
    ],
)
def test_nor_does_the_command_line(typed: Typed, tiny: Path, arguments: list[str], words: str) -> None:
    """The shell can fill in what a user wants filled in."""
    options = [part for part in arguments if part.startswith("-") or part in ("job", "hydra")]
    rest = [part for part in arguments if part not in options]
    code, out, err = typed(*options, *(["recipe=tiny"] if "recipe" not in rest[0] else []), *rest)
    assert (code, out) == (1, "")
    assert words in err
    assert TYPED not in err
    assert not [path for path in tiny.rglob("*") if TYPED in path.name]


def test_the_overrides_of_somebody_elses_run_are_texts(typed: Typed, tiny: Path) -> None:
    """A replay takes them from a file: no `${…}` in them is filled in, and no setting of Hydra's is taken."""
    saved = tiny / "theirs/.hydra/overrides.yaml"
    saved.parent.mkdir(parents=True)
    for override, words in (
        ("model.name=${oc.env:SOME_TOKEN}", "model.name: reads the environment"),
        ("+hydra.callbacks.x._target_=os.system", "has Hydra's own settings"),
        ("hydra.run.dir=x", "has Hydra's own settings"),
        ("--config-dir=x", "has Hydra's own settings"),
    ):
        saved.write_text(json.dumps(["recipe=tiny", override]))
        code, out, err = typed("replay", "theirs")
        assert (code, out) == (1, "")
        assert words in err
        assert TYPED not in err


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "apikey", "OPENAIAPIKEY", "openaiApiKey", "KEY", "KEY2", "AWS_SECRET_ACCESS_KEY"),
        *(
            "AWS_ACCESS_KEY_ID",
            "HF_TOKEN",
            "GITHUBTOKEN",
            "MY_OTHER_SECRET",
            "PGPASSWORD",
            "DB_PASS",
            "MYSQL_PWD",
        ),
        *("AZURE_CREDENTIALS", "BASIC_AUTH", "X-Api-Key", "client.secret", "SSH_PASSPHRASE"),
    ],
)
def test_the_name_of_a_variable_says_that_it_is_a_secret(name: str) -> None:
    """By its words, in whatever way they are joined."""
    assert secrets({name: "a1b2c3d4"}) == ["a1b2c3d4"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false-by-default-1"),
        ("KEYBOARD_LAYOUT", "de-latin1-nodeadkeys"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-XXXX1234567/agent.17"),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("PWD", "/home/somebody/project1"),
        ("MONKEY", "a1b2c3d4"),
        ("HOCKEY_TEAM", "a1b2c3d4"),
        ("KEY_FILE", "a1b2c3d4"),
        ("MAX_TOKENS", "100000000"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/google/key1.json"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "secrets/key1.json"),
        ("MY_KEY", "C:\\Users\\me\\key1"),
        ("MY_KEY", "~/keys/first1"),
        ("AZURE_AUTH", "https://login.example/tenant1"),
        *(("API_KEY", word) for word in ("none", "true", "password", "Password", "DISABLED", "a1b2c3d", "")),
        *(("API_KEY", word) for word in ("not-needed", "no_key_required", "localhost", "********")),
        ("KEY_REGION", "us-east-1"),
    ],
)
def test_what_only_looks_like_a_secret_stays(name: str, value: str) -> None:
    """Paths, addresses, counts and plain words, which a text may have without any secret."""
    assert secrets({name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("HTTPS_PROXY", "http://bob:s3cr3t@proxy:80", "bob:s3cr3t"),
        ("DATABASE_URL", "postgres://bob:p%40ss%2Fw0rd@db/x", "p@ss/w0rd"),
        ("REDIS_URL", "redis://:longer-than-8@h", "longer-than-8"),
        ("GIT_URL", "https://ghp_0123456789abcdef@github.com/x", "ghp_0123456789abcdef"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "/K7MDENG+bPxRfiCYEXAMPLEKEYwJalrXUtnFEMI",
            "/K7MDENG+bPxRfiCYEXAMPLEKEYwJalrXUtnFEMI",
        ),
        ("MAIL_PASSWORD", "abcdefghijklmnop", "abcdefghijklmnop"),
        (
            "GOOGLE_CREDENTIALS",
            '{"type": "x", "private_key": "-----BEGIN\\nMIIEvQIBADAN9\\n"}',
            "MIIEvQIBADAN9",
        ),
        ("SSH_KEY", "-----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END KEY-----", "b3BlbnNzaC1rZXktdjE"),
    ],
)
def test_a_secret_inside_a_value(name: str, value: str, hidden: str) -> None:
    """The password in an address whatever the variable is called, the lines of a key, the parts of JSON."""
    assert hidden in secrets({name: value})


def test_the_environment_is_that_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable set later counts, and one taken away no longer."""
    assert blotted(f"a {KEY}") == f"a {KEY}"
    monkeypatch.setenv("LATE_KEY", KEY)
    assert blotted(f"a {KEY}, {quote(KEY)}") == f"a {BLOT}, {BLOT}"
    monkeypatch.delenv("LATE_KEY")
    assert blotted(f"a {KEY}") == f"a {KEY}"


def test_a_sweep_keeps_no_secret(typed: Typed, tiny: Path) -> None:
    """In Hydra's own file, the jobs' files, the tables and on the screen; a second start runs none again."""
    sweep = ["-m", "recipe=tiny", f"model.name=openai/{TYPED}", "seed=1,2", "sweep_dir=s", "target=1"]
    with ModelServer(lambda asked: text(f"1. Idea {asked.number} of {TYPED}")) as server:
        told, sent = [], []
        for _ in range(2):
            told.append(typed(*sweep, f"model.api_base={server.base}"))
            sent.append(len(server.asked))
    assert [code for code, _, _ in told] == [0, 0], told
    assert sent[0] == sent[1]
    printed = [("printed", (out + err).encode()) for _, out, err in told]
    assert {"multirun.yaml", "sweep.csv", "job.json"} <= {
        Path(name).name for name, _ in everything(tiny / "s")
    }
    assert leaks([*printed, *everything(tiny / "s")], TYPED, KEY) == []
    assert json.loads((tiny / "s/sweep.json").read_text())["jobs"][0]["figures"]["accepted"] == 1


def test_the_password_in_an_address_is_not_kept(typed: Typed, tiny: Path) -> None:
    """Of a model's server, typed on the command line; not where the plan, a fault or a run has it."""
    base = f"http://bob:{PASSWORD[::-1]}@127.0.0.1:9/v1"
    for arguments in (["check"], ["run", "model.retries=0"], ["check", "target=-1"], ["check", "modell.x=1"]):
        _, out, err = typed(*arguments, "recipe=tiny", f"model.api_base={base}", "run_dir=run")
        assert leaks([("out", out.encode()), ("err", err.encode())], PASSWORD[::-1]) == [], arguments
    assert leaks(everything(tiny / "run"), PASSWORD[::-1]) == []
    assert f"http://{BLOT}" in (tiny / "run/.hydra/overrides.yaml").read_text()


def test_a_bugs_traceback_and_what_libraries_say_are_blotted(tiny: Path) -> None:
    """Whatever a process of ours writes to its streams, by whomever."""
    script = """
import logging, os, sys, warnings
from selfinstruct.cli import main as cli
def bug(arguments):
    key = os.environ["TINY_KEY"]
    logging.getLogger("some.library").warning("sent %s", key)
    warnings.warn(f"used {key}")
    print("printed", key)
    raise KeyError(key)
cli._verb = bug
sys.argv = ["selfinstruct"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment())
    assert leaks([("out", done.stdout), ("err", done.stderr)], KEY) == []
    for words in ("sent ***", "used ***", "Traceback", "KeyError: '***'"):
        assert words in done.stderr.decode()
    assert done.stdout.decode() == "printed ***\n"
