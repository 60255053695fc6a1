"""The state of a part as bytes: what comes back is the part, or a ValueError."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from ruptura.core.detect.state import pack, unpack


class Counter(msgspec.Struct):
    count: int


class Part:
    VERSION: ClassVar[int] = 2
    STATE: ClassVar[Any] = Counter

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def dump(self) -> Counter:
        return Counter(self.count)

    def load(self, state: Counter) -> None:
        self.count = state.count


def test_a_part_comes_back() -> None:
    fresh = Part()
    assert unpack(fresh, pack(Part(7)))
    assert fresh.count == 7


def test_a_state_of_another_version_leaves_the_part_fresh_and_says_so() -> None:
    fresh = Part()
    assert not unpack(fresh, msgspec.msgpack.encode((1, {"count": 7})))
    assert fresh.count == 0


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x92\x02\xc3", id="of another type"),
        pytest.param(b"\x92\x02" + b"\x91" * 100_000 + b"\xc0", id="nested too deeply"),
    ],
)
def test_a_damaged_state_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each decoder says it in its own words
        unpack(Part(), state)
