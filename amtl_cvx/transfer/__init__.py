r"""Transfer penalties: what an edge of B costs, and which edges may be.

B (T, T) holds the directed graph of transfer, ``B[s, t]`` is how much of w_s enters the reconstruction of
w_t: edge s -> t, "task s helps task t". A penalty is a function R(B; l) that is

    convex in B over its feasible set ({B >= 0, diag(B) = 0}, or another one: `sets`),
    affine and non-decreasing in the losses l >= 0

and that is all the rest of the toolkit needs: the B-step is ``coupling ||W - W B||_F^2 + R(B; c*l)``, and in
the W-step loss t carries the weight ``c_t (1 + R(B; e_t) - R(B; 0))``. The penalty of [L16] is

    loss-weighted-l1   R = mu * sum_s l_s sum_t B[s, t]        an edge out of s costs mu times the loss of s

so that unreliable tasks (high loss) find it dear to teach. Beside it

    elastic-net        + rho ||B||_F^2                          many small edges rather than few
    source-group-l2    mu sum_s l_s ||B[s, :]||_2               a task teaches several others or none
    forbidden          edges that may not be
    symmetric          B = B'
    row-budget         no task gives more than a budget

A penalty of one's own is one frozen dataclass with a field `mu` and four methods: `expression`, `value`,
`prox`, `conjugate`; what else it may have is in `TransferPenalty`. It goes into `Model` as it is; `register`,
an entry point of the group "amtl_cvx.transfer", or ``module:Class`` on the command line let stored runs and
commands find it (`plugins`). Source: Lee, Yang, Hwang, ICML 2016, eq. 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import Plugins, is_path
from amtl_cvx.transfer.base import Atoms, TransferPenalty, check_mu, check_weight
from amtl_cvx.transfer.budgets import RowBudget
from amtl_cvx.transfer.linear import Forbidden, LossWeightedL1, Symmetric
from amtl_cvx.transfer.norms import ElasticNet, SourceGroupL2
from amtl_cvx.transfer.sets import FeasibleSet, Masked, Mutual, Orthant, RowBudgets, project_transfer

__all__ = [
    "TRANSFERS",
    "Atoms",
    "ElasticNet",
    "FeasibleSet",
    "Forbidden",
    "LossWeightedL1",
    "Masked",
    "Mutual",
    "Orthant",
    "RowBudget",
    "RowBudgets",
    "SourceGroupL2",
    "Symmetric",
    "TransferPenalty",
    "check_mu",
    "check_weight",
    "make_transfer",
    "project_transfer",
    "register",
    "split_term",
    "transfers",
]

TRANSFERS: dict[str, type[Any]] = {
    cls.name: cls for cls in (LossWeightedL1, ElasticNet, SourceGroupL2, Forbidden, Symmetric, RowBudget)
}
"""Every transfer penalty by the name that the command line and run.json use."""

transfers: Plugins[TransferPenalty] = Plugins(
    TransferPenalty,  # type: ignore[type-abstract]
    "transfer penalty",
    "--transfer",
    "amtl_cvx.transfer",
    TRANSFERS,
)
"""The same with what users add."""

register = transfers.register


def split_term(text: str) -> tuple[str, str]:
    """Name and parameters of a term: ``name:parameters``, the name possibly ``module:Class``."""
    parts = text.split(":")
    path = ":".join(parts[:2])
    length = 2 if len(parts) > 1 and parts[0] not in TRANSFERS and is_path(path) else 1
    return ":".join(parts[:length]), ":".join(parts[length:])


def term_words(text: str) -> dict[str, str]:
    """The parameters of a term as words: ``key=value,key=value``, or a number, which is mu."""
    if not text:
        return {}
    if "=" not in text:
        return {"mu": text}
    words: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier() or key in words:
            raise ModelError(f"expected NAME:key=value,key=value with different keys, got {text!r}")
        words[key] = value.strip()
    return words


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
    name, rest = split_term(text)
    cls = transfers.find(name)
    if cls is None:
        raise ModelError(transfers.unknown(name))
    words = term_words(rest)
    given: dict[str, Any] = {} if mu is None else {"mu": mu}
    given |= parameters or {}
    own = {key: value for key, value in words.items() if key != "mu"}
    given |= cls.options(own) if own or not parameters else {}
    if "mu" in words:
        try:
            given["mu"] = float(words["mu"])
        except ValueError as error:
            raise ModelError(f"mu of {name} must be a number, got {words['mu']!r}") from error
    try:
        made: TransferPenalty = cls(**given)
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(cls) if field.init)
        raise ModelError(f"the parameters of {name} are {known}; got {', '.join(given)} ({error})") from error
    return made
