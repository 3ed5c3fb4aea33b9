// A correct back end as an executable: solve IN_DIR OUT_DIR. C++17, the standard library alone.
//
//     J(W, B) = sum_t a_t L_t(w_t) + coupling ||W - W B||_F^2,   a_t = c_t (1 + mu sum_u B[t, u])
//
// IN_DIR holds ask.txt (lines "key value") and the arrays, row after row; OUT_DIR gets those of the answer.
// W-step: Newton by Cholesky. B-step: descent along coordinates, then the active set of a column by Cholesky.
// fit: alternation, then projected Newton on min over W of J(W, B). Exit codes: 0 done, 1 refused, 64 unknown.
// All numbers are float or double, as asked.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Unknown : std::runtime_error { using std::runtime_error::runtime_error; };

[[noreturn]] void refuse(const std::string& why) { throw std::runtime_error(why); }

// ---- arrays

template <class R> struct Mat {
    int rows = 0, cols = 0;
    std::vector<R> a;
    Mat() = default;
    Mat(int r, int c) : rows(r), cols(c), a(size_t(r) * c, R(0)) {}
    R& operator()(int i, int j) { return a[size_t(i) * cols + j]; }
    R operator()(int i, int j) const { return a[size_t(i) * cols + j]; }
};

template <class R> R largest(const std::vector<R>& v) {
    R top = 0;
    for (R x : v) top = std::max(top, std::abs(x));
    return top;
}

struct Npy {
    std::string kind;
    std::vector<long> shape;
    std::vector<double> values;
};

bool exists(const std::string& path) { return std::ifstream(path).good(); }

template <class S> void take(const std::string& data, size_t n, std::vector<double>& values) {
    if (data.size() != n * sizeof(S)) refuse("an array has another length than its header says");
    for (size_t i = 0; i < n; ++i) {
        S x;
        std::memcpy(&x, data.data() + i * sizeof(S), sizeof(S));
        values.push_back(double(x));
    }
}

Npy read_npy(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string all((std::istreambuf_iterator<char>(file)), {});
    if (all.size() < 12 || all.compare(0, 6, "\x93NUMPY", 6) != 0) refuse("no array: " + path);
    auto byte = [&](int i) { return size_t((unsigned char)all[i]); };
    bool one = all[6] == 1;
    size_t length = one ? byte(8) + 256 * byte(9) : byte(8) + 256 * byte(9) + 65536 * byte(10);
    size_t begin = one ? 10 : 12;
    std::string head = all.substr(begin, length), data = all.substr(std::min(all.size(), begin + length));
    if (head.find("True") != std::string::npos) refuse("rows must come one after the other: " + path);
    Npy array;
    size_t at = head.find("'descr'") + 7;
    at = head.find('\'', at) + 1;
    array.kind = head.substr(at, 3);
    at = head.find('(') + 1;
    std::stringstream inside(head.substr(at, head.find(')') - at));
    size_t n = 1;
    for (std::string each; std::getline(inside, each, ',');)
        if (each.find_first_of("0123456789") != std::string::npos) {
            array.shape.push_back(std::stol(each));
            n *= size_t(array.shape.back());
        }
    if (array.kind == "<f8") take<double>(data, n, array.values);
    else if (array.kind == "<f4") take<float>(data, n, array.values);
    else if (array.kind == "<i8") take<int64_t>(data, n, array.values);
    else refuse("unknown numbers " + array.kind + " in " + path);
    return array;
}

template <class R> void write_npy(const std::string& path, std::vector<int> shape, const std::vector<R>& values) {
    std::string head = std::string("{'descr': '") + (sizeof(R) == 8 ? "<f8" : "<f4") + "', 'fortran_order': False, 'shape': (";
    for (int n : shape) head += std::to_string(n) + ",";
    head += "), }";
    head += std::string((64 - (10 + head.size() + 1) % 64) % 64, ' ') + "\n";
    std::ofstream file(path, std::ios::binary);
    file.write("\x93NUMPY\x01\x00", 8);
    file.put(char(head.size() & 255)).put(char(head.size() >> 8));
    file << head;
    file.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * sizeof(R)));
    if (!file) refuse("cannot write " + path);
}

