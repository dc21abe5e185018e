"""What a rebase spends its time on, told by its own log (FLIPPER_LOG=debug): each line has a time and a step."""

import datetime
import os
import re
import subprocess

LINE = re.compile(r"^(\S+Z)\s+DEBUG flipper_profiles::commands::rebase: (.*)$", re.M)


def phases(program, device, profile, base):
    """{step: milliseconds until it was reached}; `whole` from before the process to its end."""
    words = [program, "--pool", device, "rebase", profile, "--base", base, "--yes", "--json"]
    begun = datetime.datetime.now(datetime.timezone.utc)
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, FLIPPER_LOG="debug"), check=False)
    ended = datetime.datetime.now(datetime.timezone.utc)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr.decode())
    if done.returncode != 0:
        raise RuntimeError(said)
    reached = {step: milliseconds(datetime.datetime.fromisoformat(time) - begun) for time, step in LINE.findall(said)}
    return reached | {"whole": milliseconds(ended - begun)}


def milliseconds(difference):
    return difference.total_seconds() * 1e3
