"""Methods: every way to learn the blocks of a family, by name, with the certificate that belongs to it.

    solution = fit(tasks, model)                                      AMTL, Algorithm 1 with refinement
    solution = fit(tasks, model, method=Alternating(sweep="tasks"))   the same with settings of its own
    solution = fit(tasks, model, method="curriculum")                 Algorithm 2
    solution = fit(tasks, model, method="stl")                        single-task baseline

A name stands for the method with the settings that `Options` hold for it. BLAS runs on one thread inside a
fit: its matrices are many and small, and on a busy machine threads that wait for each other cost more than
they give (measured on digits with both cores taken: 3 s on one thread, 60 s on two; a Cholesky factor of 2400
unknowns beside one other process: 0.16 s on one thread, 3.3 s on two).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.families import Family, Method, family_named, family_of
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.options import Options
from amtl_cvx.problem import check_problem
from amtl_cvx.solution import Solution, State
from amtl_cvx.tasks import TaskSet
from amtl_cvx.threads import one_thread

if TYPE_CHECKING:
    from amtl_cvx.problem import Model


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def fit(
    tasks: TaskSet,
    model: Model | None = None,
    *,
    method: str | Method | None = None,
    options: Options | None = None,
) -> Solution:
    """Learn the blocks of a model (AMTL: the predictors W and the graph B), with a certificate.

    Sources: Lee, Yang, Hwang, ICML 2016, Algorithms 1 and 2; of learned features Lee, Yang, Hwang, ICML 2018.

    Parameters
    ----------
    tasks : TaskSet
        The data, features prepared (`Preparation.apply_tasks`) if they should be.
    model : Model, FeatureModel, GoMtlModel, DictionaryModel or NetworkModel
        What is minimised.
    method : {"alternating", "curriculum", "curriculum-simple", "stl", "go-mtl", ...} or Method, optional
        AMTL by alternation and refinement, the curriculum of Algorithm 2, the simple one in which a task
        knows its predecessor alone, or each task alone; AMTFL with linear features, GO-MTL, AMTFL with ReLU
        ("amtfl", "deep-amtfl"), each for its own model. By name, with the settings of `options`, or with its
        own: ``Alternating(sweep="tasks")``. Default: the first method of the model's family, of AMTL
        "alternating". A name of the papers' tables ("mtfl", "smtl", see `named`) is the method that it stands
        for, for a model that is as the name says.
    options : Options, optional
        Tolerance, rounds, solver, callback.

    Returns
    -------
    Solution
        With its certificate. Reaching a limit is a status, not an error.

    Raises
    ------
    ModelError
        Unknown method, one that the transfer penalty does not allow, or a name that the model contradicts.
    DataError
        Tasks that do not fit the loss, or a fit that does not fit into memory (`footprint`).
    SolveError
        A subproblem that no solver answers.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet, fit
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 3)) for n in (30, 30, 6)]
    >>> y = [part @ [1.0, -2.0, 0.5] + s * rng.normal(size=len(part)) for part, s in zip(X, (0.1, 0.1, 1.0))]
    >>> tasks = TaskSet.from_arrays(X, y, names=["north", "south", "new town"])
    >>> solution = fit(tasks, Model(transfer=LossWeightedL1(mu=0.5), coupling=1.0))
    >>> solution.certificate.level, solution.certificate.edges
    ('C2', 3)
    """
    family = _family(tasks, model)
    problem = family.problem(tasks, model)
    running = _options(options)
    chosen = method_of(method, running, family=family)
    if isinstance(method, str) and method not in family.methods:
        NAMED[method].check({"omega": None, **problem.model.to_dict()})
    start = running.start
    if start is not None and not isinstance(start, State) and not chosen.takes_start:
        takes = " or ".join(repr(name) for name, each in family.methods.items() if each.takes_start)
        raise ModelError(f"{chosen.name!r} has its own start: leave out the start, or choose {takes}")
    with one_thread():
        return family.fit(chosen, problem.tasks, problem.model, running)


def _options(options: object) -> Options:
    """The options given, or the default ones; `ModelError` for anything else."""
    if options is None or isinstance(options, Options):
        return options or Options()
    raise ModelError(f"options must be Options(tol=..., ...), got {type(options).__name__}")


def _family(tasks: object, model: Any) -> Family:
    """The family of a model; for what is no model the error says what was expected."""
    if not isinstance(getattr(type(model), "family", None), str):
        check_problem(tasks, model)
    return family_of(model)


def method_of(method: str | Method | None, options: Options, *, family: Family) -> Method:
    """The method, by its name with the settings of the options; `ModelError` lists the names.

    None is the default method of the family.
    """
    method = family.default_method if method is None else method
    if isinstance(method, Method):
        if family.methods.get(method.name) is not type(method):
            raise ModelError(f"{type(method).__name__} is no method of the family {family.name!r}")
        return method
    if isinstance(method, str) and method in NAMED and NAMED[method].family == family.name:
        method = NAMED[method].method
    if not isinstance(method, str) or method not in family.methods:
        names = [each.name for each in NAMED.values() if each.family == family.name]
        known = dict.fromkeys((*family.methods, *names))
        raise ModelError(f"unknown method {method!r}: choose one of {', '.join(known)}")
    return family.methods[method].of(options)


def method_named(name: object, *, family: str = "amtl") -> Method:
    """The method of that name as it is by itself; `ModelError` lists the names."""
    return method_of(name, Options(), family=family_named(family))  # type: ignore[arg-type]


def __getattr__(name: str) -> Any:
    """`METHODS`: those of AMTL, by the names of the command line and of run.json."""
    if name == "METHODS":
        return {known: method_named(known) for known in family_named("amtl").methods}
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
