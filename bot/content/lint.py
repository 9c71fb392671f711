"""What may be said: length, reading age, one ask, the gain present, no blame. The voice: docs/writing-tips.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bot.content.fields import TRIGGERS
from bot.content.load import FOLDERS, RECORD_DETAIL, Content, Fault, gather
from bot.content.preview import NOW, PROGRAMME, example_candidate, example_person, preview, preview_message
from bot.content.wording import tip_values
from bot.domain.messages import Buttons, Message
from bot.domain.programme import MAX_BEHAVIOURS_PER_ROLE
from bot.domain.tips import Tip, TipText
from bot.rendering import MissingField, plain

OWNERS = ("adoption_lead", "sponsor", "privacy_officer", "approver")
"""Roles of the programme file that can own a tip."""
TEXTS = ("about", "gain", "effort", "how", "action")
MAX_WORDS = 60
"""A tip is under 60 words; the names of records do not count."""
MAX_GRADE = 9.0
"""US school grade (Flesch-Kincaid) that a tip's words need at most: about 14 years of age."""
MAX_LABEL = 75
MAX_ACTION = 40

_SINS: Sequence[tuple[str, str, str]] = (
    (
        "blames the reader",
        (
            r"you still (have|haven't|did|didn't|do|don't)|still (haven't|not) (updated|done|filled|entered)|"
            r"(you )?fail(ed|ure|s|ing)? to|you (forgot|neglect\w*|ignored?|should have|never)|your (fault|mistake|failure)|"
            r"resist\w*|low[ -]adopters?|non[ -]?adopters?|laggards?|laz(y|iness|ily)|careless\w*|sloppy|unacceptable|"
            r"lack of discipline|not trying|bad habits?|"
            r"du hast (noch )?immer (noch )?(nicht|kein\w*)|immer noch nicht|du hast (es )?(versäumt|vergessen|vernachlässigt)|"
            r"hättest du|(deine )?schuld|versagt|versäumnis\w*|widerstand|verweiger\w*|nachzügler\w*|faul(heit)?|nachlässig\w*|"
            r"schlampig\w*|undiszipliniert\w*"
        ),
        "say what is, and what the person gets, without who is to blame",
    ),
    (
        "threatens",
        (
            r"bonus(es)?|compensation|salary|consequences?|disciplinary|penalt(y|ies)|your (job|career)|performance review|"
            r"or else|will be (reported|escalated)|your manager will|mandatory|obligatory|"
            r"boni|vergütung|gehalt|konsequenz(en)?|abmahnung\w*|sanktion\w*|strafe\w*|leistungsbeurteilung|"
            r"wird gemeldet|pflicht"
        ),
        "take it out: a tip offers, it never threatens",
    ),
    (
        "compares people",
        (
            r"most of your (team|colleagues|peers)|your (colleagues|peers|teammates|team mates)|everyone else|others already|"
            r"top[ -]?(performers?|sellers?|reps?)|best (performers?|sellers?|reps?)|rank(s|ed|ing|ings)?|leaderboards?|"
            r"(above|below|better than|worse than|ahead of|behind) (the )?(average|others|team|rest|your team)|"
            r"die meisten (in deinem team|deiner kolleg\w*|kolleg\w*)|deine kolleg\w*|alle anderen|bestenliste\w*|rangliste\w*|"
            r"rang|(über|unter) dem durchschnitt|(besser|schlechter) als (andere|die anderen|dein team)|spitzenverkäufer\w*"
        ),
        "speak of the person's own records only",
    ),
    (
        "uses jargon",
        (
            r"utili[sz](e|es|ed|ing|ation)|hygiene|adoption (score|rate|metrics?|kpi)|leverag(e|es|ed|ing)|synerg\w*|onboard\w*|"
            r"best[ -]practices?|kpis?|stakeholders?|low[ -]hanging|data quality|compliance|compliant|pipeline discipline|"
            r"datenqualität|datenhygiene|nutzungsgrad|adoptionsrate|synergie\w*|hebeln|performen"
        ),
        "use a word that you would say to a colleague at lunch",
    ),
)
_PATTERNS = [
    (name, re.compile(rf"(?<!\w)({words})(?!\w)", re.IGNORECASE), advice) for name, words, advice in _SINS
]
_ASKS = re.compile(
    r"\?|(?<!\w)(please|could you|can you|would you|bitte|kannst du|könntest du|würdest du)(?!\w)",
    re.IGNORECASE,
)
_MORE_ASKS = re.compile(
    r"(?<!\w)(while you('re| are) (at it|there)|and also|also (update|add|set|fill|enter|check)|in addition|"
    r"on top of that|at the same time|alternatively|instead|stattdessen|wenn du schon dabei bist|bei der gelegenheit|und außerdem|zusätzlich)(?!\w)",
    re.IGNORECASE,
)
_VERB = (
    r"((add|ask|begin|book|call|check|choose|clear|close(?! date)|compare|decide|do|enter|fill|find|get|give|go|hand|have|keep|"
    r"lay|leave|link|list|log|look|make|mark|meet|move|name|note|open|pick|plan|put|reach|read|remove|reply|review|say|see|"
    r"send|set|show|sort|start|take|talk|tell|think|tick|try|update|use|work|write)(?![\w,'’-])|"
    r"(änder\w?|beginn\w?|bring|denk|entscheide|ergänze|fang|finde|frag|füll\w?|geh|gib|hak|halt|hol|leg|lies|lösch\w?|"
    r"mach|meld\w?|nenn\w?|nimm|notier\w?|öffne|ordne|pfleg\w?|prüf\w?|ruf|sag|schau|schick|schließ|schreib|setz|sieh|"
    r"sprich|stell|such|teil|trag|trenn\w?|üb|verein\w*re|vergleich\w?|verknüpf\w?|verschieb|wähl\w?|zeig)(?![\w’-]))"
)
_CLAUSE = re.compile(rf"(?:^|[.!?:;]\s+)(?:please |bitte |then |dann )?{_VERB}", re.IGNORECASE)
"""A clause that begins with a verb in the imperative. Where none is, the ask is the button's alone."""
_AND_THEN = re.compile(rf"(?:,|,? and|,? und) (?:then |dann )?{_VERB}", re.IGNORECASE)
"""A second verb in a sentence that has an imperative already: "Close it and log the call"."""
_AFTER_IF = re.compile(
    rf"(?:^|[.!?:;]\s+)(?:if|when|once|before|after|wenn|falls|sobald|bevor)\b[^.!?]*?, {_VERB}",
    re.IGNORECASE,
)
"""An imperative behind a condition: "If you did talk, log the call"."""
_EMOJI = re.compile(r"(?<!\w):[a-z0-9_+-]+:(?!\w)|[\U0001F300-\U0001FAFF\u2600-\u27BF]")
_SHOUT = re.compile(r"(?<!\w)[A-ZÄÖÜ]{4,}(?!\w)")
"""Four capitals and more; abbreviations such as CRM are shorter."""
_WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?…:]+(?=\s|$)|\n+")
_VOWELS = re.compile(r"[aeiouy]+")
_NUMBERS = {
    **dict.fromkeys(("a", "one", "eine", "einer"), 1),
    **dict.fromkeys(("two", "zwei"), 2),
    **dict.fromkeys(("three", "drei"), 3),
    **dict.fromkeys(("four", "vier"), 4),
    **dict.fromkeys(("five", "fünf"), 5),
    **dict.fromkeys(("ten", "zehn"), 10),
    **dict.fromkeys(("fifteen", "fünfzehn"), 15),
    **dict.fromkeys(("twenty", "zwanzig"), 20),
    **dict.fromkeys(("thirty", "dreißig"), 30),
}
_MINUTES = re.compile(rf"(?<!\w)(\d+|{'|'.join(_NUMBERS)})[ -]minuten?s?(?!\w)", re.IGNORECASE)
_SCOPE = re.compile(
    r"(?<!\w)(each|an?(?= (deal|record|case|contact|lead|account|call|talk|renewal|customer|task))|per|for (the|one)|"
    r"(the )?(first|oldest|next)|pro|je|jeweils|für (den|die|das|einen?)|erste[nrs]?|älteste[nrs]?)(?!\w)",
    re.IGNORECASE,
)
"""Words that say how much of a list the minutes are for."""
NAMED = 5
"""Names that a fault lists at most."""
MANY = 7
"""Records in the preview of a long list: more than are named."""


