"""Draw the pictures that test_pictures.py compares with; look at them before they are committed."""

from __future__ import annotations

from tests.charts.test_pictures import REFERENCES, draw_small

if __name__ == "__main__":
    REFERENCES.mkdir(exist_ok=True)
    for name in ("columns", "bars", "figures"):
        draw_small(name, REFERENCES / f"{name}.png")
