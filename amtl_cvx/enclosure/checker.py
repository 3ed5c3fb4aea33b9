"""Verify a stored proof of a global minimum, exactly and alone: no solver, no NumPy, no other file.

    python checker.py FILE [STEPS]        prints the enclosure and exits 0, or says what is wrong and exits 1

0. A task weight "1/sqrt(n)" is the real number, between two rationals. J does not fall as it rises: this is J
   of the lower ones, upper that times the largest ratio. Rows a >= 0, g of "omega" add sum a |W g|^2 to J.
1. With m_t = min c_t l_t and Delta = level - sum m_t, all points with J <= level, level >= upper = J(W, B),
   have |w_ti - what_ti| <= sqrt(Delta (G_t^-1)_ii / weight_t) and sum_st mu m_s B[s][t] <= Delta. The stored
   radii are checked to reach as far around the stored (W, B): abs(x_k) <= 1 in z = centre + radius x.
2. The inequalities h >= 0 there: each B[s][t] / radius, then the budget 1 - sum_st mu m_s B[s][t] / Delta. A
   cut [k, at] makes two cells, "above", h_k - at >= 0, and "below", at - h_k >= 0, which may be cut again.
3. In a cell J = upper + S + rest, S = unit * sum_k |L_k'm_k|^2 weight_k >= 0, a weight being 1, one h, two or
   (level - sum c_t l_t) / Delta. Monomials are at most 1: J >= upper + constant of rest - sum |its others|.
"""

import hashlib
import json
import sys
from fractions import Fraction
from typing import Any

Poly = dict[tuple[int, ...], Fraction]  # {variables of the monomial, sorted: coefficient}
ZERO, ONE = Fraction(0), Fraction(1)
BYTES, DIGITS, STEPS, left = 2**25, 4000, 2_000_000, [0]  # limits, and how many steps (5 us each) are left
FORMATS = tuple(f"amtl-cvx global minimum {k}" for k in "1234")  # 1: rational c_t; 3: omega; 4: row weights


def main(arguments: list[str]) -> int:
    """Check one file, print what is proved; the exit code."""
    try:
        with open(arguments[0], "rb") as file:
            require(len(text := file.read(BYTES + 1)) <= BYTES, f"the file has more than {BYTES} bytes")
        a, b = check(proof := json.loads(text), *map(int, arguments[1:]))
        print(f"proved: {figure(a, 17, 1)} <= min J <= {figure(b, 17, -1)},", end=" ")
        print(f"relative width {figure(1 - a / b, 3, -1)}\nof the problem: {identity(proof)}")
    except Exception as error:  # a file can raise anything
        why = "not JSON" if isinstance(error, json.JSONDecodeError | UnicodeError) else type(error).__name__
        print(f"NOT PROVED: {why}: {error}"[:300].replace("\n", " "))
        return 1
    return 0


def check(proof: dict[str, Any], most: int = STEPS) -> tuple[Fraction, Fraction]:
    """The bounds (lower, upper) that the proof establishes; ValueError where it does not."""
    require(proof["format"] in FORMATS[3 * any("weights" in x for x in proof["tasks"]) :], "unknown format")
    left[0] = most
    problem = Problem(proof)
    T, d, edges = problem.T, problem.d, problem.edges
    W, B = ([[*map(number, row)] for row in proof[name]] for name in "WB")
    require([len(row) for row in W] == [T] * d and [len(row) for row in B] == [T] * T, "W (d, T), B (T, T)")
    require(all(B[s][t] >= 0 and (s != t or B[s][t] == 0) for s in range(T) for t in range(T)), "invalid B")
    centre = [value for row in W for value in row] + [B[s][t] for s, t in edges]
    level, radius = number(proof["level"]), [*map(number, proof["radius"])]
    require(len(radius) == len(centre) and min(radius) > 0, "one positive radius per variable")
    z: list[Poly] = [{(): c, (k,): r} for k, (c, r) in enumerate(zip(centre, radius, strict=True))]
    b = dict(zip(edges, z[d * T :], strict=True))
    J, losses = problem.objective([z[i * T : (i + 1) * T] for i in range(d)], b)
    low, upper = J[()], J[()] * problem.ratio  # x = 0 is the point itself
    require(low <= level, "J(W, B) is above the level of the box")
    minima, delta = problem.check_box(level, centre, radius)
    linear = [scale(b[edge], 1 / r) for edge, r in zip(edges, radius[d * T :], strict=True)]
    linear.append(add({(): ONE}, *(scale(b[s, t], -problem.mu * minima[s] / delta) for s, t in edges)))
    sublevel = scale(add({(): level}, *(scale(loss, -ONE) for loss in losses)), 1 / delta)
    unit, bits = number(proof["unit"]), proof["bits"]
    require(unit > 0 and isinstance(bits, int) and 0 <= bits <= 1000, "unit and bits must be positive")
    lower = low + excess_above(proof, add(J, {(): -low}), linear, sublevel, unit / 4**bits)
    require(number(proof["upper"]) == upper, f"J(W, B) is {float(upper):.17g}, not the upper bound claimed")
    require(number(proof["lower"]) == lower, f"{float(lower):.17g} is proved, not the lower bound claimed")
    return lower, upper


