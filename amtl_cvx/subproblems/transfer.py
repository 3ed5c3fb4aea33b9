"""The B-step: whole for any transfer penalty, by column for a linear one (see the package's essay)."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.errors import ModelError
from amtl_cvx.parallel import SharedMap
from amtl_cvx.problem import Model, Point
from amtl_cvx.solvers import AUTO, Backend, Compiled, Solved, Step, check_dpp, solve
from amtl_cvx.subproblems.halfstep import HalfStep, unit_of
from amtl_cvx.subproblems.polish import exactly_feasible
from amtl_cvx.subproblems.problems import Problems, kept
from amtl_cvx.tasks import Array, Indices, TaskSet, triangular_factor
from amtl_cvx.transfer import TransferPenalty, free_graph

COLUMN_SIZE = 60
"""Number of tasks from which the B-step is solved column by column by default (measured, see `solvers`)."""
JOB_COLUMNS = 10
"""Number of columns in one job for an executor."""
_DEAR = 4.0  # a price from 2 on leaves b = 0, in units of the columns' lengths
_CHEAP = 1e-4  # smallest mean price that counts in a column's weight


class TransferProblem:
    """The compiled B-step of any transfer penalty: ``min_B ||A - A B||_F^2 + R(B; losses) / unit``.

    The diagonal of B is no variable, and A (rows, T) holds the weight of the coupling.
    """

    def __init__(self, penalty: TransferPenalty, *, T: int, rows: int, unit: float) -> None:
        self.A, self.losses = cp.Parameter((rows, T)), cp.Parameter(T, nonneg=True)
        self.b, self.B = free_graph(T, signed=penalty.feasible(T).signed)
        objective = cp.sum_squares(self.A - self.A @ self.B) + penalty.expression(self.B, self.losses) / unit
        limits = penalty.constraints(self.B)
        self.problem = check_dpp(
            cp.Problem(cp.Minimize(objective), limits), f"the B-step with {type(penalty).__name__}"
        )
        self.step: Step = "B" if self.problem.is_qp() else "B-cone"


class ColumnProblem:
    """The compiled B-step of a linear penalty: all columns of B, or one.

        min over b >= 0 of  sum_t  b_t'H_t b_t + q_t'b_t

    With H = A'A, H_t is H without row and column t for all columns, H itself for one. The parameter is H or,
    with `rows` (one column only), A (rows, T - 1): the smaller system where A has fewer rows than half its
    columns (School, 28 x 138: a fifth of the time).
    """

    def __init__(self, *, T: int, single: bool, rows: int | None = None) -> None:
        others = np.arange(T - 1)[None] if single else _others(T, np.arange(T))
        self.columns, self.factor, n = len(others), rows is not None, others.size
        self.b, self.q = cp.Variable(n), cp.Parameter(n)
        if rows is None:
            side = T - 1 if single else T
            self.data = cp.Parameter((side, side))
            t, i, j = np.indices((len(others), T - 1, T - 1)).reshape(3, -1)
            places = ((t * (T - 1) + j) * n + t * (T - 1) + i, others[t, j] * side + others[t, i])
            spread = sp.csc_array((np.ones(len(t)), places), shape=(n * n, side * side))
            H = cp.reshape(spread @ cp.vec(self.data, order="F"), (n, n), order="F")
            quadratic = cp.quad_form(self.b, cp.psd_wrap(H))
        else:
            self.data = cp.Parameter((rows, T - 1))
            quadratic = cp.sum_squares(self.data @ self.b)
        problem = cp.Problem(cp.Minimize(quadratic + self.q @ self.b), [self.b >= 0])
        self.compiled = Compiled(problem, step="B", what="the B-step by columns", quadratic=True)


@dataclass(frozen=True, kw_only=True)
class TransferStep:
    """The whole B-step for any transfer penalty, solved as CVXPY has it.

    A penalty that is proportional to mu is compiled at mu = 1 and the rest of the problem divided by mu, so
    that one problem serves every mu > 0; another one is compiled as it is.
    """

    problem: TransferProblem
    penalty: TransferPenalty
    divisor: float
    unit: float
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls, tasks: TaskSet, model: Model, *, backend: Backend = AUTO, problems: Problems | None = None
    ) -> TransferStep:
        """The problem for the tasks' shapes, compiled or found among `problems`."""
        T, rows = tasks.T, min(tasks.d, tasks.T)
        unit = 16.0 ** round(np.log2(unit_of(tasks, model)) / 4)  # its order of magnitude, to share problems
        penalty, divisor = model.transfer, 1.0
        if penalty.mu > 0.0 and _proportional(penalty, T):
            penalty, divisor = replace(penalty, mu=1.0), penalty.mu  # type: ignore[type-var]
        problem = kept(problems).get(
            ("B", penalty.description(), T, rows, unit),
            lambda: TransferProblem(penalty, T=T, rows=rows, unit=unit),
        )
        return cls(problem=problem, penalty=model.transfer, divisor=divisor, unit=unit, backend=backend)

    def solve(self, point: Point) -> HalfStep:
        """argmin over B of J(W, .), (T, T), exactly feasible."""
        tasks, model, W = point.tasks, point.model, point.W
        if tasks.T == 1:
            return HalfStep(
                model.transfer.start(1), Solved(solver="closed form", status="optimal", seconds=0.0)
            )
        if model.transfer.description() != self.penalty.description():
            raise ModelError(
                f"this B-step was compiled for {self.penalty}, not for {model.transfer}: compile another"
            )
        factor = W if W.shape[0] <= tasks.T else triangular_factor(W)
        self.problem.A.value = np.sqrt(model.coupling / (self.unit * self.divisor)) * factor
        self.problem.losses.value = point.weighted_losses
        solved = solve(self.problem.problem, step=self.problem.step, backend=self.backend)
        return HalfStep(exactly_feasible(point.at(B=self.problem.B.value)), solved)


