"""`amtl-cvx tune`: errors by hand, a folder for other commands, test rows once, one line for a mistake."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import SEVEN, Run, arrays, assert_error, labels, listing, write_csv

from amtl_cvx.commands import tune as command
from amtl_cvx.progress import Progress

TUNED = {"tuning.csv", "tuning.json", "heatmap.png"}
GRID = ("--method", "stl", "--grid", "coupling=.01,.1,1,10", "--folds", "3", "--widen", "0")
AMTL = (
    "--grid",
    "coupling=.1,1,10",
    "--grid",
    "mu=.01,.1",
    "--grid",
    "rounds=2",
    "--folds",
    "3",
    "--widen",
    "0",
)


@pytest.fixture(autouse=True)
def sketched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The map of a tuning is empty but with `pictures`."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(command, "draw_trials", lambda tuning, title, path: path.touch())


def rows(folder: str | Path = "out") -> list[dict[str, str]]:
    """The trials, but what they took."""
    with Path(folder, "tuning.csv").open() as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)
        ]


def split_in_two() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Rows to learn from in a.npz, and rows to judge by in b.npz."""
    found = arrays()
    odd = np.arange(len(found["y"])) % 3 == 0
    parts = tuple({key: value[mask] for key, value in found.items()} for mask in (~odd, odd))
    for name, part in zip("ab", parts, strict=True):
        np.savez(f"{name}.npz", **part)
    return parts


def ridge(data: dict[str, np.ndarray], coupling: float) -> np.ndarray:
    """Single tasks in closed form: X'X w / n + coupling w = X'y / n."""
    columns = []
    for t in range(int(data["task"].max()) + 1):
        X, y = data["X"][data["task"] == t], data["y"][data["task"] == t]
        columns.append(np.linalg.solve(X.T @ X / len(y) + coupling * np.eye(X.shape[1]), X.T @ y / len(y)))
    return np.column_stack(columns)


def test_errors_are_those_of_the_closed_form_and_the_run_is_its_fit(run: Run, tmp_path: Path) -> None:
    train, held = split_in_two()
    couplings = (0.01, 0.1, 1.0)
    options = ("--method", "stl", "--grid", "coupling=.01,.1,1", "--widen", "0", "--validation", "b.npz")
    answer = run("tune", "a.npz", *options, "--out", "out")
    assert answer.code == 0 and "error" not in answer.err
    expected = []
    for coupling in couplings:
        z = np.einsum("ij,ji->i", held["X"], ridge(train, coupling)[:, held["task"]])
        expected.append(np.sqrt(np.mean((z - held["y"]) ** 2)))  # pooled over all rows
    found = rows()
    np.testing.assert_allclose([float(row["mean"]) for row in found], expected, rtol=1e-9)
    assert [row["se"] for row in found] == ["", "", ""]  # one split
    best = couplings[int(np.argmin(expected))]
    assert [float(row["coupling"]) for row in found if row["chosen"] == "True"] == [best]
    assert f"chose coupling {best:g}: pooled rmse" in answer.out and "on the validation rows" in answer.out
    with np.load("out/solution.npz") as file:
        np.testing.assert_allclose(file["W"], ridge(train, best), rtol=1e-7)
    assert listing(tmp_path) == {"a.npz", "b.npz", "out", *(f"out/{name}" for name in SEVEN | TUNED)}
    assert run("certify", "a.npz", "out").code == 0 and run("predict", "out", "b.npz").code == 0
    described = json.loads(Path("out/run.json").read_text())
    assert set(described["files"]) == SEVEN - {"run.json"} | TUNED
    assert described["arguments"]["named"] == "stl" and described["arguments"]["coupling"] == best


def test_the_mean_over_folds_decides_and_the_rule(run: Run) -> None:
    np.savez("a.npz", **arrays())
    for rule in ("best", "one-se"):
        assert run("tune", "a.npz", *AMTL, "--rule", rule, "--out", rule, "--quiet") == (0, "", "")
    found, simple = rows("best"), rows("one-se")
    keys = ("coupling", "mu", "mean", "se", "split 1", "split 2", "split 3")
    assert [[row[key] for key in keys] for row in found] == [[row[key] for key in keys] for row in simple]
    assert {(row["coupling"], row["mu"]) for row in found} == set(
        itertools.product(("0.1", "1.0", "10.0"), ("0.01", "0.1"))
    )
    for row in found:
        errors = [float(row[f"split {k}"]) for k in (1, 2, 3)]
        assert float(row["mean"]) == pytest.approx(np.mean(errors))
        assert float(row["se"]) == pytest.approx(np.std(errors, ddof=1) / np.sqrt(3))
    best, chosen = (next(row for row in table if row["chosen"] == "True") for table in (found, simple))
    assert float(best["mean"]) == min(float(row["mean"]) for row in found)
    within = [row for row in found if float(row["mean"]) <= float(best["mean"]) + float(best["se"])]
    largest = max(within, key=lambda row: (float(row["mu"]), float(row["coupling"])))
    assert (chosen["mu"], chosen["coupling"]) == (largest["mu"], largest["coupling"])


