"""What is tried on which data: the rows of the tables, their grids, and the parts.

Grids stand in the units of the data, steps of about 3, wide enough that the best on validation rows lies
inside for most; where it does not, `choice` goes on beyond, but on School, whose couplings end at 1000. They
were laid out on validation rows, not blindly: some test errors of USPS, MNIST, Synthetic, Imbalanced and
School had been seen by then, and nobody can say what that did. Losses are means over rows but on
Imbalanced, where they are sums, and one against the rest for digits. What goes in rounds is stopped after as
many as the validation rows like best; "converged" fits go to a first-order point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from paper.choice import Contender

Grid = Mapping[str, tuple[Any, ...]]

PARTS = {
    "imbalanced": range(1, 6),
    "synthetic": range(20),
    "usps": range(1),
    "mnist": range(1),
    "school": range(1, 11),
}
"""Numbers of the parts, cheap data first; splits 6 to 10 of School confirm."""
WIDENED = 2
"""How often a grid goes on beyond an end that is best; on School couplings end at 1000, and so do grids."""
ROUNDS = {"synthetic": 12, "imbalanced": 40, "school": 10, "usps": 10, "mnist": 10}
FEATURE_ROUNDS = 10
"""Of learned features, whose rounds take longer."""
NETWORK_ROUNDS = 15
"""Of a network, whose rounds are 100 iterations of L-BFGS."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "synthetic": {"loss": "squared"},
    "imbalanced": {"loss": "squared", "reduction": "sum"},
    "school": {"loss": "squared"},
    "usps": {"loss": "logistic"},
    "mnist": {"loss": "logistic"},
}


def spread(first: float, last: float, count: int) -> tuple[float, ...]:
    """Numbers of equal ratio, of four digits."""
    return tuple(float(f"{each:.4g}") for each in np.geomspace(first, last, count))


