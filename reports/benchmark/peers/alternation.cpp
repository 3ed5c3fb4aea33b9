// AMTL with the squared loss by hand: the alternation, and Newton's method on the free variables.
//
//   J(W, B) = sum_t (1 + mu sum_u B[t, u]) L_t(w_t) + coupling ||W - W B||_F^2,   B >= 0, diag(B) = 0
//   L_t(w)  = w'A_t w / 2 - b_t'w + c_t
//
// The stand-in for the physical limit: no modelling layer, no solver interface, exact half-steps. Everything
// depends on the data through A_t (d, d), b_t (d), c_t alone. W is column-major (d, T), task after task; B is
// column-major (T, T), so the incoming weights of a task are contiguous. P = (I - B)(I - B)'.
//
//   W-step   (blockdiag(a_t A_t) + 2 coupling P (x) I) vec(W) = stack(a_t b_t),  a_t = 1 + mu sum_u B[t, u]
//            by a dense Cholesky factor, or by conjugate gradients with the inverses of the diagonal blocks.
//   B-step   column t: min_{b >= 0, b_t = 0} b'G b / 2 - q'b,  G = W'W, q = G_t - p / (2 coupling)
//            by a primal active-set method that starts from the column's previous support.
//   Newton   on vec(W) and the free entries of B, with a Levenberg-Marquardt shift and projection onto
//            B >= 0; entries that a scaled gradient step would take to zero go there by that step, apart
//            from the others (two-metric projection); no step raises J.
//
// BLAS and LAPACK come as function pointers (Fortran interface, 32-bit integers).

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using Vector = std::vector<double>;

struct Lapack {
    void (*gemm)(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
                 const int*, const double*, const int*, const double*, double*, const int*);
    void (*potrf)(const char*, const int*, double*, const int*, int*);
    void (*potrs)(const char*, const int*, const int*, const double*, const int*, double*, const int*, int*);
    void (*potri)(const char*, const int*, double*, const int*, int*);
};

double dot(const double* x, const double* y, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; ++i) sum += x[i] * y[i];
    return sum;
}

void add(double factor, const double* x, double* y, int n) {
    for (int i = 0; i < n; ++i) y[i] += factor * x[i];
}

double largest(const double* x, int n) {
    double found = 0.0;
    for (int i = 0; i < n; ++i) found = std::max(found, std::abs(x[i]));
    return found;
}

struct Problem {
    int T, d;
    double mu, coupling;
    const double *A, *b, *c;
    Lapack lapack;

    int size() const { return T * d; }

    // C = op(L) op(R), all column-major
    void multiply(char tl, char tr, int m, int n, int k, double alpha, const double* L, const double* R,
                  double* C) const {
        const double zero = 0.0;
        const int ldl = tl == 'N' ? m : k, ldr = tr == 'N' ? k : n;
        lapack.gemm(&tl, &tr, &m, &n, &k, &alpha, L, &ldl, R, &ldr, &zero, C, &m);
    }

    // g_t = grad L_t(w_t) and l_t = L_t(w_t)
    void losses(const double* W, double* gradient, double* loss) const {
        for (int t = 0; t < T; ++t) {
            const double *w = W + t * d, *block = A + t * d * d, *right = b + t * d;
            double* g = gradient + t * d;
            std::fill(g, g + d, 0.0);
            for (int j = 0; j < d; ++j) add(w[j], block + j * d, g, d);
            loss[t] = 0.5 * dot(w, g, d) - dot(w, right, d) + c[t];
            add(-1.0, right, g, d);
        }
    }

    Vector loss_weights(const double* B) const {
        Vector a(T, 1.0);
        for (int u = 0; u < T; ++u) add(mu, B + u * T, a.data(), T);
        return a;
    }

    Vector complement(const double* B) const {  // M = I - B
        Vector M(T * T);
        for (int i = 0; i < T * T; ++i) M[i] = -B[i];
        for (int t = 0; t < T; ++t) M[t * T + t] += 1.0;
        return M;
    }

