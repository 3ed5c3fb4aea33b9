"""Tables of a workbook, and from a table to predictions by the command line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import GIVEN, Run, arrays, assert_error, write_csv
from written_tables import COLUMNS, NAMES, PLAIN, TEXT, is_the_table, refused, tasks_of, write

from amtl_cvx import untrusted
from amtl_cvx.data import delimited, read, read_features
from amtl_cvx.tasks import TaskSet


@pytest.mark.parametrize("kind", [".csv", ".xlsx", ".parquet", "frame"])
def test_a_column_that_numbers_the_rows_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    order = np.random.default_rng(0).permutation(12)
    frame = pd.DataFrame({"task": list("ab") * 6, "id": order + 100, "x1": order**2, "y": order / 4})
    path = tmp_path / f"a{kind}"
    for rows, said in ((frame, 1), (frame.head(9), 0), (frame.assign(id=order // 2), 0)):
        caplog.clear()
        if kind == "frame":
            tasks = TaskSet.from_frame(rows, task="task", target="y")
        else:
            if kind == ".xlsx":
                workbook(path, tuple(rows), *rows.itertuples(index=False, name=None))
            elif kind == ".csv":
                rows.to_csv(path, index=False)
            else:
                pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")
                rows.to_parquet(path, index=False)
            tasks = read(path, **COLUMNS, keep_rows=True).train
        assert tasks.feature_names == ("id", "x1")
        assert len([m for m in caplog.messages if "column 'id' only numbers the rows" in m]) == said


def test_lines_above_the_names_are_to_be_deleted(tmp_path: Path) -> None:
    table = "task;x1;y\na;1;2\n"
    for title in ("Bericht 2024;;\n", "Bericht 2024\n\n", "Bericht, 2024\n;;\n", "sep=;\nBericht 2024;;\n"):
        line = 1 + title.count("\n")
        refused(write(tmp_path / "a.csv", title + table), f"line {line} has it: delete the lines above")
    refused(workbook(tmp_path / "a.xlsx", ("Bericht",), NAMES, ("a", 1, 2)), "delete rows above the names")


# ---- .xlsx


def workbook(path: Path, *rows: tuple[Any, ...], more: str | None = None) -> Path:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl (the extra excel) is not installed")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if more is not None:
        book.create_sheet(more)
    book.save(path)
    return path


def test_a_workbook_is_the_same_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = (("Zürich", 1.5, -20), ("Bern", 0.25, 3), (None, None), ("Zürich", 4, 0.125))
    path = workbook(tmp_path / "a.xlsx", (" task ", "x1", "y"), *rows, more="Notes")
    is_the_table(tasks_of(path))
    assert "2 sheets, the first one ('Sheet') is read" in caplog.text
    workbook(path, NAMES, (7.0, 1, 2), (10, 1, 3), (9, 1, 3))
    assert tasks_of(path).names == ("7", "9", "10")
    assert read_features(path, **COLUMNS).task == ("7", "10", "9")
    for row, said in (
        (("a", "1,5", 2), "'x1' is not numeric .'1,5' on row 2"),
        (("a", None, 2), r"'x1' has missing values \('' on row 2\)"),
        (("a", "=1+1", 2), "'x1' has missing values"),
        (("a", 1, 2, 3), "the header has 3 fields, row 2 has 4"),
    ):
        refused(workbook(path, NAMES, row), said)
    refused(workbook(path), "is empty")
    refused(path, "are for .csv files", sep=";")


def test_a_workbook_that_inflates_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", NAMES, ("a", 1, 2))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/bomb.xml", bytes(2**20))
    monkeypatch.setattr(untrusted, "FREELY", 2**20)
    refused(path, "100 times as much")
    path.write_bytes(b"PK\x03\x04" + bytes(99))
    refused(path, "readable .xlsx")


def test_a_sheet_that_claims_a_far_row_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", NAMES, ("a", 1, 2))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = members[sheet].replace(b'<row r="2"', b'<row r="999999999999"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    monkeypatch.setattr("amtl_cvx.data.workbook._ROWS", 1000)
    refused(path, "claims more than 1000 rows")


def test_an_empty_sheet_of_a_thousand_columns_is_refused_in_time(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl (the extra excel) is not installed")
    book = openpyxl.Workbook()
    book.active.append(NAMES)
    for row in range(2, 80):
        book.active.cell(row, 16_384).number_format = "0.00"
    book.save(tmp_path / "a.xlsx")
    refused(tmp_path / "a.xlsx", "nearly all empty|no rows")


def test_without_openpyxl_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    refused(tmp_path / "a.xlsx", r"pip install \"amtl-cvx\[excel\]\"")


# ---- from fit to predict


def test_a_dialect_from_fit_to_predict(run: Run, tmp_path: Path) -> None:
    write_csv(Path("a.csv"), arrays(), names=("001", "02", "x"))
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.csv", "--out", "run", *columns, *GIVEN, "--quiet").code == 0
    expected = run("predict", "run", "a.csv", *columns).out
    assert "001" in expected
    text = Path("a.csv").read_text()
    Path("b.csv").write_bytes(text.replace(",", "^").replace(".", ",").encode("utf-16-le"))
    dialect = ("--sep", "^", "--decimal", ",", "--encoding", "utf-16-le")
    assert run("predict", "run", "b.csv", *columns, *dialect).out == expected
    assert run("fit", "b.csv", "--out", "other", *columns, *dialect, *GIVEN, "--quiet").code == 0
    assert run("certify", "b.csv", "other").code == 0  # the dialect from run.json
    assert_error(run("fit", "b.csv", "--out", "new", *columns, "--sep", "no", *GIVEN), "--sep")


def test_predict_reads_runs_that_cut_zeros_off(run: Run, tmp_path: Path) -> None:
    """Such a run calls "007" 7; what could be two tasks is refused."""
    write_csv(Path("old.csv"), arrays(), names=("7", "10", "2.0"))
    write_csv(Path("new.csv"), arrays(), names=("007", "010", "2E0"))
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "old.csv", "--out", "run", *columns, *GIVEN, "--quiet").code == 0
    found = run("predict", "run", "new.csv", *columns)
    assert found.out == run("predict", "run", "old.csv", *columns).out
    assert found.err.count("\n") == 1 and "'007' as '7', '010' as '10', '2E0' as '2.0'" in found.err
    write_csv(Path("both.csv"), arrays(), names=("007", "7", "10"))
    assert_error(run("predict", "run", "both.csv", *columns), "no task is called '007'")
    write_csv(Path("both.csv"), arrays(), names=("007", "07", "10"))
    assert_error(run("predict", "run", "both.csv", *columns), "no task is called '07'")
    for others in (("007", "10"), ("town", "10"), ("10.50", "10")):  # no earlier version wrote these
        write_csv(Path("now.csv"), arrays(), names=("7", *others))
        assert run("fit", "now.csv", "--out", "now", *columns, *GIVEN, "--quiet").code == 0
        write_csv(Path("typed.csv"), arrays(), names=("0007", *others))
        assert_error(run("predict", "now", "typed.csv", *columns), "no task is called '0007'")


def test_bytes_of_a_table_are_read_once(tmp_path: Path) -> None:
    """A stream that cannot be rewound would do: the passes go over the bytes in memory."""
    table = delimited.DelimitedText(write(tmp_path / "a.csv", PLAIN), delimited.Dialect())
    (tmp_path / "a.csv").unlink()
    assert [list(row) for row in table.records()] == [line.split(",") for line in TEXT.split()]
    assert table.place(2) == "line 4" and io.StringIO(TEXT).read() == TEXT
