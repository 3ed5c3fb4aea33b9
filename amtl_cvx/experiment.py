"""Experiments: many fits, choose coupling and mu; `score` of `scoring` is at hand here too.

Starts, grids and folds are lists of fits that know nothing of each other:

    jobs = [Job(tasks=tasks, model=replace(model, coupling=coupling)) for coupling in (0.1, 1.0, 10.0)]
    solutions = fit_many(jobs, executor=executor)

`--coupling auto` and `--mu auto` mean, for a given data set (tune.md of the guide):

    mu        a tenth of mu_max, the price from which the graph stays empty, at the single-task W
    coupling  from a short path of ridge weights (the mean curvature of the losses times 1e-4 ... 10, and up
              to three decades beyond an end that is best), each tried with its own mu for a few rounds of
              the alternation, judged on a held-out fifth of every task's rows, or on validation rows

mu_max = max over edges s -> t of 2 coupling w_s'w_t / (c_s l_s) at the W of B = 0: from there on the first
B-step gives B = 0 (theory.md section 3). It is defined for the loss-weighted L1 penalty, and a scale for
the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import MANY, numbers_for_classes
from amtl_cvx.coordinator import Options
from amtl_cvx.errors import DataError, SolveError
from amtl_cvx.holdout import Split, hold_out
from amtl_cvx.losses import Loss
from amtl_cvx.methods import fit, method_named
from amtl_cvx.parallel import ordered_map
from amtl_cvx.problem import Model, check_problem
from amtl_cvx.scoring import check_labels
from amtl_cvx.scoring import score as score
from amtl_cvx.solution import Blocks, Solution, Status
from amtl_cvx.solvers import GpuChoice
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import Array, Task, TaskSet

log = logging.getLogger(__name__)

COUPLING_PATH = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Couplings that are tried, in units of the mean curvature of the weighted losses."""
DECADES = 3
"""Decades by which the path goes on where its end is best."""
PATH_ROUNDS = 5
"""Rounds of alternation that each of them gets."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One fit among many: a start, a point of a grid, a fold.

    Of its options neither callback nor checkpoint, neither the registry of problems nor the executor is used.
    """

    tasks: TaskSet
    model: Model
    method: str = "alternating"
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of the path: the settings and the mean held-out loss."""

    coupling: float
    mu: float
    held_out_loss: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A model with its chosen settings, and what was tried to find them."""

    model: Model
    trials: tuple[Trial, ...] = ()
    mu_max: float | None = None
    judged_on: str = "a held-out fifth of every task's rows"

    @property
    def at_an_end(self) -> bool:
        """Whether the coupling is the first or the last one that was tried."""
        ends = {trial.coupling for trial in (*self.trials[:1], *self.trials[-1:])}
        return self.model.coupling in ends

    def sentence(self, *, further: bool = True) -> str:
        """What was chosen and from what; `further` advises to look beyond a path whose end is best."""
        parts = []
        if self.trials:
            tried = f"{len(self.trials)} values on {self.judged_on}"
            decades = len(self.trials) - len(COUPLING_PATH)
            on = f", the path went on by {decades} decade{'s' if decades > 1 else ''}" if decades > 0 else ""
            advice = ": give --coupling a value beyond it to look further" if further else ""
            where = f"{on}, at the end of the path{advice}" if self.at_an_end else on
            parts.append(f"coupling {self.model.coupling:.4g} (best of {tried}{where})")
        if self.mu_max is not None:
            how = f"a tenth of mu_max {self.mu_max:.4g} of the single-task fit"
            none = "any price: no task can help another at the single-task fit"
            parts.append(f"mu {self.model.mu:.4g} ({how if self.mu_max > 0 else none})")
        return "chose " + ", ".join(parts)


def fit_many(
    jobs: Sequence[Job],
    *,
    executor: Executor | None = None,
    observe: Callable[[int, Solution], None] | None = None,
) -> list[Solution]:
    """The fit of every job, in their order and the same with any executor.

    Parameters
    ----------
    jobs : sequence of Job
        Tasks that several jobs share go to each worker once; compiled problems are kept between jobs.
    executor : concurrent.futures.Executor, optional
        See `parallel`; None fits one after another in this process. What a worker calls certified is
        certified again here, and fitted here where it is not.
    observe : callable(number, Solution), optional
        Called after each fit, in the order in which they finish.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C; `observe` has seen what was finished.
    ModelError, DataError, SolveError, WorkerError
        Those of `fit` and of `parallel.ordered_map`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Options, TaskSet
    >>> from amtl_cvx.experiment import Job, fit_many
    >>> tasks = TaskSet.from_matrix(np.eye(3), [[1.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    >>> models = [Model(transfer=LossWeightedL1(mu=mu), coupling=1.0) for mu in (0.01, 5.0)]
    >>> jobs = [Job(tasks=tasks, model=model, options=Options(engine="fast")) for model in models]
    >>> [solution.certificate.edges for solution in fit_many(jobs)]
    [2, 0]
    """
    sets = list({id(job.tasks): job.tasks for job in jobs}.values())
    places = {id(tasks): place for place, tasks in enumerate(sets)}
    bare = [
        replace(
            job, options=replace(job.options, callback=None, checkpoint=None, problems=None, executor=None)
        )
        for job in jobs
    ]
    items = [(places[id(job.tasks)], job.model, job.method, job.options) for job in bare]
    return ordered_map(
        _fit_job,
        items,
        shared=(tuple(sets), Problems()),
        executor=executor,
        observe=observe,
        accept=lambda number, solution: _judged(jobs[number], solution),
    )