    Vector outer(const Vector& M) const {  // P = M M'
        Vector P(T * T);
        multiply('N', 'T', T, T, T, 1.0, M.data(), M.data(), P.data());
        return P;
    }

    // upper triangle of blockdiag(a_t A_t) + 2 coupling P (x) I in the leading rows of H, leading dimension ld
    void weight_hessian(const Vector& a, const Vector& P, double* H, int ld) const {
        for (int t = 0; t < T; ++t) {
            for (int j = 0; j < d; ++j) {
                double* column = H + static_cast<size_t>(t * d + j) * ld;
                std::fill(column, column + t * d + j + 1, 0.0);
                for (int s = 0; s <= t; ++s) column[s * d + j] = 2.0 * coupling * P[t * T + s];
                add(a[t], A + (t * d + j) * d, column + t * d, j + 1);
            }
        }
    }
};

// ---------------------------------------------------------------- W-step

bool weights_by_cholesky(const Problem& problem, const double* B, double* W) {
    const int N = problem.size(), one = 1;
    const Vector a = problem.loss_weights(B), P = problem.outer(problem.complement(B));
    static Vector H;
    H.resize(static_cast<size_t>(N) * N);
    problem.weight_hessian(a, P, H.data(), N);
    for (int t = 0; t < problem.T; ++t)
        for (int j = 0; j < problem.d; ++j) W[t * problem.d + j] = a[t] * problem.b[t * problem.d + j];
    int info = 0;
    problem.lapack.potrf("U", &N, H.data(), &N, &info);
    if (info == 0) problem.lapack.potrs("U", &N, &one, H.data(), &N, W, &N, &info);
    return info == 0;
}

struct WeightOperator {
    const Problem& problem;
    Vector a, P, inverse;  // the inverses of the diagonal blocks
    mutable Vector coupled;

    WeightOperator(const Problem& problem, const double* B)
        : problem(problem), a(problem.loss_weights(B)), P(problem.outer(problem.complement(B))),
          inverse(problem.T * problem.d * problem.d), coupled(problem.size()) {
        const int d = problem.d;
        for (int t = 0; t < problem.T; ++t) {
            double* block = inverse.data() + t * d * d;
            std::fill(block, block + d * d, 0.0);
            add(a[t], problem.A + t * d * d, block, d * d);
            for (int j = 0; j < d; ++j) block[j * d + j] += 2.0 * problem.coupling * P[t * problem.T + t];
            int info = 0;
            problem.lapack.potrf("U", &d, block, &d, &info);
            if (info == 0) problem.lapack.potri("U", &d, block, &d, &info);
            for (int j = 0; j < d; ++j)
                for (int i = 0; i < j; ++i) block[i * d + j] = block[j * d + i];
        }
    }

    static void blocks(const double* matrices, const double* V, double* out, int T, int d) {
        for (int t = 0; t < T; ++t) {
            double* o = out + t * d;
            std::fill(o, o + d, 0.0);
            for (int j = 0; j < d; ++j) add(V[t * d + j], matrices + (t * d + j) * d, o, d);
        }
    }

    void apply(const double* V, double* out) const {
        const int T = problem.T, d = problem.d;
        blocks(problem.A, V, out, T, d);
        problem.multiply('N', 'N', d, T, T, 2.0 * problem.coupling, V, P.data(), coupled.data());
        for (int t = 0; t < T; ++t)
            for (int j = 0; j < d; ++j) out[t * d + j] = a[t] * out[t * d + j] + coupled[t * d + j];
    }

    void precondition(const double* r, double* z) const {
        blocks(inverse.data(), r, z, problem.T, problem.d);
    }
};

