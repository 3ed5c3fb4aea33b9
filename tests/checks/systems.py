"""Systems of the W-step against Kronecker products that are written out and solved densely."""

from __future__ import annotations

import numpy as np
from cases import Array

from amtl_cvx.subproblems.numpy_steps import WeightSystem
from amtl_cvx.subproblems.preconditioners import Alike, Apart

T, D, COUPLING = 7, 3, 0.8


def written_out(blocks: Array, K: Array) -> Array:
    """blockdiag(blocks) + 2 coupling K K' (x) I, (T d, T d)."""
    H = 2.0 * COUPLING * np.kron(K @ K.T, np.eye(D))
    for t, block in enumerate(blocks):
        H[t * D : (t + 1) * D, t * D : (t + 1) * D] += block
    return H


def instances() -> tuple[tuple[Array, Array, Array], ...]:
    """Blocks, K and right sides: tasks that are alike, and tasks of one row with one cheap mode."""
    rng = np.random.default_rng(5)
    X, K = rng.normal(size=(T, 5 * D, D)), np.eye(T) - 0.3 * np.abs(rng.normal(size=(T, T)))
    alike = rng.uniform(0.5, 4.0, size=(T, 1, 1)) * (X.transpose(0, 2, 1) @ X)
    x, centred = rng.normal(size=(T, 1, D)), np.eye(T) - 1.0 / T
    apart = 5.0 * x.transpose(0, 2, 1) @ x
    return (alike, K, rng.normal(size=(T, D))), (apart, centred + 1e-3 / T, rng.normal(size=(T, D)))


def coordinates_are_those_of_the_system() -> None:
    """What each preconditioner calls H is H in its coordinates, and H is what conjugate gradients solve."""
    for (blocks, K, R), kind in zip(instances(), (Alike, Apart), strict=True):
        H, near = written_out(blocks, K), kind.of(blocks, K, COUPLING)
        assert near is not None
        Y = near.right(R)
        assert np.abs(near.rest(Y) - R).max() <= 1e-12
        product = H @ near.back(Y).ravel()
        assert np.abs(near.rest(near.product(Y)).ravel() - product).max() <= 1e-11 * np.abs(product).max()
        truth, size = np.linalg.solve(H, R.ravel()), np.full_like(R, 1e-11)
        found, settled = WeightSystem(blocks=blocks, K=K, coupling=COUPLING)._conjugate_gradients(R, size)
        assert settled and np.abs(found.ravel() - truth).max() <= 1e-7 * np.abs(truth).max()
        assert np.abs(H @ found.ravel() - R.ravel()).max() <= 2e-11


def equal_hessians_are_solved_at_once() -> None:
    """H_t = a_t H: the approximate inverse is the inverse."""
    (blocks, K, R), _ = instances()
    a = np.linspace(0.2, 3.0, T)
    equal = a[:, None, None] * blocks[0]
    near = Alike.of(equal, K, COUPLING)
    assert near is not None
    truth = np.linalg.solve(written_out(equal, K), R.ravel())
    found = near.back(near.inverse(near.right(R))).ravel()
    assert np.abs(found - truth).max() <= 1e-11 * np.abs(truth).max()


def cheap_modes_are_solved_for() -> None:
    """Tasks that differ: the inverses of their own blocks, and that on the cheap mode."""
    _, (blocks, K, R) = instances()
    assert Alike.of(blocks, K, COUPLING) is None
    H, near = written_out(blocks, K), Apart.of(blocks, K, COUPLING)
    C = np.kron(np.ones((T, 1)) / np.sqrt(T), np.eye(D))  # the centring of K leaves the mean
    M = C @ np.linalg.inv(C.T @ H @ C) @ C.T
    for t in range(T):
        own = slice(t * D, (t + 1) * D)
        M[own, own] += np.linalg.inv(H[own, own])
    truth = M @ R.ravel()
    assert np.abs(near.inverse(R).ravel() - truth).max() <= 1e-8 * np.abs(truth).max()


def kernels_are_left_alone() -> None:
    """A feature that no task has and a mean at no cost: H has a kernel, and no right side in it."""
    _, (blocks, _, R) = instances()
    blocks, K = blocks.copy(), np.eye(T) - 1.0 / T
    blocks[:, 2], blocks[:, :, 2] = 0.0, 0.0
    H = written_out(blocks, K)
    right = (H @ R.ravel()).reshape(R.shape)
    size = np.full_like(R, 1e-11)
    found, settled = WeightSystem(blocks=blocks, K=K, coupling=COUPLING)._conjugate_gradients(right, size)
    assert settled and np.linalg.matrix_rank(H) == T * D - 1
    assert np.abs(H @ found.ravel() - right.ravel()).max() <= 1e-10 and np.abs(found).max() <= 1e3
