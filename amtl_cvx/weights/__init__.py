r"""Penalties on the predictors: what W costs besides its losses, the optional term Omega of J.

    J(W, B) = sum_t c_t L_t(w_t) + R(B; c*l) + coupling ||W - W B||_F^2 + Omega(W)

Omega is convex in W and >= 0. Three are quadratic (`quadratic`), the others have kinks (`norms`, `spectral`,
`fused`), with ||W||_* the sum of the singular values:

    ridge           rho ||W||_F^2                       short predictors; J has a minimum in W for every B
    mean            rho sum_t ||w_t - mean of all||^2   tasks that are much alike
    laplacian       rho sum a_st ||w_s - w_t||^2        neighbours on a graph of the user's are alike
    l1              rho sum |W_it|                      few weights
    l21             rho sum_i ||W_i.||_2                few features, the same for all tasks
    trace           rho ||W||_*                         predictors in few dimensions
    trace-squared   rho ||W||_*^2                       the same; multi-task feature learning
    fused           rho sum_t ||w_t - w_(t+1)||_1       tasks in a row, few changes from one to the next

A penalty of one's own is a function that returns a CVXPY expression (`user`), or one frozen dataclass with a
field `rho`; a quadratic one derives from `QuadraticPenalty`. It goes into `Model` as ``omega=``; `register`,
an entry point of the group "amtl_cvx.weights", or ``module:Class`` on the command line (``--omega``) let
stored runs and commands find it (`plugins`).

Sources: Evgeniou, Pontil, KDD 2004 (mean); Obozinski, Taskar, Jordan, 2010 (l21); Argyriou, Evgeniou, Pontil,
2008 (trace-squared); Tibshirani and others, 2005 (fused).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amtl_cvx.plugins import Plugins
from amtl_cvx.weights.base import WeightPenalty
from amtl_cvx.weights.fused import Fused
from amtl_cvx.weights.laplacian import Laplacian
from amtl_cvx.weights.norms import L1, L21
from amtl_cvx.weights.quadratic import MeanRegularised, QuadraticPenalty, Ridge, as_quadratic
from amtl_cvx.weights.spectral import TraceNorm, TraceNormSquared
from amtl_cvx.weights.user import UserOmega

__all__ = [
    "L1",
    "L21",
    "OMEGAS",
    "Fused",
    "Laplacian",
    "MeanRegularised",
    "QuadraticPenalty",
    "Ridge",
    "TraceNorm",
    "TraceNormSquared",
    "UserOmega",
    "WeightPenalty",
    "make_omega",
    "omegas",
    "as_quadratic",
    "register",
]

OMEGAS: dict[str, type[Any]] = {
    cls.name: cls for cls in (Ridge, MeanRegularised, Laplacian, L1, L21, TraceNorm, TraceNormSquared, Fused)
}
"""Every penalty on W by the name that the command line and run.json use."""

omegas: Plugins[WeightPenalty] = Plugins(
    WeightPenalty,  # type: ignore[type-abstract]
    "penalty on W",
    "--omega",
    "amtl_cvx.weights",
    OMEGAS,
    UserOmega,
)
"""The same with what users add."""

register = omegas.register


def make_omega(text: str, *, parameters: Mapping[str, Any] | None = None) -> WeightPenalty:
    """The penalty of a term: a known name or ``module:Class``, with ``:key=value,...`` or ``:rho``.

    `parameters` are for what the term itself leaves open.

    Raises
    ------
    ModelError
        For a name that is not known, and for parameters that the penalty does not take.
    """
    made: WeightPenalty = omegas.make(text, main="rho", given=parameters or {})
    return made
