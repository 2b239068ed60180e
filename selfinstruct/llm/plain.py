"""Find out whether a refusal is caused by one prompt, or by the key or the parameters.

A provider may refuse with an unknown message. The same request with a plain prompt shows the cause: if that
is answered, the prompt was the cause, and its record is rejected; if it is refused too, the key or a
parameter is the cause, and the run ends. So no single prompt ever ends a run, whether it comes first or last.
"""

from __future__ import annotations

import json
from dataclasses import replace

from selfinstruct.records import Request

# Harmless, short, and with the word that OpenAI requires for JSON replies.
PLAIN = 'Say hello. If you are to answer in json, write {"hello": "world"}.'
OWN = ("seed", "stop")  # parameters that differ from prompt to prompt


def shape_of(request: Request) -> str:
    """All of a request except its prompt: if one of a shape was answered, its parameters are right."""
    sampling = {key: value for key, value in request.sampling.items() if key not in OWN}
    turns = [len(request.before), bool(request.start), request.opens] if request.turns else []
    return json.dumps([request.stage, bool(request.system), sampling, *turns], sort_keys=True, default=str)


def plain(request: Request) -> Request:
    """The same request with a plain prompt; a system message stays, as some models refuse one."""
    before = tuple(replace(one, text=PLAIN) for one in request.before)
    return replace(request, before=before, prompt=PLAIN, opens="", fixed=0)