// ---- the problem

template <class R> struct Problem {
    static constexpr R eps = std::numeric_limits<R>::epsilon();
    int T = 0, d = 0;
    bool logistic = false, mean = true;
    R coupling = 1, mu = 0;
    std::vector<Mat<R>> X;
    std::vector<std::vector<R>> y, v;
    std::vector<R> c;

    R scale(int t) const {
        R n = 0;
        for (R x : v[t]) n += x;
        return mean ? 1 / n : R(1);
    }
    R score(int t, int i, const Mat<R>& W) const {
        R z = 0;
        for (int j = 0; j < d; ++j) z += X[t](i, j) * W(j, t);
        return z;
    }
    static R softplus(R m) { return m > 0 ? m + std::log1p(std::exp(-m)) : std::log1p(std::exp(m)); }
    static R sigmoid(R m) { return std::exp(-softplus(-m)); }
    R phi(R z, R target) const { return logistic ? softplus(-target * z) : (z - target) * (z - target); }
    R slope(R z, R target) const { return logistic ? -target * sigmoid(-target * z) : 2 * (z - target); }
    R bend(R z) const { return logistic ? sigmoid(z) * sigmoid(-z) : R(2); }

    std::vector<R> losses(const Mat<R>& W) const {
        std::vector<R> l(T, 0);
        for (int t = 0; t < T; ++t) {
            for (size_t i = 0; i < y[t].size(); ++i) l[t] += v[t][i] * phi(score(t, int(i), W), y[t][i]);
            l[t] *= scale(t);
        }
        return l;
    }
    Mat<R> slopes(const Mat<R>& W) const {
        Mat<R> G(d, T);
        for (int t = 0; t < T; ++t)
            for (size_t i = 0; i < y[t].size(); ++i) {
                R g = scale(t) * v[t][i] * slope(score(t, int(i), W), y[t][i]);
                for (int j = 0; j < d; ++j) G(j, t) += g * X[t](int(i), j);
            }
        return G;
    }
    std::vector<R> shares(const Mat<R>& B) const {
        std::vector<R> a(c);
        for (int t = 0; t < T; ++t) {
            R out = 0;
            for (int u = 0; u < T; ++u) out += B(t, u);
            a[t] = c[t] * (1 + mu * out);
        }
        return a;
    }
    std::vector<R> prices(const Mat<R>& W) const {
        std::vector<R> p = losses(W);
        for (int t = 0; t < T; ++t) p[t] *= mu * c[t];
        return p;
    }
    Mat<R> residual(const Mat<R>& W, const Mat<R>& B) const {
        Mat<R> r(W);
        for (int i = 0; i < d; ++i)
            for (int t = 0; t < T; ++t)
                for (int s = 0; s < T; ++s) r(i, t) -= W(i, s) * B(s, t);
        return r;
    }
    R M(const Mat<R>& B, int s, int t) const { return R(s == t) - B(s, t); }
    Mat<R> pull(const Mat<R>& B) const {
        Mat<R> P(T, T);
        for (int s = 0; s < T; ++s)
            for (int t = 0; t < T; ++t)
                for (int u = 0; u < T; ++u) P(s, t) += 2 * coupling * M(B, s, u) * M(B, t, u);
        return P;
    }
    R objective(const Mat<R>& W, const Mat<R>& B) const {
        std::vector<R> a = shares(B), l = losses(W);
        R total = 0, square = 0;
        for (int t = 0; t < T; ++t) total += a[t] * l[t];
        for (R x : residual(W, B).a) square += x * x;
        return total + coupling * square;
    }
    Mat<R> gradient_W(const Mat<R>& W, const Mat<R>& B) const {
        Mat<R> G = slopes(W), r = residual(W, B);
        std::vector<R> a = shares(B);
        for (int i = 0; i < d; ++i)
            for (int t = 0; t < T; ++t) {
                R back = 0;
                for (int u = 0; u < T; ++u) back += r(i, u) * M(B, t, u);
                G(i, t) = a[t] * G(i, t) + 2 * coupling * back;
            }
        return G;
    }
    Mat<R> gradient_B(const Mat<R>& W, const Mat<R>& B, const std::vector<R>& p) const {
        Mat<R> G(T, T), r = residual(W, B);
        for (int s = 0; s < T; ++s)
            for (int t = 0; t < T; ++t) {
                if (s == t) continue;
                R along = 0;
                for (int i = 0; i < d; ++i) along += W(i, s) * r(i, t);
                G(s, t) = p[s] - 2 * coupling * along;
            }
        return G;
    }
    Mat<R> gram(const Mat<R>& W) const {
        Mat<R> Q(T, T);
        for (int s = 0; s < T; ++s)
            for (int t = 0; t < T; ++t)
                for (int i = 0; i < d; ++i) Q(s, t) += 2 * coupling * W(i, s) * W(i, t);
        return Q;
    }
};

