"""Curves of something against how many there are, as SVG: both scales logarithmic, so that what grows in proportion is a straight line."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 300  # of one panel
LEFT, RIGHT, TOP, BOTTOM = 62, 26, 34, 42  # on the right: half of the last number below the axis
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")
Curve = Sequence[tuple[float, float]]  # (how many, value), both above 0


@dataclass(frozen=True)
class Panel:
    """`curves`: by what stands beside the curve."""

    title: str
    unit: str
    curves: Mapping[str, Curve]


def chart(panels: Sequence[Panel], across: str) -> str:
    """One SVG document, two panels a row; `across`: what the x axis counts. Panels without a point are left out."""
    shown = [panel for panel in panels if any(panel.curves.values())]
    columns = min(2, len(shown)) or 1
    rows = -(-len(shown) // columns)
    box = f'viewBox="0 0 {columns * WIDTH} {rows * HEIGHT}"'
    pieces = [f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="11">']
    pieces.append(f'<rect width="{columns * WIDTH}" height="{rows * HEIGHT}" fill="white"/>')
    for place, panel in enumerate(shown):
        pieces.append(f'<g transform="translate({place % columns * WIDTH} {place // columns * HEIGHT})">')
        pieces += _panel(panel, across)
        pieces.append("</g>")
    return "\n".join((*pieces, "</svg>", ""))


def _panel(panel: Panel, across: str) -> Iterable[str]:
    points = [point for curve in panel.curves.values() for point in curve]
    many, values = _Axis(x for x, _ in points), _Axis(y for _, y in points)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + many.share(x) * wide, HEIGHT - BOTTOM - values.share(y) * high

    yield f'<text x="{LEFT}" y="18" font-size="13">{escape(panel.title)}, {escape(panel.unit)}</text>'
    for tick in values.ticks:
        _, y = at(many.low, tick)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
    for tick in many.ticks:
        x, _ = at(tick, values.low)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{_number(tick)}</text>'
    yield f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
    for curve, colour in zip(panel.curves.values(), COLOURS, strict=False):
        if not curve:
            continue
        drawn = [at(x, y) for x, y in sorted(curve)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in drawn)
    for number, (name, colour) in enumerate(zip(panel.curves, COLOURS, strict=False)):
        yield f'<text x="{LEFT + 8}" y="{TOP + 14 + 14 * number}" fill="{colour}">{escape(name)}</text>'


class _Axis:
    """From the power of ten below the least to that above the greatest."""

    def __init__(self, values: Iterable[float]) -> None:
        found = list(values)
        first = math.floor(math.log10(min(found)))
        last = max(math.ceil(math.log10(max(found))), first + 1)
        self.low = 10.0**first
        self.ticks = [10.0**power for power in range(first, last + 1)]
        self._first, self._powers = first, last - first

    def share(self, value: float) -> float:
        return (math.log10(value) - self._first) / self._powers


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
