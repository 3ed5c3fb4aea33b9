"""The tasks of the estimators: labels, columns, what is wrong with them, and how searches carry them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from shop_rows import FAST, SHOPS, Rows, shop_rows
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.estimators import AMTLClassifier, AMTLRegressor


@pytest.fixture
def rows(rng: np.random.Generator) -> Rows:
    return shop_rows(rng)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize(
    "labels",
    [
        SHOPS,
        SHOPS.astype(object),
        np.array([4, -1, 10]),
        np.array([2.0, 1.0, 3.0]),
        np.array([0, 1, 2]),
        np.array(["2026-01-02", "2026-01-01", "2026-03-01"], dtype="datetime64[D]"),
    ],
    ids=["text", "objects", "numbers", "whole floats", "counts", "days"],
)
def test_tasks_go_by_their_labels(labels: Any, rows: Rows) -> None:
    X, y, shop = rows
    place = np.array([{"north": 0, "south": 1, "east": 2}[name] for name in shop])
    by_name, by_label = (AMTLRegressor(**FAST).fit(X, y, task=task) for task in (shop, labels[place]))
    only = place != 1  # predictions need not see every task
    np.testing.assert_allclose(
        by_label.predict(X[only], task=labels[place][only]), by_name.predict(X[only], task=shop[only])
    )
    assert len(by_label.tasks_) == 3


def test_a_column_of_a_frame_names_the_tasks_and_is_no_feature(rows: Rows) -> None:
    X, y, shop = rows
    known = AMTLRegressor(**FAST).fit(X, y, task=shop)
    frame = rows.frame
    for given in (frame, frame.astype({"shop": "category"}), pl.from_pandas(frame)):
        found = AMTLRegressor(task_column="shop", **FAST).fit(given, y)
        assert found.n_features_in_ == 3 and found.feature_names_in_.tolist() == ["warm", "rain", "offers"]
        assert found.solution_.feature_names == ("warm", "rain", "offers", "intercept")
        np.testing.assert_allclose(found.predict(given), known.predict(X, task=shop))
        assert found.score(given, y) == pytest.approx(known.score(X, y, task=shop))
        assert np.array_equal(found.B_, known.B_)


def wrong(rows: Rows) -> dict[str, Any]:
    """What may not be given, by what is said of it."""
    X, y, shop = rows
    frame = rows.frame
    given, column = AMTLRegressor(**FAST), AMTLRegressor(task_column="shop", **FAST)
    return {
        "task 'west' is not among those of the fit ('east', 'north', 'south')": (
            lambda: given.fit(X, y, task=shop).predict(X[:2], task=["north", "west"])
        ),
        "the fit had the tasks 'east', 'north', 'south': say the task of each row": (
            lambda: given.fit(X, y, task=shop).predict(X)
        ),
        "task 'north' is not among those of the fit ('all')": (
            lambda: given.fit(X, y).predict(X, task=["north"] * 60)
        ),
        "the tasks are given twice": lambda: column.fit(frame, y, task=shop),
        "task_column='shop' names the column of a frame, X is ndarray": lambda: column.fit(X, y),
        "X has the columns warm, rain": lambda: column.fit(frame.drop(columns="shop"), y),
        "a column is task_column=": lambda: given.fit(frame, y, task="shop"),
        "column 'shop' is not numeric": lambda: given.fit(frame, y),
        "or name it as task_column= if it holds the tasks": lambda: given.fit(frame, y),
        "task must have one label per row, it has 59": lambda: given.fit(X, y, task=shop[1:]),
        "task has missing values": lambda: given.fit(X, y, task=pd.Series(shop).where(shop != "east")),
        "task must be finite, entry": lambda: given.fit(X, y, task=np.where(shop == "east", np.nan, 1.0)),
        "text or whole numbers, it has fractions": lambda: given.fit(X, y, task=y),
        "X and task have the same row labels in another order": (
            lambda: given.fit(frame[["warm"]], y, task=pd.Series(shop)[::-1])
        ),
        "X and y have the same row labels in another order": (
            lambda: given.fit(frame[["warm"]], pd.Series(y)[::-1], task=shop)
        ),
        "sample_weight of 'north' must be >= 0, row 0 has -1": (
            lambda: given.fit(X, y, task=shop, sample_weight=np.where(shop == "north", -1.0, 1.0))
        ),
        "sample_weight must have shape (60,)": lambda: given.fit(X, y, sample_weight=np.ones(59)),
        "the weights of all rows are zero": lambda: given.fit(X, y, sample_weight=np.zeros(60)),
        "AMTLRegressor takes the losses squared, huber, quantile, poisson, got 'logistic'": (
            lambda: clone(given).set_params(loss="logistic").fit(X, y)
        ),
        "those of 'east' have one class, no": (
            lambda: AMTLClassifier(**FAST).fit(X, np.where(shop == "east", "no", y > 0), task=shop)
        ),
    }


def test_what_is_wrong_is_said_in_one_line(rows: Rows) -> None:
    for words, call in wrong(rows).items():
        with pytest.raises(ValueError) as told:
            call()
        assert words in str(told.value) and "\n" not in str(told.value)
        assert isinstance(told.value, DataError | ModelError)


@pytest.mark.usefixtures("routing")
def test_searches_and_pipelines_carry_the_tasks(rows: Rows) -> None:
    """Each score is that of a fit by hand, folds by groups that cut across the tasks."""
    X, y, shop = rows
    groups, grid, v = np.arange(60) // 5, {"coupling": [0.02, 0.5]}, 1.0 + np.arange(60) % 2
    folds = list(GroupKFold(2).split(X, y, groups))
    by_hand = [
        [
            AMTLRegressor(engine="fast", coupling=c)
            .fit(X[train], y[train], task=shop[train], sample_weight=v[train])
            .score(X[test], y[test], task=shop[test], sample_weight=v[test])
            for train, test in folds
        ]
        for c in grid["coupling"]
    ]
    estimator = AMTLRegressor(engine="fast").set_fit_request(sample_weight=True)
    estimator.set_score_request(sample_weight=True)
    search = GridSearchCV(estimator, grid, cv=GroupKFold(2))
    search.fit(X, y, task=shop, groups=groups, sample_weight=v)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], np.mean(by_hand, axis=1))
    assert search.best_estimator_.predict(X, task=shop).shape == (60,)
    if parse_version(sklearn.__version__) >= parse_version("1.8"):  # before, a pipeline scores without tasks
        last = clone(estimator).set_params(coupling=0.5, standardize=False)
        line = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), last)
        routed = {"task": shop, "groups": groups, "sample_weight": v}
        found = cross_val_score(line, X, y, cv=GroupKFold(2), params=routed)
        np.testing.assert_allclose(found, by_hand[1])


def test_a_scorer_of_scikit_learn_takes_the_tasks_from_their_column(rows: Rows) -> None:
    X, y, shop = rows
    frame, estimator = rows.frame, AMTLRegressor(task_column="shop", **FAST)
    found = cross_val_score(estimator, frame, y, cv=2, scoring="neg_mean_squared_error", error_score="raise")
    fitted = clone(estimator).fit(frame[30:], y[30:])
    assert found[0] == pytest.approx(-np.mean((fitted.predict(frame[:30]) - y[:30]) ** 2))


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: -1.0}])
def test_weights_below_0_are_refused_whatever_the_classes_have(class_weight: Any) -> None:
    y, X = np.resize([0, 1], 20), np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(DataError, match="must be >= 0"):
        AMTLClassifier(class_weight=class_weight).fit(X, y, sample_weight=np.where(y == 0, -1.0, 3.0))


def test_tasks_called_by_numbers_that_are_no_whole_ones_are_refused() -> None:
    X = np.random.default_rng(0).normal(size=(9, 2))
    with pytest.raises(DataError, match=r"up to 2\^53"):
        AMTLRegressor().fit(X, X[:, 0], task=np.repeat([1e20, 2e20, 3e20], 3))
