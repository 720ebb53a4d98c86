"""A line plot as SVG, which follows the reader's choice of light or dark."""

from __future__ import annotations

import math
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 64, 48
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .line { fill: none; stroke-width: 2.5 }
  .a { stroke: #0f7b3f } .a-fill { fill: #0f7b3f }
  .b { stroke: #8a5a00; stroke-dasharray: 6 4 } .b-fill { fill: #8a5a00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .grid { stroke: #3d444d }
    .a { stroke: #4ac27b } .a-fill { fill: #4ac27b }
    .b { stroke: #e0a73c } .b-fill { fill: #e0a73c }
  }
"""


def plot(title: str, x_name: str, series: dict[str, list[tuple[float, float]]]) -> str:
    """
    Return a plot with a logarithmic x and a linear y from zero.

    :param title: What y is, with its unit.
    :param x_name: What x is.
    :param series: Up to two lines by name, each the points in the order of x.
    """
    points = [point for line in series.values() for point in line]
    low, high = (math.log10(edge(x for x, _ in points)) for edge in (min, max))
    top = _round_up(max(y for _, y in points))

    def across(x: float) -> float:
        return LEFT + (math.log10(x) - low) / ((high - low) or 1) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>']
    for step in range(5):
        y = top * step / 4
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}"/>',
            f'<text x="{LEFT - 8}" y="{down(y) + 4:.1f}" text-anchor="end">{y:,.{0 if top >= 4 else 2}f}</text>',
        ]
    for x in sorted({x for x, _ in points}):
        parts.append(f'<text x="{across(x):.1f}" y="{HEIGHT - 26}" text-anchor="middle">{x:,.0f}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>')
    for place, (look, (name, line)) in enumerate(zip("ab", series.items(), strict=False)):
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line)
        parts.append(f'<polyline class="line {look}" points="{path}"/>')
        parts += [
            f'<circle class="{look}-fill" cx="{across(x):.1f}" cy="{down(y):.1f}" r="4">'
            f"<title>{escape(name)}: {y:,.1f} at {x:,.0f}</title></circle>"
            for x, y in line
        ]
        x = LEFT + 250 * place
        parts += [
            f'<line class="line {look}" x1="{x}" x2="{x + 28}" y1="44" y2="44"/>',
            f'<text x="{x + 36}" y="48">{escape(name)}</text>',
        ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 6, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)
