"""How German instructions set limits. A pattern that is missing goes where the others of its kind are."""

from __future__ import annotations

import re

from selfinstruct.text.limits import numbers
from selfinstruct.text.limits.grammar import ABOUT, ABOVE, AT_LEAST, AT_MOST, BELOW, EXACTLY, Grammar

_WRITE = (
    r"(?:schreib\w*|verfass\w*|formulier\w*|erstell\w*|entwirf|entwerfen|dicht\w*|erzähl\w*|beschreib\w*|erklär\w*|"
    r"fass\w*|gib|geben|antworte\w*|erfinde\w*|mach\w*|kürz\w*|verwand\w*|nutz\w*|verwend\w*|als|begründ\w*)"
)
_LIST = (
    r"(?:nenn\w*|list\w*|zähl\w*|gib|geben|schlag\w*|führ\w*|finde\w*|erstell\w*|notier\w*|schreib\w*|formulier\w*|"
    r"überleg\w*|empfiehl|empfehlen|liefer\w*|erfinde\w*|sammel\w*|sammle\w*|mach\w*|stell\w*|entwirf|entwerfen|denk\w*)"
)
_MEASURES = (
    r"(?:wört\w*|wort\w*|sätze\w*|satz|zeilen?|absätze\w*|absatz|strophen?|zeichen|buchstaben|silben|seiten?|prozent|"
    r"minuten?|stunden?|tagen?|tage|wochen?|monaten?|monate|jahren?|jahre|mal|euro|cent|grad|meter\w*|kilometer\w*|"
    r"kilogramm|gramm|liter|uhr|personen)"
)
_LABEL = r"[\"“„'‚]?(?:[A-Za-zÄÖÜäöüß0-9+/-]+)(?:[ -][A-Za-zÄÖÜäöüß0-9/'-]+){0,3}[\"”“'‘]?"
_LABELS = (
    rf"(?P<labels>{_LABEL}(?:\s*[,;/]\s*(?!(?:oder|und)\s){_LABEL}){{0,12}}\s*(?:,?\s*\boder\b|/)\s+{_LABEL})"
)
_LABELS_AND = (
    rf"(?P<labels>{_LABEL}(?:\s*[,;/]\s*(?!(?:oder|und)\s){_LABEL}){{1,12}}\s*(?:,?\s*\b(?:oder|und)\b)?\s+{_LABEL}"
    rf"|(?<=: ){_LABEL}(?:\s*[,;/|]\s*{_LABEL}){{1,12}})"
)
_END = r"(?=\s*(?:[.?!)\n]|$|\b(?:ein|zu|zuordnen|einordnen|ist|sind)\b))"

