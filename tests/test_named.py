"""The methods of the papers' tables by name: their models, the convex ones against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from amtl_cvx import (
    L1,
    LossWeightedL1,
    MeanRegularised,
    Model,
    SizePricedL1,
    Symmetric,
    TaskSet,
    fit,
    named,
)
from amtl_cvx.errors import ModelError
from amtl_cvx.families import all_settings
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.losses import make_loss
from amtl_cvx.weights import TraceNormSquared

NAMES = {
    *("stl", "mean", "mtfl", "go-mtl", "sc-mtl", "curriculum-simple", "smtl", "amtl-noloss", "amtl"),
    *("amtl-curriculum", "amtl-imbalanced", "amtl-mean", "amtfl-linear", "amtfl", "deep-amtfl"),
}
PRICED = {"coupling": 0.7, "mu": 0.05}


def tasks_of(rng: np.random.Generator, *, labels: bool = False) -> TaskSet:
    X = [rng.normal(size=(n, 3)) for n in (8, 12, 9, 15)]
    W = np.ones((3, 1)) + 0.5 * rng.normal(size=(3, 4))
    y = [x @ w + rng.normal(size=len(x)) for x, w in zip(X, W.T, strict=True)]
    return TaskSet.from_arrays(X, [np.where(part > 0, 1.0, -1.0) for part in y] if labels else y)


def test_all_fifteen_names_are_there() -> None:
    assert set(NAMED) == NAMES
    methods = {name for table in all_settings() for name in table.methods}
    assert methods - set(NAMED) == {"alternating", "curriculum"}  # by their names amtl and amtl-curriculum


@pytest.mark.parametrize(
    ("name", "parameters", "model"),
    [
        ("smtl", PRICED, Model(transfer=Symmetric(mu=0.05), coupling=0.7)),
        ("amtl-noloss", PRICED, Model(transfer=L1(mu=0.05), coupling=0.7)),
        ("amtl", PRICED, Model(transfer=LossWeightedL1(mu=0.05), coupling=0.7)),
        ("amtl-curriculum", PRICED, Model(transfer=LossWeightedL1(mu=0.05), coupling=0.7)),
        (
            "amtl-imbalanced",
            {**PRICED, "power": 2.0},
            Model(
                loss=make_loss("squared", reduction="sum"),
                transfer=SizePricedL1(mu=0.05, power=2.0),
                coupling=0.7,
                task_weights="inverse-sqrt",
            ),
        ),
        (
            "amtl-mean",
            {**PRICED, "rho": 0.2},
            Model(transfer=LossWeightedL1(mu=0.05), coupling=0.7, omega=MeanRegularised(rho=0.2)),
        ),
        ("mean", {"rho": 0.2}, Model(coupling=0.0, omega=MeanRegularised(rho=0.2))),
        ("mtfl", {"rho": 0.2}, Model(coupling=0.0, omega=TraceNormSquared(rho=0.2))),
    ],
)
def test_a_name_is_the_model_written_out(
    name: str, parameters: dict[str, float], model: Model, rng: np.random.Generator
) -> None:
    tasks = tasks_of(rng)
    made = named(name).model(tasks, parameters)
    assert made.to_dict() == model.bind(tasks).to_dict()
    solution = fit(tasks, made, method=name)
    assert solution.certificate.passes and solution.method == named(name).method
    same = fit(tasks, model, method=named(name).method)
    np.testing.assert_array_equal(solution.W, same.W)


def test_single_logistic_tasks_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    tasks = tasks_of(rng, labels=True)
    found = fit(tasks, named("stl").model(tasks, {"coupling": 0.1}), method="stl")
    assert found.model.loss.name == "logistic"  # as the targets say
    for t, task in enumerate(tasks):
        other = LogisticRegression(C=1.0 / (0.2 * len(task.y)), fit_intercept=False, tol=1e-12, max_iter=5000)
        np.testing.assert_allclose(found.W[:, t], other.fit(task.X, task.y).coef_[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "parameters", "settings", "words"),
    [
        ("mtfl", {}, {}, "mtfl needs rho"),
        ("amtl", {"mu": 1.0}, {}, "amtl needs coupling"),
        ("go-mtl", {"mu": 1.0}, {}, "go-mtl needs features, decay"),
        ("mtfl", {"rho": 1.0, "mu": 1.0}, {}, "has no parameter 'mu': choose among rho"),
        ("mtfl", {"rho": 1.0}, {"omega": "mean:1"}, "stands for omega 'trace-squared', not 'mean:1'"),
        ("mtfl", {"rho": 1.0}, {"coupling": 1.0}, "stands for coupling 0.0, not 1.0"),
        ("amtl", PRICED, {"transfer": "l1"}, "stands for transfer 'loss-weighted-l1', not 'l1'"),
        ("amtl", PRICED, {"omega": "ridge:1"}, "stands for omega 'none'"),
        ("amtl-imbalanced", PRICED, {"reduction": "mean"}, "stands for reduction 'sum'"),
        ("amtl", PRICED, {"features": 2}, "amtl has no setting 'features'"),
        ("mean", {"rho": -1.0}, {}, "rho must be a finite number"),
        ("amtl", {"coupling": "x", "mu": 0.1}, {}, "must be a number"),
    ],
)
def test_what_is_no_model_of_the_name_is_refused(
    name: str,
    parameters: dict[str, object],
    settings: dict[str, object],
    words: str,
    rng: np.random.Generator,
) -> None:
    with pytest.raises(ModelError, match=words):
        named(name).model(tasks_of(rng), parameters, settings=settings)


def test_a_fit_by_a_name_takes_no_other_model(rng: np.random.Generator) -> None:
    tasks = tasks_of(rng)
    model = named("amtl").model(tasks, PRICED)
    for name, words in (("mtfl", "coupling"), ("smtl", "transfer"), ("amtl-mean", "omega")):
        with pytest.raises(ModelError, match=f"{name} stands for {words}"):
            fit(tasks, model, method=name)
    with pytest.raises(ModelError, match="unknown method 'go-mtl'"):
        fit(tasks, model, method="go-mtl")
