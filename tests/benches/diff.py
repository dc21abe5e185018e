"""500 changes among many files, made alike in every tree that is compared: most as dpkg makes them
(written aside and renamed over), some in place, some removed, some new."""

import os
import pathlib
import subprocess

CHANGES = 500


def numbers(files, scattered):
    """Of the files that change: side by side, or spread over all directories."""
    step = files // CHANGES if scattered else 1
    return range(0, CHANGES * step, step)


def edit(top, files, scattered, salt):
    for at, number in enumerate(numbers(files, scattered)):
        place = pathlib.Path(top, f"{number // 10000:03}", f"{number // 100:05}")
        path = place / f"file {number}"
        text = f"{number} {salt}\n" * 20
        if at % 10 == 0:
            path.unlink(missing_ok=True)
        elif at % 10 == 1:
            (place / f"new {salt} {number}").write_text(text)
        elif at % 10 in (2, 3):
            path.write_text(text)
        else:
            aside = place / f"file {number}.dpkg-new"
            aside.write_text(text)
            aside.rename(path)


def send(one, two):
    """What a comparison through a send stream costs at least: making the stream and counting it."""
    with subprocess.Popen(["btrfs", "send", "--quiet", "--no-data", "-p", one, two], stdout=subprocess.PIPE) as stream:
        subprocess.run(["wc", "-c"], stdin=stream.stdout, stdout=subprocess.DEVNULL, check=True)


def walk(one, two):
    """The names and the attributes of both trees, nothing compared yet."""
    return [os.lstat(os.path.join(top, name)) for tree in (one, two) for top, dirs, files in os.walk(tree) for name in dirs + files]
