"""onnxruntime as it is used here: quiet, calling nobody, and its errors under one name.

It is held at 1.28: from 1.29 on its wheels bring Microsoft's telemetry, and nothing may leave the
machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ON_PROCESSOR = "CPUExecutionProvider"


def open_session(
    source: Path | bytes, providers: Sequence[Any] = (ON_PROCESSOR,), threads: int = 0
) -> Any:
    """Return the session of a model's file, or of a model in memory; 0 `threads`: all cores.

    Raises one of `session_errors` for what is no model or cannot be run here.
    """
    onnxruntime = _import_runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is said once, by the exception
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = source if isinstance(source, bytes) else str(source)
    return onnxruntime.InferenceSession(model, options, providers=list(providers))


def offered_providers() -> list[str]:
    """Return where this onnxruntime can compute, by its own names."""
    providers: list[str] = _import_runtime().get_available_providers()
    return providers


def session_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises for a model that it cannot take or run."""
    from onnxruntime.capi import onnxruntime_pybind11_state as trouble

    return (
        trouble.Fail,
        trouble.InvalidArgument,
        trouble.InvalidGraph,
        trouble.InvalidProtobuf,
        trouble.ModelRequiresCompilation,
        trouble.NoModel,
        trouble.NotImplemented,
        trouble.RuntimeException,
    )


def _import_runtime() -> Any:
    # newer releases send telemetry from the moment they are imported unless they find this
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
