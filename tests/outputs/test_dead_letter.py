"""A dead letter holds the record whole, or says that it does not."""

from __future__ import annotations

from base64 import b64decode

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.record import Record
from ruptura.outputs.dead_letter import MODEST_BYTES, dead_letter


def rejection(
    value: bytes | None,
    key: bytes | None = b"loja",
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Rejection:
    record = Record("ruptura.tickets", 3, 41, 1_700_000_000.25, key, value, headers)
    return Rejection(record, Reason.MALFORMED_JSON, "Expected `{` - at `$`")


@given(
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=50),
    st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=30)), max_size=4),
)
def test_any_record_can_be_had_back_from_its_dead_letter(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    letter = dead_letter(rejection(value, key, tuple(headers)))
    assert letter.value == (None if value is None else letter.value)
    assert (None if letter.value is None else b64decode(letter.value)) == value
    assert (None if letter.key is None else b64decode(letter.key)) == key
    assert [(name, b64decode(content)) for name, content in letter.headers] == headers


def test_it_says_where_the_record_is_and_why_it_was_refused() -> None:
    letter = dead_letter(rejection(b"{"))
    assert (letter.topic, letter.partition, letter.offset) == ("ruptura.tickets", 3, 41)
    assert letter.timestamp == 1_700_000_000.25
    assert letter.reason == Reason.MALFORMED_JSON
    assert letter.text == "Expected `{` - at `$`"


def test_what_is_too_large_for_a_topic_is_cut_and_the_text_says_so() -> None:
    large = bytes(2 * MODEST_BYTES)
    letter = dead_letter(rejection(large, headers=(("a", b"b"),)), MODEST_BYTES)
    assert letter.value is not None
    assert len(b64decode(letter.value)) == MODEST_BYTES - len(b"loja") - len("ab")
    assert letter.text == "Expected `{` - at `$`; cut to 655360 bytes, whole at its source"
    assert len(msgspec.json.encode(letter)) < 1_000_000


def test_headers_and_keys_may_be_the_large_part() -> None:
    large = bytes(2 * MODEST_BYTES)
    by_header = dead_letter(rejection(b"{", headers=(("a", large),)), MODEST_BYTES)
    assert by_header.headers == []
    by_key = dead_letter(rejection(b"{", key=large), MODEST_BYTES)
    for letter in (by_header, by_key):
        assert "; cut to" in letter.text
        assert len(msgspec.json.encode(letter)) < 1_000_000


def test_what_just_fits_is_whole() -> None:
    value = bytes(MODEST_BYTES - len(b"loja"))
    letter = dead_letter(rejection(value), MODEST_BYTES)
    assert letter.value is not None
    assert b64decode(letter.value) == value
    assert "cut" not in letter.text
