"""Recipes of the reference packs: the same data again, whole numbers over powers of two, what there is."""

from __future__ import annotations

import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from reference_recipes import module

from amtl_cvx.reference import Pack, pack_names, packs_folder, read_pack

make, integers = module("make"), module("recipes.integers")
RECIPES = module("recipes").all_recipes()
PARTS = 4


@pytest.fixture(scope="module")
def packs() -> tuple[Pack, ...]:
    return tuple(read_pack(name, files=False) for name in pack_names())


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.sampled(4)
def test_data_are_made_again_to_the_last_byte(part):
    wrong = {}
    for name in pack_names()[part::PARTS]:
        recipe, pack = RECIPES[name], read_pack(name)
        if found := make.data_differences(recipe, recipe.stated(), pack):
            wrong[name] = found
    assert not wrong


def test_data_are_dyadic_so_that_float32_holds_them(packs):
    arrays = {}
    for pack in packs:
        names = [name for name in pack.about["files"] if name.startswith(("problem/", "given/"))]
        names = [name for name in names if name.endswith(".npy") and "basis" not in name]
        arrays |= {f"{pack.name}/{name}": np.load(pack.folder / name, allow_pickle=False) for name in names}
    doubles = {name: array for name, array in arrays.items() if array.dtype == np.float64}
    assert len(doubles) > 200
    for name, array in doubles.items():
        if name.endswith("task_weights.npy"):
            continue  # 1/sqrt(n_t) is none
        mantissas = np.ldexp(np.frexp(array)[0], 24)
        assert (mantissas == np.round(mantissas)).all(), name
        assert (array.astype(np.float32) == array).all(), name


@pytest.mark.slow
def test_a_pack_made_again_is_the_same_and_a_changed_one_is_not(tmp_path):
    name = "tiny-t2-d1-mean"
    assert make.main([name, "--to", str(tmp_path)]) == 0
    pack = read_pack(tmp_path / name)
    there = read_pack(name)
    assert pack.digits["W"] == there.digits["W"] and pack.digits["objective"] == there.digits["objective"]
    for block in ("W", "B"):
        assert pack.solution[block].tobytes() == there.solution[block].tobytes()
    assert make.differences(RECIPES[name], pack) == []
    digits = json.loads((pack.folder / "digits.json").read_text())
    digits["objective"] = digits["objective"][:-1] + str((int(digits["objective"][-1]) + 1) % 10)
    other = Pack(folder=pack.folder, about=pack.about)
    other.__dict__["digits"] = digits
    assert make.differences(RECIPES[name], other) == ["digits.json: objective has other decimals"]
    other.__dict__["solution"] = {**pack.solution, "B": pack.solution["B"].T}
    found = make.differences(RECIPES[name], other)
    assert [words.split(" differs by ")[0] for words in found[:2]] == ["solution/B", "W B"]
    assert len(found) == 3


def test_a_stored_proof_knows_of_a_lower_point():
    pack, recipe = read_pack("tiny-t2-minima-a"), RECIPES["tiny-t2-minima-a"]
    stated, answers = recipe.stated(), module("recipes.answers")
    assert answers.bounded(stated, pack.solution, pack.proof) == (None, pack.proof)
    lower, proof = answers.bounded(stated, pack.minima[0], pack.proof)
    assert proof == pack.proof
    for block in ("W", "B"):
        assert np.allclose(lower[block], pack.solution[block], rtol=1e-7, atol=0.0)
        assert not np.allclose(pack.minima[0][block], pack.solution[block], rtol=1e-2)


def test_another_recipe_of_the_name_is_seen(tmp_path):
    name = "tiny-t2-d1-mean"
    shutil.copytree(packs_folder() / name, tmp_path / name)
    recipe = RECIPES["tiny-t2-d1-sum"]
    found = make.data_differences(recipe, recipe.stated(), read_pack(tmp_path / name))
    assert "problem/X.npy differs" in found and "problem/problem.json differs" in found
    assert "pack.json: title differs" in found


def test_draws_are_the_words_of_shake_256():
    text = hashlib.shake_256(b"amtl_cvx reference pack/a name/X").digest(8 * 6)
    words = [int.from_bytes(text[8 * k : 8 * k + 8], "little") for k in range(6)]
    drawn = integers.Draws("a name").integers("X", (3, 2), -7, 5)
    assert drawn.ravel().tolist() == [-7 + word % 13 for word in words]
    assert drawn.dtype == np.int64
    bell = integers.Draws("a name").bell("X", 500, 9)
    assert np.abs(bell).max() <= 36 and set(np.unique(integers.Draws("b").signs("s", 99))) == {-1, 1}


