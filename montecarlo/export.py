"""Ensembles as tables and labelled arrays, for other programs: through pandas and xarray, where these are installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import OrderParameters, ParameterError
from meanfield.aside import aside
from meanfield.errors import require_sequence

from .codec import flatten
from .ensemble import Ensemble
from .fingerprint import describe
from .store import StoredEnsemble

AnyEnsemble = Ensemble[Any] | StoredEnsemble[Any]

_FIRST = ("experiment.type", "experiment.width", "experiment.samples")
"""Columns of a table, after the seed and the member."""

_FIRST_LAYER = {"activity": 0, "preactivation": 1, "sensitivity": 1}
"""Of qhat^l, q^l and qtilde^l."""


def table_rows(ensemble: AnyEnsemble) -> list[dict[str, Any]]:
    """Return one dictionary for each member: its number, its seed, and the fields of its record.

    Parameters
    ----------
    ensemble : Ensemble or StoredEnsemble

    Returns
    -------
    list of dict
        The names of nested fields are joined by dots, entries of arrays and tuples go by their index. What is None or
        empty has no entry. A record that is a single number is ``value``; fields of a record that are called ``member``
        or ``seed`` are ``record.member`` and ``record.seed``.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> ensemble = mc.run_ensemble(mc.OrderParameterExperiment(network, width=50, samples=20), members=2, seed=7)
    >>> rows = table_rows(ensemble)
    >>> list(rows[1].items())[:2]
    [('member', 1), ('seed', 7)]
    >>> bool(rows[1]["activity.cross.2"] == ensemble.members[1].activity.cross[2])
    True
    """
    _require_ensemble(ensemble)
    rows = []
    for member, record in _members(ensemble):
        fields = flatten(record)
        first = {"member": member, "seed": ensemble.seed}
        fields = {f"record.{name}" if name in first else name or "value": value for name, value in fields.items()}
        rows.append(first | fields)
    return rows


def to_frame(*ensembles: AnyEnsemble) -> Any:
    """Return ensembles as a pandas DataFrame with one row for each member.

    Parameters
    ----------
    ensembles : Ensemble or StoredEnsemble
        Of one experiment or of several, with different records, too.

    Returns
    -------
    pandas.DataFrame
        The columns ``seed`` and ``member``; those that tell experiments apart, ``experiment.width``,
        ``experiment.network.outputs`` and so on; and the fields of the records as in :func:`table_rows`, with the
        numbers as they are, to the last bit; but integers that some of the ensembles do not have become floats.

    Raises
    ------
    ParameterError
        If pandas is not installed.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width=50, samples=20), members=3, seed=0)
    >>> frame = to_frame(ensemble)
    >>> list(frame.columns[:5])
    ['seed', 'member', 'experiment.type', 'experiment.width', 'experiment.samples']
    >>> bool(frame["mean"][2] == ensemble.members[2].mean)
    True
    """
    pandas = _require("pandas", "tables need")
    rows = []
    for ensemble in ensembles:
        _require_ensemble(ensemble)
        described = flatten(_described(ensemble))
        first = dict.fromkeys(("seed", "member", *(name for name in _FIRST if name in described)))
        rows += [{**first, **described, **row} for row in table_rows(ensemble)]
    return pandas.DataFrame(rows)


def to_xarray(ensemble: AnyEnsemble) -> Any:
    """Return an ensemble as an xarray Dataset.

    Parameters
    ----------
    ensemble : Ensemble or StoredEnsemble

    Returns
    -------
    xarray.Dataset
        Along ``member``, with the names of :func:`table_rows`; order parameters also along ``layer``, l = 0 .. L as in
        the paper, NaN where a quantity has no such layer (qhat^L, q^0, qtilde^0). The experiment, as JSON, and the seed
        are attributes.

    Raises
    ------
    ParameterError
        If xarray is not installed.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> ensemble = mc.run_ensemble(mc.OrderParameterExperiment(network, width=50, samples=20), members=5, seed=0)
    >>> sensitivity = to_xarray(ensemble)["sensitivity.cross"]
    >>> sensitivity.dims, sensitivity.shape, float(sensitivity.sel(layer=3).mean())
    (('member', 'layer'), (5, 4), 1.0)
    """
    _require_ensemble(ensemble)
    xarray = _require("xarray", "labelled arrays need")
    members = _members(ensemble)
    coordinates: dict[str, Any] = {"member": [member for member, _ in members]}
    variables: dict[str, Any] = {}
    if members and isinstance(members[0][1], OrderParameters):
        records = [record for _, record in members]
        depth = len(records[0].activity.same)
        coordinates["layer"] = range(depth + 1)
        for name, first in _FIRST_LAYER.items():
            for part in ("same", "cross"):
                if getattr(records[0], name) is not None:
                    values = np.full((len(records), depth + 1), np.nan)
                    values[:, first : first + depth] = [getattr(getattr(record, name), part) for record in records]
                    variables[f"{name}.{part}"] = (("member", "layer"), values)
    else:
        rows = table_rows(ensemble)
        names = dict.fromkeys(name for row in rows for name in row)
        variables = {
            name: ("member", _column([row.get(name, np.nan) for row in rows]))
            for name in names
            if name not in ("member", "seed")
        }
    attributes = {"experiment": json.dumps(_described(ensemble).get("experiment")), "seed": str(ensemble.seed)}
    return xarray.Dataset(variables, coordinates, attributes)


def require_table(path: Path) -> None:
    """Refuse a name of a table that cannot be written; what is missing is said before any work."""
    if not isinstance(path, Path):
        raise ParameterError("file", "a path", repr(path))
    if path.suffix not in (".csv", ".parquet"):
        raise ParameterError("file", "a file name that ends in .csv or .parquet", path)
    if not path.parent.is_dir() or path.is_dir():
        raise ParameterError("file", "a file in a folder that exists", path)
    _require("pandas", "tables need")
    if path.suffix == ".parquet":
        _require("pyarrow", "Parquet needs")


def write_table(ensembles: Sequence[AnyEnsemble], path: str | Path) -> int:
    """Write ensembles as one table, with the columns of :func:`to_frame`.

    Parameters
    ----------
    ensembles : sequence of Ensemble or StoredEnsemble
    path : str or Path
        Ending in ``.csv`` (numbers with as many digits as give back every bit; nothing stands for None and for empty
        text) or ``.parquet``; an existing file is replaced.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    ParameterError
        For another file name, if a library is not installed, if there is no member to write, and for what the file
        cannot hold, as integers of more than 64 bits in Parquet.
    """
    path = Path(path) if isinstance(path, str) else path
    require_table(path)
    frame = to_frame(*require_sequence("ensembles", ensembles))
    if frame.empty:
        raise ParameterError("ensembles", "of at least one finished network", "none")
    write = frame.to_csv if path.suffix == ".csv" else frame.to_parquet
    try:
        with aside(path) as new:
            write(new, index=False)
    except (ValueError, TypeError, OverflowError) as error:
        raise ParameterError("ensembles", f"of columns that a {path.suffix} file can hold", str(error)) from error
    return len(frame)


def _members(ensemble: AnyEnsemble) -> list[tuple[int, Any]]:
    if isinstance(ensemble, StoredEnsemble):
        return list(ensemble.members.items())
    return list(enumerate(ensemble.members))


def _column(values: list[Any]) -> NDArray[Any]:
    """Return what may be missing, as NaN, from some members: beside text as it is, not as its name."""
    missing = any(isinstance(value, float) and np.isnan(value) for value in values)
    text = any(isinstance(value, str) for value in values)
    return np.array(values, dtype=object if missing and text else None)


def _described(ensemble: AnyEnsemble) -> Mapping[str, Any]:
    """Return what tells an ensemble from others, as plain data."""
    if isinstance(ensemble, StoredEnsemble):
        return ensemble.fingerprint
    try:
        return {"experiment": describe(ensemble.experiment)}
    except (ParameterError, RecursionError):  # of a user, and made of other things: its name has to do
        return {"experiment": {"type": type(ensemble.experiment).__qualname__}}


def _require(library: str, what: str) -> ModuleType:
    """Import an optional library."""
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        expected = f"installed ({what} it; in a clone of the project: pip install '.[export]')"
        raise ParameterError(library, expected, "no such module") from error


def _require_ensemble(ensemble: AnyEnsemble) -> None:
    if not isinstance(ensemble, Ensemble | StoredEnsemble):
        raise ParameterError("ensemble", "an Ensemble or a StoredEnsemble", repr(ensemble))
