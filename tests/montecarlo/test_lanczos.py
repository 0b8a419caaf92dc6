"""The iterations for the largest eigenvalue: against a dense solver, with an honest bound on the error, or an error."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerances import SINGLE, TWO_ROUTES

from montecarlo import lanczos
from montecarlo.lanczos import VECTORS, largest_eigenvalue_of


def matrix(kind: str, size: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(size)
    if kind == "Wishart":
        x = rng.standard_normal((size, size + 2))
        return np.asarray(x @ x.T)
    if kind == "one leads":
        return np.asarray(np.ones((size, size)) + np.diag(rng.random(size)))
    if kind == "copies":
        x = rng.standard_normal((size, max(1, size // 3)))
        return np.asarray(np.kron(x @ x.T, np.eye(3)), dtype=np.float64)
    rest = np.linspace(0.9, 0, size)
    top = {"zero": 0 * rest, "identity": 0 * rest + 1, "two are close": np.r_[1 + 1e-9, 1, rest][:size]}
    return np.diag(top[kind])


@pytest.mark.parametrize("kind", ["Wishart", "one leads", "copies", "zero", "identity", "two are close"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, VECTORS - 1, VECTORS, VECTORS + 1, 300])
def test_against_a_dense_solver(kind: str, size: int) -> None:
    a = matrix(kind, size)
    eigenvalues = np.linalg.eigvalsh(a)
    found = largest_eigenvalue_of(lambda v: a @ v, len(a))
    assert found.value == pytest.approx(eigenvalues[-1], rel=TWO_ROUTES)
    assert np.abs(eigenvalues - found.value).min() <= found.residual + TWO_ROUTES * eigenvalues[-1]
    assert found.residual <= TWO_ROUTES * eigenvalues[-1]
    single = a.astype(np.float32)
    rough = largest_eigenvalue_of(lambda v: single @ v, len(a), dtype=np.float32)
    assert rough.value == pytest.approx(eigenvalues[-1], rel=SINGLE)


def test_no_more_products_than_it_takes() -> None:
    a = matrix("one leads", 1000)
    assert largest_eigenvalue_of(lambda v: a @ v, 1000).products < 8
    spectrum = np.r_[1, np.linspace(1 - 1e-4, 0, 3000)]
    hard = largest_eigenvalue_of(lambda v: spectrum * v, spectrum.size)
    assert hard.products > VECTORS  # it was restarted
    assert hard.value == pytest.approx(1, rel=TWO_ROUTES)


def test_the_same_bits_again() -> None:
    a = matrix("Wishart", 120)
    first, again = (largest_eigenvalue_of(lambda v: a @ v, 120) for _ in range(2))
    assert first == again


def test_what_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanczos, "_PRODUCTS", 150)
    rng = np.random.default_rng(0)
    with pytest.raises(ArithmeticError, match=r"not found in 150 products: .*, with a residual of"):
        largest_eigenvalue_of(lambda v: v * rng.random(v.size), 200)  # another matrix every time
    with pytest.raises(ArithmeticError, match="not finite"):
        largest_eigenvalue_of(lambda v: np.full_like(v, np.nan), 200)