// conjugate gradients from the present W until every task's residual is below tol of its right-hand side
bool weights_by_gradients(const Problem& problem, const double* B, double* W, double tol) {
    const WeightOperator system(problem, B);
    const int N = problem.size(), d = problem.d;
    Vector r(N), z(N), p, Hp(N), limit(problem.T);
    system.apply(W, Hp.data());
    for (int t = 0; t < problem.T; ++t) {
        const double* right = problem.b + t * d;
        for (int j = 0; j < d; ++j) r[t * d + j] = system.a[t] * right[j] - Hp[t * d + j];
        limit[t] = tol * system.a[t] * largest(right, d);
    }
    system.precondition(r.data(), z.data());
    p = z;
    double rz = dot(r.data(), z.data(), N);
    for (int count = 0; count < 10 * N; ++count) {
        bool done = true;
        for (int t = 0; done && t < problem.T; ++t) done = largest(r.data() + t * d, d) <= limit[t];
        if (done) return true;
        system.apply(p.data(), Hp.data());
        const double step = rz / dot(p.data(), Hp.data(), N);
        add(step, p.data(), W, N);
        add(-step, Hp.data(), r.data(), N);
        system.precondition(r.data(), z.data());
        const double next = dot(r.data(), z.data(), N);
        const double ratio = next / rz;
        for (int i = 0; i < N; ++i) p[i] = z[i] + ratio * p[i];
        rz = next;
    }
    return false;
}

// ---------------------------------------------------------------- B-step

// min b'G b / 2 - q'b over b >= 0 with b[skip] = 0: primal active set on the free set F, which starts as the
// support of b. A free set whose G_FF is singular is left along its null direction, on which the objective
// is linear.
class Column {
  public:
    Column(const double* G, int T) : G(G), T(T), L(static_cast<size_t>(T) * T), y(T), gradient(T) {}

    bool solve(const double* q, int skip, double* b) {
        free.clear();
        for (int j = 0; j < T; ++j)
            if (b[j] > 0.0) free.push_back(j);
        for (int count = 0; count < 20 * T + 20; ++count) {
            descend(q, b);
            const int entering = candidate(q, skip, b);
            if (entering < 0) return true;
            free.push_back(entering);
        }
        return false;
    }

  private:
    const double* G;
    const int T;
    Vector L, y, gradient;
    std::vector<int> free;

    double entry(int i, int j) const { return G[static_cast<size_t>(j) * T + i]; }

    // the free variables to the minimiser over their subspace, dropping those that reach zero on the way
    void descend(const double* q, double* b) {
        while (!free.empty()) {
            const bool regular = direction(q, b);
            double length = regular ? 1.0 : 1e300;
            int blocking = -1;
            for (int i = 0; i < static_cast<int>(free.size()); ++i)
                if (y[i] < 0.0 && -b[free[i]] / y[i] < length) {
                    length = -b[free[i]] / y[i];
                    blocking = i;
                }
            if (!regular && blocking < 0) {  // unbounded to rounding: give the last one up
                b[free.back()] = 0.0;
                free.pop_back();
                continue;
            }
            for (int i = 0; i < static_cast<int>(free.size()); ++i) b[free[i]] += length * y[i];
            if (blocking < 0) return;
            b[free[blocking]] = 0.0;
            free.erase(free.begin() + blocking);
        }
    }

    // y: the Newton step on F (true), or a null direction of G_FF along which the objective falls (false)
    bool direction(const double* q, const double* b) {
        const int k = static_cast<int>(free.size());
        for (int i = 0; i < k; ++i) {
            double* row = L.data() + static_cast<size_t>(i) * T;
            for (int j = 0; j <= i; ++j) {
                const double* other = L.data() + static_cast<size_t>(j) * T;
                const double left = entry(free[i], free[j]) - dot(row, other, j);
                if (j < i)
                    row[j] = left / other[j];
                else if (left <= 1e-13 * entry(free[i], free[i]))
                    return null_direction(q, b, i);
                else
                    row[j] = std::sqrt(left);
            }
        }
        for (int i = 0; i < k; ++i) y[i] = -slope(q, b, free[i]);
        for (int i = 0; i < k; ++i) {
            const double* row = L.data() + static_cast<size_t>(i) * T;
            y[i] = (y[i] - dot(row, y.data(), i)) / row[i];
        }
        back(k);
        return true;
    }

