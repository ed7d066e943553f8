"""Events into rows, rows into vectors: the rules of blocks, and features against plain Python."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.features import layout as at
from pipeline.features.blocks import before
from pipeline.features.catalogue import FEATURES
from pipeline.features.kernel import Blocks, apply_events, close_open, new_blocks
from pipeline.features.row import ROW
from pipeline.intake.markers import Marker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.frame import Columns
    from tests.features.conftest import Fabric

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_767_225_600_000  # a midnight


def run(columns: Columns, cuts: Sequence[int] = (), block: int = 25, accounts: int = 1) -> tuple[NDArray[np.void], Blocks]:
    """Apply all events in the given pieces → rows, closed blocks."""
    n = len(columns.offset)
    rows, out, count = np.zeros(accounts, ROW), new_blocks(2 * n + 10), 0
    for lo, hi in zip((0, *cuts), (*cuts, n), strict=True):
        count = apply_events(rows, columns, columns.account.astype(np.int32), lo, hi, block, out, count)
    return rows, Blocks(*(column[:count] for column in out))  # type: ignore[arg-type]


def steady(count: int, gap_ms: int = 1_000) -> list[int]:
    """Times at an even pace."""
    return [START + i * gap_ms for i in range(count)]


def varied(fabric: Fabric, seed: int = 1, n: int = 700, accounts: int = 5) -> Columns:
    """Events of several accounts over days, with everything in them, some late."""
    rng = np.random.default_rng(seed)
    times = START + np.cumsum(rng.exponential(400_000, n)).astype(np.int64)
    times[rng.random(n) < 0.05] -= 3 * HOUR
    pick = ["stop", "refusal", "content_filter", "length"]
    return fabric(
        times.tolist(),
        account=rng.integers(0, accounts, n),
        status=rng.choice([200, 200, 200, 429, 400, 500], n),
        finish_reason=[pick[i] for i in rng.integers(0, 4, n)],
        input_tokens=np.where(rng.random(n) < 0.1, -1, rng.integers(1, 3000, n)),
        output_tokens=np.where(rng.random(n) < 0.1, -1, rng.integers(0, 3000, n)),
        print_present=(rng.random(n) < 0.8).astype(np.int8),
        print_length=rng.integers(0, 3000, n),
        print_template=rng.integers(1, 9, n) * 2**55,
        print_prefix=rng.integers(1, 2**62, n),
        print_suffix=rng.integers(1, 2**62, n),
        print_markers=rng.integers(0, 3, n),
        print_sketch=rng.integers(-127, 128, (n, 128)),
        client_address=[f"10.0.0.{i}" for i in rng.integers(0, 9, n)],
        account_created_at_ms=START - DAY,
    )


SORTS: dict[str, dict[str, object]] = {
    "prompt": {"print_present": 0},
    "origin": {"api_key_id": "", "client_address": "", "asn": -1, "user_agent": "", "country": ""},
    "sign_up": {"account_created_at_ms": -1},
}


@pytest.mark.parametrize("sort", SORTS)
def test_what_is_not_told_is_missing_and_changes_nothing_else(fabric: Fabric, sort: str) -> None:
    """A feature that needs a sort of field is missing without it; every other is the same to the last bit."""
    rng = np.random.default_rng(3)
    n = 3_000
    told: dict[str, object] = {
        "account": rng.integers(0, 2, n),
        "status": rng.choice([200, 200, 429], n),
        "input_tokens": rng.integers(1, 3_000, n),
        "output_tokens": rng.integers(0, 3_000, n),
        "print_present": 1,
        "print_length": rng.integers(0, 3_000, n),
        "print_template": rng.integers(1, 9, n) * 2**55,
        "print_prefix": rng.integers(1, 5, n),
        "print_suffix": rng.integers(1, 2**62, n),
        "print_sketch": rng.integers(-127, 128, (n, 128)),
        "print_script": rng.integers(1, 4, n),
        "api_key_id": [f"k{i}" for i in rng.integers(0, 3, n)],
        "client_address": [f"10.0.0.{i}" for i in np.minimum(rng.geometric(0.5, n), 9)],
        "asn": np.minimum(rng.geometric(0.5, n), 9),
        "user_agent": [f"a{i}" for i in rng.integers(0, 3, n)],
        "country": [f"C{i}" for i in rng.integers(0, 3, n)],
        "account_created_at_ms": START - DAY,
    }
    times = (START + np.cumsum(rng.exponential(300_000, n))).astype(np.int64).tolist()
    _, everything = run(fabric(times, **told), accounts=2)
    _, without = run(fabric(times, **told | SORTS[sort]), accounts=2)
    for i, feature in enumerate(FEATURES):
        if sort in feature.needs:
            assert not np.isnan(everything.vector[:, i]).all(), feature.name
            assert np.isnan(without.vector[:, i]).all(), feature.name
        elif (sort, feature.name) != ("sign_up", "age_days"):  # it then counts from the first request
            assert np.array_equal(everything.vector[:, i], without.vector[:, i], equal_nan=True), feature.name


def test_a_block_says_what_it_took_and_what_stood_before(fabric: Fabric) -> None:
    """A block's tokens are those of its own events, absent ones not counted; before it stand the totals of the block before."""
    columns = varied(fabric, accounts=1)
    _, blocks = run(columns)
    inputs, outputs = np.maximum(columns.input_tokens, 0), np.maximum(columns.output_tokens, 0)
    assert len(blocks.slot) > 20
    at_event = 0
    expected = (0, 0, 0)
    for k, n in enumerate(blocks.requests.tolist()):
        mine = slice(at_event, at_event + n)
        assert blocks.tokens[k].tolist() == [inputs[mine].sum(), outputs[mine].sum()]
        assert before(blocks, k) == expected
        expected = tuple(blocks.totals[k].tolist())
        at_event += n


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_frames_are_cut_does_not_matter(fabric: Fabric, seed: int) -> None:
    """Rows and blocks are bit-equal however the same events were cut into frames."""
    columns = varied(fabric, seed)
    rng = np.random.default_rng(seed)
    whole_rows, whole = run(columns, accounts=5)
    assert len(whole.slot) > 20
    for pieces in (2, 30, 400):
        cuts = sorted(rng.choice(np.arange(1, 700), pieces, replace=False).tolist())
        rows, blocks = run(columns, cuts, accounts=5)
        assert rows.tobytes() == whole_rows.tobytes()
        assert [np.asarray(c).tobytes() for c in blocks] == [np.asarray(c).tobytes() for c in whole]


