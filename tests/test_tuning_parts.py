"""The parts of a tuning: axes, search, errors and the choice, each against what is known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss
from tuned_tasks import alike, classes

from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, fit
from amtl_cvx.errors import ModelError, SolveError
from amtl_cvx.experiment.tuning import Axis, Splits, Trial, tune
from amtl_cvx.experiment.tuning import engine as engines
from amtl_cvx.experiment.tuning.axes import axes_of
from amtl_cvx.experiment.tuning.choice import chosen, edges
from amtl_cvx.experiment.tuning.search import Point, grid, search
from amtl_cvx.losses import Logistic
from amtl_cvx.solution import Solution

TASKS = alike()


@pytest.mark.parametrize(
    "text, values, scale",
    [
        ("mu=.01,1,.1", (0.01, 0.1, 1), "log"),
        ("mu=1e-3:1e1:5", (1e-3, 1e-2, 1e-1, 1.0, 10.0), "log"),
        ("power=0,1,2", (0, 1, 2), "log"),
        ("shift=-1,1", (-1, 1), "linear"),
        ("rounds=1:4", (1, 2, 3, 4), "linear"),
        ("rounds=1:10:3", (1, 3, 10), "linear"),
        ("reading=single,zero", ("single", "zero"), "choice"),
        ("layers=8,4;4", ("8,4", "4"), "choice"),
    ],
)
def test_axes_as_they_are_written(text: str, values: tuple[Any, ...], scale: str) -> None:
    axis = Axis.parse(text)
    assert (axis.values, axis.scale) == (values, scale)


@pytest.mark.parametrize(
    "text, said",
    [
        ("mu", "a grid is NAME=VALUE"),
        ("mu=", "a grid is NAME=VALUE"),
        ("mu=1,,2", "is empty"),
        ("mu=1,1.0", "there twice"),
        ("mu=1,high", "must be numbers, or words"),
        ("mu=nan", "must be numbers, or words"),
        ("mu=.1:1", "write mu=.1:1:9"),
        ("mu=1:10", "write mu=1:10:9 for nine"),
        ("rounds=.5:3", "for whole numbers"),
        ("mu=1e-400,1", "1e-400 is too small"),
        ("mu=1:.1:4", "0 < LOW < HIGH"),
        ("mu=0:1:4", "0 < LOW < HIGH"),
        ("mu=1:2:3:4", "LOW:HIGH:COUNT"),
    ],
)
def test_axes_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Axis.parse(text)


@pytest.mark.parametrize(
    "values, end, value",
    [
        ((0.1, 1.0, 3.0), "high", 9.0),
        ((0.1, 1.0, 3.0), "low", 0.01),
        ((0.0, 1.0, 2.0), "high", 4.0),
        ((0.0, 1.0), "low", None),
        ((0.0, 1.0), "high", None),
        ((2, 4), "high", 8),
        ((1, 2), "low", None),
        ((-1.0, 0.5), "high", 2.0),
        ((5.0,), "high", None),
        (("a", "b"), "high", None),
    ],
)
def test_beyond_an_end(values: tuple[Any, ...], end: Any, value: Any) -> None:
    further = Axis("mu", values).beyond(end)
    new = None if further is None else next(each for each in further.values if each not in values)
    assert new == value and type(new) is type(value)
    assert Axis("rounds", [1, 2]).beyond(end) is None


def test_points_at_random_are_those_of_the_seed_and_between_the_ends() -> None:
    grid: Any = {"mu": "1e-3:1e1:3", "coupling": [1.0, 1000.0]}
    one, other, third = (
        tune(TASKS, "amtl", {**grid, "rounds": [1, 2]}, splits=2, random=6, seed=seed) for seed in (4, 4, 5)
    )
    assert [t.parameters for t in one.trials] == [t.parameters for t in other.trials]
    assert [t.errors for t in one.trials] == [t.errors for t in other.trials]
    assert not {t.parameters["mu"] for t in one.trials} & {t.parameters["mu"] for t in third.trials}
    assert len(one.trials) == 12 and not one.widened
    draws = np.array(Axis.parse("mu=1e-3:1e1:9").draws(np.random.default_rng(0), 4000))
    assert draws.min() >= 1e-3 and draws.max() <= 10.0
    for quantile, power in ((0.25, -2.0), (0.5, -1.0), (0.75, 0.0)):  # uniform in the logarithm
        assert np.log10(np.quantile(draws, quantile)) == pytest.approx(power, abs=0.15)


def bowl(centre: Sequence[float], calls: list[int]) -> Any:
    """Squared distance from a centre in decades."""

    def evaluate(points: Sequence[Point]) -> list[float]:
        calls.append(len(points))
        return [sum((math.log10(float(v)) - c) ** 2 for v, c in zip(p, centre, strict=True)) for p in points]

    return evaluate


def test_a_grid_widens_itself_while_the_best_lies_at_an_edge() -> None:
    axes, calls = axes_of(["mu=.1,1", "coupling=1.0,10,100"]), list[int]()
    found = search(axes, bowl((-2.2, 2.9), calls), widen=3)
    assert [axis.values for axis in found.axes] == [(1e-3, 1e-2, 0.1, 1), (1, 10, 100, 1000, 10000)]
    assert found.best == (0.01, 1000.0) and list(found.errors) == grid(found.axes)
    assert found.added == {"mu": [0.01, 0.001], "coupling": [1000.0, 10000.0]}
    assert calls == [6, 6, 8]  # each point once
    short = search(axes, bowl((-9.0, 1.0), []), widen=2)
    assert short.axes[0].values == (1e-3, 1e-2, 0.1, 1) and short.axes[1].values == (1, 10, 100)
    flat = search(axes, lambda points: [1.0] * len(points), widen=3)
    assert flat.axes == axes  # an end that is only as good as what lies inside is no edge
    assert len(search(axes, lambda points: [1.0] * len(points), widen=1, plateaus=True).errors) == 12


def test_a_tuning_says_that_its_grid_was_widened_and_where_it_still_ends() -> None:
    tuning = tune(TASKS, "stl", {"coupling": [100.0, 1000.0]}, splits=2, widen=1)
    assert [axis.values for axis in tuning.axes] == [(10.0, 100.0, 1000.0)]
    assert "coupling was widened to 10" in tuning.sentence()
    assert "coupling 10 is at the end of its values: try smaller ones" in tuning.sentence()
    inside = tune(TASKS, "stl", {"coupling": [1e-2, 1e-1, 1.0, 1e3, 1e4]}, splits=2)
    assert not inside.widened and not inside.edges


def trial(mean: float, spread: float, **parameters: Any) -> Trial:
    return Trial(parameters=parameters, errors=(mean - spread, mean, mean + spread))


def test_one_standard_error() -> None:
    """The standard error of the best is .3 / sqrt 3 = .173: 1.17 is within it, 1.18 is not."""
    trials = [
        trial(1.18, 0.0, mu=10.0, coupling=1.0, rounds=1),
        trial(1.17, 0.0, mu=1.0, coupling=1.0, rounds=2),
        trial(1.17, 0.0, mu=1.0, coupling=1.0, rounds=1),
        trial(1.0, 0.3, mu=0.1, coupling=1.0, rounds=1),
        trial(1.0, 0.3, mu=0.1, coupling=1.0, rounds=2),
        trial(1.05, 0.0, mu=1.0, coupling=0.1, rounds=1),
    ]
    axes = axes_of({"mu": [0.1, 1.0, 10.0], "coupling": [0.1, 1.0], "rounds": [1, 2]})
    assert trials[3].se == pytest.approx(0.3 / math.sqrt(3.0))
    assert chosen(trials, "one-se", axes) is trials[2]
    assert chosen(trials, "best", axes) is trials[3]  # of equals the one of fewer rounds
    assert edges(trials[0], trials, axes) == ()
    with pytest.raises(ModelError, match="needs two splits"):
        chosen([Trial(parameters={}, errors=(1.0,))], "one-se", ())
    with pytest.raises(ModelError, match="the rule must be one of best, one-se"):
        tune(TASKS, "stl", rule="better")  # type: ignore[arg-type]


def test_errors_of_classes_are_those_of_scikit_learn() -> None:
    tasks, grid = classes(), {"mu": [0.1], "coupling": [0.05]}
    splits = Splits.held_out(tasks, 0.4, seed=3)
    (part,) = splits
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.1), coupling=0.05)
    W = fit(part.train, model, options=Options(engine="fast")).W
    scores, truth = part.held[0].X @ W, np.array([task.y > 0 for task in part.held]).T
    expected = {
        "auto": 1.0 - accuracy_score(truth.argmax(axis=1), scores.argmax(axis=1)),
        "error": 1.0 - np.mean([accuracy_score(t, z > 0) for t, z in zip(truth.T, scores.T, strict=True)]),
        "loss": np.mean([log_loss(t, 1 / (1 + np.exp(-z))) for t, z in zip(truth.T, scores.T, strict=True)]),
    }
    for measure, error in expected.items():
        tuning = tune(tasks, "amtl", grid, splits=splits, measure=measure, widen=0)
        assert tuning.chosen.errors == pytest.approx((error,), rel=1e-7), measure
    assert tuning.chosen.se is None and 0.0 < expected["auto"] < 1.0
    with pytest.raises(ModelError, match="auto or one of pooled rmse, rmse, loss here"):
        tune(TASKS, "stl", measure="error")


def test_a_fit_that_fails_costs_its_point_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fit of mu .5 fails in its fourth round: after three it could be stopped."""
    once = engines.Candidate.fit

    def fails(self: Any, tasks: TaskSet, options: Options) -> Solution:
        if self.parameters["mu"] != 0.5:
            return once(self, tasks, options)

        def ends(number: int, step: str, blocks: Any) -> None:
            if number == 4:
                raise SolveError("no solver\nanswers", step="W", solver="all", status="failed")
            if options.iterate is not None:
                options.iterate(number, step, blocks)

        return once(self, tasks, engines.replace(options, iterate=ends))

    grid = {"mu": [0.05, 0.5], "coupling": [1.0], "rounds": [1, 3, 4, 9]}
    whole = tune(TASKS, "amtl", grid, splits=2, widen=0)
    monkeypatch.setattr(engines.Candidate, "fit", fails)
    found = tune(TASKS, "amtl", grid, splits=2, widen=0)
    for one, other in zip(found.trials, whole.trials, strict=True):
        lost = one.parameters["mu"] == 0.5 and int(one.parameters["rounds"]) > 3
        assert one.errors == ((np.inf,) * 2 if lost else other.errors)
    assert found.trials[-1].failed == "no solver answers"
    assert "2 points could not be fitted" in found.sentence()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["trials"][-1]["mean"] is None