def lint(content: Content, *, today: date, within: Path | None = None) -> list[Fault]:
    """Faults of content that loads. ``today``: what has expired by then is a fault. ``within``: only what comes from there."""
    faults = list(_behaviour_faults(content))
    for tip in content.tips.values():
        file = content.file_of("tips", tip.id)
        if _inside(file, within):
            faults += [
                Fault(file, f"{tip.id}.{key}" if key else tip.id, said)
                for key, said in _tip(content, tip, today)
            ]
    for key, text in content.messages.items():
        file = content.file_of("messages", key)
        for language in text.bodies if _inside(file, within) else ():
            faults += [Fault(file, f"{key}.{language}", said) for said in _message(content, key, language)]
    return [fault for fault in faults if _inside(fault.file, within)]


@dataclass(frozen=True, slots=True)
class Linted:
    """What was looked at, and what is to mend in it. ``read``: folder -> how many entries."""

    read: Mapping[str, int]
    faults: tuple[Fault, ...]


def lint_paths(paths: Sequence[Path] = (), *, today: date) -> Linted:
    """Look at the shipped content (no paths), or at a customer's folders or single files on top of it.

    A path where there is nothing to look at is a fault: nobody should take that for "in order".
    """
    read: Counter[str] = Counter()
    faults: list[Fault] = []
    for path in paths or (None,):
        content, broken = gather(_root(path))
        faults += [fault for fault in broken if _inside(fault.file, path)]
        faults += lint(content, today=today, within=path)
        found = Counter(
            entry.partition("/")[0] for entry, file in content.files.items() if _inside(file, path)
        )
        read += found
        if path is not None and (fault := _not_looked_at(path, found.total() or len(broken))):
            faults.append(fault)
    return Linted({folder: read[folder] for folder in FOLDERS}, tuple(dict.fromkeys(faults)))


