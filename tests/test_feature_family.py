"""What the families of learned features answer: blocks that fit, their orders, what a file holds of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
from feature_draws import drawn_point, drawn_problem, without_feedback
from feature_oracle import Oracle
from test_feature_pages import amtfl, data, solved

import amtl_cvx
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import family_named, family_of
from amtl_cvx.families.base import Found
from amtl_cvx.features import FEATURES, GO_MTL, FeatureProblem, certify
from amtl_cvx.options import Options
from amtl_cvx.runfolder import read_run, save
from amtl_cvx.tasks import TaskSet

Array = np.ndarray[Any, Any]


@functools.cache
def certified(loss: str = "squared") -> tuple[FeatureProblem, Mapping[str, Array]]:
    """A problem with T = k = 3 and d = 4, and a first-order point of it that the oracle found."""
    problem = drawn_problem(loss, 3, T=3, d=4, k=3, mu=0.03, gamma=0.01, decay=0.02)
    found = Oracle.of(problem.tasks, problem.model).first_order_point(1)
    blocks = {name: getattr(found, name).astype(float) for name in "LSA"}
    assert blocks["A"].any() and np.count_nonzero(blocks["S"]) > 3
    return problem, blocks


def judge(problem: FeatureProblem) -> Callable[[Mapping[str, Array]], Any]:
    """By the oracle's loops in doubles."""
    oracle = Oracle.of(problem.tasks, problem.model)

    def judged(blocks: Mapping[str, Array]) -> Any:
        doubles = Oracle(**{**vars_of(oracle), "mp": mpmath.fp})
        residual = float(doubles.residual(blocks["L"], blocks["S"], blocks["A"]))
        return SimpleNamespace(passes=residual < 1e-6, relative=residual)

    return judged


def vars_of(oracle: Oracle) -> dict[str, Any]:
    return {name: getattr(oracle, name) for name in oracle.__dataclass_fields__}


def test_both_are_known_by_their_models_and_names() -> None:
    problem = drawn_problem()
    assert family_of(problem.model) is family_named("features") is FEATURES
    assert family_of(without_feedback(problem).model) is family_named("go-mtl") is GO_MTL
    assert (FEATURES.blocks, GO_MTL.blocks) == (("L", "S", "A"), ("L", "S"))
    for family, model in ((FEATURES, problem.model), (GO_MTL, without_feedback(problem).model)):
        assert family.model_from(model.to_dict()) == model
        assert family.told(without_feedback(problem).zero.blocks) == {"features": 3}
    assert amtl_cvx.FeatureModel is FEATURES.model and amtl_cvx.GoMtlModel is GO_MTL.model


