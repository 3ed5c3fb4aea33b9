"""Networks on the command line: fits, weights of any trainer, what is refused in a line, many starts."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import D, Run, arrays, assert_error

from amtl_cvx import NetworkModel
from amtl_cvx.cli import main
from amtl_cvx.data import read
from amtl_cvx.network import NetworkProblem
from amtl_cvx.runfolder import folder as run_folder
from amtl_cvx.runfolder import read_run

PRICES = ("--alpha", "0.1", "--mu", "0.01", "--gamma", "0.01", "--decay", "0.005")
AMTFL = ("--method", "amtfl", "--features", "3", *PRICES)
DEEP = ("--method", "deep-amtfl", "--layers", "4,3", "--fit-bias", *PRICES, "--standardize", "--intercept")
NAMES = {"task_names": ["a", "b", "c"], "feature_names": ["p", "q", "r", "s"]}
Blocks = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def fitted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data `a.npz`, and runs `run` of one layer and `deep` of two, standardised; not to be changed."""
    folder = tmp_path_factory.mktemp("networks")
    np.savez(folder / "a.npz", **arrays(**NAMES))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(run_folder, "write_pictures", lambda *what: None)
        for words, seed, out in ((AMTFL, "0", "run"), (DEEP, "0", "deep")):
            assert main(["fit", "a.npz", *words, "--seed", seed, "--out", out, "--quiet"]) == 0
    return folder


@pytest.fixture
def here(run: Run, fitted_once: Path) -> Run:
    """Commands beside copies of them."""
    shutil.copytree(fitted_once, ".", dirs_exist_ok=True)
    return run


def blocks_of(place: str) -> Blocks:
    return dict(read_run(place).blocks)


def forward(blocks: Blocks, X: np.ndarray, h: int) -> np.ndarray:
    """The scores, layer by layer."""
    z = X
    for number in range(1, h + 1):
        z = np.maximum(z @ blocks[f"W{number}"] + blocks.get(f"bias{number}", 0.0), 0.0)
    found: np.ndarray = z @ blocks["S"]
    return found


def test_a_run_holds_what_was_solved(here: Run) -> None:
    described = json.loads(Path("run/run.json").read_text())
    assert (described["family"], described["method"], described["level"]) == ("network", "amtfl", "C2")
    said = described["arguments"]
    assert (said["layers"], said["features"], said["mu"], said["fit_bias"]) == ([3], 3, 0.01, False)
    assert described["model"]["layers"] == [3] and described["model"]["activation"] == "relu"
    assert not {"coupling", "transfer", "omega", "ridge", "snap"} & set(said)
    tasks, blocks = read("a.npz").train, blocks_of("run")
    model = NetworkModel(features=3, alpha=0.1, mu=0.01, gamma=0.01, decay=0.005)
    assert read_run("run").model == model and set(blocks) == {"W1", "S", "A"}
    judged = json.loads(Path("run/certificate.json").read_text())
    point = NetworkProblem(tasks, model).at(**blocks)
    assert judged["objective"] == pytest.approx(point.objective, rel=1e-12)
    assert judged["passes"] and judged["zero_objective"] > judged["objective"]
    with np.load("run/solution.npz") as file:
        losses = [np.mean((forward(blocks, t.X, 1)[:, i] - t.y) ** 2) for i, t in enumerate(tasks)]
        np.testing.assert_allclose(file["losses"], losses, rtol=1e-12)
    with open("run/history.csv") as file:
        columns = next(csv.reader(file))
    of = [name[13:] for name in columns if name.startswith("stationarity_")]
    assert of == ["weights", "S", "A", "kinks"]
    assert tuple(blocks_of("deep")) == ("W1", "bias1", "W2", "bias2", "S", "A")


@pytest.mark.parametrize("place, h", [("run", 1), ("deep", 2)])
def test_predictions_are_the_forward_pass_of_prepared_features(here: Run, place: str, h: int) -> None:
    """For a standardised run with an intercept the features of new rows are prepared, as they were."""
    assert here("predict", place, "a.npz", "--out", "p.csv").code == 0
    stored, data = read_run(place), np.load("a.npz")
    X = data["X"] if stored.preparation is None else stored.preparation.apply(data["X"])
    assert X.shape[1] == D + (h == 2)
    told = np.genfromtxt("p.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")["score"]
    expected = forward(blocks_of(place), X, h)[np.arange(len(X)), data["task"]]
    np.testing.assert_allclose(told, expected, rtol=1e-13, atol=1e-13)
    judged = here("certify", "a.npz", place, "--json")
    assert judged.code == 0 and json.loads(judged.out)["snap_distance"] == 0.0


