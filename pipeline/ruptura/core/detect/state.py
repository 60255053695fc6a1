"""The state of a detector, component by component, each with its version.

A component is a class with `VERSION`, the `STATE` struct that `dump` returns, and `load`, which
takes it back whole or raises ValueError and changes nothing. A version is raised when the struct
or its meaning changes; then that component alone starts afresh from an older state.
"""

from __future__ import annotations

from array import array
from typing import Any, ClassVar, Final, Protocol

import msgspec

from ruptura.core.contracts.tuning import Tally, are_finite

_IS_LITTLE_ENDIAN: Final = array("H", [1]).tobytes()[0] == 1

Versioned = tuple[Tally, Any]
"""Version and state of a component. The state is decoded only once its version is known."""


class Component(Protocol):
    """A part of a detector that remembers."""

    VERSION: ClassVar[int]
    STATE: ClassVar[type[msgspec.Struct]]

    def dump(self) -> msgspec.Struct:
        """Return the state, small and explicit."""

    def load(self, state: Any) -> None:
        """Take the state back.

        Raises:
            ValueError: it is not a state of this component.
        """


def versioned(component: Component) -> Versioned:
    """Return the state of a component beside its version."""
    return component.VERSION, component.dump()


def restore(component: Component, found: Versioned) -> bool:
    """Load a component; return False, and leave it fresh, where the state is of another version.

    Raises:
        ValueError: the version is right, the state is not.
    """
    version, state = found
    if version != component.VERSION:
        return False
    component.load(msgspec.convert(state, component.STATE))
    return True


def vector_bytes(values: array[float] | bytes) -> bytes:
    """Return doubles, of an array or as they lie in memory, as little-endian bytes.

    >>> vector_bytes(array("d", [1.0])).hex()
    '000000000000f03f'
    """
    if _IS_LITTLE_ENDIAN:
        return bytes(values)
    swapped = array("d", bytes(values))
    swapped.byteswap()
    return swapped.tobytes()


def vector(state: bytes, name: str) -> array[float]:
    """Return the doubles that `vector_bytes` wrote.

    Args:
        state: Little-endian doubles.
        name: What they are, for the error.

    Raises:
        ValueError: no whole number of doubles, or one of them is not finite or beyond 1e60.
    """
    if len(state) % 8:
        raise ValueError(f"{name}: not a vector of doubles")
    values = array("d", state)
    if not _IS_LITTLE_ENDIAN:
        values.byteswap()
    if not are_finite(values):
        raise ValueError(f"{name}: not finite")
    return values