def test_predictors_and_losses_are_those_of_L_S() -> None:
    problem = drawn_problem("logistic")
    point = drawn_point(problem)
    W = FEATURES.predictors(point.blocks)
    np.testing.assert_array_equal(W, point.L @ point.S)
    expected = [
        np.logaddexp(0.0, -task.y * (task.X @ W[:, t])).mean() for t, task in enumerate(problem.tasks)
    ]
    np.testing.assert_allclose(
        FEATURES.losses(problem.tasks, problem.model, point.blocks), expected, rtol=1e-13
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"S": np.ones((4, 3))}, r"S must have shape \(3, 4\).*: transpose it"),
        ({"A": np.ones((3, 4))}, r"A must have shape \(4, 3\).*: transpose it"),
        ({"A": np.ones((4, 2))}, r"A must have shape \(4, 3\)"),
        ({"L": np.ones((6, 3))}, r"L must have shape \(5, 3\)"),
        ({"S": np.ones(4)}, "two dimensions"),
        ({"L": np.full((5, 3), np.nan)}, "finite"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(change: dict[str, Array], match: str) -> None:
    problem = drawn_problem()
    with pytest.raises(DataError, match=match):
        FEATURES.checked({**drawn_point(problem).blocks, **change}, tasks=problem.tasks)


def test_frames_are_taken_by_their_names() -> None:
    problem = drawn_problem()
    named = TaskSet.from_arrays(
        [task.X for task in problem.tasks], [task.y for task in problem.tasks],
        names=tuple("abcd"), feature_names=tuple("vwxyz"),
    )  # fmt: skip
    blocks = drawn_point(problem).blocks
    frames = {
        "L": pd.DataFrame(blocks["L"], index=list("vwxyz")).loc[list("zyxwv")],
        "S": pd.DataFrame(blocks["S"], columns=list("abcd"))[list("dbca")],
        "A": pd.DataFrame(blocks["A"], index=list("abcd")).loc[list("cadb")],
    }
    for name, found in FEATURES.checked(frames, tasks=named).items():
        np.testing.assert_array_equal(found, blocks[name])
    with pytest.raises(DataError, match="S"):
        FEATURES.checked({**frames, "S": frames["S"].rename(columns={"a": "e"})}, tasks=named)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_another_order_of_tasks_and_features_is_the_same_point(loss: str) -> None:
    problem = drawn_problem(loss, price_floor=0.1, task_weights=(1.0, 2.0, 0.5, 1.5))
    point = drawn_point(problem)
    tasks, inputs = np.array([2, 0, 3, 1]), np.array([4, 2, 0, 1, 3])
    moved = TaskSet.from_arrays(
        [problem.tasks[int(t)].X[:, inputs] for t in tasks], [problem.tasks[int(t)].y for t in tasks]
    )
    model = FEATURES.model_from({**problem.model.to_dict(), "task_weights": [0.5, 1.0, 1.5, 2.0]})
    found = FEATURES.arranged(Found(point.blocks, losses=1), tasks=tasks, features=inputs)
    other = FeatureProblem(moved, model).at(**found.blocks)
    np.testing.assert_allclose(other.terms, point.terms, rtol=1e-12)
    np.testing.assert_allclose(other.prices, point.prices[tasks], rtol=1e-12)
    assert found.losses == 1
    alone = GO_MTL.arranged(Found(without_feedback(problem).zero.blocks), tasks=tasks, features=None)
    assert set(alone.blocks) == {"L", "S"}


@pytest.mark.parametrize("loss", ["squared", pytest.param("logistic", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("tasks", "the tasks of the file are in another order"),
        ("features", "the features of the file are in another order"),
        ("S", "S of the file is transposed"),
        ("A", "A of the file is transposed"),
        ("SA", "S and A of the file are transposed"),
        ("S tasks", "S of the file is transposed; the tasks of the file are in another order"),
    ],
)
def test_a_point_in_another_order_is_told_what_cures_it(loss: str, wrong: str, words: str) -> None:
    problem, blocks = certified(loss)
    given, order, inputs = dict(blocks), np.array([2, 0, 1]), np.array([1, 3, 0, 2])
    if "tasks" in wrong:
        given = {**given, "S": given["S"][:, order], "A": given["A"][order]}
    if wrong == "features":
        given["L"] = given["L"][inputs]
    for name in "SA":
        if name in wrong.split()[0] and wrong not in ("tasks", "features"):
            given[name] = given[name].T
    assert not judge(problem)(given).passes and judge(problem)(blocks).passes
    line = FEATURES.repair(problem, given, judge=judge(problem))
    assert line is not None and words in line and "then it passes" in line
    if wrong == "features":
        assert f"reorder rows of L to {np.argsort(inputs).tolist()}" in line
    if "tasks" in wrong:
        assert f"reorder columns of S and rows of A to {np.argsort(order).tolist()}" in line


def test_a_point_that_no_order_cures_is_told_nothing() -> None:
    problem, blocks = certified()
    worse = {**blocks, "L": blocks["L"] + 0.1}
    assert FEATURES.repair(problem, worse, judge=judge(problem)) is None


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("sizes", np.ones(4), r"sizes must hold numbers >= 0 in the shape \(3,\)"),
        ("errors", np.array([1.0, -1.0, 0.0]), "errors must hold numbers >= 0"),
        ("prices", np.array(["a", "b", "c"]), "prices must hold numbers >= 0"),
        ("sizes", np.array([np.inf, 1.0, 1.0]), "finite"),
        ("sizes", np.array([np.nan, 1.0, 1.0]), "sizes must hold numbers >= 0"),
    ],
)
@pytest.mark.usefixtures("in_folder")
def test_damaged_figures_beside_the_blocks_are_refused(name: str, array: Array, match: str) -> None:
    save(solved(), "out", tasks=data())
    with np.load("out/solution.npz") as stored:
        np.savez("out/other.npz", **{**stored, name: array})
    stored_run = read_run("out/other.npz")
    with pytest.raises(DataError, match=match):
        stored_run.family.figure(stored_run, "reconstruction", title="", shape=None)
    whole = read_run("out")
    np.testing.assert_array_equal(whole.rest["sizes"], solved().facts["sizes"])
    with pytest.raises(ModelError, match="no truth to draw"):
        whole.family.figure(whole, "truth", title="", shape=None)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and runs without pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amtl_cvx.runfolder.folder.write_pictures", lambda *_: None)