@pytest.mark.parametrize("place", ["run", "deep"])
def test_weights_of_another_trainer_are_refined_and_judged(here: Run, place: str) -> None:
    """float32 arrays: no kink is met to the last bit, so they are snapped, or refined from."""
    options = AMTFL if place == "run" else DEEP
    single = {name: block.astype(np.float32) for name, block in blocks_of(place).items()}
    np.savez("w.npz", **single)
    assert here("certify", "a.npz", "w.npz", *options, "--tol", "1e-4").code == 0
    untold = [word for word in options if word not in ("--layers", "4,3", "--features", "3", "--fit-bias")]
    told = json.loads(here("certify", "a.npz", "w.npz", *untold, "--tol", "1e-4", "--json").out)
    assert told["passes"] and 0.0 < told["snap_distance"] < 1e-4
    as_it_is = here("certify", "a.npz", "w.npz", *options, "--no-snap", "--tol", "1e-4")
    assert (
        as_it_is.code == 1
        and "judged as it is given"
        in here("certify", "a.npz", "w.npz", *options, "--no-snap", "--figures").out
    )
    narrow = here("certify", "a.npz", "w.npz", *options, "--kink-width", "1e-14", "--tol", "1e-4", "--json")
    assert narrow.code == 1 and json.loads(narrow.out)["kink_width"] == 1e-14
    answer = here("fit", "a.npz", "--start", "w.npz", *options, "--out", "refined")
    assert answer.code == 0 and "begins at W1 and" in answer.out
    found = [json.loads(Path(f"{each}/certificate.json").read_text()) for each in ("refined", place)]
    assert found[0]["objective"] == pytest.approx(found[1]["objective"], rel=1e-6)


def test_a_start_may_be_a_run_folder(here: Run) -> None:
    answer = here("fit", "a.npz", "--start", "deep", "--mu", "0.0101", "--out", "next")
    assert (
        answer.code == 0
        and "begins at W1 and bias1 and W2 and bias2 and S and A of deep: its model was another" in answer.out
    )
    model = json.loads(Path("next/run.json").read_text())["model"]
    assert (model["layers"], model["mu"]) == ([4, 3], 0.0101)


def test_transposed_and_renamed_arrays_are_named(here: Run) -> None:
    blocks = blocks_of("run")
    np.savez("torch.npz", **{name: block.T for name, block in blocks.items()})
    refused = here("certify", "a.npz", "torch.npz", *AMTFL)
    assert_error(refused, "W1 and S and A are transposed", "torch.nn.Linear", "W1 (3, 4) should be (4, 3)")
    np.savez("square.npz", W1=blocks["W1"], S=blocks["S"].T, A=blocks["A"])  # 3 units, 3 tasks
    judged = here("certify", "a.npz", "square.npz", *AMTFL)
    assert judged.code == 1 and "next: S is transposed" in judged.out and "then it passes" in judged.out
    order = [2, 0, 1]
    moved = {"L": blocks["W1"], "S": blocks["S"][:, order], "A": blocks["A"][order]}
    np.savez("moved.npz", **moved)
    judged = here("certify", "a.npz", "moved.npz", *AMTFL)
    assert judged.code == 1 and "reorder columns of S and rows of A to [1, 2, 0]" in judged.out
    np.savez("named.npz", **moved, task_names=["c", "a", "b"])
    assert here("certify", "a.npz", "named.npz", *AMTFL).code == 0


def test_weights_without_a_method_are_told_whose_they_are(here: Run) -> None:
    np.savez("w.npz", **blocks_of("run"))
    assert_error(
        here("certify", "a.npz", "w.npz"), "holds W1 and S and A", "blocks of networks: say --method amtfl"
    )
    np.savez("w.npz", **blocks_of("deep"))
    assert_error(here("certify", "a.npz", "w.npz"), "holds W1 and bias1 and W2", "say --method deep-amtfl")


def test_C3_is_climbed_to_and_what_is_above_is_refused(here: Run) -> None:
    judged = here("certify", "a.npz", "run", "--level", "C3", "--json")
    found = json.loads(judged.out)
    assert judged.code == 0 and found["level"] == "C3" and found["reduced_hessian_min"] > 0.0
    above = here("certify", "a.npz", "run", "--level", "C4")
    assert above.code == 1 and "No enclosure" in above.out
    assert found["rungs"]["C1"]["state"] is None
    assert_error(here("certify", "a.npz", "run", "--level", "C5", "--proof", "p.json"), "--proof is of AMTL")


