"""Estimators for scikit-learn: its own checks, its own linear models as reference, tasks by every route."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from cases import Array
from shop_rows import FAST, SHOPS, Rows, shop_rows
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from amtl_cvx import Logistic, LossWeightedL1, Model, Options, RowBudget, TaskSet, fit
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.estimators import AMTLClassifier, AMTLRegressor

PLAIN = {"standardize": False, "intercept": False, "omega": None}


@parametrize_with_checks([AMTLRegressor(), AMTLClassifier()])
def test_it_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        AMTLRegressor(engine="fast", transfer="elastic-net:rho=1"),
        AMTLClassifier(engine="fast", loss="squared-hinge", class_weight="balanced"),
    ]
)
def test_it_passes_them_with_other_parameters(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture
def rows(rng: np.random.Generator) -> Rows:
    return shop_rows(rng)


@pytest.fixture
def classes(rng: np.random.Generator) -> tuple[Array, Any]:
    """X (60, 2) around three centres, and the animal of each row."""
    animal = rng.permutation(np.arange(60) % 3)
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    return centres[animal] + rng.normal(size=(60, 2)), np.array(["cat", "dog", "owl"])[animal]


# --------------------------------------------------------------- the predictors, against scikit-learn's own


def test_without_transfer_each_task_is_a_ridge(rows: Rows) -> None:
    X, y, shop = rows
    alone = AMTLRegressor(coupling=0.3, engine="fast", **PLAIN).fit(X, y)
    assert alone.tasks_.tolist() == ["all"] and alone.B_.tolist() == [[0.0]]
    ridge = Ridge(alpha=60 * 0.3, fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(alone.coef_[0], ridge.coef_, rtol=1e-9)
    single = AMTLRegressor(coupling=0.3, method="stl", engine="fast", **PLAIN).fit(X, y, task=shop)
    for t, name in enumerate(single.tasks_):
        mine = shop == name
        ridge = Ridge(alpha=mine.sum() * 0.3, fit_intercept=False).fit(X[mine], y[mine])
        np.testing.assert_allclose(single.coef_[t], ridge.coef_, rtol=1e-9)
        np.testing.assert_allclose(single.predict(X[mine], task=shop[mine]), ridge.predict(X[mine]))


def test_a_class_against_the_rest_is_a_logistic_regression(classes: tuple[Array, Any]) -> None:
    X, animal = classes
    found = AMTLClassifier(coupling=0.02, method="stl", engine="fast", **PLAIN).fit(X, animal)
    assert found.tasks_.tolist() == ["cat vs rest", "dog vs rest", "owl vs rest"]
    whole = AMTLClassifier(**FAST).fit(X, np.searchsorted(found.classes_, animal).astype(float))
    assert whole.tasks_.tolist() == ["0 vs rest", "1 vs rest", "2 vs rest"]
    scores = found.decision_function(X)
    for k, name in enumerate(found.classes_):
        known = LogisticRegression(C=1 / (2 * 60 * 0.02), fit_intercept=False, tol=1e-10, max_iter=1000)
        np.testing.assert_allclose(found.coef_[k], known.fit(X, animal == name).coef_[0], rtol=1e-6)
        np.testing.assert_allclose(scores[:, k], known.decision_function(X), rtol=1e-6, atol=1e-9)
    assert (found.predict(X) == found.classes_[scores.argmax(axis=1)]).all()
    odds = 1.0 / (1.0 + np.exp(-scores))
    np.testing.assert_allclose(found.predict_proba(X), odds / odds.sum(axis=1, keepdims=True), rtol=1e-12)


def test_it_is_fit_on_the_same_tasks(rows: Rows) -> None:
    X, y, shop = rows
    found = AMTLRegressor(mu=0.2, **FAST, **PLAIN).fit(X, y, task=shop)
    model = Model(transfer=LossWeightedL1(mu=0.2), coupling=0.05)
    solution = fit(TaskSet.from_stacked(X, y, shop), model, options=Options(engine="fast"))
    assert found.tasks_.tolist() == sorted(SHOPS) == list(found.graph_.names)
    assert np.array_equal(found.B_, solution.B) and (found.B_ > 0).any()
    assert np.array_equal(found.coef_, solution.W.T) and not found.intercept_.any()
    assert found.certificate_.passes and found.certificate_.level == "C2"


def test_weights_of_rows_are_those_of_scikit_learn(rows: Rows, rng: np.random.Generator) -> None:
    X, y, shop = rows
    weights = rng.uniform(0.1, 3.0, 60)
    settings = {"coupling": 0.3, "method": "stl", "engine": "fast", **PLAIN}
    found = AMTLRegressor(**settings).fit(X, y, task=shop, sample_weight=weights)
    signs = AMTLClassifier(**settings).fit(X, y > 0, task=shop, sample_weight=weights)
    for t, name in enumerate(found.tasks_):
        mine, v = shop == name, weights[shop == name]
        ridge = Ridge(alpha=v.sum() * 0.3, fit_intercept=False).fit(X[mine], y[mine], sample_weight=v)
        np.testing.assert_allclose(found.coef_[t], ridge.coef_, rtol=1e-9)
        known = LogisticRegression(C=1 / (0.6 * v.sum()), fit_intercept=False, tol=1e-10)
        known.fit(X[mine], y[mine] > 0, sample_weight=v)
        np.testing.assert_allclose(signs.coef_[t], known.coef_[0], rtol=1e-5)


def test_a_weight_of_two_is_the_row_twice_and_none_its_absence(rows: Rows) -> None:
    """With transfer, preparation and "inverse-sqrt"; a shop whose rows all have weight 0 is no task."""
    X, y, shop = rows
    times = np.where(shop == "south", 0, np.arange(60) % 3)
    estimator = AMTLRegressor(task_weights="inverse-sqrt", omega="ridge:0.01", **FAST)
    weighted = clone(estimator).fit(X, y, task=shop, sample_weight=times)
    X_each, y_each, shop_each = (np.repeat(each, times, axis=0) for each in rows)
    repeated = clone(estimator).fit(X_each, y_each, task=shop_each)
    assert weighted.tasks_.tolist() == repeated.tasks_.tolist() == ["east", "north"]
    np.testing.assert_allclose(weighted.B_, repeated.B_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-7)
    with pytest.raises(DataError, match="task 'south' is not among those of the fit"):
        weighted.predict(X, task=shop)


def test_classes_have_weights(rows: Rows) -> None:
    X, y, shop = rows
    animal = np.where(y > 1, "cat", "dog")

    def found(weights: Any, **given: Any) -> Array:
        coef: Array = (
            AMTLClassifier(mu=2.0, **given, **FAST).fit(X, animal, task=shop, sample_weight=weights).coef_
        )
        return coef

    once = np.where(y > 0, 1.0, 0.5)
    by_class = found(once, class_weight={"cat": 3.0})
    np.testing.assert_allclose(by_class, found(once * np.where(animal == "cat", 3.0, 1.0)), rtol=1e-7)
    even = once.copy()
    for name in SHOPS:
        for label in ("cat", "dog"):  # each has half of what the shop weighs
            mine = (shop == name) & (animal == label)
            even[mine] *= once[shop == name].sum() / (2 * once[mine].sum())
    np.testing.assert_allclose(found(once, class_weight="balanced"), found(even), rtol=1e-7)
    with pytest.raises(ValueError, match="class_weight"):
        found(None, class_weight="unbalanced")


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_coefficients_are_in_the_units_of_X(standardize: bool, intercept: bool, rows: Rows) -> None:
    X, y, shop = rows
    X = X * [1.0, 50.0, 0.1] + [0.0, 7.0, -2.0]
    found = AMTLRegressor(standardize=standardize, intercept=intercept, **FAST).fit(X, y, task=shop)
    place = np.searchsorted(found.tasks_, shop)
    expected = (X * found.coef_[place]).sum(axis=1) + found.intercept_[place]
    np.testing.assert_allclose(found.predict(X, task=shop), expected, rtol=1e-9, atol=1e-9)
    assert intercept or standardize or not found.intercept_.any()


def test_a_poisson_rate_is_predicted_and_its_own_loss_is_asked(rows: Rows) -> None:
    X, _, shop = rows
    found = AMTLRegressor(loss="poisson", **FAST).fit(X, np.arange(60) % 4, task=shop)
    place = np.searchsorted(found.tasks_, shop)
    scores = (X * found.coef_[place]).sum(axis=1) + found.intercept_[place]
    np.testing.assert_allclose(found.predict(X, task=shop), np.exp(scores), rtol=1e-9)


# ---------------------------------------------------------------------------- classes, and classes of tasks


def test_two_classes_are_one_predictor_a_task(rows: Rows) -> None:
    X, y, shop = rows
    for low, high in (("no", "yes"), (False, True), (0, 1), (3, 8)):
        found = AMTLClassifier(mu=2.0, **FAST).fit(X, np.where(y > 0, high, low), task=shop)
        assert found.tasks_.tolist() == sorted(SHOPS) and found.classes_.tolist() == [low, high]
        scores = found.decision_function(X, task=shop)
        assert scores.shape == (60,) and set(found.predict(X, task=shop).tolist()) == {low, high}
        assert ((found.predict(X, task=shop) == high) == (scores > 0)).all()
        np.testing.assert_allclose(found.predict_proba(X, task=shop)[:, 1], 1 / (1 + np.exp(-scores)))
        assert found.solution_.labels == ((low, high) if high != 8 else (-1, 1))
        assert found.score(X, np.where(y > 0, high, low), task=shop) > 0.8


def test_classes_of_tasks_are_those_that_occur_in_them(classes: tuple[Array, Any]) -> None:
    """No owl in the south: it is never predicted there; the pairs are fitted as tasks of their own."""
    X, animal = classes
    site = np.where((np.arange(60) % 2 == 0) & (animal != "owl"), "south", "north")
    found = AMTLClassifier(**FAST).fit(X, animal, task=site)
    names = ["north: cat vs rest", "north: dog vs rest", "north: owl vs rest", "south: cat vs rest"]
    assert found.tasks_.tolist() == [*names, "south: dog vs rest"] and found.B_.shape == (5, 5)
    south = np.full(60, "south")
    scores, shares = found.decision_function(X, task=south), found.predict_proba(X, task=south)
    assert (
        (scores[:, 2] == -np.inf).all()
        and not shares[:, 2].any()
        and "owl" not in found.predict(X, task=south)
    )
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(scores[:, 1], X @ found.coef_[4] + found.intercept_[4])
    parts = [(site == name.split(":")[0], name.split()[1]) for name in found.tasks_]
    tasks = TaskSet.from_arrays(
        [X[mine] for mine, _ in parts], [np.where(animal[mine] == label, 1, -1) for mine, label in parts]
    )
    plain = clone(found).set_params(**PLAIN).fit(X, animal, task=site)
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.5), coupling=0.05)
    np.testing.assert_allclose(plain.B_, fit(tasks, model, options=Options(engine="fast")).B, atol=1e-9)


def test_probabilities_are_those_of_the_logistic_loss(classes: tuple[Array, Any]) -> None:
    X, animal = classes
    hinge = AMTLClassifier(loss="squared-hinge", **FAST).fit(X, animal)
    assert not hasattr(hinge, "predict_proba") and hinge.score(X, animal) > 0.8
    assert hasattr(AMTLClassifier(loss=Logistic(reduction="sum")), "predict_proba")
    far = AMTLClassifier(**FAST).fit(X, animal).predict_proba(1e6 * np.array([[-1.0, -1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(far.sum(axis=1), 1.0)


# -------------------------------------------------------- parameters, copies, warnings, searches, pipelines


def test_parameters_are_kept_as_given_and_read_by_the_fit(rows: Rows) -> None:
    X, y, shop = rows
    penalty = RowBudget(mu=0.3, budget=0.5)

    def price(**given: Any) -> float:
        estimator = clone(AMTLRegressor(**given, **FAST))
        assert all(estimator.get_params()[name] == value for name, value in given.items())
        return float(estimator.fit(X, y, task=shop).solution_.model.mu)

    assert price() == 0.5 and price(mu=0.2) == 0.2
    assert price(transfer=penalty) == 0.3 and price(transfer=penalty, mu=0.2) == 0.2
    assert price(transfer="row-budget:mu=0.4,budget=1") == 0.4
    assert price(transfer="row-budget:mu=0.4,budget=1", mu=0.2) == 0.2 and penalty.mu == 0.3
    known = AMTLRegressor(omega="mean:2", task_weights="inverse-sqrt", tol=1e-6, **FAST).fit(X, y, task=shop)
    assert known.solution_.model.omega.label == "mean:rho=2" and known.certificate_.tol == 1e-6
    assert known.solution_.model.task_weights == "inverse-sqrt"
    for given in (
        {"coupling": -1.0},
        {"transfer": "none"},
        {"method": "no"},
        {"engine": "no"},
        {"loss": 3},
        {"standardize": "no"},
    ):
        with pytest.raises(ModelError):
            AMTLRegressor(**given).fit(X, y)


def test_a_fit_travels(rows: Rows) -> None:
    X, y, shop = rows
    found = AMTLRegressor(engine="cvxpy", task_column="shop").fit(rows.frame, y)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.predict(rows.frame), found.predict(rows.frame))
    assert again.graph_.describe() == found.graph_.describe() and again.certificate_ == found.certificate_


def test_a_fit_that_is_not_certified_warns_in_the_words_of_its_certificate(
    rows: Rows,
) -> None:
    X, y, shop = rows
    with pytest.warns(ConvergenceWarning, match="not certified, stalled") as told:
        found = AMTLRegressor(tol=1e-30, **FAST).fit(X, y, task=shop)
    assert found.certificate_.verdict() in str(told[0].message) and told[0].filename == __file__
    assert not found.certificate_.passes and found.score(X, y, task=shop) > 0.5