def _judged(job: Job, solution: Solution) -> Solution | None:
    """A worker's solution with a certificate of this process, None where it claims one that it has not."""
    if not isinstance(solution, Solution) or solution.method != job.method:
        return None
    point = Blocks(solution.W, solution.B, solution.order, solution.ridge)
    certificate = method_named(job.method).judge(job.tasks, job.model, point, job.options.tol)
    certified = solution.status is Status.CERTIFIED or solution.certificate.passes
    if certified and not certificate.passes:
        return None
    return replace(
        solution,
        certificate=certificate,
        objective=certificate.objective,
        losses=job.model.losses(job.tasks, solution.W),
        model=job.model,
        task_names=job.tasks.names,
        feature_names=job.tasks.feature_names,
        labels=job.tasks.labels,
    )


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def choose(
    tasks: TaskSet,
    model: Model,
    *,
    coupling: bool,
    mu: bool,
    rng: np.random.Generator,
    observe: Callable[[Trial], None] | None = None,
    solver: str = "auto",
    gpu: GpuChoice = "auto",
    solve_limit: float | None = None,
    split: Callable[[TaskSet, Loss, np.random.Generator], Split] | None = None,
    executor: Executor | None = None,
) -> Choice:
    """Choose coupling and/or mu for `model` from the data; what is not chosen keeps its value.

    Parameters
    ----------
    tasks, model
        The problem; the settings that are to be chosen may have any value.
    coupling, mu : bool
        What to choose.
    rng : numpy.random.Generator
        Of the rows that are held out.
    observe : callable(Trial), optional
        Called after each coupling that was tried.
    solver, gpu, solve_limit
        As in `Options`.
    split : callable, optional
        Draws the held-out part where the tasks do not hold the rows themselves; default: `hold_out`.
    executor : concurrent.futures.Executor, optional
        The couplings are tried side by side (see `parallel`).

    Returns
    -------
    Choice
        Its `model` has the chosen settings, its `trials` say what was tried.

    Raises
    ------
    DataError
        If no task has a row to spare for the held-out part.
    """
    model = check_problem(tasks, model)
    options = Options(
        max_rounds=PATH_ROUNDS,
        refine=False,
        solver=solver,
        gpu=gpu,
        solve_limit=solve_limit,
        problems=Problems(),
    )
    trials: tuple[Trial, ...] = ()
    if coupling:
        trials = _path((split or hold_out)(tasks, model.loss, rng), model, mu, options, observe, executor)
        best = min(trials, key=_loss_of)
        model = replace(model, coupling=best.coupling)
    largest = None
    if mu:
        largest = mu_max(tasks, model, _fitted(tasks, model, "stl", options).W)
        model = _with_mu(model, largest)
    return Choice(model=model, trials=trials, mu_max=largest)


def mu_max(tasks: TaskSet, model: Model, W: Array) -> float:
    """The price from which the first B-step at the single-task W (d, T) gives the empty graph.

    Source: theory.md section 3.
    """
    losses = model.weighted_losses(tasks, W)
    slope = 2.0 * model.coupling * (W.T @ W)
    gain = np.abs(slope) if model.transfer.feasible(tasks.T).signed else np.maximum(slope, 0.0)
    np.fill_diagonal(gain, 0.0)
    usable = losses > 1e-14 * model.weighted_losses(tasks, np.zeros_like(W))  # 0 but for rounding: free edges
    return model.transfer.mu_max(gain[usable], losses[usable])


def suggest_loss(tasks: TaskSet) -> str:
    """What `--loss auto` means.

    "logistic" if the targets are labels of two classes (`TaskSet.labels`), else "squared". A task of one
    class among others is left to the error of the logistic loss.
    """
    if tasks.labels is not None:
        return "logistic"
    values: set[float] = set()
    for task in tasks:
        if task.compressed or (task.y != np.round(task.y)).any() or len(values) > MANY:
            return "squared"
        values.update(np.unique(task.y).tolist())
    line = numbers_for_classes(values)
    if line is not None:
        log.warning("%s", line)
    return "squared"


