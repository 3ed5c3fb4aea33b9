"""Estimators of learned features: the checks of scikit-learn, the formulas of their blocks, their tasks."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from shop_rows import SHOPS, Rows, shop_rows
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from amtl_cvx import FeatureModel, NetworkModel, TaskSet, fit
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.estimators import AMTFLClassifier, AMTFLRegressor

SMALL: dict[str, Any] = {"features": 2, "activation": "identity"}
RELU: dict[str, Any] = {"features": 2}
ONCE = "check_sample_weight_equivalence_on_dense_data"
EVERY_ROW_ONCE = {ONCE: "a row of weight 2 is reconstructed once, a row that is there twice is twice"}
QUICK = {
    "check_dont_overwrite_parameters", "check_estimators_pickle", "check_n_features_in",
    "check_no_attributes_set_in_init", "check_estimator_sparse_array", "check_mixin_order",
}  # fmt: skip
PLAIN: dict[str, Any] = {**SMALL, "standardize": False, "fit_bias": False}


@pytest.fixture
def rows(rng: np.random.Generator) -> Rows:
    return shop_rows(rng)


@pytest.mark.slow
@parametrize_with_checks(
    [each(**given) for given in ({}, SMALL) for each in (AMTFLRegressor, AMTFLClassifier)],
    expected_failed_checks=lambda _: EVERY_ROW_ONCE,
)
def test_it_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("cls", [AMTFLRegressor, AMTFLClassifier])
def test_it_passes_the_checks_that_cost_little(cls: Any) -> None:
    done = []
    for each, check in estimator_checks_generator(cls(**RELU)):
        name = getattr(check, "func", check).__name__
        if name in QUICK:
            check(each)
            done.append(name)
    assert set(done) == QUICK


@pytest.mark.slow
@pytest.mark.parametrize("given", [SMALL, RELU])
def test_without_a_reconstruction_a_weight_of_two_is_the_row_twice(given: dict[str, Any]) -> None:
    """Then the check of scikit-learn passes too."""
    for estimator in (AMTFLRegressor(gamma=0.0, **given), AMTFLClassifier(gamma=0.0, **given)):
        names = []
        for each, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            if name == ONCE:
                check(each)
                names.append(name)
        assert names


def test_a_single_task_and_feature_is_a_ridge_by_the_power_of_two_thirds(rows: Rows) -> None:
    """min over s of mu |s| + decay |w|^2 / s^2 is 3/2 mu^(2/3) (2 decay |w|^2)^(1/3), with w = s L_1."""
    X, y, _ = rows
    mu, decay = 0.3, 0.05
    settings = {**PLAIN, "features": 1, "gamma": 0.0, "mu": mu, "decay": decay}
    found = AMTFLRegressor(**settings).fit(X, y)
    w = found.layers_[0] @ found.S_[:, 0]
    scale = mu ** (2 / 3) * (2 * decay) ** (1 / 3) * float(w @ w) ** (-2 / 3)
    np.testing.assert_allclose(2 / 60 * X.T @ (X @ w - y) + scale * w, 0.0, atol=1e-7)
    assert abs(found.S_[0, 0]) ** 3 == pytest.approx(2 * decay * float(w @ w) / mu)
    assert found.tasks_.tolist() == ["all"] and not found.A_.any()


def test_it_is_fit_on_the_same_tasks(rows: Rows) -> None:
    X, y, shop = rows
    weights = {"mu": 0.1, "alpha": 0.2, "gamma": 0.3, "decay": 0.02, "gamma_per": "row"}
    found = AMTFLRegressor(**PLAIN, **weights).fit(X, y, task=shop)
    model = FeatureModel(features=2, **weights)
    solution = fit(TaskSet.from_stacked(X, y, shop), model)
    assert found.tasks_.tolist() == sorted(SHOPS) == list(found.graph_.tasks)
    assert np.array_equal(found.S_, solution.S) and np.array_equal(found.A_, solution.A) and found.A_.any()
    np.testing.assert_allclose(found.layers_[0], solution.L, rtol=1e-15)
    assert found.certificate_.passes and not found.biases_[0].any()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("layers", [(2,), (3, 2)])
def test_networks_are_fit_on_the_same_tasks(layers: tuple[int, ...], rows: Rows) -> None:
    X, y, shop = rows
    weights = {"mu": 0.01, "alpha": 1.0, "gamma": 0.01, "decay": 0.01, "gamma_per": "row"}
    found = AMTFLRegressor(layers=list(layers), standardize=False, **weights).fit(X, y, task=shop)
    model = NetworkModel(layers=layers, fit_bias=True, **weights)
    solution = fit(TaskSet.from_stacked(X, y, shop), model, method=found.solution_.method)
    for number in range(len(layers)):
        np.testing.assert_allclose(found.layers_[number], solution.blocks[f"W{number + 1}"], rtol=1e-15)
        np.testing.assert_allclose(found.biases_[number], solution.blocks[f"bias{number + 1}"], rtol=1e-15)
    assert np.array_equal(found.S_, solution.S) and np.array_equal(found.A_, solution.A)
    assert (
        found.certificate_.passes
        and found.certificate_.objective == solution.objective
        and found.graph_.k == 2
    )


@pytest.mark.filterwarnings("ignore:not certified")  # deep and without biases: nothing here depends on it
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("given", [SMALL, RELU, pytest.param({"layers": (3, 2)}, marks=pytest.mark.slow)])
def test_features_and_scores_are_those_of_the_blocks_in_the_units_of_X(
    given: dict[str, Any], standardize: bool, fit_bias: bool, rows: Rows
) -> None:
    X, y, shop = rows
    X = X * [1.0, 5.0, 0.5] + [0.0, 7.0, -2.0]
    found = AMTFLRegressor(standardize=standardize, fit_bias=fit_bias, tol=1e-6, **given).fit(X, y, task=shop)
    Z, z, linear = found.transform(X), X, given is SMALL
    for W, bias in zip(found.layers_, found.biases_, strict=True):
        z = z @ W + bias if linear else np.maximum(z @ W + bias, 0.0)
    np.testing.assert_allclose(Z, z, rtol=1e-12)
    scores = found.solution_.scores(X)
    np.testing.assert_allclose(Z @ found.S_, scores, atol=1e-9 * np.abs(scores).max())
    place = np.searchsorted(found.tasks_, shop)
    np.testing.assert_allclose(found.predict(X, task=shop), scores[np.arange(60), place])
    assert fit_bias or standardize or not any(bias.any() for bias in found.biases_)


def test_tasks_go_by_labels_and_by_columns(rows: Rows) -> None:
    X, y, shop = rows
    known = AMTFLRegressor(**SMALL).fit(X, y, task=shop)
    frame = rows.frame
    found = AMTFLRegressor(task_column="shop", **SMALL).fit(frame, y)
    assert found.n_features_in_ == 3 and found.feature_names_in_.tolist() == ["warm", "rain", "offers"]
    np.testing.assert_allclose(found.predict(frame), known.predict(X, task=shop))
    np.testing.assert_allclose(found.transform(frame), known.transform(X))
    for call, words in (
        (lambda: known.predict(X), "the fit had the tasks 'east', 'north', 'south'"),
        (lambda: known.predict(X[:1], task=["west"]), "task 'west' is not among those of the fit"),
        (lambda: found.fit(X, y), "names the column of a frame"),
    ):
        with pytest.raises(DataError, match=words):
            call()


def test_classes_are_told_from_the_rest_by_shared_features(rng: np.random.Generator) -> None:
    """No owl in the south, so that none is predicted there; probabilities are those of each pair, shared."""
    animal = np.array(["cat", "dog", "owl"])[np.arange(60) % 3]
    X = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])[np.arange(60) % 3] + rng.normal(size=(60, 2))
    site = np.where((np.arange(60) % 2 == 0) & (animal != "owl"), "south", "north")
    found = AMTFLClassifier(class_weight="balanced", **SMALL).fit(X, animal, task=site)
    names = ["north: cat vs rest", "north: dog vs rest", "north: owl vs rest", "south: cat vs rest"]
    assert found.tasks_.tolist() == [*names, "south: dog vs rest"] and found.S_.shape == (2, 5)
    south = np.full(60, "south")
    scores, Z = found.decision_function(X, task=south), found.transform(X)
    np.testing.assert_allclose(scores[:, :2], Z @ found.S_[:, 3:], atol=1e-9)
    assert (scores[:, 2] == -np.inf).all() and "owl" not in found.predict(X, task=south)
    odds = np.where(np.isfinite(scores), 1.0 / (1.0 + np.exp(-scores)), 0.0)
    shares = found.predict_proba(X, task=south)
    np.testing.assert_allclose(shares, odds / odds.sum(axis=1, keepdims=True), rtol=1e-9)
    assert found.score(X, animal, task=site) > 0.8


def test_it_makes_features_for_others(rows: Rows) -> None:
    X, y, shop = rows
    estimator = AMTFLRegressor(**SMALL).set_output(transform="pandas")
    frame = estimator.fit_transform(X, y, task=shop)
    assert isinstance(frame, pd.DataFrame) and list(frame) == ["z0", "z1"] == list(estimator.graph_.names)
    line = make_pipeline(AMTFLRegressor(**SMALL), LogisticRegression()).fit(X, y > 0)
    assert line[-1].n_features_in_ == 2 and line.score(X, y > 0) > 0.7
    again = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(again.predict(X, task=shop), estimator.predict(X, task=shop))


def test_searches_carry_the_tasks(rows: Rows) -> None:
    X, y, shop = rows
    groups = np.arange(60) // 5
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(AMTFLRegressor(**SMALL), {"mu": [0.01]}, cv=GroupKFold(2))
        search.fit(X, y, task=shop, groups=groups)
    train, test = next(GroupKFold(2).split(X, y, groups))
    by_hand = clone(search.best_estimator_).fit(X[train], y[train], task=shop[train])
    score = by_hand.score(X[test], y[test], task=shop[test])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(score)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mu": 0.0}, "mu must be > 0"),
        ({"loss": "logistic"}, "AMTFLRegressor takes the losses squared"),
        ({"loss": "quantile:0.9"}, "kinks"),
        ({"features": 0}, "whole numbers >= 1"),
        ({"activation": "tanh"}, "activation must be one of"),
        ({"activation": "identity", "layers": (3, 2)}, "layers are of the activation relu"),
        ({"fit_bias": 1}, "fit_bias must be True or False"),
        ({"layers": (3, 2), "features": 3}, "leave one of both out"),
        ({"layers": (3, 0)}, "whole numbers >= 1"),
        ({"decay": 0.0}, "decay must be > 0 for a network"),
    ],
)
def test_parameters_are_read_by_the_fit(given: dict[str, Any], words: str, rows: Rows) -> None:
    with pytest.raises(ModelError, match=words):
        AMTFLRegressor(**given).fit(rows.X, rows.y)


def test_a_fit_that_is_not_certified_warns(rows: Rows) -> None:
    X, y, shop = rows
    with pytest.warns(ConvergenceWarning, match="not certified") as told:
        found = AMTFLRegressor(tol=1e-30, **SMALL).fit(X, y, task=shop)
    assert found.certificate_.verdict() in str(told[0].message) and told[0].filename == __file__
