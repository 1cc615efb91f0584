"""The process in which a user's overseer runs: ``python worker.py FILE FUNCTION REQUESTS ANSWERS`` (two descriptors).

Runs as a plain file, so that it imports nothing of this package. One JSON line asks, one answers; the overseer's own
standard streams are not part of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any


def main(file: str, function: str, requests: int, answers: int) -> None:
    import numpy as np

    sys.path[0] = os.path.dirname(os.path.abspath(file))
    with os.fdopen(requests, "r") as questions, os.fdopen(answers, "w") as replies:

        def reply(value: dict[str, Any]) -> None:
            replies.write(json.dumps(value) + "\n")
            replies.flush()

        try:
            found = importlib.util.spec_from_file_location("overseer", file)
            assert found is not None
            assert found.loader is not None
            module = importlib.util.module_from_spec(found)
            sys.modules["overseer"] = module
            found.loader.exec_module(module)
            judge = getattr(module, function)
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
            reply({"failed": f"cannot be loaded: {type(error).__name__}: {error}"[:500]})
            return
        reply({"ready": True})
        for line in questions:
            arguments = [np.array([float.fromhex(v) for v in values]) for values in json.loads(line)]
            try:
                reply({"answer": float(judge(*arguments)).hex()})
            except Exception as error:  # noqa: BLE001
                reply({"failed": f"raised {type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
