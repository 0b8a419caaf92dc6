"""Files that are whole or not there: written under another name, they get their own when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Provide a name beside that of a file, with the same suffix; what is written there replaces the file at the end.

    After an error the file is as it was, and nothing is left beside it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with aside(Path(folder, "table.csv")) as new:
    ...         print(new.name, new.write_text("a,b"))
    ...     print(*(path.name for path in Path(folder).iterdir()))
    .table.csv.new.csv 3
    table.csv
    """
    new = path.with_name(f".{path.name}.new{path.suffix}")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
