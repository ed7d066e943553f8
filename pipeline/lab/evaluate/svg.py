"""Two plots as SVG text: lines with intervals over named buckets, and bars with upper bounds."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH, _HEIGHT = 860, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 230, 14, 40
_INNER, _TALL = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_COLOURS = (
    "#1f5fd6", "#6a3fb5", "#0b8a6a", "#b8601a", "#a83254", "#5b6577", "#2d8fb3", "#8a7d12", "#7a4a2b", "#394b8f", "#b03bb0", "#3f7d3a",
)  # fmt: skip
_GREY, _RED, _BLUE = "#8b95a7", "#b3261e", "#1f5fd6"


class Series(NamedTuple):
    """One line: (bucket, value, low, high) with None where there is no data."""

    name: str
    points: list[tuple[str, float | None, float | None, float | None]]
    strong: bool = False
    dashed: bool = False


def _open(height: int, title: str) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}" font-family="system-ui,sans-serif">'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="#49536a" text-anchor="{anchor}">{escape(text)}</text>'


def _stroke(a: tuple[float, float], b: tuple[float, float], colour: str, more: str = "") -> str:
    return f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" stroke="{colour}"{more}/>'


def curves(series: Sequence[Series], title: str = "Recall over n·s²") -> str:
    """Lines between 0 and 1 over the buckets of the first series."""
    buckets = [p[0] for p in series[0].points]

    def at(index: int, value: float) -> tuple[float, float]:
        return _LEFT + _INNER * (index + 0.5) / len(buckets), _TOP + _TALL * (1 - value)

    parts = [_open(_HEIGHT, title)]
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = at(0, step)[1]
        parts += [_stroke((_LEFT, y), (_LEFT + _INNER, y), "#e6e9ef"), _text(_LEFT - 6, y + 4, f"{step:g}", anchor="end")]
    parts += [_text(at(i, 0)[0], _TOP + _TALL + 16, name, anchor="middle") for i, name in enumerate(buckets)]
    parts.append(_text(_LEFT + _INNER / 2, _HEIGHT - 6, "n·s²", anchor="middle"))
    for number, s in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        style = f' stroke-width="{2.6 if s.strong or s.dashed else 1.2}"' + (' stroke-dasharray="6 4"' if s.dashed else "")
        known = [(i, v, low, high) for i, (_, v, low, high) in enumerate(s.points) if v is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(i, v) for i, v, _, _ in known))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"{style}/>')
        if s.strong:
            parts += [
                _stroke(at(i, low), at(i, high), colour, ' stroke-width="2" stroke-opacity=".45"')
                for i, _, low, high in known
                if low is not None and high is not None
            ]
        x, y = _LEFT + _INNER + 14, _TOP + 12 + 17 * number
        parts += [_stroke((x, y - 4), (x + 20, y - 4), colour, style), _text(x + 26, y, s.name)]
    return "".join(parts) + "</svg>"


def bars(values: Sequence[tuple[str, float, float]], limit: float, title: str = "False alerts by archetype") -> str:
    """Horizontal bars of (name, value, upper bound) with a line at `limit`."""
    left, row = 190, 17
    height = 26 + row * len(values)
    top = max([limit * 1.2, *(v for _, v, _ in values)]) * 1.05
    scale = (_WIDTH - left - 60) / top
    parts = [_open(height, title)]
    for number, (name, value, high) in enumerate(values):
        y, end = 6 + row * number, left + value * scale
        colour = _RED if value > limit else _BLUE
        parts.append(_text(left - 8, y + 11, name, anchor="end"))
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{max(value * scale, 0.5):.1f}" height="11" fill="{colour}" fill-opacity=".8"/>')
        parts += [_stroke((end, y + 7.5), (left + min(high, top) * scale, y + 7.5), _GREY), _text(end + 5, y + 11, f"{value:.3g}", size=10)]
    x = left + limit * scale
    parts += [_stroke((x, 2), (x, height - 18), _RED, ' stroke-dasharray="4 3"'), _text(x, height - 5, f"{limit:g}", anchor="middle")]
    return "".join(parts) + "</svg>"