GRAMMAR = Grammar(
    number=numbers.words(numbers.GERMAN),
    value=numbers.german,
    units={
        "words": r"(?:wörtern?|wörter|worten?|worte|wort)\b",
        "sentences": r"(?:sätzen|sätze|satz)\b",
        "lines": r"zeilen?\b(?!\s+code)",
        "paragraphs": r"(?:absätzen|absätze|absatz|strophen?)\b",
        "characters": r"zeichen\b",
        "items": r"(?:stichpunkten?|stichpunkte|aufzählungspunkten?|punkten|schritten|stichworten)\b",
    },
    before={
        AT_MOST: r"(?:(?:aller)?höchstens|maximal|nicht\s+mehr\s+als|bis\s+zu|nicht\s+länger\s+als|max\.?)",
        AT_LEAST: r"(?:mindestens|wenigstens|nicht\s+weniger\s+als|zumindest)",
        BELOW: r"(?:weniger\s+als|unter)",
        ABOVE: r"(?:mehr\s+als|über)",
        ABOUT: r"(?:etwa|ungefähr|circa|ca\.|rund|zirka|an\s+die)",
        EXACTLY: r"(?:genau|exakt|nur)",
    },
    after={
        AT_MOST: r"(?:oder\s+weniger|höchstens|maximal|nicht\s+(?:überschreiten|übersteigen))",
        AT_LEAST: r"(?:oder\s+mehr|mindestens)",
    },
    between=r"\s*(?:-|–|bis|oder|und)\s*",
    joint=r"(?:\s+|-)(?:(?:kurze|kurzen|ganze|ganzen|vollständige|vollständigen|einfache|einfachen|klare|klaren|"
    r"knappe|knappen|verständlichen?|deutschen?|einzigen|freundlichen?|höflichen?|kurzer|gereimten?)\s+){0,2}",
    lead=re.compile(
        r"(?i)(?:\b(?:in|mit|auf|innerhalb\s+von|aus)|\b(?:schreib\w*|verfass\w*|formulier\w*|gib(?:\s+mir)?|erstell\w*|"
        r"verwende\w*|nutze\w*|bilde\w*)(?:\s+(?:mir|sie|nur|bitte))*"
        rf"|\b{_WRITE}\b[^.!?]{{0,60}}\bein(?:e|en|em|er)?\s+(?:[\w'-]+,?\s+){{0,3}}[\w'-]+\s+(?:von|mit|aus))\s*$"
    ),
    tail=re.compile(r"(?!)"),
    cut_to=re.compile(
        r"(?i)\b(?:kürz\w*|beschränk\w*|begrenz\w*|reduzier\w*|verkürz\w*)\b[^.!?]{0,60}\bauf\s*$"
    ),
    free=re.compile(
        r"(?i)(?:^|[,:(–-]|\b(?:in|mit|auf|aus|von|als|aber|und|schreib\w*|verfass\w*|verwende\w*|nutze\w*|hat|haben|"
        r"umfass\w*|enthalt\w*|enthält|ist|sein|soll|sollte|darf|muss|länge|text|zusammenfassung|antwort|geschichte|gedicht|"
        r"ein|eine|einen|einem|einer|gib|antworte|formulier\w*|bilde\w*|sie|bitte|nur|lang))\s*$"
    ),
    strong=re.compile(r"(?i)\b(?:in|innerhalb\s+von|auf)\s*$"),
    veto=re.compile(
        r"(?i)(?:▢\s*$|\b(?:der|die|das|den|dem|des|diese[nrms]?|alle[nr]?|folgende[nrms]?|beide[nr]?|jede[nrms]?|erste[nrms]?|"
        r"letzte[nrms]?|weitere[nrms]?|welche[nrms]?|wie\s+viele|deine[nrms]?|obige[nr]?|zusätzliche[nrms]?|pro|je|noch)\s*$"
        r"|\b(?:wenn|falls|ob|sofern)\b[^,]*$"
        r"|\b(?:beginn\w*|anfang\w*|fäng\w*|end\w*|schließ\w*|ersetz\w*|fehler|auch)\b(?:\s+\w+){0,3}\s+(?:mit|in|durch)\s*$"
        r"|\b(?:wörter|sätze|zeilen|zahlen|namen|listen?|dateien?|texten?|artikel\w*)\s+(?:mit|von|aus|in)\s*$"
        r"|\b(?:ergänz\w*|füg\w*|entfern\w*|streich\w*|zähl\w*|wiederhol\w*)\s+(?:\w+\s+){0,2}$"
        r"|\b(?:funktion|skript|programm|methode|abfrage|regulären?\s+ausdruck)\b[^.]*$)"
    ),
    part=re.compile(
        r"(?i)\b(?:mit|und|samt|inklusive|plus|der|die|das|deren|dessen|jede[rsn]?)\s+(?:eine[rmn]?\s+|der\s+|dem\s+)?"
        r"(?:\w+\s+){0,2}(?:titel|überschrift|betreff\w*|einleitung|schluss\w*|fazit|begründung|zusammenfassung|beispiel|"
        r"zeile|strophe|absatz|satz)(?:\s+\w+){0,3}\s*$"
    ),
    several=re.compile(
        r"(?i)\b(?:dann|danach|anschließend|außerdem|sowie|zuerst|dazu|zusätzlich|zuletzt|schließlich|gefolgt|"
        r"und\s+(?:nenn\w*|gib|geben|bilde\w*|füg\w*|schreib\w*|schließ\w*|eine?[nmrs]?|erklär\w*|zwei|drei|die|der|das|"
        r"warum|was|wie|sag\w*|zeig\w*|begründ\w*|list\w*|mach\w*))\b"
    ),
    each=re.compile(
        r"(?i)\s*,?\s*(?:pro\s+\w+|je\s+\w+|für\s+jede\w*|jeweils)\b|.*\b(?:je|jeweils|jede[rsnm]?|pro)\b[^,]*$"
    ),
    items=re.compile(
        rf"(?i)\b{_LIST}(?:\s+(?:mir|uns|bitte|dir|sie|dazu|die|insgesamt|nur|auf))*\s+"
        r"(?:(?:(?P<exactly>genau|exakt)|(?P<at_most>höchstens|maximal|bis\s+zu)|(?P<at_least>mindestens|wenigstens)"
        r"|(?P<about>etwa|ungefähr|rund))\s+)?"
        rf"(?P<a>{numbers.words(numbers.GERMAN)})(?:\s*(?:-|–|bis|oder)\s*(?P<b>{numbers.words(numbers.GERMAN)}))?\s+"
        rf"(?!{_MEASURES}\b)(?:[\wäöüß'-]+(?:e|en|er|es)\s+){{0,2}}?(?!{_MEASURES}\b)(?-i:[A-ZÄÖÜ])[\wäöüß-]{{2,}}"
    ),
    label_lists=(
        re.compile(
            rf"(?i)\b(?:eine[rmn]?\s+der|mögliche\s+(?:antworten|werte|kategorien)(?:\s+sind)?|"
            rf"(?:kategorien|labels?|optionen|klassen|antworten)\s*(?:sind|:)|(?:wähle?|auswählen)\b[^.:?\n]{{0,40}}:|"
            rf"(?:zur\s+auswahl\s+stehen))(?:\s+(?:folgenden|kategorien|labels?|drei|vier|fünf|zwei|wörter|begriffe)){{0,3}}"
            rf"\s*:?\s*{_LABELS_AND}{_END}"
        ),
        re.compile(
            rf"(?i)\b(?:ordne|stufe|klassifizier\w*|bewerte|beurteile|bestimme|entscheide|antworte|markiere|kennzeichne)\b"
            rf"[^.?!\n]{{0,100}}?(?:\b(?:als|mit|ob|ist)\s+(?:entweder\s+)?|:\s*){_LABELS}{_END}"
        ),
        re.compile(rf"(?i)\b(?:ist|sind|klingt|war)\b[^.?!\n:]{{3,100}}?:\s*{_LABELS}{_END}"),
    ),
    label_joints=re.compile(r"(?i)\s*(?:,\s*(?:oder|und)\s+|[,;/|]\s*|\s+(?:oder|und)\s+)"),
    label_words=4,
    yes_no={
        r"(?i)\b(?:antwort\w*|sag\w*|schreib\w*)\b(?:\s+\w+){0,3}?\s+(?:mit\s+)?(?:nur\s+)?[\"'„“(]*ja[\"'“”]*\s*(?:/|oder)"
        r"\s*[\"'„“]*nein\b": ("ja", "nein"),
        r"(?i)[(:?]\s*ja\s*(?:/|oder)\s*nein\s*[).?]*\s*$": ("ja", "nein"),
        r"(?i)\b(?:antwort\w*)\b(?:\s+\w+){0,3}?\s+mit\s+(?:nur\s+)?[\"'„“(]*(?:richtig|wahr)[\"'“”]*\s*(?:/|oder)\s*"
        r"[\"'„“]*falsch\b": ("richtig", "wahr", "falsch"),
    },
    only=re.compile(r"(?i)\b(?:nur|lediglich|ausschließlich|sonst\s+nichts|ein(?:em|zigen)\s+wort)\b"),
    coded=re.compile(r"(?i)\b\d\s+(?:für|wenn|falls)\b"),
    more=re.compile(
        r"(?i)\b(?:erklär\w*|begründ\w*|warum|weil|nenn\w*|und\s+(?:gib|sag|schreib|erläuter)\w*|erläuter\w*|beleg\w*|dann)\b"
    ),
    forms={
        "json": re.compile(
            r"(?i)\b(?:als|im|in|ins|nach)\s+(?:\w+\s+){0,2}?(?:gültige[sn]?\s+)?JSON\b(?!-Schema|-Datei)"
        ),
        "yaml": re.compile(r"(?i)\b(?:als|im|in|ins|nach)\s+(?:\w+\s+){0,2}?YAML\b(?!-Datei)"),
        "numbered": re.compile(
            r"(?i)\b(?:als|in)\s+(?:einer\s+)?nummerierten?\s+(?:liste|schritten|aufzählung)\b"
        ),
        "bullets": re.compile(
            r"(?i)\b(?:als|in|mit)\s+(?:(?!\w*fünf|drei|vier|zwei)\w+\s+)?(?:stichpunkten?|aufzählungspunkten|aufzählungsliste)\b"
        ),
        "upper": re.compile(r"(?i)\b(?:in|mit|nur)\s+(?:lauter\s+)?(?:großbuchstaben|versalien)\b"),
        "lower": re.compile(r"(?i)\b(?:in|mit|nur)\s+(?:lauter\s+)?kleinbuchstaben\b"),
    },
    not_form=re.compile(
        r"(?i)\b(?:unterschied|vergleich\w*|was\s+ist|warum|funktion|skript|programm|regulär\w*|fehler|namen?|spalten?|"
        r"anfangsbuchstabe\w*|wie\s+(?:viele|kann|wandelt)|python|aus\s+dem\s+json)\b"
    ),
    not_after={
        "words": re.compile(r"(?i)\s+(?:aus|die|der|das|mit|im|in\s+der|zu|zum|von|für|des)\b"),
        "sentences": re.compile(r"(?i)\s+(?:aus\s+(?:dem|der)|im\s+text|unten|oben|zu\s+einem)\b"),
        "lines": re.compile(r"(?i)\s+(?:aus\s+(?:dem|der)|unten|oben)\b"),
        "items": re.compile(r"(?i)\s+(?:aus\s+(?:dem|der)|unten|oben|vorsprung|abzug)\b"),
    },
)
