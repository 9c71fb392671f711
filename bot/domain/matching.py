"""Who is who between the CRMs and Slack: the identity file, then single sign-on, then the e-mail address. Pure.

Nobody is guessed: where a step names two accounts, or one account is named by two people of one CRM, nobody is tied. A step
that names an account decides, also when that account cannot be written to; the next step is asked only when it names none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from bot.domain.people import (
    AMBIGUOUS,
    BOT,
    DEACTIVATED,
    EXCLUDED,
    GUEST,
    MATCHED,
    SECOND,
    UNMATCHED,
    SlackUser,
    fold_email,
    fold_ids,
)

OVERRIDE = "override"
SSO = "sso"
EMAIL = "email"
STEPS = (OVERRIDE, SSO, EMAIL)
"""In the order in which they are asked."""
STEP_NAMES: Mapping[str, str] = MappingProxyType(
    {OVERRIDE: "the identity file", SSO: "single sign-on", EMAIL: "e-mail address"}
)


@dataclass(frozen=True, slots=True)
class Override:
    """One line of the identity file: whose account somebody of the CRM has.

    ``crm``: an e-mail address, folded, or an id as the CRM writes it. ``source``: only in that CRM; None: in any.
    ``slack``: a member id, or an e-mail address, folded; None: nobody's.
    """

    line: int
    crm: str
    slack: str | None
    source: str | None = None

    @property
    def weight(self) -> tuple[bool, bool]:
        """Of two lines about one person the one that says more holds: one with a source, then one with an id."""
        return self.source is not None, "@" not in self.crm


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody of a CRM, as matching sees them. ``account``: the one they are matched to so far. ``sso_ids``: folded."""

    id: str
    source: str
    crm_id: str
    email: str | None
    active: bool = True
    sso_ids: tuple[str, ...] = ()
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Tie:
    """What matching says of one person. ``state``: one of MATCH_STATES; ``account``: only when ``matched``.

    ``by``: the step that decided, None when none named an account. ``why``: a key of WHAT_TO_DO, "" when there is nothing to do.
    ``about``: the accounts, or the people, that are in question.
    """

    state: str
    account: str | None = None
    by: str | None = None
    why: str = ""
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matching:
    """``ties``: by person id, of everybody who is active. ``faults``: lines of the identity file that hold nothing, in words."""

    ties: Mapping[str, Tie]
    faults: tuple[str, ...] = ()


WHAT_TO_DO: Mapping[str, str] = MappingProxyType(
    {
        "no-address": "the CRM has no e-mail address of them: add it there, or name their account in the identity file",
        "no-account": "no Slack account has their e-mail address: invite them to Slack, make the addresses the same, or name "
        "their account in the identity file",
        "shared-address": "somebody else in the same CRM has the same e-mail address: mend it in the CRM, or give each a line "
        "in the identity file (`nobody` for whoever has no account)",
        "accounts-share-address": "more than one Slack account has their e-mail address: deactivate one, or name theirs in the "
        "identity file",
        "accounts-share-sso": "single sign-on knows more than one Slack account by their id: mend it there, or name theirs in "
        "the identity file",
        "shared-account": "somebody else in the same CRM leads to the same Slack account: mend it in the CRM, or give each a "
        "line in the identity file (`nobody` for whoever has no account)",
        "taken": "their e-mail address leads to a Slack account that is somebody else's in the same CRM: mend the address, or "
        "name their own account in the identity file",
        "override-unclear": "the identity file does not say clearly who is meant: mend the line that is listed",
        "override-unknown": "the identity file names an account that is not in Slack: mend the line that is listed",
        "deactivated": "their Slack account is deactivated: reactivate it, deactivate them in the CRM, or name another account "
        "in the identity file",
        "guest": "their Slack account is a guest's, and guests are never written to: make it a member's, or name another one in "
        "the identity file",
        "bot": "the Slack account is a bot's: name theirs in the identity file, or `nobody` if they are no person",
        "second": "nothing to do: they are written to once, by way of their user in the other CRM",
        "excluded": "nothing to do: the identity file says so",
    }
)
"""Why somebody is not matched, and what whoever keeps the identity file can do. In the order of the most urgent."""