// ---- linear systems

template <class R> bool cholesky(Mat<R>& H) {
    for (int j = 0; j < H.rows; ++j)
        for (int i = j; i < H.rows; ++i) {
            R x = H(i, j);
            for (int k = 0; k < j; ++k) x -= H(i, k) * H(j, k);
            if (i == j && !(x > 0)) return false;
            H(i, j) = i == j ? std::sqrt(x) : x / H(j, j);
        }
    return true;
}

template <class R> Mat<R> factored(const Mat<R>& H) {
    R unit = std::numeric_limits<R>::epsilon() * std::max(largest(H.a), std::numeric_limits<R>::min()), shift = 0;
    for (;;) {
        Mat<R> L(H);
        for (int i = 0; i < H.rows; ++i) L(i, i) += shift;
        if (cholesky(L)) return L;
        shift = std::max(10 * shift, unit);
        if (!std::isfinite(shift)) refuse("a matrix is not finite");
    }
}

template <class R> std::vector<R> solve(const Mat<R>& L, std::vector<R> x) {
    int n = L.rows;
    for (int i = 0; i < n; ++i) {
        for (int k = 0; k < i; ++k) x[i] -= L(i, k) * x[k];
        x[i] /= L(i, i);
    }
    for (int i = n - 1; i >= 0; --i) {
        for (int k = i + 1; k < n; ++k) x[i] -= L(k, i) * x[k];
        x[i] /= L(i, i);
    }
    return x;
}

// ---- the steps

template <class R> Mat<R> hessian_W(const Problem<R>& p, const Mat<R>& W, const Mat<R>& B) {
    int T = p.T, d = p.d;
    Mat<R> H(T * d, T * d), P = p.pull(B);
    std::vector<R> a = p.shares(B);
    for (int s = 0; s < T; ++s)
        for (int t = 0; t < T; ++t)
            for (int i = 0; i < d; ++i) H(s * d + i, t * d + i) = P(s, t);
    for (int t = 0; t < T; ++t)
        for (size_t r = 0; r < p.y[t].size(); ++r) {
            R h = a[t] * p.scale(t) * p.v[t][r] * p.bend(p.score(t, int(r), W));
            for (int i = 0; i < d; ++i)
                for (int j = 0; j < d; ++j) H(t * d + i, t * d + j) += h * p.X[t](int(r), i) * p.X[t](int(r), j);
        }
    return H;
}

// How much of a Newton step is taken: J falls along log(1 + m)/m of it, m the largest move of a score.
template <class R> R cut(const Problem<R>& p, const Mat<R>& step) {
    if (!p.logistic) return 1;
    R m = 0;
    for (int t = 0; t < p.T; ++t)
        for (size_t i = 0; i < p.y[t].size(); ++i) m = std::max(m, std::abs(p.score(t, int(i), step)));
    return m > 0 ? std::log1p(m) / m : R(1);
}

