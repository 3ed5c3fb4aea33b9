"""Every penalty on the predictors: joint problems of AMTL with Omega(W).

Digits are proven where Omega is quadratic; the others have kinks in W.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from amtl_cvx import Laplacian, LossWeightedL1, Model
from amtl_cvx.losses import make_loss
from amtl_cvx.weights import WeightPenalty
from recipes.designs import related
from recipes.integers import Draws
from recipes.losses import KINDS, STARTS
from recipes.recipe import Recipe, Stated


def penalised(
    draws: Draws,
    *,
    omega: str | WeightPenalty,
    mu: float = 1.0,
    coupling: float = 0.25,
    loss: str = "squared",
    reduction: str = "mean",
    counts: Sequence[int] = (8, 12, 10, 16),
    d: int = 4,
    noise: Sequence[int] = (16, 64),
) -> Stated:
    """Related tasks with AMTL's price and a penalty on W."""
    rows = related(draws, counts=counts, d=d, spread=4, noise=noise)
    model = Model(
        loss=make_loss(loss, reduction=reduction),
        transfer=LossWeightedL1(mu=mu),
        coupling=coupling,
        omega=omega,
    )
    tasks = rows.tasks(KINDS[loss])
    return Stated(tasks=tasks, model=model.bind(tasks))


def _penalised(
    name: str,
    title: str,
    grade: str = "easy",
    *,
    digits: bool = False,
    ridge: bool = False,
    several: bool = False,
    **given: object,
) -> Recipe:
    state = functools.partial(penalised, **given)
    traits = ("ridge" if ridge else "penalty on predictors", *(("several known minima",) if several else ()))
    return Recipe(
        name=name, title=title, grade=grade, traits=traits, state=state, digits=digits, starts=STARTS
    )


LABELS = {
    "loss": "logistic",
    "counts": (20, 24, 18, 26),
    "noise": (64, 256),
    "mu": 0.125,
    "coupling": 0.015625,
}
CHAIN = Laplacian(rho=0.125, edges=((0, 1, 1.0), (1, 2, 0.5), (2, 3, 2.0)))

RECIPES = (
    _penalised(
        "omega-ridge",
        "A ridge beside the coupling.",
        digits=True,
        ridge=True,
        several=True,
        omega="ridge:rho=0.0625",
    ),
    _penalised(
        "omega-mean", "Predictors near their mean.", digits=True, several=True, omega="mean:rho=0.125"
    ),
    _penalised("omega-laplacian", "Neighbours on a chain of tasks are alike.", digits=True, omega=CHAIN),
    _penalised(
        "omega-l1",
        "Few weights: rho times the sum of their absolute values.",
        "average",
        omega="l1:rho=0.125",
    ),
    _penalised("omega-l21", "Few features, the same for all tasks.", "average", omega="l21:rho=0.25"),
    _penalised(
        "omega-trace",
        "Predictors in few dimensions: rho times the trace norm.",
        "average",
        omega="trace:rho=0.25",
    ),
    _penalised(
        "omega-trace-squared", "The trace norm squared.", "average", omega="trace-squared:rho=0.015625"
    ),
    _penalised(
        "omega-fused",
        "Tasks in a row, few changes from one to the next.",
        "average",
        omega="fused:rho=0.0625",
    ),
    _penalised(
        "omega-ridge-few-rows",
        "A ridge, fewer rows than features.",
        "average",
        digits=True,
        ridge=True,
        several=True,
        omega="ridge:rho=0.0625",
        counts=(4, 5, 3, 4),
        d=6,
    ),
    _penalised(
        "omega-mean-logistic",
        "Predictors near their mean, mean logistic loss.",
        digits=True,
        several=True,
        omega="mean:rho=0.015625",
        **LABELS,
    ),
    _penalised(
        "omega-l1-logistic", "Few weights, mean logistic loss.", "average", omega="l1:rho=0.015625", **LABELS
    ),
    _penalised(
        "omega-trace-huber",
        "Few dimensions, mean Huber loss.",
        "average",
        omega="trace:rho=0.125",
        loss="huber",
    ),
)
