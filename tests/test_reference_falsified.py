"""Packs that lie or would break their readers: all is sealed again, and verification names the lie."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx.reference import Pack, packs_folder, read_pack
from amtl_cvx.reference.canonical import text_of
from amtl_cvx.reference.verify import verified

pytest.importorskip("flint")
Change = Callable[[Path], None]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def falsified(place: Path, name: str, change: Change, claims: Mapping[str, Any] | None = None) -> Pack:
    """A shipped pack with a file changed, and every digest computed again."""
    folder = place / name
    shutil.copytree(packs_folder() / name, folder)
    change(folder)
    problem = folder / "problem" / "problem.json"
    said = {key: value for key, value in json.loads(problem.read_text()).items() if key != "sha256"}
    others = (path for path in problem.parent.iterdir() if path != problem)
    said["files"] = {path.name: sha256(path) for path in sorted(others)}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    problem.write_text(json.dumps({**said, "sha256": digest}, indent=2) + "\n")
    about = json.loads((folder / "pack.json").read_text())
    about["files"] = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "pack.json"
    }
    about["claims"] |= claims or {}
    (folder / "pack.json").write_text(text_of(about))
    return read_pack(folder)


def told(pack: Pack) -> dict[str, str]:
    return {found.name: found.words for found in verified(str(pack.folder), True) if not found.holds}


def digits(**parts: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "digits.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))

    return change


def saved(name: str, made: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(folder: Path) -> None:
        np.save(folder / name, made(np.load(folder / name)))

    return change


def written(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text) and None


def test_a_pack_sealed_again_holds(tmp_path: Path) -> None:
    assert told(falsified(tmp_path, "tiny-t2-minima-a", lambda folder: None)) == {}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (digits(radius=1e-300), "checks"),
        (digits(strict_local_min=False), "checks"),
        (digits(isolation=1e9), "checks"),
        (digits(support=[[1, 0]]), "checks"),
        (digits(task_names=["b", "a"]), "checks"),
        (saved("problem/task_weights.npy", lambda c: 2.0 * c), "problem"),
        (saved("minima/1/B.npy", lambda B: B - 1e-17), "checks"),
        (saved("minima/1/B.npy", lambda B: B + np.diag([1e-17, 0.0])), "checks"),
        (saved("minima/1/W.npy", lambda W: 1.001 * W), "minima"),
        (lambda folder: (folder / "minima/1/B.npy").unlink(), "problem"),
        (lambda folder: np.save(folder / "solution" / "Q.npy", np.zeros(2)), "problem"),
    ],
)
@pytest.mark.sampled(4)
def test_a_false_file_is_named(change: Change, name: str, tmp_path: Path) -> None:
    assert name in told(falsified(tmp_path, "tiny-t2-minima-a", change))


def test_digits_must_be_of_every_block(tmp_path: Path) -> None:
    assert told(falsified(tmp_path / "none", "tiny-t2-minima-a", digits(B=None)))
    empty = falsified(tmp_path / "empty", "tiny-t2-minima-a", digits(B=[[], []]))
    assert "'digits' is not true" in told(empty)["checks"]


def test_a_level_is_no_number_that_may_vary(tmp_path: Path) -> None:
    pack = falsified(tmp_path, "tiny-t2-minima-a", lambda folder: None, {"level": "C4"})
    assert told(pack) == {"level": "level: C4 is claimed, C5 is found"}


@pytest.mark.parametrize("content", ["[]", "{}", "{", "[" * 10**5, '{"objective": NaN}', '{"objective": 1}'])
@pytest.mark.parametrize("name", ["digits.json", "proof.json"])
def test_what_is_no_json_of_its_kind_is_one_line(name: str, content: str, tmp_path: Path) -> None:
    found = told(falsified(tmp_path, "tiny-t2-d1-mean", written(name, content)))
    assert found and all("\n" not in words for words in found.values())


@pytest.mark.parametrize("decimal", ["1e99999999", "1/0", "nan", "١", "0x1", "", "9" * 10**5])
@pytest.mark.sampled(3)
def test_a_decimal_that_would_fill_the_memory_is_no_decimal(decimal: str, tmp_path: Path) -> None:
    claims = read_pack("tiny-t2-d1-mean").claims
    one = {"objective": {**claims["objective"], "decimal": decimal}}
    assert told(falsified(tmp_path / "a", "tiny-t2-d1-mean", lambda folder: None, one))["objective"]
    for change in (digits(objective=decimal), digits(W=[[decimal, "0"]])):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        assert "digits.json must hold" in told(falsified(tmp_path / "b", "tiny-t2-d1-mean", change))["claims"]


@pytest.mark.parametrize("value", ["0x1p99999", "inf", 1])
def test_a_double_that_is_none_is_named(value: Any, tmp_path: Path) -> None:
    pack = read_pack("tiny-t2-d1-mean")
    claims = {"objective": {**pack.claims["objective"], "hex": value, "terms": 10**400}}
    assert told(falsified(tmp_path, pack.name, lambda folder: None, claims))["objective"]


def test_arrays_that_others_would_read_otherwise_are_named(tmp_path: Path) -> None:
    for place in ("solution/B.npy", "problem/X.npy"):
        pack = falsified(tmp_path / place, "tiny-t2-d2-mean", saved(place, np.asfortranarray))
        assert "C order" in told(pack)["problem"]


def test_a_task_that_is_none_is_named(tmp_path: Path) -> None:
    pack = read_pack("step-one-squared")
    other = dataclasses.replace(pack, about={**pack.about, "task": 99})
    from amtl_cvx.reference.verify import verify

    assert "task 99" in {found.name: found.words for found in verify(other)}["problem"]
