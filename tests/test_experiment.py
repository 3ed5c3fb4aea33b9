"""Experiments: mu_max is where the first edge appears, held-out rows partition, scores are scikit-learn's."""

from __future__ import annotations

import dataclasses

import cases
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, root_mean_squared_error

from amtl_cvx.errors import DataError
from amtl_cvx.experiment import Choice, Trial, choose, hold_out, mu_max, score, suggest_loss, tune
from amtl_cvx.losses import Logistic, Loss, Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def model_for(loss: Loss, **changes: object) -> Model:
    model = Model(loss=loss, transfer=LossWeightedL1(mu=1.0), coupling=0.7)
    return dataclasses.replace(model, **changes)  # type: ignore[arg-type]


def with_mu(model: Model, mu: float) -> Model:
    return dataclasses.replace(model, transfer=LossWeightedL1(mu=mu))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("weights", ["equal", "inverse-sqrt"])
@pytest.mark.parametrize("loss", cases.LOSS_CASES, ids=cases.loss_id)
def test_mu_max_is_where_the_first_edge_appears(loss: Loss, weights: str, rng: np.random.Generator) -> None:
    tasks = cases.tasks_for(loss, rng)
    model = model_for(loss, task_weights=weights)
    found = mu_max(tasks, model, cases.single_task_W(tasks, model))
    assert found == pytest.approx(cases.mu_max(tasks, model), rel=1e-8)
    assert found > 0
    one_round = Options(max_rounds=1, refine=False)
    above = fit(tasks, with_mu(model, 1.001 * found), options=one_round)
    below = fit(tasks, with_mu(model, 0.999 * found), options=one_round)
    assert above.B.max() == 0.0 and below.B.max() > 0.0


def test_mu_max_of_one_task_and_of_opposed_tasks_is_zero(rng: np.random.Generator) -> None:
    one = cases.random_tasks(rng, counts=(9,))
    model = model_for(Squared())
    assert mu_max(one, model, cases.ridge(one, model)) == 0.0
    X = rng.normal(size=(9, 3))
    opposed = TaskSet.from_arrays([X, X], [X[:, 0], -X[:, 0]])
    assert mu_max(opposed, model, cases.ridge(opposed, model)) == 0.0


@pytest.mark.parametrize("loss", [Squared(), Logistic()], ids=cases.loss_id)
@pytest.mark.parametrize("seed", range(5))
def test_hold_out_is_a_partition(loss: Loss, seed: int, rng: np.random.Generator) -> None:
    tasks = cases.tasks_for(loss, rng, counts=(10, 2, 25, 5))
    train, held, index = hold_out(tasks, loss, np.random.default_rng(seed))
    assert held is not None and train.T == 4 and train.names == tasks.names
    assert held.names == tuple(tasks.names[t] for t in index)
    for t, task in enumerate(tasks):
        parts = [train[t], *(part for part, u in zip(held, index, strict=True) if u == t)]
        rows = np.concatenate([np.column_stack([part.X, part.y]) for part in parts])
        whole = np.column_stack([task.X, task.y])
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], whole[np.lexsort(whole.T)])
        assert len(parts[0].y) >= 1
        if loss.classification:
            assert set(parts[0].y) == set(task.y)
        elif len(task.y) >= 5:
            assert len(parts[1].y) == len(task.y) // 5


def test_single_rows_are_never_held_out(rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, counts=(1, 1))
    assert hold_out(tasks, Squared(), rng)[1:] == (None, ())
    with pytest.raises(DataError, match="--coupling"):
        choose(tasks, model_for(Squared()), coupling=True, mu=True, rng=rng)
    mixed, held, index = hold_out(cases.random_tasks(rng, counts=(1, 6)), Squared(), rng)
    assert mixed.counts.tolist() == [1, 5] and index == (1,) and held is not None


def solution_with(tasks: TaskSet, loss: Loss, W: np.ndarray) -> Solution:
    found = fit(tasks, model_for(loss), method="stl")
    return dataclasses.replace(found, blocks={**found.blocks, "W": W})


def test_score_of_a_regression(rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng)
    W = rng.normal(size=(tasks.d, tasks.T))
    found = score(solution_with(tasks, Squared(), W), tasks)
    pairs = [(task.y, task.X @ w) for task, w in zip(tasks, W.T, strict=True)]
    assert found["rmse"] == pytest.approx(
        np.mean([root_mean_squared_error(*pair) for pair in pairs]), rel=1e-12
    )
    pooled = root_mean_squared_error(*(np.concatenate(part) for part in zip(*pairs, strict=True)))
    assert found["pooled rmse"] == pytest.approx(pooled, rel=1e-12)
    assert set(found) == {"rmse", "pooled rmse"}


