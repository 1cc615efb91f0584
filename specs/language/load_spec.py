"""Specification files by suffix: spec.yaml, or a VNN-LIB query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.spec import Spec
from specs.property import Requirement, why_vacuous

if TYPE_CHECKING:
    from specs.language.inputs.natural import Reach
    from specs.language.schema.file import SpecFile

Loader = Callable[..., Graph]
"""``load(path, **options)``, with ``arch`` and ``input_shape`` as options for PyTorch files."""


def load_spec(
    path: Path,
    model: Path | None = None,
    parameters: Mapping[str, str] | None = None,
    load: Loader | None = None,
    reach: Reach | None = None,
    adjust: Callable[[SpecFile], SpecFile] | None = None,
    only: str = "",
) -> Spec:
    """The specification in ``path`` (.yaml, .yml, .vnnlib, each also .gz), compiled for its network.

    ``model`` is the network a query is about; a spec.yaml may name its own. ``parameters`` are the values of ``$name``
    in a spec.yaml. ``load`` reads the model file, `specs.loading.load_model` when absent; ``reach`` bounds what a layer
    can hold, for those that ask for it. ``adjust`` may change a spec.yaml before anything is made of it. ``only`` is
    the id of the only requirement of a spec.yaml that is wanted, if there is one.
    Raises ``SpecError`` or ``ModelError``.
    """
    path = Path(path)
    name = path.name.lower().removesuffix(".gz")
    load = load or _load_model
    if name.endswith(".vnnlib"):
        return _load_query(path, model, parameters or {}, load)
    if name.endswith((".yaml", ".yml")):
        from specs.language.spec_yaml import read_spec

        more = {} if adjust is None else {"adjust": adjust}
        return read_spec(path, model, parameters or {}, load, reach, only=only, **more)
    raise SpecError("is no specification by its name; expected .yaml, .yml or .vnnlib, each also with .gz", path)


def _load_query(path: Path, model: Path | None, parameters: Mapping[str, str], load: Loader) -> Spec:
    from specs.language.vnnlib.compile import compile_vnnlib
    from specs.language.vnnlib.reader import read_vnnlib

    if model is None:
        raise SpecError("a VNN-LIB query does not name its model; give the model as well", path)
    if parameters:
        raise SpecError(f"a VNN-LIB query has no parameters, but --set gives {', '.join(sorted(parameters))}", path)
    query = read_vnnlib(path)
    graph = load(model)
    problem = compile_vnnlib(query, graph)
    text = "no input satisfies every assertion of the query"
    requirement = Requirement("query", "malign", problem, text, vacuous=why_vacuous(problem))
    return Spec(path.name, path, model, (requirement,))


def _load_model(path: Path, **options: Any) -> Graph:
    from specs.loading import load_model

    return load_model(path, **options)
