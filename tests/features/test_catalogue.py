"""The catalogue, the layout that kernels use and the row are one thing."""

from __future__ import annotations

from pipeline.features import layout
from pipeline.features.blocks import new_blocks
from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.features.row import COUNTS, ROW, SUMS, USUAL


def test_every_constant_is_its_features_column() -> None:
    """The kernel's constants, the catalogue and the width of a vector agree."""
    for i, feature in enumerate(FEATURES):
        assert getattr(layout, feature.name.upper()) == i == INDEX[feature.name]
    assert len(FEATURES) == layout.USUAL_FROM
    assert layout.USUAL_FROM + len(USUAL) == layout.WIDTH == new_blocks(1).vector.shape[1]


def test_sums_counts_and_usual_values_are_where_the_kernel_writes_them() -> None:
    """The kernel's constants agree with the row's lists."""
    assert [getattr(layout, f"S_{name.upper()}") for name in SUMS] == list(range(len(SUMS)))
    assert [getattr(layout, f"C_{name.upper()}") for name in COUNTS] == list(range(len(COUNTS)))
    assert layout.USUAL_COLUMNS.tolist() == [INDEX[name] for name in USUAL]


def test_features_say_what_they_are() -> None:
    """Names are unique; each has a unit, a family and a sentence; one that accuses says of what."""
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert feature.unit
        assert feature.family
        assert len(feature.meaning) > 10
        assert feature.direction in (-1, 0, 1)
        assert not feature.kinds or feature.direction != 0


def test_a_row_is_small() -> None:
    """An account's features and open block fit into 2,688 bytes, without padding that nobody owns."""
    assert ROW.itemsize <= 2_688
    assert sum(dtype.itemsize for dtype, *_ in (ROW.fields or {}).values()) >= ROW.itemsize - 64
