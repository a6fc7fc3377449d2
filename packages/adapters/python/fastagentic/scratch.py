"""A folder of this process for frameworks that store by themselves, and their telemetry, which is off.

A folder that processes shared would show the runs of a tenant to another one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid

_folder = os.path.join(tempfile.gettempdir(), f"fastagentic-{uuid.uuid4().hex}")

DEFAULTS = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_STORAGE_DIR": _folder,
}


def use() -> None:
    """Sets what the environment does not set; the framework makes the folder."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def remove() -> None:
    shutil.rmtree(_folder, ignore_errors=True)
