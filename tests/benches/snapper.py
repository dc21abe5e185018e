"""snapper's Debian hook, measured in a chroot of the same pool, so that nothing of it reaches this
machine: a Debian root as a subvolume with as many files, snapper and a D-Bus of its own in it."""

import os
import pathlib
import re
import subprocess
import sys
import time

import btrfs
import diff

HOOK_FILE = "etc/apt/apt.conf.d/80snapper"


def begin(pool, device, place, tarball, files):
    """(what can be measured, None), or (None, why not)."""
    rival = Snapper(place)
    try:
        rival.install(pool, device, tarball, files)
        return rival, None
    except subprocess.CalledProcessError as error:
        rival.close()
        said = (error.stdout or "").strip().splitlines()[-1:] or ["nothing said"]
        return None, f"{' '.join(map(str, error.cmd[:4]))} ...: {said[0]}"
    except (OSError, LookupError) as error:
        rival.close()
        return None, str(error)


class Snapper:
    def __init__(self, place):
        self.root, self.bus, self.round = place / "snapper", None, 0

    def install(self, pool, device, tarball, files):
        print("bench: installing snapper in a chroot", file=sys.stderr, flush=True)
        btrfs.create(pool, "bench-snapper")
        self.root.mkdir()
        run("mount", "-o", "subvol=bench-snapper,noatime", device, self.root)
        run("tar", "--extract", "--file", tarball, "--directory", self.root, "--exclude=./dev/*")
        for kind, where in (("proc", "proc"), ("sysfs", "sys"), ("tmpfs", "run"), ("tmpfs", "tmp")):
            run("mount", "-t", kind, kind, self.root / where)
        run("mount", "--rbind", "/dev", self.root / "dev")
        (self.root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (self.root / "usr/sbin/policy-rc.d").chmod(0o755)
        (self.root / "etc/resolv.conf").write_bytes(pathlib.Path("/etc/resolv.conf").read_bytes())
        for file in pathlib.Path("/etc/apt/apt.conf.d").iterdir():
            # how this machine reaches its mirror, without its hooks
            text = file.read_text(errors="replace")
            if re.search(r"Acquire::", text) and "Invoke" not in text:
                (self.root / "etc/apt/apt.conf.d" / file.name).write_text(text)
        self.inside("apt-get -q update")
        self.inside("DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends snapper dbus")
        btrfs.fill(self.root / "opt/bench", files)
        # snapper finds the file system of / there; a minimal root has no such link
        self.inside("mkdir -p /run/dbus; dbus-uuidgen --ensure; ln -sf ../proc/self/mounts /etc/mtab")
        self.bus = subprocess.Popen(["chroot", self.root, "dbus-daemon", "--system", "--nofork", "--nopidfile"], stderr=subprocess.DEVNULL)
        time.sleep(1)
        self.inside("snapper -c root create-config /")
        text = (self.root / HOOK_FILE).read_text()
        self.lines = dict(re.findall(r'^\s*DPkg::(Pre-Invoke|Post-Invoke)\s*\{\s*"(.*)";\s*\};?', text, re.M))
        self.pre, self.post = self.lines["Pre-Invoke"], self.lines["Post-Invoke"]
        os.sync()

    def inside(self, line):
        run("chroot", self.root, "sh", "-c", line)

    def transaction(self):
        """{hook: ms} with a few files written in between."""
        times = {"pre": self.hook(self.pre)}
        self.round += 1
        for number in range(30):
            path = self.root / f"opt/bench/{number}.new"
            with open(path, "w") as file:
                file.write(f"{self.round}\n" * 50)
                os.fsync(file.fileno())
            path.rename(path.with_suffix(""))
        times["post"] = self.hook(self.post)
        return times

    def pair(self, files, kind):
        """The numbers of two snapshots with the changes between them."""
        first = self.snapshot()
        diff.edit(self.root / "opt/bench", files, kind == "scattered", kind)
        return first, self.snapshot()

    def snapshot(self):
        words = ["chroot", self.root, "snapper", "create", "--print-number"]
        return subprocess.run([str(w) for w in words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def daemon_time(self):
        """Milliseconds of processor time of everything that lives in the chroot; the daemon works there, in
        threads that come and go."""
        ticks = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/root") == str(self.root):
                    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                    ticks += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return ticks * 1e3 / os.sysconf("SC_CLK_TCK")

    def forget(self):
        """snapper keeps what it found in a file; what is measured is finding it."""
        for kept in (self.root / ".snapshots").glob("*/filelist-*"):
            kept.unlink()

    def status(self, first, second):
        run("chroot", self.root, "snapper", "status", f"{first}..{second}")

    def hook(self, line):
        start = time.perf_counter()
        pid = os.posix_spawn("/usr/sbin/chroot", ["chroot", str(self.root), "/bin/sh", "-c", line], dict(os.environ))
        _, ended = os.waitpid(pid, 0)
        if ended:
            raise RuntimeError(f"snapper's hook ended with {ended}")
        return (time.perf_counter() - start) * 1e3

    def close(self):
        if self.bus:
            self.bus.terminate()
            self.bus.wait()
        # snapperd has no business without its bus; it lives in this chroot only
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/root") == str(self.root) and int(pid) != os.getpid():
                    os.kill(int(pid), 15)
            except OSError:
                pass


def run(*words):
    words = [str(word) for word in words]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
