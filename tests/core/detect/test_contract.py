"""What every model keeps: small, exact in and out of bytes, deterministic, no look-ahead."""

from __future__ import annotations

import math
import struct
from random import Random

import pytest

from ruptura.core.detect.families.factory import baseline_factory
from ruptura.core.detect.protocol import Baseline
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.registry import SeriesSpec

SPECS = {
    "count": SeriesSpec(family="count"),
    "ratio": SeriesSpec(family="ratio"),
    "gauge": SeriesSpec(family="gauge"),
    "log gauge": SeriesSpec(family="gauge", scale="log"),
}
BUCKETS = (1.0, 60.0, 3600.0, 86_400.0)

every_model = pytest.mark.parametrize("name", SPECS)


def model(name: str, bucket: float = 60.0) -> Baseline:
    return baseline_factory(bucket)(SPECS[name])


def lesson(name: str, chance: Random) -> tuple[float, float]:
    if name == "ratio":
        size = float(chance.choice((1, 20, 5000)))
        return float(round(size * chance.random() * 0.1)), size
    if name == "count":
        return float(chance.choice((0, 1, 3, 40))), 1.0
    return chance.gauss(10.0, 2.0), 1.0


def phase(n: int, bucket: float = 60.0) -> Phase:
    at = (n + 0.5) * bucket
    return Phase(int(at // 86_400) % 4, at % 86_400 / 3600.0, int(at // 3600) % 3 > 0)


def teach(subject: Baseline, name: str, count: int, *, seed: int = 0, bucket: float = 60.0) -> None:
    chance = Random(seed)
    for n in range(count):
        at = phase(n, bucket)
        subject.expect_one(at)
        subject.learn_one(*lesson(name, chance), at, chance.choice((1.0, 0.3, 0.05)))


@every_model
@pytest.mark.parametrize("taught", [0, 1, 2, 3000])
def test_bytes_out_and_in_again_change_nothing(name: str, taught: int) -> None:
    subject, copy = model(name), model(name)
    teach(subject, name, taught)
    copy.load(subject.dump())
    assert copy.dump() == subject.dump()
    for n in range(200):
        assert copy.expect_one(phase(n)) == subject.expect_one(phase(n))
        subject.learn_one(3.0, 4.0, phase(n), 0.5)
        copy.learn_one(3.0, 4.0, phase(n), 0.5)
    assert copy.dump() == subject.dump()


@every_model
@pytest.mark.parametrize("bucket", BUCKETS)
def test_expectations_are_finite_from_the_first_moment_on(name: str, bucket: float) -> None:
    subject = model(name, bucket)
    for taught in (0, 1, 1, 500):
        teach(subject, name, taught, seed=taught, bucket=bucket)
        for n in range(0, 400, 7):
            expected = subject.expect_one(phase(n, bucket))
            numbers = (expected.mean, expected.deviation, expected.doubt, expected.freedom)
            assert all(math.isfinite(number) for number in numbers)
            assert expected.low <= expected.mean <= expected.high
            assert expected.doubt >= 0.0
            if name.endswith("gauge"):
                assert expected.deviation > 0.0
                assert expected.freedom >= 1.0
            else:
                assert expected.mean >= 0.0
            if name == "ratio":
                assert expected.mean <= 1.0


@every_model
@pytest.mark.parametrize("value", [1e15, 5e-324, 1e-300, 0.0])
def test_extremes_leave_the_expectation_finite(name: str, value: float) -> None:
    subject = model(name)
    for n in range(300):
        subject.learn_one(value if n % 2 else 1.0, max(value, 1.0), phase(n), 1.0)
        expected = subject.expect_one(phase(n))
        assert math.isfinite(expected.mean)
        assert math.isfinite(expected.high)
        assert math.isfinite(expected.doubt)


@every_model
def test_a_state_is_small_and_does_not_grow(name: str) -> None:
    subject = model(name)
    teach(subject, name, 10)
    size = len(subject.dump())
    teach(subject, name, 5000)
    assert len(subject.dump()) == size < 4096


@every_model
def test_the_same_lessons_make_the_same_model(name: str) -> None:
    one, other = model(name), model(name)
    teach(one, name, 1000, seed=3)
    teach(other, name, 1000, seed=3)
    assert one.dump() == other.dump()


@every_model
def test_looking_teaches_nothing(name: str) -> None:
    subject = model(name)
    teach(subject, name, 500)
    before = subject.dump()
    assert subject.expect_one(phase(7)) == subject.expect_one(phase(7))
    assert subject.dump() == before


@every_model
def test_a_small_weight_teaches_less_but_never_nothing(name: str) -> None:
    moved = []
    for weight in (1.0, 0.3, 0.05):
        subject = model(name)
        for n in range(10_000):
            subject.learn_one(5.0, 10.0, phase(n), 1.0)
        before = subject.expect_one(phase(0)).mean
        for n in range(600):
            subject.learn_one(9.0, 10.0, phase(n), weight)
        moved.append(abs(subject.expect_one(phase(0)).mean - before))
    assert moved[0] > moved[1] > moved[2] > 0.0


@every_model
def test_a_new_level_becomes_normal(name: str) -> None:
    subject = model(name, 3600.0)
    size = 10.0 if name == "ratio" else 1.0
    for n in range(60 * 24):
        subject.learn_one(2.0 if n < 30 * 24 else 8.0, size, phase(n, 3600.0), 1.0)
    expected = subject.expect_one(phase(60 * 24, 3600.0)).mean
    target = 0.8 if name == "ratio" else 8.0
    assert expected == pytest.approx(target, rel=0.15)


@every_model
def test_bytes_that_are_no_state_are_refused(name: str) -> None:
    subject = model(name)
    teach(subject, name, 50)
    good = subject.dump()
    bad = [b"", good[:-1], good + b"\0", good[:8]]
    bad += [struct.pack("<d", poison) + good[8:] for poison in (math.nan, math.inf, -1.0, 1e300)]
    bad += [good[:-8] + struct.pack("<d", poison) for poison in (math.nan, -math.inf, -1.0)]
    for state in bad:
        fresh = model(name)
        blank = fresh.dump()
        with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
            fresh.load(state)
        assert fresh.dump() == blank