def test_warm_fits_begin_at_the_point_beside() -> None:
    splits = Splits.folds(TASKS, 2)
    grid = {"mu": [0.05], "coupling": [0.1, 1.0]}
    warm = tune(TASKS, "amtl", grid, splits=splits, warm=True, widen=0)
    for k, part in enumerate(splits):
        start = None
        for trial in reversed(warm.trials):
            model = Model(transfer=LossWeightedL1(mu=0.05), coupling=float(trial.parameters["coupling"]))
            start = fit(part.train, model, options=Options(engine="fast", start=start))
            errors = [task.y - task.X @ w for task, w in zip(part.held, start.W.T, strict=True)]
            assert trial.errors[k] == pytest.approx(np.sqrt(np.mean(np.concatenate(errors) ** 2)), rel=1e-9)
    with pytest.raises(ModelError, match="leave out warm, or rounds"):
        tune(TASKS, "amtl", {**grid, "rounds": [2]}, warm=True)
    with pytest.raises(ModelError, match="has its own start"):
        tune(TASKS, "amtl-curriculum", grid, warm=True)


def test_a_profile_is_the_least_over_what_it_leaves_out() -> None:
    grid = {"mu": [0.05, 0.5], "coupling": [0.1, 1.0, 10.0], "rounds": [1, 2]}
    tuning = tune(TASKS, "amtl", grid, splits=2, widen=0)
    across, down, errors = tuning.profile("coupling", "mu")
    assert (across, down) == ((0.1, 1.0, 10.0), (0.05, 0.5)) or (list(across), list(down)) == (
        [0.1, 1.0, 10.0],
        [0.05, 0.5],
    )
    for i, mu in enumerate(down):
        for j, coupling in enumerate(across):
            same = [
                t for t in tuning.trials if (t.parameters["mu"], t.parameters["coupling"]) == (mu, coupling)
            ]
            assert len(same) == 2 and errors[i, j] == min(t.mean for t in same)
    along = tuning.along("rounds", {"mu": 0.5})
    assert [t.parameters["rounds"] for t in along] == [1, 2]
    assert {t.parameters["mu"] for t in along} == {0.5}
    assert sum(row["chosen"] for row in tuning.rows()) == 1 and tuning.seconds > 0.0
    with pytest.raises(ModelError, match="'rho' was not tuned: choose among mu, coupling, rounds"):
        tuning.profile("rho")


