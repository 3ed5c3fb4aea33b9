"""Verification of packs: a true pack holds, and every claim of it that is made false is named."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx import LossWeightedL1, Model, Options, Problem, TaskSet, fit
from amtl_cvx.digits import prove
from amtl_cvx.enclosure import enclose
from amtl_cvx.reference import Pack, pack_names, read_pack, write_pack
from amtl_cvx.reference.claims import claims_of, digits_of
from amtl_cvx.reference.verify import held, verified, verify, verify_all

pytest.importorskip("flint")
X = [np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [0.5]])]
y = [np.array([1.0, 2.5, 2.0]), np.array([1.25, 2.0, 1.0])]
PROBLEM = Problem(TaskSet.from_arrays(X, y), Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0))
ABOUT = {"name": "pair", "title": "Two tasks on a line.", "grade": "easy", "traits": ["tiny"]}
ABOUT |= {"origin": {"source": "test"}, "made": {}}
Parts = dict[str, Any]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Answer, digits and proof of a pack."""
    found = fit(PROBLEM.tasks, PROBLEM.model, options=Options(tol=1e-13, engine="fast"))
    blocks = {"W": found.W, "B": found.B}
    digits = json.loads(json.dumps(prove(PROBLEM.tasks, PROBLEM.model, **blocks).named(PROBLEM.tasks)))
    proof = enclose(PROBLEM.tasks, PROBLEM.model, found.W, found.B).proof
    return {"solution": blocks, "digits": digits, "proof": proof}


@pytest.fixture(scope="module")
def claims(parts: Parts) -> dict[str, Any]:
    return claims_of(PROBLEM, "joint", **parts)


@pytest.fixture
def pack(parts: Parts, claims: dict[str, Any], tmp_path: Path) -> Pack:
    return written(tmp_path / "pair", parts, claims)


def written(place: Path, parts: Parts, claims: Mapping[str, Any], **others: Any) -> Pack:
    return write_pack(place, problem=PROBLEM, ask="joint", about=ABOUT, claims=claims, **{**parts, **others})


def failed(pack: Pack, **options: Any) -> dict[str, str]:
    return {found.name: found.words for found in verify(pack, **options) if not found.holds}


def test_a_true_pack_holds_with_extras_and_without(pack: Pack) -> None:
    assert failed(pack) == {}
    assert failed(pack, extras=False) == {}
    names = {found.name for found in verify(pack)}
    assert {"files", "problem", "certificate", "digits", "bound", "routes", "condition"} <= names
    assert pack.claims["level"] == "C5" and pack.claims["digits"]["proven"] == 40


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every number, truth, word and None of nested claims, with its place."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list):
        for key, part in enumerate(value):
            yield from leaves(part, (*path, key))
    else:
        yield path, value


WORDS = {"reasons", "reason", "digits_why", "bound_why", "unique_why", "refused"}
"""Words, of which numbers may differ from machine to machine."""


def false_values(path: tuple[str | int, ...], value: Any) -> Iterator[Any]:
    """Values that are not true at a place."""
    if isinstance(value, bool):
        yield not value
    elif value is None:
        yield 0.5
    elif isinstance(value, int):
        yield from (value + 3, value - 3, value + 1000)
    elif isinstance(value, float):
        yield from (-value - 1.0, value * 1e6 + 1e-3)
        yield None
    elif value.startswith("0x"):
        yield (float.fromhex(value) * (1.0 + 1e-9)).hex()
    elif path[-1] == "decimal":
        yield value[:-1] + ("1" if value[-1] != "1" else "2")
    else:
        yield value + " and more"


def test_every_claim_that_is_made_false_is_named(claims: dict[str, Any]) -> None:
    claims = json.loads(json.dumps(claims))
    assert all(found.holds for found in held(claims, copy.deepcopy(claims), extras=True, proved=True))
    tried = 0
    for path, value in leaves(claims):
        if WORDS & {str(part) for part in path}:
            continue
        for wrong in false_values(path, value):
            changed = copy.deepcopy(claims)
            place: Any = changed
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = wrong
            named = [found for found in held(changed, claims, extras=True, proved=True) if not found.holds]
            assert [found.name for found in named] == [path[0]], (path, value, wrong)
            tried += 1
    assert tried > 150


def test_a_claim_that_is_left_out_or_added_is_named(pack: Pack) -> None:
    for key in pack.claims:
        rest = {name: value for name, value in pack.claims.items() if name != key}
        assert set(failed(told(pack, rest))) == {key}
        break  # each takes a whole verification
    assert set(failed(told(pack, {**pack.claims, "optimal": True}))) == {"optimal"}


def told(pack: Pack, claims: Mapping[str, Any]) -> Pack:
    """The pack with other claims."""
    return dataclasses.replace(pack, about={**pack.about, "claims": claims})


