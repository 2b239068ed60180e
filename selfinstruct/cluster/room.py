"""What a cluster offers, and what is wrong with it for this run; found before the first request."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from importlib.metadata import version

from selfinstruct.cluster.link import LONGEST_END, Link
from selfinstruct.cluster.probe import PACKAGES
from selfinstruct.cluster.ray_library import OWN, Connection, Node, address_of
from selfinstruct.config import ExecutorConfig, ModelConfig
from selfinstruct.errors import Fault, ModelError, RecipeError
from selfinstruct.llm import keys
from selfinstruct.monitor.progress import Progress

GIB = 1 << 30


def variables_of(models: Iterable[ModelConfig]) -> tuple[str, ...]:
    """The variables with keys that these models use here, and so need on the workers."""
    found: set[str] = set()
    for model in models:
        if model.api_key_env:
            found.add(model.api_key_env)
        elif model.kind == "litellm" and not model.api_base:
            found |= keys.variables(model.name.partition("/")[0])
    return tuple(sorted(name for name in found if keys.is_set(name)))


def usable(nodes: Iterable[Node], config: ExecutorConfig) -> list[Node]:
    """The machines on which a worker fits."""
    return [node for node in nodes if node.room(config.cpus, config.gpus)]


def places(nodes: Sequence[Node], config: ExecutorConfig, there: Counter[str]) -> list[Node]:
    """The machines on which to start workers now, one entry for each worker.

    Args:
        nodes: the machines that may have workers.
        config: how many workers there should be, and what each needs.
        there: the workers that each machine has, by its id.
    """
    room = {node.id: node.room(config.cpus, config.gpus) for node in nodes}
    if config.workers is None:
        wanted = {node.id: room[node.id] if config.gpus else min(1, room[node.id]) for node in nodes}
        return [node for node in nodes for _ in range(wanted[node.id] - there[node.id])]
    found, there = [], there.copy()
    for _ in range(config.workers - there.total()):
        free = [node for node in nodes if there[node.id] < room[node.id]]
        if not free:
            break
        best = min(free, key=lambda node: (there[node.id], -room[node.id], node.id))
        there[best.id] += 1
        found.append(best)
    return found


def look(
    connection: Connection, config: ExecutorConfig, models: Sequence[ModelConfig]
) -> tuple[list[Node], list[Fault]]:
    """The machines of the cluster, and what is wrong with it for this run."""
    nodes = connection.nodes()
    fit = usable(nodes, config)
    return nodes, [*_of_room(nodes, fit, config), *faults_there(connection, fit, models)]


def refuse(faults: Sequence[Fault]) -> None:
    """Refuse a cluster that has faults.

    Raises:
        ModelError: with all of them.
    """
    if faults:
        raise ModelError(str(RecipeError(faults, "on the cluster")).partition(": ")[2])


def _of_room(nodes: Sequence[Node], fit: Sequence[Node], config: ExecutorConfig) -> Iterator[Fault]:
    most = sum(node.room(config.cpus, config.gpus) for node in fit)
    needs = f"{config.cpus:g} CPUs" + (f" and {config.gpus:g} GPUs" if config.gpus else "")
    has = f"{_sum(nodes)}"
    if not most:
        what = f"no worker fits: each needs {needs}, and the cluster has {has}"
        yield Fault("executor", what, "set executor.cpus and executor.gpus lower, or add a machine")
    elif config.workers and config.workers > most:
        what = f"{config.workers} workers do not fit: each needs {needs}, and the cluster has {has}"
        remedy = f"set executor.workers={most}, set executor.cpus lower, or add machines"
        yield Fault("executor.workers", what, remedy)


def faults_there(connection: Connection, nodes: Sequence[Node], models: Sequence[ModelConfig]) -> list[Fault]:
    """Versions that differ on a machine from those here, and keys that it lacks."""
    variables = variables_of(models)
    here = {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    found = []
    for node, said in zip(nodes, connection.ask(nodes, PACKAGES, variables), strict=True):
        if said is None:
            what = "starts no process: Ray got no answer within a minute"
            remedy = "look into the folder logs of Ray there, or remove the machine"
            found.append(Fault(node.name, what, remedy))
            continue
        versions, missing = said
        for name, own in here.items():
            if versions[name] != own:
                there = f"has {name} {versions[name]}" if versions[name] else f"has no {name}"
                remedy = f"install {name} {own} there, then start Ray there again"
                found.append(Fault(node.name, f"{there}, and this process has {own}", remedy))
        for name in missing:
            what = f"the environment variable {name} is set here, but not there"
            remedy = f"there: ray stop; export {name}=…; and start Ray again (no key is ever sent)"
            found.append(Fault(node.name, what, remedy))
    return found


def offer(config: ExecutorConfig, models: Sequence[ModelConfig]) -> list[str]:
    """What the cluster offers, in lines for `check`.

    Raises:
        ModelError: if it cannot be used for this run.
    """
    if address_of(config) == OWN:
        return ["Ray on this machine, which the run starts; for a cluster: executor.address=HOST:6379"]
    with _connected(config) as connection:
        nodes, faults = look(connection, config, models)
        refuse(faults)
    fit = usable(nodes, config)
    begun = Counter(node.id for node in places(fit, config, Counter()))
    lines = [f"Ray {version('ray')} at {connection.address}: machines: {len(nodes)}, {_sum(nodes)}"]
    for node in nodes:
        most = node.room(config.cpus, config.gpus)
        lines.append(f"{node.name}: {_sum([node])}; workers: {begun[node.id]}, room for {most}")
    same = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [*lines, f"all have Python {platform.python_version()}, {same}"]


@contextmanager
def _connected(config: ExecutorConfig) -> Iterator[Connection]:
    """A connection for a moment."""
    link = Link(config)
    try:
        with Progress().busy(link.what):
            wait([link.opening], link.longest)
        yield link.opened()
    finally:
        ended = link.end()
        if link.opening.done():
            wait([ended], LONGEST_END)


def _sum(nodes: Sequence[Node]) -> str:
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    memory = math.floor(sum(node.memory for node in nodes) / GIB)
    return f"{cpus:g} CPUs, {gpus:g} GPUs, {memory} GiB"