def identity(proof: dict[str, Any]) -> str:
    """Which problem it is; the hash is of lines "x_1 ... x_d y [v]", p/q, an empty one between two tasks."""
    weights = ", ".join(text if "sqrt" in text else str(number(text)) for text in proof["task_weights"])
    mu, coupling = (float(number(proof[name])) for name in ("mu", "coupling"))
    n, data = [task["n"] for task in proof["tasks"]], hashlib.sha256()
    for k, task in enumerate(proof["tasks"]):
        columns = [task[key] for key in ("X", "y", "weights") if key in task]
        rows = (" ".join(map(str, map(number, [*x, *y]))) for x, *y in zip(*columns, strict=True))
        data.update((bool(k) * "\n" + "".join(row + "\n" for row in rows)).encode())
    settings = f"mu {mu!r}, coupling {coupling!r}, {proof['reduction']} of rows, task weights {weights}"
    settings += "".join(f", omega {' '.join(map(str, map(number, row)))}" for row in proof.get("omega", ()))
    return f"T {len(n)}, d {len(proof['W'])}, n {n}, {settings}, sha256 of the data {data.hexdigest()}"


def figure(value: Fraction, digits: int, side: int) -> str:
    """The value to so many digits, rounded down (side 1) or up (side -1)."""
    power = int(f"{float(value):e}".partition("e")[2]) - digits + 1
    whole = str(side * (side * value / Fraction(10) ** power // 1))
    return f"{whole[: 1 - digits]}.{whole[1 - digits :]}e{power + digits - 1}"


class Problem:
    """Exact data: weight_t (w'G_t w - 2 h_t'w + k_t) is c_t l_t, rows counting as often as "weights" says."""

    def __init__(self, proof: dict[str, Any]) -> None:
        self.mu, self.coupling = (number(proof[name]) for name in ("mu", "coupling"))
        prices, tasks, reduction = [*map(ends, proof["task_weights"])], proof["tasks"], proof["reduction"]
        require(100 > len(prices) == len(tasks) > 0 and min(prices)[0] > 0, "one positive weight per task")
        self.T, self.d, self.ratio = len(tasks), len(tasks[0]["X"][0]), max(b / a for a, b in prices)
        require(all(float(x) == x > 0 for x in [self.coupling] + [self.mu] * (self.T > 1)), "mu, coupling")
        self.edges = [(s, t) for s in range(self.T) for t in range(self.T) if s != t]
        self.omega = [[*map(number, row)] for row in proof.get("omega", ())]
        require(all(a >= 0 and len(g) == self.T for a, *g in self.omega), "omega must be rows a >= 0, g (T)")
        self.gram, self.moment, self.square, self.weight = [], [], [], []
        for task, (c, _) in zip(tasks, prices, strict=True):
            X, y, n = [[*map(number, row)] for row in task["X"]], [*map(number, task["y"])], task["n"]
            columns, v = list(zip(*X, strict=True)), [*map(number, task.get("weights", ["1"] * len(y)))]
            require(len(columns) == self.d < 100 and n == len(y) and min(v) > 0, "X, y, n or weights misfit")
            *pulls, last = ([spent(a * b) for a, b in zip(v, u, strict=True)] for u in (*columns, y))
            self.gram.append([[dot(u, x) for x in columns] for u in pulls])
            self.moment.append([dot(u, y) for u in pulls])
            self.square.append(dot(last, y))
            self.weight.append({"mean": c / sum(v), "sum": c}[reduction])

    def objective(self, w: list[list[Poly]], b: dict[tuple[int, int], Poly]) -> tuple[Poly, list[Poly]]:
        """J and the list of c_t l_t, from the polynomials w[i][t] and b[s, t]."""
        losses, terms = [], []
        for t in range(self.T):
            parts: list[Poly] = [{(): self.square[t]}]
            for i, row in enumerate(w):
                parts.append(scale(row[t], -2 * self.moment[t][i]))
                parts += [scale(product(row[t], w[j][t]), self.gram[t][i][j]) for j in range(self.d)]
                misfit = add(row[t], *(scale(product(e, row[s]), -ONE) for (s, u), e in b.items() if u == t))
                terms.append(scale(product(misfit, misfit), self.coupling))
            losses.append(scale(add(*parts), self.weight[t]))
            given = add(*(edge for (s, _), edge in b.items() if s == t))
            terms.append(product(losses[t], add({(): ONE}, scale(given, self.mu))))
        terms += [scale(product(p := add(*map(scale, r, g)), p), a) for a, *g in self.omega for r in w]
        return add(*terms), losses

    def check_box(self, level: Fraction, centre: list[Fraction], radius: list[Fraction]) -> Any:
        """The minimal losses m_t and Delta; ValueError unless the radii cover the box of J <= level."""
        inverses = [inverse(gram) for gram in self.gram]
        fits = [[dot(row, h) for row in inv] for inv, h in zip(inverses, self.moment, strict=True)]
        minima = [self.weight[t] * (self.square[t] - dot(self.moment[t], fit)) for t, fit in enumerate(fits)]
        delta = level - sum(minima)
        require(delta > 0 and (self.T == 1 or min(minima) > 0), "a minimal loss is 0 or the level too low")
        for i, t in ((i, t) for i in range(self.d) for t in range(self.T)):
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
        above = add(weight(cell["cut"][:1], linear, sublevel), {(): -number(cell["cut"][1])})
        parts = ((cell["above"], above), (cell["below"], scale(above, -ONE)))
        return min(excess_above(part, excess, [*linear, h], sublevel, unit) for part, h in parts)
    pairs = ((square(block["basis"], block["factor"]), block["of"]) for block in cell["blocks"])
    rest = add(excess, *(scale(product(p, weight(of, linear, sublevel)), -unit) for p, of in pairs))
    require(len(set().union(*rest)) <= len(set().union(*excess)), "unknown variable")
    return rest[()] - sum(abs(value) for monomial, value in rest.items() if monomial)


def square(basis: list[list[int]], factor: list[list[int]]) -> Poly:
    """m'L L'm for the monomials m and a factor L of whole numbers, whose rows may end before their zeros."""
    rows = [(tuple(m), u) for m, u in zip(basis, factor, strict=True)]
    products = ((m + n, Fraction(sum(map(int.__mul__, u, v))), len(u)) for m, u in rows for n, v in rows)
    return add(*({tuple(sorted(m)): spent(value, 1 + len(m) + size // 16)} for m, value, size in products))


def weight(name: Any, linear: list[Poly], sublevel: Poly) -> Poly:
    """The non-negative polynomial that a block is multiplied with."""
    if name in ("1", "sublevel"):
        return {(): ONE} if name == "1" else sublevel
    require(0 < len(name) < 3 and all(isinstance(k, int) and 0 <= k < len(linear) for k in name), "no weight")
    return linear[name[0]] if len(name) == 1 else product(linear[name[0]], linear[name[1]])


def add(*polynomials: Poly) -> Poly:
    """Sum of polynomials."""
    total: Poly = {(): ZERO}
    for monomial, value in (term for polynomial in polynomials for term in polynomial.items()):
        total[monomial] = spent(total.get(monomial, ZERO) + value)
    return total


def product(p: Poly, q: Poly) -> Poly:
    """Product of two polynomials."""
    return add(*({tuple(sorted(m + n)): spent(a * b) for n, b in q.items()} for m, a in p.items()))


def scale(polynomial: Poly, factor: Fraction) -> Poly:
    """factor * polynomial."""
    return {monomial: factor * value for monomial, value in polynomial.items()}


def dot(u: Any, v: Any) -> Fraction:
    """Inner product."""
    return spent(sum((a * b for a, b in zip(u, v, strict=True)), ZERO), 1 + 2 * len(u))


def inverse(A: list[list[Fraction]]) -> list[list[Fraction]]:
    """A^-1 of a Gram matrix, by elimination: a pivot is 0 only where A is singular."""
    rows = [[*row, *(Fraction(int(i == j)) for j in range(len(A)))] for i, row in enumerate(A)]
    for k in range(len(A)):
        rows[k] = [value / rows[k][k] for value in rows[k]]  # ZeroDivisionError where X_t is rank-deficient
        for i in (i for i in range(len(A)) if i != k):
            rows[i] = [spent(a - rows[i][k] * b) for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[len(A) :] for row in rows]


def number(text: str) -> Fraction:
    """The rational that "p/q" or a hexadecimal float stands for."""
    require("x" in text or (len(text) <= DIGITS and set(text) <= set("-/0123456789")), "not p/q, or too long")
    return Fraction(float.fromhex(text) if "x" in text else text)


def ends(text: str) -> tuple[Fraction, Fraction]:
    """A task weight between rationals: p/q is both, "1/sqrt(n)" lies between two multiples of 2^-128."""
    if not text.startswith("1/sqrt("):
        return number(text), number(text)
    n, low = number(text[7:-1]), 0
    require(n >= 1 and text == f"1/sqrt({n})", "not 1/sqrt(n)")
    for bit in (2**k for k in range(128, -1, -1)):
        low += bit * ((low + bit) ** 2 * n <= 4**128)
    return Fraction(low, 2**128), Fraction(low + 1, 2**128)


def spent(value: Fraction, cost: int = 1) -> Fraction:
    """The value, which took steps to find, the more the longer it is."""
    left[0] -= cost + ((value.numerator * value.denominator).bit_length() ** 2 >> 24)
    require(left[0] >= 0, "no end within the steps allowed: checker.py FILE STEPS allows more")
    return value


def require(condition: bool, message: str) -> None:
    """ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
