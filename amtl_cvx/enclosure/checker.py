"""Verify a stored proof of a global minimum, exactly and alone: no solver, no NumPy, no other file.

    python checker.py FILE        prints the enclosure and exits 0, or says what is wrong and exits 1

1. With m_t = min c_t l_t and Delta = level - sum m_t, all points with J <= level, level >= upper = J(W, B),
   have |w_ti - what_ti| <= sqrt(Delta (G_t^-1)_ii / weight_t) and sum_st mu m_s B[s][t] <= Delta. The stored
   radii are checked to reach as far around the stored (W, B): abs(x_k) <= 1 in z = centre + radius x.
2. The inequalities h >= 0 there: each B[s][t] / radius, then the budget 1 - sum_st mu m_s B[s][t] / Delta. A
   cut [k, at] makes two cells, "above", h_k - at >= 0, and "below", at - h_k >= 0, which may be cut again.
3. In a cell S = unit * sum_k |L_k'm_k|^2 weight_k >= 0 with a weight that is 1, one h, the product of two or
   (level - sum c_t l_t) / Delta. J = upper + S + rest, expanded, and a monomial is at most 1, so that
   J >= upper + constant of the rest - sum of the absolute values of its other coefficients.
"""

import json
import sys
from fractions import Fraction
from typing import Any

Poly = dict[tuple[int, ...], Fraction]  # {variables of the monomial, sorted: coefficient}
ZERO, ONE = Fraction(0), Fraction(1)


def main(arguments: list[str]) -> int:
    """Check one file, print what is proved; the exit code."""
    try:
        with open(arguments[0], encoding="utf-8") as file:
            lower, upper = check(json.load(file))
        width = float((upper - lower) / upper)
        print(f"proved: {float(lower):.17g} <= min J <= {float(upper):.17g}, relative width {width:.2e}")
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, AttributeError, OSError) as error:
        print(f"NOT PROVED: {type(error).__name__}: {error}")
        return 1
    return 0