def test_a_packed_row_goes_on_as_if_nothing_happened(fabric: Fabric) -> None:
    """Bytes of a row, restored in the middle, lead to the same row and blocks."""
    columns = varied(fabric, accounts=1)
    whole_rows, whole = run(columns)
    out = new_blocks(2_000)
    slots = np.zeros(700, np.int32)
    rows = np.zeros(1, ROW)
    count = apply_events(rows, columns, slots, 0, 333, 25, out, 0)
    rows = np.frombuffer(bytearray(rows.tobytes()), ROW)
    count = apply_events(rows, columns, slots, 333, 700, 25, out, count)
    assert rows.tobytes() == whole_rows.tobytes()
    assert out.vector[:count].tobytes() == whole.vector.tobytes()


def test_a_block_closes_when_it_is_full(fabric: Fabric) -> None:
    """Blocks of 25, each closed by its 25th event, with cumulated totals."""
    _, blocks = run(fabric(steady(60), output_tokens=10, input_tokens=3))
    assert blocks.event.tolist() == [24, 49]
    assert blocks.requests.tolist() == [25, 25]
    assert blocks.totals.tolist() == [[25, 75, 250], [50, 150, 500]]
    assert blocks.opened_ms.tolist() == [START, START + 25_000]
    assert blocks.closed_ms.tolist() == [START + 24_000, START + 49_000]


def test_a_later_hour_closes_a_block_of_five_before_its_event(fabric: Fabric) -> None:
    """Five requests end with their hour, four wait for more, and the new event belongs to the next block."""
    five = [START + i for i in range(5)]
    rows, blocks = run(fabric([*five, START + HOUR]))
    assert (blocks.event.tolist(), blocks.requests.tolist()) == ([5], [5])
    assert rows["block_requests"][0] == 1
    _, blocks = run(fabric([*five[:4], START + HOUR, START + 2 * HOUR]))
    assert blocks.requests.tolist() == [5]  # 4 of one hour and 1 of the next, ended by the third
    _, blocks = run(fabric([START, START + DAY]))
    assert blocks.requests.tolist() == [1]  # a day's end leaves nothing open


def test_one_event_can_close_two_blocks(fabric: Fabric) -> None:
    """With blocks of one request an event of a later day ends the old block and fills its own."""
    out, rows = new_blocks(10), np.zeros(1, ROW)
    columns = fabric([START, START + DAY])
    count = apply_events(rows, columns, np.zeros(2, np.int32), 0, 1, 5, out, 0)
    count = apply_events(rows, columns, np.zeros(2, np.int32), 1, 2, 1, out, count)
    assert out.event[:count].tolist() == [1, 1]


