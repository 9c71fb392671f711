"""The journey of a visitor, through the page and the real bot: be a rep, get a tip, answer; be the lead, read the answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.office import Office, at_work
from tests.browser.visitor import Visitor
from tests.browser.windows import Windows
from tests.story import Firm, Story

ADA, BO, CAI, DEE, LEAD = "Ada Marsh", "Bo Lind", "Cai Wu", "Dee Okafor", "Lee Brandt"
TIP = "of your deals have a close date in the past"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office[Story]]:
    folder = tmp_path_factory.mktemp("office")
    firm = Firm(folder / "crm")
    for name in (ADA, BO, CAI, DEE):
        firm.hires(name)
        firm.neglects_dates(name)
    with at_work(firm, f"sqlite:///{folder}/fullsteam.db", "2026-11-16 07:00") as at:
        yield at


def test_a_visitor_is_reps_and_then_the_lead(office: Office[Story], windows: Windows) -> None:
    page = windows.open()
    visitor = Visitor(page, office.url)

    # Ada chooses a goal, gets a tip, and does what it says: the link opens beside the page, the tip says when.
    visitor.becomes(ADA)
    visitor.presses("Save time", on=visitor.waits_for("What would make Compass worth it"))
    expect(visitor.message("You chose: save time")).to_be_visible()
    tip = visitor.waits_for(TIP)
    page.context.route("https://crm.example.com/**", lambda route: route.fulfill(body="the CRM"))
    with page.context.expect_page() as opened:
        tip.get_by_role("link", name="Update in Compass").click()
    assert opened.value.url == "https://crm.example.com/deals/D-001"
    opened.value.close()  # a page behind another one is drawn once a second
    expect(visitor.message(TIP)).to_contain_text("Opened on")
    visitor.chooses("Pause", on=visitor.message(TIP))
    visitor.presses("Until next Monday", on=visitor.message(TIP))
    expect(visitor.message(TIP)).to_contain_text("quiet until 23 Nov")

    # Cai asks why, and says that it is not for her.
    visitor.becomes(CAI)
    visitor.chooses("Why this?", on=visitor.waits_for(TIP))
    thread = visitor.thread_of(visitor.message(TIP))
    expect(thread).to_contain_text("close date")
    visitor.chooses("Not for me", on=visitor.message(TIP))

    # Bo asks to be reminded, thinks better of it, and says what is in the way: with a button, and in his words.
    visitor.becomes(BO)
    visitor.presses("Remind me", on=visitor.waits_for(TIP))
    visitor.presses("No reminder", on=visitor.message(TIP))
    visitor.presses("Something's in the way", on=visitor.message(TIP))
    visitor.presses("The process", on=visitor.message(TIP))
    visitor.presses("With my name", on=visitor.message(TIP))
    expect(visitor.message(TIP)).to_contain_text("Noted as “The process”, for Robin Weber, with your name.")
    visitor.presses("Reply in thread", on=visitor.message(TIP))
    visitor.writes("Approval takes four days", under=True)
    expect(visitor.thread).to_contain_text("Noted")

    # The lead types a command and reads it. Until ten minutes are over Bo could have taken it back.
    visitor.moves("+1 hour")
    visitor.becomes(LEAD)
    visitor.writes("/fullsteam desk")
    desk = visitor.message("Approval takes four days")
    expect(desk).to_contain_text("Only visible to you", ignore_case=True)
    expect(desk).to_contain_text(BO)


def test_the_inspector_says_in_words_what_was_decided_and_why(
    office: Office[Story], windows: Windows
) -> None:
    visitor = Visitor(windows.open(), office.url)
    visitor.becomes(DEE)
    visitor.waits_for(TIP)
    visitor.message(TIP).press("i")
    pane = visitor.page.get_by_role("complementary")
    expect(pane.get_by_role("heading", name=f"What Fullsteam decided about {DEE}")).to_be_visible()
    expect(pane).to_contain_text("Stage")
    expect(pane).to_contain_text("Only in this sandbox")
    decided = pane.get_by_role("listitem").filter(has_text="Decided to send").first
    decided.locator("summary").click()
    expect(decided).to_contain_text("close date", ignore_case=True)
    assert not set("{}[]_") & set(pane.inner_text())

    # Who is not in the CRM is not known to the bot, and that is said kindly.
    field = pane.get_by_label("Inspect another person")
    field.fill(LEAD)
    field.press("Enter")
    expect(pane).to_contain_text(f"doesn't know {LEAD}")


def test_time_moves_for_all_windows_and_what_it_brings_arrives_by_itself(
    office: Office[Story], windows: Windows
) -> None:
    here, there = (Visitor(windows.open(), office.url) for _ in range(2))
    here.becomes(LEAD)
    there.becomes(ADA)
    before = there.clock.inner_text()
    here.moves("+1 hour")
    expect(there.clock).not_to_have_text(before)
    run = here.page.get_by_role("button", name="Run")
    run.click()
    expect(there.page.get_by_role("button", name="+1 week")).to_be_disabled()
    here.page.get_by_role("button", name="Pause").click()
    expect(run).to_be_visible(timeout=30_000)
    expect(there.page.get_by_role("button", name="+1 week")).to_be_enabled()
