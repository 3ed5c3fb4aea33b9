"""Rows of three shops in no order, for the tests of the estimators."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from cases import Array

SHOPS = np.array(["north", "south", "east"])
FAST: dict[str, Any] = {"engine": "fast", "coupling": 0.05}


class Rows(NamedTuple):
    """Features (60, 3), numbers (60,) and the shop of each row (60,)."""

    X: Array
    y: Array
    shop: Any

    @property
    def frame(self) -> pd.DataFrame:
        """The features with names, and the column "shop" among them."""
        frame = pd.DataFrame(self.X, columns=["warm", "rain", "offers"])
        frame.insert(1, "shop", self.shop)
        return frame


def shop_rows(rng: np.random.Generator) -> Rows:
    """One predictor for all, read through much noise in 'east'."""
    X, shop = rng.normal(size=(60, 3)), SHOPS[rng.permutation(np.arange(60) % 3)]
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=60) * np.where(shop == "east", 2.0, 0.1)
    return Rows(X, y, shop)