def test_dyadic_numbers_are_exact_and_no_longer_than_24_bits():
    whole = np.array([0, -3, 2**24 - 1, 2**40, -5 * 2**30])
    assert [value * 2**9 for value in map(float, integers.dyadic(whole, 9))] == whole.tolist()
    with pytest.raises(ValueError, match="25 significant bits"):
        integers.dyadic(np.array([1, 2**24 + 1]), 0)


def test_a_trait_that_is_none_is_refused():
    recipe = module("recipes.recipe").Recipe
    with pytest.raises(ValueError, match="unknown traits"):
        recipe(name="x", title="x", grade="easy", traits=("nice",), state=lambda draws: None)


def test_every_check_of_every_pack_holds(packs):
    failed = {pack.name: pack.claims["checks"] for pack in packs if not all(pack.claims["checks"].values())}
    assert not failed


@pytest.mark.slow
def test_traits_are_true(packs):
    """Those that the data show by themselves."""
    for pack in packs:
        traits, rows, d = pack.about["traits"], pack.about["rows"], pack.about["d"]
        tasks, model = pack.problem.tasks, pack.problem.model
        assert ("n < d" in traits) <= (min(rows) < d), pack.name
        if "collinear features" in traits:
            assert max(np.linalg.matrix_rank(task.X) - min(task.X.shape) for task in tasks) < 0, pack.name
        if "row weights" in traits:
            assert tasks.weighted, pack.name
        if "unbalanced n_t" in traits:
            assert max(rows) >= 6 * min(rows), pack.name
        if "weights over ten orders of magnitude" in traits:
            c = model.task_weight(tasks)
            of_rows = np.concatenate([task.sample_weight for task in tasks]) if tasks.weighted else c
            of_rows = of_rows[of_rows > 0]
            assert max(c.max() / c.min(), of_rows.max() / of_rows.min()) >= 1e10, pack.name
        if "near-singular I - B" in traits:
            B = pack.solution.get("B", pack.given.get("B"))
            assert np.linalg.svd(np.eye(len(B)) - B, compute_uv=False)[-1] < 2e-3, pack.name
        if "empty graph" in traits:
            assert not pack.solution["B"].any(), pack.name


def test_prices_have_their_closed_forms():
    """l = (4, 16, 4) and w = (1, 2, -1) at B = 0: J is 25 or 30, four times that for sums."""
    values = {"at": 25, "above": 25, "far-above": 25, "at-sum": 100, "above-three": 30}
    for name, value in values.items():
        pack = read_pack(f"price-{name}")
        assert not pack.solution["B"].any()
        assert pack.solution["W"].tolist() == [[1.0, 2.0, -1.0][: pack.about["T"]]]
        assert Fraction(pack.claims["objective"]["decimal"]) == value
        if name.startswith("at"):
            point = pack.problem.at(**pack.solution)
            assert point.gradient_B[0, 1] == 0.0 < point.gradient_B[1, 0]
    below = read_pack("price-below")
    assert below.solution["B"][0, 1] > 0.0 == below.solution["B"][1, 0]
    assert Fraction(below.digits["objective"]) < 25


def test_one_task_of_one_feature_is_ridge_regression():
    pack = read_pack("tiny-t1-d1")
    task, coupling = pack.problem.tasks[0], Fraction(pack.problem.model.coupling)
    x, y = ([Fraction(value) for value in block.ravel().tolist()] for block in (task.X, task.y))
    s, v = sum(a * a for a in x) / len(x), sum(a * b for a, b in zip(x, y, strict=True)) / len(x)
    w = v / (s + coupling)
    value = sum(b * b for b in y) / len(y) - w * v
    assert abs(Fraction(pack.digits["W"][0][0]) - w) <= Fraction(1, 10**39) * abs(w)
    assert abs(Fraction(pack.digits["objective"]) - value) <= Fraction(1, 10**39) * value


def test_digits_in_balls_lie_in_exact_enclosures(packs):
    """Ball arithmetic next to a point and rational arithmetic over all points: two ways to one minimum."""
    both = [pack for pack in packs if pack.proof is not None and pack.digits is not None]
    assert len(both) >= 40
    for pack in both:
        lower, upper = Fraction(pack.proof["lower"]), Fraction(pack.proof["upper"])
        value = Fraction(pack.digits["objective"])
        room = value / 10**38 + (upper - lower) * (pack.problem.model.task_weights == "inverse-sqrt")
        assert lower - room <= value <= upper + room, pack.name
        assert upper - lower <= value / 10**15, pack.name


def test_all_packs_together_are_small():
    files = [path for path in packs_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20 * 2**20
    assert all(path.stat().st_size <= 120_000 for path in files if path.name == "proof.json")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_packs_are_made_again(part):
    """The check of the command on a third of the packs: digits are found and proven again."""
    names = list(pack_names())[part::6]
    assert make.run(names, way="check", place=Path(packs_folder()), processes=1) == 0