_DIGITS: Mapping[str, Grid] = {
    "stl": {"coupling": spread(1e-5, 1e-1, 13)},
    "mean": {"rho": spread(1e-5, 1e-1, 13)},
    "mtfl": {"rho": spread(1e-6, 1e-2, 9)},
    "go-mtl": {"features": (5, 10), "mu": spread(1e-4, 1e-2, 3), "decay": spread(1e-4, 1e-2, 3)},
    "sc-mtl": {"features": (2, 5, 8), "radius": spread(1.0, 30.0, 4)},
    "curriculum-simple": {"coupling": spread(1e-4, 1e-1, 7), "reading": ("greedy",)},
    "smtl": {"coupling": spread(3e-4, 1e-1, 6), "mu": spread(1e-3, 3.0, 6)},
    "amtl-noloss": {"coupling": spread(3e-4, 1e-1, 6), "mu": spread(1e-4, 0.3, 6)},
    "amtl": {"coupling": spread(3e-4, 1e-1, 6), "mu": spread(1e-3, 3.0, 6)},
    "amtl-curriculum": {"coupling": spread(3e-4, 1e-1, 6), "mu": spread(1e-3, 3.0, 6)},
    "amtfl-linear": {
        "features": (10,),
        "mu": spread(1e-4, 1e-2, 3),
        "gamma": spread(1e-7, 1e-3, 3),
        "decay": spread(1e-4, 1e-2, 3),
    },
    "amtfl": {"features": (10,), "mu": (1e-4, 1e-3), "gamma": (1e-7, 1e-5), "decay": (1e-4, 1e-3)},
}
GRIDS: Mapping[str, Mapping[str, Grid]] = {
    "synthetic": {
        "stl": {"coupling": spread(0.03, 30.0, 13)},
        "mean": {"rho": spread(0.01, 100.0, 13)},
        "mtfl": {"rho": spread(1e-3, 1.0, 7)},
        "go-mtl": {"features": (2, 4, 6, 8), "mu": spread(0.1, 10.0, 5), "decay": spread(0.01, 1.0, 5)},
        "sc-mtl": {"features": (2, 4, 6), "radius": spread(10.0, 100.0, 7)},
        "curriculum-simple": {"coupling": spread(0.03, 30.0, 7), "reading": ("greedy",)},
        "smtl": {"coupling": spread(0.1, 10.0, 7), "mu": spread(0.03, 3.0, 7)},
        "amtl-noloss": {"coupling": spread(0.1, 10.0, 7), "mu": spread(3.0, 1000.0, 7)},
        "amtl": {"coupling": spread(0.1, 10.0, 7), "mu": spread(0.03, 3.0, 7)},
        "amtl-curriculum": {"coupling": spread(0.1, 10.0, 7), "mu": spread(0.03, 3.0, 7)},
        "amtl-mean": {
            "coupling": spread(0.1, 10.0, 5),
            "mu": spread(0.03, 3.0, 5),
            "rho": spread(0.01, 1, 3),
        },
    },
    "imbalanced": {
        "stl": {"coupling": spread(10.0, 3000.0, 21)},
        "mean": {"rho": spread(1.0, 1e4, 13)},
        "mtfl": {"rho": spread(0.1, 1000.0, 9)},
        "go-mtl": {"features": (2, 4, 6, 8), "mu": spread(10.0, 1e4, 5), "decay": spread(1.0, 1000.0, 5)},
        "sc-mtl": {"features": (2, 4, 6), "radius": spread(10.0, 100.0, 7)},
        "curriculum-simple": {"coupling": spread(10.0, 3000.0, 7), "reading": ("greedy",)},
        "smtl": {"coupling": spread(30.0, 1e4, 6), "mu": spread(1e-4, 1.0, 5)},
        "amtl-noloss": {"coupling": spread(30.0, 1e4, 6), "mu": spread(1e2, 1e6, 5)},
        "amtl": {"coupling": spread(30.0, 1e4, 6), "mu": spread(1e-4, 1.0, 5)},
        "amtl-imbalanced": {
            "coupling": spread(3.0, 1000.0, 6),
            "mu": spread(1e-5, 1.0, 6),
            "power": (0.0, 1.0, 2.0),
        },
    },
    "school": {
        "stl": {"coupling": spread(0.003, 1.0, 11)},
        "mean": {"rho": spread(0.1, 10.0, 9)},
        "mtfl": {"rho": spread(1e-4, 1.0, 9)},
        "go-mtl": {"features": (1, 2, 3, 6), "mu": spread(0.01, 100.0, 5), "decay": spread(0.01, 100.0, 5)},
        "sc-mtl": {"features": (1, 2, 3, 6), "radius": spread(10.0, 100.0, 4)},
        "curriculum-simple": {"coupling": spread(0.01, 100.0, 5), "reading": ("greedy",)},
        "smtl": {"coupling": spread(1.0, 1000.0, 4), "mu": spread(1e-4, 0.1, 4)},
        "amtl-noloss": {"coupling": (10.0, 30.0, 100.0, 300.0, 1000.0), "mu": (0.1, 0.3, 1.0, 3.0, 10.0)},
        "amtl": {"coupling": (10.0, 30.0, 100.0, 300.0, 1000.0), "mu": (1e-3, 3e-3, 0.01, 0.03, 0.1)},
        "amtl-curriculum": {"coupling": spread(0.01, 1000.0, 6), "mu": spread(1e-3, 10.0, 5)},
        "amtl-mean": {
            "coupling": spread(0.1, 10.0, 5),
            "mu": (1e-3, 3e-3, 0.01, 0.03),
            "rho": (0.3, 1.0, 3.0),
        },
        "amtfl-linear": {
            "features": (3, 6),
            "mu": spread(0.01, 100.0, 5),
            "gamma": spread(1e-6, 1e-2, 3),
            "decay": spread(0.01, 100.0, 3),
        },
        "amtfl": {"features": (6,), "mu": (0.1, 1.0, 10.0), "gamma": (1e-5,), "decay": (0.1, 1.0, 10.0)},
    },
    "usps": _DIGITS,
    "mnist": _DIGITS,
}
"""The grid of each method, by data."""
CONVERGED = {"synthetic": ("amtl", "amtl-noloss")}
"""What is tried beside without stopping early."""
POOLED = 1e9
"""A rho of the mean penalty at which all predictors are one."""
MEANS: Grid = {"coupling": spread(0.1, 30.0, 6), "mu": spread(1e-3, 1.0, 5)}
"""AMTL on means of Imbalanced, where the table has sums."""
IN_ROUNDS = ("go-mtl", "smtl", "amtl-noloss", "amtl", "amtl-imbalanced", "amtl-mean", "amtfl-linear", "amtfl")


def contenders(data: str, *, quick: bool = False) -> dict[str, Contender]:
    """The rows of a table by their names; `quick` ones keep to their grids."""
    found, widen = {}, 0 if quick or data == "school" else WIDENED
    for method, grid in GRIDS[data].items():
        rounds = ROUNDS[data] if method in IN_ROUNDS else 0
        if "features" in grid:
            rounds = NETWORK_ROUNDS if method == "amtfl" else min(rounds, FEATURE_ROUNDS)
        settings = {key: value for key, value in SETTINGS[data].items()}
        if method == "amtl-imbalanced":
            settings.pop("reduction")  # the name stands for it
        found[method] = Contender(method, method, grid, settings, rounds, widen)
        if method in CONVERGED.get(data, ()):
            name = f"{method}, converged"
            found[name] = found[method]._replace(name=name, rounds=0)
        if "reading" in grid:
            name = f"{method}, fixed"
            found[name] = found[method]._replace(name=name, grid={**grid, "reading": ("fixed",)})
    if data not in ("usps", "mnist"):
        pooled = found["mean"]._replace(name="mean, pooled", grid={"rho": (POOLED,)})
        found["mean, pooled"] = pooled
    if data == "imbalanced":
        means = found["amtl"]._replace(name="amtl, means", grid=MEANS, settings={"loss": "squared"})
        found["amtl, means"] = means
    return found
