"""What auto_LiRPA 0.3 expects of NumPy and PyTorch and no longer finds, put there for a while and taken away again.

Each shim is a reaction to something that is absent, never to a version number, so with a newer auto_LiRPA or an older
PyTorch nothing is done. Outside ``shimmed`` the process is as it was, but for what auto_LiRPA's own import leaves in
``sys.modules``.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from inspect import signature
from threading import RLock
from types import ModuleType
from typing import Any

import numpy as np

_ALONE = RLock()  # what is patched belongs to the whole process
_ABSENT = object()


@contextmanager
def shimmed(dtype: str) -> Iterator[ModuleType]:
    """auto_LiRPA, imported and able to run on the installed PyTorch: silent, on one processor, ``dtype`` the default.

    Raises ImportError where auto_LiRPA or something it imports is not installed. Other threads wait for their turn.
    Its settings of logging and of warnings, which it makes when it is imported, end with the context.
    """
    import torch

    with _ALONE, ExitStack() as undo, open(os.devnull, "w") as silence:
        undo.enter_context(redirect_stdout(silence))
        undo.enter_context(_unchanged_logging())
        undo.enter_context(warnings.catch_warnings(record=True))  # the import itself asks for all of them
        undo.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(getattr(torch, dtype))
        undo.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # two threads that wait for each other made small steps a hundred times slower
        _lend_set_operations(undo)
        _lend_exporter(undo, torch)
        warnings.simplefilter("ignore")  # deprecations that are between the two libraries
        import auto_LiRPA

        _lend_names(undo, auto_LiRPA.BoundedModule)
        yield auto_LiRPA


def _replace(undo: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Set an attribute until the stack unwinds."""
    before = vars(owner).get(name, _ABSENT)
    setattr(owner, name, value)
    if before is _ABSENT:
        undo.callback(delattr, owner, name)
    else:
        undo.callback(setattr, owner, name, before)


def _lend_set_operations(undo: ExitStack) -> None:
    """``numpy.lib.arraysetops``, which NumPy 2 made private; ``isin`` is all that is read from it."""
    name = "numpy.lib.arraysetops"
    try:
        __import__(name)
    except ImportError:
        module = ModuleType(name)
        module.isin = np.isin  # type: ignore[attr-defined]
        sys.modules[name] = module
        undo.callback(sys.modules.pop, name, None)


def _lend_exporter(undo: ExitStack, torch: ModuleType) -> None:
    """Two helpers of PyTorch's exporter that turns traces into ONNX operators, and its settings as they were."""
    import torch.onnx.symbolic_helper as helper
    from torch.onnx.utils import _optimize_graph

    settings = _optimize_graph.__globals__["GLOBALS"]  # their module has had several names
    if not hasattr(helper, "_set_opset_version"):
        before = settings.export_onnx_opset_version
        undo.callback(setattr, settings, "export_onnx_opset_version", before)
        _replace(undo, helper, "_set_opset_version", lambda v: setattr(settings, "export_onnx_opset_version", v))
    if getattr(settings, "autograd_inlining", False):
        settings.autograd_inlining = False  # asks for an argument that the older call does not give
        undo.callback(setattr, settings, "autograd_inlining", True)
    if not hasattr(torch._C.Node, "__getitem__"):
        _replace(undo, torch._C.Node, "__getitem__", lambda node, key: getattr(node, node.kindOf(key))(key))


def _lend_names(undo: ExitStack, kind: type) -> None:
    """A parameter that PyTorch 2 passes to ``_named_members`` and the override of 0.3 does not take."""
    theirs = vars(kind).get("_named_members")
    if theirs is None or "remove_duplicate" in signature(theirs).parameters:
        return

    def named_members(
        self: Any, get_members_fn: Any, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Any:
        return theirs(self, get_members_fn, prefix, recurse)

    _replace(undo, kind, "_named_members", named_members)


@contextmanager
def _unchanged_logging() -> Iterator[None]:
    """Handlers and level of the root logger as they were; nothing below an error is heard of meanwhile."""
    root = logging.getLogger()
    handlers, level, below = list(root.handlers), root.level, logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(below)
