"""A cluster of two machines, which are processes here, for all tests of a module.

pytest_plugins = ("cluster_fixtures",)
pytestmark = pytest.mark.usefixtures("environment")
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from machines import KEY, machines


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """Ray leaves the environment of later tests as it was; copies of a process depend on it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def cluster(environment: None) -> Iterator[Any]:
    """Two machines."""
    with ExitStack() as stack:
        try:
            two = stack.enter_context(machines(2, variables=KEY))
        except Exception as error:  # only Ray's own code runs here; not all its limits can be raised
            pytest.skip(f"Ray does not start on this machine now: {error}")
        yield two


@pytest.fixture
def begun() -> Iterator[list[Any]]:
    """Processes that a test has started; those that run at its end, since it failed, are killed."""
    processes: list[Any] = []
    yield processes
    for one in processes:
        if one.poll() is None:
            one.kill()
