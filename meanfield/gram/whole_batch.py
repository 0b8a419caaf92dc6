"""Real inputs behind batch normalisation: the whole batch at once, as what ``gram`` returns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import AssumptionError, ParameterError, require_number
from ..network import Network
from ..normalization import OutputNormalization
from .batch_norm import MATRICES, BatchNormGram, batch_norm_gram
from .batch_norm_layer import centred
from .batch_norm_sampled import Sampling
from .record import Gram
from .request import Request, gram_memory


def gram_of_batch(given: Request, sampling: Sampling, threads: int, memory_limit: float) -> Gram:
    """Return the matrices of one set of inputs, the batch; errors are those of ``gram``."""
    if not given.inputs.symmetric:
        raise AssumptionError(
            "batch normalisation in the hidden layers couples all samples of a batch: two sets of inputs have no "
            "matrix of their own, and belong to one batch or to two that have nothing in common",
            {"gram": "both matrices of one set of inputs, the batch"},
        )
    samples = int(given.inputs.squares.size)
    needed = (MATRICES / 2 + sampling.scramblings) * gram_memory(samples)
    if needed > require_number("memory_limit", memory_limit, above=0):
        expected = f"at least the {needed:.3g} GiB that the matrices of a whole batch need"
        raise ParameterError("memory_limit", expected, f"{memory_limit:g} GiB")
    found = batch_norm_gram(
        given.network,
        given.inputs,
        given.own,
        tangent=given.tangent,
        tolerance=given.tolerance,
        sampling=sampling,
        threads=threads,
    )
    return Gram(
        found.covariance.astype(given.precision, copy=False),
        None if found.tangent is None else found.tangent.astype(given.precision, copy=False),
        given.network,
        given.kind.value,
        given.parameters,
        True,
        found.error,
        covariance_error=found.covariance_error,
        tangent_error=found.tangent_error,
        validity=(*found.validity, *_beware_of_subtraction(given.network, found, sampling.tolerance)),
    )


def _beware_of_subtraction(network: Network, found: BatchNormGram, tolerance: float) -> Iterator[str]:
    """Warn where mean subtraction of the outputs leaves little of a tangent kernel that was sampled."""
    if network.output_normalization is OutputNormalization.MEAN and found.tangent_error is not None:
        assert found.tangent is not None
        left = np.sqrt(np.diagonal(centred(found.tangent)))
        worst = float((found.tangent_error / np.multiply.outer(left, left)).max())
        if worst > 10 * tolerance:
            yield (
                f"standard errors of the tangent kernel are up to {worst:.1e} of what mean subtraction leaves of it, "
                "but for what the errors of samples have in common: a smaller mf.Sampling(tolerance=..) helps"
            )