def _root(path: Path | None) -> Path | None:
    """The folder of content that a path is in: a file in ``tips`` may lean on the ``behaviours`` beside it."""
    if path is None:
        return None
    folder = path.parent if path.is_file() else path
    return folder.parent if folder.name in FOLDERS else path


def _not_looked_at(path: Path, found: int) -> Fault | None:
    """What lies in a customer's folder and nothing reads, by name; or that there is nothing at all."""
    known = ", ".join(f"{folder}/" for folder in FOLDERS)
    lying = []
    if path.is_dir() and path.name not in FOLDERS:
        lying = [
            f"{each.name}/" if each.is_dir() else each.name
            for each in sorted(path.iterdir())
            if (each.is_dir() and each.name not in FOLDERS and not each.name.startswith((".", "_")))
            or each.suffix == ".toml"
        ]
    names = ", ".join(lying[:NAMED]) + (f" and {len(lying) - NAMED} more" if len(lying) > NAMED else "")
    if not found:
        beside = f", only {names}" if lying else ""
        return Fault(str(path), "", f"found nothing to check here{beside}; tips and texts stand in {known}")
    return Fault(str(path), "", f"{names}: nothing reads this; known are {known}") if lying else None


def _inside(file: str, folder: Path | None) -> bool:
    return folder is None or Path(file).is_relative_to(folder)


