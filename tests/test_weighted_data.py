"""Weights and missing labels in files, streams and commands: as the rows that stand there as often."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import Run
from streamed import gram

from amtl_cvx import Options, fit, read
from amtl_cvx.certificate import confirm
from amtl_cvx.data import ChunkedRows, evaluate, export, factor, hold_out
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

GIVEN = ("--coupling", "1", "--mu", "0.01", "--engine", "fast")
FAST = Options(engine="fast")
COLUMNS = {"task": "who", "target": "y"}
WEIGHTED = {**COLUMNS, "sample_weight": "often"}
MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.01), coupling=1.0)


def table(n: int = 30, *, labels: bool = False, gaps: Sequence[int] = ()) -> pd.DataFrame:
    """Three tasks with weights from 0 to 3; no label in the rows `gaps`."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 3)).round(3)
    y = (X @ [1.0, -1.0, 0.5] + rng.normal(size=n)).round(3)
    y = np.where(y > 0.0, 1.0, -1.0) if labels else y
    y[list(gaps)] = np.nan
    often = rng.integers(0, 4, size=n).astype(float)
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    return frame.assign(who=np.array(list("abc"))[np.arange(n) % 3], often=often, y=y)


def repeated(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with a label, each as often as it counts."""
    known = frame[frame["y"].notna()]
    return known.loc[known.index.repeat(known["often"].astype(int))].drop(columns="often")


def tasks_of(frame: pd.DataFrame, **more: Any) -> TaskSet:
    return TaskSet.from_frame(frame, **COLUMNS, **more)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_column_of_weights_is_no_feature(kind: str, tmp_path: Path) -> None:
    frame, path = table(gaps=[4, 7]), tmp_path / f"a.{kind}"
    {"csv": frame.to_csv, "xlsx": frame.to_excel, "parquet": frame.to_parquet}[kind](path, index=False)
    found = read(path, **WEIGHTED, missing="drop", keep_rows=True).train
    expected = tasks_of(frame, sample_weight="often", missing="drop")
    assert found.feature_names == ("u", "v", "w") and found.missing == {"b": 2}
    assert found.fingerprint() == expected.fingerprint()
    whole = read(path, **COLUMNS, missing="drop", keep_rows=True).train
    assert whole.feature_names == ("u", "v", "w", "often") and not whole.weighted
    with pytest.raises(DataError, match=r"missing values|must be finite"):
        read(path, **WEIGHTED)


def test_marks_of_rows_stay_beside_them(tmp_path: Path) -> None:
    frame = table(gaps=[4, 7]).assign(part=[f"row {i}" for i in range(30)])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    kept = frame[frame["y"].notna() & (frame["often"] > 0)]
    expected = tuple(tuple(kept["part"][kept["who"] == name]) for name in "abc")
    for name in ("a.csv", "a.parquet"):
        found = read(tmp_path / name, **WEIGHTED, missing="drop", aside=["part"])
        assert found.aside["part"] == expected


def test_texts_without_an_entry_are_left_out(tmp_path: Path) -> None:
    frame = table(labels=True)
    frame["y"] = np.where(frame["y"] > 0, "yes", "no")
    frame.loc[[2, 3], "y"] = "NA"
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        found = read(tmp_path / name, **WEIGHTED, missing="drop").train
        assert found.labels == ("no", "yes") and found.missing == {"a": 1, "c": 1}
        assert int(found.rows.sum()) == int((frame.loc[frame["y"] != "NA", "often"] > 0).sum())


@pytest.mark.parametrize("kind", ["folder", "parquet", "chunks"])
def test_streamed_rows_count_by_weight(kind: str, tmp_path: Path) -> None:
    frame = table(120, gaps=[4, 7])
    codes = np.searchsorted(["a", "b", "c"], frame["who"])
    X, y, v = frame[["u", "v", "w"]].to_numpy(), frame["y"].to_numpy(), frame["often"].to_numpy()
    if kind == "folder":
        for name, array in (("X", X), ("y", y), ("task", codes), ("sample_weight", v)):
            np.save(tmp_path / f"{name}.npy", array)
        (tmp_path / "names.json").write_text(json.dumps({"task_names": list("abc")}))
        dataset = read(tmp_path, missing="drop")
        rows, tasks = dataset.rows, dataset.train
    elif kind == "parquet":
        frame.to_parquet(tmp_path / "a.parquet", index=False, row_group_size=25)
        dataset = read(tmp_path / "a.parquet", **WEIGHTED, missing="drop")
        rows, tasks = dataset.rows, dataset.train
    else:
        parts = [slice(i, i + 7) for i in range(0, 120, 7)]
        rows = ChunkedRows(
            make=lambda: ((X[part], y[part], codes[part], v[part]) for part in parts),
            task_names=("a", "b", "c"),
            missing="drop",
        )
        tasks = factor(rows)
    assert rows is not None
    expected = tasks_of(repeated(frame))
    for mine, other in zip(tasks, expected, strict=True):
        assert (mine.n, mine.name, mine.compressed) == (other.n, other.name, True)
        np.testing.assert_allclose(gram(mine, mine.ones), gram(other), rtol=1e-11, atol=1e-10)
    assert tasks.missing == {"b": 2}
    preparation = Preparation.learn(tasks, standardize=True, intercept=True)
    known = Preparation.learn(expected, standardize=True, intercept=True)
    np.testing.assert_allclose(preparation.scale, known.scale, rtol=1e-12)
    prepared = preparation.apply_tasks(tasks)
    found, other_fit = (fit(each, MODEL, options=FAST) for each in (prepared, known.apply_tasks(expected)))
    np.testing.assert_allclose(found.W, other_fit.W, rtol=1e-7, atol=1e-9)
    sums = evaluate(rows, found.W, MODEL.loss, preparation)
    assert confirm(found.certificate, prepared, MODEL.loss, sums).passes
    assert not confirm(
        found.certificate, prepared, MODEL.loss, sums._replace(losses=2.0 * sums.losses)
    ).passes
    train, held, _ = hold_out(rows, np.random.default_rng(0))
    assert held is not None
    assert train.counts.sum() + held.counts.sum() == pytest.approx(expected.counts.sum())


def test_streams_without_weights_have_the_hash_they_had(tmp_path: Path) -> None:
    """sha256 over names, then of X, y and task, as README of the streams says."""
    import hashlib

    frame = table(60)
    X, y = frame[["u", "v", "w"]].to_numpy(), frame["y"].to_numpy()
    codes = np.searchsorted(["a", "b", "c"], frame["who"]).astype(np.int64)
    found = factor(ChunkedRows(make=lambda: [(X, y, codes)]))
    whole = hashlib.sha256(b"task 0|task 1|task 2")
    for array in (X, y, codes):
        whole.update(hashlib.sha256(np.ascontiguousarray(array).data).digest())
    assert found.fingerprint() == whole.hexdigest()


def test_an_archive_of_a_matrix(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    X, Y, v = rng.normal(size=(9, 2)), rng.normal(size=(9, 3)), rng.integers(1, 3, size=9).astype(float)
    Y[[1, 4], 2] = np.nan
    np.savez(tmp_path / "a.npz", X=X, Y=Y, sample_weight=v, task_names=["p", "q", "r"])
    found = read(tmp_path / "a.npz").train
    expected = TaskSet.from_matrix(X, Y, names=["p", "q", "r"], sample_weight=v)
    assert found.fingerprint() == expected.fingerprint() and found.missing == {"r": 2}
    Y[:, 1] = np.nan
    np.savez(tmp_path / "b.npz", X=X, Y=Y, task_names=["p", "q", "r"])
    with pytest.raises(DataError, match=r"^b\.npz: no row of 'q' has a label"):
        read(tmp_path / "b.npz")


def test_an_archive_of_rows(tmp_path: Path) -> None:
    frame = table(gaps=[4])
    codes = np.searchsorted(["a", "b", "c"], frame["who"])
    arrays = {"X": frame[["u", "v", "w"]].to_numpy(), "y": frame["y"].to_numpy(), "task": codes}
    np.savez(tmp_path / "a.npz", **arrays, sample_weight=frame["often"].to_numpy(), task_names=list("abc"))
    found, known = read(tmp_path / "a.npz", missing="drop").train, tasks_of(repeated(frame))
    W, B = np.ones((3, 3)), np.zeros((3, 3))
    assert MODEL.objective(found, W, B) == pytest.approx(MODEL.objective(known, W, B), rel=1e-13)
    with pytest.raises(DataError, match=r"^a\.npz: y must be finite"):
        read(tmp_path / "a.npz")


def test_an_exported_problem_keeps_its_weights(tmp_path: Path) -> None:
    tasks = tasks_of(table(), sample_weight="often")
    export(tasks, MODEL, tmp_path / "there")
    found = read(tmp_path / "there", keep_rows=True).train
    assert [task.weights.tolist() for task in found] == [task.weights.tolist() for task in tasks]


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"often": -1.0}, {}, r"column 'often' must hold weights >= 0, line 2 has -1"),
        ({"often": "x"}, {}, "column 'often' is not numeric"),
        ({"often": 0.0}, {}, "all rows of 'a' have weight 0"),
        ({}, {"sample_weight": "y"}, "column 'y' is the task or the target"),
        ({}, {"sample_weight": "none"}, "no column 'none'"),
        ({}, {"missing": "mean"}, 'missing must be "drop"'),
        ({"y": np.nan}, {"missing": "drop"}, "column 'y' has no entry"),
    ],
)
def test_bad_weights_of_a_file_are_one_line(
    changes: dict[str, Any], options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    table(6).assign(**changes).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=rf"^a\.csv: .*{said}") as caught:
        read(tmp_path / "a.csv", **{**WEIGHTED, **options})
    assert "\n" not in str(caught.value)


def test_a_file_without_columns_has_its_weights_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.eye(2), y=[1.0, 2.0], task=[0, 0])
    with pytest.raises(DataError, match="sample_weight, of a folder sample_weight.npy"):
        read(tmp_path / "a.npz", sample_weight="v")


def test_from_fit_to_predict(run: Run, tmp_path: Path) -> None:
    frame, name = table(60, gaps=[5]), "a.csv"
    frame.to_csv(tmp_path / name, index=False)
    repeated(frame).to_csv(tmp_path / "rows.csv", index=False)
    columns = ("--task", "who", "--target", "y")
    data, out = str(tmp_path / name), str(tmp_path / "run")
    told = run("fit", data, *columns, "--weights", "often", "--missing", "drop", *GIVEN, "--out", out)
    assert told.code == 0, told.err
    assert 'rows without a label, left out: 1 of "c"' in told.out and "rows count by weights" in told.out
    run("fit", str(tmp_path / "rows.csv"), *columns, *GIVEN, "--out", str(tmp_path / "other"))
    kept, other = (json.loads((tmp_path / at / "certificate.json").read_text()) for at in ("run", "other"))
    assert kept["objective"] == pytest.approx(other["objective"], rel=1e-10) and kept["level"] == "C2"
    about = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert about["missing"] == {"c": 1} and sum(about["weights"]) == repeated(frame).shape[0]
    assert run("certify", data, out).code == 0
    told = run("predict", out, data, *columns)
    assert told.code == 0 and len(list(csv.reader(told.out.splitlines()))) == 61


def test_balanced_classes_from_fit_to_certify(run: Run, tmp_path: Path) -> None:
    frame = table(60, labels=True)
    frame.to_csv(tmp_path / "a.csv", index=False)
    data, out = str(tmp_path / "a.csv"), str(tmp_path / "run")
    columns = ("--task", "who", "--target", "y", "--weights", "often")
    told = run("fit", data, *columns, *GIVEN, "--class-weight", "balanced", "--out", out)
    assert told.code == 0 and "--class-weight balanced" in told.out, told.err
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.01), coupling=1.0)
    expected = fit(tasks_of(frame, sample_weight="often").balanced(), model, options=FAST)
    found = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert found["objective"] == pytest.approx(expected.objective, rel=1e-10)
    assert run("certify", data, out).code == 0
    assert run("certify", data, out, "--class-weight", "none").code == 1
