"""Every tolerance of the tests, with the reason for it."""

from __future__ import annotations

QUADRATURE = 1e-13
"""Of an integral relative to its scale: the default tolerance."""

TABLE = 2e-16
"""Of thirty digits that are rounded to doubles, relative to the scale of the integral."""

KAPPA = 1e-13
"""Of kappa, relative to kappa_1: integrals are usually within 1e-14, and their errors do not add up."""

ROUNDING = 1e-13
"""Of formulas without integration that are evaluated in two different orders."""

LINEAR_ALGEBRA = 1e-11
"""Of eigenvalues and Gram matrices by two routes, relative to the largest: rounding times the size."""

NOT_SYMMETRIC = 1e-10
"""Of the eigenvalues of Q F*_m, a product that is not symmetric, relative to the largest: ill-conditioned by ten."""

EXACT_ZERO = 1e-20
"""Of the norm of a Gram that vanishes for every network, relative to that without normalisation: rounding, squared."""

DIFFERENCES = 1e-6
"""Of derivatives by central differences with a step of 1e-5: the truncation is 1e-10, the rounding 1e-11/1e-5."""

SIGMAS = 5.0
"""Of a Monte Carlo mean from its expectation, in standard errors; seeds are fixed."""

FUNCTION = 2e-15
"""Of an activation against 60 digits, relative: a few roundings and the rounding of a library's exponential."""
FORMULA = 1e-13
"""Of formulas evaluated in double precision, relative to their size within a distance of 1: some tens of roundings."""

NUMERICAL_SLOPE = 2e-12
"""Of slopes of size 1 by interpolation, beside a kink, where differences of 1e-16 are magnified most."""

ORACLE = 1e-14
"""Of integrals of random functions by a dense rule in double precision, relative to the size of the parts."""

TWO_ROUTES = 1e-12
"""Of a Gram, its moments and largest eigenvalue with the matrix and without, relative: some thousand roundings."""

SINGLE = 3e-5
"""Of measurements in float32, relative: 250 roundings of a Gram whose largest part normalised outputs take out."""

LINEARISED = 1e-4
"""Of a threshold against the linear theory of the residual, relative: the residual moves the network by a millionth,
and lambda_max by some tens of that."""

OFFSET = 0.01
"""How far above 2/lambda_max a small residual may die out in 200 steps, relative: 2 x f (1 + x)^400 = (1 - f)/(200 e)
gives x/2 = 0.008 where the first eigenvector has a share of f = 1e-4 in the residual."""

GRAM = 1e-11
"""Of entries of a Gram of real inputs, relative to the diagonal: series are cut at 1e-12, and slopes amplify that."""

NEARLY_PARALLEL = 1e-10
"""The same for relu and inputs at an angle of 1e-6, in which roundings of the products of the inputs are that large."""

PEER = 1e-8
"""Of matrices by another library in double precision: that is what it loses where a correlation is 1."""
LIMIT_OF_SAMPLES = 1e-8
"""Of a formula for q_t -> q_st at q_t - q_st = 1e-9, relative."""

MEDIAN_OF_NETWORKS = 0.04
"""Of the median over networks of width 1000 of lambda_max behind layer normalisation over the theory for each of them:
the O(L/M) of the theory, and chance of a few per cent for each network."""

EACH_NETWORK = 0.08
"""Of each of them, where the theory takes the order parameters and overlaps of the network itself."""

SPLITTING = 0.25
"""By how much more they may be above it without, in units of sqrt(C L/M): 1 to 4 % is measured for C = 10."""

FINITE_WIDTH = 3.0
"""In units of L/M: what tangent kernels of networks may be off the limit by, relative to the diagonal."""
SHARE = 0.01
"""Of a share of eigenvalues above a place: some of 600 eigenvalues, and the terms of O(1/T) a density leaves out."""

BULK_EDGE = {3: 0.05, 5: 0.10}
"""By depth, of the mean of lambda_max where the bulk of hidden batch normalisation is on top, M = 1000: what is aimed
at; 1 to 2 % is measured with more networks."""

EXCHANGEABLE = 1e-9
"""Of tangent kernels behind batch normalisation by two routes, relative: 1e-10 with epsilon, from layer to layer."""
TABULATED = 1e-11
"""Of an overlap off a table, relative to E f^2: three times the tolerance, which is checked at 72 places."""

SWEEP = 1e-8
"""Of lambda_max off tables at L = 50, relative: what is asked for; 1e-10 is usual."""

RICHARDSON = 1e-9
"""Of derivatives by twice extrapolated differences with a step of 2 %, relative to value over variance."""

LOG_JUMPS = 1e-8
"""Of gaps behind slopes with jumps where samples are nearly alike, relative."""
