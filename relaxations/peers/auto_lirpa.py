"""auto_LiRPA, versions 0.3 to 0.7: its lower bounds of rows over a box, for a network of ours.

A second opinion about our own bounds and never part of a proof: computed in floating point, and by code we have not
read into a certificate. What works is found by trying (``relaxations.peers.probe``), not from the version number.

Sources: Xu et al. 2020 (auto_LiRPA), arXiv:2002.12920; Gowal et al. 2018 (IBP), arXiv:1810.12715; Zhang et al. 2020
(CROWN-IBP), arXiv:1906.06316; Zhang et al. 2018 (CROWN), arXiv:1811.00866; Xu et al. 2021 (alpha-CROWN),
arXiv:2011.13824.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
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

INSTALL = ("pip install --no-deps auto-lirpa==0.3", "pip install appdirs tqdm")
"""The only release on PyPI asks for a PyTorch that today's Python does not have; without its conditions it works."""

# Intermediate bounds and slopes of all neurons, not of those alone that IBP leaves unstable: with fewer, versions fail
# on some shapes.
DENSE = ("sparse_intermediate_bounds", "sparse_features_alpha", "sparse_spec_alpha")


class PeerError(CertifyError):
    """A second opinion that cannot be had, and why."""


def installed() -> str:
    """The version of auto_LiRPA, "" where it is not installed. Nothing is imported."""
    try:
        return version_of("auto-LiRPA")
    except PackageNotFoundError:
        return ""


def require() -> str:
    """The version; raises PeerError naming what to install where something is missing. Imports PyTorch if it is not."""
    found = installed()
    if not found:
        raise PeerError(f"auto_LiRPA is not installed: run `{INSTALL[0]}` and then `{INSTALL[1]}`")
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
    if method not in METHODS:
        raise ValueError(f"auto_LiRPA has no method {method!r}; known are {', '.join(METHODS)}")
    version = require()
    import torch

    from relaxations.peers.modules import module_of
    from relaxations.peers.shims import shimmed

    module = module_of(network, rows, getattr(torch, dtype))
    try:
        with shimmed(dtype) as library:
            found = _bounds(library, module, *_outward(lower, upper, dtype), method, iterations)
    except ImportError as error:
        raise PeerError(f"auto_LiRPA {version} cannot be imported ({error}): run `{INSTALL[1]}`") from error
    except Exception as error:  # whatever it raises is about itself
        raise PeerError(f"auto_LiRPA {version} fails at {method}: {type(error).__name__}: {_line(error)}") from error
    return found


def _bounds(library: Any, module: Any, lower: np.ndarray, upper: np.ndarray, method: str, steps: int) -> np.ndarray:
    import torch

    low, up = (torch.from_numpy(side).reshape(1, *module.input_shape) for side in (lower, upper))
    middle = (low + up) / 2
    options = {
        **dict.fromkeys(DENSE, False),
        "conv_mode": "patches" if module.images_only else "matrix",  # patches take every sum for one of images
        "optimize_bound_args": {"iteration": steps},
    }
    bounded = library.BoundedModule(module, middle, bound_opts=options, device="cpu")
    ball = library.PerturbationLpNorm(norm=np.inf, x_L=low, x_U=up)
    box = library.BoundedTensor(middle, ball)
    found, _ = bounded.compute_bounds(x=(box,), method=method, bound_lower=True, bound_upper=method == "IBP")
    return found.detach().numpy().reshape(-1).astype(np.float64)


def _outward(lower: np.ndarray, upper: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The box in ``dtype``, no smaller than it was."""
    low, up = lower.astype(dtype), upper.astype(dtype)
    below = np.nextafter(low, np.array(-np.inf, dtype))
    above = np.nextafter(up, np.array(np.inf, dtype))
    return np.where(low > lower, below, low), np.where(up < upper, above, up)


def _line(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().partition("\n")[0] or "no message"
