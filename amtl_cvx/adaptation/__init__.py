r"""A new task for a fitted model: its predictor and who helps it, W being held.

    min over w and b >= 0 of   c L(w) + coupling ||w - W b||^2 + sum_s p_s b_s  (+ rho ||w||^2 with a ridge)

The prices p_s are those of the fit: mu c_s l_s for AMTL, l_s the losses of its tasks. This is the part of J
that belongs to one more task, which takes and does not give: the fit stays as it is. The objective is convex
in w and b together, the coupling being the square of an affine map of both, so that the certificate has the
gap of w alone, that of b alone, and a bound over all w and b, by convex duality ("C5").

    found = adapt(solution, Task(X=rows, y=targets, name="new town"))
    found.predict(X), found.helpers, found.certificate.verdict()

Rows are given in the users' units, as to `Solution.predict`: the preparation of the fit is applied to them.
Source of the objective: Lee, Yang, Hwang, ICML 2016, eq. 1, for one column of W and B.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from amtl_cvx.adaptation.arrival import Arrival
from amtl_cvx.adaptation.judge import judged
from amtl_cvx.adaptation.result import Adaptation, widened
from amtl_cvx.adaptation.solving import solved
from amtl_cvx.arrays import Array, Labels, is_number, numbers
from amtl_cvx.certificate import Certificate
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Family
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.problem.given import check_targets
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.threads import one_thread
from amtl_cvx.weights import Ridge

__all__ = ["Adaptation", "adapt", "certify_adaptation"]


class Fitted(Protocol):
    """A fit of AMTL: a `Solution`, or a run that was read back (`runfolder.read_run`)."""

    @property
    def family(self) -> Family: ...
    @property
    def blocks(self) -> Any: ...
    @property
    def losses(self) -> Array | None: ...
    @property
    def model(self) -> Model: ...
    @property
    def task_names(self) -> tuple[str, ...]: ...
    @property
    def feature_names(self) -> tuple[str, ...] | None: ...
    @property
    def preparation(self) -> Preparation | None: ...
    @property
    def labels(self) -> Labels | None: ...


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def adapt(
    solution: Fitted,
    task: Task | TaskSet,
    *,
    tasks: TaskSet | None = None,
    weight: float | None = None,
    tol: float = 1e-8,
    options: Options | None = None,
) -> Adaptation:
    """Learn a new task for a fitted model of AMTL, the predictors of the fit being held.

    Parameters
    ----------
    solution : Solution or StoredRun
        The fit: W, the losses of its tasks, its model and preparation.
    task : Task, or TaskSet of one task
        The new task, in the users' units; a `TaskSet` for targets that are texts or columns that have names.
    tasks : TaskSet, optional
        The tasks of the fit, where the weights c_s or prices go by their numbers of rows and the fit does
        not say these ("inverse-sqrt").
    weight : float, optional
        c of the new task: 1 by default, 1/sqrt(n) with "inverse-sqrt"; needed where task weights are numbers.
    tol : float
        Limit for the certificate's relative residual and relative gaps.
    options : Options, optional
        Of which solver, engine, solve limit and kept problems count.

    Returns
    -------
    Adaptation

    Raises
    ------
    ModelError
        For a fit of another family, a loss with kinks, no coupling, a penalty that is no price on outgoing
        edges, a penalty on W that ties tasks together.
    DataError
        For rows that do not fit the fit, a name that one of its tasks has.
    SolveError
        If no solver answers.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Task, TaskSet, adapt, fit
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(40, 3)) for _ in range(2)]
    >>> tasks = TaskSet.from_arrays(X, [rows @ [1.0, 2.0, 0.0] for rows in X], names=["north", "south"])
    >>> solution = fit(tasks, Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0))
    >>> found = adapt(solution, Task(X=rng.normal(size=(2, 3)), y=[0.3, -1.0], name="new town"))
    >>> found.certificate.level, found.b.shape
    ('C5', (2,))
    """
    started = time.perf_counter()
    options = options or Options()
    arrival, name = arrival_of(solution, task, tasks=tasks, weight=weight)
    with one_thread():
        w, b, told = solved(arrival, options)
        B = solution.blocks["B"]
        certificate = judged(arrival, w, b, tol=tol, B=widened(B, b))
    return Adaptation(
        name=name,
        w=w,
        b=b,
        loss=arrival.loss.value(arrival.task, w),
        objective=certificate.objective,
        certificate=certificate,
        task_names=tuple(solution.task_names),
        W=arrival.W,
        B=B,
        losses=np.asarray(solution.losses),
        model=solution.model,
        feature_names=solution.feature_names,
        preparation=solution.preparation,
        labels=solution.labels,
        solver=told.solver,
        seconds=time.perf_counter() - started,
    )


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify_adaptation(
    solution: Fitted,
    task: Task | TaskSet,
    w: ArrayLike,
    b: ArrayLike,
    *,
    tasks: TaskSet | None = None,
    weight: float | None = None,
    tol: float = 1e-8,
) -> Certificate:
    """Judge a predictor w (d,) and edges b (T,) of a new task from any source; the rest as in `adapt`."""
    arrival, _ = arrival_of(solution, task, tasks=tasks, weight=weight)
    d, T = arrival.W.shape
    found = numbers(w, "w"), numbers(b, "b")
    if (found[0].shape, found[1].shape) != ((d,), (T,)):
        raise DataError(
            f"expected w ({d},) and b ({T},) as W of the fit is ({d}, {T}), got {found[0].shape} and"
            f" {found[1].shape}"
        )
    with one_thread():
        return judged(arrival, *found, tol=tol, B=widened(solution.blocks["B"], found[1]))


def arrival_of(
    solution: Fitted, task: Task | TaskSet, *, tasks: TaskSet | None, weight: float | None
) -> tuple[Arrival, str]:
    """The problem and the name of the new task, everything that was given checked."""
    model = _model(solution, tasks)
    own = _prepared(solution, task)
    new = own[0]
    if new.name in solution.task_names:
        raise DataError(f"the fit has a task {new.name!r}: give the new one another name")
    check_targets(model.loss, own)
    losses = solution.losses
    if losses is None:
        raise DataError("the run does not hold the losses of its tasks: give one that fit wrote")
    T = len(solution.task_names)
    prices = model.transfer.row_prices(_weights(model, T, tasks) * losses)
    if prices is None:
        raise ModelError(
            "adapt needs a price on every edge by itself (loss-weighted-l1, l1, size-priced-l1),"
            f" {type(model.transfer).__name__} is none: fit all tasks together"
        )
    arrival = Arrival(
        loss=model.loss,
        task=new,
        weight=_weight(model, new, weight),
        W=np.asarray(solution.blocks["W"], dtype=np.float64),
        prices=np.asarray(prices, dtype=np.float64),
        coupling=model.coupling,
        rho=0.0 if model.omega is None else float(model.omega.rho),
    )
    return arrival, new.name


def _model(solution: Fitted, tasks: TaskSet | None) -> Model:
    """The model of the fit, bound to its tasks where they are given, or `ModelError`."""
    if not isinstance(getattr(solution, "family", None), Family):
        raise ModelError(
            f"adapt starts from a fit, got {type(solution).__name__}: give a Solution, or read_run(folder)"
        )
    family = solution.family.name
    if family != "amtl":
        raise ModelError(
            f"adapt is for AMTL, whose predictors help a new one; this is a fit of the family {family!r}: fit"
            " all tasks together"
        )
    model = solution.model
    model.check_coupled("adapt")
    if not model.loss.smooth:
        raise ModelError(
            f"adapt needs a loss with a gradient, the {model.loss.name} loss has kinks: use squared-hinge or"
            " huber, or fit all tasks together"
        )
    if model.omega is not None and not isinstance(model.omega, Ridge):
        raise ModelError(
            f"the penalty {model.omega.name} on W is not one on each predictor by itself: use ridge, or fit"
            " all tasks together"
        )
    if tasks is None:
        return model
    if tasks.names != tuple(solution.task_names):
        raise DataError("tasks must be those of the fit, they have other names: give the data of the fit")
    return model.bind(tasks)


def _prepared(solution: Fitted, task: Task | TaskSet) -> TaskSet:
    """The new task with prepared features, alone in a set."""
    own = TaskSet(tasks=(task,)) if isinstance(task, Task) else task
    if not isinstance(own, TaskSet) or own.T != 1:
        came = f"a set of {own.T}" if isinstance(own, TaskSet) else type(task).__name__
        raise DataError(f"expected one new task, Task(X=..., y=..., name=...), got {came}")
    texts = own.labels is not None and isinstance(own.labels[0], str | bool)
    if texts and own.labels != solution.labels:
        raise DataError(f"expected targets of the classes {solution.labels}, got {own.labels}")
    preparation = solution.preparation
    raw = len(solution.blocks["W"]) if preparation is None else preparation.d
    if own.d != raw:
        raise DataError(f"expected a task with the {raw} features of the fit, it has {own.d}")
    if solution.feature_names is not None:
        own = own.with_features(solution.feature_names[:raw])
    return own if preparation is None else preparation.apply_tasks(own)


def _weights(model: Model, T: int, tasks: TaskSet | None) -> Array:
    """c of the tasks of the fit, (T,)."""
    if tasks is not None:
        return model.task_weight(tasks)
    if model.task_weights == "equal":
        return np.ones(T)
    if isinstance(model.task_weights, str):
        raise ModelError(f"task weights {model.task_weights!r} go by rows of the fit's tasks: give tasks=")
    return np.array(model.task_weights)


def _weight(model: Model, task: Task, given: float | None) -> float:
    """c of the new task."""
    if given is not None:
        if not (is_number(given) and 0.0 < float(given) < np.inf):
            raise ModelError(f"weight must be a number > 0, got {given!r}")
        return float(given)
    if model.task_weights == "equal":
        return 1.0
    if model.task_weights == "inverse-sqrt":
        return float(1.0 / np.sqrt(task.n))
    raise ModelError("the tasks of the fit have weights of their own: give weight= for the new one")
