"""auto_LiRPA, versions 0.3 to 0.7: its lower bounds of rows over a box, for a network of ours.

A second opinion about our own bounds and never part of a proof: computed in floating point, and by code we have not
read into a certificate. What works is found by trying (``relaxations.peers.probe``), not from the version number.

Sources: Xu et al. 2020 (auto_LiRPA), arXiv:2002.12920; Gowal et al. 2018 (IBP), arXiv:1810.12715; Zhang et al. 2020
(CROWN-IBP), arXiv:1906.06316; Zhang et al. 2018 (CROWN), arXiv:1811.00866; Xu et al. 2021 (alpha-CROWN),
arXiv:2011.13824.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork
from specs.errors import CertifyError
from specs.graph import Graph

METHODS = ("IBP", "CROWN-IBP", "CROWN", "CROWN-Optimized")
"""The methods by the names that auto_LiRPA has for them, the cheapest first."""
ITERATIONS = 20
"""Steps of CROWN-Optimized, auto_LiRPA's own default."""

INSTALL = ("pip install appdirs tqdm", "pip install --no-deps auto-lirpa==0.3")
"""The only release on PyPI asks for a PyTorch that today's Python does not have; without its conditions it works."""

# Intermediate bounds and slopes of all neurons, not of those alone that IBP leaves unstable: with fewer, versions fail
# on some shapes.
DENSE = ("sparse_intermediate_bounds", "sparse_features_alpha", "sparse_spec_alpha")


class PeerError(CertifyError):
    """A second opinion that cannot be had, and why."""


def installed() -> str:
    """The version of auto_LiRPA, "" where it is not installed. Nothing is imported."""
    try:
        return version("auto-LiRPA")
    except PackageNotFoundError:
        return "(of unknown version)" if find_spec("auto_LiRPA") else ""


def missing() -> PeerError:
    """The error that says what to install."""
    return PeerError(f"auto_LiRPA is not installed: run `{INSTALL[0]}` and then `{INSTALL[1]}`")


def require() -> str:
    """The version; raises PeerError naming what to install where something is missing. Imports PyTorch."""
    found = installed()
    if not found:
        raise missing()
    try:
        import torch  # noqa: F401
    except ImportError:
        raise PeerError("auto_LiRPA needs PyTorch: run `pip install 'certify-nn[torch]'`") from None
    return found


def lower_bounds(
    network: Graph | ReluNetwork,
    rows: Rows,
    lower: np.ndarray,
    upper: np.ndarray,
    method: str = "CROWN",
    iterations: int = ITERATIONS,
    dtype: str = "float64",
) -> np.ndarray:
    """auto_LiRPA's lower bounds (R,) of the rows over the box [``lower``, ``upper``] (inputs,), up to its rounding.

    A graph is handed over operator by operator, a ReluNetwork as layers of dense weights with the rows composed into
    the last. Raises ValueError for an unknown method, ModelError for a network that cannot be handed over, PeerError
    where auto_LiRPA is missing or fails.
    """
    found, failures = bounds_by_method(network, rows, lower, upper, (method,), iterations, dtype)
    if failures:
        raise failures[method]
    return found[method]


def bounds_by_method(
    network: Graph | ReluNetwork,
    rows: Rows,
    lower: np.ndarray,
    upper: np.ndarray,
    methods: Sequence[str] = METHODS,
    iterations: int = ITERATIONS,
    dtype: str = "float64",
) -> tuple[dict[str, np.ndarray], dict[str, PeerError]]:
    """The same for several methods: the bounds of those that work, and how the others fail."""
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(f"auto_LiRPA has no method {unknown[0]!r}; known are {', '.join(METHODS)}")
    release = require()
    import torch

    from relaxations.peers.modules import module_of
    from relaxations.peers.shims import shimmed

    module = module_of(network, rows, getattr(torch, dtype))
    found, failures = {}, {}
    try:
        with shimmed(dtype) as library:
            target = _Target(library, module, *_outward(lower, upper, dtype), iterations)
            for method in methods:
                try:
                    found[method] = target.bounds(method)
                except Exception as error:  # noqa: BLE001  its failures are of any type, and an answer here
                    failures[method] = _failure(release, method, error)
    except ImportError as error:
        raise PeerError(f"auto_LiRPA {release} cannot be imported ({error}): run `{INSTALL[0]}`") from error
    return found, failures


class _Target:
    """A module and a box, bounded by one method after another."""

    def __init__(self, library: Any, module: Any, lower: np.ndarray, upper: np.ndarray, iterations: int) -> None:
        import torch

        self.library, self.module, self.bounded = library, module, None
        low, up = (torch.from_numpy(side).reshape(1, *module.input_shape) for side in (lower, upper))
        self.middle = (low + up) / 2
        self.box = library.BoundedTensor(self.middle, library.PerturbationLpNorm(norm=np.inf, x_L=low, x_U=up))
        self.options = {
            **dict.fromkeys(DENSE, False),
            "conv_mode": "patches" if module.images_only else "matrix",  # patches take every sum for one of images
            "optimize_bound_args": {"iteration": iterations},
        }

    def bounds(self, method: str) -> np.ndarray:
        """Lower bounds (R,). What a failure or an optimisation leaves behind does not reach the next method."""
        bounded, self.bounded = self.bounded, None
        if bounded is None:
            bounded = self.library.BoundedModule(self.module, self.middle, bound_opts=self.options, device="cpu")
        found, _ = bounded.compute_bounds(x=(self.box,), method=method, bound_upper=method == "IBP")
        self.bounded = None if method == "CROWN-Optimized" else bounded
        return found.detach().numpy().reshape(-1).astype(np.float64)


def _failure(release: str, method: str, error: Exception) -> PeerError:
    """What went wrong, in one line."""
    said = str(error).strip().partition("\n")[0] or "no message"
    failure = PeerError(f"auto_LiRPA {release} fails at {method}: {type(error).__name__}: {said}")
    failure.__cause__ = error
    return failure


def _outward(lower: np.ndarray, upper: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The box in ``dtype``, no smaller than it was."""
    low, up = lower.astype(dtype), upper.astype(dtype)
    below = np.nextafter(low, np.array(-np.inf, dtype))
    above = np.nextafter(up, np.array(np.inf, dtype))
    return np.where(low > lower, below, low), np.where(up < upper, above, up)
