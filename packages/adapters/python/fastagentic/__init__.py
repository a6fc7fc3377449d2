"""The run of FastAgentic as a Python agent reaches it. This package needs nothing but the standard library."""

from .blocking import BlockingRun
from .errors import FrameTooLarge, InterruptDenied, Refused
from .run import Run, current
from .runtime import Runtime, ToolFailed

__all__ = ["BlockingRun", "FrameTooLarge", "InterruptDenied", "Refused", "Run", "Runtime", "ToolFailed", "current"]