class _Path(NamedTuple):
    """What every point of the path needs."""

    split: Split
    model: Model
    mu: bool
    options: Options


def _path(
    split: Split,
    model: Model,
    mu: bool,
    options: Options,
    observe: Callable[[Trial], None] | None,
    executor: Executor | None,
) -> tuple[Trial, ...]:
    train, held, index = split
    if held is None:
        raise DataError("no task has a row to hold out: give --coupling a number")
    model.check(train)
    if model.loss.classification:
        check_labels(held, train.labels)
    path = _Path((model.compress(train), held, index), model, mu, options)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = _curvature(train, model)
    if not unit * COUPLING_PATH[-1] * 10.0**DECADES < np.inf:
        raise DataError("the squares of the features overflow: give them in other units, or --standardize")
    told = None if observe is None else lambda number, found: observe(found[0])

    def tried(factors: Sequence[float]) -> list[Trial]:
        couplings = [factor * unit for factor in factors]
        found = ordered_map(
            _try,
            couplings,
            shared=path,
            executor=executor,
            observe=told,
            accept=lambda number, found: _tried(path, couplings[number], *found),
        )
        return [trial for trial, _ in found]

    trials = tried(COUPLING_PATH)
    for decade in range(1, DECADES + 1):
        best = min(trials, key=_loss_of)
        try:
            if best is trials[0]:
                trials = [*tried([COUPLING_PATH[0] / 10.0**decade]), *trials]
            elif best is trials[-1]:
                trials += tried([COUPLING_PATH[-1] * 10.0**decade])
            else:
                break
        except SolveError as error:  # the path itself is enough
            log.info("the path of couplings ends here: %s", error)
            break
    return tuple(trials)


def _loss_of(trial: Trial) -> float:
    return trial.held_out_loss


def _tried(path: _Path, coupling: float, trial: Trial, W: Array) -> tuple[Trial, Array] | None:
    """What a worker found, with the loss of its W in this process."""
    train = path.split[0]
    if W.shape != (train.d, train.T) or trial.coupling != coupling or not 0.0 <= trial.mu < np.inf:
        return None
    loss = _held_out_loss(path, W)
    return (replace(trial, held_out_loss=loss), W) if np.isfinite(loss) else None


def _held_out_loss(path: _Path, W: Array) -> float:
    (_, held, index), mean_loss = path.split, replace(path.model.loss, reduction="mean")
    assert held is not None
    return float(np.mean([mean_loss.value(task, W[:, t]) for task, t in zip(held, index, strict=True)]))


def _try(path: _Path, coupling: float) -> tuple[Trial, Array]:
    """One point of the path, and its W."""
    (train, _, _), model, mu, options = path
    candidate = replace(model, coupling=coupling)
    if mu:
        single = _fitted(train, candidate, "stl", options).W
        candidate = _with_mu(candidate, mu_max(train, candidate, single))
    W = _fitted(train, candidate, "alternating", options).W
    return Trial(coupling=coupling, mu=candidate.mu, held_out_loss=_held_out_loss(path, W)), W


def _fit_job(shared: tuple[tuple[TaskSet, ...], Problems], job: tuple[int, Model, str, Options]) -> Solution:
    (sets, problems), (place, model, method, options) = shared, job
    return _fitted(sets[place], model, method, replace(options, problems=problems))


def _fitted(tasks: TaskSet, model: Model, method: str, options: Options) -> Solution:
    """A fit whose interrupt ends the experiment too."""
    solution = fit(tasks, model, method=method, options=options)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return solution


def _with_mu(model: Model, largest: float) -> Model:
    return replace(model, transfer=replace(model.transfer, mu=0.1 * largest if largest > 0 else 1.0))  # type: ignore[type-var]


def _curvature(tasks: TaskSet, model: Model) -> float:
    """Mean over tasks and features of half the second derivative of c_t L_t at 0: the unit of a ridge.

    Where the loss is linear at 0 (hinge, quantile) the secant |phi'(0)| / mean |y| stands for phi''(0).
    """
    loss, zero = model.loss, np.zeros(tasks.d)
    pairs = list(zip(model.task_weight(tasks), tasks, strict=True))
    traces = [
        c * loss.scale(task) * float(loss.curvatures(task.X @ zero, task.y) @ (task.X**2).sum(axis=1))
        for c, task in pairs
    ]
    if not any(traces):
        traces = [
            c * loss.scale(task) * float(_secants(loss, task) @ (task.X**2).sum(axis=1)) for c, task in pairs
        ]
    return 0.5 * float(np.mean(traces)) / tasks.d or 1.0


def _secants(loss: Loss, task: Task) -> Array:
    slopes = np.abs(loss.slopes(np.zeros(len(task.y)), task.y))
    return np.asarray(slopes / (float(np.abs(task.y).mean()) or 1.0))
