"""What JAX is to find when it is imported: variables of the environment, and a folder for its programs.

Apart from the compiler, because every start of the program sets them, and few ever compile.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path

CPUINFO_BYTES = 4096  # the first processor; describing all of a large machine takes long


def environment(device: str) -> dict[str, str]:
    """Variables for a process of our own in which JAX will be imported: programs are kept, memory is shared.

    Programs are kept apart by processor, because they use whatever instructions it has.
    """
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(cache_folder() / "jax" / _processor()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several processes share an accelerator's memory
        "TF_CPP_MIN_LOG_LEVEL": "3",  # the search goes on without JAX: its complaints are for `certify doctor`
    }
    return kept | ({"JAX_PLATFORMS": "cpu"} if device == "cpu" else {})


def cache_folder() -> Path:
    """The user's folder for files that can be made again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "certify"
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (stated if stated.is_absolute() else Path.home() / ".cache") / "certify"


def _processor() -> str:
    """A name for the instructions of this machine's processor."""
    described = Path("/proc/cpuinfo")
    if not described.exists():
        return "any"
    with described.open("rb", buffering=0) as file:
        lines = file.read(CPUINFO_BYTES).splitlines()
    named = [line for line in lines if line.startswith((b"model name", b"flags", b"Features", b"CPU part"))]
    return sha256(b"\n".join(named[:2])).hexdigest()[:16]