// Newton on the tasks `first` to `last`, the others fixed; stops where the gradient falls no more.
template <class R> Mat<R> best_W(const Problem<R>& p, Mat<R> W, const Mat<R>& B, int first, int last) {
    int d = p.d, n = (last - first) * d;
    Mat<R> best(W), L;
    R least = std::numeric_limits<R>::infinity();
    R tiny = 10000 * Problem<R>::eps * largest(p.gradient_W(Mat<R>(d, p.T), B).a);
    for (int round = 0; round < (p.logistic ? 60 : 4); ++round) {
        Mat<R> G = p.gradient_W(W, B), step(d, p.T);
        R size = 0;
        std::vector<R> g(n);
        for (int k = 0; k < n; ++k) size = std::max(size, std::abs(g[k] = G(k % d, first + k / d)));
        if (least <= std::min(size, tiny)) break;
        if (size < least) least = size, best = W;
        if (p.logistic || round == 0) {
            Mat<R> whole = hessian_W(p, W, B), H(n, n);
            for (int i = 0; i < n; ++i)
                for (int j = 0; j < n; ++j) H(i, j) = whole(first * d + i, first * d + j);
            L = factored(H);
        }
        g = solve(L, g);
        for (int k = 0; k < n; ++k) step(k % d, first + k / d) = g[k];
        R length = cut(p, step);
        for (size_t k = 0; k < W.a.size(); ++k) W.a[k] -= length * step.a[k];
    }
    return best;
}

template <class R> Mat<R> best_W(const Problem<R>& p, const Mat<R>& W, const Mat<R>& B) {
    return best_W(p, W, B, 0, p.T);
}

// max |min(h_s B, G_B)| of a row over the numbers that G_B is summed from.
template <class R> R error_B(const Problem<R>& p, const Mat<R>& W, const Mat<R>& B) {
    std::vector<R> price = p.prices(W);
    Mat<R> G = p.gradient_B(W, B, price), Q = p.gram(W);
    R error = 0;
    for (int s = 0; s < p.T; ++s) {
        R size = 0, bent = 0;
        for (int t = 0; t < p.T; ++t)
            if (t != s) size = std::max(size, std::abs(Q(s, t))), bent = std::max(bent, std::abs(std::min(Q(s, s) * B(s, t), G(s, t))));
        if (bent > 0) error = std::max(error, bent / (size + price[s]));
    }
    return error;
}

// One column: the active set by Cholesky, from where descent along coordinates left it. g = Q b - q + price.
template <class R> void polish(const Mat<R>& Q, const std::vector<R>& price, int t, std::vector<R>& b) {
    int T = Q.rows;
    auto gradient = [&](int s) {
        R g = price[s] - Q(s, t);
        for (int u = 0; u < T; ++u) g += Q(s, u) * b[u];
        return g;
    };
    std::vector<bool> free(T);
    for (int s = 0; s < T; ++s) free[s] = b[s] > 0;
    R floor = 8 * std::numeric_limits<R>::epsilon() * (largest(price) + largest(Q.a));
    for (int round = 0; round < 3 * T; ++round) {
        std::vector<int> at;
        for (int s = 0; s < T; ++s)
            if (free[s]) at.push_back(s);
        int n = int(at.size());
        Mat<R> H(n, n);
        std::vector<R> move(n);
        for (int i = 0; i < n; ++i) {
            move[i] = -gradient(at[i]);
            for (int j = 0; j < n; ++j) H(i, j) = Q(at[i], at[j]);
        }
        if (!cholesky(H)) return;
        move = solve(H, move);
        R reach = 1;
        int first = -1;
        for (int i = 0; i < n; ++i)
            if (b[at[i]] + move[i] < 0 && b[at[i]] / -move[i] < reach) reach = b[at[i]] / -move[i], first = i;
        for (int i = 0; i < n; ++i) b[at[i]] = std::max(R(0), b[at[i]] + reach * move[i]);
        if (first >= 0) {
            b[at[first]] = 0, free[at[first]] = false;
            continue;
        }
        int lowest = -1;
        R least = -floor;
        for (int s = 0; s < T; ++s)
            if (s != t && !free[s] && gradient(s) < least) least = gradient(s), lowest = s;
        if (lowest < 0) return;
        free[lowest] = true;
    }
}

