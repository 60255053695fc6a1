"""After a sleep, a worker believes to be in its group only what the group itself says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ruptura.worker.process import membership as module
from ruptura.worker.process.membership import Membership

SESSION = 45.0


class Clock:
    """Passing time."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "_SETTLE_SECONDS", 0.0)
    return clock


def answering(clock: Clock, *answers: bool) -> tuple[Membership, list[bool]]:
    """A member, and the answers that its group has yet to give."""
    left = list(answers)

    async def ask() -> bool:
        return left.pop(0)

    return Membership(SESSION, ask, clock), left


def confirmed(member: Membership) -> bool:
    return asyncio.run(member.is_confirmed())


def test_who_comes_by_often_is_never_asked(clock: Clock) -> None:
    member, _ = answering(clock)
    for _ in range(10):
        clock.now += SESSION / 2.0
        assert not member.is_doubtful
        assert confirmed(member), "there was no answer to be had"


def test_who_slept_for_more_than_half_a_session_asks_until_the_group_says_yes(clock: Clock) -> None:
    member, left = answering(clock, False, False, True)
    clock.now += SESSION / 2.0 + 0.1
    for expected in (False, False, True):
        assert member.is_doubtful
        assert confirmed(member) is expected
    assert not member.is_doubtful
    assert left == []


def test_an_answer_counts_from_when_it_was_asked_for(clock: Clock) -> None:
    async def late() -> bool:
        clock.now += 1000.0
        return True

    member = Membership(SESSION, late, clock)
    clock.now += SESSION
    assert confirmed(member)
    assert member.is_doubtful, "much may have happened since"


@pytest.mark.parametrize("reassure", [Membership.see, Membership.end])
def test_there_is_no_doubt_in_a_group_that_settles_nor_at_the_end(
    clock: Clock, reassure: Callable[[Membership], None]
) -> None:
    member, _ = answering(clock)
    clock.now += SESSION
    reassure(member)
    assert not member.is_doubtful


def test_at_the_end_no_sleep_is_too_long(clock: Clock) -> None:
    member, _ = answering(clock)
    member.end()
    clock.now += 1000.0 * SESSION
    assert not member.is_doubtful
