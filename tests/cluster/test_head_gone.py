"""`executor=ray` when the cluster itself goes: its head is killed, or the whole cluster is stopped."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from children import start
from killing import data, stored
from machines import on, until, workers

pytest.importorskip("ray")
pytest_plugins = ("cluster_fixtures",)
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("environment"), pytest.mark.slow]
SCRIPTED = ["recipe=paper", "cache=off", "model=scripted", "model.concurrency=4", "target=120"]
SLOWLY = ["model.options.delay=2", "run_dir=run"]


def test_a_cluster_that_is_gone_ends_the_run(project: Path, cluster: Any, begun: list[Any]) -> None:
    """Before Ray ends the process: it says what to do, and executor=local goes on with what was received."""
    run, address = project / "run", cluster.address
    process = start(project, *SCRIPTED, *SLOWLY, *on(cluster))
    begun.append(process)
    until(partial(stored, run))
    assert len(workers(run, "begins")) == 2
    cluster.head_node.kill_gcs_server()
    cluster.head_node.kill_raylet()
    _, err = process.communicate()
    assert process.returncode == 1, err
    assert f"Ray at {address} is gone: " in err
    assert "executor=local. What was received is kept." in err
    assert "Traceback" not in err
    said = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [one["state"] for one in said if one["event"] == "cluster"] == ["gone"]
    assert said[-1]["state"] == "ends", "the run has ended in its own way"
    kept = stored(run)
    for folder in ("run", "calm"):
        process = start(project, *SCRIPTED, f"run_dir={folder}")
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert kept.items() <= stored(run).items()
    assert data(run) == data(project / "calm")
