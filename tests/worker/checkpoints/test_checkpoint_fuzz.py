"""Whatever stands in the changelog: restoring raises nothing, and refuses what it damages alone."""

from __future__ import annotations

from functools import cache

import msgspec
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ruptura.core.engine import Engine
from ruptura.core.state import VERSION
from ruptura.worker.checkpoints.checkpoint import PART_BYTES, Checkpoints
from ruptura.worker.checkpoints.fenced_changelog import FencedChangelog, epoch_header, epoch_of
from tests.simulation.contact_centre import (
    HOUR,
    MONDAY,
    contacts,
    day_shape,
    engine,
    lives,
    records,
)

SERVICES = ("aurora", "brisa", "cedro")
SERVICE = b"0/service/"


def fresh() -> Engine:
    return engine(detection={"warm_up_seconds": 3600})


def packed(content: bytes) -> bytes:
    return b"\x00" + zstandard.ZstdCompressor().compress(content)


@cache
def written(part_bytes: int) -> dict[bytes, bytes]:
    """What a sound checkpoint of three services holds, whole or in parts."""
    told = [
        (at, document | {"event_id": f"{service}-{document['event_id']}"})
        for number, service in enumerate(SERVICES)
        for at, document in lives(
            contacts(day_shape(60.0), 120.0, MONDAY, MONDAY + 0.5 * HOUR, number),
            number,
            service=service,
        )
    ]
    subject = fresh()
    subject.step([msgspec.structs.replace(r, timestamp=float(r.timestamp)) for r in records(told)])
    taken = Checkpoints(subject, part_bytes).take()
    return {key: value for wave in taken.waves for _, key, value in wave if value is not None}


def touched(key: bytes) -> str | None:
    """The service that an entry belongs to."""
    return key.rsplit(b"/", 1)[-1].decode(errors="replace") if key.startswith(b"0/") else None


KEYS = st.sampled_from(sorted(written(400) | written(PART_BYTES)))
OTHER_KEYS = st.binary(max_size=30) | st.builds(bytes.__add__, st.just(SERVICE), st.binary())
VALUES = (
    st.binary()
    | st.builds(packed, st.binary())
    | st.builds(bytes.__add__, st.sampled_from([b"\x00", b"\x01", b"\x02"]), st.binary())
    | st.tuples(*[st.integers(-9, 2**63)] * 2).map(lambda p: b"\x01" + msgspec.msgpack.encode(p))
    | st.sampled_from(sorted((written(400) | written(PART_BYTES)).values()))
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid value with bytes exchanged, cut off or added."""
    value = bytearray(draw(st.sampled_from(sorted(written(PART_BYTES).values()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        value[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(value)


@st.composite
def reworked(draw: st.DrawFn) -> bytes:
    """A value whose checksum is right and whose content is not: of another version, or hostile."""
    value = draw(st.sampled_from(sorted(written(PART_BYTES).values())))
    content = msgspec.msgpack.decode(zstandard.decompress(value[1:]))
    assert isinstance(content, list)
    at = draw(st.integers(0, len(content) - 1))
    scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    content[at] = draw(scalars | st.lists(scalars, max_size=3) | st.just({}))
    return packed(msgspec.msgpack.encode(content))


HOSTILE_ENTRIES = st.dictionaries(KEYS | OTHER_KEYS, VALUES | mutated() | reworked(), max_size=4)


@settings(deadline=None)
@given(part_bytes=st.sampled_from([400, PART_BYTES]), entries=HOSTILE_ENTRIES)
@example(part_bytes=PART_BYTES, entries={SERVICE + b"brisa": packed(b"\x91" * 100_000)})
@example(part_bytes=PART_BYTES, entries={SERVICE + b"\xff": b""})
@example(part_bytes=400, entries={SERVICE + b"brisa": b"\x01\x92\x00\xce\xff\xff\xff\xff"})
def test_only_services_whose_entries_were_touched_are_refused(
    part_bytes: int, entries: dict[bytes, bytes]
) -> None:
    changelog = written(part_bytes) | entries
    subject = fresh()
    restored, refused = Checkpoints(subject, part_bytes).restore(0, changelog)
    if b"0/clock" in entries:
        assert subject.partitions() in ((), (0,))
        return
    services = sum(key.startswith(SERVICE) for key in changelog)
    assert restored + refused == services, "each is restored, or refused and counted"
    untouched = set(SERVICES) - {touched(key) for key in entries}
    assert untouched <= set(subject.services(0))
    for service in untouched:
        assert subject.dump(0, service) == sound(part_bytes)[service]
    subject.step([])
    Checkpoints(subject, part_bytes).take()


@cache
def sound(part_bytes: int) -> dict[str, bytes]:
    subject = fresh()
    Checkpoints(subject, part_bytes).restore(0, written(part_bytes))
    return {service: subject.dump(0, service) for service in SERVICES}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | KEYS | OTHER_KEYS,
            st.none() | VALUES | mutated(),
            st.just(epoch_header(1)) | st.lists(st.tuples(st.text(), st.none() | st.binary())),
        ),
        max_size=8,
    )
)
def test_a_hostile_log_is_read_and_restored_without_an_exception(
    log: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]],
) -> None:
    changelog = FencedChangelog()
    for offset, entry in enumerate(written(PART_BYTES).items()):
        changelog.apply(offset, *entry, 1)
    for offset, (key, value, headers) in enumerate(log, changelog.offset + 1):
        changelog.apply(offset, key, value, epoch_of(headers))
    assert changelog.foreign == sum(k is None or epoch_of(h) != 1 for k, _, h in log)
    assert changelog.size == sum(map(len, changelog.entries.values()))
    restored, refused = Checkpoints(fresh()).restore(0, changelog.entries)
    assert max(restored, refused - 1) <= sum(key.startswith(SERVICE) for key in changelog.entries)


@given(st.integers(2, 2**32))
@settings(deadline=None, max_examples=5)
def test_a_state_of_another_version_is_refused(version: int) -> None:
    value = written(PART_BYTES)[SERVICE + b"brisa"]
    content = msgspec.msgpack.decode(zstandard.decompress(value[1:]))
    assert content[0] == VERSION
    content[0] = VERSION + version
    changelog = written(PART_BYTES) | {SERVICE + b"brisa": packed(msgspec.msgpack.encode(content))}
    subject = fresh()
    assert Checkpoints(subject).restore(0, changelog) == (2, 1)
    assert set(subject.services(0)) == {"aurora", "cedro"}


def test_a_component_of_another_version_begins_anew_and_its_service_is_restored() -> None:
    value = written(PART_BYTES)[SERVICE + b"brisa"]
    content = msgspec.msgpack.decode(zstandard.decompress(value[1:]))
    content[3]["lifecycles"][0][0] += 1
    changelog = written(PART_BYTES) | {SERVICE + b"brisa": packed(msgspec.msgpack.encode(content))}
    subject = fresh()
    assert Checkpoints(subject).restore(0, changelog) == (3, 1)
    assert set(subject.services(0)) == {"aurora", "brisa", "cedro"}
