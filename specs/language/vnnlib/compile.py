"""VNN-LIB query and network, negated into the property that has to hold."""

from __future__ import annotations

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.expressions.alternatives import NoPoint, TwoBalls, Unbounded, cases_of
from specs.language.vnnlib.reader import VnnlibQuery
from specs.problem import Problem


def compile_vnnlib(query: VnnlibQuery, graph: Graph) -> Problem:
    """The property "no point of the network satisfies ``query``": it fails exactly where the query is satisfiable.

    The normal form is that of `specs.language.expressions.alternatives.cases_of`.
    Raises ``SpecError`` when declared and actual sizes differ, when an input is not bounded on both sides, and when
    every alternative contradicts itself.
    """
    _check_sizes(query, graph)
    try:
        cases = cases_of(query.assertions, query.n_inputs, "X_{}".format, query.ball)
    except TwoBalls as error:
        raise SpecError(error.message, query.file, *query.position(error.token)) from None
    except NoPoint as error:
        line, column = query.position(error.token) if error.token >= 0 else (0, 0)
        message = f"describes no point at all, so there is nothing to verify: {error.message}. Correct the bounds"
        raise SpecError(message, query.file, line, column) from None
    except (Unbounded, OverflowError) as error:
        raise SpecError(str(error), query.file) from None
    return Problem(graph, cases)


def _check_sizes(query: VnnlibQuery, graph: Graph) -> None:
    """Compare declared variables with the network's flat inputs and outputs."""
    wrong = []
    for kind, noun, declared, actual, names in (
        ("X", "inputs", query.n_inputs, graph.input_size, graph.inputs),
        ("Y", "outputs", query.n_outputs, graph.output_size, graph.outputs),
    ):
        if declared != actual:
            shapes = ", ".join(f"{name} {list(graph.by_name[name].shape)}" for name in names)
            wrong.append(f"declares {declared} {noun} {kind}_i but the model has {actual} ({shapes})")
    if wrong:
        raise SpecError("; ".join(wrong) + ". Does this query belong to this model?", query.file)