class Watch:
    """What happens to test rows: every score, with the number of trials that were done by then."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.scored: list[int] = []
        self.trials = 0
        score, tried, fitted = command.score, Progress.tried, command._fitted

        def watched(solution: Any, tasks: Any, **options: Any) -> Any:
            self.scored.append(self.trials)
            return score(solution, tasks, **options)

        def told(progress: Progress, done: int, total: int, least: float) -> None:
            self.trials += 1
            tried(progress, done, total, least)

        def last(*what: Any) -> Any:
            found = fitted(*what)
            self.trials = -1  # all trials, and the fit
            return found

        patch.setattr(command, "score", watched)
        patch.setattr(Progress, "tried", told)
        patch.setattr(command, "_fitted", last)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("part", ["0.25", "test.csv", "column:x3"])
def test_test_rows_are_read_once_at_the_end(run: Run, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Scored once, after all else; whatever they hold, all that is tried, chosen and learned is the same."""
    data, taken = arrays(), list[Any]()
    data["X"][:, 3] = np.arange(len(data["y"])) % 4 == 0
    read_all = command._read

    def seen(*what: Any) -> Any:
        found = read_all(*what)
        taken.extend(row[:3].tobytes() for task in found.test for row in task.X)
        return found

    monkeypatch.setattr(command, "_read", seen)
    columns = ("--task", "kind", "--target", "price", "--standardize")
    grid = ("--method", "stl", "--grid", "coupling=.01,.1,1,10", "--widen", "0", "--test", part)
    tables, learned, marked = [], [], data["X"][:, 3] > 0
    for k in range(2):
        changed = {key: value.copy() for key, value in data.items()}
        if k:
            test = np.array([row[:3].tobytes() in set(taken) for row in data["X"]])
            assert test.sum() == len(taken) == 9
            changed["y"][test] += 1e6
            changed["X"][test, :3] *= 5.0
        if part == "test.csv":
            write_csv(Path("test.csv"), {key: value[marked] for key, value in changed.items()})
            changed = {key: value[~marked] for key, value in changed.items()}
        write_csv(Path("data.csv"), changed)
        with pytest.MonkeyPatch.context() as patch:
            watch = Watch(patch)
            answer = run("tune", "data.csv", *columns, *grid, "--out", f"out{k}")
        assert answer.code == 0 and watch.scored == [-1]
        tables.append(rows(f"out{k}"))
        with np.load(f"out{k}/solution.npz") as file:
            learned.append((file["W"].tobytes(), file["B"].tobytes()))
        shown = json.loads(Path(f"out{k}/run.json").read_text())["scores"]["stl"]["rmse"]
        assert (shown > 1e5) == (k == 1)
    assert tables[0] == tables[1] and learned[0] == learned[1] and "split 5" in tables[0][0]
    assert run("certify", "data.csv", "out1", "--task", "kind", "--target", "price").code == 0


def test_rounds_stop_early_and_the_level_says_so(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("tune", "a.npz", *AMTL, "--out", "out")
    certificate = json.loads(Path("out/certificate.json").read_text())
    assert answer.code == 0 and certificate["kind"] == "stopped after 2 rounds"
    assert certificate["passes"] is False and certificate["level"] in ("C0", "C1")
    assert "status: stopped after 2 rounds" in answer.out and "C0" in answer.out
    assert f"each at its best rounds; all {len(rows())} points are in tuning.csv" in answer.out
    with Path("out/history.csv").open() as file:
        assert {row["round"] for row in csv.DictReader(file)} == {"1", "2"}


def test_json_has_it_all(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("tune", "a.npz", *GRID, "--json", "--test", "0.2", "--out", "out")
    found = json.loads(answer.out)
    assert found["where"] == "out" and found["status"] == "certified" and found["certificate"]["passes"]
    assert found["tuning"] == json.loads(Path("out/tuning.json").read_text())
    trials = found["tuning"]["trials"]
    assert len(trials) == 4 and found["error"] == min(trial["mean"] for trial in trials)
    assert found["chosen"] == next(t["parameters"] for t in trials if t["mean"] == found["error"])
    assert set(found["scores"]["stl"]) == {"rmse", "pooled rmse"}


def test_a_grid_that_widens_says_so(run: Run) -> None:
    np.savez("a.npz", **arrays())
    options = ("--method", "stl", "--grid", "coupling=10,100", "--folds", "2", "--widen", "2")
    answer = run("tune", "a.npz", *options, "--out", "out")
    assert answer.code == 0 and "coupling was widened to" in answer.out
    assert [row["coupling"] for row in rows()] == ["0.1", "1.0", "10.0", "100.0"]


def test_rows_without_a_label_and_tasks_of_one_row(run: Run) -> None:
    data = arrays()
    write_csv(Path("a.csv"), data)
    lines = Path("a.csv").read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:-1], ""])
    Path("a.csv").write_text("\n".join([*lines, "dogwood,1,2,3,4,5\n"]))
    columns = ("--task", "kind", "--target", "price")
    assert_error(run("tune", "a.csv", *columns, *GRID, "--out", "out"), "price")
    answer = run("tune", "a.csv", *columns, *GRID, "--missing", "drop", "--out", "out")
    assert answer.code == 0 and 'rows without a label, left out: 1 of "ash"' in answer.out
    assert "4 tasks" in answer.out and "3 folds of every task's rows" in answer.out


