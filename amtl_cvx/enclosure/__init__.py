r"""A proven global minimum of small squared-loss problems: an enclosure [lower, upper] in exact rationals.

    found = enclose(tasks, model, W, B)
    found.lower <= min J <= found.upper        # Fractions; nothing rests on a solver being right
    found.save("proof.json")                   # python -m amtl_cvx.enclosure.checker proof.json

The chapters, in the order of a proof (theory.md section 11):

    exact        the problem in rationals
    box          the box in which every point with J <= U lies, derived from the data
    point        U: many starts, the best point polished to more digits than a double has, J exact
    polynomial   J on the box in scaled variables around that point
    relaxation   J - U as a structured sum of squares: a semidefinite CVXPY problem
    rounding     its Gram matrices to exact dyadic factors; what is left over becomes the width
    zoom         variables of the size of the problem, where the box is hundreds wide
    cells        one proof for each part of the box, where one relaxation leaves a gap
    sdpa         the relaxation in multiple precision (extra `[global]`)
    proof        the proof as JSON
    stored       such a file read back, and held against the problem at hand
    checker      a stand-alone program that verifies it without any solver
"""

from __future__ import annotations

from amtl_cvx.enclosure.box import Box, check_box, derive_box
from amtl_cvx.enclosure.enclose import Enclosure, enclose
from amtl_cvx.enclosure.stored import checked_bounds, read_proof, stored_enclosure

__all__ = [
    "Box",
    "Enclosure",
    "check_box",
    "checked_bounds",
    "derive_box",
    "enclose",
    "read_proof",
    "stored_enclosure",
]
