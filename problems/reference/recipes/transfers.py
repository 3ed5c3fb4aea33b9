"""Every transfer penalty: joint problems of squared and logistic loss.

Four tasks of four features (`designs.related`). Digits are proven where a penalty is a sum of prices and
squares of edges above bounds; a norm, and a budget that edges share, have no such proof.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from amtl_cvx import Model, TotalBudget
from amtl_cvx.losses import make_loss
from amtl_cvx.transfer import (
    L1,
    DegreeCap,
    ElasticNet,
    Forbidden,
    Ordered,
    Required,
    RowBudget,
    SignedL1,
    SizePricedL1,
    SourceGroupL2,
    SquaredTransfer,
    Symmetric,
    TargetGroupL2,
    TransferPenalty,
)
from recipes.designs import related
from recipes.integers import Draws
from recipes.losses import KINDS, STARTS, of_zero
from recipes.recipe import Recipe, Stated

NARROW = (Forbidden, Required, Ordered, Symmetric, RowBudget, DegreeCap, TotalBudget)
"""Those with smaller sets of graphs, in which not every start lies: they are fitted from their own."""


def priced(
    draws: Draws,
    *,
    transfer: TransferPenalty,
    coupling: float,
    loss: str = "squared",
    reduction: str = "mean",
    counts: Sequence[int] = (8, 12, 10, 16),
    d: int = 4,
    against: Sequence[int] = (),
    noise: Sequence[int] = (16, 64),
) -> Stated:
    """Related tasks with a transfer penalty."""
    rows = related(draws, counts=counts, d=d, spread=4, against=against, noise=noise)
    model, tasks = (
        Model(loss=make_loss(loss, reduction=reduction), transfer=transfer, coupling=coupling),
        rows.tasks(KINDS[loss]),
    )
    return Stated(tasks=tasks, model=model.bind(tasks))


def _priced(
    name: str,
    title: str,
    grade: str = "easy",
    traits: tuple[str, ...] = (),
    *,
    digits: bool = True,
    **given: object,
) -> Recipe:
    state = functools.partial(priced, **given)
    answer = of_zero if isinstance(given["transfer"], NARROW) else None
    return Recipe(
        name=name,
        title=title,
        grade=grade,
        traits=traits,
        state=state,
        digits=digits,
        starts=STARTS,
        answer=answer,
    )


LABELS = {"loss": "logistic", "counts": (20, 24, 18, 26), "noise": (64, 256)}

RECIPES = (
    _priced(
        "transfer-l1",
        "Every edge costs the same whatever its source loses.",
        transfer=L1(mu=0.125),
        coupling=0.25,
    ),
    _priced(
        "transfer-size-priced",
        "Edges out of small tasks cost (n_max / n) times as much.",
        transfer=SizePricedL1(mu=1.0, power=1),
        coupling=0.25,
    ),
    _priced(
        "transfer-signed",
        "Edges of any sign, one task being the opposite of the others.",
        transfer=SignedL1(mu=1.0),
        coupling=0.125,
        against=(3,),
    ),
    _priced(
        "transfer-squared", "Edges cost their squares.", transfer=SquaredTransfer(mu=1.0), coupling=0.125
    ),
    _priced(
        "transfer-elastic-net",
        "AMTL's price and the squares of the edges.",
        transfer=ElasticNet(mu=1.0, rho=0.125),
        coupling=0.125,
    ),
    _priced(
        "transfer-source-group",
        "A task teaches several others or none, priced by its loss.",
        "average",
        digits=False,
        transfer=SourceGroupL2(mu=2.0),
        coupling=0.125,
    ),
    _priced(
        "transfer-source-group-plain",
        "A task teaches several others or none, at the same price for all.",
        "average",
        digits=False,
        transfer=SourceGroupL2(mu=0.25, weighted=False),
        coupling=0.125,
    ),
    _priced(
        "transfer-target-group",
        "A task learns from several others or from none.",
        "average",
        digits=False,
        transfer=TargetGroupL2(mu=0.25),
        coupling=0.125,
    ),
    _priced(
        "transfer-forbidden",
        "Three edges may not be.",
        transfer=Forbidden(mu=1.0, edges=((0, 1), (1, 0), (2, 3))),
        coupling=0.25,
    ),
    _priced(
        "transfer-required",
        "Two edges must be 1/8 and 1/4 at least.",
        transfer=Required(mu=1.0, edges=((0, 1, 0.125), (3, 2, 0.25))),
        coupling=0.25,
    ),
    _priced(
        "transfer-ordered", "Edges go from a task to later ones only.", transfer=Ordered(mu=0.5), coupling=0.5
    ),
    _priced("transfer-symmetric", "B is symmetric.", transfer=Symmetric(mu=1.0), coupling=0.25),
    _priced(
        "transfer-row-budget",
        "No task gives more than 1/2 in all.",
        "average",
        digits=False,
        transfer=RowBudget(mu=0.5, budget=0.5),
        coupling=0.5,
    ),
    _priced(
        "transfer-degree-cap",
        "An edge is 1/4 at most, a row of B twice that.",
        "average",
        digits=False,
        transfer=DegreeCap(mu=0.5, degree=2, cap=0.25),
        coupling=0.5,
    ),
    _priced(
        "transfer-total-budget",
        "All edges sum to 2.",
        "average",
        digits=False,
        transfer=TotalBudget(mu=0.5, total=2.0),
        coupling=0.5,
    ),
    _priced(
        "transfer-l1-logistic",
        "Every edge costs the same, mean logistic loss.",
        transfer=L1(mu=0.0625),
        coupling=0.015625,
        **LABELS,
    ),
    _priced(
        "transfer-elastic-net-logistic",
        "AMTL's price and the squares of the edges, mean logistic loss.",
        transfer=ElasticNet(mu=0.125, rho=0.015625),
        coupling=0.015625,
        **LABELS,
    ),
    _priced(
        "transfer-symmetric-logistic",
        "B is symmetric, mean logistic loss.",
        transfer=Symmetric(mu=0.125),
        coupling=0.015625,
        **LABELS,
    ),
    _priced(
        "logistic-separable",
        "Labels that are separable, no ridge, edges to later tasks only: logistic loss.",
        "average",
        ("separable labels",),
        transfer=Ordered(mu=0.25),
        coupling=0.0625,
        loss="logistic",
        counts=(10, 8, 6, 12),
        noise=(0,),
    ),
    _priced(
        "transfer-source-group-logistic",
        "A task teaches several others or none, summed logistic loss.",
        "average",
        digits=False,
        transfer=SourceGroupL2(mu=0.125),
        coupling=0.25,
        reduction="sum",
        **LABELS,
    ),
)
