"""Shared features on the command line: every wrong word is a line, exit 2, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error, listing

WEIGHTS = ("--features", "2", "--mu", "0.05", "--gamma", "0.02", "--decay", "0.05")
GO_MTL = ("--method", "go-mtl", "--features", "2", "--mu", "0.05", "--decay", "0.05")
WRONG = [
    ((), ("--method amtfl-linear needs --features, --mu, --gamma, --decay",)),
    (("--features", "2", "--gamma", "0", "--decay", "1"), ("needs --mu",)),
    ((*WEIGHTS, "--coupling", "1"), ("--coupling is of AMTL", "not of --method amtfl-linear", "--features")),
    ((*WEIGHTS, "--coupling", "auto"), ("--coupling is of AMTL",)),
    ((*WEIGHTS, "--mu", "auto"), ("--mu of --method amtfl-linear must be a number, got 'auto'",)),
    ((*WEIGHTS, "--transfer", "l1"), ("--transfer is of AMTL",)),
    ((*WEIGHTS, "--omega", "ridge:1"), ("--omega is of AMTL",)),
    ((*WEIGHTS, "--ridge", "1"), ("--ridge is of AMTL",)),
    ((*WEIGHTS, "--sweep", "tasks"), ("--sweep is of AMTL",)),
    ((*WEIGHTS, "--engine", "fast"), ("--engine is of AMTL",)),
    ((*WEIGHTS, "--features", "0"), ("features", "got 0")),
    ((*WEIGHTS, "--features", "2.5"), ("--features", "2.5")),
    ((*WEIGHTS, "--mu", "0"), ("mu must be > 0",)),
    ((*WEIGHTS, "--mu", "nan"), ("mu", "nan")),
    ((*WEIGHTS, "--alpha", "-1"), ("alpha", "got -1")),
    ((*WEIGHTS, "--gamma", "-1e-3"), ("gamma", "-0.001")),
    ((*WEIGHTS, "--decay", "inf"), ("decay", "inf")),
    ((*WEIGHTS, "--price-floor", "-1"), ("price_floor", "-1")),
    ((*WEIGHTS, "--alpha", "0", "--gamma", "0", "--decay", "0"), ("decay must be > 0",)),
    ((*WEIGHTS, "--gamma-per", "task"), ("'total', 'row'",)),
    ((*WEIGHTS, "--feedback", "both"), ("'signed', 'nonnegative'",)),
    ((*WEIGHTS, "--reconstruct", "none"), ("'all', 'labelled'",)),
    ((*WEIGHTS, "--init", "zero"), ("'svd', 'random'",)),
    ((*WEIGHTS, "--loss", "hinge"), ("hinge", "kinks")),
    ((*WEIGHTS, "--loss", "logistic"), ("logistic",)),
    ((*WEIGHTS, "--task-weights", "magic"), ("inverse-sqrt",)),
    ((*WEIGHTS, "--solver", "GUROBY"), ("CLARABEL",)),
    ((*WEIGHTS, "--tol", "0"), ("tol",)),
]  # fmt: skip


@pytest.mark.parametrize("options, words", WRONG)
def test_wrong_words_are_told_in_a_line(run: Run, tmp_path: Path, options: Any, words: Any) -> None:
    np.savez("a.npz", **arrays())
    assert_error(run("fit", "a.npz", "--out", "new/run", "--method", "amtfl-linear", *options), *words)
    assert listing(tmp_path) == {"a.npz"}


@pytest.mark.parametrize(
    "options, words",
    [
        (
            (*GO_MTL, "--alpha", "1"),
            ("--alpha is of AMTFL", "not of --method go-mtl", "--features, --mu, --decay"),
        ),
        ((*GO_MTL, "--gamma-per", "row"), ("--gamma-per is of AMTFL",)),
        ((*GO_MTL, "--decay", "0"), ("decay must be > 0",)),
        ((*GIVEN, "--alpha", "1"), ("--alpha is of AMTFL (--method amtfl-linear)", "--method alternating")),
        ((*GIVEN, "--features", "2"), ("--features is of AMTFL",)),
        ((*GIVEN, "--init", "svd"), ("--init is of AMTFL",)),
    ],
)
def test_options_beside_another_method(run: Run, options: Any, words: Any) -> None:
    np.savez("a.npz", **arrays())
    assert_error(run("fit", "a.npz", "--out", "new", *options), *words)


def test_blocks_of_another_shape_or_with_feedback_are_told_in_a_line(run: Run) -> None:
    """From a file alone nothing is known of the data; an A that is not 0 is not of GO-MTL."""
    data = arrays()
    np.savez("a.npz", **data)
    d, k, T = data["X"].shape[1], 2, 3
    rng = np.random.default_rng(1)
    L, S, A = rng.normal(size=(d, k)), rng.normal(size=(k, T)), np.zeros((T, k))
    np.savez("zero.npz", L=L, S=S, A=A)
    np.savez("given.npz", L=L, S=S, A=A - 0.1)
    np.savez("turned.npz", L=L.T, S=S.T)
    assert run("certify", "a.npz", "zero.npz", *GO_MTL).code == 1
    assert_error(
        run("certify", "a.npz", "given.npz", *GO_MTL),
        "the file has feedback A",
        "--method amtfl-linear",
    )
    assert_error(
        run("certify", "a.npz", "turned.npz", *GO_MTL),
        f"S must have shape ({d}, {k}) for {d} learned features and {k} tasks, the columns of L and S",
    )
