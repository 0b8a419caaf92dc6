"""Modules import only from strictly lower layers, and optional packages load only when used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = [
    {"meanfield._version", "meanfield.aside", "meanfield.errors"},
    {"meanfield.gaussian"},
    {"meanfield.derivative", "meanfield.special"},
    {"meanfield.functions", "meanfield.normalization"},
    {"meanfield.affine"},
    {"meanfield.activations.precise"},
    {"meanfield.formulas.parse"},
    {"meanfield.formulas.rewrite"},
    {"meanfield.formulas.tree"},
    {"meanfield.formulas.program"},
    {"meanfield.formulas.breaks"},
    {"meanfield.formulas"},
    {"meanfield.records"},
    {"meanfield.activations.clipped", "meanfield.activations.exponential", "meanfield.activations.gelu"},
    {"meanfield.activations.periodic", "meanfield.activations.piecewise_linear", "meanfield.activations.polynomial"},
    {"meanfield.activations.probit", "meanfield.activations.sigmoidal"},
    {"meanfield.activations.accuracy"},
    {"meanfield.activations.symbolic"},
    {"meanfield.activations.catalogue"},
    {"meanfield.activations"},
    {"meanfield.quadrature.method"},
    {"meanfield.quadrature.legendre", "meanfield.quadrature.lattice"},
    {"meanfield.quadrature.law"},
    {"meanfield.quadrature.resolved"},
    {"meanfield.quadrature.resolve"},
    {"meanfield.quadrature.smoothed"},
    {
        "meanfield.quadrature.exact",
        "meanfield.quadrature.gauss_hermite",
        "meanfield.quadrature.hermite_series",
        "meanfield.quadrature.trapezoid",
        "meanfield.quadrature.panels",
    },
    {"meanfield.quadrature.cosine_series"},
    {"meanfield.quadrature.reference"},
    {"meanfield.quadrature.auto"},
    {"meanfield.quadrature.integrals", "meanfield.quadrature.conditional", "meanfield.quadrature.tabulated"},
    {"meanfield.quadrature.sphere.method"},
    {"meanfield.quadrature.sphere.gegenbauer", "meanfield.quadrature.sphere.panels"},
    {"meanfield.quadrature.sphere.auto"},
    {"meanfield.quadrature.sphere"},
    {"meanfield.quadrature"},
    {"meanfield.check", "meanfield.network", "meanfield.phase"},
    {"meanfield.batch_norm.averages", "meanfield.batch_norm.forward"},
    {"meanfield.batch_norm"},
    {"meanfield.order_parameters", "meanfield.exchangeable"},
    {"meanfield.batch_norm_gradients"},
    {"meanfield.log_domain"},
    {"meanfield.fim", "meanfield.readout", "meanfield.without_layer_norm"},
    {"meanfield.spectrum.nodes", "meanfield.spectrum.extremes", "meanfield.spectrum.validity"},
    {"meanfield.spectrum.drawn"},
    {"meanfield.spectrum.drawn_cavity", "meanfield.spectrum.normalized_outputs"},
    {"meanfield.spectrum.drawn_edge"},
    {"meanfield.spectrum.drawn_ensemble"},
    {"meanfield.spectrum.limit", "meanfield.spectrum.places"},
    {"meanfield.spectrum.limit_cavity", "meanfield.spectrum.collective"},
    {"meanfield.spectrum.limit_solver", "meanfield.spectrum.disorder"},
    {"meanfield.spectrum.limit_density"},
    {"meanfield.spectrum.corrected"},
    {"meanfield.spectrum.spectrum"},
    {"meanfield.spectrum"},
    {"meanfield.bulk.response"},
    {"meanfield.bulk.chain"},
    {"meanfield.bulk.density", "meanfield.bulk.surrogate"},
    {"meanfield.bulk.draws"},
    {"meanfield.bulk.bulk_spectrum"},
    {"meanfield.bulk"},
    {"meanfield.fluctuations.samples"},
    {"meanfield.fluctuations.moments"},
    {"meanfield.fluctuations.response"},
    {"meanfield.fluctuations.linear"},
    {"meanfield.fluctuations.bias"},
    {"meanfield.fluctuations.kernel"},
    {"meanfield.fluctuations.record"},
    {"meanfield.fluctuations"},
    {"meanfield.eigenvalues.hypotheses", "meanfield.eigenvalues.moments"},
    {"meanfield.eigenvalues.eigenspace", "meanfield.eigenvalues.last_layer", "meanfield.eigenvalues.unnormalized"},
    {"meanfield.eigenvalues.hidden_batch_norm"},
    {"meanfield.eigenvalues.layer_normalization", "meanfield.eigenvalues.mean_subtraction"},
    {"meanfield.eigenvalues.layer_norm_secular", "meanfield.eigenvalues.splitting"},
    {"meanfield.eigenvalues.leading_spectrum"},
    {"meanfield.eigenvalues.layer_norm_spectrum"},
    {"meanfield.eigenvalues.batch_normalization", "meanfield.eigenvalues.sharpened"},
    {"meanfield.eigenvalues.statistics"},
    {"meanfield.eigenvalues.log_statistics"},
    {"meanfield.eigenvalues.orthogonal_ensemble"},
    {"meanfield.eigenvalues.top_eigenvalues"},
    {"meanfield.eigenvalues"},
    {"meanfield.learning_rate"},
    {"meanfield.gram.batch_norm_layer"},
    {"meanfield.sweep.axes", "meanfield.sweep.cells", "meanfield.sweep.grid", "meanfield.sweep.record"},
    {"meanfield.sweep.theorems"},
    {"meanfield.sweep.run"},
    {"meanfield.sweep"},
    {"meanfield.learning_rate_map", "meanfield.report", "meanfield.sensitivity", "meanfield.maps"},
    {"meanfield.figures"},
    {"meanfield.gram.coefficients", "meanfield.gram.inputs", "meanfield.gram.pairs"},
    {"meanfield.gram.alone"},
    {"meanfield.gram.closed", "meanfield.gram.series"},
    {"meanfield.gram.layers"},
    {"meanfield.gram.batch_norm_homogeneous", "meanfield.gram.batch_norm_sampled"},
    {"meanfield.gram.batch_norm", "meanfield.gram.matrices", "meanfield.gram.record"},
    {"meanfield.gram.check", "meanfield.gram.request"},
    {"meanfield.gram.whole_batch"},
    {"meanfield.gram.gram"},
    {"meanfield.gram"},
    {"meanfield.sklearn"},
    {"meanfield"},
    {"meanfield.cli.terminal", "meanfield.cli.completion"},
    {"meanfield.cli.files", "meanfield.cli.options", "meanfield.cli.run", "meanfield.cli.values"},
    {"meanfield.cli.activations", "meanfield.cli.analyse", "meanfield.cli.learning_rates", "meanfield.cli.map"},
    {"meanfield.cli.phase", "meanfield.cli.crossover"},
    {"meanfield.cli.commands"},
    {"meanfield.cli"},
    {"meanfield.__main__"},
    {
        "montecarlo.blas",
        "montecarlo.cluster",
        "montecarlo.codec",
        "montecarlo.lanczos",
        "montecarlo.lock",
        "montecarlo.order_parameter_sampler",
    },
    {"montecarlo.measured_fluctuations", "montecarlo.network", "montecarlo.normalize", "montecarlo.power_law"},
    {"montecarlo.database", "montecarlo.fingerprint"},
    {"montecarlo.store"},
    {"montecarlo.forward"},
    {"montecarlo.propagate"},
    {"montecarlo.order_parameters", "montecarlo.dual", "montecarlo.last_layer", "montecarlo.training"},
    {"montecarlo.q_form", "montecarlo.dual_operator", "montecarlo.problem"},
    {"montecarlo.predicted_largest", "montecarlo.predicted_leading"},
    {"montecarlo.dual_tiles"},
    {"montecarlo.eigenvalue_method"},
    {"montecarlo.spectrum"},
    {"montecarlo.experiments", "montecarlo.executors", "montecarlo.processes"},
    {"montecarlo.ensemble", "montecarlo.threshold"},
    {"montecarlo.sweeps"},
    {"montecarlo.export", "montecarlo.precision"},
    {"montecarlo.allowance"},
    {"montecarlo.comparison", "montecarlo.control_variate"},
    {"montecarlo.compare", "montecarlo.rates"},
    {"montecarlo.paper"},
    {"montecarlo.theorems"},
    {"montecarlo.figures"},
    {"montecarlo"},
    {"montecarlo.cli.figure_tables", "montecarlo.cli.options"},
    {"montecarlo.cli.compare", "montecarlo.cli.export", "montecarlo.cli.paper", "montecarlo.cli.rates"},
    {"montecarlo.cli.figure_options"},
    {"montecarlo.cli.curve_figures", "montecarlo.cli.training_figures"},
    {"montecarlo.cli.figure"},
    {"montecarlo.cli.commands"},
    {"montecarlo.cli"},
    {"montecarlo.__main__"},
]
"""From the bottom to the top; a package stands for its __init__."""

LEVEL = {module: level for level, layer in enumerate(LAYERS) for module in layer}


def modules() -> dict[str, Path]:
    found = {}
    for path in [*ROOT.glob("meanfield/**/*.py"), *ROOT.glob("montecarlo/**/*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path) -> set[str]:
    """Return the modules of the two packages that a file imports."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[tuple[str, list[str]]] = []
        if isinstance(node, ast.Import):
            names = [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*anchor, *([node.module] if node.module else [])])
            names = [(base, [alias.name for alias in node.names])]
        for base, members in names:
            if base.split(".")[0] in ("meanfield", "montecarlo"):
                submodules = {f"{base}.{member}" for member in members} & set(LEVEL)
                found |= submodules or {base}
    return found


def test_every_module_has_a_layer() -> None:
    assert set(modules()) == set(LEVEL)


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_from_lower_layers(module: str) -> None:
    assert {target for target in imports(module, modules()[module]) if LEVEL[target] >= LEVEL[module]} == set()


def test_the_check_sees_a_forbidden_import(tmp_path: Path) -> None:
    path = tmp_path / "errors.py"
    path.write_text("from .quadrature import AUTO\nimport montecarlo\nfrom . import fim\n")
    assert imports("meanfield.errors", path) == {"meanfield.quadrature", "montecarlo", "meanfield.fim"}


@pytest.mark.parametrize("package", ["meanfield", "montecarlo"])
def test_heavy_packages_load_only_when_used(package: str) -> None:
    heavy = {"sympy", "mpmath", "matplotlib", "sklearn", "click", "scipy.stats", "scipy.integrate", "scipy.optimize"}
    if package == "montecarlo":
        heavy -= {"scipy.optimize", "scipy.integrate", "scipy.stats"}
    code = f"import sys, {package}; print(*sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
