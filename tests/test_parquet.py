"""The .parquet files: the table that a .csv is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import D, Run, arrays
from streamed import GIVEN, assert_same_gram

from amtl_cvx.data import read, read_features
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

# ---- Parquet


@pytest.fixture
def parquet() -> Any:
    """Writes a frame."""
    pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")

    def write_frame(path: Path, frame: Any, **options: Any) -> Path:
        frame.to_parquet(path, **options)
        return path

    return write_frame


def frame(names: Any = ("oak", "ash", "birch"), **changes: Any) -> Any:
    import pandas as pd

    found = arrays()
    columns = {f"x{j}": found["X"][:, j] for j in range(D)}
    return pd.DataFrame({"kind": np.array(names)[found["task"]], **columns, "price": found["y"], **changes})


@pytest.mark.parametrize(
    "names", [("oak", "ash", "birch"), (10, 9, 2), (0.5, -1.0, 2.0), (True, False, True)], ids=str
)
def test_a_parquet_file_is_the_csv_file(names: Any, parquet: Any, tmp_path: Path) -> None:
    table = frame(names, x1=np.arange(36) % 5, x2=np.arange(36) % 2 == 0)
    table.to_csv(tmp_path / "a.csv", index=False)
    parquet(tmp_path / "a.parquet", table, row_group_size=10, index=False)
    expected = read(tmp_path / "a.csv", task="kind", target="price")
    got = read(tmp_path / "a.parquet", task="kind", target="price")
    assert got.rows is not None and got.train.feature_names == expected.train.feature_names
    assert_same_gram(got.train, expected.train)
    whole = read(tmp_path / "a.parquet", task="kind", target="price", keep_rows=True)
    assert whole.rows is None and whole.train.fingerprint() == expected.train.fingerprint()


def test_a_category_and_a_saved_index(parquet: Any, tmp_path: Path) -> None:
    table = frame().astype({"kind": "category"})
    parquet(tmp_path / "a.parquet", table.set_index(np.arange(36)[::-1]))
    train = read(tmp_path / "a.parquet", task="kind", target="price").train
    assert train.names == ("ash", "birch", "oak") and train.d == D
    parquet(tmp_path / "b.parquet", frame().set_index("kind"))
    expected = TaskSet.from_frame(frame(), task="kind", target="price")
    for name in ("a", "b"):
        found = read(tmp_path / f"{name}.parquet", task="kind", target="price").train
        assert_same_gram(found, expected)
    table = read_features(tmp_path / "b.parquet", task="kind", target="price")
    assert table.feature_names == train.feature_names and table.task is not None


@pytest.mark.parametrize(
    "columns, changes, said",
    [
        ({}, {}, "needs --task COLUMN and --target COLUMN; its columns are kind, x0"),
        ({"task": "sort", "target": "price"}, {}, "no column 'sort'"),
        ({"task": "kind", "target": "kind"}, {}, "both column 'kind'"),
        ({}, {"x1": "a"}, "column 'x1' is not numeric"),
        ({}, {"price": "a"}, "column 'price' is not numeric"),
        ({}, {"kind": [None] + ["a"] * 35}, "column 'kind' has missing values"),
        ({}, {"kind": [np.nan] + [1.0] * 35}, "column 'kind' has missing values"),
        ({}, {"x1": [1.0] * 30 + [None] * 6}, r"column 'x1' has missing values \(row 30\)"),
        ({}, {"x1": [1.0] * 30 + [np.inf] * 6}, r"X must be finite, row 30, feature 1 \('x1'\) is inf"),
    ],
)
def test_a_bad_parquet_file_is_one_line(
    columns: dict[str, str], changes: dict[str, Any], said: str, parquet: Any, tmp_path: Path
) -> None:
    parquet(tmp_path / "a.parquet", frame(**changes))
    if changes:
        columns = {"task": "kind", "target": "price"}
    with pytest.raises(DataError, match=rf"^a\.parquet: (?!a\.parquet).*{said}") as caught:
        read(tmp_path / "a.parquet", **columns)
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_one_line(parquet: Any, tmp_path: Path) -> None:
    whole = parquet(tmp_path / "a.parquet", frame()).read_bytes()
    for content in (b"hello" * 99, whole[: len(whole) // 2]):
        (tmp_path / "a.parquet").write_bytes(content)
        for reader in (read, read_features):
            with pytest.raises(DataError, match=r"^a\.parquet: expected a readable \.parquet file"):
                reader(tmp_path / "a.parquet", task="kind", target="price")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for reader in (read, read_features):
        with pytest.raises(DataError, match=re.escape('pip install "amtl-cvx[parquet]"')):
            reader(tmp_path / "a.parquet", task="kind", target="price")


def test_a_parquet_file_from_fit_to_predict(run: Run, parquet: Any, tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", frame())
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.parquet", "--out", "run", *columns, "--quiet", *GIVEN).code == 0
    assert run("certify", "a.parquet", "run").code == 0  # columns from run.json
    frame().to_csv("a.csv", index=False)
    assert run("certify", "a.csv", "run").code == 0
    expected = run("predict", "run", "a.csv", *columns).out
    assert run("predict", "run", "a.parquet", *columns).out == expected and "birch" in expected
