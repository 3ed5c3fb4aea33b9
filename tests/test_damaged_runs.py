"""Damaged run folders: whatever run.json and history.csv hold, a command answers or says so in one line."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, arrays

from amtl_cvx.errors import DataError
from amtl_cvx.runfolder import read_history

WRONG: tuple[Any, ...] = (
    None, True, -1, 0.5, 10**400, 1e308, -1e308, 5e-324, float("nan"), float("inf"), "", "\x1b[31m", "1e99",
    [], [1], [None] * 3, ["a"] * 3, [[1.0]], {}, {"a": 1},
)  # fmt: skip
ABSENT = object()
TEXTS = (b"", b"[", b"{" * 100_000, b"\xff\xfe\x00", b"\x00", b"[" + b"1," * 99 + b"1]", b"1" * 9999)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, of a list the first two."""
    yield path
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*path, key))
    elif isinstance(content, list):
        for number, value in enumerate(content[:2]):
            yield from places(value, (*path, number))


def damaged(text: str, path: tuple[Any, ...], value: Any) -> str:
    content = place = json.loads(text)
    if not path:
        return json.dumps(value)
    for key in path[:-1]:
        place = place[key]
    if value is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content)


def assert_answered(run: Run, what: object, *argv: str) -> None:
    answer = run(*argv)
    assert answer.code in (0, 1, 2), (what, answer)
    data = argv[0] == "predict"  # which is cleaned on a terminal and as it is in a pipe
    assert "\x1b" not in (answer.err if data else answer.out + answer.err)
    if answer.code == 2:
        assert len(answer.err.splitlines()) == 1 and answer.err.startswith("error: "), (what, answer.err)


def test_any_value_at_any_place_of_run_json(run: Run, fitted: Path, rng: np.random.Generator) -> None:
    path = fitted / "run.json"
    whole = path.read_text()
    np.savez("new.npz", X=arrays()["X"][:2], task=[0, 1])
    commands = (("predict", "run", "new.npz"), ("certify", "a.npz", "run"))
    every = [(place, value) for place in places(json.loads(whole)) for value in (*WRONG, ABSENT)]
    read = {"arguments", "data", "model", "method", "preparation", "task_names", "feature_names", "classes"}
    for place, value in every:
        if not place or place[0] in read and rng.random() < 0.04 or rng.random() < 0.003:
            path.write_text(damaged(whole, place, None if not place and value is ABSENT else value))
            assert_answered(run, (place, value), *commands[rng.integers(2)])
    for content in TEXTS:
        path.write_bytes(content)
        assert_answered(run, content[:9], *commands[rng.integers(2)])


@pytest.mark.parametrize("name", ["method", "feature_names", "classes"])
def test_a_wrong_type_is_named(run: Run, fitted: Path, name: str) -> None:
    path = fitted / "run.json"
    path.write_text(damaged(path.read_text(), (name,), 5))
    answer = run("certify", "a.npz", "run")
    assert answer.code == 2 and f"run.json: {name} must be" in answer.err and "it is 5" in answer.err


@pytest.mark.slow
def test_any_cell_of_history_csv(
    run: Run, fitted: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = fitted / "run.json"  # of a time before it held the hashes of the files
    described.write_text(damaged(described.read_text(), ("files",), ABSENT))
    path = fitted / "history.csv"
    whole = path.read_text()
    rows = list(csv.reader(io.StringIO(whole)))
    wrong = ("", "x", "nan", "inf", "1e400", "9" * 5000, "\x00", '"', "-1", "5e-324")
    for cell in range(2 * len(rows[0])):
        for value in wrong:
            changed = [list(row) for row in rows]
            changed[cell // len(rows[0])][cell % len(rows[0])] = value
            text = io.StringIO()
            csv.writer(text).writerows(changed)
            path.write_text(text.getvalue())
            with contextlib.suppress(DataError):
                read_history(fitted)
            if value == "5e-324" and cell == len(rows[0]) + 3:
                assert_answered(run, value, "plot", "run", "--out", "p.png", "--kind", "convergence")
    for content in (b"\xff\xfe", b"a,b\n1,2\n", b"x" * 200_000, whole[:-9].encode() + b"\x00"):
        path.write_bytes(content)
        with contextlib.suppress(DataError):
            read_history(fitted)
