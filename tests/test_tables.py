"""Tables of texts: one TaskSet whatever the dialect, names as they are written, and no guess in silence."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from written_tables import COLUMNS, PLAIN, is_the_table, refused, tasks_of, write

from amtl_cvx import memory, untrusted
from amtl_cvx.arrays import sorted_names
from amtl_cvx.data import delimited, read, read_features
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

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


def test_a_task_that_says_missing_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for label in ("NA", "NaN", "null", "None"):
        caplog.clear()
        assert label in tasks_of(write(tmp_path / "a.csv", f"task,x1,y\na,1,2\n{label},2,1\n")).names
        assert caplog.messages == [
            f"a.csv: a task is called {label!r}: drop those rows if it means a missing value"
        ]


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
