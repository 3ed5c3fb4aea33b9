r"""Transfer penalties: what an edge of B costs, and which edges may be.

B (T, T) holds the directed graph of transfer, ``B[s, t]`` is how much of w_s enters the reconstruction of
w_t: edge s -> t, "task s helps task t". A penalty is a function R(B; l) that is

    convex in B over its feasible set ({B >= 0, diag(B) = 0}, or another one: `sets`),
    affine and non-decreasing in the losses l >= 0

and that is all the rest of the toolkit needs: the B-step is ``coupling ||W - W B||_F^2 + R(B; c*l)``, and in
the W-step loss t carries the weight ``c_t (1 + R(B; e_t) - R(B; 0))``. The penalty of [L16] is

    loss-weighted-l1   R = mu * sum_s l_s sum_t B[s, t]        an edge out of s costs mu times the loss of s

so that unreliable tasks (high loss) find it dear to teach. Beside it

    l1                 mu sum B                                AMTL-noLoss: all tasks teach as cheaply
    size-priced-l1     mu l_s (n_max / n_s)^power              tasks of few rows find it dearer still
    signed-l1          a price on |B[s, t]|                    a task may help by its opposite
    squared            mu sum_s l_s sum_t B[s, t]^2            many small edges rather than few
    elastic-net        that of AMTL + rho ||B||_F^2            the same, and edges that do not pay are 0
    source-group-l2    mu sum_s l_s ||B[s, :]||_2              a task teaches several others or none
    target-group-l2    mu sum_t ||B[:, t]||_2                  a task learns from several others or from none

and, at the price of AMTL, smaller sets of graphs

    forbidden          edges that may not be
    required           edges that must be, B[s, t] >= a least value
    ordered            edges from a task to later ones only: no cycles
    symmetric          B = B'
    row-budget         no task gives more than a budget
    degree-cap         a task teaches few others, up to the convex hull of that
    total-budget       all edges together sum to a total

A penalty of one's own is a function that returns a CVXPY expression (`user`), or, where more is to be known
than C1, one frozen dataclass with a field `mu` and four methods: `expression`, `value`,
`prox`, `conjugate`; what else it may have is in `TransferPenalty`. It goes into `Model` as it is; `register`,
an entry point of the group "amtl_cvx.transfer", or ``module:Class`` on the command line let stored runs and
commands find it (`plugins`). Source: Lee, Yang, Hwang, ICML 2016, eq. 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amtl_cvx.plugins import Plugins, check_weight
from amtl_cvx.transfer.atoms import Atoms, atoms_of
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.budget_sets import DegreeHull, RowBudgets, TotalSum
from amtl_cvx.transfer.budgets import DegreeCap, RowBudget, TotalBudget
from amtl_cvx.transfer.linear import L1, LossWeightedL1, RowPriced, SizePricedL1, Symmetric
from amtl_cvx.transfer.listed import Forbidden, Ordered, Required
from amtl_cvx.transfer.norms import SourceGroupL2, TargetGroupL2
from amtl_cvx.transfer.sets import (
    AnySign,
    AtLeast,
    FeasibleSet,
    Masked,
    Mutual,
    Orthant,
    project_transfer,
)
from amtl_cvx.transfer.signed import SignedL1
from amtl_cvx.transfer.squares import ElasticNet, SquaredTransfer
from amtl_cvx.transfer.user import UserTransfer, free_graph

__all__ = [
    "L1",
    "TRANSFERS",
    "AnySign",
    "AtLeast",
    "Atoms",
    "DegreeCap",
    "DegreeHull",
    "ElasticNet",
    "FeasibleSet",
    "Forbidden",
    "LossWeightedL1",
    "Masked",
    "Mutual",
    "Ordered",
    "Orthant",
    "Required",
    "RowBudget",
    "RowBudgets",
    "RowPriced",
    "SignedL1",
    "SizePricedL1",
    "SourceGroupL2",
    "SquaredTransfer",
    "Symmetric",
    "TargetGroupL2",
    "TotalBudget",
    "TotalSum",
    "TransferPenalty",
    "atoms_of",
    "UserTransfer",
    "check_mu",
    "check_weight",
    "free_graph",
    "make_transfer",
    "project_transfer",
    "register",
    "transfers",
]

TRANSFERS: dict[str, type[Any]] = {
    cls.name: cls
    for cls in (
        LossWeightedL1,
        L1,
        SizePricedL1,
        SignedL1,
        SquaredTransfer,
        ElasticNet,
        SourceGroupL2,
        TargetGroupL2,
        Forbidden,
        Required,
        Ordered,
        Symmetric,
        RowBudget,
        DegreeCap,
        TotalBudget,
    )
}
"""Every transfer penalty by the name that the command line and run.json use."""

transfers: Plugins[TransferPenalty] = Plugins(
    TransferPenalty,  # type: ignore[type-abstract]
    "transfer penalty",
    "--transfer",
    "amtl_cvx.transfer",
    TRANSFERS,
    UserTransfer,
)
"""The same with what users add."""

register = transfers.register


def make_transfer(
    text: str, *, mu: float | None = None, parameters: Mapping[str, Any] | None = None
) -> TransferPenalty:
    """The penalty of a term: a known name or ``module:Class``, with ``:key=value,...`` or ``:mu``.

    `mu` and `parameters` are for what the term itself leaves open.

    Raises
    ------
    ModelError
        For a name that is not known, and for parameters that the penalty does not take.
    """
    given = ({} if mu is None else {"mu": mu}) | dict(parameters or {})
    made: TransferPenalty = transfers.make(text, main="mu", given=given)
    return made
