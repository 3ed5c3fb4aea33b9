"""Learned features through ReLUs: AMTFL with one hidden layer, and Deep-AMTFL with two.

A fit from weights of sixteenths, from the draws of the name, goes on by L-BFGS and kink Newton to a point that
is directionally stationary. Which one that is the last bits of a machine may decide: J has many, and the way is
long. So starts.json holds what the first fit found in units of 2^-12, and packs are made from there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx import NetworkModel, Options, fit
from amtl_cvx.losses import make_loss
from recipes.designs import related
from recipes.integers import Draws, dyadic
from recipes.losses import KINDS
from recipes.recipe import Answer, Array, Recipe, Stated

KNOWN: dict[str, dict[str, list[Any]]] = json.loads(
    Path(__file__).with_name("starts.json").read_text("utf-8")
)
KNOWN_SHIFT = 12
"""Whole blocks by the name of the pack, and their unit: 2^-12."""


def network(
    draws: Draws,
    *,
    layers: tuple[int, ...],
    loss: str = "squared",
    reduction: str = "mean",
    counts: Sequence[int] = (12, 16, 10),
    d: int = 4,
    weighted: bool = False,
    **weights: float | str | bool,
) -> Stated:
    """Related tasks with a network, and where its fit begins."""
    kind = KINDS[loss.partition(":")[0]]
    noise = (64, 192) if kind == "labels" else (8, 96)
    rows = related(draws, counts=counts, d=d, spread=4, size=6, half=8, noise=noise, weighted=weighted)
    model = NetworkModel(loss=make_loss(loss, reduction=reduction), layers=layers, **weights)
    return Stated(tasks=rows.tasks(kind), model=model, start=start(draws, model, d, len(counts)))


def start(draws: Draws, model: NetworkModel, d: int, T: int) -> dict[str, Array]:
    """Where the fit begins: weights of layers and S from -1/2 to 1/2, no feedback, no biases, or `KNOWN`."""
    if draws.name in KNOWN:
        return {name: dyadic(np.array(whole), KNOWN_SHIFT) for name, whole in KNOWN[draws.name].items()}
    widths = (d, *model.layers)
    shapes = {"S": (widths[-1], T), "A": (T, widths[-1]), "bias_feedback": (widths[-1],)}
    for number, (below, above) in enumerate(zip(widths, widths[1:], strict=False), start=1):
        shapes |= {f"W{number}": (below, above), f"bias{number}": (above,)}
    return {
        name: dyadic(draws.integers(f"start {name}", shapes[name], -8, 8), 4)
        if name[0] in "WS"
        else np.zeros(shapes[name])
        for name in model.blocks
    }


def answer(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """One fit from the start of the recipe."""
    method = "amtfl" if len(stated.model.layers) == 1 else "deep-amtfl"
    found = fit(stated.tasks, stated.model, method=method, options=Options(tol=1e-11, start=stated.start))
    return Answer(solution=dict(found.blocks), settings={"method": method})


def _network(name: str, title: str, grade: str, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    state = functools.partial(network, **given)
    return Recipe(
        name=name, title=title, grade=grade, traits=traits, state=state, digits=False, answer=answer
    )


USUAL = {"mu": 0.03125, "alpha": 0.25, "gamma": 0.0078125, "decay": 0.015625}
OF_LABELS = {"mu": 0.03125, "alpha": 0.125, "gamma": 0.0078125, "decay": 0.0078125, "counts": (18, 22, 16)}

RECIPES = (
    _network(
        "relu-squared",
        "AMTFL with three ReLU units, signed feedback, mean squared loss.",
        "average",
        layers=(3,),
        **USUAL,
    ),
    _network(
        "relu-logistic",
        "AMTFL with three ReLU units, mean logistic loss.",
        "average",
        layers=(3,),
        loss="logistic",
        **{**OF_LABELS, "mu": 0.015625},
    ),
    _network(
        "relu-biases",
        "AMTFL with three ReLU units, biases of units and feedback.",
        "average",
        layers=(3,),
        fit_bias=True,
        feedback_bias=True,
        **USUAL,
    ),
    _network(
        "relu-nonnegative",
        "AMTFL with three ReLU units, feedback that is not negative.",
        "average",
        layers=(3,),
        feedback="nonnegative",
        **{**USUAL, "alpha": 0.125},
    ),
    _network(
        "relu-huber-per-row",
        "AMTFL with four ReLU units, Huber loss, gamma by row, a floor of the price.",
        "average",
        layers=(4,),
        loss="huber:0.5",
        gamma_per="row",
        price_floor=0.015625,
        **{**USUAL, "gamma": 0.25},
    ),
    _network(
        "relu-sum-row-weights",
        "AMTFL with three ReLU units, summed squared loss, rows count 1/4 to 2 times.",
        "average",
        ("row weights",),
        layers=(3,),
        reduction="sum",
        weighted=True,
        mu=0.25,
        alpha=0.25,
        gamma=0.0625,
        decay=0.125,
    ),
    _network(
        "relu-squared-hinge",
        "AMTFL with three ReLU units, mean squared hinge loss.",
        "average",
        layers=(3,),
        loss="squared-hinge",
        **OF_LABELS,
    ),
    _network(
        "deep-two-layers",
        "Deep-AMTFL with layers of four and three units, mean squared loss.",
        "hard",
        layers=(4, 3),
        **{**USUAL, "mu": 0.0078125, "decay": 0.00390625},
    ),
    _network(
        "deep-logistic",
        "Deep-AMTFL with layers of four and three units, mean logistic loss.",
        "hard",
        layers=(4, 3),
        loss="logistic",
        **{**OF_LABELS, "mu": 0.015625},
    ),
    _network(
        "deep-biases",
        "Deep-AMTFL with layers of four and three units and biases, squared loss.",
        "hard",
        layers=(4, 3),
        fit_bias=True,
        **{**USUAL, "mu": 0.015625},
    ),
    _network(
        "deep-sum",
        "Deep-AMTFL with layers of three and two units, summed squared loss.",
        "hard",
        layers=(3, 2),
        reduction="sum",
        mu=0.25,
        alpha=0.25,
        gamma=0.0625,
        decay=0.125,
    ),
)
