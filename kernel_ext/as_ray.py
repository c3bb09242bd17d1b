"""Programs that say ``import ray``, run on raynb: ``install_as_ray()``, or ``python -m raynb.as_ray program.py``.

Limits: only where Ray is not installed; only what raynb has (docs/ray-compatibility.md); and workers find it in
clusters that are started afterwards, for they are told by an environment variable. What else this process starts
afterwards (spawned processes of `multiprocessing`, scripts) finds ``ray`` on its import path, and the command ``ray``
on its PATH.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from pathlib import Path
from typing import Final

from raynb.runtime.adapters.ray_alias import VARIABLE, install

SHIMS: Final = Path(__file__).parent / "shims"
"""Has a package and a command of Ray's name, for child processes."""


def install_as_ray() -> None:
    """From now on ``import ray`` gives raynb: in this process, in programs that it starts, and in the workers of
    clusters that it starts. The command ``ray`` of such programs is raynb's.

    Raises
    ------
    RuntimeError
        Ray itself is installed here, or a cluster is connected already whose workers can't be told any more.
    """
    if VARIABLE not in os.environ:
        _refuse_if_impossible()
    os.environ[VARIABLE] = "1"
    os.environ["RAYNB_PYTHON"] = sys.executable
    for variable, folder in (("PYTHONPATH", SHIMS), ("PATH", SHIMS / "bin")):
        others = [path for path in os.environ.get(variable, "").split(os.pathsep) if path not in ("", str(folder))]
        os.environ[variable] = os.pathsep.join([str(folder), *others])
    if str(SHIMS) not in sys.path:
        sys.path.append(str(SHIMS))  # spawned processes get this one's path
    install()


def _refuse_if_impossible() -> None:
    known = sys.modules.get("ray")
    spec = importlib.util.find_spec("ray") if known is None else known.__spec__
    if spec is not None and spec.name == "ray" and spec.origin is not None:  # else it is a mere folder of that name
        raise RuntimeError(
            f"Ray itself is installed here ({spec.origin}), and `import ray` means that one. Say "
            "`import raynb as ray`, or use an environment without Ray."
        )
    # Imported here: a program may install the alias before anything else of raynb is loaded.
    from raynb.runtime.api.session import is_initialized

    if is_initialized():
        raise RuntimeError(
            "a cluster is connected already, and its workers would not find `ray`: call install_as_ray() before init()"
        )


def main() -> None:
    """``python -m raynb.as_ray program.py [argument ...]``, ``-m module``, or ``-`` for a program from the input."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m raynb.as_ray (program.py | -m module | -) [argument ...]")
    install_as_ray()
    if sys.argv[1] == "-m" and len(sys.argv) > 2:
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-":
        _run_input()
        return
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _run_input() -> None:
    """As ``python -`` does."""
    sys.path[0] = ""
    program = compile(sys.stdin.read(), "<stdin>", "exec")
    scope = vars(sys.modules["__main__"])
    for name in [name for name in scope if not name.startswith("__")]:
        del scope[name]
    exec(program, scope)


if __name__ == "__main__":
    main()
