"""How long does the empirical NTK, T F*, take elsewhere, and does it agree? Run: python benchmarks/peers_ntk.py.

One fully connected network with the same weights for everybody, float32, and two processors for this whole process.
neural-tangents (with each of its implementations) and torch.func are timed if they are installed: neural-tangents
0.6.5 needs an older jax, `pip install neural-tangents jax==0.4.30 jaxlib==0.4.30 tf2jax==0.3.6`. What forms the
Jacobian, T x P, gets fewer samples, and its time is scaled by their square. Times are medians of calls in turn, without
compilation; errors are relative to the largest entry of the same matrix in float64. Each library has a process of its
own, with montecarlo beside it: two of them do not load together.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from clock import seconds
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

NETWORK = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
PROCESSORS = 2


@dataclass(frozen=True)
class Peer:
    """One way to compute the tangent kernel of some samples."""

    name: str
    kernel: Callable[[NDArray[np.float32]], Any]
    """From inputs of shape (T, M) to the matrix of shape (T, T)."""
    forms_jacobian: bool = False


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1000, help="M")
    parser.add_argument("--samples", type=int, default=1000, help="T")
    parser.add_argument("--fewer", type=int, default=50, help="samples for what forms the Jacobian")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peer", choices=list(PEERS), help="this library alone, in this process")
    given = parser.parse_args()
    if given.peer is None:
        for name in PEERS:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--peer", name], check=True)
        return
    if hasattr(os, "sched_setaffinity"):  # before a library counts the processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])
    rng = np.random.default_rng(0)
    finite = mc.sample_network(NETWORK, width=given.width, rng=rng)
    inputs = mc.sample_inputs(NETWORK, width=given.width, samples=given.samples, rng=rng)
    exact = given.samples * mc.dual_gram(mc.propagate(finite, inputs))
    with threadpool_limits(PROCESSORS, user_api="blas"):
        print_table(list(everybody(finite, given.peer)), inputs.astype(np.float32), exact, given.fewer, given.rounds)


def print_table(
    peers: list[Peer], inputs: NDArray[np.float32], exact: NDArray[np.float64], fewer: int, rounds: int
) -> None:
    """Time everybody in turn."""
    samples = len(inputs)
    of_peer = [inputs[: fewer if peer.forms_jacobian else samples] for peer in peers]
    errors = []
    for peer, x in zip(peers, of_peer, strict=True):  # compiles, too
        kernel = np.asarray(peer.kernel(x), dtype=np.float64).reshape(len(x), len(x))
        errors.append(np.abs(kernel - exact[: len(x), : len(x)]).max() / exact.max())
    measured: list[list[float]] = [[] for _ in peers]
    for _ in range(rounds):
        for peer, x, times in zip(peers, of_peer, measured, strict=True):
            times.append(seconds(partial(waited_for, peer.kernel, x)))
    rows, first = [], float(np.median(measured[0]))
    for peer, x, times, error in zip(peers, of_peer, measured, errors, strict=True):
        median = float(np.median(times))
        whole = median * (samples / len(x)) ** 2
        cells = f"{1e3 * median:.1f}", f"{1e3 * whole:.0f}", f"{whole / first:.2f}", f"{error:.0e}"
        rows.append((peer.name, len(x), *cells))
    print(f"empirical NTK, tanh, L = 3, C = 1, M = {inputs.shape[1]}, float32, {PROCESSORS} processors")
    print(table(rows, ("by", "samples", "ms", f"ms for T = {samples}", "ratio", "error")))


def waited_for(kernel: Callable[..., Any], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the kernel when it is there, not while it is computed in the background."""
    return np.asarray(kernel(x))


def everybody(finite: mc.FiniteNetwork, peer: str) -> Iterator[Peer]:
    """Yield what is here, and the library if it is; say so if it is not."""
    parameters = [
        (w.astype(np.float32), b.astype(np.float32)) for w, b in zip(finite.weights, finite.biases, strict=True)
    ]
    yield Peer("montecarlo", partial(ours, finite))
    yield Peer("NumPy, a dozen lines", partial(plain, parameters))
    try:
        yield from PEERS[peer](parameters)
    except ImportError as error:
        print(f"{peer} is left out: {error}")


def ours(finite: mc.FiniteNetwork, x: NDArray[np.float32]) -> Any:
    """Propagate, and form the dual Gram."""
    return len(x) * mc.dual_gram(mc.propagate(finite, x, dtype="float32"))


def plain(parameters: list[tuple[Any, Any]], x: NDArray[np.float32]) -> Any:
    """Do the same for this network alone, as plainly as possible."""
    activities, slopes = [x], []
    for w, b in parameters[:-1]:
        activities.append(np.tanh(activities[-1] @ w.T + b))
        slopes.append(1 - activities[-1] ** 2)
    delta = np.ones((len(x), 1), dtype=np.float32)
    kernel = activities[-1] @ activities[-1].T + 1
    for h, slope, (w, _) in zip(activities[-2::-1], slopes[::-1], parameters[:0:-1], strict=True):
        delta = (delta @ w) * slope
        kernel += (delta @ delta.T) * (h @ h.T + 1)
    return kernel


def neural_tangents(parameters: list[tuple[Any, Any]]) -> Iterator[Peer]:
    """Yield its implementations of the empirical kernel."""
    jax = import_module("jax")
    # neural-tangents looks for both where older versions of jax had them
    inside: Any = import_module("jax.interpreters.ad")
    inside.source_info_util, inside.config = import_module("jax._src.source_info_util"), jax.config
    nt = import_module("neural_tangents")
    # x @ W, not x @ W.T: behind a transposition the structure is not seen, and takes five hundred times as long
    weights = [(jax.numpy.asarray(w.T), jax.numpy.asarray(b)) for w, b in parameters]

    def network(parameters: Any, x: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jax.numpy.tanh(x @ w + b)
        w, b = parameters[-1]
        return x @ w + b

    for choice in nt.NtkImplementation:
        if choice.name == "AUTO":  # tries the others
            continue
        kernel = jax.jit(nt.empirical_ntk_fn(network, trace_axes=(-1,), vmap_axes=0, implementation=choice))
        name = f"neural-tangents, {choice.name.lower().replace('_', ' ')}"
        yield Peer(name, partial(kernel_of, kernel, weights), choice.name != "STRUCTURED_DERIVATIVES")


def kernel_of(kernel: Callable[..., Any], weights: Any, x: NDArray[np.float32]) -> Any:
    """Call neural-tangents."""
    return kernel(x, None, weights)


def torch(parameters: list[tuple[Any, Any]]) -> Iterator[Peer]:
    """Yield the tutorial's way: the Jacobians of all samples by vmap of jacrev, and their products."""
    torch = import_module("torch")
    torch.set_num_threads(PROCESSORS)
    weights = [(torch.from_numpy(w), torch.from_numpy(b)) for w, b in parameters]

    def network(parameters: Any, x: Any) -> Any:
        for w, b in parameters[:-1]:
            x = torch.tanh(x @ w.T + b)
        w, b = parameters[-1]
        return x @ w.T + b

    jacobian = torch.func.vmap(torch.func.jacrev(network), (None, 0))

    def kernel(x: NDArray[np.float32]) -> Any:
        total: Any = 0
        for layer in jacobian(weights, torch.from_numpy(x)):
            for part in layer:
                rows = part.reshape(len(x), -1)
                total = total + rows @ rows.T
        return total.numpy()

    yield Peer("torch.func", kernel, forms_jacobian=True)


PEERS = {"neural-tangents": neural_tangents, "torch": torch}
"""By their names for pip."""


if __name__ == "__main__":
    main()
