"""What a network answers to the package: names and shapes of blocks, starts, settings, memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from network_blocks import MODELS, WEIGHTS, Blocks, D, T, drawn, made, sizes

from amtl_cvx import NetworkModel, TaskSet, memory
from amtl_cvx.data.blocks import read_blocks
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.network import NetworkProblem, footprint, shapes
from amtl_cvx.network.family import NETWORK
from amtl_cvx.problem import stored


def by_loop(model: NetworkModel, blocks: Blocks, x: np.ndarray) -> list[float]:
    """The scores of a row, unit by unit."""
    z = [float(v) for v in x]
    for number, width in enumerate(model.layers, start=1):
        W, bias = blocks[f"W{number}"], blocks.get(f"bias{number}", np.zeros(width))
        z = [max(sum(z[i] * W[i, j] for i in range(len(z))) + bias[j], 0.0) for j in range(width)]
    return [sum(z[j] * blocks["S"][j, t] for j in range(len(z))) for t in range(T)]


@pytest.mark.parametrize("model", MODELS, ids=sizes)
def test_scores_are_those_of_a_plain_loop_and_of_the_problem(model: NetworkModel) -> None:
    blocks, X = drawn(model), np.random.default_rng(3).normal(size=(6, D))
    found = NETWORK.scores(blocks, X)
    np.testing.assert_allclose(found, [by_loop(model, blocks, x) for x in X], rtol=1e-12, atol=1e-12)
    tasks = made()
    point = NetworkProblem(tasks, model).at(**blocks)
    whole = np.concatenate([NETWORK.scores(blocks, task.X)[:, t] for t, task in enumerate(tasks)])
    np.testing.assert_allclose(point.scores, whole, rtol=1e-12, atol=1e-12)
    assert NETWORK.shape(blocks) == (D, T)
    with pytest.raises(ModelError, match="no linear predictors"):
        NETWORK.predictors(blocks)


@pytest.mark.parametrize("model", MODELS, ids=sizes)
def test_shapes_alone_say_the_layers_and_the_biases(model: NetworkModel) -> None:
    blocks = drawn(model)
    mixed = dict(sorted(blocks.items(), reverse=True))
    assert tuple(NETWORK.checked(mixed)) == tuple(NETWORK.checked(mixed, tasks=made())) == model.blocks
    told = NETWORK.told(blocks)
    assert told == {
        "layers": list(model.layers), "fit_bias": model.fit_bias, "feedback_bias": model.feedback_bias,
    }  # fmt: skip
    assert set(model.blocks) <= {*NETWORK.blocks, *NETWORK.optional}
    again = NETWORK.model_from(json.loads(json.dumps({**model.to_dict(), **told})))
    assert again == model


@pytest.mark.parametrize("of_data", [False, True], ids=["alone", "with data"])
@pytest.mark.parametrize("model", [MODELS[1], MODELS[2]], ids=sizes)
def test_transposed_blocks_are_named(model: NetworkModel, of_data: bool) -> None:
    blocks, tasks = drawn(model), made() if of_data else None
    flat = [name for name, block in blocks.items() if block.ndim == 2]
    layers = [name for name in flat if name[0] == "W"]
    for names in (flat, [*layers, "S"], *([name] for name in flat)):
        turned = {name: block.T if name in names else block for name, block in blocks.items()}
        with pytest.raises(DataError, match="transposed") as caught:
            NETWORK.checked(turned, tasks=tasks)
        said = str(caught.value)
        assert said.startswith(f"{' and '.join(names)} {'are' if names[1:] else 'is'} transposed"), said
        assert f"{names[0]} {turned[names[0]].shape} should be {blocks[names[0]].shape}" in said


NAN = np.full((D, 4), np.nan)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"W1": NAN}, "W1 must be finite, entry (0, 0) is nan"),
        ({"W1": np.full((D, 4), np.inf)}, "W1 must be finite"),
        ({"W1": np.full((D, 4), "a")}, "W1 must hold real numbers"),
        ({"W1": np.ones(4)}, "W1 must have two dimensions, each >= 1, it has shape (4,)"),
        ({"W1": np.ones((D, 0))}, "W1 must have two dimensions, each >= 1"),
        ({"W1": np.ones((D, 4, 1))}, "W1 must have two dimensions"),
        ({"W1": None}, "W1 is missing, of the layers there are W2"),
        ({"W2": None}, "bias2 has no layer, there are 1: add W2"),
        ({"W2": None, "bias2": None}, "S must have shape (4, 3)"),
        ({"W4": np.ones((6, 6))}, "W3 is missing, of the layers there are W1, W2, W4"),
        ({"W2": np.ones((5, 6))}, "W2 must have shape (4, 6) to follow W1, it has (5, 6)"),
        ({"bias1": None}, "every layer has a bias or none has, bias1 is missing beside bias2"),
        ({"bias2": np.ones((1, 6))}, "bias2 must have one dimension, each >= 1, it has shape (1, 6)"),
        ({"bias2": np.ones(4)}, "bias2 must have shape (6,) for the 6 units of W2, it has (4,)"),
        ({"bias3": np.ones(2)}, "bias3 has no layer, there are 2"),
        ({"S": None}, "a network has W1, S, A, this one lacks S"),
        ({"A": None}, "lacks A: add zeros (T, k) where tasks give nothing back"),
        ({"A": np.ones((T, 5))}, "A must have shape (3, 6)"),
        ({"bias_feedback": np.ones(T)}, "bias_feedback must have shape (6,)"),
        ({"W1": np.ones((D + 1, 4))}, "W1 must have shape (5, 4) for 3 tasks and 5 features of the data"),
        ({"S": np.ones((6, 2)), "A": np.ones((2, 6))}, "S must have shape (6, 3) for 3 tasks"),
    ],
)
def test_blocks_that_are_none_are_refused_in_one_line(changes: Blocks, words: str) -> None:
    blocks = {**drawn(MODELS[1]), **changes}
    with pytest.raises(DataError) as caught:
        NETWORK.checked({name: block for name, block in blocks.items() if block is not None}, tasks=made())
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_files_of_any_trainer_are_read_with_L_for_W1(tmp_path: Path) -> None:
    model = MODELS[0]
    single = {name: block.astype(np.float32) for name, block in drawn(model).items()}
    renamed = {"L" if name == "W1" else name: block for name, block in single.items()}
    np.savez(tmp_path / "a.npz", **renamed, step=np.int64(3), task_names=["a", "b", "c"])
    scipy.io.savemat(tmp_path / "a.mat", renamed)
    listed = {name: block.tolist() for name, block in renamed.items()}
    (tmp_path / "a.json").write_text(json.dumps(listed))
    (tmp_path / "folder").mkdir()
    for name, block in renamed.items():
        np.save(tmp_path / "folder" / f"{name}.npy", block)
    for place in ("a.npz", "a.mat", "a.json", "folder"):
        found = NETWORK.read(tmp_path / place, arrays=read_blocks)
        blocks = NETWORK.checked(found.blocks)
        assert tuple(blocks) == model.blocks and found.rest == {}
        for name, block in blocks.items():
            assert block.dtype == np.float64
            np.testing.assert_array_equal(block, single[name])
    assert NETWORK.read(tmp_path / "a.npz", arrays=read_blocks).task_names == ("a", "b", "c")
    np.savez(tmp_path / "both.npz", **single, L=single["W1"])
    with pytest.raises(DataError, match="both W1 and L, which are names of one block"):
        NETWORK.read(tmp_path / "both.npz", arrays=read_blocks)
    np.savez(tmp_path / "no.npz", W1=single["W1"], A=single["A"])
    with pytest.raises(DataError, match="add S"):
        NETWORK.read(tmp_path / "no.npz", arrays=read_blocks)


@pytest.mark.parametrize(
    "given, known, layers",
    [
        ({"features": 4}, {}, [4]),
        ({"layers": "25,15,10"}, {}, [25, 15, 10]),
        ({"layers": [5]}, {}, [5]),
        ({}, {"layers": [5, 3]}, [5, 3]),
        ({"features": 3}, {"layers": [5, 3]}, [3]),
        ({"features": 3, "layers": "5,3"}, {}, [5, 3]),
        ({"layers": " 5, 3"}, {"layers": [2]}, [5, 3]),
        ({"layers": "1"}, {}, [1]),
    ],
)
def test_the_layers_are_what_is_said(given: Blocks, known: Blocks, layers: list[int]) -> None:
    found = NETWORK.settled({"mu": 1.0}, given=given, known=known)
    assert found == {"mu": 1.0, "layers": layers, "features": layers[-1]}


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "not known: give --features K"),
        ({"features": 0}, "whole numbers >= 1, one a hidden layer, got (0,)"),
        ({"layers": "25,0"}, "whole numbers >= 1"),
        ({"layers": "25,x"}, "such as 25,15,10, got '25,x'"),
        ({"layers": ""}, "such as 25,15,10, got ''"),
        ({"layers": "5,,3"}, "got '5,,3'"),
        ({"layers": [2.5]}, "whole numbers >= 1"),
        ({"features": 4, "layers": "5,3"}, "3 by layers (5, 3), got features=4: leave one of both out"),
    ],
)
def test_layers_that_are_none_or_contradict_are_refused(given: Blocks, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        NETWORK.settled({}, given=given, known={})
    assert words in str(caught.value)


def test_a_start_is_that_of_the_model() -> None:
    model, tasks = MODELS[1], made()
    problem, blocks = NetworkProblem(tasks, model), drawn(model)
    found = NETWORK.prepare_start(problem, blocks)
    assert tuple(found) == model.blocks
    renamed = {"L" if name == "W1" else name: block for name, block in blocks.items()}
    assert all(np.array_equal(NETWORK.prepare_start(problem, renamed)[n], blocks[n]) for n in blocks)
    found = NETWORK.prepare_start(problem, problem.at(**blocks))  # by attribute
    np.testing.assert_array_equal(found["W2"], blocks["W2"])
    bare = {name: block for name, block in blocks.items() if not name.startswith("bias")}
    with pytest.raises(DataError, match="has W1, bias1, W2, bias2, S, A, this one has W1, W2, S, A"):
        NETWORK.prepare_start(problem, bare)
    with pytest.raises(DataError, match="lacks S"):
        NETWORK.prepare_start(problem, {"W1": blocks["W1"], "A": blocks["A"]})
    other = NetworkModel(layers=(3, 6), **WEIGHTS, fit_bias=True)
    with pytest.raises(DataError, match="W1 must have shape"):
        NETWORK.prepare_start(NetworkProblem(tasks, other), blocks)


@pytest.mark.parametrize("model", MODELS, ids=sizes)
def test_a_stored_problem_is_read_back(model: NetworkModel, tmp_path: Path) -> None:
    tasks = made()
    stored.write(tasks, model, tmp_path / "p", source="here")
    rows, again = stored.read(tmp_path / "p")
    assert again == model and type(again) is NetworkModel
    blocks = drawn(model)
    one, other = (NetworkProblem(each, model).at(**blocks).objective for each in (tasks, rows))
    assert one == other


@pytest.mark.parametrize("model", MODELS, ids=sizes)
def test_memory_is_counted_in_rows_units_and_weights(model: NetworkModel) -> None:
    tasks = made()
    problem, size = NetworkProblem(tasks, model), footprint.Sizes.of(tasks, model)
    assert size.weights == problem.size == sum(block.size for block in problem.zero.blocks.values())
    assert (size.N, size.d, size.T, size.units) == (24, D, T, sum(model.layers))
    X = np.ones((11, D))
    shared = TaskSet.from_matrix(X, np.arange(22.0).reshape(11, 2))
    assert footprint.Sizes.of(shared, model).N == 11


def test_what_does_not_fit_is_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, large = made(), NetworkModel(features=300, **WEIGHTS)
    n = footprint.Sizes.of(tasks, large).weights
    assert footprint.fit_bytes(tasks, large) > 8 * n**2  # H alone
    monkeypatch.setattr(memory, "available", lambda: 2**27)
    with pytest.raises(DataError, match=f"the fit of {n} weights needs about .*, 128 MiB are free"):
        footprint.check_fit(tasks, large)
    footprint.check_fit(tasks, MODELS[1])
    NETWORK.check_memory(tasks, large)
    many = NetworkModel(features=10**6, **WEIGHTS)
    with pytest.raises(DataError, match="the certificate needs about"):
        NETWORK.check_memory(tasks, many)


def test_baselines_are_the_linear_model_at_the_same_weights_and_single_tasks() -> None:
    model = NetworkModel(features=4, **WEIGHTS, loss="logistic", gamma_per="row", price_floor=0.1)
    (linear, other), (alone, ridge) = (NETWORK.baselines(model)[name] for name in NETWORK.baselines(model))
    assert (linear, alone) == ("amtfl-linear", "stl") and ridge.coupling == model.decay
    same = ("loss", "features", "mu", "alpha", "gamma", "decay", "gamma_per", "price_floor", "task_weights")
    assert all(getattr(other, name) == getattr(model, name) for name in same)
    assert [method for method, _ in NETWORK.baselines(MODELS[1]).values()] == ["stl"]


def test_a_model_in_words() -> None:
    said = NETWORK.model_words(MODELS[3])
    told = ", hidden layers of 1, 7 units, biases of units and feedback"
    assert said == f"{told}, alpha 0.5, mu 0.1, gamma 0.2, decay 0.05"
    assert NETWORK.settings_words(MODELS[0]).startswith(", a hidden layer of 4 units, mu 0.1, decay 0.05")
    assert shapes.MOST >= 10
