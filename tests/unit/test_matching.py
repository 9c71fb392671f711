"""Who is who: the identity file, single sign-on, e-mail; and nobody is guessed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.matching import EMAIL, OVERRIDE, SSO, WHAT_TO_DO, Candidate, Matching, Override, Tie, match
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
    without_circles,
)

ANA = Candidate("p-ana", "salesforce", "ana", "ana@example.com", sso_ids=("e-ana",))
LEO = Candidate("p-leo", "salesforce", "leo", "leo@example.com", sso_ids=("e-leo",))


def account(identity: str, email: str | None = None, *sso_ids: str, **more: Any) -> SlackUser:
    return SlackUser(identity, email, identity, None, sso_ids=sso_ids, **more)


def line(crm: str, slack: str | None, source: str | None = None, number: int = 2) -> Override:
    return Override(number, crm, slack, source)


def tie(found: Matching, person: Candidate = ANA) -> tuple[str, str | None, str | None, str]:
    one = found.ties[person.id]
    return one.state, one.account, one.by, one.why


# --- the order of the steps ----------------------------------------------------------------------------------------


def test_the_identity_file_goes_before_single_sign_on_and_that_before_the_address() -> None:
    by_email, by_sso, by_file = (
        account("U1", "ANA@example.com "),
        account("U2", "a.s@example.com", "E-Ana"),
        account("U3", "x@example.com"),
    )
    assert tie(match([ANA], [by_email])) == (MATCHED, "U1", EMAIL, "")
    assert tie(match([ANA], [by_email, by_sso])) == (MATCHED, "U2", SSO, "")
    everything = [by_email, by_sso, by_file]
    assert tie(match([ANA], everything, [line("ana@example.com", "U3")])) == (MATCHED, "U3", OVERRIDE, "")
    assert tie(match([ANA], everything, [line("ana", "x@example.com")])) == (MATCHED, "U3", OVERRIDE, "")


def test_a_step_that_names_nothing_leaves_it_to_the_next() -> None:
    assert tie(match([ANA], [account("U1", "ana@example.com", "e-other")])) == (MATCHED, "U1", EMAIL, "")
    assert tie(match([ANA], [])) == (UNMATCHED, None, None, "no-account")
    assert tie(match([replace(ANA, email=" ")], [])) == (UNMATCHED, None, None, "no-address")


@pytest.mark.parametrize(
    ("kind", "state"),
    [({"deleted": True}, DEACTIVATED), ({"is_guest": True}, GUEST), ({"is_bot": True}, BOT)],
)
def test_no_step_ties_to_a_guest_a_bot_or_a_deactivated_account(kind: dict[str, Any], state: str) -> None:
    by_file = match([ANA], [account("U1", None, **kind)], [line("ana", "U1")])
    assert tie(by_file) == (state, None, OVERRIDE, state)
    assert by_file.faults[0].startswith("line 2: the account U1 is")
    assert tie(match([ANA], [account("U1", None, "e-ana", **kind)])) == (state, None, SSO, state)
    assert tie(match([ANA], [account("U1", "ana@example.com", **kind)])) == (state, None, EMAIL, state)


def test_what_single_sign_on_says_of_an_account_decides_though_it_cannot_be_written_to() -> None:
    accounts = [account("U1", "ana@example.com"), account("U2", None, "e-ana", deleted=True)]
    assert tie(match([ANA], accounts)) == (DEACTIVATED, None, SSO, DEACTIVATED)


def test_a_living_account_goes_before_a_deactivated_one_of_the_same_name() -> None:
    old = account("U1", "ana@example.com", "e-ana", deleted=True)
    assert tie(match([ANA], [old, account("U2", None, "e-ana")])) == (MATCHED, "U2", SSO, "")
    assert tie(match([replace(ANA, sso_ids=())], [old, account("U2", "ana@example.com")]))[1] == "U2"


def test_who_left_is_tied_to_nothing_and_takes_nothing_from_anybody() -> None:
    gone = replace(LEO, email=ANA.email, sso_ids=ANA.sso_ids, active=False, account="U1")
    found = match([ANA, gone], [account("U1", "ana@example.com", "e-ana")], [line("leo", "U1")])
    assert found.ties.keys() == {ANA.id}
    assert tie(found) == (MATCHED, "U1", SSO, "")


# --- nobody is guessed ---------------------------------------------------------------------------------------------


def test_two_people_of_one_crm_with_one_address_are_both_ambiguous() -> None:
    twin = replace(LEO, email="ANA@example.com", sso_ids=())
    ana = replace(ANA, sso_ids=())
    found = match([ana, twin], [account("U1", "ana@example.com")])
    assert tie(found, ana) == tie(found, twin) == (AMBIGUOUS, None, EMAIL, "shared-address")
    assert (found.ties[ana.id].about, found.ties[twin.id].about) == ((twin.id,), (ana.id,))


def test_two_living_accounts_with_one_address_or_one_id_are_ambiguous() -> None:
    one, two = account("U1", "ana@example.com"), account("U2", "ana@example.com")
    assert match([ANA], [two, one]).ties[ANA.id] == Tie(
        AMBIGUOUS, by=EMAIL, why="accounts-share-address", about=("U1", "U2")
    )
    one, two = account("U1", None, "e-ana"), account("U2", None, "e-ana")
    assert match([ANA], [two, one]).ties[ANA.id] == Tie(
        AMBIGUOUS, by=SSO, why="accounts-share-sso", about=("U1", "U2")
    )
    both = replace(ANA, sso_ids=("e-ana", "e-old"))
    assert tie(match([both], [account("U1", None, "e-ana"), account("U2", None, "e-old")]))[0] == AMBIGUOUS


def test_two_people_of_one_crm_with_one_id_of_single_sign_on_are_both_ambiguous() -> None:
    twin = replace(LEO, sso_ids=ANA.sso_ids)
    found = match([ANA, twin], [account("U1", "ana@example.com", "e-ana"), account("U2", "leo@example.com")])
    assert tie(found) == tie(found, twin) == (AMBIGUOUS, None, SSO, "shared-account")


def test_whose_address_leads_to_an_account_that_single_sign_on_gives_to_another_is_not_tied() -> None:
    found = match([ANA, replace(LEO, sso_ids=())], [account("U1", "leo@example.com", "e-ana")])
    assert tie(found) == (MATCHED, "U1", SSO, "")
    assert tie(found, LEO) == (AMBIGUOUS, None, EMAIL, "taken")


def test_nobody_is_tied_because_they_are_the_one_who_is_left_over() -> None:
    twin = replace(LEO, email=ANA.email, sso_ids=())
    accounts = [account("U1", "ana@example.com"), account("U2", "else@example.com", "e-ana")]
    found = match([ANA, twin], accounts)
    assert tie(found) == (MATCHED, "U2", SSO, "")
    assert tie(found, twin) == (AMBIGUOUS, None, EMAIL, "shared-address")


def test_the_identity_file_resolves_a_shared_address() -> None:
    twin = replace(LEO, email=ANA.email, sso_ids=())
    found = match([ANA, twin], [account("U1", "ana@example.com")], [line("leo", None)])
    assert tie(found) == (MATCHED, "U1", EMAIL, "")
    assert tie(found, twin) == (EXCLUDED, None, OVERRIDE, "excluded")


# --- the identity file ---------------------------------------------------------------------------------------------


def test_nobody_is_never_tied_though_everything_else_fits() -> None:
    found = match([ANA], [account("U1", "ana@example.com", "e-ana")], [line("ana@example.com", None)])
    assert tie(found) == (EXCLUDED, None, OVERRIDE, "excluded")
    assert found.faults == ()


def test_a_line_about_an_account_that_is_not_there_is_a_finding_and_no_other_step_is_tried() -> None:
    there = [account("U1", "ana@example.com")]
    found = match([ANA], there, [line("ana", "U9")])
    assert tie(found) == (UNMATCHED, None, OVERRIDE, "override-unknown")
    assert "line 2: there is no Slack account U9" in found.faults[0]
    assert match([ANA], [], [line("ana", "U9")]).faults == (), "Slack was not read yet"


def test_a_line_about_nobody_of_the_crm_is_a_finding() -> None:
    found = match(
        [ANA, LEO],
        [account("U1", "leo@example.com")],
        [line("eva", "U1"), line("eva", None, "salesforce"), line("ana", None, "odoo")],
    )
    assert found.faults == (
        "line 2: nobody in the CRM is eva; mend it, or take it out",
        "line 2: nobody in salesforce is eva; mend it, or take it out",
        (
            "line 2: nobody was read from a source odoo; there are people of salesforce: mend the column source, or"
            " poll it first"
        ),
    )
    assert tie(found, LEO) == (MATCHED, "U1", EMAIL, "")
    assert match([], [], [line("eva", "U1")]).faults == (), "the CRM was not read yet"


def test_the_same_account_for_two_people_of_one_crm_ties_neither_and_is_a_finding() -> None:
    lines = [line("ana", "U1"), line("leo", "U1", number=3)]
    found = match([ANA, LEO], [account("U1", "leo@example.com")], lines)
    assert tie(found) == tie(found, LEO) == (AMBIGUOUS, None, OVERRIDE, "shared-account")
    assert found.faults == ("lines 2 and 3 name U1 for more than one person of one CRM; keep one",)


def test_two_lines_that_name_different_accounts_of_one_person_hold_nothing() -> None:
    two = [line("ana", "U1"), line("ana", "U2")]
    found = match(
        [replace(ANA, id="p", crm_id="ana")],
        [account("U1"), account("U2")],
        [two[0], replace(two[1], line=5)],
    )
    assert found.ties["p"].state == AMBIGUOUS
    assert found.faults == ("lines 2 and 5 name different accounts of ana; keep one",)


def test_the_line_that_says_more_holds() -> None:
    accounts = [account("U1"), account("U2"), account("U3")]
    general, exact = line("ana@example.com", "U1"), line("ana", "U2", number=3)
    most = line("ana@example.com", "U3", "salesforce", number=4)
    assert tie(match([ANA], accounts, [general, exact]))[1] == "U2"
    assert tie(match([ANA], accounts, [general, exact, most]))[1] == "U3"


def test_a_line_that_fits_two_people_of_one_crm_says_which_ids_to_write() -> None:
    twin = replace(LEO, email=ANA.email)
    found = match([ANA, twin], [account("U1", None, "e-ana")], [line("ana@example.com", "U1")])
    assert tie(found) == tie(found, twin) == (AMBIGUOUS, None, OVERRIDE, "override-unclear")
    assert "write the id that the CRM has for them instead (ana, leo)" in found.faults[0]
    assert match([ANA, twin], [], [line("ana@example.com", None)]).ties[twin.id].state == EXCLUDED


def test_an_id_that_two_crms_have_needs_its_source() -> None:
    other = replace(LEO, id="q", source="odoo", crm_id="ana", email="other@example.com")
    found = match([ANA, other], [account("U1")], [line("ana", "U1")])
    assert tie(found) == tie(found, other) == (AMBIGUOUS, None, OVERRIDE, "override-unclear")
    assert "column source (salesforce, odoo)" in found.faults[0]
    assert tie(match([ANA, other], [account("U1")], [line("ana", "U1", "odoo")]), other)[1] == "U1"


# --- several CRMs --------------------------------------------------------------------------------------------------

IN_ODOO = replace(ANA, id="a-odoo", source="odoo", crm_id="7", sso_ids=())


def test_one_person_in_two_crms_is_tied_once() -> None:
    found = match([ANA, IN_ODOO], [account("U1", "ana@example.com")])
    assert tie(found, IN_ODOO) == (MATCHED, "U1", EMAIL, "")
    assert found.ties[ANA.id] == Tie(SECOND, by=EMAIL, why="second", about=(IN_ODOO.id,))


def test_the_one_who_is_tied_already_stays_then_the_earlier_step_goes_first() -> None:
    accounts = [account("U1", "ana@example.com", "e-ana")]
    assert tie(match([ANA, IN_ODOO], accounts))[:3] == (MATCHED, "U1", SSO)
    stays = match([ANA, replace(IN_ODOO, account="U1")], accounts)
    assert (tie(stays)[0], tie(stays, IN_ODOO)[:2]) == (SECOND, (MATCHED, "U1"))
    chosen = match([ANA, replace(IN_ODOO, account="U1")], accounts, [line("7", None, "odoo")])
    assert (tie(chosen)[0], tie(chosen, IN_ODOO)[0]) == (MATCHED, EXCLUDED)


def test_one_account_for_a_person_of_each_crm_is_no_finding() -> None:
    found = match([ANA, IN_ODOO], [account("U1")], [line("ana@example.com", "U1")])
    assert found.faults == ()
    assert {each.state for each in found.ties.values()} == {MATCHED, SECOND}


# --- for any people and accounts -----------------------------------------------------------------------------------

EMAILS = st.sampled_from(["a@x.com", "A@X.com ", "b@x.com", None])
RARELY = st.sampled_from([False, False, False, False, True])
SSO_IDS = st.lists(st.sampled_from(["s1", "S1", "s2", "s3"]), max_size=2).map(tuple)
PEOPLE = st.lists(
    st.builds(
        Candidate,
        id=st.uuids().map(str),
        source=st.sampled_from(["one", "two"]),
        crm_id=st.sampled_from(["1", "2", "3", "4"]),
        email=EMAILS,
        active=RARELY.map(lambda left: not left),
        sso_ids=SSO_IDS,
        account=st.sampled_from([None, "U1", "U2"]),
    ),
    max_size=6,
    unique_by=(lambda each: (each.source, each.crm_id), lambda each: each.id),
)
ACCOUNTS = st.lists(
    st.builds(
        SlackUser,
        id=st.sampled_from(["U1", "U2", "U3", "U4"]),
        email=EMAILS,
        name=st.just(""),
        zone=st.none(),
        is_bot=RARELY,
        is_guest=RARELY,
        deleted=RARELY,
        sso_ids=st.one_of(st.none(), SSO_IDS),
    ),
    max_size=4,
    unique_by=lambda each: each.id,
)
LINES = st.lists(
    st.builds(
        Override,
        line=st.integers(2, 9),
        crm=st.sampled_from(["1", "2", "a@x.com", "b@x.com"]),
        slack=st.sampled_from([None, "U1", "U2", "a@x.com"]),
        source=st.sampled_from([None, None, "one"]),
    ),
    max_size=3,
)


def folded(email: str | None) -> str:
    return (email or "").strip().lower()


@given(PEOPLE, ACCOUNTS, LINES)
def test_only_who_is_active_is_tied_to_one_living_member_whom_a_step_names(
    people: list[Candidate], accounts: list[SlackUser], overrides: list[Override]
) -> None:
    found = match(people, accounts, overrides)
    there = {each.id: each for each in accounts}
    assert found.ties.keys() == {each.id for each in people if each.active}
    tied = [each.account for each in found.ties.values() if each.account is not None]
    assert len(tied) == len(set(tied)), "an account is one person's"
    for person in people:
        if not person.active:
            continue
        said = found.ties[person.id]
        assert (said.account is not None) == (said.state == MATCHED)
        assert (said.why == "") == (said.state == MATCHED)
        assert said.why in {"", *WHAT_TO_DO}
        if said.account is None:
            continue
        theirs = there[said.account]
        assert [theirs.is_bot, theirs.is_guest, theirs.deleted] == [False] * 3
        proofs = {
            EMAIL: bool(folded(person.email)) and folded(person.email) == folded(theirs.email),
            SSO: bool({i.lower() for i in person.sso_ids} & {i.lower() for i in theirs.sso_ids or ()}),
            OVERRIDE: any(
                each.crm in (person.crm_id, folded(person.email))
                and each.slack in (theirs.id, folded(theirs.email))
                for each in overrides
            ),
        }
        assert said.by is not None
        assert proofs[said.by]


@given(PEOPLE, ACCOUNTS, LINES)
def test_nobody_is_tied_to_what_two_could_claim(
    people: list[Candidate], accounts: list[SlackUser], overrides: list[Override]
) -> None:
    ties = match(people, accounts, overrides).ties
    there = {each.id: each for each in accounts}
    for person in people:
        said = ties.get(person.id)
        if said is None or said.account is None:
            continue
        rivals = [
            each
            for each in people
            if each.active and each.source == person.source and each.id != person.id
            if ties[each.id].by != OVERRIDE
        ]
        if said.by == EMAIL:
            assert folded(person.email) not in {folded(each.email) for each in rivals}
        if said.by == SSO:
            names = {each.lower() for each in there[said.account].sso_ids or ()}
            # Whoever else has one of its names has two accounts to choose from, and so none.
            for rival in rivals:
                if names & {each.lower() for each in rival.sso_ids}:
                    assert ties[rival.id].why == "accounts-share-sso"


@given(PEOPLE, ACCOUNTS, LINES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    people: list[Candidate], accounts: list[SlackUser], overrides: list[Override], shuffle: random.Random
) -> None:
    before = match(people, accounts, overrides).ties
    shuffle.shuffle(people)
    shuffle.shuffle(accounts)
    shuffle.shuffle(overrides)
    assert match(people, accounts, overrides).ties == before


@given(PEOPLE, ACCOUNTS, LINES)
def test_matching_again_changes_nothing(
    people: list[Candidate], accounts: list[SlackUser], overrides: list[Override]
) -> None:
    first = match(people, accounts, overrides).ties
    kept = [replace(each, account=first[each.id].account) if each.active else each for each in people]
    assert match(kept, accounts, overrides).ties == first


# --- managers ------------------------------------------------------------------------------------------------------

NAMES = "abcdefg"


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "nobody", *NAMES])))
def test_nobody_is_their_own_manager_by_any_way_and_every_other_tie_stays(bosses: dict[str, str]) -> None:
    tied, cut = without_circles(bosses)
    for who in tied:
        above, at = [who], tied.get(who)
        while at is not None:
            assert at not in above
            above.append(at)
            at = tied.get(at)
    for who, boss in bosses.items():
        if who in cut or boss == who or boss not in bosses:
            assert who not in tied
        else:
            assert tied[who] == boss
    for who in cut:
        # It was on a circle: going up from there came back.
        at = bosses[who]
        for _ in bosses:
            if at == who:
                break
            at = bosses[at]
        assert at == who


@given(st.permutations(NAMES))
def test_a_circle_loses_one_tie_however_long_it_is(names: list[str]) -> None:
    circle = {who: names[(at + 1) % len(names)] for at, who in enumerate(names)}
    tied, cut = without_circles(circle)
    assert cut == ("a",)
    assert len(tied) == len(names) - 1


def test_two_that_lead_each_other_a_self_manager_and_an_unknown_one() -> None:
    bosses = {"a": "b", "b": "a", "c": "c", "d": "a", "e": "gone", "f": ""}
    assert without_circles(bosses) == ({"b": "a", "d": "a"}, ("a",))
