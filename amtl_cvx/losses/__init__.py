r"""Losses: what a task pays for its predictor.

Every loss is a sum over rows of a convex, non-negative function phi of the prediction z_i = x_i'w,

    L_t(w) = (1/n_t) sum_i phi(x_i'w; y_i)          reduction "mean" (the default)
    L_t(w) =         sum_i phi(x_i'w; y_i)          reduction "sum"

so one class gives phi, its derivatives, its conjugate and phi as a CVXPY atom, and everything else follows
from the chain rule, once, in the base class:

    L_t      = scale * sum phi(z),   grad L_t = scale * X'phi'(z),   Hessian = scale * X' diag(phi''(z)) X

Rows may have weights v_i > 0 (`Task.sample_weight`): phi becomes v_i phi, n_t the sum of them, and `Loss.on`
gives the row functions of v phi, in the one place that knows of weights (`losses.weighted`).

Non-negativity is not a matter of taste: L_t multiplies the price of an edge, and a negative price makes the
B-step unbounded. There is no factor 1/2 anywhere.

    squared        (z - y)^2
    huber:K        (z - y)^2 for |z - y| <= K, else 2 K |z - y| - K^2            threshold K > 0 (1)
    quantile:tau   max(tau (y - z), (tau - 1) (y - z))    not smooth             0 < tau < 1 (0.5)
    poisson        e^z - y z + (y log y - y)              counts y >= 0, predicted e^z
    logistic       log(1 + exp(-y z))                     labels -1/+1 (or 0/1, read as that)
    squared-hinge  max(0, 1 - y z)^2                      labels
    hinge          max(0, 1 - y z)                        not smooth, labels

The conjugate phi*(v; y) = sup over z of v z - phi(z; y) gives lower bounds: phi(z) + phi*(u) >= u z for every
u, with equality where u is a (sub)gradient at z.

Sources: Lee, Yang, Hwang, ICML 2016, section 3 (losses); the objective is theory.md section 2, the
conjugates are the table of its section 5; Huber 1964; Koenker, Bassett 1978 (quantile).
"""

from __future__ import annotations

from amtl_cvx.errors import ModelError
from amtl_cvx.losses.base import Loss, Reduction, RowLoss
from amtl_cvx.losses.classification import Hinge, Logistic, SquaredHinge
from amtl_cvx.losses.regression import Huber, Poisson, Quantile, Squared
from amtl_cvx.losses.weighted import Weighted
from amtl_cvx.plugins import Plugins, is_path

__all__ = [
    "LOSSES",
    "Hinge",
    "Huber",
    "Logistic",
    "Loss",
    "Poisson",
    "Quantile",
    "Reduction",
    "RowLoss",
    "Squared",
    "SquaredHinge",
    "Weighted",
    "loss_class",
    "loss_label",
    "losses",
    "make_loss",
    "register",
]

LOSSES: dict[str, type[Loss]] = {
    cls.name: cls for cls in (Squared, Huber, Quantile, Poisson, Logistic, SquaredHinge, Hinge)
}
"""Every loss by the name that the command line and run.json use."""


losses: Plugins[Loss] = Plugins(
    Loss,  # type: ignore[type-abstract]
    "loss",
    "--loss",
    "amtl_cvx.losses",
    LOSSES,
)
"""The same with what users add (`plugins`)."""

register = losses.register


def make_loss(label: str, *, reduction: str = "mean") -> Loss:
    """The loss of a label: a name of `LOSSES`, with ``:number`` for its parameter (``"huber:1.5"``).

    Raises
    ------
    ModelError
        For an unknown name or reduction, or a parameter that is out of range, no number, or not wanted.
    """
    cls = loss_class(label)
    _, colon, text = _split(label)
    if not colon:
        return cls(reduction=reduction)  # type: ignore[arg-type]
    if cls.parameter is None:
        raise ModelError(f"the {cls.name} loss has no parameter, got {label!r}: write {cls.name}")
    try:
        value = float(text)
    except ValueError as error:
        raise ModelError(
            f"expected {cls.name}:NUMBER, the number being its {cls.parameter}, got {label!r}"
        ) from error
    return cls(reduction=reduction, **{cls.parameter: value})  # type: ignore[arg-type]


def loss_class(label: str) -> type[Loss]:
    """The class that a label names; `ModelError` lists the names."""
    name = _split(label)[0]
    found: type[Loss] | None = losses.find(name)
    if found is None and is_path(name):
        raise ModelError(losses.unknown(name))
    if found is None:
        shown = ", ".join(f"{key}[:{cls.parameter}]" if cls.parameter else key for key, cls in LOSSES.items())
        raise ModelError(f"unknown loss {label!r}: choose one of {shown}")
    return found


def loss_label(loss: Loss) -> str:
    """What finds a loss again: `Loss.label`, with ``module:Class`` for a class that has no known name."""
    name = losses.label(type(loss))
    return loss.label if name == loss.name else f"{name}{loss.label.removeprefix(loss.name)}"


def _split(label: str) -> tuple[str, str, str]:
    """Name, colon and parameter of a label; the name possibly ``module:Class``."""
    name, colon, text = label.partition(":")
    path, further, rest = text.partition(":")
    if name not in LOSSES and is_path(f"{name}:{path}"):
        return f"{name}:{path}", further, rest
    return name, colon, text
