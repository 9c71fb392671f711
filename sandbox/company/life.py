"""What people do in the CRM, from day to day.

Everything happens on one heap of (time, person), in that order, whenever somebody asks for the time until now: a visit
takes a few records at random and does what is due with the chance of the person's habit. What a visit does is drawn from
the seed, the person, the day and the visit alone, so it does not matter who asks, how often or in what order.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sandbox.company.behaviour import (
    FAMILIES,
    HIGHEST,
    MEND_BY,
    Barrier,
    Nature,
    engagement,
    nature,
)
from sandbox.company.firm import (
    ADMIN,
    MANAGER,
    PAST_WEEKS,
    PRIVACY,
    REPS,
    SDR,
    SELLER,
    SUCCESS,
    TITLES,
    Firm,
    Person,
)
from sandbox.company.names import CUSTOMER, NEXT_STEP, PRODUCT, SUBJECT, TRADE
from sandbox.crm.objects import STEPS
from sandbox.crm.records import Crm, instant_text

OPEN_STEPS = 5
WON, LOST = 5, 6
DAY = 86_400
EPOCH = 719_163
"""Ordinal of 1 January 1970."""
PLAN_AHEAD = 14 * 3600
"""A day is planned this long before it begins in UTC: east of Greenwich it begins earlier."""
NEW_DEALS = {SELLER: 0.22, SDR: 0.10, SUCCESS: 0.13, MANAGER: 0.03}
"""Deals that come up for somebody on a working day."""
MOST_OPEN = 26
PLANS, VISIT, ERRAND, READ, LATE, LEAVES, ACCESS = range(7)
_NUMBER = 1 / (1 << 32)


class Appointed(NamedTuple):
    """Something on the heap. `number` keeps two things of one person and second in the order in which they came."""

    at: int
    person: int
    number: int
    what: int
    detail: Any


@dataclass(slots=True, eq=False)
class Deal:
    """An open deal as its owner has it; days are ordinals. `ends` and `wins`: what becomes of it, known to nobody."""

    id: str
    name: str
    step: int
    has_next_step: bool
    has_amount: bool
    has_account: bool
    close: int
    created: int
    ends: int
    wins: bool
    active: int
    moved: int
    account: str | None
    amount: float


@dataclass(slots=True, eq=False)
class Worker:
    """Somebody with access to the CRM, and how things stand with them."""

    person: Person
    nature: Nature
    habits: dict[str, float]
    deals: list[Deal] = field(default_factory=list)
    tasks: list[tuple[str, int]] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    owed: float = 1.0
    visited: int = 0
    away_until: int = 0


@dataclass(frozen=True, slots=True)
class Errand:
    """What somebody means to do because of a message."""

    message: str
    family: str
    record: str
    habit: str


class Life:
    """The firm's life in its CRM. `on_mended` hears of each errand: the errand, the person, when, and whether it changed
    anything (somebody may have mended the record already).
    """

    def __init__(self, firm: Firm, crm: Crm, on_mended: Callable[[Errand, Person, int, bool], None]) -> None:
        self.firm = firm
        self.crm = crm
        self.workers: dict[int, Worker] = {}
        self._on_mended = on_mended
        self._heap: list[Appointed] = []
        self._count = itertools.count()
        self._rng = random.Random(0)
        self._levels: dict[int, tuple[int, float]] = {}
        self._pending: dict[str, list[dict[str, object]]] = {}
        self._changes: list[tuple[str, str, str, int, dict[str, object]]] = []
        self._deals: dict[str, tuple[int, Deal]] = {}
        self._began = self._midnight(firm.start) - PAST_WEEKS * 7 * DAY
        self._born()

    # Time

    @staticmethod
    def _midnight(day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

    def _appoint(self, at: int, person: int, what: int, detail: Any) -> None:
        heapq.heappush(self._heap, Appointed(at, person, next(self._count), what, detail))

    def live_until(self, now: datetime) -> None:
        """Let everything happen that happens up to `now`."""
        until = int(now.timestamp())
        heap = self._heap
        if not heap or heap[0].at > until:
            return
        while heap and heap[0].at <= until:
            happening = heapq.heappop(heap)
            what, number = happening.what, happening.person
            if what == VISIT:
                self._visit(self.workers[number], happening.at, happening.detail)
            elif what == PLANS:
                self._plan_day(happening.detail, happening.at)
            elif what == ERRAND:
                self._run_errand(self.workers[number], happening.at, happening.detail)
            elif what == READ:
                self._take_in(self.workers[number], happening.at, *happening.detail)
            elif what == LATE:
                self._insert("Task", happening.detail)
            elif what == LEAVES:
                self._leave(self.firm.people[number], happening.at, *happening.detail)
            else:
                self._get_access(self.workers[number], happening.at)
        self._flush()

    def _flush(self) -> None:
        for kind in ("User", "UserLogin", "Account", "Contact", "Lead", "Opportunity"):
            if rows := self._pending.pop(kind, None):
                self.crm.insert(kind, rows)
        for kind, rows in self._pending.items():
            self.crm.insert(kind, rows)
        self._pending = {}
        for kind, record, by, at, fields in self._changes:
            self.crm.change(kind, record, by, datetime.fromtimestamp(at, UTC), **fields)
        self._changes = []

    def _insert(self, kind: str, row: dict[str, object]) -> None:
        # Named at once: an id must not depend on how many others were waiting when somebody asked.
        if "Id" not in row:
            row["Id"] = self.crm.new_id(kind)
        self._pending.setdefault(kind, []).append(row)

    # Beginnings

    def _born(self) -> None:
        firm, crm = self.firm, self.crm
        first_day = firm.start - timedelta(weeks=PAST_WEEKS)
        self.integration = crm.new_id("User")
        self._insert(
            "User",
            {
                "Id": self.integration,
                "Name": "Integration User",
                "Email": "integration@kestrelworks.example",
                "Username": "integration@kestrelworks.example",
                "IsActive": True,
                "UserType": "Standard",
                "ProfileName": "Salesforce API Only System Integrations",
                "LicenseName": "Salesforce Integration",
                "TimeZoneSidKey": "America/New_York",
                "LocaleSidKey": "en_US",
                "CreatedDate": instant_text(datetime.fromtimestamp(self._began - 30 * DAY, UTC)),
            },
        )
        crm.api_user = self.integration
        self._insert(
            "PermissionSetAssignment",
            {
                "AssigneeId": self.integration,
                "PermissionSetId": "0PS000000000001AAA",
                "ViewAllData": True,
            },
        )
        for person in firm.people:
            if not person.crm_id:
                continue
            worker = Worker(person, nature(firm.seed, person, firm.start, firm.weeks), {})
            worker.habits = dict(worker.nature.habits)
            self.workers[person.number] = worker
            if person.access:
                opens = person.at(person.access, 0)
                self._appoint(max(self._began, int(opens.timestamp())), person.number, ACCESS, None)
            if person.leaves:
                gone = int(person.at(person.leaves, person.working_seconds).timestamp()) + 3600
                self._appoint(gone, person.number, LEAVES, ("off",))
        self._appoint(self._began - PLAN_AHEAD, -1, PLANS, first_day)
        self._flush()

    def _insert_user(self, person: Person, at: int) -> None:
        region = person.region
        email = person.email
        if person.quirk == "email_case":
            email = f"{person.first[0].upper()}{email[1:].replace('@kestrelworks', '@KestrelWorks')}"
        row: dict[str, object] = {
            "Id": person.crm_id,
            "Name": person.name,
            "Email": email,
            "Username": f"{person.email}.crm",
            "FederationIdentifier": person.email,
            "IsActive": True,
            "UserType": "Standard",
            "ManagerId": self._crm_id(person.boss),
            "ProfileName": "System Administrator" if person.role == ADMIN else _PROFILES.get(person.role),
            "LicenseName": "Salesforce",
            "UserRoleName": f"{TITLES[person.role]} {region.name}",
            "Department": region.name,
            "Title": TITLES[person.role],
            "TimeZoneSidKey": region.zone,
            "LocaleSidKey": region.locale,
            "CreatedDate": instant_text(datetime.fromtimestamp(at, UTC)),
        }
        self._insert("User", row)
        self._insert("UserLogin", {"UserId": person.crm_id, "IsFrozen": person.quirk == "frozen"})
        if person.second_crm_id:
            double = {
                **row,
                "Id": person.second_crm_id,
                "Username": f"{person.email}.old",
                "FederationIdentifier": None,
            }
            self._insert("User", double)
            self._insert("UserLogin", {"UserId": person.second_crm_id, "IsFrozen": False})

    def _crm_id(self, number: int | None) -> str | None:
        return (self.firm.people[number].crm_id or None) if number is not None else None

    def _get_access(self, worker: Worker, at: int) -> None:
        """They become a user, and their deals come over from the old system, with its gaps."""
        self._insert_user(worker.person, at)
        if worker.person.role not in NEW_DEALS:
            return
        rng = self._seeded("moves in", worker.person.number)
        worker.accounts = [
            self._new_account(worker, at, rng, by=self.integration) for _ in range(rng.randrange(2, 5))
        ]
        most = {SELLER: 8, SDR: 4, SUCCESS: 6}.get(worker.person.role, 1)
        for _ in range(rng.randrange(most // 2, most + 1)):
            deal = self._new_deal(worker, at, rng, tidy=0.55, by=self.integration)
            # It has been talked about for a while already.
            deal.ends = max(deal.created + 3, deal.ends - rng.randrange(0, 60))
        worker.visited = at // DAY

    # Days

    def _plan_day(self, day: date, at: int) -> None:
        """Enter everybody's visits on `day`, local to each."""
        self._appoint(at + DAY, -1, PLANS, day + timedelta(days=1))
        ordinal = day.toordinal()
        seed = self.firm.seed
        for number, worker in self.workers.items():
            person = worker.person
            if person.access is None or day < person.access or not person.works(day):
                continue
            if person.quirk == "frozen" or ordinal < worker.away_until:
                continue
            draw = hashlib.blake2b(f"{seed}|{number}|{ordinal}".encode(), digest_size=24).digest()
            chance = self._visit_chance(worker, ordinal)
            for place in (0, 8, 16):
                if int.from_bytes(draw[place : place + 4], "big") * _NUMBER < chance:
                    when = int.from_bytes(draw[place + 4 : place + 8], "big") * _NUMBER
                    opens = person.at(day, when * (person.working_seconds - 900))
                    self._appoint(int(opens.timestamp()), number, VISIT, (ordinal, place))

    def engagement(self, number: int, day: int) -> float:
        """How much somebody works with the CRM on a day (an ordinal): of the seed and the day alone."""
        worker = self.workers[number]
        access = worker.person.access
        if access is None:
            return 0.02
        known = self._levels.get(number)
        if known is None or known[0] != day:
            key = f"mood|{self.firm.seed}|{number}|{day // 7}".encode()
            mood = int.from_bytes(hashlib.blake2b(key, digest_size=4).digest(), "big") * _NUMBER
            known = (day, engagement(worker.nature, (day - access.toordinal()) / 7, 2 * mood - 1))
            self._levels[number] = known
        return known[1]

    def _visit_chance(self, worker: Worker, day: int) -> float:
        level = self.engagement(worker.person.number, day)
        return 0.03 + 0.5 * level if worker.person.role in REPS else 0.05 + 0.35 * level

    def _seeded(self, *key: object) -> random.Random:
        """The one generator, set to a key: cheaper than a new one."""
        text = "|".join(map(str, (self.firm.seed, *key)))
        self._rng.seed(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big"))
        return self._rng

    def habit(self, worker: Worker, habit: str, day: int) -> float:
        """The chance that somebody does what is due, on a day (an ordinal)."""
        usual = worker.habits[habit]
        for barrier in worker.nature.barriers:
            if barrier.habit == habit and barrier.stands(date.fromordinal(day)):
                return usual * MEND_BY
        return usual

    # Visits

    def _visit(self, worker: Worker, at: int, key: tuple[int, int]) -> None:
        person, (day, place) = worker.person, key
        rng = self._seeded("visit", person.number, day, place)
        draw = rng.random
        text = instant_text(datetime.fromtimestamp(at, UTC))
        login: dict[str, object] = {
            "UserId": person.crm_id,
            "LoginTime": text,
            "LoginType": "Application",
            "Status": "Success",
            "Application": "Browser" if draw() < 0.8 else "Salesforce for iOS",
        }
        if draw() < 0.01:
            self._insert("LoginHistory", {**login, "Status": "Invalid Password"})
        self._insert("LoginHistory", login)
        if person.role not in NEW_DEALS:
            return
        worker.owed = min(5.0, worker.owed + NEW_DEALS[person.role] * max(0, day - worker.visited) * 5 / 7)
        worker.visited = day
        # A manager mostly looks.
        if person.role == MANAGER and draw() < 0.6:
            return
        while worker.owed >= 1:
            worker.owed -= 1
            if draw() < 0.3 + 0.7 * self.habit(worker, "entering", day) and len(worker.deals) < MOST_OPEN:
                self._new_deal(worker, at, rng)
        level = self.engagement(person.number, day)
        if worker.deals:
            for _ in range(1 + int(draw() * (1 + 3.2 * level))):
                if not worker.deals:
                    break
                self._look_at(worker, worker.deals[int(draw() * len(worker.deals))], at, day, rng)
        if person.role == SDR:
            for _ in range(int(draw() * 4 * self.habit(worker, "leads", day))):
                self._new_lead(worker, text, rng)
            for _ in range(int(draw() * 4 * self.habit(worker, "activities", day))):
                self._log(worker, None, at, day, rng)
        if draw() < 0.10 * worker.habits["contacts"] and worker.accounts:
            self._new_contact(worker, text, rng)
        self._tidy_tasks(worker, at, day, rng)

    def _look_at(self, worker: Worker, deal: Deal, at: int, day: int, rng: random.Random) -> None:
        """Somebody opens one of their deals and does what is due, each with the chance of their habit."""
        draw = rng.random
        if day >= deal.ends and draw() < 0.15 + 0.75 * self.habit(worker, "step", day):
            self._close(worker, deal, at)
            return
        changed: dict[str, object] = {}
        if draw() < 0.1 + 0.7 * self.habit(worker, "activities", day):
            self._log(worker, deal, at, day, rng)
        truly = min(OPEN_STEPS - 1, OPEN_STEPS * (day - deal.created) // max(1, deal.ends - deal.created))
        if deal.step < truly and draw() < self.habit(worker, "step", day):
            changed["StageName"] = self._move(deal, truly, day)
        keeps = self.habit(worker, "next_step", day)
        if deal.has_next_step and draw() < 0.2:
            # It is done. Who keeps next steps writes the next one; others leave the field empty.
            deal.has_next_step = draw() < keeps
            changed["NextStep"] = self._next_step(rng, day) if deal.has_next_step else None
        elif not deal.has_next_step and draw() < 0.6 * keeps:
            deal.has_next_step = True
            changed["NextStep"] = self._next_step(rng, day)
        if deal.close < day + 3 and draw() < self.habit(worker, "close_date", day):
            changed["CloseDate"] = self._push(deal, day, rng)
        if not deal.has_amount and draw() < 0.5 * self.habit(worker, "amount", day):
            deal.has_amount = True
            changed["Amount"] = deal.amount
        if not deal.has_account and draw() < 0.5 * self.habit(worker, "account", day):
            changed["AccountId"] = self._link(worker, deal, at, rng)
        if changed:
            self._change("Opportunity", deal.id, worker.person.crm_id, at, changed)

    def _change(self, kind: str, record: str, by: str, at: int, fields: dict[str, object]) -> None:
        self._changes.append((kind, record, by, at, fields))

    @staticmethod
    def _next_step(rng: random.Random, day: int) -> str:
        when = date.fromordinal(day + rng.randrange(2, 12))
        return f"{NEXT_STEP[int(rng.random() * len(NEXT_STEP))]} ({when.day} {when:%b})"

    @staticmethod
    def _push(deal: Deal, day: int, rng: random.Random) -> date:
        # People believe in the end of the month after the next.
        deal.close = max(day + 7, min(deal.ends, day + 60) + rng.randrange(-10, 15))
        return date.fromordinal(deal.close)

    @staticmethod
    def _move(deal: Deal, step: int, day: int) -> str:
        deal.step, deal.moved = step, day
        return STEPS[step]

    def _link(self, worker: Worker, deal: Deal, at: int, rng: random.Random) -> str:
        if deal.account is None:
            deal.account = self._new_account(worker, at, rng)
        deal.has_account = True
        return deal.account

    def _close(self, worker: Worker, deal: Deal, at: int) -> None:
        step = WON if deal.wins else LOST
        day = at // DAY + EPOCH
        changed: dict[str, object] = {"StageName": STEPS[step], "CloseDate": date.fromordinal(day)}
        if deal.wins and not deal.has_amount:
            changed["Amount"] = deal.amount
        self._change("Opportunity", deal.id, worker.person.crm_id, at, changed)
        worker.deals.remove(deal)
        del self._deals[deal.id]

    def _log(self, worker: Worker, deal: Deal | None, at: int, day: int, rng: random.Random) -> None:
        """A call, a mail or a meeting is written down; some come days later, by a synchronisation."""
        draw = rng.random()
        kind = "Call" if draw < 0.45 else "Email" if draw < 0.82 else "Meeting"
        about = deal.id if deal else None
        if deal:
            deal.active = day
        text = instant_text(datetime.fromtimestamp(at, UTC))
        if kind == "Meeting":
            when = instant_text(datetime.fromtimestamp(at - 3600, UTC))
            self._insert(
                "Event",
                {
                    "OwnerId": worker.person.crm_id,
                    "WhatId": about,
                    "Subject": rng.choice(SUBJECT[kind]),
                    "StartDateTime": when,
                    "CreatedById": worker.person.crm_id,
                    "CreatedDate": text,
                },
            )
            return
        row: dict[str, object] = {
            "OwnerId": worker.person.crm_id,
            "WhatId": about,
            "Subject": SUBJECT[kind][int(rng.random() * 3)],
            "TaskSubtype": kind,
            "ActivityDate": text[:10],
            "IsClosed": True,
            "CompletedDateTime": text,
            "CreatedById": worker.person.crm_id,
            "CreatedDate": text,
        }
        if rng.random() < 0.03:
            late = at + rng.randrange(1, 3) * DAY
            self._appoint(
                late,
                worker.person.number,
                LATE,
                {
                    **row,
                    "CreatedById": self.integration,
                    "CreatedDate": instant_text(datetime.fromtimestamp(late, UTC)),
                },
            )
        else:
            self._insert("Task", row)

    def _tidy_tasks(self, worker: Worker, at: int, day: int, rng: random.Random) -> None:
        draw = rng.random
        if draw() < 0.15 and worker.deals:
            task = self.crm.new_id("Task")
            due = day + rng.randrange(2, 10)
            self._insert(
                "Task",
                {
                    "Id": task,
                    "OwnerId": worker.person.crm_id,
                    "WhatId": worker.deals[int(draw() * len(worker.deals))].id,
                    "Subject": SUBJECT["Task"][int(draw() * 4)],
                    "TaskSubtype": "Task",
                    "ActivityDate": date.fromordinal(due),
                    "IsClosed": False,
                    "CreatedById": worker.person.crm_id,
                    "CreatedDate": instant_text(datetime.fromtimestamp(at, UTC)),
                },
            )
            worker.tasks.append((task, due))
        for entry in worker.tasks[:3]:
            if entry[1] <= day + 1 and draw() < self.habit(worker, "tasks", day):
                worker.tasks.remove(entry)
                self._change("Task", entry[0], worker.person.crm_id, at, {"IsClosed": True})

    # New records

    def _new_account(self, worker: Worker, at: int, rng: random.Random, by: str = "") -> str:
        account = self.crm.new_id("Account")
        self._insert(
            "Account",
            {
                "Id": account,
                "Name": f"{rng.choice(CUSTOMER)} {rng.choice(TRADE)}",
                "OwnerId": worker.person.crm_id,
                "CreatedById": by or worker.person.crm_id,
                "CreatedDate": instant_text(datetime.fromtimestamp(at, UTC)),
            },
        )
        return account

    def _new_contact(self, worker: Worker, text: str, rng: random.Random) -> None:
        self._insert(
            "Contact",
            {
                "Name": f"Contact at {rng.choice(CUSTOMER)}",
                "OwnerId": worker.person.crm_id,
                "AccountId": worker.accounts[int(rng.random() * len(worker.accounts))],
                "CreatedById": worker.person.crm_id,
                "CreatedDate": text,
            },
        )

    def _new_lead(self, worker: Worker, text: str, rng: random.Random) -> None:
        self._insert(
            "Lead",
            {
                "Name": f"Enquiry {rng.choice(TRADE)}",
                "Company": f"{rng.choice(CUSTOMER)} {rng.choice(TRADE)}",
                "OwnerId": worker.person.crm_id,
                "Status": "Open",
                "IsConverted": False,
                "CreatedById": worker.person.crm_id,
                "CreatedDate": text,
            },
        )

    def _new_deal(
        self, worker: Worker, at: int, rng: random.Random, *, tidy: float | None = None, by: str = ""
    ) -> Deal:
        """A deal is entered; what its owner cares about is filled in. `tidy`: the chance of each field instead."""
        day = at // DAY + EPOCH
        draw = rng.random

        def fills(habit: str, care: float) -> bool:
            return draw() < (tidy if tidy is not None else care + (1 - care) * worker.habits[habit])

        takes = min(200, max(18, int(rng.lognormvariate(4.15, 0.5))))
        has_account, has_amount = fills("account", 0.45), fills("amount", 0.3)
        account = None
        if has_account:
            if worker.accounts and draw() < 0.6:
                account = worker.accounts[int(draw() * len(worker.accounts))]
            else:
                account = self._new_account(worker, at, rng, by=by)
                worker.accounts.append(account)
        deal = Deal(
            id=self.crm.new_id("Opportunity"),
            name=f"{rng.choice(CUSTOMER)} {rng.choice(TRADE)} {rng.choice(PRODUCT)}",
            step=0,
            has_next_step=fills("next_step", 0.1),
            has_amount=has_amount,
            has_account=has_account,
            close=day + int(takes * rng.uniform(0.5, 1.05)) + 3,
            created=day,
            ends=day + takes,
            wins=draw() < 0.36,
            active=day,
            moved=day,
            account=account,
            amount=float(round(rng.lognormvariate(9.8, 0.9), -2)),
        )
        worker.deals.append(deal)
        self._deals[deal.id] = (worker.person.number, deal)
        self._insert(
            "Opportunity",
            {
                "Id": deal.id,
                "Name": deal.name,
                "OwnerId": worker.person.crm_id,
                "AccountId": account,
                "StageName": STEPS[0],
                "Amount": deal.amount if has_amount else None,
                "CloseDate": date.fromordinal(deal.close),
                "NextStep": self._next_step(rng, day) if deal.has_next_step else None,
                "CreatedById": by or worker.person.crm_id,
                "CreatedDate": instant_text(datetime.fromtimestamp(at, UTC)),
            },
        )
        return deal

    # What messages bring about

    def plan_errand(self, number: int, at: int, errand: Errand) -> None:
        """Somebody will mend a record at `at` because of a message."""
        self._appoint(at, number, ERRAND, errand)

    def plan_reading(self, number: int, at: int, habit: str, step: float, *, annoyed: bool) -> None:
        """Somebody reads a tip at `at`: their habit rises by `step`; annoyed, they stay away for the rest of the week."""
        self._appoint(at, number, READ, (habit, step, annoyed))

    def _take_in(self, worker: Worker, at: int, habit: str, step: float, annoyed: bool) -> None:
        worker.habits[habit] = min(HIGHEST, worker.habits[habit] + step)
        if annoyed:
            day = at // DAY + EPOCH
            worker.away_until = max(worker.away_until, day + 8 - date.fromordinal(day).isoweekday())

    def _run_errand(self, worker: Worker, at: int, errand: Errand) -> None:
        day = at // DAY + EPOCH
        rng = self._seeded("errand", worker.person.number, errand.message, errand.record)
        if errand.family == "first_weeks":
            self._try_out(worker, errand.habit, at, day, rng)
            self._on_mended(errand, worker.person, at, True)
            return
        owner, deal = self._deals.get(errand.record, (None, None))
        if deal is None or owner != worker.person.number:
            self._on_mended(errand, worker.person, at, False)
            return
        changed: dict[str, object] = {}
        did = True
        if errand.family == "past_close_date" and deal.close < day:
            if day >= deal.ends:
                self._close(worker, deal, at)
            else:
                changed["CloseDate"] = self._push(deal, day, rng)
        elif errand.family == "no_next_step" and not deal.has_next_step:
            deal.has_next_step = True
            changed["NextStep"] = self._next_step(rng, day)
        elif errand.family == "missing_amount" and not deal.has_amount:
            deal.has_amount = True
            changed["Amount"] = deal.amount
        elif errand.family == "missing_account" and not deal.has_account:
            changed["AccountId"] = self._link(worker, deal, at, rng)
        elif errand.family == "no_activity":
            did = deal.active < day - 25
            self._log(worker, deal, at, day, rng)
        elif errand.family in ("stuck_step", "open_long") and deal.step < OPEN_STEPS - 1:
            changed["StageName"] = self._move(deal, deal.step + 1, day)
        else:
            did = False
        if changed:
            self._change("Opportunity", deal.id, worker.person.crm_id, at, changed)
        self._on_mended(errand, worker.person, at, did)

    def _try_out(self, worker: Worker, habit: str, at: int, day: int, rng: random.Random) -> None:
        """What a tip of the first weeks invites to, done once or twice."""
        text = instant_text(datetime.fromtimestamp(at, UTC))
        if habit == "leads":
            self._new_lead(worker, text, rng)
        elif habit == "contacts" and worker.accounts:
            self._new_contact(worker, text, rng)
        elif habit == "step" and worker.deals:
            deal = worker.deals[int(rng.random() * len(worker.deals))]
            if deal.step < OPEN_STEPS - 1:
                changed: dict[str, object] = {"StageName": self._move(deal, deal.step + 1, day)}
                self._change("Opportunity", deal.id, worker.person.crm_id, at, changed)
        elif habit == "entering" and worker.person.role in REPS:
            self._new_deal(worker, at, rng)
        else:
            for _ in range(2):
                deals = worker.deals
                deal_or_none = deals[int(rng.random() * len(deals))] if deals else None
                self._log(worker, deal_or_none, at, day, rng)

    # Comings and goings

    def _leave(self, person: Person, at: int, what: str) -> None:
        if what == "off":
            if person.quirk != "left_slack_only":
                self._change("User", person.crm_id, self.integration, at, {"IsActive": False})
            # Their deals go to the colleagues a few days later, or stay with somebody who is gone.
            self._appoint(at + 4 * DAY, person.number, LEAVES, ("handed over",))
            return
        worker = self.workers[person.number]
        mates = deque(
            self.workers[mate.number]
            for mate in self.firm.team(person.boss if person.boss is not None else -1)
            if mate.number != person.number
            and mate.crm_id
            and mate.employed(date.fromordinal(at // DAY + EPOCH))
        )
        if not mates:
            return
        for deal in worker.deals:
            heir = mates[0]
            mates.rotate(-1)
            heir.deals.append(deal)
            self._deals[deal.id] = (heir.person.number, deal)
            self._change("Opportunity", deal.id, self.integration, at, {"OwnerId": heir.person.crm_id})
        worker.deals = []

    # What somebody else does

    def notice(self, record: str) -> None:
        """A deal was mended by hand: its owner knows what stands there now, and does not do it once more.

        What is closed by hand stays as it is left, also when it is opened again.
        """
        number, deal = self._deals.get(record, (None, None))
        if deal is None or number is None:
            return
        (now,) = self.crm.rows("SELECT * FROM Opportunity WHERE Id = ?", record)
        if now["IsClosed"]:
            self.workers[number].deals.remove(deal)
            del self._deals[record]
            return
        deal.step = STEPS.index(now["StageName"])
        deal.has_next_step = now["NextStep"] is not None
        deal.has_amount = now["Amount"] is not None
        deal.has_account = now["AccountId"] is not None
        deal.amount = now["Amount"] if deal.has_amount else deal.amount
        deal.account = now["AccountId"] or deal.account
        deal.close = date.fromisoformat(now["CloseDate"]).toordinal()
        if now["LastActivityDate"]:
            deal.active = max(deal.active, date.fromisoformat(now["LastActivityDate"]).toordinal())

    # Looking in

    def deal_named(self, number: int, name: str) -> str | None:
        """The id of an open deal of somebody, by its name."""
        worker = self.workers.get(number)
        return next((deal.id for deal in worker.deals if deal.name == name), None) if worker else None

    def barriers(self) -> Iterator[tuple[Person, Barrier]]:
        """Everything that stands, or will stand, in somebody's way."""
        for worker in self.workers.values():
            for barrier in worker.nature.barriers:
                yield worker.person, barrier


def habit_of(family: str, invited_to: str | None) -> str:
    """The habit that a tip is about. `invited_to`: of a first-weeks tip, what it says."""
    if family == "first_weeks" and invited_to in (
        "leads",
        "contacts",
        "step",
        "activities",
        "tasks",
        "entering",
    ):
        return invited_to
    return FAMILIES[family].habit


_PROFILES = {
    SELLER: "Sales",
    SDR: "Sales Development",
    SUCCESS: "Customer Success",
    MANAGER: "Sales Management",
    PRIVACY: "Read Only",
}
