"""`amtl-cvx reference verify`: claims hold, and whatever is said that is not so fails by its name."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, assert_error

from amtl_cvx.reference import pack_names, packs_folder, read_pack
from amtl_cvx.reference.canonical import text_of

NAME = "tiny-t2-d1-mean"


def told(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a pack whose pack.json says something else, with digests that fit."""
    place = folder / NAME
    shutil.copytree(packs_folder() / NAME, place)
    about = json.loads((place / "pack.json").read_text())
    change(about)
    for file in about["files"]:
        about["files"][file] = hashlib.sha256((place / file).read_bytes()).hexdigest()
    (place / "pack.json").write_text(text_of(about))
    read_pack(place)
    return place


def test_claims_that_hold(run: Run) -> None:
    answer = run("reference", "verify", NAME, "--jobs", "1")
    assert answer.code == 0 and "FAILS" not in answer.out and f"{NAME}: holds" in answer.out
    assert answer.out.splitlines()[-1].startswith("1 packs, ") and answer.out.endswith("all claims hold\n")
    assert run("reference", "verify", NAME, "--jobs", "1", "--no-extras", "--quiet") == (0, "", "")
    content = json.loads(run("reference", "verify", NAME, "--jobs", "1", "--json").out)[NAME]
    assert content["holds"] is True and content["claims"]["objective"]["holds"] is True


def lower(about: dict[str, Any]) -> None:
    claims = about["claims"]["objective"]
    claims["hex"] = (float.fromhex(claims["hex"]) * (1 - 1e-9)).hex()


def other_digit(about: dict[str, Any]) -> None:
    decimal = about["claims"]["objective"]["decimal"]
    about["claims"]["objective"]["decimal"] = decimal[:-1] + str((int(decimal[-1]) + 1) % 10)


def looser(about: dict[str, Any]) -> None:
    about["claims"]["tolerances"]["float64"]["x"] *= 3.0


def not_unique(about: dict[str, Any]) -> None:
    about["claims"]["unique"]["W"] = False


def higher(about: dict[str, Any]) -> None:
    about["claims"]["bound"]["lower"] = about["claims"]["bound"]["upper"]


@pytest.mark.parametrize(
    "change, claim",
    [(lower, "objective"), (other_digit, "objective"), (looser, "tolerances"), (not_unique, "unique"),
     (higher, "bound")],
)  # fmt: skip
def test_a_claim_that_is_not_so_fails_by_its_name(
    run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], None], claim: str
) -> None:
    place = told(tmp_path, change)
    answer = run("reference", "verify", place, "--jobs", "1")
    assert answer.code == 1 and f"FAILS  {claim}: " in answer.out
    assert answer.out.endswith("1 packs have a claim that does not hold\n")


def test_an_answer_that_was_moved_fails(run: Run, tmp_path: Path) -> None:
    def moved(about: dict[str, Any]) -> None:
        path = tmp_path / NAME / "solution" / "W.npy"
        np.save(path, np.load(path) * (1 + 1e-9))

    answer = run("reference", "verify", told(tmp_path, moved), "--jobs", "1")
    assert answer.code == 1 and "FAILS  certificate: " in answer.out


def test_a_damaged_pack_fails_and_the_others_go_on(run: Run, tmp_path: Path) -> None:
    for name in (NAME, "tiny-t2-d1-sum"):
        shutil.copytree(packs_folder() / name, tmp_path / "packs" / name)
    path = tmp_path / "packs" / NAME / "solution" / "W.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    answer = run("reference", "verify", "*", "--folder", "packs", "--jobs", "1")
    assert answer.code == 1 and "FAILS  files: " in answer.out and "solution/W.npy" in answer.out
    assert "tiny-t2-d1-sum: holds" in answer.out


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "--all"),
        (("--all", NAME), "not both"),
        (("tiny-t2-d1-maen",), f"did you mean {NAME}"),
        ((NAME, "--jobs", "0"), "--jobs"),
        (("--all", "--folder", "nowhere"), "--folder"),
    ],
)
def test_wrong_input_is_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    assert_error(run("reference", "verify", *words), said)


def test_every_pack_of_the_package_has_true_checks_alone() -> None:
    for name in pack_names():
        checks = read_pack(name, files=False).claims["checks"]
        assert checks["data"] is True and all(value is True for value in checks.values()), name


@pytest.mark.slow
@pytest.mark.parametrize("extras", [(), ("--no-extras",)])
def test_all_claims_of_all_packs_hold(run: Run, extras: tuple[str, ...]) -> None:
    answer = run("reference", "verify", "--all", *extras)
    assert answer.code == 0, answer.out