def check(proof: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """The bounds (lower, upper) that the proof establishes; ValueError where it does not."""
    require(proof["format"] == "amtl-cvx global minimum 1", "unknown format")
    problem = Problem(proof)
    T, d, edges = problem.T, problem.d, problem.edges
    W, B = ([[Fraction(value) for value in row] for row in proof[name]] for name in "WB")
    require([len(row) for row in W] == [T] * d and [len(row) for row in B] == [T] * T, "W (d, T), B (T, T)")
    require(all(B[s][t] >= 0 and (s != t or B[s][t] == 0) for s in range(T) for t in range(T)), "invalid B")
    centre = [value for row in W for value in row] + [B[s][t] for s, t in edges]
    level, radius = Fraction(proof["level"]), [Fraction(value) for value in proof["radius"]]
    require(len(radius) == len(centre) and min(radius) > 0, "one positive radius per variable")
    z: list[Poly] = [{(): c, (k,): r} for k, (c, r) in enumerate(zip(centre, radius, strict=True))]
    b = dict(zip(edges, z[d * T :], strict=True))
    J, losses = problem.objective([z[i * T : (i + 1) * T] for i in range(d)], b)
    upper = J[()]  # x = 0 is the point itself
    require(upper <= level, "J(W, B) is above the level of the box")
    minima, delta = problem.check_box(level, centre, radius)
    linear = [scale(b[edge], 1 / r) for edge, r in zip(edges, radius[d * T :], strict=True)]
    linear.append(add({(): ONE}, *(scale(b[s, t], -problem.mu * minima[s] / delta) for s, t in edges)))
    sublevel = scale(add({(): level}, *(scale(loss, -ONE) for loss in losses)), 1 / delta)
    unit, bits = Fraction(proof["unit"]), proof["bits"]
    require(unit > 0 and isinstance(bits, int) and 0 <= bits <= 10000, "unit and bits must be positive")
    lower = upper + excess_above(proof, add(J, {(): -upper}), linear, sublevel, unit / 4**bits)
    require(Fraction(proof["upper"]) == upper, f"J(W, B) is {float(upper):.17g}, not the upper bound claimed")
    require(Fraction(proof["lower"]) == lower, f"{float(lower):.17g} is proved, not the lower bound claimed")
    return lower, upper


class Problem:
    """The data in exact numbers: weight_t (w'G_t w - 2 h_t'w + k_t) is c_t l_t."""

    def __init__(self, proof: dict[str, Any]) -> None:
        self.mu, self.coupling = (Fraction(float.fromhex(proof[name])) for name in ("mu", "coupling"))
        prices, tasks, reduction = rationals(proof["task_weights"]), proof["tasks"], proof["reduction"]
        require(len(prices) == len(tasks) > 0 and min(prices) > 0, "one positive weight per task")
        require(self.coupling > 0 and (self.mu > 0 or len(tasks) == 1), "mu and coupling must be positive")
        require(reduction in ("mean", "sum"), "the reduction must be mean or sum")
        self.T, self.d = len(tasks), len(tasks[0]["X"][0])
        self.edges = [(s, t) for s in range(self.T) for t in range(self.T) if s != t]
        self.gram, self.moment, self.square, self.weight = [], [], [], []
        for task, c in zip(tasks, prices, strict=True):
            X, y, n = [rationals(row) for row in task["X"]], rationals(task["y"]), task["n"]
            require(len(X) == len(y) and all(len(row) == self.d for row in X), "X and y must fit")
            require(isinstance(n, int) and n > 0, "n must be a positive whole number")
            columns = list(zip(*X, strict=True))
            self.gram.append([[dot(u, v) for v in columns] for u in columns])
            self.moment.append([dot(u, y) for u in columns])
            self.square.append(dot(y, y))
            self.weight.append(c / n if reduction == "mean" else c)

    def objective(self, w: list[list[Poly]], b: dict[tuple[int, int], Poly]) -> tuple[Poly, list[Poly]]:
        """J and the list of c_t l_t, from the polynomials w[i][t] and b[s, t]."""
        losses, terms = [], []
        for t in range(self.T):
            parts: list[Poly] = [{(): self.square[t]}]
            for i, row in enumerate(w):
                parts.append(scale(row[t], -2 * self.moment[t][i]))
                parts += [scale(product(row[t], w[j][t]), self.gram[t][i][j]) for j in range(self.d)]
                used = (scale(product(edge, row[s]), -ONE) for (s, target), edge in b.items() if target == t)
                residual = add(row[t], *used)
                terms.append(scale(product(residual, residual), self.coupling))
            losses.append(scale(add(*parts), self.weight[t]))
            given = add(*(edge for (s, _), edge in b.items() if s == t))
            terms.append(product(losses[t], add({(): ONE}, scale(given, self.mu))))
        return add(*terms), losses

    def check_box(self, level: Fraction, centre: list[Fraction], radius: list[Fraction]) -> Any:
        """The minimal losses m_t and Delta; ValueError unless the radii cover the box of J <= level."""
        inverses = [inverse(gram) for gram in self.gram]
        fits = [[dot(row, h) for row in inv] for inv, h in zip(inverses, self.moment, strict=True)]
        minima = [self.weight[t] * (self.square[t] - dot(self.moment[t], fit)) for t, fit in enumerate(fits)]
        delta = level - sum(minima)
        require(delta > 0 and (self.T == 1 or min(minima) > 0), "a minimal loss is 0 or the level too low")
        for i in range(self.d):
            for t in range(self.T):
                room = radius[i * self.T + t] - abs(fits[t][i] - centre[i * self.T + t])
                reach = delta * inverses[t][i][i] / self.weight[t]
                require(room >= 0 and room**2 >= reach, f"the radius of W[{i}][{t}] cuts off part of the box")
        for k, (s, t) in enumerate(self.edges, self.d * self.T):
            reach = max(centre[k], delta / (self.mu * minima[s]) - centre[k])
            require(radius[k] >= reach, f"the radius of B[{s}][{t}] cuts off part of the box")
        return minima, delta


def excess_above(cell: Any, excess: Poly, linear: list[Poly], sublevel: Poly, unit: Fraction) -> Fraction:
    """A lower bound of the excess J - upper in a cell: by its sums of squares, or by those of its parts."""
    if "cut" in cell:
        k, at = cell["cut"]
        above = add(weight([k], linear, sublevel), {(): -Fraction(at)})
        parts = ((cell["above"], above), (cell["below"], scale(above, -ONE)))
        return min(excess_above(part, excess, [*linear, h], sublevel, unit) for part, h in parts)
    squares = [square(block["basis"], block["factor"]) for block in cell["blocks"]]
    weights = [weight(block["of"], linear, sublevel) for block in cell["blocks"]]
    rest = add(excess, *(scale(product(p, q), -unit) for p, q in zip(squares, weights, strict=True)))
    require(len(set().union(*rest)) <= len(set().union(*excess)), "unknown variable")
    return rest[()] - sum(abs(value) for monomial, value in rest.items() if monomial)


def square(basis: list[list[int]], factor: list[list[int]]) -> Poly:
    """m'L L'm for the monomials m and a factor L of whole numbers, whose rows may end before their zeros."""
    rows = [(tuple(m), u) for m, u in zip(basis, factor, strict=True)]
    products = (((*m, *n), sum(map(int.__mul__, u, v))) for m, u in rows for n, v in rows)
    return add(*({tuple(sorted(monomial)): Fraction(value)} for monomial, value in products))


def weight(name: Any, linear: list[Poly], sublevel: Poly) -> Poly:
    """The non-negative polynomial that a block is multiplied with."""
    if name in ("1", "sublevel"):
        return {(): ONE} if name == "1" else sublevel
    require(isinstance(name, list) and 1 <= len(name) <= 2, "unknown weight")
    require(all(isinstance(k, int) and 0 <= k < len(linear) for k in name), "unknown inequality")
    return linear[name[0]] if len(name) == 1 else product(linear[name[0]], linear[name[1]])


def add(*polynomials: Poly) -> Poly:
    """Sum of polynomials."""
    total: Poly = {(): ZERO}
    for polynomial in polynomials:
        for monomial, value in polynomial.items():
            total[monomial] = total.get(monomial, ZERO) + value
    return total


def product(p: Poly, q: Poly) -> Poly:
    """Product of two polynomials."""
    return add(*({tuple(sorted(m + n)): a * b} for m, a in p.items() for n, b in q.items()))


def scale(polynomial: Poly, factor: Fraction) -> Poly:
    """factor * polynomial."""
    return {monomial: factor * value for monomial, value in polynomial.items()}


def dot(u: Any, v: Any) -> Fraction:
    """Inner product."""
    return sum((a * b for a, b in zip(u, v, strict=True)), ZERO)


def inverse(A: list[list[Fraction]]) -> list[list[Fraction]]:
    """A^-1 by elimination; ValueError for a singular A."""
    n = len(A)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(A)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k] != 0), k)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]  # ZeroDivisionError where X_t is rank-deficient
        for i in (i for i in range(n) if i != k):
            rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[n:] for row in rows]


def rationals(texts: list[str]) -> list[Fraction]:
    """The rationals that hexadecimal floats stand for."""
    return [Fraction(float.fromhex(text)) for text in texts]


def require(condition: bool, message: str) -> None:
    """ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
