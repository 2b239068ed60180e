"""Filters of private data: mail addresses, telephone numbers, keys and passwords.

They use a few patterns with fixed prefixes instead of a library: libraries that find secrets by their entropy
reject hashes and UUIDs, which are common in instruction data.
"""

from __future__ import annotations

import re

from selfinstruct.filters import FILTERS, Filter
from selfinstruct.filters.patterns import Patterns, compiled, fields_filter, finder, found_in

_LETTER = "A-Za-z0-9\u00c0-\u024f"  # with European accents; a Japanese word may be right before an address
_ADDRESS = re.compile(
    rf"(?<![{_LETTER}_.+%-])[{_LETTER}_+%-][{_LETTER}_.+%-]{{0,63}}@(?!\d+x\.)"  # icon@2x.png
    rf"((?:[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?\.){{1,8}}[A-Za-z]{{2,24}})(?![{_LETTER}_])"
)
_IN_URL = re.compile(r"://\S*\Z")


@FILTERS.register
def email_address(*, fields: list[str], allowed: dict[str, bool]) -> Filter:
    """Rejects a text with a mail address.

    Args:
        fields: the fields to look at.
        allowed: domain: whether its addresses pass, and those of its subdomains.
    """
    passing = {domain.lower() for domain, on in allowed.items() if on}

    def check(text: str) -> str | None:
        for match in _ADDRESS.finditer(text) if "@" in text else ():
            labels = match[1].lower().split(".")
            if match[0].startswith("git@") or _IN_URL.search(
                text[max(0, match.start() - 80) : match.start()]
            ):
                continue  # the address of a repository or a login
            if not any(".".join(labels[place:]) in passing for place in range(len(labels))):
                return f"has the mail address {match[0][:60]!r}"
        return None

    return fields_filter(fields, check)


@FILTERS.register
def phone_number(*, fields: list[str], patterns: Patterns, made_up: Patterns) -> Filter:
    """Rejects a text with a telephone number.

    Args:
        fields: the fields to look at.
        patterns: name: the form of a country's telephone numbers.
        made_up: name: digits (without separators) that no subscriber has, or that are obviously invented;
            numbers with them pass.
    """
    invented = compiled(made_up)
    return fields_filter(
        fields, finder(patterns, lambda number: found_in(invented, re.sub(r"\D", "", number)))
    )


@FILTERS.register
def secret(*, fields: list[str], patterns: Patterns, made_up: Patterns) -> Filter:
    """Rejects a text with a key, a token or a password.

    Args:
        fields: the fields to look at.
        patterns: name: the form of a kind of secret.
        made_up: name: a sign that a secret is only an example; secrets with it pass.
    """
    examples = compiled(made_up)
    return fields_filter(fields, finder(patterns, lambda text: found_in(examples, text)))