@pytest.mark.parametrize(
    "options, words",
    [
        ((*AMTFL, "--coupling", "1"), ("--coupling is of AMTL", "not of --method amtfl")),
        ((*AMTFL, "--layers", "5,2"), ("2 by layers (5, 2), got features=3: leave one of both out",)),
        ((*AMTFL, "--features", "0"), ("whole numbers >= 1",)),
        ((*DEEP, "--layers", "3,0"), ("whole numbers >= 1",)),
        ((*DEEP, "--layers", "3;2"), ("such as 25,15,10, got '3;2'",)),
        ((*AMTFL, "--decay", "0"), ("decay must be > 0 for a network",)),
        ((*AMTFL, "--mu", "0"), ("mu must be > 0",)),
        ((*AMTFL, "--loss", "hinge"), ("the hinge loss has kinks",)),
        (("--method", "amtfl", *PRICES), ("layers of the network are not known: give --features K",)),
        (("--method", "amtfl", "--features", "3"), ("--method amtfl needs --mu, --gamma, --decay",)),
        (("--method", "amtfl", "--layers", "3,2", *PRICES), ("one hidden layer", "deep-amtfl")),
        (("--method", "amtfl-linear", *AMTFL[2:], "--fit-bias"), ("--fit-bias is of networks",)),
        (("--method", "amtfl-linear", *AMTFL[2:], "--layers", "2"), ("--layers is of networks",)),
    ],
)
def test_what_is_no_network_is_refused(here: Run, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_error(here("fit", "a.npz", *options, "--out", "new", "--quiet"), *words)
    assert not Path("new").exists()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"W1": np.full((D, 3), np.nan)}, ("W1 must be finite",)),
        ({"W1": np.ones((D + 1, 3))}, ("W1", "(4, 3)", "(5, 3)")),
        ({"A": None}, ("A",)),
        ({"W3": np.ones((3, 3))}, ("W2 is missing, of the layers there are W1, W3",)),
        ({"bias1": np.ones((2, 3))}, ("bias1 must have one dimension",)),
        ({"W1": np.ones((D, 5))}, ("S must have shape (5, 3)",)),
    ],
)
def test_files_that_hold_none_are_refused(here: Run, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    blocks = {**blocks_of("run"), **changes}
    np.savez("bad.npz", **{name: block for name, block in blocks.items() if block is not None})
    assert_error(here("certify", "a.npz", "bad.npz", *AMTFL), *words)
    assert_error(here("fit", "a.npz", "--start", "bad.npz", *AMTFL, "--out", "x"), *words)


def test_layers_of_size_one_and_more_units_than_rows(here: Run) -> None:
    for layers in ("1,1", "40"):
        words = ("--method", "deep-amtfl", "--layers", layers, *PRICES, "--out", "o", "--force")
        answer = here("fit", "a.npz", *words)
        assert answer.code in (0, 1) and "objective" in answer.out, answer


def test_snapping_is_an_option_of_networks_alone(here: Run) -> None:
    assert here("fit", "a.npz", "--coupling", "1", "--mu", "0.1", "--out", "amtl", "--quiet").code == 0
    for words in (("--no-snap",), ("--kink-width", "1e-5")):
        assert_error(here("certify", "a.npz", "amtl", *words), "is of networks")
    assert_error(here("certify", "a.npz", "run", "--kink-width", "2"), "kink_width must be")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("words, count", [(AMTFL, 2), (DEEP, 1)], ids=["one layer", "two"])
def test_many_starts_are_explored(here: Run, words: tuple[str, ...], count: int) -> None:
    several = ("--starts", str(count), "--validation", "0.25", "--out", "points")
    answer = here("explore", "a.npz", *words, *several)
    assert answer.code == 0 and "live_features" in answer.out, answer
    with open("points/landscape.csv") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["hits"]) for row in rows) == count
    assert float(rows[0]["validation_error"]) > 0.0
    assert json.loads(Path("points/run.json").read_text())["method"] == words[1]


def test_a_start_of_several_layers_is_not_explored_by_amtfl(here: Run) -> None:
    words = ("--method", "amtfl", "--layers", "4,3", *PRICES, "--starts", "2", "--out", "points")
    assert_error(here("explore", "a.npz", *words, "--quiet"), "one hidden layer", "deep-amtfl")
