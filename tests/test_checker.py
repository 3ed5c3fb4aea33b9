"""The checker of proofs: it accepts what holds, and nothing that was changed."""

from __future__ import annotations

import ast
import copy
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import random_tasks
from enclosed import amtl, zeros

from amtl_cvx.enclosure import checker, enclose

Proof = dict[str, Any]


@pytest.fixture(scope="module")
def proof() -> Proof:
    """A valid proof, T = 2, d = 1."""
    tasks = random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))
    found = enclose(tasks, amtl(), *zeros(tasks), starts=5).proof
    loaded: Proof = json.loads(json.dumps(found))
    return loaded


# --- the checker ------------------------------------------------------------------------------------------


def test_checker_is_short_and_stands_alone(proof: Proof, tmp_path: Path) -> None:
    source = Path(checker.__file__).read_text()
    assert len(source.splitlines()) <= 240
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"fractions", "hashlib", "json", "sys", "typing"}
    (tmp_path / "alone.py").write_text(source)
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    command = [sys.executable, "-I", "-S", "alone.py", "proof.json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("proved: ")


def _ulp(text: str) -> str:
    return float(np.nextafter(float.fromhex(text), np.inf)).hex()


def _set(*path: Any) -> Callable[[Any], Callable[[Proof], None]]:
    def given(value: Any) -> Callable[[Proof], None]:
        def change(proof: Proof) -> None:
            place: Any = proof
            for key in path[:-1]:
                place = place[key]
            old = place[path[-1]]
            place[path[-1]] = value(old) if callable(value) else value

        return change

    return given


def _raise_lower(proof: Proof) -> None:
    proof["lower"] = str(Fraction(proof["lower"]) + Fraction(1, 2**200))


def _raw_value_as_bound(proof: Proof) -> None:
    proof["lower"] = str(Fraction(float(Fraction(proof["upper"]))))


def _lower_upper(proof: Proof) -> None:
    proof["upper"] = str(Fraction(proof["upper"]) - Fraction(1, 2**200))


def _transpose_B(proof: Proof) -> None:
    proof["B"] = [list(row) for row in zip(*proof["B"], strict=True)]
    proof["B"][0][1] = proof["B"][0][1] if proof["B"][0][1] != proof["B"][1][0] else "1/7"


def _swap_tasks(proof: Proof) -> None:
    proof["tasks"] = proof["tasks"][::-1]


def _drop_a_row(proof: Proof) -> None:
    for name in "Xy":
        proof["tasks"][0][name] = proof["tasks"][0][name][1:]


def _drop_block(proof: Proof) -> None:
    proof["blocks"] = proof["blocks"][1:]


def _negative_weight(proof: Proof) -> None:
    proof["blocks"][0]["of"] = [0, 0, 1]


def _no_data(proof: Proof) -> None:
    del proof["tasks"]


TAMPERINGS: dict[str, Callable[[Proof], None]] = {
    "lower bound raised by 2^-200": _raise_lower,
    "unrounded value as lower bound": _raw_value_as_bound,
    "upper bound lowered": _lower_upper,
    "mu by one ulp": _set("mu")(_ulp),
    "mu negative": _set("mu")("-0x1.0p-4"),
    "mu zero": _set("mu")("0x0.0p+0"),
    "mu not a number": _set("mu")("nan"),
    "coupling by one ulp": _set("coupling")(_ulp),
    "sum for mean": _set("reduction")("sum"),
    "unknown reduction": _set("reduction")("median"),
    "task weight": _set("task_weights", 0)("0x1.8p+0"),
    "negative task weight": _set("task_weights", 0)("-0x1.0p+0"),
    "row count": _set("tasks", 0, "n")(6),
    "feature by one ulp": _set("tasks", 0, "X", 0, 0)(_ulp),
    "target by one ulp": _set("tasks", 1, "y", 0)(_ulp),
    "a row dropped": _drop_a_row,
    "tasks swapped": _swap_tasks,
    "data missing": _no_data,
    "W moved": _set("W", 0, 0)(lambda old: str(Fraction(old) + Fraction(1, 2**120))),
    "B moved": _set("B", 0, 1)(lambda old: str(Fraction(old) + Fraction(1, 2**120))),
    "B transposed": _transpose_B,
    "B negative": _set("B", 0, 1)("-1/1000000"),
    "diagonal leak": _set("B", 0, 0)("1/1000"),
    "level below J": _set("level")(lambda old: str(Fraction(old) * Fraction(999, 1000))),
    "level above the radii": _set("level")(lambda old: str(Fraction(old) * 2)),
    "W's box too small": _set("radius", 0)(lambda old: str(Fraction(old) * Fraction(4, 5))),
    "B's box too small": _set("radius", 2)("2"),
    "radius zero": _set("radius", 1)("0"),
    "radius negative": _set("radius", 1)(lambda old: "-" + old),
    "radius larger than the proof's": _set("radius", 1)(lambda old: str(Fraction(old) * 2)),
    "factor by one unit": _set("blocks", 0, "factor", 0, 0)(lambda old: old + 1),
    "factor not whole": _set("blocks", 0, "factor", 0, 0)(lambda old: old + 0.5),
    "factor as text": _set("blocks", 0, "factor", 0, 0)(str),
    "another multiplier": _set("blocks", 0, "of")("sublevel"),
    "unknown multiplier": _set("blocks", 0, "of")("minus one"),
    "three inequalities": _negative_weight,
    "inequality out of range": _set("blocks", 0, "of")([99]),
    "inequality -1": _set("blocks", 0, "of")([-1]),
    "monomial": _set("blocks", 0, "basis", 0)([1, 1]),
    "variable out of range": _set("blocks", 0, "basis", 0)([99]),
    "a monomial too many": _set("blocks", 0, "basis")(lambda old: [*old, []]),
    "block dropped": _drop_block,
    "negative unit": _set("unit")(lambda old: "-" + old),
    "unit": _set("unit")(lambda old: str(Fraction(old) * 2)),
    "bits": _set("bits")(lambda old: old + 1),
    "bits negative": _set("bits")(-3),
    "format": _set("format")("another"),
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_checker_rejects_every_tampering(
    proof: Proof, tamper: Callable[[Proof], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = copy.deepcopy(proof)
    tamper(changed)
    assert changed != proof
    (tmp_path / "proof.json").write_text(json.dumps(changed))
    assert checker.main([str(tmp_path / "proof.json")]) == 1
    assert capsys.readouterr().out.startswith("NOT PROVED: ")


def test_checker_accepts_the_proof_and_rejects_what_is_no_proof(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    assert checker.main([str(path)]) == 0
    for text in ("", "[]", "{}", "null", "7", "{"):
        path.write_text(text)
        assert checker.main([str(path)]) == 1
    assert checker.main([str(tmp_path / "missing.json")]) == 1
    assert checker.main([]) == 1
    capsys.readouterr()


HOSTILE: dict[str, Callable[[Proof], str]] = {
    "an exponent in W": lambda proof: json.dumps({**proof, "W": [["1e99999999"] * 2]}),
    "an exponent in the level": lambda proof: json.dumps({**proof, "level": "1e99999999"}),
    "an exponent in the bound": lambda proof: json.dumps({**proof, "upper": "-1E99999999"}),
    "a hexadecimal exponent": lambda proof: json.dumps({**proof, "mu": "0x1p99999999"}),
    "a denominator of 0": lambda proof: json.dumps({**proof, "unit": "1/0"}),
    "digits without end": lambda proof: json.dumps({**proof, "radius": ["9" * 100_000]}),
    "a whole number without end": lambda proof: '{"format": ' + "9" * 100_000 + "}",
    "lists in lists": lambda proof: "[" * 100_000,
    "objects in objects": lambda proof: '{"a":' * 100_000,
    "cells in cells": lambda proof: json.dumps(_cut(proof, 300)),
    "not finite": lambda proof: json.dumps({**proof, "level": float("inf"), "unit": float("nan")}),
    "half a row": lambda proof: json.dumps({**proof, "tasks": [{**proof["tasks"][0], "n": 1.5}] * 2}),
    "many features": lambda proof: json.dumps(
        {**proof, "tasks": [{"n": 1, "X": [["0x1p0"] * 2000], "y": ["0x1p0"]}] * 2}
    ),
    "bytes": lambda proof: "\0\ud800",
    "a table": lambda proof: "edge,bound\n",
}


def _cut(proof: Proof, depth: int) -> Proof:
    cell: Proof = {"blocks": []}
    for _ in range(depth):
        cell = {"cut": [0, "1/3"], "above": cell, "below": {"blocks": []}}
    return {**{key: value for key, value in proof.items() if key != "blocks"}, **cell}


@pytest.mark.parametrize("kind", HOSTILE)
def test_checker_ends_in_one_line_whatever_the_file_holds(
    kind: str, proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(HOSTILE[kind](proof).encode("utf-8", "surrogatepass"))
    assert checker.main([str(path)]) == 1
    answer = capsys.readouterr()
    (line,) = answer.out.splitlines()
    assert line.startswith("NOT PROVED: ") and len(line) <= 300 and not answer.err
    assert line.startswith("NOT PROVED: not JSON: ") is (kind in ("bytes", "a table"))


def test_checker_refuses_every_part_of_another_type(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        for key in part if isinstance(part, dict) else range(min(len(part), 1)):
            yield (*path, key)
            if isinstance(part[key], dict | list):
                yield from places(part[key], (*path, key))

    for *path, last in places(proof):
        for junk in (None, True, "x", [[[1e300]]]):
            changed = copy.deepcopy(proof)
            functools.reduce(lambda part, key: part[key], path, changed)[last] = junk
            (tmp_path / "proof.json").write_text(json.dumps(changed))
            code, said = checker.main([str(tmp_path / "proof.json")]), capsys.readouterr().out
            harmless = last == "statement" or "problem" in (*path, last)  # words, for readers
            assert said.startswith("proved" if not code else "NOT PROVED: ") and (code or harmless), (
                last,
                junk,
            )


def test_checker_stops_after_so_many_steps_and_says_how_to_allow_more(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    assert checker.main([str(path), "100"]) == 1
    assert "checker.py FILE STEPS allows more" in capsys.readouterr().out
    assert checker.main([str(path), "10000000"]) == 0
    path.write_text(" " * (checker.BYTES + 1))
    assert checker.main([str(path)]) == 1 and "has more than" in capsys.readouterr().out