def test_trials_are_fitted_in_numpy_where_a_method_can_and_nobody_asks_for_a_solver() -> None:
    grids: dict[str, Any] = {
        "amtl": {"mu": [0.1], "coupling": [1.0]},
        "go-mtl": {"features": [2], "mu": [0.1]},
    }
    held = {"go-mtl": {"decay": 0.1}}
    for name, options, engine in (
        ("amtl", Options(max_rounds=2, refine=False), "fast"),
        ("amtl", Options(max_rounds=2, refine=False, solver="CLARABEL"), "cvxpy"),
        ("go-mtl", Options(max_rounds=2, refine=False), "cvxpy"),
    ):
        asked: Any = {"settings": held.get(name), "splits": 2, "widen": 0}
        assert tune(TASKS, name, grids[name], options=options, **asked).options.engine == engine


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"grid": {"rho": [1.0]}}, "amtl has no parameter 'rho'"),
        ({"method": "stl", "grid": {"rounds": [1]}}, "stl has no parameter 'rounds'"),
        ({"grid": {"mu": [0.1]}, "settings": {"mu": 1.0}}, "mu is held in the settings and in the grid"),
        ({"grid": {"rounds": [0, 1]}}, "rounds must be a whole number >= 1"),
        ({"grid": {"rounds": [1.5]}}, "rounds is a whole number"),
        ({"grid": ["mu=1", "mu=2"]}, "mu is twice"),
        ({"random": 0}, "random must be a whole number >= 1"),
        ({"widen": -1}, "widen must be a whole number >= 0"),
        ({"splits": 1}, "folds >= 2"),
        ({"splits": 1.5}, "between 0 and 1"),
        ({"splits": "all"}, "splits are a number, a splitter or pairs"),
        ({"engine": "quick"}, "engine must be"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"seed": None}, "seed must be a whole number >= 0"),
        ({"settings": {"standardize": True}}, "standardize is no setting of a model in Python"),
        ({"settings": {"class_weight": "balanced"}}, "class_weight is no setting of a model in Python"),
    ],
)
def test_what_cannot_be_tuned_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        tune(TASKS, **asked)
