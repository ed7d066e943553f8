"""Two plots as SVG text: lines with intervals over named buckets, and bars with upper bounds."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH, _HEIGHT = 860, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 230, 14, 40
_COLOURS = (
    "#1f5fd6",
    "#6a3fb5",
    "#0b8a6a",
    "#b8601a",
    "#a83254",
    "#5b6577",
    "#2d8fb3",
    "#8a7d12",
    "#7a4a2b",
    "#394b8f",
    "#b03bb0",
    "#3f7d3a",
)


class Series(NamedTuple):
    """One line: (bucket, value, low, high) with None where there is no data."""

    name: str
    points: list[tuple[str, float | None, float | None, float | None]]
    strong: bool = False
    dashed: bool = False


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, colour: str = "#49536a") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-family="system-ui,sans-serif">{escape(text)}</text>'


def _open(width: int, height: int, title: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'


def curves(series: Sequence[Series], title: str = "Recall over n·s²") -> str:
    """Lines between 0 and 1 over the buckets of the first series."""
    buckets = [p[0] for p in series[0].points]
    inner, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(index: int, value: float) -> tuple[float, float]:
        return _LEFT + inner * (index + 0.5) / len(buckets), _TOP + tall * (1 - value)

    parts = [_open(_WIDTH, _HEIGHT, title)]
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = at(0, step)[1]
        parts.append(
            f'<line x1="{_LEFT}" x2="{_LEFT + inner}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e6e9ef"/>{_text(_LEFT - 6, y + 4, f"{step:g}", anchor="end")}'
        )
    parts += [_text(at(i, 0)[0], _TOP + tall + 16, name, anchor="middle") for i, name in enumerate(buckets)]
    parts.append(_text(_LEFT + inner / 2, _HEIGHT - 6, "n·s²", anchor="middle"))
    for number, s in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        known = [(i, *p[1:]) for i, p in enumerate(s.points) if p[1] is not None]
        path = " ".join(f"{at(i, v)[0]:.1f},{at(i, v)[1]:.1f}" for i, v, _, _ in known if v is not None)
        dash = ' stroke-dasharray="6 4"' if s.dashed else ""
        width = 2.6 if s.strong or s.dashed else 1.2
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>')
        if s.strong:
            for i, v, low, high in known:
                if low is not None and high is not None and v is not None:
                    x = at(i, v)[0]
                    parts.append(
                        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{at(i, low)[1]:.1f}" y2="{at(i, high)[1]:.1f}" stroke="{colour}" stroke-opacity=".45" stroke-width="2"/>'
                    )
        y = _TOP + 12 + 17 * number
        x = _LEFT + inner + 14
        parts.append(
            f'<line x1="{x}" x2="{x + 20}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="{width}"{dash}/>{_text(x + 26, y, s.name)}'
        )
    return "".join(parts) + "</svg>"


def bars(values: Sequence[tuple[str, float, float]], limit: float, title: str = "False alerts by archetype") -> str:
    """Horizontal bars of (name, value, upper bound) with a line at `limit`."""
    left, row, width = 190, 17, _WIDTH
    height = 26 + row * len(values)
    top = max([limit * 1.2, *(v for _, v, _ in values)]) * 1.05
    scale = (width - left - 60) / top

    parts = [_open(width, height, title)]
    for number, (name, value, high) in enumerate(values):
        y = 6 + row * number
        colour = "#b3261e" if value > limit else "#1f5fd6"
        parts.append(_text(left - 8, y + 11, name, anchor="end"))
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{max(value * scale, 0.5):.1f}" height="11" fill="{colour}" fill-opacity=".8"/>')
        end = min(high, top) * scale
        parts.append(f'<line x1="{left + value * scale:.1f}" x2="{left + end:.1f}" y1="{y + 7.5}" y2="{y + 7.5}" stroke="#8b95a7"/>')
        parts.append(_text(left + value * scale + 5, y + 11, f"{value:.3g}", size=10))
    x = left + limit * scale
    parts.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{height - 18}" stroke="#b3261e" stroke-dasharray="4 3"/>{_text(x, height - 5, f"{limit:g}", anchor="middle")}'
    )
    return "".join(parts) + "</svg>"
