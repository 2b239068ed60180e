"""CONTRIBUTING.md and the files for those who carry the project on say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfinstruct.records import Record

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_commands_are_targets_of_make() -> None:
    """Each `make …` that the page names is in the Makefile, and .ci/run runs what the page says."""
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make (\w+)", GUIDE, re.MULTILINE))
    assert named
    assert named <= rules
    required = set(re.findall(r"^make (\w+)", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE))
    assert required <= named


def test_the_filter_of_the_style_works() -> None:
    """The example after the change rejects what it says, with a reason."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    check = names["no_question"](field="output").each
    assert check(Record("a", "tasks", 1, 0, {"output": "Shall we?\n"})).reason == "it ends with a question"
    assert check(Record("b", "tasks", 1, 0, {"output": "We shall."})) is None


def test_one_version_everywhere() -> None:
    """The package, the citation and the newest entry of the changelog agree, and so do the authors."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"', project, re.MULTILINE)
    assert citation["version"] == version == re.findall(r"^## (\d\S*) - ", changes, re.MULTILINE)[0]
    (authors,) = re.findall(r"^authors = (.+)", project, re.MULTILINE)
    assert all(f'name = "{author["name"]}"' in authors for author in citation["authors"])


HOOKS = ".pre-commit-config.yaml"


def test_the_hooks_run_what_make_lint_runs() -> None:
    """With the tools of the environment, so that nothing is downloaded and no version differs."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (lint,) = re.findall(r"^lint:.*\n((?:\t.+\n)+)", makefile, re.MULTILINE)
    (local,) = yaml.safe_load((ROOT / HOOKS).read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == [
        line.strip().replace("$(BIN)", ".venv/bin") for line in lint.splitlines()
    ]


def test_a_commit_is_refused_where_the_style_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that nothing uses, and a line that is not formatted; without them the commit is made."""
    pytest.importorskip("pre_commit", reason="needs the extra dev")
    for name, value in {"PRE_COMMIT_HOME": str(tmp_path / "cache"), "GIT_CONFIG_GLOBAL": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    work = tmp_path / "work"
    (work / ".venv/bin").mkdir(parents=True)
    (work / ".venv/bin/ruff").symlink_to(Path(sysconfig.get_path("scripts")) / "ruff")
    (work / HOOKS).write_bytes((ROOT / HOOKS).read_bytes())

    def typed(*command: str) -> tuple[int, str]:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def commit(code: str) -> tuple[int, str]:
        (work / "module.py").write_text(code, encoding="utf-8")
        typed("git", "add", "module.py", HOOKS)
        return typed("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-m", "A change")

    typed("git", "init")
    assert typed(sys.executable, "-m", "pre_commit", "install")[0] == 0
    status, words = commit("import os\n")
    assert status != 0 and "F401" in words
    status, words = commit("a = [1,2]\n")
    assert status != 0 and "module.py" in words
    assert commit("a = [1, 2]\n")[0] == 0
