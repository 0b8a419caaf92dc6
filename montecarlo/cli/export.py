"""The command ``montecarlo export``."""

from __future__ import annotations

from pathlib import Path

import click

from meanfield.errors import ParameterError

from ..export import require_table, write_table
from ..store import read_store

_PATH = click.Path(dir_okay=False, path_type=Path)


@click.command("export", short_help="The networks of a store as a table, .csv or .parquet.")
@click.argument("store", type=_PATH)
@click.argument("file", type=_PATH)
def export_command(store: Path, file: Path) -> None:
    """Write the networks of a store to FILE (.csv or .parquet), one row each.

    Needs the extra `export`: in a clone of the project, pip install '.[export]'. The store may be that of a run which
    is still writing to it. The columns tell the experiments apart and give every field of the records, nested ones
    joined by dots.

    \b
    Examples:
      montecarlo figure 1 --store figure1.sqlite
      montecarlo export figure1.sqlite figure1.csv
    """
    require_table(file)
    if file.exists() and store.exists() and file.samefile(store):
        raise ParameterError("file", "another file than the store", file)
    rows = write_table(read_store(store), file)
    click.echo(f"wrote {rows} networks to {file}", err=True)
