"""Requests from new origins against the others of their block, and settings and beginnings that are new: stories over days."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.features import layout as at
from pipeline.features.row import SKETCH
from tests.features.test_newcomers import days

if TYPE_CHECKING:
    from tests.features.conftest import Fabric


def sketch(axis: int) -> Any:  # noqa: ANN401 - a row of a column
    """A print that points along one axis."""
    found = np.zeros(SKETCH, np.int8)
    found[axis] = 100
    return found


def story(fabric: Fabric, thief_axis: int, thief_tokens: int) -> Any:  # noqa: ANN401 - vectors
    """Four days of an owner, then one on which a quarter of the requests has another address."""
    owner = {"client_address": "a", "print_present": 1, "print_sketch": [sketch(0)] * 20, "output_tokens": 100, "print_prefix": 1 << 56}
    mixed = dict(
        owner, client_address=["a"] * 15 + ["b"] * 5, print_sketch=[sketch(0)] * 15 + [sketch(thief_axis)] * 5,
        output_tokens=[100] * 15 + [thief_tokens] * 5, print_prefix=[1 << 56] * 15 + [1 << 57] * 5,
    )  # fmt: skip
    return days(fabric, [owner, owner, owner, owner, mixed])


def test_a_thief_who_asks_for_other_things_stands_out_from_the_owner(fabric: Fabric) -> None:
    """A quarter from a new address, at right angles to the usual, with answers ten times as long, and another beginning."""
    v = story(fabric, 1, 1_009)
    assert np.isnan(v[:4, at.STRANGERS_DISTANCE]).all()  # nobody is a stranger
    assert v[4, at.STRANGERS_DISTANCE] == pytest.approx(1.0, abs=1e-3)
    assert v[4, at.STRANGERS_OUTPUT] == pytest.approx(math.log(1_010 / 101))
    assert v[4, at.NEW_PREFIX_SHARE] == 0.25


def test_an_owner_on_the_road_does_not(fabric: Fabric) -> None:
    """The same work from a new address differs in nothing."""
    v = story(fabric, 0, 100)
    assert v[4, at.STRANGERS_DISTANCE] == pytest.approx(0.0, abs=1e-3)
    assert v[4, at.STRANGERS_OUTPUT] == pytest.approx(0.0, abs=1e-3)


def test_settings_are_new_for_two_days(fabric: Fabric) -> None:
    """Another limit or temperature is another program; the model is not a setting."""
    usual = {"max_tokens": 100, "temperature": 0.5, "model": "m"}
    v = days(fabric, [usual, usual, usual, dict(usual, model="m2"), *[dict(usual, max_tokens=200)] * 3])
    assert v[2:, at.NEW_SETTINGS_SHARE].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]


def test_a_setting_that_a_gateway_drops_or_adds_is_not_new(fabric: Fabric) -> None:
    """Absent is missing; a field that begins late has no past: only another value beside a known one is new."""
    usual = {"max_tokens": 100, "temperature": 0.5, "stream": -1}
    v = days(fabric, [usual, usual, usual, dict(usual, max_tokens=-1), *[dict(usual, stream=1)] * 3, dict(usual, stream=0)])
    assert v[2:, at.NEW_SETTINGS_SHARE].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