def test_labels_of_two_classes_are_judged_by_their_error(run: Run) -> None:
    np.savez("a.npz", **labels())
    answer = run("tune", "a.npz", *GRID[:4], "--folds", "2", "--out", "out")
    assert answer.code == 0 and "logistic loss" in answer.out
    for row in rows():
        wrong = float(row["split 1"]) * 18  # three tasks with six held-out rows each
        assert wrong == pytest.approx(round(wrong), abs=1e-9)
    assert json.loads(Path("out/tuning.json").read_text())["measure"] == "error"


@pytest.mark.slow
def test_classes_over_shared_rows_are_judged_by_the_class(run: Run) -> None:
    options = ("--method", "stl", "--grid", "coupling=.001,.01", "--widen", "0", "--held-out", "0.2")
    answer = run("tune", "digits", *options, "--out", "out")
    assert answer.code == 0 and "class error" in answer.out and "test, stl: class error" in answer.out


def test_a_problem_brings_its_validation_rows(run: Run) -> None:
    options = ("--method", "stl", "--grid", "coupling=.1,10", "--widen", "0")
    answer = run("tune", "paper-synthetic", *options, "--out", "out")
    assert answer.code == 0 and "of 2 points on the validation rows" in answer.out
    assert "test, stl: pooled rmse" in answer.out


def test_features_are_prepared_by_the_training_rows_of_each_fold(run: Run) -> None:
    """Held-out rows are centred and scaled by the others: by a plain loop."""
    data = arrays()
    data["X"] = data["X"] * [1.0, 10.0, 0.1, 3.0] + [5.0, 0.0, 1.0, -2.0]
    write_csv(Path("a.csv"), data)
    rng = np.random.default_rng(0)
    with Path("a.csv").open() as file:
        table = list(csv.reader(file))
    part = np.array(["validation" if u < 0.3 else "train" for u in rng.uniform(size=len(data["y"]))])
    with Path("a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [[*table[0], "part"], *([*r, p] for r, p in zip(table[1:], part, strict=True))]
        )
    options = ("--task", "kind", "--target", "price", "--standardize", "--intercept")
    judged = ("--validation", "column:part", "--method", "stl", "--grid", "coupling=.1", "--measure", "rmse")
    assert run("tune", "a.csv", *options, *judged, "--out", "out", "--quiet") == (0, "", "")
    train = part == "train"
    center, scale = data["X"][train].mean(axis=0), data["X"][train].std(axis=0)
    X = np.column_stack([(data["X"] - center) / scale, np.ones(len(part))])
    W = ridge({"X": X[train], "y": data["y"][train], "task": data["task"][train]}, 0.1)
    squares = (np.einsum("ij,ji->i", X, W[:, data["task"]]) - data["y"]) ** 2
    means = [squares[~train & (data["task"] == t)].mean() for t in range(3)]
    assert float(rows()[0]["mean"]) == pytest.approx(np.sqrt(means).mean(), rel=1e-9)


def test_other_penalties_by_the_method_of_the_family(run: Run) -> None:
    np.savez("a.npz", **arrays())
    options = ("--coupling", "1", "--grid", "mu=.01", "--grid", "rounds=2", "--folds", "2", "--out", "out")
    assert_error(run("tune", "a.npz", *options, "--omega", "ridge"), "--method alternating for any other")
    assert run("tune", "a.npz", *options, "--method", "alternating", "--omega", "ridge:rho=0.1").code == 0
    assert json.loads(Path("out/run.json").read_text())["model"]["omega"] == "ridge"


@pytest.mark.slow
def test_the_report_shows_how_it_was_chosen(run: Run, pictures: None) -> None:
    np.savez("a.npz", **arrays())
    assert run("tune", "a.npz", *AMTL, "--out", "out", "--quiet").code == 0
    page = Path("out/report.html").read_text()
    assert "How the parameters were chosen" in page and "of 6 points on 3 folds" in page
    body = page.split('<table id="tuning">')[1].split("</table>")[0]
    columns = ("coupling", "mu", "rounds", "mean", "se", "seconds")
    assert body.count("<tr>") == 7 and body.count("<strong>") == len(columns)
    assert "Status: stopped after 2 rounds" in page
    assert Path("out/heatmap.png").read_bytes().startswith(b"\x89PNG")
