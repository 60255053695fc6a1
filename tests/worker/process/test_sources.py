"""From where partitions are read on, by whom, and how far time has passed for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from ruptura.core.contracts.record import Record
from ruptura.core.engine import Engine
from ruptura.worker.checkpoints.checkpoint import Checkpoints
from ruptura.worker.checkpoints.fenced_changelog import FencedChangelog
from ruptura.worker.process import sources
from ruptura.worker.process.intake import Intake
from ruptura.worker.process.restorer import Restorer
from ruptura.worker.process.sources import OffsetsWentBack, Sources
from tests.assembly.three_services import Outcome, feed, fresh, stream
from tests.simulation.contact_centre import METRICS, TICKETS, engine

TICKETS_0, METRICS_0 = TP(TICKETS, 0), TP(METRICS, 0)
EARLIEST, COMMITTED, END = 5, 800, 969
SERVICES_ONLY = 2  # waves: the parts of large states, and the services; no clock


class Consumer:
    """What the group and the brokers say."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.ends: dict[TP, tuple[float, int]] = {}
        self.sought: list[tuple[TP, int]] = []

    def assignment(self) -> set[TP]:
        return {TICKETS_0, METRICS_0}

    def committed(self, _tp: TP) -> int:
        return COMMITTED

    async def is_member(self, _tp: TP, _offset: int) -> bool:
        return False

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        if self.faults:
            raise self.faults.pop(0)
        return dict.fromkeys(tps, EARLIEST)

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, END)

    async def position(self, _tp: TP) -> int:
        return 0

    def end(self, tp: TP) -> tuple[float, int] | None:
        return self.ends.get(tp)

    def read_from(self, tp: TP, offset: int) -> None:
        self.sought.append((tp, offset))


