"""Asymmetric multi-task learning as convex optimization.

    tasks = TaskSet.from_arrays([X0, X1], [y0, y1])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    solution = fit(tasks, model)
    print(solution.certificate.verdict(), solution.graph.describe())

The modules in the order in which they build on each other: errors, known, memory, console, untrusted, arrays,
notebook, parallel, rowspace, tasks, families, plugins, losses, transfer, weights, problem, certificate,
preparation, scoring, history, solution, solvers, subproblems, refine, run, options, coordinator, curriculum,
footprint, methods, holdout, experiment, digits, enclosure, ladder, alignment, graph, bipartite, explore,
plotting, report, data, features, dictionary, amtl, adaptation, estimators, runfolder, progress, reference,
commands, completion, cli. Where their essays cite theory.md, that is reports/guide/theory.md.

A name is imported when it is first used (PEP 562): CVXPY takes two seconds, and `amtl-cvx --help` needs none.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from amtl_cvx.adaptation import Adaptation, adapt
    from amtl_cvx.certificate import Certificate
    from amtl_cvx.data import Dataset, read
    from amtl_cvx.dictionary import DictionaryModel
    from amtl_cvx.errors import AMTLError
    from amtl_cvx.experiment.tuning import Axis, Splits, Tuning, tune
    from amtl_cvx.families.settings.named import named
    from amtl_cvx.features import FeatureModel, GoMtlModel
    from amtl_cvx.graph import TransferGraph
    from amtl_cvx.ladder import certify
    from amtl_cvx.losses import Hinge, Huber, Logistic, Poisson, Quantile, Squared, SquaredHinge
    from amtl_cvx.methods import fit
    from amtl_cvx.network import NetworkModel
    from amtl_cvx.options import Options
    from amtl_cvx.preparation import Preparation
    from amtl_cvx.problem import Model, Point, Problem
    from amtl_cvx.solution import Solution, Status
    from amtl_cvx.tasks import Task, TaskSet
    from amtl_cvx.transfer import (
        L1,
        DegreeCap,
        ElasticNet,
        Forbidden,
        LossWeightedL1,
        Ordered,
        Required,
        RowBudget,
        SignedL1,
        SizePricedL1,
        SourceGroupL2,
        SquaredTransfer,
        Symmetric,
        TargetGroupL2,
        TotalBudget,
        UserTransfer,
    )
    from amtl_cvx.weights import Laplacian, MeanRegularised, Ridge, UserOmega

__version__ = "0.1.0"

__all__ = [
    "AMTLError",
    "Adaptation",
    "Axis",
    "Certificate",
    "Dataset",
    "DegreeCap",
    "DictionaryModel",
    "ElasticNet",
    "FeatureModel",
    "Forbidden",
    "GoMtlModel",
    "Hinge",
    "Huber",
    "L1",
    "Laplacian",
    "Logistic",
    "LossWeightedL1",
    "MeanRegularised",
    "Model",
    "NetworkModel",
    "Options",
    "Ordered",
    "Point",
    "Poisson",
    "Preparation",
    "Problem",
    "Quantile",
    "Required",
    "Ridge",
    "RowBudget",
    "SignedL1",
    "SizePricedL1",
    "Solution",
    "SourceGroupL2",
    "Splits",
    "Squared",
    "SquaredHinge",
    "SquaredTransfer",
    "Status",
    "Symmetric",
    "TargetGroupL2",
    "Task",
    "TaskSet",
    "TotalBudget",
    "TransferGraph",
    "Tuning",
    "UserOmega",
    "UserTransfer",
    "adapt",
    "certify",
    "fit",
    "named",
    "read",
    "tune",
]

_MODULES = {
    "AMTLError": "errors",
    "Adaptation": "adaptation",
    "Axis": "experiment.tuning",
    "Certificate": "certificate",
    "Dataset": "data",
    "DegreeCap": "transfer",
    "DictionaryModel": "dictionary",
    "ElasticNet": "transfer",
    "FeatureModel": "features",
    "NetworkModel": "network",
    "Forbidden": "transfer",
    "GoMtlModel": "features",
    "Hinge": "losses",
    "Huber": "losses",
    "L1": "transfer",
    "Laplacian": "weights",
    "Logistic": "losses",
    "LossWeightedL1": "transfer",
    "MeanRegularised": "weights",
    "Model": "problem",
    "Options": "options",
    "Ordered": "transfer",
    "Point": "problem",
    "Poisson": "losses",
    "Preparation": "preparation",
    "Problem": "problem",
    "Quantile": "losses",
    "Required": "transfer",
    "Ridge": "weights",
    "RowBudget": "transfer",
    "SignedL1": "transfer",
    "SizePricedL1": "transfer",
    "Solution": "solution",
    "SourceGroupL2": "transfer",
    "Splits": "experiment.tuning",
    "Squared": "losses",
    "SquaredHinge": "losses",
    "SquaredTransfer": "transfer",
    "Status": "solution",
    "Symmetric": "transfer",
    "TargetGroupL2": "transfer",
    "Task": "tasks",
    "TaskSet": "tasks",
    "TotalBudget": "transfer",
    "Tuning": "experiment.tuning",
    "UserOmega": "weights",
    "UserTransfer": "transfer",
    "TransferGraph": "graph",
    "adapt": "adaptation",
    "certify": "ladder",
    "fit": "methods",
    "named": "families.settings.named",
    "read": "data",
    "tune": "experiment.tuning",
}
"""Where each public name lives."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