def test_the_clock_closes_what_its_hour_left(fabric: Fabric) -> None:
    """close_open ends blocks of five whose hour is over, smaller ones with their day, and no block of the current hour."""
    times = [START + i for i in range(9)]
    columns = fabric(times, account=[0] * 5 + [1] * 4)
    rows, blocks = run(columns, accounts=2)
    assert len(blocks.slot) == 0
    out, slots = new_blocks(4), np.arange(2, dtype=np.int32)
    assert close_open(rows, slots, START, out, 0) == 0
    assert close_open(rows, slots, START + HOUR, out, 0) == 1
    assert (out.slot[0], out.event[0], out.requests[0], out.closed_ms[0]) == (0, -1, 5, START + 4)
    assert close_open(rows, slots, START + 2 * HOUR, out, 0) == 0
    assert close_open(rows, slots, START + DAY, out, 0) == 1
    assert (out.slot[0], out.requests[0]) == (1, 4)


def test_events_of_no_slot_change_nothing(fabric: Fabric) -> None:
    """Slot −1 skips the event."""
    rows = np.zeros(1, ROW)
    columns = fabric(steady(30))
    assert apply_events(rows, columns, np.full(30, -1, np.int32), 0, 30, 25, new_blocks(60), 0) == 0
    assert rows.tobytes() == bytes(ROW.itemsize)


def test_what_is_absent_is_missing_and_not_zero(fabric: Fabric) -> None:
    """Features of fields that no request had are NaN."""
    _, blocks = run(fabric(steady(25)))
    v = blocks.vector[0]
    for column in (at.OUTPUT_LENGTH, at.OUTPUT_RATIO, at.REASONING_SHARE, at.CACHED_SHARE, at.TEMPERATURE, at.MARKER_SHARE, at.SIMILARITY,
                   at.TEMPLATE_MASS, at.SHIFT_FAST, at.ADDRESSES, at.KEYS, at.NETWORKS, at.LIFE_PACE, at.LIFE_TEMPLATE_MASS):  # fmt: skip
        assert math.isnan(v[column])
    assert v[at.ERROR_SHARE] == 0.0


def test_shares_and_means_are_what_plain_python_says(fabric: Fabric) -> None:
    """Counts, shares and logarithmic means of one block against their definition."""
    n = 20
    outputs = [10 * i for i in range(n)]
    columns = fabric(
        steady(n, 2_000),
        status=[429] * 4 + [500] + [200] * 15,
        finish_reason=["refusal"] * 3 + ["content_filter"] + ["stop"] * 16,
        operation=["list_models"] * 2 + ["chat"] * 18,
        output_tokens=outputs,
        input_tokens=100,
        cached_input_tokens=50,
        reasoning_tokens=[5 * i for i in range(n)],
        max_tokens=[1] * 5 + [100] * 15,
        logprobs=[1] * 10 + [0] * 10,
        choice_count=[2] * 8 + [1] * 12,
        client_address=["a", "b"] * 10,
        model=["m1", "m2", "m3", "m4"] * 5,
        account_created_at_ms=START - DAY,
    )
    _, blocks = run(columns, block=n)
    v = blocks.vector[0]
    expected = {
        at.LIMITED_SHARE: 0.2,
        at.ERROR_SHARE: 0.25,
        at.REFUSED_SHARE: 0.2,
        at.LISTS_SHARE: 0.1,
        at.TINY_SHARE: 0.25,
        at.LOGPROBS_SHARE: 0.5,
        at.CHOICES_SHARE: 0.4,
        at.REQUESTS_HOUR: math.log1p(n),
        at.TOKENS_HOUR: math.log1p(sum(outputs) + 100 * n),
        at.OUTPUT_LENGTH: float(np.log1p(outputs).mean()),
        at.OUTPUT_LENGTH_SD: float(np.log1p(outputs).std(ddof=1)),
        at.OUTPUT_RATIO: math.log((sum(outputs) + 1) / (100 * n + 1)),
        at.CACHED_SHARE: 50 * n / (100 * n + 1),
        at.REASONING_SHARE: sum(outputs) / 2 / (sum(outputs) + 1),
        at.GAP_SD: 0.0,
        at.ACTIVE_DAY: 1.0,
        at.LIFE_ACTIVE_SHARE: 1.0,
        at.LIFE_HOURLY_REQUESTS: math.log(n),
        at.LIFE_LIMITED_SHARE: 0.2,
        at.AGE_DAYS: math.log1p(1 + 2 * (n - 1) / 86_400),
        at.LIFE_PACE: math.log(n / (1 + 2 * (n - 1) / 86_400 + 1 / 24)),
    }
    for column, value in expected.items():
        assert v[column] == pytest.approx(value, abs=1e-6), column
    assert v[at.ADDRESSES] == pytest.approx(2, abs=0.1)
    assert v[at.MODELS] == pytest.approx(4, abs=0.2)


