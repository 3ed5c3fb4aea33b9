"""Numbers as tables write them: decimal marks, marks of thousands, and what is advised."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from written_tables import COLUMNS, refused, tasks_of, write

from amtl_cvx.data import read_features
from amtl_cvx.errors import DataError


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