    bool null_direction(const double* q, const double* b, int last) {
        const double* row = L.data() + static_cast<size_t>(last) * T;
        for (int i = 0; i < last; ++i) y[i] = -row[i];
        back(last);
        y[last] = 1.0;
        for (int i = last + 1; i < static_cast<int>(free.size()); ++i) y[i] = 0.0;
        double along = 0.0;
        for (int i = 0; i <= last; ++i) along += y[i] * slope(q, b, free[i]);
        if (along > 0.0)
            for (int i = 0; i <= last; ++i) y[i] = -y[i];
        return false;
    }

    void back(int k) {
        for (int i = k - 1; i >= 0; --i) {
            const double* row = L.data() + static_cast<size_t>(i) * T;
            y[i] /= row[i];
            for (int j = 0; j < i; ++j) y[j] -= row[j] * y[i];
        }
    }

    double slope(const double* q, const double* b, int j) const {
        double sum = -q[j];
        for (int i : free) sum += entry(i, j) * b[i];
        return sum;
    }

    // the variable at zero with the most negative gradient beyond rounding; -1: optimal
    int candidate(const double* q, int skip, const double* b) {
        for (int j = 0; j < T; ++j) gradient[j] = -q[j];
        double scale = largest(q, T);
        for (int i : free) {
            const double* column = G + static_cast<size_t>(i) * T;
            add(b[i], column, gradient.data(), T);
            scale = std::max(scale, b[i] * column[i]);
        }
        gradient[skip] = 0.0;
        for (int i : free) gradient[i] = 0.0;
        const int found = std::min_element(gradient.begin(), gradient.end()) - gradient.begin();
        return gradient[found] < -1e-14 * scale ? found : -1;
    }
};

bool transfer(const Problem& problem, const double* W, double* B) {
    const int T = problem.T;
    Vector gradient(problem.size()), loss(T), G(T * T), q(T);
    problem.losses(W, gradient.data(), loss.data());
    problem.multiply('T', 'N', T, T, problem.d, 1.0, W, W, G.data());
    Column column(G.data(), T);
    bool solved = true;
    for (int t = 0; t < T; ++t) {
        for (int s = 0; s < T; ++s) q[s] = G[t * T + s] - problem.mu * loss[s] / (2.0 * problem.coupling);
        q[t] = 0.0;
        solved = column.solve(q.data(), t, B + t * T) && solved;
    }
    return solved;
}

// ---------------------------------------------------------------- Newton

struct State {  // J, its gradients and the relative first-order residual at (W, B)
    Vector a, M, P, R, gram, loss, slope, GW, GB;
    double J, rounding, relative;  // rounding: that of J, whose terms cancel in part

