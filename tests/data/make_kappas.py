"""Make kappas.json: kappa_1 and kappa_2 of Theorem 2.2 to 30 digits, for networks of every activation.

    python tests/data/make_kappas.py

Straight from the recursions of the order parameters, (5)-(7), and (11), with the integrals of make_overlaps.py; with
layer normalisation from (S.74) and (S.87). Every network is computed by both of its routes, which must agree.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import make_overlaps as integrals
from flint import arb, ctx

TABLE = Path(__file__).with_name("kappas.json")
ALL_AGREE = 1e-33

Real = Any


def network(
    activations: list[str],
    weight_variance: float | list[float],
    bias_variance: float | list[float],
    *,
    width_ratios: list[float] | None = None,
    hidden: str = "none",
) -> dict[str, Any]:
    """Describe a network in plain data, with one number for each layer."""
    depth = len(activations) + 1

    def per_layer(x: float | list[float]) -> list[float]:
        return x if isinstance(x, list) else [x] * depth

    return {
        "activations": activations,
        "width_ratios": width_ratios or [1.0] * depth,
        "weight_variance": per_layer(weight_variance),
        "bias_variance": per_layer(bias_variance),
        "hidden_normalization": hidden,
    }


NETWORKS = [
    network(["relu"] * 2, 2.0, 0.0),
    network(["leaky_relu(0.2)"] * 4, 1.8, 0.1, width_ratios=[0.5, 1.0, 2.0, 1.0, 0.75]),
    network(["absolute"] * 3, 1.0, 0.3),
    network(["identity"] * 5, 0.9, 0.2),
    network(["hard_tanh"] * 2, 3.0, 0.64),
    network(["erf"] * 3, 2.0, 0.05),
    network(["gelu"] * 4, 2.2, 0.1),
    network(["tanh"] * 2, 3.0, 0.64),
    network(["sigmoid"] * 3, 8.0, 0.5),
    network(["silu"] * 5, 2.5, 0.2),
    network(["softplus"] * 2, 1.2, 0.0),
    network(["elu"] * 3, 1.5, 0.25),
    network(["selu"] * 6, 1.3, 0.1),
    network(["sine"] * 3, 2.0, 0.1),
    network(["cosine"] * 2, 1.5, 0.3),
    network(["monomial(3)", "hermite(3)", "hermite(4)"], [0.3, 0.1, 0.02, 1.0], [0.1, 0.2, 0.5, 0.0]),
    network(["tanh"] * 9, 2.5, 0.3, width_ratios=[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 1.0, 1.0]),
    network(["sigmoid"], 8.0, 0.5, width_ratios=[0.1, 5.0]),
    network(["relu", "tanh", "erf"], 2.0, 0.1, width_ratios=[1.0, 2.0, 0.5, 1.0]),
    network(
        ["tanh", "absolute", "sigmoid", "leaky_relu(0.2)"],
        [1.5, 1.0, 4.0, 2.0, 1.0],
        [0.5, 0.0, 0.2, 0.1, 0.3],
        width_ratios=[0.3, 1.0, 1.5, 1.0, 0.8],
    ),
    network(["gelu", "silu", "softplus", "hard_tanh"], [18.0, 2.0, 1.0, 0.5, 3.0], [2.0, 0.0, 0.1, 1.0, 0.0]),
    network(["selu", "elu", "sine", "cosine", "identity"], 1.1, 0.15),
    network(["tanh"] * 2, 3.0, 0.64, hidden="layer"),
    network(["erf", "identity", "sigmoid"], 1.7, 0.4, width_ratios=[2.0, 1.0, 1.0, 3.0], hidden="layer"),
    network(["silu"] * 9, 2.0, 0.05, hidden="layer"),
    network(["gelu", "softplus", "selu", "hard_tanh"], [2.0, 0.5, 4.0, 1.0, 3.0], 0.3, hidden="layer"),
]


def overlap(name: str, part: int, a: Real, b: Real, *, again: bool) -> Real:
    """E f(u) f(v) by one of the two routes; the error of the order parameters themselves is only rounding."""
    a, b = a.mid(), b.mid()
    known = integrals.known()
    if name in known:
        f = known[name][part]
        return f.overlap(a, b)
    f = integrals.functions()[name][part]
    if abs(b) < 1e-40:  # the mean of an odd function below
        b = arb(0)
    return integrals.conditioned(f, a, b) if again else integrals.overlap(f, a, b)


def kappas(description: dict[str, Any], *, again: bool) -> tuple[Real, Real]:
    """kappa_1 and kappa_2."""
    names, layer_norm = description["activations"], description["hidden_normalization"] == "layer"
    s_w, s_b, ratios = (
        [arb(x) for x in description[key]] for key in ("weight_variance", "bias_variance", "width_ratios")
    )
    depth = len(names) + 1
    qhat: list[tuple[Real, Real]] = [(arb(1), arb(0))]  # t, st; layers 0 .. L-1
    law, norm = [], []  # what the activation sees, and what layer norm divided by: layers 1 .. L-1
    for l in range(depth - 1):
        t, st = (s_w[l] * x + s_b[l] for x in qhat[l])
        norm.append(t if layer_norm else arb(1))
        law.append((arb(1), st / t) if layer_norm else (t, st))
        a, b = law[l]
        qhat.append((overlap(names[l], 0, a, a, again=again), overlap(names[l], 0, a, b, again=again)))
    qtilde: list[tuple[Real, Real]] = [(arb(1), arb(1))]  # layers L .. 1
    for l in reversed(range(depth - 1)):
        a, b = law[l]
        factor = s_w[l + 1] / norm[l]
        above = qtilde[-1]
        qtilde.append(
            (
                factor * above[0] * overlap(names[l], 1, a, a, again=again),
                factor * above[1] * overlap(names[l], 1, a, b, again=again),
            )
        )
    qtilde.reverse()
    alpha = sum((x * y for x, y in pairwise(ratios)), arb(0))
    first, second = (sum((ratios[l] / alpha * qtilde[l][i] * qhat[l][i] for l in range(depth)), arb(0)) for i in (0, 1))
    return first, second


def main() -> None:
    """Write the table."""
    entries = []
    for description in NETWORKS:
        ctx.prec = integrals.MAKE.bits
        values = kappas(description, again=False)
        ctx.prec = integrals.CHECK.bits
        for value, other in zip(values, kappas(description, again=True), strict=True):
            if not abs(value - other) < ALL_AGREE * abs(values[0]):
                raise ArithmeticError(f"{description}: {value} and {other}")
        first, second = map(integrals.digits, values)
        entries.append(json.dumps(description | {"kappa_1": first, "kappa_2": second}))
        print(*description["activations"], first, second, flush=True)
    TABLE.write_text("[\n" + ",\n".join(entries) + "\n]\n")


if __name__ == "__main__":
    main()
