"""The state of a detector or a forecaster, part by part, each with its version.

A part is a class with `VERSION`, the `STATE` struct that `dump` returns, and `load`, which
takes it back whole or raises ValueError and changes nothing. A version is raised when the struct
or its meaning changes; then that part alone starts afresh from an older state.
"""

from __future__ import annotations

from array import array
from typing import Any, ClassVar, Final, Literal, Protocol

import msgspec

from ruptura.core.contracts.tuning import Tally, are_finite

_IS_LITTLE_ENDIAN: Final = array("H", [1]).tobytes()[0] == 1

Code = Literal["d", "f"]

Versioned = tuple[Tally, Any]
"""Version and state of a part. The state is decoded only once its version is known."""


_versioned = msgspec.msgpack.Decoder(Versioned)


class Stateful(Protocol):
    """A part of a detector or of a forecaster that remembers."""

    VERSION: ClassVar[int]
    STATE: ClassVar[type[msgspec.Struct]]

    def dump(self) -> msgspec.Struct:
        """Return the state, small and explicit."""

    def load(self, state: Any) -> None:
        """Take the state back.

        Raises:
            ValueError: it is not a state of this part.
        """


def versioned(part: Stateful) -> Versioned:
    """Return the state of a part beside its version."""
    return part.VERSION, part.dump()


def restore(part: Stateful, found: Versioned) -> bool:
    """Load a part; return False, and leave it fresh, where the state is of another version.

    Raises:
        ValueError: the version is right, the state is not.
    """
    version, state = found
    if version != part.VERSION:
        return False
    part.load(msgspec.convert(state, part.STATE))
    return True


def pack(part: Stateful) -> bytes:
    """Return the state of a part and its version as MessagePack."""
    return msgspec.msgpack.encode(versioned(part))


def unpack(part: Stateful, state: bytes) -> bool:
    """Load a part from what `pack` returned; as `restore`."""
    try:
        found = _versioned.decode(state)
    except RecursionError:
        raise ValueError("state is nested too deeply") from None
    return restore(part, found)


def vector_bytes(values: array[float] | bytes, code: Code = "d") -> bytes:
    """Return floats, of an array or as they lie in memory, as little-endian bytes.

    Args:
        values: The floats.
        code: Of their type: double precision, or `f`: single.

    >>> vector_bytes(array("d", [1.0])).hex()
    '000000000000f03f'
    """
    if _IS_LITTLE_ENDIAN:
        return bytes(values)
    swapped = array(code, bytes(values))
    swapped.byteswap()
    return swapped.tobytes()


def vector(state: bytes, name: str, code: Code = "d") -> array[float]:
    """Return the floats that `vector_bytes` wrote.

    Args:
        state: Little-endian floats.
        name: What they are, for the error.
        code: Of their type.

    Raises:
        ValueError: no whole number of floats, or one of them is not finite or beyond 1e60.
    """
    values = array(code)
    if len(state) % values.itemsize:
        raise ValueError(f"{name}: not a vector of floats")
    values.frombytes(state)
    if not _IS_LITTLE_ENDIAN:
        values.byteswap()
    if not are_finite(values):
        raise ValueError(f"{name}: not finite")
    return values