@dataclass(frozen=True, kw_only=True)
class LinearTransferStep:
    """The B-step of a linear penalty: all columns in one problem, or one by one and then on any executor."""

    T: int
    single: bool
    rows: int | None
    backend: Backend = AUTO
    problems: Problems = field(default_factory=Problems)
    spread: SharedMap[LinearTransferStep] | None = None

    @classmethod
    def compile(
        cls,
        tasks: TaskSet,
        *,
        columns: bool,
        backend: Backend = AUTO,
        problems: Problems | None = None,
        executor: Executor | None = None,
    ) -> LinearTransferStep:
        """The step for the tasks' shapes; a process compiles its problem at the first use."""
        step = cls(
            T=tasks.T,
            single=columns,
            rows=tasks.d if columns and 2 * tasks.d < tasks.T - 1 else None,
            backend=backend.on_cpu() if columns else backend,
            problems=kept(problems),
        )
        return replace(step, spread=SharedMap(step, executor)) if columns and executor is not None else step

    @property
    def problem(self) -> ColumnProblem:
        """The problem, compiled or found among `problems`."""
        return self.problems.get(
            ("B columns", self.T, self.single, self.rows),
            lambda: ColumnProblem(T=self.T, single=self.single, rows=self.rows),
        )

    def solve(self, point: Point) -> HalfStep:
        """argmin over B of J(W, .), (T, T), exactly feasible."""
        tasks, model, W = point.tasks, point.model, point.W
        losses = point.weighted_losses
        prices = model.transfer.row_prices(losses)
        if prices is None:
            raise ModelError(
                f"this B-step was compiled for linear penalties, not for {model.transfer}: compile another"
            )
        norms = np.linalg.norm(W, axis=0)
        size = np.where(norms > 0.0, norms, 1.0)
        price = np.minimum(prices[:, None] / (model.coupling * np.outer(size, size)), _DEAR)
        price[np.outer(norms, norms) == 0.0] = _DEAR
        columns, spread = np.arange(tasks.T), self.spread or SharedMap(self)
        chunks = np.split(columns, columns[JOB_COLUMNS::JOB_COLUMNS]) if self.spread else [columns]

        def whole(number: int, part: HalfStep) -> HalfStep | None:
            shape = (tasks.T, len(chunks[number]))
            return part if part.value.shape == shape and np.isfinite(part.value).all() else None

        parts = spread(
            LinearTransferStep.solve_chunk,
            [(W / size, price[:, chunk], chunk) for chunk in chunks],
            accept=whole,
        )
        found, total = np.hstack([part.value for part in parts]), Solved.none()
        for part in parts:
            total = total + part.solved
        return HalfStep(exactly_feasible(point.at(B=found * norms / size[:, None])), total)

    def solve_chunk(self, chunk: tuple[Array, Array, Indices]) -> HalfStep:
        """The columns of a chunk (U, price, chosen) as in `solve_columns`, one problem after another."""
        U, price, chosen = chunk
        k = self.problem.columns
        found, total = np.zeros(price.shape), Solved.none()
        for first in range(0, len(chosen), k):
            part = slice(first, first + k)
            found[:, part], solved = solve_columns(
                self.problem, U, price[:, part], chosen[part], self.backend
            )
            total = total + solved
        return HalfStep(found, total)