    State(const Problem& problem, const double* W, const double* B)
        : a(problem.loss_weights(B)), M(problem.complement(B)), P(problem.outer(M)), R(problem.size()),
          gram(problem.T * problem.T), loss(problem.T), slope(problem.size()), GW(problem.size()),
          GB(problem.T * problem.T), rounding(0.0), relative(0.0) {
        const int T = problem.T, d = problem.d;
        const double twice = 2.0 * problem.coupling;
        problem.losses(W, slope.data(), loss.data());
        problem.multiply('N', 'N', d, T, T, 1.0, W, M.data(), R.data());
        problem.multiply('N', 'N', d, T, T, twice, W, P.data(), GW.data());
        problem.multiply('T', 'N', T, T, d, -twice, W, R.data(), GB.data());
        problem.multiply('T', 'N', T, T, d, twice, W, W, gram.data());
        J = problem.coupling * dot(R.data(), R.data(), d * T);
        for (int t = 0; t < T; ++t) {
            J += a[t] * loss[t];
            rounding += 4e-16 * a[t] * (loss[t] + problem.c[t]);
            double size = std::max(a[t] * largest(problem.b + t * d, d), largest(GW.data() + t * d, d));
            size = std::max(size, a[t] * largest(slope.data() + t * d, d));
            add(a[t], slope.data() + t * d, GW.data() + t * d, d);
            worse(largest(GW.data() + t * d, d), size);
        }
        for (int s = 0; s < T; ++s) {
            const double price = problem.mu * loss[s];
            double miss = 0.0, size = 0.0;
            for (int t = 0; t < T; ++t) {
                if (t == s) continue;
                GB[t * T + s] += price;
                miss = std::max(miss, std::abs(std::min(gram[s * T + s] * B[t * T + s], GB[t * T + s])));
                size = std::max(size, std::abs(gram[t * T + s]));
            }
            GB[s * T + s] = 0.0;
            worse(miss, price + size);
        }
    }

  private:
    void worse(double miss, double size) {
        if (miss > 0.0) relative = std::max(relative, miss / size);
    }
};

struct Entry {
    int s, t;
};

// upper triangle of the Hessian in (vec(W), the free entries of B), column-major (n, n)
void hessian(const Problem& problem, const State& at, const double* W, const std::vector<Entry>& free,
             double* H, int n) {
    const int T = problem.T, d = problem.d, N = problem.size();
    problem.weight_hessian(at.a, at.P, H, n);
    for (int e = 0; e < n - N; ++e) {
        const auto [s, t] = free[e];
        double* column = H + static_cast<size_t>(N + e) * n;
        for (int u = 0; u < T; ++u) {
            const double factor = -2.0 * problem.coupling * at.M[t * T + u];
            for (int j = 0; j < d; ++j) column[u * d + j] = factor * W[s * d + j];
        }
        add(problem.mu, at.slope.data() + s * d, column + s * d, d);
        add(-2.0 * problem.coupling, at.R.data() + t * d, column + s * d, d);
        for (int f = 0; f <= e; ++f) column[N + f] = free[f].t == t ? at.gram[s * T + free[f].s] : 0.0;
    }
}

// The entries of B that take part: first the free ones, then those that leave for zero.
std::vector<Entry> participants(const Problem& problem, const State& at, const double* B, int* free) {
    const int T = problem.T;
    std::vector<Entry> staying, leaving;
    for (int t = 0; t < T; ++t)
        for (int s = 0; s < T; ++s) {
            const double value = B[t * T + s], slope = at.GB[t * T + s];
            if (s == t || (value <= 0.0 && slope >= 0.0)) continue;
            (at.gram[s * T + s] * value > slope ? staying : leaving).push_back({s, t});
        }
    *free = static_cast<int>(staying.size());
    staying.insert(staying.end(), leaving.begin(), leaving.end());
    return staying;
}

// x'H for the upper triangle of a symmetric H
void symmetric_product(const Vector& H, const Vector& x, Vector& out) {
    const int n = static_cast<int>(x.size());
    std::fill(out.begin(), out.end(), 0.0);
    for (int j = 0; j < n; ++j) {
        const double* column = H.data() + static_cast<size_t>(j) * n;
        add(x[j], column, out.data(), j + 1);
        out[j] += dot(column, x.data(), j);
    }
}