def _behaviour_faults(content: Content) -> Iterator[Fault]:
    for role in sorted({role for b in content.behaviours.values() for role in b.roles}):
        asked = sorted(b.id for b in content.behaviours.values() if role in b.roles)
        if len(asked) > MAX_BEHAVIOURS_PER_ROLE:
            yield Fault(
                content.file_of("behaviours", asked[-1]),
                f"{asked[-1]}.roles",
                f"{role} has {len(asked)} behaviours; {MAX_BEHAVIOURS_PER_ROLE} are the most: take the role out of some",
            )


def _tip(content: Content, tip: Tip, today: date) -> Iterator[tuple[str, str]]:
    behaviour = content.behaviours.get(tip.behaviour)
    wanted = TRIGGERS[tip.trigger].behaviour
    if behaviour is None:
        yield (
            "behaviour",
            f"there is no behaviour {tip.behaviour!r}; choose from {', '.join(sorted(content.behaviours))}",
        )
    elif missing := tip.roles - behaviour.roles:
        yield "roles", f"{tip.behaviour} is not asked of {', '.join(sorted(missing))}; take the role out"
    if wanted and tip.behaviour != wanted:
        yield "behaviour", f"the trigger {tip.trigger} is about {wanted}; write that"
    if tip.owner not in OWNERS:
        yield "owner", f"{tip.owner!r} is no role of the programme; write one of {', '.join(OWNERS)}"
    if not re.match(r"Experience: \S", tip.evidence) and not re.search(r"\b(19|20)\d\d\b", tip.evidence):
        yield "evidence", 'names no source; write who found it and the year, or "Experience: …"'
    if tip.expires <= today:
        yield (
            "expires",
            f"was {tip.expires}; check that the tip is still true and write a new day, or take the tip out",
        )
    for language, text in tip.texts.items():
        for key, said in _tip_text(content, tip, language, text):
            yield f"{language}.{key}" if key else language, said


def _tip_text(content: Content, tip: Tip, language: str, text: TipText) -> Iterator[tuple[str, str]]:
    if TRIGGERS[tip.trigger].records and tip.names_records and not text.action.strip():
        yield "action", 'is missing; write what the button does, e.g. "Update in {{ crm }}"'
    try:
        shown = {n: preview(content, tip.id, language, records=n) for n in (1, 2, MANY)}
    except MissingField as error:
        yield "", f"cannot be shown: {error}; use only what the trigger {tip.trigger} offers"
        return
    written = _words_of(tip, text, language)
    for said in dict.fromkeys(_effort(tip, text, language)):
        yield "effort", said
    for key, words_there in written.items():
        for said in _sins(words_there):
            yield key, said
    bare = ".\n".join(written[key] for key in TEXTS[:-1] if written[key])
    words = len(_WORD.findall(bare))
    if words >= MAX_WORDS:
        yield "", f"has {words} words; a tip is under {MAX_WORDS}: cut what the person knows already"
    if bare.count("!") > 1:
        yield "", "has more than one exclamation mark; keep one at most"
    if len(_EMOJI.findall(bare)) > 1:
        yield "", "has more than one emoji; keep one at most"
    if asks(bare) > 1:
        yield "", "asks for more than one thing; keep one ask, the rest is another tip"
    if language.startswith("en") and (age := grade(bare)) > MAX_GRADE:
        yield (
            "",
            f"reads like school grade {age:.0f}; write shorter sentences and words, grade {MAX_GRADE:.0f} at most",
        )
    labels = {b.label for m in shown.values() for p in m.parts if isinstance(p, Buttons) for b in p.buttons}
    for label in sorted(label for label in labels if len(label) > MAX_ACTION or label.endswith("…")):
        yield "action", f"the label {label!r} is too long; write at most {MAX_ACTION} characters"


