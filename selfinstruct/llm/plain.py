"""Whose fault a refusal is: that of one prompt, or that of the way to ask.

A provider may refuse in words that nobody knows. The same request with a plain prompt shows which it is:
where that is answered, the prompt was to blame, and its record is rejected; where it is refused too, the key
or a parameter is, and the run ends. So a prompt never ends a run, first or last, whatever came before it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from selfinstruct.records import Request

# Harmless, short, and with the word that OpenAI wants to see where JSON is asked for.
PLAIN = 'Say hello. If you are to answer in json, write {"hello": "world"}.'
OWN = ("seed", "stop")  # parameters that differ from prompt to prompt


def shape_of(request: Request) -> str:
    """All about a request but its prompt: if one of a shape was answered, the way to ask is right."""
    sampling = {key: value for key, value in request.sampling.items() if key not in OWN}
    return json.dumps([request.stage, bool(request.system), sampling], sort_keys=True, default=str)


def plain(request: Request) -> Request:
    """The same request with a plain prompt; the system message stays, since some models take none."""
    return replace(request, prompt=PLAIN)
