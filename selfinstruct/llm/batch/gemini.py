"""The batches of Gemini, without Google's cloud: https://ai.google.dev/api/batch-api."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO

from selfinstruct.llm import TransientError
from selfinstruct.llm.batch.possible import LIMITS
from selfinstruct.llm.batch.services import PAGE, Batch, Line, mapping, number, seconds_of, whole, words_of
from selfinstruct.llm.direct.sending import Answer

if TYPE_CHECKING:
    from selfinstruct.llm.batch.stored import Stored
    from selfinstruct.llm.batch.wire import Wire

EXHAUSTED = 8  # Google's code for a limit that is reached, with HTTP 429
OVER = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
UPLOAD = "x-goog-upload-url"
# The statuses with which Google's codes for errors would come at once.
STATUSES = {
    1: 499,
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    7: 403,
    8: 429,
    9: 400,
    11: 400,
    13: 500,
    14: 503,
    16: 401,
}


class Gemini:
    """Gemini's batches; see `Service`."""

    frame = (b"", b"\n", b"\n")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._root, _, model = wire.url.path.partition("/models/")
        self._model = model.partition(":")[0]

    def line(self, id: str, body: bytes) -> bytes:
        """See `Service`."""
        return json.dumps({"key": id}).encode()[:-1] + b', "request": ' + body + b"}"

    async def upload(self, sent: Stored, file: BinaryIO) -> str:
        """See `Service`."""
        size = file.seek(0, os.SEEK_END)
        about = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(size),
            "x-goog-upload-header-content-type": "application/jsonl",
        }
        start = self._wire.at(f"/upload{self._root}/files")
        place = await self._wire.address(start, {"file": {"display_name": sent.key}}, about, UPLOAD)
        all_of_it = {"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize"}
        made = await self._wire.ask("POST", place, whole(file), all_of_it)
        return _name_of(made.get("file") or {})

    async def ready(self, sent: Stored) -> bool:
        """See `Service`."""
        found = await self._wire.ask("GET", self._wire.at(f"{self._root}/{sent.file}"))
        return str(found.get("state") or "ACTIVE") != "PROCESSING"

    async def create(self, sent: Stored, file: BinaryIO) -> Batch:
        """See `Service`."""
        batch = {"display_name": sent.key, "input_config": {"file_name": sent.file}}
        url = self._wire.at(f"{self._root}/models/{self._model}:batchGenerateContent")
        return _batch(await self._wire.ask("POST", url, {"batch": batch}))

    async def find(self, sent: Stored) -> Batch | None:
        """See `Service`; no other batch has its name."""
        after: dict[str, str] = {}
        while True:
            url = self._wire.at(f"{self._root}/batches", pageSize=str(PAGE), **after)
            page = await self._wire.ask("GET", url)
            for row in page.get("operations") or page.get("batches") or []:
                if (row.get("metadata") or row).get("displayName") == sent.key:
                    return _batch(row)
            if not page.get("nextPageToken"):
                return None
            after = {"pageToken": str(page["nextPageToken"])}

    async def look(self, id: str) -> Batch:
        """See `Service`."""
        return _batch(await self._wire.ask("GET", self._wire.at(f"{self._root}/{id}")))

    async def results(self, batch: Batch) -> AsyncIterator[Line]:
        """See `Service`."""
        for place in batch.places:
            url = self._wire.at(f"/download{self._root}/{place}:download", alt="media")
            async for row in self._wire.lines(url, batch.answered):
                yield _line(row)


def _name_of(found: dict[str, Any]) -> str:
    if not isinstance(found.get("name"), str):
        raise TransientError("its answer has no name; is model.api_base right?", misled=True)
    return str(found["name"])


def _batch(found: dict[str, Any]) -> Batch:
    about = mapping(found.get("metadata")) or found
    state = str(about.get("state") or "").rpartition("STATE_")[2]
    stats = {key: number(value) for key, value in mapping(about.get("batchStats")).items()}
    outputs = [mapping(one) for one in (found.get("response"), about.get("output"), found.get("output"))]
    place = next((str(one["responsesFile"]) for one in outputs if one.get("responsesFile")), "")
    error = mapping(found.get("error"))
    began = seconds_of(about.get("createTime"))
    over = state in OVER or bool(found.get("done"))
    whole = bool(place) or state in OVER[1:]
    return Batch(
        id=_name_of(found),
        state=words_of(state or "made"),
        over=over,
        whole=whole,
        missing=not whole,
        done=stats.get("successfulRequestCount", 0) + stats.get("failedRequestCount", 0),
        total=stats.get("requestCount", 0),
        answered=stats.get("successfulRequestCount", 0),
        expires=began and began + 3600 * LIMITS["gemini"].hours,
        error=str(error.get("message") or "no reason is given") if state == "FAILED" else "",
        full=state == "FAILED" and error.get("code") in (EXHAUSTED, STATUSES[EXHAUSTED]),
        places=(place,) if place else (),
    )


def _line(row: dict[str, Any]) -> Line:
    id, response, error = str(row.get("key")), row.get("response"), mapping(row.get("error"))
    if response:
        return Line(id, Answer(200, {}, json.dumps(response).encode()))
    if not error:
        return Line(id, None, str(row.get("error") or "the provider gave no answer"))
    code = number(error.get("code")) or 2
    body = json.dumps({"error": {**error, "code": STATUSES.get(code, code)}}).encode()
    return Line(id, Answer(STATUSES.get(code, code), {}, body))
