"""Draw the table of the guide: six shops, what a day was like, how far its sales were from the usual.

    python reports/guide/shops.py

writes shops.csv (the days to learn from) and later.csv (40 later days of every shop) beside itself. North,
south and new town have nearly the same customers, harbour and station have others, market has both kinds. New
town and station have been open for nine days, and their sales, like those of market, are noisy.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FEATURES = ("warm", "rain", "weekend", "offers", "rivals")
SHOPS = ("north", "south", "harbour", "market", "new town", "station")
DAYS = (60, 60, 60, 60, 9, 9)
NOISE = (2.0, 2.0, 2.0, 8.0, 6.0, 6.0)
LATER = 40


def draw() -> dict[str, list[list[str]]]:
    """The rows of both files."""
    rng = np.random.default_rng(20160619)
    inland, coast = np.array([4.0, -3.0, 6.0, 2.0, 1.0]), np.array([1.0, 5.0, -2.0, 4.0, 0.0])
    kinds = [inland, 1.1 * inland, coast, 0.5 * (inland + coast), 0.9 * inland, 1.2 * coast]
    weights = [kind + 0.3 * rng.normal(size=5) for kind in kinds]
    found: dict[str, list[list[str]]] = {}
    for file, counts in (("shops.csv", DAYS), ("later.csv", (LATER,) * 6)):
        rows = found.setdefault(file, [])
        for shop, days, noise, w in zip(SHOPS, counts, NOISE, weights, strict=True):
            X = rng.normal(size=(days, 5))
            sales = X @ w + noise * rng.normal(size=days)
            rows += [[shop, *(f"{v:.2f}" for v in (*x, y))] for x, y in zip(X, sales, strict=True)]
    return found


if __name__ == "__main__":
    for file, rows in draw().items():
        with open(HERE / file, "w", newline="", encoding="utf-8") as out:
            csv.writer(out, lineterminator="\n").writerows([("shop", *FEATURES, "sales"), *rows])
