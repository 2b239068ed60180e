"""Finds out whether a folder is on a network disk, and gives a local one, since SQLite needs a local disk.

On a network file system, SQLite's locks may not hold and its write-ahead log cannot be shared, so a file may
get damaged. Runs and the cache therefore stay on local disk; see `handover`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")  # on Linux; elsewhere the user has to set `scratch`
NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "9p",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "pvfs2",
        "orangefs",
        "panfs",
        "wekafs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.gcsfuse",
        "fuse.juicefs",
    ]
)


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """The kind of network file system that a path is on, or will be on; empty if it is local."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    parents = {path.resolve(), *path.resolve().parents}
    found, depth = "", -1
    for line in lines:
        _, point, kind = line.split(" ")[:3]
        place = Path(point.replace("\\040", " "))
        if place in parents and len(place.parts) >= depth:  # of mounts at one place, the last one counts
            found, depth = kind, len(place.parts)
    return found if found in NETWORK else ""


def local_folder() -> Path:
    """A folder on local disk that only this user can read.

    Raises:
        OSError: if it cannot be made or used, for example because it belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"selfinstruct-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder
