"""The pages that are made from the code and the README when the site is built."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
from activations_page import activations

import meanfield
import montecarlo
from meanfield.cli.commands import meanfield as meanfield_command
from montecarlo.cli.commands import montecarlo as montecarlo_command

ROOT = Path(__file__).parents[1]
PACKAGES = (meanfield, montecarlo)


def write(folder: Path) -> None:
    """Write all pages, those that have changed only: Sphinx reads what is new."""
    pages = {
        "equation_map.md": equation_map(),
        "slips.md": slips(),
        "commands.md": commands(),
        "activations.md": activations(),
        "beyond.md": beyond(),
        **{f"{package.__name__}.rst": interface(package) for package in PACKAGES},
    }
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


# The README's tables


def section(text: str, title: str) -> str:
    """Return what stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"the README has no section {title!r}")
    return found[1].strip()


def readme() -> str:
    """Return the text of the README."""
    return (ROOT / "README.md").read_text()


def public(where: str) -> str | None:
    """Return the public name of a function or class that is given by its full one, if it has one."""
    module, _, name = where.rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    for package in PACKAGES:
        if name in package.__all__ and getattr(package, name) is thing:
            return f"{package.__name__}.{name}"
    return None


def equation_map() -> str:
    """Return the README's equation map, each place linked to its description."""

    def link(row: re.Match[str]) -> str:
        name = public(row[1])
        return f"| {{py:obj}}`{name}` |" if name else row[0]

    table = re.sub(r"\| `([\w.]+)` \|$", link, section(readme(), "Equations"), flags=re.MULTILINE)
    return f"# The equation map\n\n{table}\n"


def slips() -> str:
    """Return the README's readings of the paper, each with the tests that decide it."""
    text = section(readme(), "Readings of the paper")
    tests = evidence()

    def with_tests(item: re.Match[str]) -> str:
        names = ", ".join(f"`{name}`" for name in tests[int(item[1])])
        return f"{item[0].rstrip()}\n\n    Evidence: {names}.\n\n"

    text = re.sub(r"^(\d+)\. .*?(?=^\d+\. |^\S|\Z)", with_tests, text, flags=re.MULTILINE | re.DOTALL)
    return f"# Slips of the paper, with the evidence\n\n{text}\n"


def evidence() -> dict[int, list[str]]:
    """Return the tests that decide each slip, by its number: ``test_3_4_...`` is of the third and the fourth."""
    found: dict[int, list[str]] = {}
    for name in re.findall(r"^def (test_\d\w*)", (ROOT / "tests" / "test_slips.py").read_text(), re.MULTILINE):
        for number in re.findall(r"\d+", re.match(r"test((?:_\d+)+)_", name)[1]):  # type: ignore[index]
            found.setdefault(int(number), []).append(name)
    return found


# What goes beyond the paper

ELSEWHERE = {"index", "gallery", "gram", "maps", "paper"}
"""Pages of this folder that have their place in the contents of their own."""


def beyond() -> str:
    """Return the overview of the derivations: every page of the folder, with how it begins."""
    pages = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.stem not in ELSEWHERE]
    entries = []
    for path in pages:
        title, paragraph = re.match(r"# (.*?)\n\n(.*?)\n\n", path.read_text() + "\n\n", re.DOTALL).groups()  # type: ignore[union-attr]
        paragraph = re.sub(r"\]\((?!\w+:)", "](../", paragraph).replace("\n", "\n  ")
        entries.append(f"[{title}](../{path.name})\n: {paragraph}\n")
    listed = "\n".join(f"../{path.stem}" for path in pages)
    contents = f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    return f"# Beyond the paper\n\n{BEYOND}\n\n" + "\n".join(entries) + "\n" + contents


BEYOND = """The paper has bounds and limits; these pages derive what lies between them, and show it beside finite
networks. Each is implemented, and says where it ends."""

# The interface


def filenames() -> dict[str, str]:
    """Return names of files for what differs by the case of its letters only, as Spectrum and spectrum."""
    return {
        f"{package.__name__}.{name}": f"{package.__name__}.{name}-class"
        for package in PACKAGES
        for name in package.__all__
        if inspect.isclass(getattr(package, name))
    }


def interface(package: ModuleType) -> str:
    """Return the index of a package: its public names by the module that defines them."""
    groups: dict[str, list[str]] = {}
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            groups.setdefault(".".join(thing.__module__.split(".")[:2]), []).append(name)
    head = package.__name__
    text = [head, "=" * len(head), "", inspect.getdoc(package) or "", "", *ready_made(package)]
    for module in sorted(groups):
        title = heading(importlib.import_module(module))
        text += [title, "-" * len(title), "", f".. currentmodule:: {head}", ""]
        text += [".. autosummary::", "   :toctree: api", "", *(f"   {name}" for name in groups[module]), ""]
    return "\n".join(text)


def ready_made(package: ModuleType) -> list[str]:
    """Return a paragraph on the public names that are neither functions nor classes."""
    things = {name: getattr(package, name) for name in package.__all__}
    activations = [name for name, thing in things.items() if isinstance(thing, meanfield.Activation)]
    methods = [name for name, thing in things.items() if isinstance(thing, meanfield.Method | meanfield.SphereMethod)]
    text = []
    if activations:
        names = ", ".join(f"``{name}``" for name in activations)
        text += [f"Ready-made are the :doc:`activations <activations>` {names};"]
        described = [f"``{name}``, an object of :class:`~meanfield.{type(things[name]).__name__}`" for name in methods]
        text += [f"{' and '.join(described)}."]
        text += ["", ".. currentmodule:: meanfield", "", ".. autosummary::", "   :toctree: api", ""]
        text += ["   sklearn.NetworkKernel", ""]
    return text


def commands() -> str:
    """Return the help of all commands."""
    parts = ["# The commands\n"]
    for name, group in (("meanfield", meanfield_command), ("montecarlo", montecarlo_command)):
        parts += _help(group, click.Context(group, info_name=name))
    return "\n".join(parts)


def _help(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the help of a command, and of those below it."""
    level = context.command_path.count(" ") + 2
    yield f"{'#' * level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _help(below, click.Context(below, info_name=name, parent=context))


def heading(module: ModuleType) -> str:
    """Return the first sentence of a module's docstring as a heading."""
    first = " ".join((inspect.getdoc(module) or module.__name__).split("\n\n")[0].split())
    return (
        re.split(r"(?<=\w)(?:[.:;] |, with )|(?<=[?]) ", first)[0].rstrip(".").replace("|", r"\|").replace("*", r"\*")
    )