template <class R> Mat<R> best_B(const Problem<R>& p, const Mat<R>& W, Mat<R> B) {
    std::vector<R> price = p.prices(W);
    Mat<R> Q = p.gram(W);
    for (int count = 20; count <= 20000; count *= 2) {
        for (int t = 0; t < p.T; ++t) {
            std::vector<R> b(p.T);
            for (int s = 0; s < p.T; ++s) b[s] = B(s, t);
            for (int sweep = 0; sweep < count; ++sweep) {
                R moved = 0, size = 0;
                for (int s = 0; s < p.T; ++s) {
                    if (s == t || !(Q(s, s) > 0)) continue;
                    R g = price[s] - Q(s, t);
                    for (int u = 0; u < p.T; ++u) g += Q(s, u) * b[u];
                    R now = std::max(R(0), b[s] - g / Q(s, s));
                    moved = std::max(moved, std::abs(now - b[s])), size = std::max(size, now);
                    b[s] = now;
                }
                if (moved <= Problem<R>::eps * size) break;
            }
            polish(Q, price, t, b);
            for (int s = 0; s < p.T; ++s) B(s, t) = Q(s, s) > 0 ? b[s] : R(0);
        }
        if (error_B(p, W, B) <= 16 * Problem<R>::eps) break;
    }
    return B;
}

// ---- the fit

// The Newton step on the free entries of B, to 0 on the others; Hessian H_BB - H_BW H_WW^-1 H_WB.
template <class R> Mat<R> direction(const Problem<R>& p, const Mat<R>& W, const Mat<R>& B, const Mat<R>& G) {
    int T = p.T, d = p.d;
    Mat<R> Q = p.gram(W), D(T, T), r = p.residual(W, B), own = p.slopes(W);
    std::vector<int> from, to;
    for (int s = 0; s < T; ++s)
        for (int t = 0; t < T; ++t)
            if (s != t) {
                if (Q(s, s) * B(s, t) > G(s, t)) from.push_back(s), to.push_back(t);
                else D(s, t) = -B(s, t);
            }
    int n = int(from.size());
    Mat<R> H(n, n), L = factored(hessian_W(p, W, B));
    std::vector<std::vector<R>> cross(n, std::vector<R>(size_t(T) * d)), solved(n);
    std::vector<R> g(n);
    for (int k = 0; k < n; ++k) {
        int s = from[k], t = to[k];
        g[k] = -G(s, t);
        for (int u = 0; u < T; ++u)
            for (int i = 0; i < d; ++i) {
                R x = -2 * p.coupling * p.M(B, u, t) * W(i, s);
                if (u == s) x += p.mu * p.c[s] * own(i, s) - 2 * p.coupling * r(i, t);
                cross[k][size_t(u) * d + i] = x;
            }
        solved[k] = solve(L, cross[k]);
    }
    for (int k = 0; k < n; ++k)
        for (int m = 0; m < n; ++m) {
            H(k, m) = to[k] == to[m] ? Q(from[k], from[m]) : R(0);
            for (size_t i = 0; i < cross[k].size(); ++i) H(k, m) -= cross[k][i] * solved[m][i];
        }
    if (n > 0) g = solve(factored(H), g);
    for (int k = 0; k < n; ++k) D(from[k], to[k]) = g[k];
    return D;
}