def match(
    people: Iterable[Candidate], accounts: Iterable[SlackUser], overrides: Sequence[Override] = ()
) -> Matching:
    """Tie everybody who is active to their Slack account, or say why not. The order of what is given does not matter.

    Whoever has users in several CRMs is tied by way of one of them: the one that is tied already, else the one that was found
    by the earliest step, else the first CRM by name; the others are ``second``.
    """
    crowd = sorted(people, key=lambda each: each.id)
    found = _Accounts(accounts)
    active = [each for each in crowd if each.active]
    ties, faults = _by_override(crowd, found, overrides)
    sharing: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for each in active:
        if each.id not in ties:
            sharing[each.source, fold_email(each.email)].append(each.id)
    for each in active:
        if each.id not in ties:
            others = sharing[each.source, fold_email(each.email)]
            ties[each.id] = _by_sso(each, found) or _by_email(each, found, others)
    ties |= _settled(active, ties)
    return Matching(ties, tuple(faults))


class _Accounts:
    """Slack's accounts by everything that names one. Accounts with one name are in the order of their ids."""

    def __init__(self, accounts: Iterable[SlackUser]) -> None:
        self.by_id = {each.id: each for each in accounts}
        self.by_email: defaultdict[str, list[SlackUser]] = defaultdict(list)
        self.by_sso: defaultdict[str, list[SlackUser]] = defaultdict(list)
        for _, each in sorted(self.by_id.items()):
            if (email := fold_email(each.email)) is not None:
                self.by_email[email].append(each)
            for sso_id in fold_ids(each.sso_ids or ()):
                self.by_sso[sso_id].append(each)

    def named(self, name: str) -> list[SlackUser]:
        """What the identity file calls ``name``: an address, or a member id."""
        if "@" in name:
            return self.by_email.get(name, [])
        return [self.by_id[name]] if name in self.by_id else []


# --- the three steps -----------------------------------------------------------------------------------------------


def _by_override(
    crowd: Sequence[Candidate], found: _Accounts, overrides: Sequence[Override]
) -> tuple[dict[str, Tie], list[str]]:
    """What the identity file says, for everybody active whom it names, and what is wrong with its lines."""
    faults: list[str] = []
    lines: defaultdict[str, list[Override]] = defaultdict(list)
    unclear: set[Override] = set()
    known = {each.id: each for each in crowd}
    for override in overrides:
        named = [each for each in crowd if _is_meant(override, each)]
        active = [each for each in named if each.active]
        if crowd and not named:
            where = f"in {override.source}" if override.source else "in the CRM"
            there = sorted({each.source for each in crowd})
            faults.append(
                f"line {override.line}: nobody {where} is {override.crm}; mend it, or take it out"
                if override.source is None or override.source in there
                else f"line {override.line}: nobody was read from a source {override.source}; there are people of"
                f" {', '.join(there)}: mend the column source, or poll it first"
            )
        if override.slack is not None and (doubt := _doubt(override, active)):
            unclear.add(override)
            faults.append(f"line {override.line}: {override.crm} {doubt}")
        for each in active:
            lines[each.id].append(override)
    ties: dict[str, Tie] = {}
    for person, theirs in lines.items():
        most = max(each.weight for each in theirs)
        holding = [each for each in theirs if each.weight == most]
        if len({each.slack for each in holding}) > 1:
            numbers = " and ".join(str(each.line) for each in holding)
            faults.append(f"lines {numbers} name different accounts of {holding[0].crm}; keep one")
        elif unclear.isdisjoint(holding):
            ties[person] = _named_by(holding[0], found, faults)
            continue
        ties[person] = Tie(AMBIGUOUS, by=OVERRIDE, why="override-unclear")
    for account, owners in _claims(ties).items():
        sources = [known[each].source for each in owners]
        if len(set(sources)) < len(sources):
            numbers = " and ".join(str(line) for line in sorted({lines[each][0].line for each in owners}))
            faults.append(f"lines {numbers} name {account} for more than one person of one CRM; keep one")
    return ties, list(dict.fromkeys(faults))


def _is_meant(override: Override, person: Candidate) -> bool:
    if override.source is not None and override.source != person.source:
        return False
    if "@" in override.crm:
        return override.crm in (fold_email(person.email), person.crm_id.casefold())
    return override.crm == person.crm_id


def _doubt(override: Override, named: Sequence[Candidate]) -> str:
    """Why a line does not say clearly who is meant; "" when it does."""
    sources = [each.source for each in named]
    if len(set(sources)) < len(sources):
        ids = ", ".join(each.crm_id for each in named)
        return (
            f"is the address of more than one person; write the id that the CRM has for them instead ({ids})"
        )
    if "@" not in override.crm and len(sources) > 1:
        return (
            f"is an id in more than one CRM; write one of them into the column source ({', '.join(sources)})"
        )
    return ""


