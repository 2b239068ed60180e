"""Let any filter of a text look at each message of a conversation: `field: messages[*].content`.

`messages[user].content` and `messages[assistant].content` are the messages of one of the two. The filter gets
a record for each message, which has the message's text under that name. It rejects the whole conversation if
it rejects one message, and the reason says which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from selfinstruct.errors import Fault
from selfinstruct.filters import Filter
from selfinstruct.records import Record, Rejection

if TYPE_CHECKING:
    from selfinstruct.llm.endpoint import RunContext

PATH = re.compile(r"(\w+)\[(\*|user|assistant)\]\.content")


def over_turns(check: Filter, where: str, faults: list[Fault]) -> Filter | None:
    """The filter, looking at each message if one of its fields is a path; None after a fault.

    Args:
        check: the filter.
        where: its config key.
        faults: gets the fault of a filter that cannot do that.
    """
    paths = list(dict.fromkeys(name for name in check.fields if "[" in name))
    if not paths:
        return check
    wrong = [name for name in paths if not PATH.fullmatch(name)]
    if wrong:
        what = f"{wrong[0]!r} is not a field"
        remedy = "write FIELD[*].content, FIELD[user].content or FIELD[assistant].content"
        faults.append(Fault(where, what, remedy))
        return None
    if len(paths) > 1 or check.together:
        what = "compares candidates of one reply" if check.together else "has several such fields"
        faults.append(Fault(where, f"{what}, so it cannot look at each message", "use one filter for each"))
        return None
    path = _Path(check, paths[0])
    return replace(
        check,
        each=path.each if check.each else None,
        mend=path.mend if check.mend else None,
        learn=path.learn if check.learn else None,
        prepare=path.prepare if check.prepare else None,
        sends=path.sends if check.sends else None,
        fields=tuple(path.field if name == paths[0] else name for name in check.fields),
    )


class _Path:
    """A filter that looks at each message.

    Args:
        check: the filter for one text.
        name: the path to the messages.
    """

    def __init__(self, check: Filter, name: str) -> None:
        found = PATH.fullmatch(name)
        assert found, "it was checked"
        self.field, self._role = found[1], found[2]
        self._check, self._name = check, name

    def each(self, record: Record) -> Rejection | None:
        """See `Filter`."""
        assert self._check.each
        for place, one in self._each(record):
            rejection = self._check.each(one)
            if rejection:
                about = {"message": place, **rejection.detail}
                return Rejection(f"message {place}: {rejection.reason}", about)
            if one.detail:
                record.detail.update(one.detail)
        return None

    def mend(self, record: Record) -> dict[str, Any]:
        """See `Filter`."""
        assert self._check.mend
        made = {}
        for place, one in self._each(record):
            fields = self._check.mend(one)
            if self._name in fields:
                made[place] = fields[self._name]
        if not made:
            return {}
        listed = enumerate(record.data[self.field], 1)
        return {
            self.field: [{**one, "content": made.get(place, one.get("content"))} for place, one in listed]
        }

    def learn(self, record: Record) -> None:
        """See `Filter`."""
        assert self._check.learn
        for _, one in self._each(record):
            self._check.learn(one)

    async def prepare(self, records: Sequence[Record], context: RunContext, stage: str, name: str) -> None:
        """See `Filter`."""
        assert self._check.prepare
        turns = [one for record in records for _, one in self._each(record)]
        await self._check.prepare(turns, context, stage, name)

    def sends(self, record: Record) -> str:
        """See `Filter`."""
        assert self._check.sends
        return "\n".join(self._check.sends(one) for _, one in self._each(record))

    def _each(self, record: Record) -> Iterator[tuple[int, Record]]:
        """A record for each message, with its place in the conversation, from 1."""
        messages = record.data.get(self.field)
        for place, one in enumerate(messages if isinstance(messages, list) else (), 1):
            if isinstance(one, dict) and self._role in ("*", one.get("role")):
                data = {**record.data, self._name: str(one.get("content", ""))}
                yield place, replace(record, data=data, detail={})
