"""Designs of planted points of networks (`network_points`), with seeds whose first draw is a point."""

from __future__ import annotations

import numpy as np
from network_points import Planted, planted

BARE, WHOLE = (0.05, 0.3, 0.0, 0.02), (0.05, 0.3, 0.05, 0.02)  # mu, alpha, gamma, decay
DESIGNS = {
    "one layer": (2, {"layers": (2,), "N": 14, "d": 2, "T": 2, "held": 1, "weights": BARE, "feedback": 0}),
    "biases": (
        6,
        {
            "layers": (2,),
            "N": 16,
            "d": 2,
            "T": 2,
            "held": 1,
            "weights": BARE,
            "feedback": 0,
            "fit_bias": True,
        },
    ),
    "feedback": (3, {"layers": (2,), "N": 8, "d": 2, "T": 3, "held": 1, "feedback": 2}),
    "one unit": (1, {"layers": (1,), "N": 9, "d": 2, "T": 2, "held": 1, "feedback": 0}),
    "positive": (7, {"layers": (1,), "N": 9, "d": 2, "T": 2, "held": 1, "signed": False}),
    "two layers": (
        208,
        {"layers": (3, 2), "N": 24, "d": 3, "T": 2, "held": 1, "weights": BARE, "feedback": 0},
    ),
    "both": (
        1450,
        {"layers": (2,), "N": 8, "d": 2, "T": 2, "held": 1, "uses": [[0, 1], [1, 0]], "gives": (0, 0)},
    ),
    "dependent": (
        126,
        {
            "layers": (3, 2),
            "N": 18,
            "d": 2,
            "T": 2,
            "held": 0,
            "weights": BARE,
            "feedback": 0,
            "cut": [("W2", 0, 0)],
        },
    ),
    "wide": (1, {"N": 40}),
    "wide, biases": (0, {"N": 40, "fit_bias": True}),
    "binary": (19, {"N": 28, "held": 3, "binary": True}),
    "two feed back": (4, {"N": 40, "feedback": 2}),
    "dead": (0, {"N": 40, "dead": 1}),
    "near": (1, {"N": 40, "near": 1e-7}),
    "deep": (42, {"layers": (4, 3), "N": 50, "d": 4}),
    "deep, biases": (16, {"layers": (4, 3), "N": 50, "d": 4, "fit_bias": True}),
}
"""The seed of each, and what `planted` is told."""


def design(name: str, *, wrong: str = "") -> Planted:
    """The planted point of a design, or one that breaks the condition `wrong`."""
    seed, how = DESIGNS[name]
    return planted(np.random.default_rng(seed), **how, wrong=wrong, tries=1)