template <class R> void fit(const Problem<R>& p, Mat<R>& W, Mat<R>& B) {
    for (int round = 0; round < 60; ++round) {
        Mat<R> before(B);
        W = best_W(p, W, B);
        B = best_B(p, W, B);
        R moved = 0;
        for (size_t k = 0; k < B.a.size(); ++k) moved = std::max(moved, std::abs(B.a[k] - before.a[k]));
        if (moved <= R(1e-3) * largest(B.a)) break;
    }
    W = best_W(p, W, B);
    Mat<R> best_W_(W), best_B_(B);
    R least = std::numeric_limits<R>::infinity(), lowest = least, eps = Problem<R>::eps;
    for (int round = 0, idle = 0; round < 300 && idle <= 8; ++round) {
        R error = error_B(p, W, B), J = p.objective(W, B);
        idle = error < least / 2 || J < lowest * (1 - 1000 * eps) ? 0 : idle + 1;
        if (error < least) least = error, best_W_ = W, best_B_ = B;
        if (error <= 4 * eps) break;
        lowest = std::min(J, lowest);
        Mat<R> G = p.gradient_B(W, B, p.prices(W)), D = direction(p, W, B, G);
        for (R length = 1; length > R(1e-9); length /= 2) {
            Mat<R> next(B);
            R slope = 0;
            for (size_t k = 0; k < B.a.size(); ++k) {
                next.a[k] = std::max(R(0), B.a[k] + length * D.a[k]);
                slope += G.a[k] * (next.a[k] - B.a[k]);
            }
            Mat<R> V = best_W(p, W, next);
            if (p.objective(V, next) <= J + R(1e-4) * slope + 16 * eps * J) {
                W = V, B = next;
                break;
            }
        }
    }
    W = best_W_, B = best_B_;
}

// ---- what is asked

using Keys = std::map<std::string, std::string>;

std::string word(const Keys& keys, const std::string& key) {
    auto found = keys.find(key);
    if (found == keys.end()) refuse("ask.txt does not say " + key);
    return found->second;
}

double number(const Keys& keys, const std::string& key) { return std::strtod(word(keys, key).c_str(), nullptr); }

template <class R> std::vector<R> vector_of(const std::string& path, size_t n) {
    Npy array = read_npy(path);
    if (array.shape.size() != 1 || array.values.size() != n) refuse("wrong shape: " + path);
    std::vector<R> out;
    for (double x : array.values) {
        if (!std::isfinite(x)) refuse("not finite: " + path);
        out.push_back(R(x));
    }
    return out;
}

template <class R> Mat<R> matrix_of(const std::string& path, int rows, int cols) {
    Npy array = read_npy(path);
    if (array.shape != std::vector<long>{rows, cols}) refuse("wrong shape: " + path);
    Mat<R> out(rows, cols);
    for (size_t i = 0; i < out.a.size(); ++i) {
        if (!std::isfinite(array.values[i])) refuse("not finite: " + path);
        out.a[i] = R(array.values[i]);
    }
    return out;
}

template <class R> Problem<R> problem_of(const Keys& keys, const std::string& in) {
    Problem<R> p;
    p.T = int(number(keys, "T")), p.d = int(number(keys, "d"));
    int N = int(number(keys, "N"));
    std::string loss = word(keys, "loss"), reduction = word(keys, "reduction");
    if (loss != "squared" && loss != "logistic") throw Unknown("loss " + loss);
    p.logistic = loss == "logistic", p.mean = reduction == "mean";
    p.coupling = R(number(keys, "coupling")), p.mu = R(number(keys, "mu"));
    if (!(std::isfinite(p.coupling) && p.coupling > 0 && std::isfinite(p.mu) && p.mu >= 0)) refuse("coupling > 0 and mu >= 0 are needed");
    Mat<R> X = matrix_of<R>(in + "X.npy", N, p.d);
    std::vector<R> y = vector_of<R>(in + "y.npy", N), task = vector_of<R>(in + "task.npy", N), v(N, R(1));
    if (exists(in + "sample_weight.npy")) v = vector_of<R>(in + "sample_weight.npy", N);
    p.c = vector_of<R>(in + "task_weights.npy", p.T);
    for (R c : p.c) if (!(c > 0)) refuse("task weights must be positive");
    p.y.resize(p.T), p.v.resize(p.T);
    std::vector<std::vector<R>> rows(p.T);
    for (int i = 0; i < N; ++i) {
        int t = int(task[i]);
        if (t < 0 || t >= p.T || v[i] < 0) refuse("a row belongs to no task, or counts less than nothing");
        if (p.logistic && std::abs(y[i]) != 1) refuse("labels must be -1 or +1");
        rows[t].insert(rows[t].end(), X.a.begin() + size_t(i) * p.d, X.a.begin() + size_t(i + 1) * p.d);
        p.y[t].push_back(y[i]), p.v[t].push_back(v[i]);
    }
    for (int t = 0; t < p.T; ++t) {
        if (p.y[t].empty()) refuse("a task has no rows");
        p.X.emplace_back(int(p.y[t].size()), p.d);
        p.X[t].a = rows[t];
    }
    return p;
}

