"""The batches of Anthropic: https://platform.claude.com/docs/en/api/messages/batches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from selfinstruct.llm import TransientError
from selfinstruct.llm.batch import follow
from selfinstruct.llm.batch.services import (
    EARLIER,
    PAGE,
    Batch,
    Line,
    mapping,
    number,
    seconds_of,
    whole,
    words_of,
)
from selfinstruct.llm.batch.wire import JSON
from selfinstruct.llm.direct.sending import Answer
from selfinstruct.llm.fine_tuning import UnknownError

if TYPE_CHECKING:
    from selfinstruct.llm.batch.stored import Stored
    from selfinstruct.llm.batch.wire import Wire

ENDED = "ended"
# The statuses with which these errors would come at once.
STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Anthropic:
    """Anthropic's batches, which need no file; see `Service`."""

    frame = (b'{"requests": [', b",\n", b"]}")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._root = f"{wire.url.path}/batches"

    def line(self, id: str, body: bytes) -> bytes:
        """See `Service`."""
        return json.dumps({"custom_id": id}).encode()[:-1] + b', "params": ' + body + b"}"

    async def upload(self, sent: Stored, file: BinaryIO) -> str:
        """See `Service`."""
        return ""

    async def ready(self, sent: Stored) -> bool:
        """See `Service`."""
        return True

    async def create(self, sent: Stored, file: BinaryIO) -> Batch:
        """See `Service`."""
        return _batch(await self._wire.ask("POST", self._wire.at(self._root), whole(file), JSON))

    async def find(self, sent: Stored) -> Batch | None:
        """See `Service`.

        Their batches have no name. The ids of a batch's requests begin with its key, but only its results
        show them; so a batch of the right time and size is waited for, and then looked at.

        Raises:
            TransientError: while one that may be it is not over.
        """
        unsure = False
        async for row in self._since(sent.made - EARLIER):
            batch = _batch(row)
            if batch.total != sent.count or row.get("archived_at"):
                continue
            if not batch.over:
                unsure = True
                continue
            async for line in self.results(replace(batch, answered=0)):  # one line is enough
                if sent.number_of(line.id) is not None:
                    return batch
                break
        if unsure:
            words = "a batch of the same time and size may be the one of this run; its end will show that"
            raise TransientError(words, wait=follow.LAST_LOOK)
        return None

    async def look(self, id: str) -> Batch:
        """See `Service`."""
        found = await self._wire.ask("GET", self._wire.at(f"{self._root}/{id}"))
        if found.get("archived_at"):  # some weeks after it was made
            raise UnknownError(f"the batch {id} is archived, so its results are deleted")
        return _batch(found)

    async def results(self, batch: Batch) -> AsyncIterator[Line]:
        """See `Service`."""
        url = self._wire.at(f"{self._root}/{batch.id}/results")
        async for row in self._wire.lines(url, batch.answered):
            yield _line(row)

    async def _since(self, moment: float) -> AsyncIterator[dict[str, Any]]:
        """The batches that were made since then, the newest first."""
        after: dict[str, str] = {}
        while True:
            # The first page shows how far the provider's clock is behind ours.
            page = await self._wire.ask("GET", self._wire.at(self._root, limit=str(PAGE), **after))
            for row in page.get("data") or []:
                if (seconds_of(row.get("created_at")) or moment) < moment - self._wire.behind:
                    return
                yield row
            if not page.get("has_more") or not page.get("last_id"):
                return
            after = {"after_id": str(page["last_id"])}


def _batch(found: dict[str, Any]) -> Batch:
    if not isinstance(found.get("id"), str):
        raise TransientError("its answer has no id; is model.api_base right?", misled=True)
    counts = {key: number(value) for key, value in mapping(found.get("request_counts")).items()}
    status = str(found.get("processing_status") or "")
    whole = bool(found.get("results_url")) or not any(counts.values())
    return Batch(
        id=found["id"],
        state=words_of(status),
        over=status == ENDED,
        whole=whole,
        missing=not whole,
        done=sum(counts.values()) - counts.get("processing", 0),
        total=sum(counts.values()),
        answered=counts.get("succeeded", 0),
        expires=seconds_of(found.get("expires_at")),
    )


def _line(row: dict[str, Any]) -> Line:
    id, result = str(row.get("custom_id")), mapping(row.get("result"))
    if result.get("type") == "succeeded":
        return Line(id, Answer(200, {}, json.dumps(result.get("message")).encode()))
    if result.get("type") != "errored":
        return Line(id, None, str(result.get("type") or "the provider gave no answer"))
    body = mapping(result.get("error"))
    inner = mapping(body.get("error")) or body
    status = STATUSES.get(str(inner.get("type")), 500)
    return Line(id, Answer(status, {}, json.dumps({"type": "error", "error": inner}).encode()))