def test_what_is_missed_is_said_by_name() -> None:
    """A drawn point, the zero point, and A below 0 where it must not be."""
    problem = drawn_problem()
    point = drawn_point(problem)
    found = certify(point)
    said = FEATURES.shortfall(found)
    assert f"the relative residual is {found.relative:.1e}, its limit 1e-08" in said
    for name in "LSA":
        assert f"of {name} {rounded_up(getattr(found, f'gap_{name}'))}" in said
    cure = FEATURES.advice(found, problem.model, point.blocks)
    assert "loss squared, mean, 3 features, mu 0.1, decay 0.05, alpha 0.3, gamma 0.02 in total" in cure
    go = without_feedback(problem)
    alone = certify(drawn_point(go))
    assert "of A" not in GO_MTL.shortfall(alone) and "alpha" not in GO_MTL.advice(alone, go.model, {})
    zero = certify(problem.zero)
    assert "no feature is live" in FEATURES.shortfall(zero)
    assert "smaller --mu or --decay" in FEATURES.advice(zero, problem.model, problem.zero.blocks)
    held = drawn_problem(feedback="nonnegative")
    below = certify(held.at(**point.blocks))
    assert f"an entry of it is {point.A.min():.3g}" in FEATURES.shortfall(below)
    assert "clip A at 0" in FEATURES.advice(below, held.model, point.blocks)


def test_a_fit_takes_down_what_only_the_data_tell() -> None:
    """Whatever the method says; and the words of GO-MTL name no A."""
    solution, tasks = solved(), data()
    said = dataclasses.replace(solution, facts={"of the method": 1})
    method: Any = SimpleNamespace(run=lambda *_: said)
    found = FEATURES.fit(method, tasks, solution.model, Options())
    assert set(found.facts) == {"of the method", "balance", "prices", "sizes", "errors"}
    np.testing.assert_array_equal(found.facts["errors"], solution.facts["errors"])
    assert set(FEATURES.rest(found.facts)) == {"balance", "prices", "sizes", "errors"}
    go = certify(drawn_point(without_feedback(drawn_problem())))
    assert "costs in L balances" in "\n".join(go.sentences())


def test_a_model_in_words() -> None:
    assert FEATURES.model_words(amtfl()) == ", 3 learned features, alpha 0.5, mu 0.1, gamma 0.2, decay 0.3"
    other = amtfl(gamma_per="row", feedback="nonnegative", price_floor=0.5, reconstruct="labelled")
    told = "gamma per row, feedback nonnegative, price floor 0.5, reconstruct labelled"
    assert FEATURES.model_words(other) == f"{FEATURES.model_words(amtfl())}, {told}"


def test_what_becomes_of_rows_without_a_label_is_said() -> None:
    assert FEATURES.unlabelled_words(amtfl()) == "left out of the losses, but reconstructed"
    assert FEATURES.unlabelled_words(amtfl(reconstruct="labelled")) == "left out"
    assert FEATURES.unlabelled_words(amtfl(gamma=0.0)) == "left out"
    assert GO_MTL.unlabelled_words(without_feedback(drawn_problem()).model) == "left out"
