"""Effects add up: what two portions say together is what one would have said."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from ruptura.core.contracts.effects import Effects

COUNTS = ("consumed", "late", "duplicates", "misrouted", "repeated")


@dataclass(frozen=True)
class Thing:
    """Stands for what a list holds; only its order matters."""

    number: int


@pytest.mark.parametrize("name", COUNTS)
def test_counts_add_up_by_name_and_a_new_name_begins_at_its_count(name: str) -> None:
    total, later = Effects(), Effects()
    getattr(total, name).update(tickets=3)
    getattr(later, name).update(tickets=2, metrics=5)
    total.add(later)
    assert getattr(total, name) == {"tickets": 5, "metrics": 5}


def test_every_field_takes_part_and_lists_keep_their_order() -> None:
    def filled(number: int) -> Effects:
        effects = Effects()
        for field in msgspec.structs.fields(Effects):
            value = getattr(effects, field.name)
            if isinstance(value, list):
                value.append(Thing(number))
            elif field.name == "event_times":
                value["tickets", 0] = float(number)
            elif isinstance(value, dict):
                value["tickets"] = number
            else:
                setattr(effects, field.name, number)
        return effects

    total = filled(1)
    total.add(filled(2))
    for field in msgspec.structs.fields(Effects):
        value = getattr(total, field.name)
        if isinstance(value, list):
            assert value == [Thing(1), Thing(2)], field.name
        elif field.name == "event_times":
            assert value == {("tickets", 0): 2.0}  # the newest, not a sum
        elif isinstance(value, dict):
            assert value == {"tickets": 3}, field.name
        else:
            assert value == 3, field.name
