"""How a run shows itself in a notebook: its state, the funnel and a few samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfinstruct.text.readable import readable

LONGEST = 600  # characters of a text
PAGE = """\
{%- macro cell(text, head=false) -%}
<td style="text-align:left;vertical-align:top{{ ';font-weight:600' if head }}">{{ text }}</td>
{%- endmacro -%}
<p><b>{{ name }}</b>: recipe {{ summary.recipe }}, {{ summary.state }}</p>
<table>
<tr>{% for title in ("stage / check", "requests", "candidates", "rejected", "accepted") %}
{{- cell(title, true) }}{% endfor %}</tr>
{%- for stage, figures in summary.stages.items() %}
<tr>{{ cell(stage, true) }}
{%- for count in (figures.requests, figures.candidates, figures.rejected.values() | sum, figures.accepted) %}
{{- cell("{:,}".format(count)) }}{% endfor %}</tr>
{%- for check, count in figures.rejected.items() %}
<tr>{{ cell("– " ~ check) }}{{ cell("") }}{{ cell("") }}{{ cell("{:,}".format(count)) }}{{ cell("") }}</tr>
{%- endfor %}{% endfor %}
</table>
{% for sample in samples %}<table>
{%- for key, text in sample.items() %}
<tr>{{ cell(key, true) }}<td style="text-align:left;white-space:pre-wrap">{{ text }}</td></tr>
{%- endfor %}
</table>
{% endfor %}"""


def page(name: str, summary: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> str:
    """The HTML of a run; the texts in it are escaped, and it has no script.

    Args:
        name: the name of its folder.
        summary: the contents of `summary.json`.
        samples: the fields of a few records.
    """
    from jinja2 import Environment

    shown = [{key: _text(value) for key, value in sample.items()} for sample in samples]
    return Environment(autoescape=True).from_string(PAGE).render(name=name, summary=summary, samples=shown)


def _text(value: Any) -> str:
    text = readable(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