def test_another_answer_digit_or_proof_is_named(parts: Parts, claims: dict[str, Any], tmp_path: Path) -> None:
    W = parts["solution"]["W"].copy()
    W[0, 0] *= 1.0 + 1e-9
    moved = failed(written(tmp_path / "a" / "pair", parts, claims, solution={**parts["solution"], "W": W}))
    assert {"certificate", "level", "checks"} <= set(moved) and "does not pass" in moved["certificate"]
    digits = copy.deepcopy(parts["digits"])
    text = digits["W"][0][1]
    digits["W"][0][1] = text[:-1] + ("1" if text[-1] != "1" else "2")
    wrong = failed(written(tmp_path / "b" / "pair", parts, claims, digits=digits))
    assert "'digits' is not true" in wrong["checks"]
    proof = {**parts["proof"], "lower": str(2)}
    rejected = failed(written(tmp_path / "c" / "pair", parts, claims, proof=proof))
    assert "rejects the proof" in rejected["proof"]
    twice = failed(written(tmp_path / "d" / "pair", parts, claims, minima=(parts["solution"],)))
    assert "'minima' is not true" in twice["checks"] and "minima" in twice
    elsewhere = ({"W": np.ones((1, 2)), "B": np.zeros((2, 2))},)
    assert (
        "'minima' is not true"
        in failed(written(tmp_path / "e" / "pair", parts, claims, minima=elsewhere))["checks"]
    )


def test_what_pack_json_says_of_the_problem_is_held_against_it(pack: Pack) -> None:
    about = {**pack.about, "loss": "logistic", "T": 3}
    words = failed(dataclasses.replace(pack, about=about))["problem"]
    assert "loss: 'logistic' is said, it is 'squared'" in words and "T: 3 is said" in words


def test_files_that_were_changed_or_added_are_named(pack: Pack) -> None:
    (pack.folder / "more.txt").write_text("x")
    assert "more.txt is no file of the pack" in failed(pack)["files"]
    (pack.folder / "more.txt").unlink()
    content = bytearray((pack.folder / "solution" / "W.npy").read_bytes())
    content[-1] ^= 1
    (pack.folder / "solution" / "W.npy").write_bytes(bytes(content))
    (found,) = verified(str(pack.folder), True)
    assert not found.holds and "solution/W.npy is not the file that was written" in found.words


def test_all_packs_are_verified_in_order(pack: Pack, tmp_path: Path) -> None:
    seen: list[str] = []
    places = [pack.folder, tmp_path / "none"]
    found = verify_all(places, processes=1, observe=lambda place, _: seen.append(place))
    assert list(found) == seen == [str(place) for place in places]
    assert all(each.holds for each in found[str(pack.folder)]) and not found[seen[1]][0].holds


def test_a_step_is_verified_too(tmp_path: Path) -> None:
    B = np.array([[0.0, 0.5], [0.25, 0.0]])
    a, M = 1.0 + 0.1 * B.sum(axis=1), np.eye(2) - B
    H = M @ M.T + np.diag([a[t] / 3.0 * float((X[t] ** 2).sum()) for t in range(2)])
    W = np.linalg.solve(H, [a[t] / 3.0 * float(X[t][:, 0] @ y[t]) for t in range(2)])[None, :]
    digits, why = digits_of(PROBLEM, "w-step", {"W": W}, given={"B": B})
    assert digits is not None, why
    own = {"solution": {"W": W}, "given": {"B": B}, "digits": digits}
    claims = claims_of(PROBLEM, "w-step", **own)
    made = write_pack(tmp_path / "pair", problem=PROBLEM, ask="w-step", about=ABOUT, claims=claims, **own)
    assert failed(read_pack(made.folder)) == {} and made.claims["unique"] == {"W": True}
    other = {**own, "given": {"B": B * 0.5}}
    wrong = write_pack(
        tmp_path / "b" / "pair", problem=PROBLEM, ask="w-step", about=ABOUT, claims=claims, **other
    )
    assert {"certificate", "checks", "objective"} <= set(failed(wrong))


@pytest.mark.slow
def test_packs_are_verified_in_processes_of_their_own(pack: Pack, tmp_path: Path) -> None:
    found = verify_all([pack.folder, tmp_path / "none"], processes=2)
    assert [all(each.holds for each in findings) for findings in found.values()] == [True, False]


def kinds() -> dict[tuple[str, str], str]:
    """One pack of every family and ask that comes with the package."""
    found: dict[tuple[str, str], str] = {}
    for name in pack_names():
        pack = read_pack(name, files=False)
        found.setdefault((pack.about["family"], pack.ask), name)
    return found


UNSEEN = {
    ("condition", "why"),
    ("objective", "decimal"),
    ("certificate", "error_W"),
    ("certificate", "error_B"),
}
"""Words; the last digit of a decimal that is shared and not proven; bounds that are roots of rounding."""


@pytest.mark.slow
def test_every_claim_of_every_kind_of_pack_that_is_made_false_is_named() -> None:
    assert len(kinds()) >= 9
    for name in kinds().values():
        true = json.loads(json.dumps(read_pack(name).claims))
        for path, value in leaves(true):
            if WORDS & {str(part) for part in path} or path[:2] in UNSEEN:
                continue
            for wrong in false_values(path, value):
                changed = copy.deepcopy(true)
                place: Any = changed
                for part in path[:-1]:
                    place = place[part]
                place[path[-1]] = wrong
                named = [
                    found.name for found in held(changed, true, extras=True, proved=True) if not found.holds
                ]
                assert named == [path[0]], (name, path, value, wrong)
