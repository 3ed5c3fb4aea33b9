# More than 300 lines: what is known of a problem and of a point, one property each; each makes the other.
r"""A problem and a point: J(W, B), its parts and its derivatives, each computed once and under one name.

    J(W, B) = sum_t c_t L_t(w_t) + R(B; c*l) + coupling ||W - W B||_F^2 + Omega(W),      M = I - B

    G_W[:, t] = a_t grad L_t(w_t) + 2 coupling (W P)_t      a_t = c_t (1 + R(B; e_t) - R(B; 0))
    G_B       = R'(B) - 2 coupling W'(W - W B)              G_B off the diagonal

Coupling and Omega = rho ||W G||_F^2 are one square of W, coupling ||W K||_F^2, K = [M, sqrt(rho/coupling) G],
and P = K K'; without Omega K is M. What is about W alone has K, what crosses the blocks or is about B has M.
At coupling 0 that square is rho ||W G||_F^2 (`square_weight` ||W K||_F^2, see `squares`).
An Omega with kinks is no square: K is M, and its subgradients stand beside the gradient of the rest.

Everything is NumPy and exact up to rounding. A point is frozen, its arrays are read-only, and what is asked
of it for the first time is kept: whoever gets the point gets that too. A point that differs in one block
(`Point.at`) keeps what does not depend on this block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.problem import stored
from amtl_cvx.problem.coupling import difference, residual, slope_B, slope_W, stacked_hessian
from amtl_cvx.problem.keeping import Keeping
from amtl_cvx.problem.kinks import KinkedMinimum, KinkedProblem, KinkedRows
from amtl_cvx.problem.making import check_problem
from amtl_cvx.problem.model import Model
from amtl_cvx.problem.scores import LossesAt
from amtl_cvx.problem.squares import Squares, least_singular
from amtl_cvx.rowspace import spanning
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer import Atoms, atoms_of

_OF_W = ("scores", "losses", "weighted_losses", "loss_gradient", "row_prices", "edge_prices")
_OF_B = ("M", "squares", "loss_weight", "svd", "kinked_problem")
_OF_B_IF_QUADRATIC = ("loss_hessians", "hessian_factor")


class Terms(NamedTuple):
    """J by term."""

    losses: float
    transfer: float
    coupling: float
    omega: float = 0.0


@dataclass(frozen=True, eq=False)
class Problem(Keeping):
    """What is minimised: the objective J of a model on tasks.

    Parameters
    ----------
    tasks : TaskSet
    model : Model
        Bound to the tasks: a penalty that goes by their names gets them.

    Raises
    ------
    DataError, ModelError
        For tasks or a model that are none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [1.0, 2.0]])
    >>> problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.5), coupling=2.0))
    >>> point = problem.at([[1.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]])
    >>> point.terms, point.objective
    (Terms(losses=0.5, transfer=0.0, coupling=4.0, omega=0.0), 4.5)
    """

    tasks: TaskSet
    model: Model

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", check_problem(self.tasks, self.model))

    @cached_property
    def atoms(self) -> Atoms | None:
        """The transfer penalty as atoms; None where it is no such sum."""
        return atoms_of(self.model.transfer, self.tasks.T)

    def at(self, W: Array, B: Array) -> Point:
        """The problem at W (d, T), B (T, T); frames are brought into the order of its features and tasks.

        Raises
        ------
        DataError
            For a wrong shape, other names, or a number that is not finite.
        """
        return Point(self, *self.tasks.check_point(W, B))

    def save(self, place: str | Path, *, source: str = "Python") -> None:
        """Write tasks and model as a folder that `load` reads back bit for bit: all of it, or nothing.

        Parameters
        ----------
        place : str or Path
            The folder, absent or empty: problem.json and little-endian .npy arrays.
        source : str
            What problem.json says of where the data come from.

        Raises
        ------
        DataError
            For a folder with something in it, one that cannot be written, tasks that do not fit the model.
        """
        self.check()
        stored.write(self.tasks, self.model, place, source=source)

    @classmethod
    def load(cls, place: str | Path) -> Problem:
        """The problem that `save` or ``amtl-cvx export`` wrote; nothing in the folder is executed.

        Parameters
        ----------
        place : str or Path
            The folder.

        Raises
        ------
        DataError
            In one line: a file that is absent, cut off, changed or of another kind; a penalty or loss of
            the user's own that is neither installed nor registered.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
        >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [1.0, 2.0]])
        >>> with tempfile.TemporaryDirectory() as place:
        ...     Problem(tasks, Model(transfer=LossWeightedL1(mu=0.5), coupling=2.0)).save(place)
        ...     back = Problem.load(place)
        >>> back.model.coupling, back.tasks.fingerprint() == tasks.fingerprint()
        (2.0, True)
        """
        tasks, model = stored.read(place)
        if not isinstance(model, Model):
            raise DataError(
                f"{place} holds a problem of the family {model.family!r}, no (W, B): load it there"
            )
        return cls(tasks, model)

    def compressed(self) -> Problem:
        """The same J from at most d + 1 rows a task where the loss allows it."""
        return Problem(self.model.compress(self.tasks), self.model)

    def check(self) -> None:
        """Raise `DataError` where the tasks do not fit the loss or the task weights; looked at once."""
        _ = self._checked

    @cached_property
    def _checked(self) -> bool:
        self.model.check(self.tasks)
        return True

    @cached_property
    def task_weight(self) -> Array:
        """The task weights c as numbers, (T,)."""
        return _frozen(self.model.task_weight(self.tasks))

    @cached_property
    def loss_scales(self) -> Array:
        """The factors in front of the sums over rows, (T,): 1/n_t or 1."""
        return _frozen(self.model.loss_scales(self.tasks))

    @cached_property
    def kinked_rows(self) -> KinkedRows:
        """The rows of a loss with kinks, stacked."""
        return KinkedRows.of(self.tasks, self.model.loss)

    @cached_property
    def losses_at_zero(self) -> Array:
        """The losses L_t(0), (T,), without c_t."""
        return self._at_zero.losses

    @cached_property
    def slopes_at_zero(self) -> Array:
        """The gradients of the losses at W = 0, (d, T)."""
        return self._at_zero.loss_gradient

    @property
    def _at_zero(self) -> Point:
        T = self.tasks.T
        return Point(self, np.zeros((self.tasks.d, T)), np.zeros((T, T)))


@dataclass(frozen=True, eq=False)
class Point(LossesAt, Keeping):
    """A problem's blocks at one place, with what follows from them.

    Parameters
    ----------
    problem : Problem
    W : (d, T) array_like
        Column t is the predictor of task t.
    B : (T, T) array_like
        B[s, t] is how much task s helps task t.

    Raises
    ------
    DataError
        For a wrong shape, other names, a mask or complex numbers; `Problem.at` refuses infinities as well.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Point, Problem, TaskSet
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [1.0, 2.0]])
    >>> problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.5), coupling=2.0))
    >>> point = Point(problem, np.eye(2), np.zeros((2, 2)))
    >>> point.losses.tolist(), point.gradient_B.tolist()
    ([0.0, 1.0], [[0.0, 0.0], [0.5, 0.0]])
    """

    problem: Problem
    W: Array
    B: Array

    def __post_init__(self) -> None:
        W, B, tasks = self.W, self.B, self.problem.tasks
        shapes = ((W, (tasks.d, tasks.T)), (B, (tasks.T, tasks.T)))
        if not all(_plain(array) and array.shape == shape for array, shape in shapes):
            W, B = tasks.check_point(W, B)
        object.__setattr__(self, "W", _own(W))
        object.__setattr__(self, "B", _own(B))

    def __iter__(self) -> Iterator[Array]:
        """The blocks: W, then B."""
        return iter((self.W, self.B))

    def at(self, *, W: Array | None = None, B: Array | None = None) -> Point:
        """The same problem with another block, or with both."""
        new = Point(self.problem, self.W if W is None else W, self.B if B is None else B)
        kept = (*(_OF_W if W is None else ()), *(_OF_B if B is None else ()))
        kept += _OF_B_IF_QUADRATIC if B is None and self.model.loss.quadratic else ()
        new.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        solved = self.__dict__.get("kinked")
        if B is None and solved is not None and solved.settled:
            new.__dict__["kinked"] = solved  # of B alone, wherever W stood
        return new

    @property
    def blocks(self) -> Mapping[str, Array]:
        """The blocks by their names."""
        return {"W": self.W, "B": self.B}

    @property
    def tasks(self) -> TaskSet:
        """The tasks of the problem."""
        return self.problem.tasks

    @property
    def model(self) -> Model:
        """The model of the problem."""
        return self.problem.model

    @cached_property
    def reduced(self) -> Point:
        """The point in the fewest coordinates in which J is the same around W (`rowspace`)."""
        basis = self.tasks.row_basis if self.model.rotation_invariant else None
        if basis is None:
            return self
        basis = spanning(basis, self.W)
        return Problem(self.tasks.in_basis(basis), self.model).at(basis.T @ self.W, self.B)

    @cached_property
    def M(self) -> Array:
        """I - B, (T, T)."""
        return _frozen(difference(self.B))

    @cached_property
    def svd(self) -> tuple[Array, Array]:
        """Left singular vectors of I - B, (T, T), and its singular values, (T,), the largest first."""
        U, values, _ = np.linalg.svd(self.M)
        return _frozen(np.asarray(U, dtype=np.float64)), _frozen(np.asarray(values, dtype=np.float64))

    @property
    def singular_values(self) -> Array:
        """Those of I - B, (T,), the largest first."""
        return self.svd[1]

    @property
    def sigma_min(self) -> float:
        """The smallest singular value of I - B."""
        return float(self.singular_values[-1])

    @cached_property
    def squares(self) -> Squares:
        """Coupling and a quadratic Omega as one square of W."""
        square = None if self.model.prox_omega is not None else self.model.omega
        return Squares.of(self.M, square, self.model.coupling)

    @property
    def K(self) -> Array:
        """[M, sqrt(rho/coupling) G], (T, k), M without Omega: both are coupling ||W K||_F^2."""
        return self.squares.K

    @property
    def square_weight(self) -> float:
        """What stands before ||W K||_F^2: the coupling, where that is 0 the rho of Omega."""
        return self.squares.weight

    @property
    def values_of_K(self) -> Array:
        """The singular values of K, (T,), the largest first."""
        return self.singular_values if self.squares.plain else self.squares.values

    @property
    def least_of_K(self) -> float:
        """The smallest singular value of K less its rounding, 0 where that is all."""
        return least_singular(self.values_of_K, more=0.0 if self.squares.plain else 4.0 * len(self.B) ** 0.5)

    @property
    def longest(self) -> float:
        """The length of the longest predictor."""
        return float(np.linalg.norm(self.W, axis=0).max(initial=0.0))

    @cached_property
    def R(self) -> Array:
        """What the coupling makes small: W - W B, (d, T)."""
        return _frozen(residual(self.W, self.B))

    @cached_property
    def kinked_problem(self) -> KinkedProblem:
        """The W-step at this B, for a loss with kinks."""
        root = np.sqrt(2.0 * self.square_weight) * self.K
        return KinkedProblem.at(self.problem.kinked_rows, weight=self.loss_weight, root=root)

    @cached_property
    def kinked(self) -> KinkedMinimum:
        """Its minimum with the multipliers that prove it, looked for from this W."""
        return self.kinked_problem.minimum(self.W)

    @cached_property
    def loss_weight(self) -> Array:
        """The weight a_t of each L_t in the W-step, (T,)."""
        return _frozen(self.model.loss_weight(self.tasks, self.B))

    @cached_property
    def terms(self) -> Terms:
        """J by term: losses, transfer, coupling, omega."""
        omega = self.model.omega
        return Terms(
            float(self.weighted_losses.sum()),
            self.model.transfer.value(self.B, self.weighted_losses),
            self.model.coupling * float((self.R**2).sum()),
            0.0 if omega is None else omega.value(self.W),
        )

    @property
    def objective(self) -> float:
        """J(W, B)."""
        return sum(self.terms)

    @cached_property
    def row_prices(self) -> Array | None:
        """The prices p_s of edges by their source, (T,); None for a penalty that has none."""
        return self.model.transfer.row_prices(self.weighted_losses)

    @cached_property
    def edge_prices(self) -> Array | None:
        """The prices of edges, (T, T); None for a penalty that is not linear on its set."""
        return self.model.transfer.edge_prices(self.weighted_losses)

    @cached_property
    def square_gradient_W(self) -> Array:
        """The gradient of coupling and a quadratic Omega in W, 2 coupling W K K', (d, T)."""
        squared = self.R if self.squares.plain else self.W @ self.K
        return _frozen(slope_W(self.square_weight, squared, self.K))

    @cached_property
    def coupling_gradient_B(self) -> Array:
        """The gradient of the coupling term in B, -2 coupling W'(W - W B), (T, T)."""
        return _frozen(slope_B(self.model.coupling, self.W, self.R))

    @cached_property
    def smooth_gradient_W(self) -> Array:
        """The gradient in W of J without an Omega that has kinks, (d, T)."""
        return _frozen(self.loss_weight * self.loss_gradient + self.square_gradient_W)

    @property
    def gradient_W(self) -> Array:
        """The gradient of J in W, G_W of theory.md section 4, (d, T).

        Raises
        ------
        ModelError
            If the penalty on W has kinks: J has no gradient in W, see `WeightPenalty.prox`.
        """
        if (omega := self.model.prox_omega) is not None:
            raise ModelError(f"the penalty {omega.name} has no gradient in W, only a prox")
        return self.smooth_gradient_W

    @cached_property
    def prox_rate(self) -> float:
        """h, no less than the curvature of J without Omega along any entry of W: a prox step is 1 / h."""
        weight = self.loss_weight * self.problem.loss_scales
        bent = np.concatenate([each.curvatures.max(axis=1, initial=0.0) for each in self.scores])
        longest = self.tasks.lengths.max(axis=0)
        coupled = 2.0 * self.square_weight * (self.K**2).sum(axis=1)
        return float((np.abs(weight) * bent * longest**2 + coupled).max()) or 1.0  # flat at coupling 0

    @cached_property
    def subgradient_W(self) -> Array:
        """Z (d, T), of Omega where it has kinks: that which a prox step of length 1 / `prox_rate` shows."""
        omega, h = self.model.prox_omega, self.prox_rate
        assert omega is not None
        return _frozen(omega.subgradient_after(self.W, self.smooth_gradient_W, h))

    @cached_property
    def gradient_B(self) -> Array:
        """The gradient of J in B, G_B of theory.md section 4, (T, T), its diagonal set to 0 (B has none).

        Raises
        ------
        ModelError
            If the penalty is not linear in B: it has no gradient, see `TransferPenalty.prox`.
        """
        prices = self.model.transfer.prices(self.weighted_losses)
        if prices is None:
            raise ModelError(f"{type(self.model.transfer).__name__} has no gradient in B, only a prox")
        gradient = prices[:, None] + self.coupling_gradient_B
        np.fill_diagonal(gradient, 0.0)
        return _frozen(gradient)

    @cached_property
    def coefficients(self) -> Array:
        """x (k,) of B in `Problem.atoms`."""
        atoms = self.problem.atoms
        assert atoms is not None
        return _frozen(atoms.coefficients(self.B))

    @cached_property
    def gradient_x(self) -> Array:
        """The gradient of J in the coefficients, E'G + p + 2 q x with G that of the coupling, (k,)."""
        atoms = self.problem.atoms
        assert atoms is not None
        p, q = atoms.prices(self.weighted_losses)
        return _frozen(atoms.E.T @ self.coupling_gradient_B.ravel() + p + 2.0 * q * self.coefficients)

    @cached_property
    def loss_hessians(self) -> Array:
        """a_t Hess L_t(w_t) of every task, (T, d, d)."""
        weight = self.loss_weight * self.problem.loss_scales
        return _frozen(np.concatenate([each.hessians(weight[each.at]) for each in self.scores]))

    def smooth_hessian_W(self) -> Array:
        """Hessian in vec(W), tasks stacked, without an Omega that has kinks, (T d, T d)."""
        return stacked_hessian(self.loss_hessians, self.K, self.square_weight)

    def hessian_W(self) -> Array:
        """Hessian in vec(W), tasks stacked: blockdiag(a_t Hess L_t) + 2 coupling K K' (x) I, (T d, T d).

        Raises
        ------
        ModelError
            If the penalty on W has kinks: J has no Hessian in W.
        """
        if (omega := self.model.prox_omega) is not None:
            raise ModelError(f"the penalty {omega.name} has no Hessian in W")
        return self.smooth_hessian_W()


def _plain(array: object) -> bool:
    """Whether this is an array of doubles, as steps give it; all else may have names or a mask."""
    return type(array) is np.ndarray and array.dtype == np.float64


def _own(array: Array) -> Array:
    """A read-only copy; the array itself where nobody can write to it."""
    return array if array.base is None and not array.flags.writeable else _frozen(array.copy(order="K"))


def _frozen(array: Array) -> Array:
    """An array of our own, from now on read-only."""
    array.flags.writeable = False
    return array
