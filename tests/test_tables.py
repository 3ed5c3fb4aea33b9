"""Tables of texts: one TaskSet whatever the dialect, names as they are written, and no guess in silence."""

from __future__ import annotations

import gzip
import io
import re
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import GIVEN, Run, arrays, assert_error, write_csv

from amtl_cvx import memory, untrusted
from amtl_cvx.arrays import sorted_names
from amtl_cvx.data import delimited, read, read_features
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

TEXT = "Zürich,1.5,-2e1\nBern,.25,3\nZürich,4,0.125\n"
NAMES = ("task", "x1", "y")
COLUMNS = {"task": "task", "target": "y"}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def refused(path: Path, said: str, **options: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(path, **{**COLUMNS, **options})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def tasks_of(path: Path, **options: str | None) -> TaskSet:
    return read(path, **{**COLUMNS, **options}).train


def is_the_table(tasks: TaskSet) -> None:
    assert tasks.names == ("Bern", "Zürich") and tasks.feature_names == ("x1",)
    np.testing.assert_array_equal(tasks[0].X, [[0.25]])
    np.testing.assert_array_equal(tasks[0].y, [3])
    np.testing.assert_array_equal(tasks[1].X, [[1.5], [4]])
    np.testing.assert_array_equal(tasks[1].y, [-20, 0.125])


PLAIN = ",".join(NAMES) + "\n" + TEXT
GERMAN = PLAIN.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (PLAIN, "utf-8"),
        (PLAIN, "utf-8-sig"),
        (PLAIN, "utf-16"),
        (PLAIN, "utf-16-le"),
        (PLAIN, "utf-16-be"),
        (PLAIN, "utf-32"),
        (PLAIN, "latin-1"),
        (PLAIN.replace("\n", "\r\n"), "cp1252"),
        (PLAIN.replace("\n", "\r"), "utf-8"),
        (PLAIN.replace("\n", "\n\n"), "utf-8"),
        (PLAIN.removesuffix("\n"), "utf-8"),
        (PLAIN.replace(",", ";"), "utf-8"),
        (PLAIN.replace(",", "\t"), "utf-8"),
        (PLAIN.replace(",", "|"), "utf-8"),
        (GERMAN, "utf-8"),
        (GERMAN, "latin-1"),
        ("sep=;\r\n" + GERMAN, "utf-8"),
        (PLAIN.replace("task,x1,y", " task , x1,y "), "utf-8"),
        ("\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.split()), "utf-8"),
        (PLAIN.replace("Zürich,1.5,", '"Zürich","1,5",').replace(".25", '",25"').replace("0.125", '"0,125"'),
         "utf-8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_every_dialect_is_the_same_table(tmp_path: Path, text: str, encoding: str, name: str) -> None:
    dataset = read(write(tmp_path / name, text, encoding), **COLUMNS)
    assert dataset.name == "a"
    is_the_table(dataset.train)


def test_what_is_not_clear_names_its_option(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.csv"
    refused(write(path, "task;x1;y\na;1,234;2\nb;5,678;3\n"), "'1,234' may have a decimal comma.*--decimal")
    assert tasks_of(path, decimal=",")[0].X == 1.234
    assert tasks_of(path, decimal=".")[0].X == 1234
    refused(write(path, "task;x1;y\na;1,5;2\nb;5.5;3\n"), r"'1,5' on line 2.*--decimal")
    refused(path, r"'5\.5' on line 3.*--decimal", decimal=",")
    refused(write(path, "a;b|c\n1;2|3\n"), "semicolon or bar: say which with --sep")
    write(path, "task^x1^y\na^1^2\n")
    refused(path, r"no column 'task'; the only column is task\^x1\^y: say the separator .--sep")
    assert tasks_of(path, sep="^")[0].X == 1
    write(path, PLAIN, "cp1250")
    is_the_table(tasks_of(path))
    assert "say --encoding if names look wrong" in caplog.text
    caplog.clear()
    is_the_table(tasks_of(write(path, GERMAN)))
    assert caplog.messages == ["a.csv: read with decimal commas, such as 1,5"]
    refused(write(path, PLAIN.replace("ü", "\x81"), "latin-1"), "not UTF-8 and not Latin-1: say --encoding")
    refused(path, "cannot be read as utf-8", encoding="utf-8")
    assert len(tasks_of(path, encoding="latin-1")) == 2
    for option, value in (("sep", ";;"), ("sep", "a"), ("decimal", "x"), ("encoding", "utf-9")):
        refused(path, f"--{option} must be", **{option: value})
    np.savez(tmp_path / "a.npz", X=np.eye(2), y=np.ones(2), task=[0, 1])
    with pytest.raises(DataError, match="are for .csv files"):
        read(tmp_path / "a.npz", sep=";")


@pytest.mark.parametrize("text", [PLAIN, GERMAN])
@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8-sig", "utf-8"),
        ("utf-8-sig", "latin-1"),
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-8"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "UTF_16"),
    ],
)
def test_byte_order_marks_are_no_part_of_a_name(tmp_path: Path, text: str, encoding: str, said: str) -> None:
    """A file that begins with a mark is read by it; UTF-16 needs none."""
    path = write(tmp_path / "a.csv", text, encoding)
    is_the_table(tasks_of(path, encoding=said))
    refused(write(path, PLAIN), "cannot be read as utf-16: say the right --encoding", encoding="utf-16")


def rents(text: str) -> str:
    return "task;x1;x2;y\n" + text


DOTS = rents("a;1.841;5;4.168\na;998;7;3\nb;1.002;6;2\n")


def test_marks_of_thousands_are_read_where_they_are_said(tmp_path: Path) -> None:
    """Under an option the other mark groups digits by three, or is refused."""
    commas = DOTS.replace(".", ",")
    for text, decimal in ((DOTS, ","), (commas, ".")):
        tasks = tasks_of(write(tmp_path / "a.csv", text), decimal=decimal)
        np.testing.assert_array_equal(tasks[0].X, [[1841, 5], [998, 7]])
        np.testing.assert_array_equal(tasks[0].y, [4168, 3])
        np.testing.assert_array_equal(
            read_features(tmp_path / "a.csv", **COLUMNS, decimal=decimal).X[:, 0], [1841, 998, 1002]
        )
        mark = "." if decimal == "," else ","
        for entry in ("1{}84", "0{}841", "1{}8411", "1841{}000", "12{}34{}567", "{}841"):
            bad = rents(f"a;{entry.replace('{}', mark)};5;2\n")
            refused(write(tmp_path / "a.csv", bad), "'x1' is not numeric", decimal=decimal)
        both = rents(f"a;-1{mark}234{mark}567{decimal}25;5;2\n")
        assert tasks_of(write(tmp_path / "a.csv", both), decimal=decimal)[0].X[0, 0] == -1234567.25


def test_points_that_may_mark_thousands_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.csv", DOTS)
    assert tasks_of(path)[0].X[0, 0] == 1.841
    says = "a.csv: column {!r}: {} is read as a decimal number: say --decimal , if the point marks thousands"
    assert caplog.messages == [says.format("x1", "1.841"), says.format("y", "4.168")]
    caplog.clear()
    tasks_of(write(path, DOTS.replace("998", "3.000")))  # all of them
    assert len(caplog.messages) == 2
    caplog.clear()
    tasks_of(path, decimal=".")
    tasks_of(write(path, DOTS.replace(";5;", ";5.5;")))  # a decimal point
    tasks_of(write(path, DOTS.replace(";", ",")))
    assert not caplog.messages
    for other in ("1,5", "1.841,5"):
        refused(
            write(path, DOTS.replace(";5;", f";{other};")), "'1.841' on line 2.*say --decimal , if '.' marks"
        )
    assert tasks_of(path, decimal=",")[0].X[0, 0] == 1841


@pytest.mark.parametrize(
    "numbers",
    [
        ("1,841",),
        ("1.841", "1,5"),
        ("1,5", "2.250"),
        ("1,5", "5.5"),
        ("1,841", "2.5"),
        ("1.234.567",),
        ("1,234,567",),
        ("1,841.5",),
        ("1.841", "1,841"),
        ("1,84", "1,841"),
    ],
)
def test_no_advice_leads_in_a_circle(tmp_path: Path, numbers: tuple[str, ...]) -> None:
    """An option that a message names without a condition on all numbers reads the table."""
    path = write(tmp_path / "a.csv", rents("".join(f"a;{number};5;2\n" for number in numbers)))
    for mark in (None, ".", ","):
        try:
            tasks_of(path, decimal=mark)
        except DataError as error:
            advised = re.findall(r"say --decimal ([.,])(?! where all)", str(error))
            assert advised or "write all numbers alike" in str(error) or "else write them" in str(error)
            for option in advised:
                tasks_of(path, decimal=option)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x1,y,task\n1,2,3,4\n", "the header has 3 fields, line 2 has 4: name every column"),
        ("task,x1,y\na,1,2\nb,1,5,2\n", "the header has 3 fields, line 3 has 4"),
        ("task,x1,y\na,1,2\n\nb,1\n", "the header has 3 fields, line 4 has 2: complete the line"),
        ("task,x1,y\na,1,2,\nb,1,2,\n", "the header has 3 fields, line 2 has 4, it ends with ','"),
        ("task,x1,x1,y\na,1,2,3\n", "'x1' occurs more than once"),
        ("task,y,x1,y \na,1,2,3\n", "'y' occurs more than once"),
        ("task,x1,y\na,1,2\nb,0x10,3\n", r"column 'x1' is not numeric \('0x10' on line 3\)"),
        ("task,x1,y\na,1_000,2\n", "'1_000' on line 2"),
        ("task,x1,y\na,١,2\n", "'x1' is not numeric"),
        ("task,x1,y\na,1,2\nb,True,2\n", "'x1' is not numeric throughout .'True' on line 3"),
        ("task,x1,y\na,inf,2\n", "column 'x1' must be finite, it has 'inf' on line 2"),
        ("task,x1,y\na,1,1e999\nb,1,2\n", "column 'y' must be finite, it has '1e999' on line 2"),
        ('task,x1,y\n"a\nb",1,2\nc,NA,3\n', r"column 'x1' has missing values \('NA' on line 4\)"),
        ("task,x1,y\na,1,\nb,1,2\n", r"column 'y' has missing values \('' on line 2\)"),
        ("task,x1,y\na,1,2\n,1,2\n", r"column 'task' has missing values \(line 3\)"),
        ("task,x1,y\na,1,yes\nb,1,NA\n", r"column 'y' has missing values \('NA' on line 3\)"),
        ("task,x1,y\na,1,2\nb,1,no\n", r"column 'y' is not numeric \('no' on line 3\)"),
        ('task,x1,y\na,1,2\nb,"1,2\n', r"line 3 is not made of fields"),
        ("task,x1,,y\na,1,5,2\n", "column 3 has no name: name it"),
        (",task,x1,y\n0.5,a,5,2\n", "column 1 has no name: name it"),
        ("task,y\na,1\n", "add a feature"),
        ("\n\n", "there is none: add it"),
        ("task,x1,y\n", "no rows"),
        ("\x1b[31mtask,x1\n1,2\n", r"the columns are \\x1b\[31mtask, x1"),
        ("a" * 70_000 + ",x1\n1,2\n", r"the columns are a{37}\.\.\., x1"),
    ],
)
def test_a_bad_table_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    refused(write(tmp_path / "a.csv", text), said)


