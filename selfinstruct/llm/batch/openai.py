"""The batches of OpenAI, of servers that speak as OpenAI does, and of Azure.

The shapes are those of https://platform.openai.com/docs/api-reference/batch and of
https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO

from aiohttp import FormData

from selfinstruct.errors import ModelError
from selfinstruct.llm import TransientError
from selfinstruct.llm.answers import said_in_json
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
from selfinstruct.llm.direct.sending import Answer
from selfinstruct.llm.direct.texts import CHAT, COMPLETION
from selfinstruct.llm.fine_tuning import NOT_READY
from selfinstruct.llm.signs import QUEUE_FULL

if TYPE_CHECKING:
    from selfinstruct.llm.batch.stored import Stored
    from selfinstruct.llm.batch.wire import Wire

OVER = ("completed", "failed", "expired", "cancelled", "canceled")
# The codes of requests that the provider did not get to.
NOT_DONE = ("batch_expired", "batch_cancelled", "batch_canceled")


class OpenAI:
    """OpenAI's batches; see `Service`."""

    frame = (b"", b"\n", b"\n")
    version = "/v1"  # what the address in a line begins with

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        path = wire.url.path
        end = CHAT if path.endswith(CHAT) else COMPLETION
        self._root = path.removesuffix(end).partition("/deployments/")[0]
        self._endpoint = f"{self.version}{end}"

    def line(self, id: str, body: bytes) -> bytes:
        """See `Service`."""
        about = {"custom_id": id, "method": "POST", "url": self._endpoint}
        return json.dumps(about).encode()[:-1] + b', "body": ' + body + b"}"

    async def upload(self, sent: Stored, file: BinaryIO) -> str:
        """See `Service`."""
        form = FormData({"purpose": "batch"})
        form.add_field("file", whole(file), filename=f"{sent.key}.jsonl", content_type="application/jsonl")
        made = await self._wire.ask("POST", self._at("files"), form)
        return _id_of(made)

    async def ready(self, sent: Stored) -> bool:
        """See `Service`."""
        found = await self._wire.ask("GET", self._at("files", sent.file))
        status = str(found.get("status") or "").lower()
        if status in ("error", "failed"):
            words = found.get("status_details") or found.get("error") or "no reason is given"
            raise ModelError(f"{sent.model}: the provider refuses the file of a batch: {words}")
        return status not in NOT_READY

    async def create(self, sent: Stored, file: BinaryIO) -> Batch:
        """See `Service`."""
        asked = {"input_file_id": sent.file, "endpoint": self._endpoint, "completion_window": "24h"}
        return _batch(await self._wire.ask("POST", self._at("batches"), asked))

    async def find(self, sent: Stored) -> Batch | None:
        """See `Service`; no other batch has its file."""
        after: dict[str, str] = {}
        earliest = sent.made - EARLIER
        while sent.file:
            url = self._at("batches").update_query({"limit": str(PAGE), **after})
            page = await self._wire.ask("GET", url)
            rows = page.get("data") or []
            found = next((one for one in rows if one.get("input_file_id") == sent.file), None)
            if found:
                return _batch(found)
            if not rows or not page.get("has_more"):
                return None
            if (seconds_of(rows[-1].get("created_at")) or earliest) < earliest - self._wire.behind:
                return None
            after = {"after": str(rows[-1]["id"])}
        return None

    async def look(self, id: str) -> Batch:
        """See `Service`."""
        return _batch(await self._wire.ask("GET", self._at("batches", id)))

    async def results(self, batch: Batch) -> AsyncIterator[Line]:
        """See `Service`."""
        for place, least in zip(batch.places, (batch.answered, 0), strict=False):  # answers, then errors
            async for row in self._wire.lines(self._at("files", place, "content"), least):
                yield _line(row)

    def _at(self, *parts: str) -> Any:
        return self._wire.at("/".join((self._root, *parts)))


class Azure(OpenAI):
    """Azure's batches, of a deployment for batches."""

    version = ""


def _id_of(found: dict[str, Any]) -> str:
    if not isinstance(found.get("id"), str):
        raise TransientError("its answer has no id; is model.api_base right?", misled=True)
    return str(found["id"])


def _batch(found: dict[str, Any]) -> Batch:
    status = str(found.get("status") or "").lower()
    counts = mapping(found.get("request_counts"))
    done, failed = number(counts.get("completed")), number(counts.get("failed"))
    output, errors = found.get("output_file_id"), found.get("error_file_id")
    missing = not output and (done > 0 or (status == "completed" and not errors))
    problems = [mapping(one) for one in mapping(found.get("errors")).get("data") or []]
    words = "; ".join(_problem(one) for one in problems[:3]) or "no reason is given"
    return Batch(
        id=_id_of(found),
        state=words_of(status),
        over=status in OVER,
        whole=not missing and bool(errors or not failed),
        missing=missing,
        done=done + failed,
        total=number(counts.get("total")),
        answered=done if output else 0,
        expires=seconds_of(found.get("expires_at")),
        error=words if status == "failed" else "",
        full=any(said_in_json(one).is_like(QUEUE_FULL) for one in problems),
        accepted=status != "validating",
        places=tuple(place for place in (output, errors) if place),
    )


def _problem(error: dict[str, Any]) -> str:
    line = f" (line {error['line']})" if error.get("line") else ""
    return f"{error.get('message') or error.get('code')}{line}"


def _line(row: dict[str, Any]) -> Line:
    id, response, error = str(row.get("custom_id")), mapping(row.get("response")), mapping(row.get("error"))
    if response.get("body") is not None:
        status = number(response.get("status_code")) or 200
        return Line(id, Answer(status, {}, json.dumps(response["body"]).encode()))
    words = error.get("message") or error.get("code") or row.get("error") or "the provider gave no answer"
    if not error or error.get("code") in NOT_DONE:
        return Line(id, None, str(words))
    return Line(id, Answer(400, {}, json.dumps({"error": error}).encode()), str(words))
