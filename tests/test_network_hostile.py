"""Input that is meant to break a network: a clear error of one line, or a result that is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_draws import alone
from network_oracle import Oracle, exact
from network_points import planted

from amtl_cvx import NetworkModel, TaskSet, fit
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.network import NetworkPoint, NetworkProblem, certify
from amtl_cvx.network.certificate import strict_local
from amtl_cvx.network.hessian import hessian
from amtl_cvx.network.kinks import dead_units, kinks
from amtl_cvx.network.methods import Amtfl, DeepAmtfl, KinkNewton
from amtl_cvx.network.snap import snap
from amtl_cvx.options import Options
from amtl_cvx.solution import Status

WEIGHTS = {"mu": 0.1, "alpha": 0.4, "gamma": 0.2, "decay": 0.05}


def problem_of(rng: np.random.Generator, n: int = 6, *, X: Any = None, **settings: Any) -> NetworkProblem:
    X = rng.normal(size=(n, 3)) if X is None else np.asarray(X, dtype=float)
    labels = settings.get("loss") in ("logistic", "squared-hinge")
    Y = rng.normal(size=(len(X), 2))
    if labels:
        Y = np.where(Y - np.median(Y, axis=0) >= 0.0, 1.0, -1.0)
    return NetworkProblem(TaskSet.from_matrix(X, Y), NetworkModel(**{**WEIGHTS, **settings}))


def judged(point: NetworkPoint) -> Any:
    """The certificate of the point as it is, C3 asked for; snapped it is no worse, and says how far it is."""
    found = strict_local(certify(point), point)
    assert found.verdict() and all(found.sentences()) and found.to_dict()["objective"] == point.objective
    assert np.isfinite(found.relative) and np.isfinite(hessian(point)).all()
    snapped, moved = certify(point, snapped=True), snap(point).point is not point
    assert snapped.passes >= found.passes and (snapped.snap_distance > 0.0) == moved
    return found


def oracle_of(point: NetworkPoint) -> Oracle:
    X = point.problem.rows.X.repeat(point.problem.rows.times.astype(int), axis=0)
    return Oracle.of(point.tasks, point.model, pool=X)


def agrees(point: NetworkPoint) -> None:
    """J is that of the loops."""
    assert point.objective == pytest.approx(float(oracle_of(point).objective(exact(point.vector))), rel=1e-13)


# blocks


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["W1", "bias1", "W2", "bias2", "S", "A", "bias_feedback"])
def test_a_number_that_is_none_is_named_with_its_block(
    name: str, bad: float, rng: np.random.Generator
) -> None:
    problem = problem_of(rng, layers=(3, 2), fit_bias=True, feedback_bias=True)
    blocks = dict(problem.from_vector(rng.normal(size=problem.size)).blocks)
    wrong = blocks[name].copy()
    wrong.flat[-1] = bad
    with pytest.raises(DataError, match=name) as caught:
        problem.at(**{**blocks, name: wrong})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["W1", "bias1", "W2", "bias2", "S", "A", "bias_feedback"])
def test_wrong_shapes_are_told_with_the_right_one(name: str, rng: np.random.Generator) -> None:
    problem = problem_of(rng, layers=(4, 3), fit_bias=True, feedback_bias=True)
    blocks = dict(problem.from_vector(rng.normal(size=problem.size)).blocks)
    right = blocks[name]
    for wrong in (right[:-1], right[None], np.zeros(0), 0.0, right.T if right.ndim == 2 else right[:, None]):
        with pytest.raises(DataError, match=name) as caught:
            problem.at(**{**blocks, name: wrong})
        assert str(right.shape) in str(caught.value) and "\n" not in str(caught.value)
    for wrong in ("x", None, [[1.0], [1.0, 2.0]], right.astype(complex), {}, object()):
        with pytest.raises(DataError, match=name):
            problem.at(**{**blocks, name: wrong})
    with pytest.raises(DataError, match="expected the blocks W1, bias1"):
        problem.at(**{key: value for key, value in blocks.items() if key != name})
    with pytest.raises(DataError, match="W3"):
        problem.at(**blocks, W3=right)


@pytest.mark.parametrize(
    "settings",
    [
        *(
            {"layers": layers}
            for layers in ((), (0,), (-1,), (1.5,), ("3",), (np.nan,), (2**40,), "8", (True,))
        ),
        *({"layers": layers} for layers in ([2, [3]], (None,), {2: 3})),
        {"features": 3, "layers": (4, 2)},
        {"layers": (2,), "activation": "identity"},
        {"layers": (2,), "decay": 0.0},
        {"layers": (2,), "decay": -1.0},
        {"layers": (2,), "mu": 0.0},
        {"layers": (2,), "fit_bias": 1},
        {"layers": (2,), "feedback_bias": "no"},
        {"layers": (2,), "loss": "hinge"},
    ],
    ids=str,
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        NetworkModel(**{**WEIGHTS, **settings})
    assert "\n" not in str(caught.value)


def test_numbers_that_overflow_are_refused(rng: np.random.Generator) -> None:
    problem = problem_of(rng, layers=(3,))
    huge = problem.from_vector(1e120 * rng.normal(size=problem.size))
    for ask in (certify, lambda point: certify(point, snapped=True)):
        with pytest.raises(DataError, match="overflows"):
            ask(huge)
    tiny = problem.from_vector(1e-200 * rng.normal(size=problem.size))
    assert not judged(tiny).passes


# layers and units


@pytest.mark.parametrize("fit_bias", [False, True])
def test_a_layer_that_is_all_dead(fit_bias: bool, rng: np.random.Generator) -> None:
    """Weights of 0, and units that are off on every row: nothing passes but what is stationary."""
    problem = problem_of(rng, layers=(3, 2), fit_bias=fit_bias)
    blocks = dict(problem.from_vector(rng.normal(size=problem.size)).blocks)
    for name in ("W1", "W2"):
        for value in (0.0, *(() if fit_bias else (-1.0,))):
            X = np.abs(problem.rows.X)
            positive = problem_of(rng, X=X, layers=(3, 2), fit_bias=fit_bias)
            dead = positive.at(**{**blocks, name: np.full_like(blocks[name], value)})
            agrees(dead)
            assert not judged(dead).passes
    zero = judged(problem.zero)
    assert not zero.passes and zero.live_features == 0 and "zero" in zero.reasons
    assert all(dead.all() for dead in dead_units(problem.zero)) and len(kinks(problem.zero)) == 0
    used = problem.zero.at(S=np.ones_like(problem.zero.S))  # mu ||S||_1 can only fall
    assert not judged(used).passes and not dead_units(used)[-1].any()


@pytest.mark.parametrize(
    "settings", [{"layers": (1,)}, {"layers": (1, 1, 1), "fit_bias": True}, {"layers": (9,)}]
)
@pytest.mark.parametrize("n", [1, 3])
def test_one_unit_one_row_and_more_units_than_rows(settings: Any, n: int, rng: np.random.Generator) -> None:
    problem = problem_of(rng, n, **settings, feedback_bias=True)
    for scale in (0.1, 1.0, 10.0):
        point = problem.from_vector(scale * rng.normal(size=problem.size))
        agrees(point)
        assert not judged(point).passes
    tasks = TaskSet.from_arrays([[[2.0]]], [[1.0]])
    one = NetworkProblem(tasks, NetworkModel(**WEIGHTS, layers=(1,)))
    assert not judged(one.at(W1=[[0.0]], S=[[1.0]], A=[[0.0]])).passes


# rows


def test_duplicate_rows_are_one_row_and_one_kink(rng: np.random.Generator) -> None:
    sound = planted(rng).point
    X, y = sound.problem.rows.X, np.column_stack([task.y for task in sound.tasks])
    model, blocks = sound.model, sound.blocks
    twice = NetworkProblem(TaskSet.from_matrix(np.vstack([X, X]), np.vstack([y, y])), model).at(**blocks)
    agrees(twice)
    assert len(twice.problem.rows.X) == len(X) and (twice.problem.rows.times == 2.0).all()
    halved = NetworkProblem(twice.tasks, NetworkModel(**{**vars(model), "gamma": model.gamma / 2})).at(
        **blocks
    )
    before, after = certify(sound), certify(halved)
    assert before.passes and after.passes and before.active_kinks == after.active_kinks > 0
    assert after.likq == before.likq and after.objective == pytest.approx(before.objective, rel=1e-13)
    negative = NetworkProblem(TaskSet.from_matrix([[0.0, 1.0], [-0.0, 1.0]], [[1.0], [2.0]]), model)
    assert len(negative.rows.X) == 1


def test_binary_rows_meet_kinks_together(rng: np.random.Generator) -> None:
    """Also where their normals are dependent."""
    sound = planted(rng, binary=True, N=24).point
    found = judged(sound)
    assert found.passes and found.active_kinks > 0
    X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    dependent = problem_of(rng, X=X, layers=(1,)).at(
        W1=[[1.0], [1.0], [-1.0]], S=[[1.0, 0.5]], A=np.zeros((2, 1))
    )
    assert len(kinks(dependent)) == 3 and kinks(dependent).deficiency == 1
    agrees(dependent)
    judged(dependent)


@pytest.mark.parametrize(
    "X", [np.zeros((4, 3)), np.ones((4, 3)), np.eye(3)[[0, 0, 1, 1]]], ids=["0", "1", "e"]
)
@pytest.mark.parametrize("fit_bias", [False, True])
def test_rows_without_numbers(X: Any, fit_bias: bool, rng: np.random.Generator) -> None:
    problem = problem_of(rng, X=X, layers=(2, 2), fit_bias=fit_bias)
    for x in (rng.normal(size=problem.size), np.round(rng.normal(size=problem.size))):
        point = problem.from_vector(x)
        agrees(point)
        assert not judged(point).passes


def test_rows_of_huge_and_tiny_scale_keep_their_kinks() -> None:
    """The kink of row (1, 1) is one at every scale of the inputs, with the weights that go with it."""
    for scale in (1e-100, 1e-6, 1e6, 1e100):
        rows = scale * np.array([[1.0, 0.0], [1.0, 1.0]])
        point = alone(rows, [1.0, -1.0], np.array([[1.0], [-1.0]]) / scale, [[1.0]])
        assert len(kinks(point)) == 1 and point.features[1, 0] == 0.0


def test_a_task_of_one_class_has_a_minimum(rng: np.random.Generator) -> None:
    """The weights decay, so that its score stays finite."""
    tasks = TaskSet.from_arrays([rng.normal(size=(4, 2))] * 2, [np.ones(4), [1.0, -1.0, 1.0, -1.0]])
    problem = NetworkProblem(tasks, NetworkModel(**WEIGHTS, loss="logistic", layers=(2,)))
    problem.check()
    point = problem.from_vector(rng.normal(size=problem.size))
    agrees(point)
    assert not judged(point).passes


def test_snapping_what_is_nowhere_near_moves_nothing(rng: np.random.Generator) -> None:
    problem = problem_of(rng, layers=(3, 2), fit_bias=True)
    point = problem.from_vector(rng.normal(size=problem.size))
    assert snap(point).point is point
    for width in (0.0, 1.0, -1.0, np.nan, "1", None, True):
        with pytest.raises(ModelError, match="kink_width"):
            certify(point, snapped=True, kink_width=width)  # type: ignore[arg-type]


# fits

HOSTILE: dict[str, tuple[Any, dict[str, Any]]] = {
    "one row": (np.ones((1, 2)), {"layers": (2,)}),
    "no numbers": (np.zeros((5, 2)), {"layers": (2,)}),
    "no numbers, biases": (np.zeros((5, 2)), {"layers": (2, 2), "fit_bias": True, "feedback_bias": True}),
    "equal rows": (np.ones((6, 3)), {"layers": (3,)}),
    "binary": (np.array(list(np.ndindex(2, 2, 2)), dtype=float), {"layers": (3,)}),
    "duplicates": (np.arange(12.0).reshape(6, 2)[[0, 0, 1, 2, 2, 3, 4, 5]] - 6.0, {"layers": (3, 2)}),
    "size 1": (np.linspace(-1.0, 1.0, 8)[:, None], {"layers": (1, 1, 1), "fit_bias": True}),
    "k > n": (np.eye(3), {"layers": (8,)}),
    "one class": (np.linspace(-1.0, 1.0, 8).reshape(4, 2), {"layers": (2,), "loss": "logistic"}),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("start", ["svd", "random", "dead"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_fit_ends_lower_and_says_what_it_is(name: str, start: str, rng: np.random.Generator) -> None:
    """Below where it began, as certified as its point is by itself, with J that is that of the loops."""
    X, settings = HOSTILE[name]
    Y = X.sum(axis=1, keepdims=True) * [1.0, -0.5] + 0.3 * rng.normal(size=(len(X), 2)) + 1.0
    if name == "one class":
        Y = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
    model = NetworkModel(**{**WEIGHTS, "mu": 0.01, "decay": 0.01, **settings})
    problem = NetworkProblem(TaskSet.from_matrix(X, Y), model)
    begun = None
    if start == "dead":
        point = problem.from_vector(rng.normal(size=problem.size))
        begun = {**point.blocks, "W1": np.zeros_like(point.blocks["W1"])}
    options = Options(max_rounds=40, start=begun)
    found = fit(problem.tasks, model, method=method_of(model, start), options=options)
    point = problem.at(**found.blocks)
    agrees(point)
    least = problem.zero if begun is None else problem.at(**begun)
    assert found.objective <= least.objective * (1.0 + 1e-12) and found.objective == point.objective
    again = certify(point, tol=options.tol)
    print(
        name,
        start,
        found.status,
        again.relative,
        again.live_features,
        found.objective,
        problem.zero.objective,
    )
    assert found.certificate.passes == again.passes and found.certificate.level in ("C0", "C2", "C3")
    assert (found.status is Status.CERTIFIED) == again.passes and (again.relative <= 1e-8 or not again.passes)


def method_of(model: NetworkModel, start: str) -> KinkNewton:
    init: Any = "random" if start == "random" else "svd"
    return Amtfl(init=init) if len(model.layers) == 1 else DeepAmtfl(init=init)