@pytest.mark.parametrize("zero", [-1.0, 0.0])
def test_score_of_a_classification(zero: float, rng: np.random.Generator) -> None:
    X, label = rng.normal(size=(40, 4)), np.arange(40) % 3
    tasks = TaskSet.from_arrays([X] * 3, [np.where(label == t, 1.0, zero) for t in range(3)])
    W = rng.normal(size=(4, 3))
    found = score(solution_with(tasks, Logistic(), W), tasks, classes=True)
    each = [accuracy_score(task.y > 0, X @ w > 0) for task, w in zip(tasks, W.T, strict=True)]
    assert found["accuracy"] == pytest.approx(np.mean(each), rel=1e-12)
    assert found["class accuracy"] == accuracy_score(label, np.argmax(X @ W, axis=1))
    assert set(score(solution_with(tasks, Logistic(), W), tasks)) == {"accuracy"}


@pytest.mark.parametrize(
    "labels, loss",
    [
        ([[1, -1], [1, -1]], "logistic"),
        ([[0, 1], [1, 0]], "logistic"),
        ([[0, 1], [1, -1]], "logistic"),
        ([[1, 2], [1, 2]], "squared"),
        ([[0, 1], [0.5, 1]], "squared"),
        ([[-1, 0, 1], [1, -1, 1]], "squared"),
        ([[1, 1], [1, 1]], "squared"),
        ([[0, 0], [1, 1]], "squared"),
        ([[1, 1], [1, -1]], "logistic"),
    ],
)
def test_suggest_loss(labels: list[list[float]], loss: str) -> None:
    tasks = TaskSet.from_arrays([np.ones((len(y), 1)) for y in labels], labels)
    assert suggest_loss(tasks) == loss


@pytest.fixture
def short_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three couplings are tried, which takes half the time."""
    monkeypatch.setattr(tune, "COUPLING_PATH", (1e-3, 1e-1, 10.0))
    monkeypatch.setattr(tune, "DECADES", 0)


@pytest.mark.usefixtures("short_path")
@pytest.mark.parametrize("loss", [Squared(), Squared(reduction="sum"), Logistic()], ids=cases.loss_id)
def test_choice(loss: Loss, rng: np.random.Generator) -> None:
    tasks = cases.tasks_for(loss, rng, counts=(12, 14, 11))
    seen: list[object] = []
    found = choose(
        tasks, model_for(loss), coupling=True, mu=True, rng=np.random.default_rng(4), observe=seen.append
    )
    assert tuple(seen) == found.trials and len(found.trials) == len(tune.COUPLING_PATH) == 3
    best = min(found.trials, key=lambda trial: trial.held_out_loss)
    assert found.model.coupling == best.coupling
    assert found.mu_max == pytest.approx(cases.mu_max(tasks, found.model), rel=1e-6)
    assert found.model.transfer.mu == pytest.approx(0.1 * found.mu_max)
    again = choose(tasks, model_for(loss), coupling=True, mu=True, rng=np.random.default_rng(4))
    assert again.trials == found.trials and again.model == found.model


@pytest.mark.usefixtures("short_path")
def test_the_path_does_not_depend_on_the_units_of_X(rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, counts=(12, 14, 11))
    scaled = TaskSet.from_arrays([1e3 * task.X for task in tasks], [task.y for task in tasks])
    first, second = (
        choose(data, model_for(Squared()), coupling=True, mu=True, rng=np.random.default_rng(0))
        for data in (tasks, scaled)
    )
    assert second.model.coupling == pytest.approx(1e6 * first.model.coupling, rel=1e-6)
    assert [t.held_out_loss for t in second.trials] == pytest.approx(
        [t.held_out_loss for t in first.trials], rel=1e-4
    )


@pytest.mark.usefixtures("short_path")
def test_what_is_given_is_kept(rng: np.random.Generator) -> None:
    tasks, model = cases.random_tasks(rng), model_for(Squared())
    only_mu = choose(tasks, model, coupling=False, mu=True, rng=rng)
    assert only_mu.model.coupling == model.coupling and only_mu.trials == ()
    only_coupling = choose(tasks, model, coupling=True, mu=False, rng=rng)
    assert only_coupling.model.transfer == model.transfer and only_coupling.mu_max is None
    assert {trial.mu for trial in only_coupling.trials} == {1.0}


def test_the_sentence_says_what_was_chosen_only(rng: np.random.Generator) -> None:
    model = model_for(Squared())
    assert "a tenth of mu_max 10 " in Choice(model=model, mu_max=10.0).sentence()
    assert "coupling" not in Choice(model=model, mu_max=10.0).sentence()
    assert "no task can help" in Choice(model=model, mu_max=0.0).sentence()


@pytest.mark.parametrize("coupling, end", [(0.1, True), (1.0, False), (10.0, True)])
def test_the_sentence_says_when_the_path_ended(coupling: float, end: bool) -> None:
    trials = tuple(Trial(coupling=value, mu=1.0, held_out_loss=0.0) for value in (0.1, 1.0, 10.0))
    sentence = Choice(model=model_for(Squared(), coupling=coupling), trials=trials).sentence()
    assert ("at the end of the path: give --coupling a value beyond it to look further" in sentence) is end
