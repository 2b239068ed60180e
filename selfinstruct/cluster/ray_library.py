"""Ray itself: the only module that imports it, and it does so when a function is called.

Ray writes nothing of its own into our output, sends no usage statistics and opens no dashboard. A connection
is opened and ended in the thread of a `link`; in the main one, Ray would replace the handler of SIGTERM.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfinstruct.cluster.worker import Worker
from selfinstruct.config import ExecutorConfig
from selfinstruct.errors import ModelError

ADDRESS = "RAY_ADDRESS"
OWN = "local"  # Ray's word for a new cluster on this machine
AUTO = "auto"  # Ray's word for the one that runs on this machine
LONGEST_CONNECT = 5.0  # seconds
LONGEST_ANSWER = 60.0  # seconds in which a machine says what it has; its first process starts in it
STORE = 100 << 20  # bytes for large objects, of which there are none here; Ray itself takes 30% of the memory
LEFT = "its machine has left the cluster"
# How HTTP/2 begins (RFC 9113, 3.4): these words, and a frame of settings without any.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
SETTINGS = 4  # the kind of frame that a server begins with
TLS = "RAY_USE_TLS"
START = "start one with: ray start --head, and on each other machine: ray start --address=HOST:6379"


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    Attributes:
        id: Ray's name for it.
        name: its name for people: host, and the beginning of its id.
        cpus: CPUs that Ray gives out there.
        gpus: GPUs likewise.
        memory: bytes likewise.
    """

    id: str
    name: str
    cpus: float
    gpus: float
    memory: float

    def room(self, cpus: float, gpus: float) -> int:
        """How many workers fit, if nothing else runs there."""
        parts = [(self.cpus, cpus), (self.gpus, gpus)]
        return min((int(has / each + 1e-9) for has, each in parts if each), default=1)


def address_of(config: ExecutorConfig) -> str:
    """The address of the cluster; `OWN` if a run starts one on this machine."""
    return config.address or os.environ.get(ADDRESS) or OWN


