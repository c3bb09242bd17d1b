"""The widgets' front end, as far as it needs no browser: its own tests, and that it says what the pictures say."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.source import ROOT


def test_the_front_ends_own_tests_pass() -> None:
    command = [sys.executable, ROOT / "labextension" / "npm.py", "test"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout or "fail 0" in done.stdout
    assert "pass 0" not in done.stdout
