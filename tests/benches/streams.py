"""What receiving a base costs at least: the stream unpacked into btrfs receive, everything on the disk, and
every file of it read and hashed once."""

import ctypes
import hashlib
import os
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)


def receive(stream, into):
    """`zstd -d | btrfs receive`; the stream's subvolume is called .incoming."""
    with subprocess.Popen(["zstd", "-dcq", stream], stdout=subprocess.PIPE) as unpacked:
        subprocess.run(["btrfs", "-q", "receive", into], stdin=unpacked.stdout, check=True)
    return into / ".incoming"


def hashed(root):
    """What a manifest must know: each path's attributes, each file's SHA-256."""
    found = []
    for top, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(top, name)
            meta = os.lstat(path)
            attributes = os.listxattr(path, follow_symlinks=False)
            digest = None
            if os.path.isfile(path) and not os.path.islink(path):
                digest = hashlib.sha256()
                with open(path, "rb", buffering=0) as file:
                    while block := file.read(1 << 17):
                        digest.update(block)
                digest = digest.hexdigest()
            found.append((path, meta.st_mode, meta.st_uid, meta.st_gid, attributes, digest))
    return found


def synced(path):
    fd = os.open(path, os.O_RDONLY)
    if LIBC.syncfs(fd) != 0:
        raise OSError("syncfs")
    os.close(fd)
