"""How English instructions set limits. A pattern that is missing goes where the others of its kind are."""
# ruff: noqa: E501 (a table)

from __future__ import annotations

import re

from selfinstruct.text.limits import numbers
from selfinstruct.text.limits.grammar import ABOUT, ABOVE, AT_LEAST, AT_MOST, BELOW, EXACTLY, Grammar

_WRITE = (
    r"(?:write|compose|draft|craft|create|produce|generate|prepare|make|give|provide|formulate|tell|answer|reply|"
    r"respond|explain|describe|summari[sz]e|sum\s+up|turn|condense|rewrite|as|into|with)"
)
_LIST = (
    r"(?:list|name|give|suggest|provide|mention|identify|propose|recommend|generate|write|create|state|offer|"
    r"brainstorm|come\s+up\s+with|think\s+of|invent|devise|compile|supply)"
)
_MEASURES = (
    r"(?:words?|sentences?|lines?|paragraphs?|verses?|stanzas?|letters|characters|syllables|pages?|percent|minutes?|"
    r"hours?|days|weeks|months|years|times|dollars|euros|pounds|cents|degrees|meters|metres|miles|kilometers|"
    r"kilograms|grams|is|was|has|does|this|stars|thousand|hundred|million|options\s+above)"
)
_LABEL = r"[\"“'‘]?(?:[A-Za-z0-9+/-]+)(?:[ -][A-Za-z0-9/'-]+){0,3}[\"”'’]?"
_LABELS = (
    rf"(?P<labels>{_LABEL}(?:\s*[,;/]\s*(?!(?:or|and)\s){_LABEL}){{0,12}}\s*(?:,?\s*\bor\b|/)\s+{_LABEL})"
)
_LABELS_AND = (
    rf"(?P<labels>{_LABEL}(?:\s*[,;/]\s*(?!(?:or|and)\s){_LABEL}){{1,12}}\s*(?:,?\s*\b(?:or|and)\b)?\s+{_LABEL}"
    rf"|(?<=: ){_LABEL}(?:\s*[,;/|]\s*{_LABEL}){{1,12}})"
)
_END = r"(?=\s*(?:[.?!)\n]|$))"

