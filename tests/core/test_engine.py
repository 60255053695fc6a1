"""The engine: what it refuses, its bounds, the backlog, and how it knows the time."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ruptura.core.contracts.event import Reason
from ruptura.core.contracts.record import Input, Record, Tick
from tests.simulation.contact_centre import (
    CHANNEL,
    DAY,
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    SERVICE,
    TICKETS,
    add,
    engine,
    merged,
    metric,
    record,
    records,
    run,
    ticket,
    ticks,
)


class TestRefusals:
    def test_a_late_event_is_counted_and_never_applied(self) -> None:
        subject = engine()
        subject.step([Tick(METRICS, 0, MONDAY)])
        effects = run(
            subject,
            [
                record(ticket(MONDAY + 10, 1), 0, MONDAY + 10),
                record(ticket(MONDAY + 95, 2), 1, MONDAY + 95),
                record(ticket(MONDAY + 50, 3), 2, MONDAY + 96),
                record(ticket(MONDAY + 61, 4), 3, MONDAY + 97),
                *_end(MONDAY + 300),
            ],
        )
        assert effects.late == {TICKETS: 1}
        opened = {p.start: p.observed for p in effects.points if p.series == "tickets.opened"}
        assert opened[MONDAY] == 1.0
        assert opened[MONDAY + 60] == 2.0

    def test_a_duplicate_is_dropped_and_counted(self) -> None:
        same = ticket(MONDAY + 10, 1)
        effects = run(
            engine(), [*(record(same, n, MONDAY + 10) for n in range(3)), *_end(MONDAY + 300)]
        )
        assert effects.duplicates == {TICKETS: 2}
        assert effects.consumed == {TICKETS: 3}
        assert next(p.observed for p in effects.points if p.series == "tickets.opened") == 1.0

    def test_an_event_from_the_future_is_refused_and_does_not_drag_the_clock(self) -> None:
        effects = run(
            engine(),
            [
                record(ticket(MONDAY + 10, 1), 0, MONDAY + 10),
                record(ticket(MONDAY + 10 + DAY, 2), 1, MONDAY + 11),
                record(ticket(MONDAY + 12, 3), 2, MONDAY + 12),
            ],
        )
        assert [r.reason for r in effects.rejections] == [Reason.FUTURE_EVENT]
        assert effects.event_times == {(TICKETS, 0): MONDAY + 12}
        assert not effects.late

    def test_time_that_goes_back_moves_no_clock_back(self) -> None:
        subject = engine()
        run(subject, [record(ticket(MONDAY + DAY, 1), 0, MONDAY + DAY), *_end(MONDAY + DAY + 300)])
        effects = run(
            subject, [record(ticket(MONDAY, 2), 1, MONDAY), *_end(MONDAY), *_end(MONDAY + 60)]
        )
        assert effects.late == {TICKETS: 1}
        assert effects.buckets == 0
        assert effects.event_times == {(TICKETS, 0): MONDAY + DAY}

    def test_an_unknown_topic_is_refused_record_by_record(self) -> None:
        strange = [record({}, n, MONDAY, topic="elsewhere") for n in range(3)]
        effects = run(engine(), strange)
        assert [r.reason for r in effects.rejections] == [Reason.UNKNOWN_TOPIC] * 3
        assert effects.consumed == {"elsewhere": 3}

    def test_a_key_that_is_not_the_service_is_counted_by_its_name(self) -> None:
        one = record(ticket(MONDAY, 1), 0, MONDAY)
        effects = run(engine(), [Record(TICKETS, 0, 0, MONDAY, b"T-1", one.value)])
        assert effects.misrouted == {SERVICE: 1}
        assert not effects.rejections


class TestBounds:
    def test_further_channels_are_refused(self) -> None:
        inputs = [record(ticket(MONDAY + n, n, channel=f"c{n}"), n, MONDAY + n) for n in range(5)]
        effects = run(engine(window={"max_channels": 3}), inputs)
        assert [r.reason for r in effects.rejections] == [Reason.TOO_MANY_SERIES] * 2
        assert [r.record.offset for r in effects.rejections] == [3, 4]

    def test_further_metrics_are_refused(self) -> None:
        inputs = [
            record(metric(MONDAY + n, f"m{n}", value=1.0), n, MONDAY + n, topic=METRICS)
            for n in range(5)
        ]
        effects = run(engine(window={"max_metrics": 2}), inputs)
        assert [r.record.offset for r in effects.rejections] == [2, 3, 4]

    def test_the_oldest_open_tickets_are_forgotten_and_counted(self) -> None:
        inputs: list[Input] = [record(ticket(MONDAY + n, n), n, MONDAY + n) for n in range(10)]
        inputs.append(record(ticket(MONDAY + 20, 0, "resolved"), 10, MONDAY + 20))
        effects = run(engine(window={"max_open_tickets": 4}), [*inputs, *_end(MONDAY + 300)])
        assert effects.evicted == 5
        assert {p.observed for p in effects.points if p.series == "tickets.backlog"} == {4.0}

    def test_the_last_channel_that_expires_makes_room(self) -> None:
        subject = engine(window={"max_channels": 1, "expire_seconds": 3600})
        first = run(subject, [record(ticket(MONDAY, 1), 0, MONDAY), *_end(MONDAY + 2 * HOUR)])
        assert first.gone == [(SERVICE, CHANNEL)]
        assert subject.services(0) == ()
        at = MONDAY + 3 * HOUR
        second = run(subject, [record(ticket(at, 2, channel="new"), 1, at)])
        assert not second.rejections

    @pytest.mark.parametrize("years", [1, 50])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_a_gap_of_years_expires_channels_and_does_not_stall(
        self, years: int, channels: int
    ) -> None:
        late = MONDAY - years * 365 * DAY
        begin = [record(ticket(late, n, channel=f"c{n}"), n, late) for n in range(channels)]
        back = record(ticket(MONDAY, 9, channel="c9"), 9, MONDAY)
        effects = run(
            engine(window={"expire_seconds": 7200}),
            [Tick(METRICS, 0, late), *begin, back, *_end(MONDAY + 600)],
        )
        assert len(effects.gone) == channels
        assert effects.buckets < 200

    def test_a_gap_is_no_longer_work_when_the_new_channel_came_before_the_close(self) -> None:
        late = MONDAY - 50 * 365 * DAY
        effects = run(
            engine(window={"expire_seconds": 7200}),
            [
                record(ticket(late, 1, channel="old"), 0, late),
                record(ticket(MONDAY, 2, channel="new"), 1, MONDAY),
                *_end(MONDAY + 600),
            ],
        )
        assert effects.gone == [(SERVICE, "old")]
        assert effects.buckets < 200

    @pytest.mark.parametrize("first", [TICKETS, METRICS])
    def test_a_channel_that_comes_back_after_a_gap_expires_in_any_order(self, first: str) -> None:
        old, new = MONDAY, MONDAY + 3 * HOUR
        tickets: list[Input] = [
            record(ticket(old, 1), 0, old),
            record(ticket(new, 2), 1, new),
            *[Tick(TICKETS, 0, new + 300.0 + n) for n in range(3)],
        ]
        metrics: list[Input] = [
            record(metric(old, "wait", channel="other", value=1.0), 0, old, topic=METRICS),
            record(metric(new, "wait", channel="other", value=1.0), 1, new, topic=METRICS),
            *[Tick(METRICS, 0, new + 300.0 + n) for n in range(3)],
        ]
        order = tickets + metrics if first == TICKETS else metrics + tickets
        effects = run(engine(window={"expire_seconds": 3600}), order)
        assert sorted(effects.gone) == [(SERVICE, "other"), (SERVICE, CHANNEL)]
        opened = [p for p in effects.points if p.series == "tickets.opened" and p.observed]
        assert [p.start for p in opened] == [old, new]


class TestBacklog:
    def test_steps_out_of_order_within_the_lateness_count_as_they_happened(self) -> None:
        steps = [
            (0, "opened", 1),
            (20, "resolved", 1),
            (21, "closed", 1),
            (5, "opened", 2),
            (15, "reopened", 1),
            (25, "opened", 3),
        ]
        times = [MONDAY + at for at, _, _ in steps]
        order = [1, 5, 0, 4, 2, 3]
        inputs = [
            record(
                ticket(times[n], steps[n][2], steps[n][1], event_id=f"e{n}"),
                offset,
                MONDAY + 25 + offset,
            )
            for offset, n in enumerate(order)
        ]
        effects = run(engine(), [*inputs, *_end(MONDAY + 200)])
        backlog = [p.observed for p in effects.points if p.series == "tickets.backlog"]
        assert backlog[0] == 2.0  # 2 and 3: the first was reopened before it was resolved

    def test_a_reopened_ticket_is_open_and_a_close_after_a_resolution_is_nothing_new(self) -> None:
        steps = [
            (0, "opened"),
            (70, "resolved"),
            (130, "closed"),
            (190, "reopened"),
            (250, "closed"),
        ]
        inputs = [
            record(ticket(MONDAY + at, 1, kind, event_id=f"e{n}"), n, MONDAY + at)
            for n, (at, kind) in enumerate(steps)
        ]
        effects = run(engine(), [*inputs, *_end(MONDAY + 360)])
        backlog = {
            (p.start - MONDAY) / 60: p.observed
            for p in effects.points
            if p.series == "tickets.backlog"
        }
        assert [backlog.get(float(n), 0.0) for n in (1, 2, 3, 4)] == [0.0, 0.0, 1.0, 0.0]

    def test_it_equals_a_plain_count_whatever_the_order(self) -> None:
        chance = Random(11)
        events: list[tuple[float, dict[str, Any]]] = []
        changes: list[tuple[float, int]] = []
        for number in range(400):
            opened = MONDAY + chance.random() * 4 * HOUR
            resolved = opened + chance.random() * 2 * HOUR
            events.append((opened, ticket(opened, number)))
            events.append((resolved, ticket(resolved, number, "resolved")))
            events.append((resolved + 90, ticket(resolved + 90, number, "closed")))
            changes += [(opened, 1), (resolved, -1)]
        inputs = records(events, delay=lambda: chance.random() * 29)
        effects = run(engine(), [*inputs, *_end(MONDAY + 7 * HOUR)])
        assert not effects.late
        points = [p for p in effects.points if p.series == "tickets.backlog"]
        assert len(points) > 300
        for point in points:
            end = point.start + MINUTE
            assert point.observed == sum(step for at, step in changes if at < end)


class TestTime:
    def test_silence_fires_by_ticks_alone(self) -> None:
        chance = Random(3)
        moments = sorted(MONDAY + chance.random() * 2 * DAY for _ in range(2 * 24 * 40))
        inputs: list[Input] = [record(ticket(at, n), n, at) for n, at in enumerate(moments)]
        last = MONDAY + 2 * DAY
        sources = (inputs, ticks(last, last + HOUR), ticks(last, last + HOUR, topic=METRICS))
        effects = run(engine(), [*inputs, *merged(*sources[1:])])
        assert [a.kind for a in effects.alerts] == ["silence"] * len(effects.alerts)
        assert effects.alerts[0].reason == "opened"
        assert effects.alerts[0].updated_at.timestamp() < last + HOUR

    def test_a_backlog_of_unread_records_is_never_taken_for_silence(self) -> None:
        # The ticket topic is far behind: it sends no ticks, while the other topic runs on.
        inputs: list[Input] = [
            record(ticket(MONDAY + 20 * n, n), n, MONDAY + 20 * n) for n in range(9000)
        ]
        other = ticks(MONDAY, MONDAY + 4 * DAY, 60.0, topic=METRICS)
        subject = engine()
        effects = run(subject, [*other, *inputs])
        ahead = [Tick(METRICS, 0, MONDAY + 5 * DAY + 60 * n) for n in range(2000)]
        add(effects, run(subject, ahead))
        assert not effects.alerts
        newest = max(p.end for p in effects.channels)
        assert newest <= MONDAY + 20 * 9000

    def test_an_idle_topic_whose_end_was_seen_holds_nothing_back(self) -> None:
        inputs: list[Input] = []
        for n in range(100):
            at = MONDAY + 20 * n
            inputs += [record(ticket(at, n), n, at), Tick(METRICS, 0, at), Tick(TICKETS, 0, at)]
        effects = run(engine(), inputs)
        assert effects.buckets >= 30

    def test_a_topic_never_heard_of_holds_everything_back(self) -> None:
        inputs = [record(ticket(MONDAY + 20 * n, n), n, MONDAY + 20 * n) for n in range(100)]
        assert run(engine(), inputs).buckets == 0


def _end(at: float) -> list[Input]:
    """Ticks of both topics, often enough that each knows of the other's end."""
    return [Tick(topic, 0, at + n) for n in range(3) for topic in (TICKETS, METRICS)]