def _effort(tip: Tip, text: TipText, language: str) -> Iterator[str]:
    """Whether the effort is the tip's own number of minutes, and says what it is for where there are many records."""
    for count in (1, MANY):
        effort = _words_of(tip, text, language, records=count)["effort"]
        said = [_NUMBERS.get(found.lower()) or int(found) for found in _MINUTES.findall(effort)]
        if said != [tip.effort_minutes]:
            named = " and ".join(map(str, said)) or "no"
            yield f"{effort!r} names {named} minutes, effort_minutes says {tip.effort_minutes}; make them one number"
        elif count == MANY and TRIGGERS[tip.trigger].records and not _SCOPE.search(effort):
            yield f'{effort!r} stands below a list of {MANY}; say what the minutes are for: "a deal", "for the first"'


def asks(text: str) -> int:
    """How many things a text asks for, beside its button: imperatives, requests and questions; "while you are at it" is one more.

    A measure of the words, not of their sense; English and German.
    """
    found = len(_ASKS.findall(text)) + 2 * bool(_MORE_ASKS.search(text))
    for sentence in re.split(r"(?<=[.!?])\s+|\n", text):
        orders = len(_CLAUSE.findall(sentence)) + len(_AFTER_IF.findall(sentence))
        found += orders + (len(_AND_THEN.findall(sentence)) if orders else 0)
    return found


def _words_of(tip: Tip, text: TipText, language: str, records: int | None = None) -> dict[str, str]:
    """Each text of the tip as it is shown."""
    given = tip_values(
        tip,
        example_candidate(tip, records),
        person=example_person(min(tip.roles), language),
        programme=PROGRAMME,
        now=NOW,
    )
    return {key: plain(getattr(text, key), given, language) for key in TEXTS}


def _sins(text: str) -> Iterator[str]:
    if shouted := _SHOUT.search(text):
        yield f"shouts ({shouted.group(0)!r}); write it in small letters"
    for name, pattern, advice in _PATTERNS:
        if found := pattern.search(text):
            yield f"{name} ({found.group(0)!r}); {advice}"


def _message(content: Content, key: str, language: str) -> Iterator[str]:
    """Faults of one message in one language."""
    if key.startswith(RECORD_DETAIL):
        return
    try:
        shown = preview_message(content, key, language)
    except MissingField as error:
        yield f"cannot be shown with the examples in fields: {error}; add the name, with an example"
        return
    yield from _sins(_whole(shown))
    if shown.text.count("!") > 1:
        yield "has more than one exclamation mark; keep one at most"
    if len(_EMOJI.findall(shown.text)) > 1:
        yield "has more than one emoji; keep one at most"
    if not shown.text.strip():
        yield "has no words; a screen reader would say nothing"
    for button in (b for p in shown.parts if isinstance(p, Buttons) for b in (*p.buttons, *p.menu)):
        if button.label.endswith("…") and len(button.label) >= MAX_LABEL:
            yield f"the label {button.label!r} is too long; write at most {MAX_LABEL} characters"


def _whole(shown: Message) -> str:
    labels = [b.label for p in shown.parts if isinstance(p, Buttons) for b in (*p.buttons, *p.menu)]
    return "\n".join([shown.text, *labels])


def grade(text: str) -> float:
    """Flesch-Kincaid grade of English text; 0 for less than ten words.

    Source: Kincaid, Fishburne, Rogers, Chissom (1975), Naval Technical Training Command report 8-75.
    """
    words = _WORD.findall(text)
    if len(words) < 10:
        return 0.0
    sentences = max(1, len([s for s in _SENTENCE.split(text) if s.strip()]))
    return 0.39 * len(words) / sentences + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def syllables(word: str) -> int:
    """Syllables of an English word, by its groups of vowels; a silent e at the end does not count. At least 1."""
    low = word.lower()
    count = len(_VOWELS.findall(low))
    silent = low.endswith("e") and not low.endswith(("le", "ee", "ye")) and count > 1
    silent = silent or (
        low.endswith(("ed", "es"))
        and count > 1
        and not low.endswith(("ted", "ded", "ses", "zes", "ges", "ces", "xes", "shes", "ches"))
    )
    return max(1, count - silent)