GRAMMAR = Grammar(
    number=numbers.words(numbers.ENGLISH),
    value=numbers.english,
    units={
        "words": r"words?\b",
        "sentences": r"sentences?\b",
        "lines": r"lines?\b(?!\s+(?:of\s+code|graph|chart|segment))",
        "paragraphs": r"(?:paragraphs?|stanzas?)\b",
        "characters": r"characters?\b(?!\s+(?:from|in|who|are|of|traits?|names?|types?))",
        "items": r"(?:bullet\s+points|bullets|numbered\s+(?:points|steps|items)|points|steps|items)\b",
    },
    before={
        AT_MOST: r"(?:at\s+(?:the\s+)?most|no\s+more\s+than|not\s+more\s+than|(?<!add\s)up\s+to|(?:a\s+)?maximum(?:\s+of)?:?"
        r"|max\.?(?:\s+of)?:?|no\s+longer\s+than|not\s+exceed(?:ing)?|without\s+exceeding)",
        AT_LEAST: r"(?:at\s+least|no\s+fewer\s+than|no\s+less\s+than|not\s+less\s+than|(?:a\s+)?minimum(?:\s+of)?)",
        BELOW: r"(?:less\s+than|fewer\s+than|under|below)",
        ABOVE: r"(?:more\s+than|over)",
        ABOUT: r"(?:about|around|roughly|approximately|approx\.|some)",
        EXACTLY: r"(?:exactly|precisely)",
    },
    after={
        AT_MOST: r"(?:at\s+(?:the\s+)?most|or\s+(?:fewer|less|under|shorter)|max(?:imum)?\b)",
        AT_LEAST: r"(?:at\s+least|or\s+more|minimum\b|or\s+longer)",
        EXACTLY: r"(?:exactly\b)",
    },
    between=r"\s*(?:-|–|—|to|or|and)\s*",
    joint=r"(?:\s+|-)(?:(?:short|complete|simple|full|brief|concise|clear|separate|different|English|rhyming|"
    r"original|single|plain|well-formed|natural|friendly|polite)\s+){0,2}",
    lead=re.compile(
        r"(?i)(?:\b(?:in|within|using|into|only|as)|\b(?:write|compose|draft|give(?:\s+me)?|provide|create|produce|"
        r"generate|use)(?:\s+(?:only|just))?"
        rf"|\b{_WRITE}\b[^.!?]{{0,60}}\b(?:an?|your|one)\s+(?:[\w'-]+,?\s+){{0,3}}(?:[\w'-]+\s+of|with)"
        rf"|\b{_WRITE}\b[^.!?]{{0,60}}\b(?:an?|your|one)(?:\s+[\w'-]+,?)?)\s*$"
    ),
    tail=re.compile(r"(?!)"),
    cut_to=re.compile(
        r"(?i)\b(?:limit|keep|cut|shorten|reduce|restrict|trim|condense|boil|compress|bring|confine)\w*\b[^.!?]{0,60}\bto\s*$"
    ),
    free=re.compile(
        r"(?i)(?:^|[,:(–—-]|\b(?:in|within|using|into|as|of|with|to|be|is|are|have|has|having|contain|containing|exceed|use|"
        r"write|compose|give|provide|create|and|but|only|draft|generate|produce|reply|answer|limit|a|an|should|must"
        r"|length|story|essay|poem|summary|it|paragraph|email|letter|note|text))\s*$"
    ),
    strong=re.compile(r"(?i)\b(?:in|within|exceed|of)\s*$"),
    veto=re.compile(
        r"(?i)(?:▢\s*$|\b(?:the|these|those|this|that|any|all|first|last|next|other|another|following|given|both|my|his|her|its|"
        r"their|which|how|what|are|were|than|number|per|of\s+(?:an?|the)|from|between\s+the|more|additional|extra)\s*$"
        r"|\b(?:if|when|whether|unless)\b[^,]*$"
        r"|\b(?:start|begin|end|open|clos|finish|replac|fill|follow|mistakes?|errors?)\w*(?:\s+\w+){0,3}\s+(?:with|in|by)\s*$"
        r"|\b(?:words?|numbers?|names?|sentences|lines|phrases|all|every|each|those|ones|strings?|passwords?|list|inputs?|"
        r"articles?|files?|documents?|column|any)\s+(?:with|of|that\s+(?:have|has|contain)s?|containing|which\s+\w+|have|has|"
        r"longer|shorter)\s*$"
        r"|\b(?:add|append|insert|remove|delete|drop|repeat|count|read|counts?|reads?|prints?|takes?)\s+(?:\w+\s+){0,2}$"
        r"|\bfunction\b[^.]*$|\b(?:script|program|method|class|regular\s+expression|regex|query)\b[^.]*$)"
    ),
    part=re.compile(
        r"(?i)\b(?:with|and|plus|including|add|has|have|whose|then|the|its|each|every)\s+(?:an?\s+|the\s+|its\s+)?"
        r"(?:\w+\s+){0,2}(?:title|headline|heading|subject(?:\s+line)?|caption|introduction|intro|conclusion|opening|"
        r"closing|ending|summary|slogan|reason|explanation|example|label|name|line|verse|stanza|paragraph|sentence)"
        r"(?:\s+\w+){0,3}\s*$"
    ),
    several=re.compile(
        r"(?i)\b(?:then|also|plus|followed\s+by|as\s+well\s+as|first|finally|afterwards|blank\s+line|end\s+with|ending\s+with|"
        r"and\s+(?:add|give|list|name|write|suggest|end|close|mention|include|one|two|three|four|five|\d+|what|why|how|whether|"
        r"say|state|show|explain|provide|tell|describe|make|put|quote|numbered|mark|(?:an?|the|its|their)\s+(?:\w+\s+){0,2}"
        r"(?:example|body|title|headline|sentence|line|list|reason|summary|table|conclusion|question|note|closing|version|"
        r"moral|hint|tip|explanation|slogan|quote|last|repaired|corrected))|b\))\b"
    ),
    each=re.compile(
        r"(?i)\s*,?\s*(?:\(?each\b|apiece\b|per\s+\w+|every\b|for\s+each\b)|.*\b(?:each|every|per)\s+\w+[^,]*$"
    ),
    items=re.compile(
        rf"(?i)\b{_LIST}(?:\s+(?:me|us|down|up|out))?(?:\s+(?:the|a\s+list\s+of|just|only|a\s+set\s+of))?\s+"
        r"(?:(?:(?P<exactly>exactly)|(?P<at_most>at\s+most|no\s+more\s+than|up\s+to)|(?P<at_least>at\s+least)"
        r"|(?P<about>about|around))\s+)?"
        rf"(?P<a>{numbers.words(numbers.ENGLISH)})(?:\s*(?:-|–|to|or)\s*(?P<b>{numbers.words(numbers.ENGLISH)}))?\s+"
        rf"(?!{_MEASURES}\b)(?:(?!{_MEASURES}\b)[\w'-]+\s+){{0,3}}?(?!{_MEASURES}\b)"
        r"(?:[\w'-]{2,}s|people|men|women|children|criteria|phenomena|synonyms|fish|sheep|species|series)\b"
    ),
    label_lists=(
        re.compile(
            rf"(?i)\b(?:one\s+of|(?:possible|allowed|permitted)\s+(?:answers|labels|categories|values|options)\s+(?:are|is)|"
            rf"(?:labels|categories|options|classes|answers)\s*(?:are|:)|choose\s+(?:one\s+)?(?:from|between|among)|"
            rf"pick\s+(?:one\s+)?(?:from|of)|taking\s+it\s+from)"
            rf"(?:(?:\s+[\w-]+){{0,4}}\s*:|(?:\s+(?:these|the|following|labels|options|words|values)){{0,3}})"
            rf"\s*{_LABELS_AND}{_END}"
        ),
        re.compile(
            rf"(?i)\b(?:classify|categori[sz]e|label|judge|rate|mark|tag|grade|decide|answer|reply|respond|identify)\b"
            rf"[^.?!\n]{{0,100}}?(?:\b(?:as|with|is)\s+(?:being\s+|either\s+)?|:\s*){_LABELS}{_END}"
        ),
        re.compile(rf"(?i)\b(?:is|are|does|was)\b[^.?!\n:]{{3,100}}?:\s*{_LABELS}{_END}"),
    ),
    label_joints=re.compile(r"(?i)\s*(?:,\s*(?:or|and)\s+|[,;/|]\s*|\s+(?:or|and)\s+)"),
    label_words=4,
    yes_no={
        r"(?i)\b(?:answer|reply|respond|say|answers?|write|output|return)\b(?:\s+\w+){0,3}?\s+(?:with\s+)?(?:only\s+|just\s+)?"
        r"[\"'“(]*yes[\"'”]*\s*(?:/|or)\s*[\"'“]*no\b": ("yes", "no"),
        r"(?i)[(:?]\s*(?:answer\s+)?yes\s*(?:/|or)\s*no\s*[).?]*\s*$": ("yes", "no"),
        r"(?i)\b(?:answer|reply|respond|say|output|return|write)\b(?:\s+\w+){0,3}?\s+(?:with\s+)?(?:only\s+|just\s+)?[\"'“(]*true[\"'”]*\s*"
        r"(?:/|or)\s*[\"'“]*false\b": ("true", "false"),
    },
    only=re.compile(
        r"(?i)\b(?:only|just|nothing\s+else|nothing\s+but|alone|one\s+word|single\s+word|that\s+word)\b"
    ),
    coded=re.compile(
        r"(?i)\b(?:output|answer|use|write|respond|reply|return|with|and)\b[^.]{0,20}?[\"'“]?\b\d\b[\"'”]?\s+(?:for|if|when)\b"
    ),
    more=re.compile(
        r"(?i)\b(?:explain|explanation|why|justif\w+|reason\w*|because|evidence|quote|and\s+(?:say|give|name|tell|state|"
        r"write|describe|list|correct|show)|followed|comment\w*|then)\b"
    ),
    forms={
        "json": re.compile(
            r"(?i)\b(?:as|in|into|to|with|return|output|reply|using)\s+(?:\w+\s+){0,2}?(?:valid\s+)?JSON\b"
            r"(?!\s+(?:schema|file|parser|path|to\b|into\b|data\s+into|is\b|and\s+XML))"
        ),
        "yaml": re.compile(
            r"(?i)\b(?:as|in|into|to|return|output)\s+(?:\w+\s+){0,2}?(?:valid\s+)?YAML\b(?!\s+(?:files?|to|into)\b)"
        ),
        "numbered": re.compile(
            r"(?i)\b(?:as|in|form\s+of)\s+(?:a\s+)?(?:short\s+)?numbered\s+(?:list|steps)\b"
        ),
        "bullets": re.compile(
            r"(?i)\b(?:as|in|form\s+of|using)\s+(?:an?\s+)?(?:short\s+)?(?:bullet(?:ed)?[\s-]+(?:list|points)|bullets)\b"
        ),
        "upper": re.compile(
            r"(?i)\b(?:in|to|into|using)\s+(?:all\s+)?(?:capital\s+letters|upper\s?-?case|caps|capitals)\b"
        ),
        "lower": re.compile(r"(?i)\b(?:in|to|into|using)\s+(?:all\s+)?lower\s?-?case\b"),
    },
    not_form=re.compile(
        r"(?i)\b(?:difference|compare|explain|what\s+is|what\s+are|why|convert\s+the\s+(?:json|yaml)|from\s+(?:json|yaml)|"
        r"function|script|program|code|parse|regular\s+expression|regex|errors?|mistakes?|names|columns?|headings?|"
        r"words?\s+in|letters?\s+of|first\s+letter|python|javascript|how\s+(?:do|to|can|many)|should\s+\w+\s+be|not\s+(?:as|in))\b"
    ),
    not_after={
        "words": re.compile(
            r"(?i)\s+(?:from|that|which|with|starting|beginning|containing|in\s+the|of\s+the|related|associated|for|"
            r"meaning|rhyming|or\s+phrases|describing|ending|used|on\s+the|whose|to\s+describe|opposite|similar)\b"
        ),
        "sentences": re.compile(
            r"(?i)\s+(?:from|of\s+the|in\s+the|below|above|given|provided|into|to\s+(?:form|make))\b"
        ),
        "lines": re.compile(
            r"(?i)\s+(?:from|of\s+(?:the|code|python|text)|in\s+the|below|above|given|that\s+follow|per)\b"
        ),
        "paragraphs": re.compile(r"(?i)\s+(?:from|of\s+the|in\s+the|below|above|given)\b"),
        "items": re.compile(r"(?i)\s+(?:from|in\s+the|below|above|given|on\s+the|of\s+the|cost|were|are)\b"),
    },
)
