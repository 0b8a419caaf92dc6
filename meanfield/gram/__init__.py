"""Real inputs: the T x T matrices of the limit, covariance of the outputs and tangent kernel.

Each sample goes through the layers by itself once (``layers``); pairs follow in tiles that stay in the cache
(``matrices``), by closed forms or, where there is none, by one power series for each sample (``series``). Some entries
are always computed again by ``mf.overlap`` (``check``).

Batch normalisation of hidden layers couples all samples: whole matrices go through the layers (``batch_norm``), by a
Laplace transform for relu and its like (``batch_norm_homogeneous``), by Sobol points else (``batch_norm_sampled``).
"""

from .batch_norm_sampled import Sampling
from .gram import GramBlock, gram, gram_blocks, gram_diagonal
from .inputs import InputGram
from .record import Gram
from .request import Parameterization, gram_memory

__all__ = [
    "Gram",
    "GramBlock",
    "InputGram",
    "Parameterization",
    "Sampling",
    "gram",
    "gram_blocks",
    "gram_diagonal",
    "gram_memory",
]
