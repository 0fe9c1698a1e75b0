"""Small checkpoints of the table's kind, and a store that fetches them from a test's server."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from pathlib import Path

from weights_server import REVISION, Served, WeightsServer

from lipsync.weights import (
    Checkpoint,
    Download,
    HubFile,
    Licence,
    ModelStore,
    Patience,
    WebFile,
    WeightFile,
)

LICENCE = Licence("Test licence", "Do as you like.", True)
CONTENT = random.Random(7).randbytes(40_000)
QUICK = Patience(timeout=5, tries=3, pause=0.01)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def weight_file(name: str, content: bytes, is_published: bool = True) -> WeightFile:
    """A row for `content`; not published: neither size nor checksum are known."""
    if not is_published:
        return WeightFile(name, None, None)
    return WeightFile(name, len(content), sha256_of(content))


def hub_checkpoint(
    server: WeightsServer,
    key: str = "tiny",
    content: bytes = CONTENT,
    is_published: bool = True,
    served: Served | None = None,
) -> Checkpoint:
    """A checkpoint of one hub file ``net.pt``, which `server` holds."""
    server.serve_hub_file("someone/nets", f"{key}/net.pt", served or Served(content))
    source = HubFile("someone/nets", f"{key}/net.pt", REVISION)
    file = weight_file("net.pt", content, is_published)
    return Checkpoint(key, "Tiny net", LICENCE, (Download(source, file),))


def web_checkpoint(server: WeightsServer, served: Served, file: WeightFile) -> Checkpoint:
    """A checkpoint of one file at an address of its own."""
    path = f"/{file.name}"
    server.files[path] = served
    source = WebFile(f"{server.endpoint}/content{path}")
    return Checkpoint("web", "Web net", LICENCE, (Download(source, file),))


def zip_of(**members: bytes) -> bytes:
    """An archive in which every member lies in a folder, ``_`` standing for a dot."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in members.items():
            opened.writestr(f"pack/{name.replace('_', '.')}", content)
    return archive.getvalue()


def pack_checkpoint(server: WeightsServer, archive: bytes, **members: bytes) -> Checkpoint:
    """A checkpoint whose files are `members` of a served `archive`."""
    server.files["/pack.zip"] = Served(archive)
    kept = tuple(weight_file(name.replace("_", "."), data) for name, data in members.items())
    download = Download(
        WebFile(f"{server.endpoint}/content/pack.zip"), weight_file("pack.zip", archive), kept
    )
    return Checkpoint("pack", "Packed nets", LICENCE, (download,))


def make_store(
    folder: Path,
    server: WeightsServer,
    *checkpoints: Checkpoint,
    own: Path | None = None,
    is_offline: bool = False,
    patience: Patience = QUICK,
) -> ModelStore:
    return ModelStore(
        folder,
        own,
        checkpoints=checkpoints,
        endpoint=server.endpoint,
        is_offline=is_offline,
        patience=patience,
    )


def hidden_files(folder: Path) -> list[str]:
    """The names of what is not meant for others, locks left out."""
    return sorted(p.name for p in folder.glob(".*") if p.suffix != ".lock")
