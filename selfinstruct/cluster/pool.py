"""The workers of a run, seen from the driver: who is there, which calls each has in hand, and who died.

Calls go out and results come back in batches, since one call of Ray costs as much processor time as many
requests. A call goes to the worker with the fewest in hand, so that each has its share of what the endpoint's
limits let through. When a worker dies, its calls fail with `LostError`, and another is started in its place.
Nothing here waits on when the run stops, since Ray or a worker may never answer.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from selfinstruct.cluster import ray_library as library
from selfinstruct.cluster import room
from selfinstruct.cluster.link import LONGEST_END, Link, unless_stopped
from selfinstruct.cluster.member import Member
from selfinstruct.cluster.ray_library import Connection, Node
from selfinstruct.cluster.remote import Remote
from selfinstruct.cluster.wire import Form, error_of, form_of_model, reply_of
from selfinstruct.cluster.worker import FAILED, HEARD, NOTED, REPLIED
from selfinstruct.config import ExecutorConfig, ModelConfig
from selfinstruct.errors import ModelError
from selfinstruct.llm import LostError, ModelKind, Opened
from selfinstruct.llm.endpoint import RunContext
from selfinstruct.records import Reply

LOOK = 2.0  # seconds between two looks at the machines
LONGEST_START = 120.0  # seconds without any worker after which the run ends
LONGEST_LOOK = 20.0  # seconds in which the cluster has to answer; Ray itself ends our process after 60
SETTLE = 60.0  # seconds for which the first request waits for all workers
DEATHS = 3  # in a row on a machine, without a reply, after which it gets no more workers
KEPT = "What was received is kept: to continue, run the same command again."


class Pool:
    """The workers of a run; they start when the first model is prepared.

    Args:
        config: where they are, how many, and what each needs.
        context: the objects of the run.
        models: all models that the run may ask; their keys must be on the machines.
        stop: gets the reason for which the run stops.
    """

    def __init__(
        self,
        config: ExecutorConfig,
        context: RunContext,
        models: Sequence[ModelConfig],
        stop: asyncio.Future[None],
    ) -> None:
        self._config, self._context, self._asked, self._stop = config, context, models, stop
        self._link: Link | None = None
        self._connection: Connection | None = None
        self._starting = asyncio.Lock()
        self._known: dict[str, Node] = {}  # the machines that were found in order
        self._members: list[Member] = []
        self._models: dict[int, Remote] = {}
        self._numbers = self._calls = self._hired = 0
        self._deaths: Counter[str] = Counter()  # by machine, in a row
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: BaseException | None = None
        self._alone_since: float | None = None
        stop.add_done_callback(lambda _: self._notify())

    async def open(self, kind: ModelKind, config: ModelConfig, project: Path) -> Opened:
        """A model that is open on the workers; see `llm.Opener`."""
        here = await asyncio.to_thread(kind.open, config, project)
        self._numbers += 1
        return Remote(self._numbers, here, config, self)

    async def prepare(self, model: Remote) -> None:
        """Open a model on all workers, which are started if there are none.

        Raises:
            ModelError: if the cluster cannot be used, or a worker cannot open the model.
            Interrupted: if the run stops meanwhile.
        """
        async with self._starting:
            if self._failed:
                raise self._failed
            first = self._connection is None
            if first:
                await self._begin()
        self._models[model.number] = model
        waited = [member for member in self._members if first or member.pid]  # others open it when they begin
        for one in await unless_stopped(self._stop, [member.open(model.number) for member in waited], SETTLE):
            if not one.cancelled() and isinstance(one.exception(), ModelError):
                one.result()
        await self._pick(model.number)

    async def ask(self, number: int, kind: str, asked: Any) -> list[Reply | None]:
        """The replies of a model to what is asked.

        Args:
            number: the model's number.
            kind: `worker.COMPLETE` or `worker.EMBED`.
            asked: plain data.

        Raises:
            LostError: if the worker died that had the call.
            ModelError: as the model; or if no worker can be had any more.
        """
        member = await self._pick(number)
        self._calls += 1
        forms = await member.ask(self._calls, (self._calls, number, kind, asked))
        return [reply_of(form) for form in forms]

    def release(self, number: int) -> None:
        """Close a model on all workers."""
        if self._models.pop(number, None):
            for member in self._members:
                member.close(number)

    async def close(self) -> None:
        """End the workers, and the cluster if the run has started it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link and self._connection:
            for member in self._members:
                self._link.do(partial(self._connection.kill, member.actor))
        if self._link:
            ended = asyncio.wrap_future(self._link.end())
            if self._connection:
                await asyncio.wait([ended], timeout=LONGEST_END)
            ended.cancel()

    async def _begin(self) -> None:
        """Start the workers, or remember why that is not possible."""
        try:
            await self._start()
        except ModelError as error:
            self._failed = error
            raise

    async def _start(self) -> None:
        """Connect, check the cluster, and start the workers."""
        progress, config = self._context.progress, self._config
        if self._stop.done():
            await self._stop
        self._link = link = Link(config)
        with progress.busy(link.what):
            await unless_stopped(self._stop, [asyncio.wrap_future(link.opening)], link.longest)
        self._connection = connection = link.opened()
        with progress.busy("asking the machines for their versions"):
            looking = link.ask(partial(room.look, connection, config, self._asked))
            nodes, faults = (await unless_stopped(self._stop, [looking]))[0].result()
        room.refuse(faults)
        self._known = {node.id: node for node in room.usable(nodes, config)}
        self._hire()
        where = "Ray on this machine" if link.own else f"the Ray cluster at {connection.address}"
        machines = len({member.node.id for member in self._members})
        progress.say(f"{where}: workers: {len(self._members)}, on {machines} of {len(nodes)} machines")
        self._keep(self._watch())

    async def _watch(self) -> None:
        """Look for machines that join, replace workers that died, and end a run that has none for long."""
        assert self._connection and self._link
        while True:
            await asyncio.sleep(LOOK)
            try:
                nodes = await asyncio.wait_for(self._link.ask(self._connection.nodes), LONGEST_LOOK)
            except Exception as error:  # Ray's errors have many types
                silent = isinstance(error, TimeoutError | asyncio.TimeoutError)
                self._cut_off("it did not answer any more" if silent else str(error).partition("\n")[0])
                return
            new = [node for node in room.usable(nodes, self._config) if node.id not in self._known]
            if new:
                await self._admit(new)
            there = {node.id for node in nodes}
            self._known = {id: node for id, node in self._known.items() if id in there}
            self._hire()
            self._give_up()

    def _cut_off(self, why: str) -> None:
        """End the run, since the cluster does not answer any more."""
        assert self._connection
        where = f"Ray at {self._connection.address}"
        remedy = "when the cluster runs again, run the same command again; or go on here: executor=local"
        self._failed = ModelError(f"{where} is gone: {why}\n  {remedy}. What was received is kept.")
        lost, self._members, self._link = self._members, [], None  # nobody waits for Ray any more
        moved = sum(member.lose(LostError(f"{where} is gone")) for member in lost)
        self._context.events.tell("cluster", state="gone", why=why, requests=moved)
        self._notify()

    async def _admit(self, new: Sequence[Node]) -> None:
        """Accept machines that have joined, unless they differ from this one."""
        link, connection, context = self._link, self._connection, self._context
        assert link and connection
        for node in new:
            faults = await link.ask(partial(room.faults_there, connection, [node], self._asked))
            self._known[node.id] = node
            if faults:
                self._deaths[node.id] = DEATHS
                words = "; ".join(fault.what for fault in faults)
                context.events.tell("worker", state="refused", machine=node.name, why=words)
                context.progress.say(f"{node.name} has joined, but gets no worker: {words}")

    def _hire(self) -> None:
        """Start the workers that are lacking."""
        assert self._connection
        fine = [node for node in self._known.values() if self._deaths[node.id] < DEATHS]
        there = Counter(member.node.id for member in self._members)
        for node in room.places(fine, self._config, there):
            self._hired += 1
            member = Member(self._hired, node, self._connection.worker(node, self._config), self._form)
            self._members.append(member)
            self._keep(self._serve(member))

    def _form(self, number: int) -> tuple[Form, str]:
        """What a worker needs to open a model, and the user's folder."""
        config = self._models[number].config
        workers = self._config.workers or len(self._members)
        share = math.ceil(config.concurrency / max(1, workers))
        return form_of_model(config, share), str(self._context.project.resolve())

    async def _serve(self, member: Member) -> None:
        """Take a worker's results until it dies."""
        try:
            await member.begin()
            for number in list(self._models):
                await member.open(number)
            facts = {"worker": member.number, "machine": member.node.name, "pid": member.pid}
            self._context.events.tell("worker", state="begins", **facts)
            self._notify()
            while True:
                for result in await member.results():
                    self._take(member, *result)
        except ModelError as error:  # it cannot open a model
            self._deaths[member.node.id] = DEATHS
            self._lose(member, str(error))
        except Exception as error:  # Ray's errors have many types
            why = library.why_dead(error)
            if why == library.LEFT:
                self._known.pop(member.node.id, None)
            self._lose(member, why)

    def _take(self, member: Member, number: int, kind: str, what: Any) -> None:
        """Deal with one result of a worker."""
        if kind == REPLIED:
            self._deaths[member.node.id] = 0
            member.answered(number, what)
        elif kind == FAILED:
            self._deaths[member.node.id] = 0
            member.failed(number, error_of(what))
        elif model := self._models.get(number):
            if kind == HEARD and model.heard:
                model.heard(what)
            elif kind == NOTED and model.noted:
                model.noted(what)

    def _lose(self, member: Member, why: str) -> None:
        """Note that a worker died, and give its calls back to those who asked."""
        if member not in self._members or not self._connection or not self._link:
            return
        self._members.remove(member)
        self._link.do(partial(self._connection.kill, member.actor))
        self._deaths[member.node.id] += 1
        moved = member.lose(LostError(f"worker {member.number} on {member.node.name} died: {why}"))
        facts = {"worker": member.number, "machine": member.node.name, "pid": member.pid}
        self._context.events.tell("worker", state="dies", why=why, requests=moved, **facts)
        words = f"worker {member.number} on {member.node.name} died: {why}"
        again = f"; {moved} request{' is' if moved == 1 else 's are'} sent again" if moved else ""
        self._context.progress.trouble("worker", f"{words}{again}")
        if self._deaths[member.node.id] >= DEATHS:
            self._give_up(words)
        self._notify()  # `_watch` starts another one, after the cluster has answered

    def _give_up(self, words: str = "") -> None:
        """End the run if no machine is left that may have a worker, or if none has one for long."""
        now = asyncio.get_running_loop().time()
        if any(member.models for member in self._members):
            self._alone_since = None
            return
        self._alone_since = self._alone_since or now
        remedy = (
            "give each worker more room: fewer of them (executor.workers), or more for each (executor.cpus); "
            f"the folder logs of Ray on that machine says more.\n  {KEPT}"
        )
        if self._known and all(self._deaths[id] >= DEATHS for id in self._known) and not self._members:
            self._failed = ModelError(f"no worker lives long enough: {words}\n  {remedy}")
        elif now - self._alone_since > LONGEST_START:
            what = f"no worker could be started for {LONGEST_START:.0f} s: the cluster may have no room left"
            self._failed = ModelError(f"{what}\n  {remedy}")
        self._notify()

    async def _pick(self, number: int) -> Member:
        """The worker with the fewest calls in hand that has the model open; waits for one."""
        while True:
            if self._failed:
                raise self._failed
            fit = [member for member in self._members if number in member.models]
            if fit:
                return min(fit, key=lambda member: len(member.in_hand))
            if self._stop.done():
                await self._stop
            await self._news.wait()

    def _notify(self) -> None:
        """Wake all who wait for a worker."""
        self._news.set()
        self._news = asyncio.Event()

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # a task without a reference may be collected
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Forget a task; a fault of ours in it ends the run."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error:
            self._failed = self._failed or error
            self._notify()