class Changelog:
    """All entries of one partition that were ever written, by whomever."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bytes | None, int | None]] = []

    def read(self) -> FencedChangelog:
        changelog = FencedChangelog()
        for offset, (key, value, epoch) in enumerate(self.entries):
            changelog.apply(offset, key, value, epoch)
        return changelog


class Table:
    """What one worker has read of it, and its way of writing."""

    def __init__(self, changelog: Changelog) -> None:
        self._changelog = changelog
        self._fenced = changelog.read()

    def changelog(self, partition: int) -> FencedChangelog:
        assert partition == 0
        return self._fenced

    async def write(
        self, _partition: int, key: bytes, value: bytes | None, epoch: int
    ) -> Awaitable[object]:
        self._changelog.entries.append((key, value, epoch))
        return asyncio.sleep(0)


class Owner:
    """A worker that has read the changelog, and is to be the owner of partition 0."""

    def __init__(
        self, changelog: Changelog, generation: int = 1, subject: Engine | None = None
    ) -> None:
        self.engine = subject or fresh()
        self.consumer = Consumer()
        self.checkpoints = Checkpoints(self.engine)
        self.jumps: list[TP] = []
        self.drops: list[int] = []
        self.table = Table(changelog)
        recovery = SimpleNamespace(completed=SimpleNamespace(is_set=lambda: True))
        app: Any = SimpleNamespace(
            consumer=self.consumer,
            consumer_generation_id=generation,
            should_stop=False,
            rebalancing=False,
            tables=SimpleNamespace(recovery=recovery, actives_ready=True),
        )
        table: Any = self.table
        self.sources = Sources(
            app,
            (TICKETS, METRICS),
            self.engine,
            self.checkpoints,
            table,
            drop=self.drops.append,
            jumped=self.jumps.append,
            refused=lambda _reason, _count: None,
        )

    async def start(self, tp: TP = TICKETS_0) -> int:
        """Adopt all, and return where one is read on."""
        intake = await self.sources.adopt(tp)
        assert intake is not None
        assert (tp, intake.next_offset) in self.consumer.sought
        return intake.next_offset

    async def save(self, waves: int = 4) -> None:
        """Take a checkpoint, and write this much of it."""
        draft = self.checkpoints.begin({}, self.sources.epochs)
        while not draft.is_complete:
            draft.collect()
        for wave in draft.waves[:waves]:
            for entry in wave:
                await (await self.table.write(*entry, self.sources.epochs[0]))


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def scene() -> None:
        await scenario()

    asyncio.run(scene())


@pytest.fixture(scope="module")
def told() -> list[Record]:
    found = stream()
    assert len(found) == END
    return found


@pytest.fixture(scope="module")
def undisturbed(told: list[Record]) -> Outcome:
    """What comes of one that read all of it, alone."""
    subject = fresh()
    feed(subject, told)
    found = Outcome.of(subject)
    assert len(found.points) > 100
    return found


def test_where_the_changelog_was_deleted_all_that_is_left_is_read_again() -> None:
    async def scenario() -> None:
        assert await Owner(Changelog()).start() == EARLIEST

    play(scenario)


def test_services_without_a_clock_are_no_state_to_read_on_from(told: list[Record]) -> None:
    async def scenario() -> None:
        changelog = Changelog()
        killed = Owner(changelog)
        await killed.start()
        feed(killed.engine, told[EARLIEST:100])
        await killed.save(SERVICES_ONLY)
        assert any(b"service/" in key for key in changelog.read().entries)
        assert await Owner(changelog, 2).start() == EARLIEST

    play(scenario)


def test_what_others_wrote_to_the_changelog_is_no_state_either() -> None:
    async def scenario() -> None:
        changelog = Changelog()
        changelog.entries.append((b"0/clock", b"junk", None))
        heir = Owner(changelog)
        assert heir.table.changelog(0).foreign == 1
        assert await heir.start() == EARLIEST

    play(scenario)


def test_a_state_of_other_settings_leaves_the_past_alone(told: list[Record]) -> None:
    async def scenario() -> None:
        changelog = Changelog()
        before = Owner(changelog, subject=engine(window={"bucket_seconds": 120}))
        await before.start()
        feed(before.engine, told[:100])
        await before.save()
        assert await Owner(changelog, 2).start() == COMMITTED

    play(scenario)


def test_a_topic_that_the_state_does_not_know_is_read_from_the_earliest(told: list[Record]) -> None:
    async def scenario() -> None:
        changelog = Changelog()
        before = Owner(changelog)
        await before.start()
        before.engine.step(told[:100])
        await before.save()
        heir = Owner(changelog, 2)
        assert (await heir.start(), await heir.start(METRICS_0)) == (100, EARLIEST)

    play(scenario)


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_checkpoint_that_lands_after_its_owner_was_replaced_changes_nothing(
    told: list[Record], undisturbed: Outcome, is_claimed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unclaimed(*_: object) -> None:
        pass

    async def scenario() -> None:
        changelog = Changelog()
        first = Owner(changelog)
        await first.start()
        feed(first.engine, told[:300])
        await first.save()
        heir = Owner(changelog, 2)  # has read the changelog
        feed(first.engine, told[300:800])
        await first.save()  # and now this lands
        if not is_claimed:
            monkeypatch.setattr(Restorer, "_claim", unclaimed)
        assert await heir.start() == 300
        feed(heir.engine, told[300:400])
        await heir.save(SERVICES_ONLY)  # and is killed
        third = Owner(changelog, 3)
        start = await third.start()
        assert start == (300 if is_claimed else 800)
        feed(third.engine, told[start:])
        # Were it the same without the claim, there would be nothing to prove.
        assert (Outcome.of(third.engine) == undisturbed) == is_claimed

    play(scenario)


async def adopted(next_offset: int = 100) -> Owner:
    """The owner of partition 0 who has taken so much of either topic."""
    owner = Owner(Changelog())
    for tp in (TICKETS_0, METRICS_0):
        await owner.start(tp)
        owner.sources.intakes[tp].next_offset = next_offset
    owner.consumer.sought.clear()
    return owner


def test_an_idle_watermark_speaks_of_the_answer_before_and_the_first_answer_makes_none() -> None:
    async def scenario() -> None:
        owner = await adopted()
        passed = []
        for answer in [(1000.0, 100), (1000.0, 100), (1003.0, 100), (1003.0, 100), (1007.0, 100)]:
            owner.consumer.ends = {TICKETS_0: answer}
            watermarks, _ = await owner.sources.idle_watermarks()
            passed.append({tp: now + sources._MARGIN_SECONDS for tp, now in watermarks.items()})
        assert passed == [{}, {}, {TICKETS_0: 1000.0}, {}, {TICKETS_0: 1003.0}]

    play(scenario)


def test_no_time_passes_while_records_are_unread() -> None:
    async def scenario() -> None:
        owner = await adopted()
        for answer in [(1000.0, 100), (1003.0, 101)]:
            owner.consumer.ends = {TICKETS_0: answer}
            assert (await owner.sources.idle_watermarks())[0] == {}

    play(scenario)


def test_an_answer_from_before_a_partition_was_revoked_does_not_count() -> None:
    async def scenario() -> None:
        owner = await adopted()
        owner.consumer.ends = {TICKETS_0: (1000.0, 100)}
        await owner.sources.idle_watermarks()
        owner.sources.revoke({TICKETS_0, METRICS_0})
        assert owner.drops == [0]
        await owner.start()
        owner.sources.intakes[TICKETS_0].next_offset = 100
        owner.consumer.ends = {TICKETS_0: (1003.0, 100)}
        assert (await owner.sources.idle_watermarks())[0] == {}
        owner.consumer.ends = {TICKETS_0: (1007.0, 100)}
        assert list((await owner.sources.idle_watermarks())[0]) == [TICKETS_0]

    play(scenario)


def test_a_topic_that_stays_shorter_than_what_was_taken_of_it_was_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 50.0

    raised: list[str] = []

    async def scenario() -> None:
        nonlocal now
        owner = await adopted()
        monkeypatch.setattr("ruptura.worker.process.sources.time.monotonic", lambda: now)
        owner.consumer.ends = {TICKETS_0: (1000.0, 99)}
        assert (await owner.sources.idle_watermarks())[0] == {}, "a new leader may lag"
        now += 9.0
        owner.consumer.ends = {TICKETS_0: (1009.0, 100)}
        await owner.sources.idle_watermarks()
        now += 9.0
        owner.consumer.ends = {TICKETS_0: (1018.0, 99)}
        assert (await owner.sources.idle_watermarks())[0] == {}
        now += 10.0
        try:
            await owner.sources.idle_watermarks()
        except OffsetsWentBack as error:
            raised.append(str(error))

    play(scenario)
    assert raised == ["ruptura.tickets[0] ends at 99, 100 were read: it was recreated or truncated"]


def test_brokers_that_cannot_say_where_a_partition_begins_are_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "_AGAIN_SECONDS", 0.0)

    async def scenario() -> None:
        owner = Owner(Changelog())
        owner.consumer.faults = [KafkaConnectionError("gone")]
        assert await owner.sources.adopt(TICKETS_0) is None
        assert await owner.start() == EARLIEST
        owner.consumer.faults = [KafkaConnectionError("gone")]
        owner.consumer.sought.clear()
        intake = Intake(3)
        await owner.sources.read_again(TICKETS_0, intake, "a jump")
        assert (owner.jumps, owner.consumer.sought, intake.next_offset) == ([], [], 3)
        await owner.sources.read_again(TICKETS_0, intake, "a jump")
        assert (owner.jumps, owner.consumer.sought) == ([TICKETS_0], [(TICKETS_0, EARLIEST)])

    play(scenario)


def test_who_holds_nothing_yet_is_believed_to_be_a_member() -> None:
    async def scenario() -> None:
        owner = Owner(Changelog())
        assert await owner.sources.is_member()
        await owner.start()
        assert not await owner.sources.is_member(), "the group has replaced us"

    play(scenario)