def _named_by(override: Override, found: _Accounts, faults: list[str]) -> Tie:
    if override.slack is None:
        return Tie(EXCLUDED, by=OVERRIDE, why="excluded")
    named = found.named(override.slack)
    living = [each for each in named if not each.deleted]
    if not named:
        if found.by_id:  # before Slack was read for the first time nothing is known to be missing
            faults.append(
                f"line {override.line}: there is no Slack account {override.slack}; write a member id (from the profile, "
                "Copy member ID), or the e-mail address of an account"
            )
        return Tie(UNMATCHED, by=OVERRIDE, why="override-unknown")
    if len(living) > 1:
        ids = ", ".join(each.id for each in living)
        faults.append(f"line {override.line}: {override.slack} is the address of {ids}; write one of these")
        return Tie(AMBIGUOUS, by=OVERRIDE, why="override-unclear")
    tie = _reached(living[0] if living else named[0], OVERRIDE)
    if tie.state != MATCHED:
        kind = {BOT: "a bot's", GUEST: "a guest's"}.get(tie.state, "deactivated")
        faults.append(
            f"line {override.line}: the account {override.slack} is {kind}, and is never written to; name another one, or "
            "write nobody"
        )
    return tie


def _by_sso(person: Candidate, found: _Accounts) -> Tie | None:
    named = {each.id: each for name in fold_ids(person.sso_ids) for each in found.by_sso.get(name, ())}
    living = sorted(each.id for each in named.values() if not each.deleted)
    if not named:
        return None
    if len(living) > 1:
        return Tie(AMBIGUOUS, by=SSO, why="accounts-share-sso", about=tuple(living))
    return _reached(named[living[0] if living else min(named)], SSO)


def _by_email(person: Candidate, found: _Accounts, sharing: Sequence[str]) -> Tie:
    """``sharing``: the people of the same CRM who have this address and no line in the identity file."""
    email = fold_email(person.email)
    if email is None:
        return Tie(UNMATCHED, why="no-address")
    named = found.by_email.get(email, [])
    if len(sharing) > 1:
        others = tuple(each for each in sharing if each != person.id)
        return Tie(AMBIGUOUS, by=EMAIL, why="shared-address", about=others)
    living = [each for each in named if not each.deleted]
    if len(living) > 1:
        ids = tuple(each.id for each in living)
        return Tie(AMBIGUOUS, by=EMAIL, why="accounts-share-address", about=ids)
    if not named:
        return Tie(UNMATCHED, why="no-account")
    return _reached(living[0] if living else named[0], EMAIL)


def _reached(account: SlackUser, by: str) -> Tie:
    for there, state in (
        (account.deleted, DEACTIVATED),
        (account.is_bot, BOT),
        (account.is_guest, GUEST),
    ):
        if there:
            return Tie(state, by=by, why=state, about=(account.id,))
    return Tie(MATCHED, account.id, by)


# --- one account, one person ---------------------------------------------------------------------------------------


def _claims(ties: Mapping[str, Tie]) -> dict[str, list[str]]:
    """Account -> the people who lead to it."""
    claims: defaultdict[str, list[str]] = defaultdict(list)
    for person, tie in ties.items():
        if tie.account is not None:
            claims[tie.account].append(person)
    return dict(claims)


def _settled(active: Sequence[Candidate], ties: Mapping[str, Tie]) -> dict[str, Tie]:
    """What becomes of those who lead to an account that others lead to as well."""
    known = {each.id: each for each in active}
    return {
        person: tie
        for account, owners in _claims(ties).items()
        if len(owners) > 1
        for person, tie in _shared_out(account, [known[each] for each in owners], ties)
    }


def _shared_out(
    account: str, owners: Sequence[Candidate], ties: Mapping[str, Tie]
) -> Iterator[tuple[str, Tie]]:
    """In one CRM the earliest step holds, and two by the same step hold nothing; of several CRMs one is written to."""

    def step(person: Candidate) -> int:
        return STEPS.index(ties[person.id].by or EMAIL)

    by_source: defaultdict[str, list[Candidate]] = defaultdict(list)
    for each in owners:
        by_source[each.source].append(each)
    holding: list[Candidate] = []
    for theirs in by_source.values():
        first = min(step(each) for each in theirs)
        earliest = [each for each in theirs if step(each) == first]
        if len(earliest) == 1:
            holding += earliest
        for each in theirs:
            if each in holding:
                continue
            why = "shared-account" if step(each) == first else "taken"
            others = tuple(other.id for other in theirs if other != each)
            yield each.id, Tie(AMBIGUOUS, by=ties[each.id].by, why=why, about=others)
    holding.sort(key=lambda each: (each.account != account, step(each), each.source, each.id))
    for each in holding[1:]:
        yield (
            each.id,
            replace(ties[each.id], state=SECOND, account=None, why="second", about=(holding[0].id,)),
        )
