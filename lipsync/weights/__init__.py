"""Checkpoints: the table of what there is, and the store that fetches, checks and finds them."""

from lipsync.weights.bring import PullStep
from lipsync.weights.fetch import Patience, describe_size
from lipsync.weights.store import OWN_FOLDER_NAME, Located, ModelStore, State
from lipsync.weights.table import (
    CHECKPOINTS,
    Checkpoint,
    Download,
    HubFile,
    Licence,
    WebFile,
    WeightFile,
)

__all__ = [
    "CHECKPOINTS",
    "OWN_FOLDER_NAME",
    "Checkpoint",
    "Download",
    "HubFile",
    "Licence",
    "Located",
    "ModelStore",
    "Patience",
    "PullStep",
    "State",
    "WebFile",
    "WeightFile",
    "describe_size",
]