// One accepted step; false if no shift gives one. J decides, and where it is rounding noise the residual.
bool newton(const Problem& problem, double* W, double* B, double* shift) {
    const int T = problem.T, N = problem.size(), one = 1;
    const State at(problem, W, B);
    int free = 0;
    const std::vector<Entry> entries = participants(problem, at, B, &free);
    const int n = N + static_cast<int>(entries.size()), solved = N + free;
    static Vector H, factor;
    H.resize(static_cast<size_t>(n) * n);
    factor.resize(H.size());
    hessian(problem, at, W, entries, H.data(), n);
    Vector g(at.GW), step(n), trial_W(N), trial_B(T * T), product(n);
    for (const auto& [s, t] : entries) g.push_back(at.GB[t * T + s]);
    for (int count = 0; count < 40; ++count, *shift = std::max(4.0 * *shift, 1e-10)) {
        for (int j = 0; j < n; ++j) {
            const size_t start = static_cast<size_t>(j) * n;
            if (j < solved) std::copy(H.begin() + start, H.begin() + start + j + 1, factor.begin() + start);
            const double diagonal = H[start + j] * (1.0 + *shift);
            factor[start + j] = diagonal;
            step[j] = j < solved ? -g[j] : -g[j] / diagonal;
        }
        int info = 0;
        problem.lapack.potrf("U", &solved, factor.data(), &n, &info);
        if (info != 0) continue;
        problem.lapack.potrs("U", &solved, &one, factor.data(), &n, step.data(), &n, &info);
        std::copy(W, W + N, trial_W.begin());
        add(1.0, step.data(), trial_W.data(), N);
        std::copy(B, B + T * T, trial_B.begin());
        for (int e = 0; e < n - N; ++e) {
            double& entry = trial_B[entries[e].t * T + entries[e].s];
            const double before = entry;
            entry = std::max(before + step[N + e], 0.0);
            step[N + e] = entry - before;
        }
        symmetric_product(H, step, product);
        const double predicted = -dot(g.data(), step.data(), n) - 0.5 * dot(step.data(), product.data(), n);
        const State next(problem, trial_W.data(), trial_B.data());
        const double actual = at.J - next.J;
        const bool noise = predicted <= at.rounding;
        const bool accepted = noise ? actual >= -at.rounding && next.relative < 0.999 * at.relative
                                    : actual > 1e-3 * predicted;
        if (!accepted) continue;
        if (noise || actual > 0.7 * predicted)
            *shift = *shift > 1e-14 ? *shift / 8.0 : 0.0;
        else if (actual < 0.2 * predicted)
            *shift = std::max(2.0 * *shift, 1e-10);
        std::copy(trial_W.begin(), trial_W.end(), W);
        std::copy(trial_B.begin(), trial_B.end(), B);
        return true;
    }
    return false;
}

}  // namespace

extern "C" {

void* amtl_new(int T, int d, double mu, double coupling, const double* A, const double* b, const double* c,
               void* gemm, void* potrf, void* potrs, void* potri) {
    const Lapack lapack{reinterpret_cast<decltype(Lapack::gemm)>(gemm),
                        reinterpret_cast<decltype(Lapack::potrf)>(potrf),
                        reinterpret_cast<decltype(Lapack::potrs)>(potrs),
                        reinterpret_cast<decltype(Lapack::potri)>(potri)};
    return new Problem{T, d, mu, coupling, A, b, c, lapack};
}

void amtl_free(void* problem) { delete static_cast<Problem*>(problem); }

// one round: 0, or 1 if the W-step failed, 2 if the B-step did; tol > 0 takes conjugate gradients
int amtl_round(const void* problem, double* W, double* B, double tol) {
    const Problem& p = *static_cast<const Problem*>(problem);
    if (!(tol > 0.0 ? weights_by_gradients(p, B, W, tol) : weights_by_cholesky(p, B, W))) return 1;
    return transfer(p, W, B) ? 0 : 2;
}

double amtl_residual(const void* problem, const double* W, const double* B) {
    return State(*static_cast<const Problem*>(problem), W, B).relative;
}

int amtl_newton(const void* problem, double* W, double* B, double* shift) {
    return newton(*static_cast<const Problem*>(problem), W, B, shift) ? 0 : 1;
}
}