def solve_columns(
    problem: ColumnProblem, U: Array, price: Array, chosen: Indices, backend: Backend
) -> HalfStep:
    """Columns of ``min_B ||U - U B||_F^2 + sum(price * B)``, B >= 0, zero on the diagonal, (T, k).

    U (d, T) is W with columns of length 1 or 0, `chosen` holds the numbers of the k = `problem.columns`
    columns and `price` (T, k) the price of each of their edges in these units.
    """
    T, k = price.shape
    others = _others(T, chosen)
    p = np.take_along_axis(price, others.T, axis=0).T
    weight = 1.0 / np.sqrt(max(float(p.mean()), _CHEAP))
    if problem.columns == T:
        gram = U.T @ U
        data, cosines = weight * gram, gram
    else:
        A = U[:, others[0]]
        data = np.sqrt(weight) * A if problem.factor else weight * A.T @ A
        cosines = U[:, chosen].T @ U
    q = weight * (p - 2.0 * np.take_along_axis(cosines, others, axis=1))
    solved = problem.compiled.solve({problem.data: data, problem.q: q.ravel()}, backend)
    result = np.zeros((T, k))
    result[others.T, np.arange(k)] = problem.b.value.reshape(k, T - 1).T
    return HalfStep(result, solved)


def _others(T: int, chosen: Indices) -> Indices:
    """All tasks but t, for every t chosen, (k, T - 1)."""
    before = np.arange(T - 1)
    return before + (before >= chosen[:, None])


def compile_transfer_step(
    tasks: TaskSet,
    model: Model,
    *,
    backend: Backend = AUTO,
    columns: bool | None = None,
    problems: Problems | None = None,
    executor: Executor | None = None,
) -> TransferStep | LinearTransferStep:
    """The B-step for the tasks' shapes.

    A linear penalty goes by column from `COLUMN_SIZE` tasks on, its columns to the workers of `executor`.
    """
    model = model.bind(tasks)
    linear = model.transfer.row_prices(np.zeros(tasks.T)) is not None
    if columns and not linear:
        raise ModelError(f"{type(model.transfer).__name__} does not split into columns: use the whole B-step")
    if not linear or tasks.T == 1:
        return TransferStep.compile(tasks, model, backend=backend, problems=problems)
    columns = tasks.T >= COLUMN_SIZE if columns is None else columns
    return LinearTransferStep.compile(
        tasks, columns=columns, backend=backend, problems=problems, executor=executor
    )


def _proportional(penalty: TransferPenalty, T: int) -> bool:
    """Whether R(B; l) at 2 mu is twice that at mu, tried on a few B and losses."""
    doubled = replace(penalty, mu=2.0 * penalty.mu)  # type: ignore[type-var]
    trials = [np.triu(np.ones((T, T)), 1), np.tril(np.arange(1.0, T * T + 1.0).reshape(T, T), -1) / T]
    values = [
        (penalty.value(B, losses), doubled.value(B, losses))
        for B in map(penalty.project, trials)
        for losses in (np.zeros(T), np.arange(1.0, T + 1.0))
    ]
    return all(abs(twice - 2.0 * once) <= 1e-9 * abs(twice) for once, twice in values)