template <class R> void answer(const Keys& keys, const std::string& in, const std::string& out) {
    std::string ask = word(keys, "ask");
    Problem<R> p = problem_of<R>(keys, in);
    Mat<R> W = matrix_of<R>(in + "W.npy", p.d, p.T), B = matrix_of<R>(in + "B.npy", p.T, p.T);
    for (int s = 0; s < p.T; ++s)
        for (int t = 0; t < p.T; ++t)
            if (B(s, t) < 0 || (s == t && B(s, t) > 0)) refuse("B must be >= 0 with a diagonal of 0");
    auto save = [&](const std::string& name, std::vector<int> shape, const std::vector<R>& values) {
        write_npy(out + name + ".npy", shape, values);
    };
    if (ask == "evaluate") {
        save("objective", {}, {p.objective(W, B)});
        save("gradient_W", {p.d, p.T}, p.gradient_W(W, B).a);
        save("gradient_B", {p.T, p.T}, p.gradient_B(W, B, p.prices(W)).a);
        save("losses", {p.T}, p.losses(W));
    } else if (ask == "w-step") {
        save("W", {p.d, p.T}, best_W(p, W, B).a);
    } else if (ask == "one-task") {
        int t = int(number(keys, "task"));
        W = best_W(p, W, B, t, t + 1);
        std::vector<R> w;
        for (int i = 0; i < p.d; ++i) w.push_back(W(i, t));
        save("w", {p.d}, w);
    } else if (ask == "b-step") {
        save("B", {p.T, p.T}, best_B(p, W, B).a);
    } else if (ask == "rounds") {
        std::vector<R> objectives;
        for (int k = 0; k < int(number(keys, "count")); ++k) {
            W = best_W(p, W, B);
            objectives.push_back(p.objective(W, B));
            B = best_B(p, W, B);
            objectives.push_back(p.objective(W, B));
        }
        save("objectives", {int(objectives.size())}, objectives);
    } else if (ask == "fit") {
        fit(p, W, B);
        save("W", {p.d, p.T}, W.a);
        save("B", {p.T, p.T}, B.a);
    } else {
        throw Unknown("ask " + ask);
    }
}

int main(int argc, char** argv) {
    if (argc != 3) return std::cerr << "usage: solve IN_DIR OUT_DIR\n", 2;
    std::string in = std::string(argv[1]) + "/", out = std::string(argv[2]) + "/";
    Keys keys;
    std::ifstream file(in + "ask.txt");
    for (std::string line; std::getline(file, line);) {
        size_t gap = line.find(' ');
        if (gap != std::string::npos) keys[line.substr(0, gap)] = line.substr(gap + 1);
    }
    try {
        if (word(keys, "dtype") == "float32") answer<float>(keys, in, out);
        else answer<double>(keys, in, out);
    } catch (const Unknown& error) {
        return std::cerr << "not supported: " << error.what() << "\n", 64;
    } catch (const std::exception& error) {
        return std::cerr << "refused: " << error.what() << "\n", 1;
    }
}
