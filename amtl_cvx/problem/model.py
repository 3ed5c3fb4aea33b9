r"""The model: one loss, one transfer penalty, one coupling, a penalty on W if any, and the joint objective J.

    J(W, B) = sum_t c_t L_t(w_t) + R(B; c*l) + coupling ||W - W B||_F^2 + Omega(W),    B >= 0, diag(B) = 0

With the penalty of AMTL, R = mu sum_s c_s l_s sum_t B[s, t], this is [L16, eq. 1]:

    J(W, B) = sum_t (1 + mu sum_u B[t, u]) c_t L_t(w_t) + coupling ||W - W B||_F^2

J is biconvex: convex in W for fixed B and in B for fixed W, not jointly. Its figures at a point and their
formulas are those of `Point`, in NumPy and exact up to rounding; here stands only

    a_t = c_t (1 + R(B; e_t) - R(B; 0))         the weight of L_t(w_t) in the W-step

At coupling 0 no task helps another: B = 0, J = sum_t c_t L_t(w_t) + Omega(W) is convex, and what R costs has
no meaning. Only the method "stl" minimises that.

Task weights c_t: "equal" (1), "inverse-sqrt" (1/sqrt(n_t), which with reduction "sum" is AMTL-imbalanced of
[L16]), or T positive numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Loss, Squared, loss_label
from amtl_cvx.notebook import paragraph
from amtl_cvx.problem.given import (
    check_targets,
    coupling_of,
    loss_of,
    omega_of,
    plain,
    shown,
    task_weights_of,
    weights_as_numbers,
)
from amtl_cvx.problem.parameters import as_stored
from amtl_cvx.tasks import Array, TaskSet, check_tasks
from amtl_cvx.transfer import LossWeightedL1, TransferPenalty, transfers
from amtl_cvx.weights import QuadraticPenalty, WeightPenalty, omegas

if TYPE_CHECKING:
    from amtl_cvx.problem.point import Point, Terms


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is minimised: one loss, one transfer penalty, one coupling, J(W, B) of theory.md section 2.

    Source: Lee, Yang, Hwang, ICML 2016, eq. 1.

    Parameters
    ----------
    loss : Loss or str
        Its label will do (``"huber:1.5"``). Default `Squared()`, mean over a task's rows.
    transfer : TransferPenalty
        The price of edges, for AMTL ``LossWeightedL1(mu=...)``. May be left out at coupling 0.
    coupling : float
        Weight of ||W - W B||_F^2, > 0 (lambda in [L16]); 0 for the method "stl" alone, with B = 0.
    task_weights : {"equal", "inverse-sqrt"} or tuple of T positive floats
        c_t.
    omega : WeightPenalty or None
        A penalty on W such as `Ridge(rho=1.0)`, or its term (``"mean:rho=1"``).

    Raises
    ------
    ModelError
        For a coupling that is negative, or task weights or a penalty that are not of the form above.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet
    >>> model = Model(loss="squared", transfer=LossWeightedL1(mu=0.5), coupling=2.0)
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [1.0, 2.0]])
    >>> W, B = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])
    >>> model.terms(tasks, W, B), model.objective(tasks, W, B)
    (Terms(losses=0.5, transfer=0.0, coupling=4.0, omega=0.0), 4.5)
    """

    family: ClassVar[str] = "amtl"
    loss: Loss = field(default_factory=Squared)
    transfer: TransferPenalty = cast(TransferPenalty, None)  # which is refused below, with what to give
    coupling: float = cast(float, None)
    task_weights: str | tuple[float, ...] = "equal"
    omega: WeightPenalty | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", loss_of(self.loss))
        transfer: object = self.transfer
        if transfer is None and is_number(self.coupling) and float(self.coupling) <= 0.0:
            transfer = LossWeightedL1(mu=0.0)  # of B = 0
        if not isinstance(transfer, TransferPenalty):
            raise ModelError(
                f"transfer must be a penalty such as LossWeightedL1(mu=0.1), got {shown(transfer)}"
            )
        object.__setattr__(self, "transfer", plain(transfer))
        object.__setattr__(self, "coupling", coupling_of(self.coupling))
        object.__setattr__(self, "task_weights", task_weights_of(self.task_weights))
        object.__setattr__(self, "omega", omega_of(self.omega))
        if self.omega is not None:
            rho = float(self.omega.rho)
            per = rho / self.coupling if self.coupled else rho
            if not all(1e-300 <= size <= 1e300 for size in (rho, per)):
                raise ModelError(f"rho and rho / coupling must lie between 1e-300 and 1e300, got rho {rho!r}")

    def __repr__(self) -> str:
        weights = self.task_weights
        shown = weights if isinstance(weights, str) else f"{len(weights)} numbers"
        omega = "" if self.omega is None else f", omega={self.omega!r}"
        return (
            f"Model(loss={self.loss!r}, transfer={self.transfer!r}, coupling={self.coupling!r},"
            f" task_weights={shown!r}{omega})"
        )

    def _repr_html_(self) -> str:
        return paragraph([repr(self)])

    @property
    def mu(self) -> float:
        """The price of transfer, mu of the penalty."""
        return self.transfer.mu

    @property
    def coupled(self) -> bool:
        """Whether there is a coupling; without one B = 0 and J is convex."""
        return self.coupling > 0.0

    def check_coupled(self, what: str) -> None:
        """Raise `ModelError` at coupling 0 for what is about W and B: that has a meaning for "stl" alone."""
        if not self.coupled:
            raise ModelError(
                f"{what} needs a coupling > 0: at coupling 0 no task helps another, use the method 'stl'"
            )

    @property
    def omega_words(self) -> str:
        """The penalty on W as part of a sentence; "" without one."""
        return "" if self.omega is None else f", omega {self.omega.label}"

    @property
    def has_prox(self) -> bool:
        """Whether every penalty can tell its first-order residual."""
        return self.transfer.has_prox and (self.omega is None or self.omega.has_prox)

    @property
    def prox_omega(self) -> WeightPenalty | None:
        """The penalty on W where it has a prox and no Hessian, None where it is quadratic or none."""
        return None if isinstance(self.omega, QuadraticPenalty) else self.omega

    @property
    def smooth_in_W(self) -> bool:
        """Whether J has a gradient in W."""
        return self.loss.smooth and self.prox_omega is None

    @property
    def rotation_invariant(self) -> bool:
        """Whether J sees W only through X_t w_t and W'W, so that it turns with the rows (`rowspace`)."""
        return self.omega is None or self.omega.rotation_invariant

    def to_dict(self) -> dict[str, Any]:
        """The model by the names of the command line, for JSON."""
        weights = self.task_weights
        given = {name: as_stored(value) for name, value in self.transfer.parameters().items()}
        return {
            "loss": loss_label(self.loss),
            "reduction": self.loss.reduction,
            "transfer": transfers.label_of(self.transfer),
            "mu": self.mu,
            **({"transfer_parameters": given} if given else {}),
            "coupling": self.coupling,
            "task_weights": weights if isinstance(weights, str) else list(weights),
            **self._stored_omega(),
        }

    def _stored_omega(self) -> dict[str, Any]:
        """The penalty on W by its name and parameters; nothing where there is none."""
        if self.omega is None:
            return {}
        given = {name: as_stored(value) for name, value in self.omega.parameters().items()}
        return {"omega": omegas.label_of(self.omega), "omega_parameters": given}

    def bind(self, tasks: TaskSet) -> Model:
        """The model for these tasks: penalties that go by their names get them."""
        bound, omega = self.transfer.bind(tasks), self.omega and self.omega.bind(tasks)
        same = bound is self.transfer and omega is self.omega
        return self if same else replace(self, transfer=bound, omega=omega)

    def check(self, tasks: TaskSet) -> None:
        """Raise `DataError` where the tasks do not fit the loss or the task weights."""
        check_tasks(tasks)
        if self.omega is not None:
            self.omega.check(tasks.T)
        if self.prox_omega is not None and not self.loss.smooth:
            raise ModelError(
                f"the {self.loss.name} loss and the penalty {self.prox_omega.name} on W both have kinks, for"
                " which there is no W-step: take a smooth loss (squared-hinge, huber), or --omega ridge"
            )
        check_targets(self.loss, tasks)
        self.task_weight(tasks)

    def compress(self, tasks: TaskSet) -> TaskSet:
        """Tasks with the same losses and at most d + 1 rows each where the loss allows it."""
        return replace(tasks, tasks=tuple(self.loss.compress(task) for task in tasks))

    def task_weight(self, tasks: TaskSet) -> Array:
        """The task weights c as numbers, (T,)."""
        return weights_as_numbers(self.task_weights, tasks)

    def loss_weight(self, tasks: TaskSet, B: Array) -> Array:
        """The weight a_t of each L_t in the W-step, (T,): ``c_t (1 + mu * sum_u B[t, u])`` for AMTL."""
        return self.task_weight(tasks) * (1.0 + self.transfer.weights(B))

    def losses(self, tasks: TaskSet, W: Array) -> Array:
        """The losses L_t(w_t) of all tasks, (T,), without c_t."""
        return self._at(tasks, W, np.zeros((tasks.T, tasks.T))).losses

    def weighted_losses(self, tasks: TaskSet, W: Array) -> Array:
        """The losses times the task weights, c_t L_t(w_t), (T,): what the transfer penalty sees."""
        return self._at(tasks, W, np.zeros((tasks.T, tasks.T))).weighted_losses

    def terms(self, tasks: TaskSet, W: Array, B: Array) -> Terms:
        """J by term at W (d, T), B (T, T): losses, transfer, coupling, omega; see `Point.terms`."""
        return self._at(tasks, W, B).terms

    def objective(self, tasks: TaskSet, W: Array, B: Array) -> float:
        """The objective J at W (d, T), B (T, T); see `Point.objective`."""
        return self._at(tasks, W, B).objective

    def loss_scales(self, tasks: TaskSet) -> Array:
        """The factors in front of the sums over rows, (T,): 1/n_t or 1."""
        return 1.0 / tasks.counts if self.loss.reduction == "mean" else np.ones(tasks.T)

    def gradient_W(self, tasks: TaskSet, W: Array, B: Array) -> Array:
        """The gradient of J in W, (d, T), at W (d, T), B (T, T); see `Point.gradient_W`."""
        return self._at(tasks, W, B).gradient_W

    def gradient_B(self, tasks: TaskSet, W: Array, B: Array) -> Array:
        """The gradient of J in B, (T, T), at W (d, T), B (T, T); errors of `Point.gradient_B`."""
        return self._at(tasks, W, B).gradient_B

    def _at(self, tasks: TaskSet, W: Array, B: Array) -> Point:
        """The point where each formula of J stands; asked for one figure it costs what the figure does."""
        from amtl_cvx.problem.point import Point, Problem

        return Point(Problem(tasks, self), W, B)