def test_prompts_are_what_plain_python_says(fabric: Fabric) -> None:
    """Template mass, equal pairs, similarity and markers of one block against their definition."""
    n = 24
    rng = np.random.default_rng(4)
    base = rng.normal(size=128)
    sketches = np.clip(np.rint(30 * (base + rng.normal(size=(n, 128)))), -127, 127).astype(np.int8)
    templates = [1 << 56] * 12 + [2 << 56] * 6 + [(3 + i) << 56 for i in range(6)]
    columns = fabric(
        steady(n),
        print_present=1,
        print_length=[100, 200] * 12,
        print_template=templates,
        print_prefix=[i << 56 for i in range(n)],
        print_sketch=sketches,
        print_markers=[int(Marker.STEP_BY_STEP)] * 6 + [int(Marker.GRADING)] * 3 + [0] * 15,
    )
    _, blocks = run(columns, block=n)
    v = blocks.vector[0]
    unit = sketches / np.linalg.norm(sketches.astype(float), axis=1, keepdims=True)
    cosines = unit @ unit.T
    chance = 1 / 64
    pairs = (12 * 11 + 6 * 5) / (n * (n - 1))
    assert v[at.TEMPLATE_MASS] == 0.5
    assert v[at.TEMPLATE_REPEAT] == pytest.approx((pairs - chance) / (1 - chance))
    assert v[at.PREFIX_REPEAT] == pytest.approx(-chance / (1 - chance))
    assert v[at.SIMILARITY] == pytest.approx((cosines.sum() - n) / (n * (n - 1)), abs=0.01)
    assert v[at.MARKER_SHARE] == 0.25
    assert v[at.TASK_SHARE] == 0.125
    assert v[at.PROMPT_LENGTH] == pytest.approx(np.log1p([100, 200]).mean())
    assert v[at.LIFE_TEMPLATE_MASS] == 0.5
    assert v[at.LIFE_SIMILARITY] == pytest.approx(v[at.SIMILARITY], abs=0.02)
    assert math.isnan(v[at.SHIFT_FAST])  # there was no past to turn away from


def test_a_drain_does_not_become_its_own_reference_within_a_day(fabric: Fabric) -> None:
    """After 200 prompts of one direction, a day of 2,000 others still reads as far from the usual; the usual moves by the day."""
    rng = np.random.default_rng(6)
    old, new = rng.normal(size=(2, 128))
    count = 2_200
    centre = np.where(np.arange(count)[:, None] < 200, old, new)
    sketches = np.clip(np.rint(25 * (centre + 0.5 * rng.normal(size=(count, 128)))), -127, 127)
    times = [START + i * 8 * 60_000 for i in range(200)] + [START + 2 * DAY + i * 20_000 for i in range(2_000)]
    _, blocks = run(fabric(times, print_present=1, print_sketch=sketches, output_tokens=[10] * 200 + [1_000] * 2_000))
    turned = blocks.totals[:, 0] > 225
    shift = blocks.vector[:, at.SHIFT_FAST]
    usual = blocks.vector[:, at.USUAL_FROM + 2]  # of the output length
    assert np.nanmax(shift[blocks.totals[:, 0] <= 200][2:]) < 0.3
    assert shift[turned].min() > 0.4
    assert blocks.vector[turned, at.SHIFT_SLOW].min() > 0.7
    assert usual[-1] < math.log1p(10) + 0.35 * (math.log1p(1_000) - math.log1p(10))


def test_late_events_count_and_do_not_move_time_back(fabric: Fabric) -> None:
    """An event of an earlier hour joins the open block; the account's clock stays."""
    times = [START + 5 * HOUR + i for i in range(10)] + [START] + [START + 5 * HOUR + 20]
    rows, blocks = run(fabric(times))
    assert len(blocks.slot) == 0
    assert rows["block_requests"][0] == 12
    assert rows["last_ms"][0] == START + 5 * HOUR + 20
    assert rows["first_ms"][0] == START
    assert rows["hour_requests"][0] == 12