def test_tasks_are_the_texts_that_are_written(tmp_path: Path) -> None:
    for tasks in (
        ["01", "1", "1E0"],
        ["007", "010"],
        ["DE", "NA", "None"],
        ["True", "true"],
        ["1.0", "1.50"],
    ):
        path = write(tmp_path / "a.csv", "task,x1,y\n" + "".join(f"{task},1,2\n" for task in tasks))
        assert tasks_of(path).names == tuple(tasks)
        assert read_features(path, **COLUMNS).task == tuple(tasks)
    assert sorted_names({"10", "9", "-3", "0"}) == ["-3", "0", "9", "10"]
    assert sorted_names({"10", "9", "03"}) == ["03", "10", "9"]


@pytest.mark.parametrize(
    "kinds",
    [
        ["007", "10", "9"], [10, 9, 2], [0.5, -1.0, 2.0], [True, False, True], ["b", "a", " c"],
        np.array([0.1, 0.5, 2], dtype=np.float32),
        pd.to_datetime(["2024-02-01", "2023-01-01", "2025-01-01"]),
        pd.to_datetime(["2024-02-01 12:00:00", "2023-01-01 12:30:01", "2025-01-01 13:00:00"]),
        pd.Categorical(["z", "y", "x"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_csv_and_a_parquet_file_are_the_same_tasks(tmp_path: Path, kinds: Any) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"task": kinds, " x1": rng.normal(size=3), "x2": [2**53, 1, -7], "y": rng.normal(size=3)}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    found = [read(tmp_path / name, **COLUMNS, keep_rows=True).train for name in ("a.csv", "a.parquet")]
    assert found[0].names == found[1].names and found[0].fingerprint() == found[1].fingerprint()
    tables = [read_features(tmp_path / name, **COLUMNS) for name in ("a.csv", "a.parquet")]
    assert tables[0].task == tables[1].task and tables[0].feature_names == ("x1", "x2")
    np.testing.assert_array_equal(tables[0].X, tables[1].X)


def test_a_text_that_says_missing_is_no_label(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")
    frame = pd.DataFrame({"task": ["NA", "b"] * 2, "x1": [1.0, 2, 3, 4], "y": ["no", "yes", "yes", "None"]})
    for name, write_frame in (("a.csv", frame.to_csv), ("a.parquet", frame.to_parquet)):
        write_frame(tmp_path / name, index=False)
        refused(tmp_path / name, r"column 'y' has missing values \('None'")


def test_names_of_rows_are_no_feature(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"task": list("aabb"), "x1": [0.5, 1, 2, 3], "y": [1.0, 2, 3, 4]})
    indexes = (
        range(4),
        range(1, 5),
        [3, 0, 17, 2],
        [0, 1, 0, 1],
        list("uvwx"),
        pd.date_range("2024", periods=4),
    )
    for index in indexes:
        frame.set_axis(index).to_csv(tmp_path / "a.csv")
        caplog.clear()
        assert tasks_of(tmp_path / "a.csv").feature_names == ("x1",)
        assert len(caplog.messages) == 1 and "left out" in caplog.messages[0]
        pd.read_csv(tmp_path / "a.csv").to_csv(tmp_path / "b.csv")  # saved twice: "Unnamed: 0"
        assert tasks_of(tmp_path / "b.csv").feature_names == ("x1",)
    write(tmp_path / "a.csv", "task,x1,y,\na,1,2,\nb,1,2,\n")
    assert tasks_of(tmp_path / "a.csv").feature_names == ("x1",) and "no entries" in caplog.text
    write(tmp_path / "a.csv", "task,x1,y" + "," * 99 + "\n" + ("a,1,2" + "," * 99 + "\n") * 2)
    caplog.clear()
    assert tasks_of(tmp_path / "a.csv").feature_names == ("x1",)
    assert len(caplog.messages) == 1 and "99 columns have no name" in caplog.messages[0]


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


def test_a_task_that_says_missing_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for label in ("NA", "NaN", "null", "None"):
        caplog.clear()
        assert label in tasks_of(write(tmp_path / "a.csv", f"task,x1,y\na,1,2\n{label},2,1\n")).names
        assert caplog.messages == [
            f"a.csv: a task is called {label!r}: drop those rows if it means a missing value"
        ]


def test_lines_above_the_names_are_to_be_deleted(tmp_path: Path) -> None:
    table = "task;x1;y\na;1;2\n"
    for title in ("Bericht 2024;;\n", "Bericht 2024\n\n", "Bericht, 2024\n;;\n", "sep=;\nBericht 2024;;\n"):
        line = 1 + title.count("\n")
        refused(write(tmp_path / "a.csv", title + table), f"line {line} has it: delete the lines above")
    refused(workbook(tmp_path / "a.xlsx", ("Bericht",), NAMES, ("a", 1, 2)), "delete rows above the names")


def test_names_are_what_they_show(tmp_path: Path) -> None:
    """However an umlaut is encoded, in the file or in an option."""
    pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")
    composed, marked = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    assert composed != marked
    frame = pd.DataFrame({composed: [f"{composed} 1", f"{marked} 1"], f"x{marked}": [1, 2], "y": [3, 4]})
    for names in ({}, {composed: marked}):
        frame.rename(columns=names).to_csv(tmp_path / "a.csv", index=False)
        frame.rename(columns=names).to_parquet(tmp_path / "a.parquet", index=False)
        for name in (composed, marked):
            found = [
                read(tmp_path / file, task=name, target="y", keep_rows=True).train
                for file in ("a.csv", "a.parquet")
            ] + [TaskSet.from_frame(frame.rename(columns=names), task=name, target="y")]
            for tasks in found:
                assert tasks.names == (f"{composed} 1",) and tasks.feature_names == (f"x{composed}",)
                assert tasks.index(f"{marked} 1") == 0


def test_blocks_of_rows_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers, however many rows are converted at once, and those that pandas reads."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50, 3)) * 10.0 ** rng.integers(-9, 9, (50, 3)), columns=list("pqr"))
    frame["task"], frame["y"] = rng.integers(0, 3, 50), rng.normal(size=50)
    frame.to_csv(tmp_path / "a.csv", index=False)
    whole = tasks_of(tmp_path / "a.csv")
    assert whole.fingerprint() == TaskSet.from_frame(frame, task="task", target="y").fingerprint()
    monkeypatch.setattr("amtl_cvx.data.table._BLOCK", 11)
    monkeypatch.setattr(delimited, "_PIECE", 17)
    assert tasks_of(tmp_path / "a.csv").fingerprint() == whole.fingerprint()


def test_a_table_too_large_is_refused_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(write(tmp_path / "a.csv", "," * 27_000 + "\n" + "1," * 27_000 + "1\n"), "there is none: add it")
    write(tmp_path / "a.csv", "task,y," + ",".join(f"x{j}" for j in range(27_000)) + "\na" + ",1" * 27_001)
    assert tasks_of(tmp_path / "a.csv").d == 27_000
    monkeypatch.setattr(untrusted, "FREELY", 2**16)
    refused(write(tmp_path / "a.csv.gz", "task,x1,y\n" + "a,1,2\n" * 90_000), "100 times as much")
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    monkeypatch.setattr(memory, "FEW", 0)
    refused(
        write(tmp_path / "a.csv", "task,x1,y\n" + "a,1,2\n" * 900), "needs about .* of memory, .* are free"
    )


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