class Connection:
    """A connection to a cluster, which may be one of its own.

    Args:
        config: where the cluster is.

    Raises:
        ModelError: if there is no cluster, or this process cannot use it.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        self.address = address_of(config)
        self._folder: Path | None = None
        _reachable(self.address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        _use_token()
        import ray

        logging.getLogger("ray").setLevel(logging.CRITICAL)
        self._ray: Any = ray
        self._ours = not ray.is_initialized()  # not within a program that uses Ray itself
        if self._ours:
            self._begin()

    def _begin(self) -> None:
        quiet = {"log_to_driver": False, "configure_logging": False}
        own: dict[str, Any] = {}
        if self.address == OWN:
            # A folder of its own, which can be deleted; short, since sockets lie in it.
            self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp" if os.name == "posix" else None))
            # Nobody may wait for Ray any more when the process ends.
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            os.environ.setdefault("RAY_worker_niceness", "0")  # Ray lets other work go first
            own = {"include_dashboard": False, "object_store_memory": STORE, "_temp_dir": str(self._folder)}
        try:
            self._ray.init(address=self.address, **quiet, **own)
        except Exception as error:  # of many types, which Ray does not list
            self.end()
            raise ModelError(_why_not(self.address, error)) from error

    def end(self) -> None:
        """End the connection and all workers; and the cluster, if it is of our own."""
        if self._ours:
            with suppress(Exception):  # the cluster may be gone
                self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def nodes(self) -> list[Node]:
        """The machines that are there now."""
        found = []
        for row in self._ray.nodes():
            has = row["Resources"]
            name = f"{row['NodeManagerHostname']} ({row['NodeID'][:6]})"
            sizes = [has.get(key, 0.0) for key in ("CPU", "GPU", "memory")]
            if row["Alive"]:
                found.append(Node(row["NodeID"], name, *sizes))
        return sorted(found, key=lambda node: node.id)

    def ask(
        self, nodes: Sequence[Node], packages: tuple[str, ...], variables: tuple[str, ...]
    ) -> list[tuple[dict[str, str], list[str]] | None]:
        """What each machine says (see `probe.facts`); None for one that does not answer in time."""
        from selfinstruct.cluster import probe

        self._ray.cloudpickle.register_pickle_by_value(probe)
        task = self._ray.remote(num_cpus=0, max_retries=0)(probe.facts)
        sent = [
            task.options(scheduling_strategy=self._there(node)).remote(packages, variables) for node in nodes
        ]
        ready, _ = self._ray.wait(sent, num_returns=len(sent), timeout=LONGEST_ANSWER)
        return [self._answer(one) if one in ready else None for one in sent]

    def _answer(self, one: Any) -> tuple[dict[str, str], list[str]] | None:
        try:
            found: tuple[dict[str, str], list[str]] = self._ray.get(one)
            return found
        except Exception:  # the machine has gone, or cannot start a process
            return None

    def worker(self, node: Node, config: ExecutorConfig) -> Any:
        """Start a worker on a machine; Ray starts no other in its place."""
        actor = self._ray.remote(Worker).options(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            max_restarts=0,
            scheduling_strategy=self._there(node),
        )
        return actor.remote()

    def kill(self, actor: Any) -> None:
        """End a worker at once, if it is still there."""
        with suppress(Exception):
            self._ray.kill(actor)

    def _there(self, node: Node) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node.id, soft=False)


def why_dead(error: BaseException) -> str:
    """Why a worker does not answer, in words."""
    text = str(error)
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "it did not answer any more"
    if "ModuleNotFoundError" in text or "ImportError" in text:
        return "selfinstruct cannot be imported there: " + text.strip().splitlines()[-1]
    if "node has died" in text or "NODE_DIED" in text or type(error).__name__ == "ActorUnschedulableError":
        return LEFT
    if "low on memory" in text or "OUT_OF_MEMORY" in text:
        return "Ray ended it, since the memory of its machine ran out"
    return "its process ended by a crash, or was killed, as when memory runs out"


def _reachable(address: str) -> None:
    """Refuse an address at which no Ray listens; Ray itself would try for minutes, and write warnings.

    Raises:
        ModelError: if it is wrong, or nobody listens, or somebody who does not speak as Ray does.
    """
    if address in (OWN, AUTO):
        return
    if address.startswith("ray://"):
        what = f"{address} is an address for Ray's client, which is too slow here"
        raise ModelError(
            f"executor.address: {what}\n  start the run on a machine of the cluster, with "
            "executor.address=HOST:6379"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ModelError(f"executor.address: {address!r} is not HOST:PORT, such as 10.0.0.1:6379")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), LONGEST_CONNECT) as connection:
            spoken = os.environ.get(TLS, "0") != "0" or _speaks_http2(connection)
    except (OSError, OverflowError) as error:
        what = f"no Ray cluster answers at {address} ({getattr(error, 'strerror', None) or error})"
        raise ModelError(f"executor.address: {what}\n  {START}") from error
    if not spoken:
        what = f"something answers at {address}, but not as a Ray cluster does"
        remedy = "the port is that of ray start --head: 6379, unless --port says another"
        raise ModelError(f"executor.address: {what}\n  {remedy}")


def _speaks_http2(connection: socket.socket) -> bool:
    """Whether the other end speaks HTTP/2, as gRPC and so Ray do."""
    connection.sendall(PREFACE)
    try:
        return connection.makefile("rb").read(4)[3:] == bytes([SETTINGS])
    except TimeoutError:
        return False


def _use_token() -> None:
    """Have Ray use the token of this machine, if there is one, as `ray start --head` does by itself."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named or (Path.home() / ".ray/auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _why_not(address: str, error: BaseException) -> str:
    """The message for an error of `ray.init`."""
    text = " ".join(line.strip() for line in str(error).strip().splitlines())
    while cause := error.__cause__ or error.__context__:
        error = cause
    where = "a Ray cluster cannot be started here" if address == OWN else f"{address} cannot be used"
    remedy = START
    if "ersion mismatch" in text:
        remedy = "install the same versions of Python and Ray on all machines and here, then start Ray again"
    elif "authentication" in str(error).lower():
        text = "it asks for its token, and there is none here, or another one"
        remedy = "copy ~/.ray/auth_token from the cluster's first machine; RAY_AUTH_MODE is token, or not set"
    elif address == OWN:
        remedy = "start one yourself, which says more: ray start --head"
    return f"executor: {where}: {text[:500]}\n  {remedy}"
