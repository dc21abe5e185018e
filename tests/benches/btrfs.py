"""Trees with many files, and the least that can be done for a package run: one read-only snapshot
and one durable commit, called directly, without a process."""

import fcntl
import os
import random
import struct
import time

SNAP_CREATE_V2 = 0x50009417  # linux/btrfs.h: _IOW(0x94, 23, struct btrfs_ioctl_vol_args_v2), 4096 bytes
SUBVOL_CREATE = 0x5000940E
SNAP_DESTROY = 0x5000940F
RDONLY = 2


def create(parent, name):
    _on_directory(parent, SUBVOL_CREATE, struct.pack("=q4088s", 0, os.fsencode(name)))


def destroy(parent, name):
    _on_directory(parent, SNAP_DESTROY, struct.pack("=q4088s", 0, os.fsencode(name)))


def snapshot(source, parent, name):
    fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # fd, transid, flags, four unused words, the name
        request = struct.pack("=qQQ32x4040s", fd, 0, RDONLY, os.fsencode(name))
        _on_directory(parent, SNAP_CREATE_V2, request)
    finally:
        os.close(fd)


def _on_directory(path, request, argument):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, request, bytearray(argument))
    finally:
        os.close(fd)


# Bytes of files as they are in a root: some lie in the metadata (below 2 KiB), most in few sectors.
SIZES = (300, 1500, 3000, 9000, 30000)


def fill(top, count, sizes=None):
    """As many small files as that, a hundred to a directory."""
    for number in range(count):
        path = _file(top, number)
        if number % 100 == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, number, sizes)


def change(top, count, sizes, changed, seed):
    """Writes so many of the files anew, anywhere in the tree."""
    for number in random.Random(seed).sample(range(count), changed):
        _write(_file(top, number), number + seed, sizes)


def _file(top, number):
    return os.path.join(top, f"{number // 10000:03}", f"{number // 100:05}", f"file {number}")


def _write(path, number, sizes):
    text = f"{number}\n"
    wanted = sizes[number % len(sizes)] if sizes else 20 * len(text)
    with open(path, "w") as file:
        file.write(text * (wanted // len(text)))


class Bare:
    """Read-only snapshots of one subvolume, each followed by a small durable file."""

    def __init__(self, subvolume, place):
        self.subvolume, self.place, self.count = subvolume, place, 0
        os.mkdir(place)

    def transaction(self, dpkg):
        """{part: ms}: the snapshot before dpkg's work, the file after it."""
        start = time.perf_counter()
        self.count += 1
        snapshot(self.subvolume, self.place, str(self.count))
        taken = time.perf_counter()
        dpkg()
        begun = time.perf_counter()
        fd = os.open(self.place / f"{self.count}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, b"x" * 2000)
        os.fsync(fd)
        os.close(fd)
        return {"snapshot": (taken - start) * 1e3, "commit": (time.perf_counter() - begun) * 1e3}

    def close(self):
        for number in range(1, self.count + 1):
            destroy(self.place, str(number))
