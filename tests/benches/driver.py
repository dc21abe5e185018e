"""A profile that is being run, and a process in it that does what apt does around a package run: it
holds dpkg's lock-frontend (an fcntl lock), starts every hook line with `sh -c`, and changes dpkg's
database in between as dpkg does, by a rename."""

import ctypes
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import traceback
import urllib.parse

LIBC = ctypes.CDLL(None, use_errno=True)
PACKAGES = 10
SHELL_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "DPKG_FRONTEND_LOCKED": "true",
}


class Run:
    """`flipper-profile run NAME sleep`, entered from outside."""

    def __init__(self, program, device, name):
        words = [program, "--pool", device, "run", name, "sleep", "infinity"]
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL)
        self.child = None
        self.inside = self._wait_for_sleep()

    def _wait_for_sleep(self):
        for _ in range(1000):
            if self.process.poll() is not None:
                raise RuntimeError(f"the run ended at once with {self.process.returncode}")
            for pid in _descendants(self.process.pid):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "sleep":
                    return pid
            time.sleep(0.01)
        raise RuntimeError("the run did not start")

    def root(self):
        return pathlib.Path(f"/proc/{self.inside}/root")

    def start_driver(self, lines):
        """The driver is a process of its own in the run's namespaces; it is asked through pipes."""
        ask_read, self.ask = os.pipe()
        self.answer, answer_write = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.close(self.ask)
                os.close(self.answer)
                kinds = ("pid", "ipc", "uts", "mnt")
                for fd in [os.open(f"/proc/{self.inside}/ns/{kind}", os.O_RDONLY) for kind in kinds]:
                    if LIBC.setns(fd, 0) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                inner = os.fork()  # only a child is in the new PID namespace
                if inner == 0:
                    Driver(lines).serve(ask_read, answer_write)
                    os._exit(0)
                os.close(ask_read)
                os.close(answer_write)
                os.waitpid(inner, 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(ask_read)
        os.close(answer_write)
        self.answer = os.fdopen(self.answer)

    def transaction(self):
        """{hook: ms} of one package run."""
        return self._ask("t")

    def dpkg(self):
        """The same work of dpkg, without any hook."""
        return self._ask("d")

    def shells(self):
        """{part: ms} of as many shells as a transaction has, each doing nothing."""
        return self._ask("s")

    def release(self):
        """Lets go of dpkg's lock."""
        self._ask("r")

    def _ask(self, what):
        os.write(self.ask, what.encode())
        text = self.answer.readline()
        if not text:
            raise RuntimeError("the driver in the run ended")
        answer = json.loads(text)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def close(self):
        if self.child:
            try:
                os.write(self.ask, b"q")
            except BrokenPipeError:
                pass  # it has said why
            os.waitpid(self.child, 0)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Driver:
    def __init__(self, lines):
        self.lines = {**lines, "nothing": ":"}
        self.round = 0
        pathlib.Path("/proc/self/comm").write_text("apt-get")
        self.lock = open("/var/lib/dpkg/lock-frontend", "r+")
        fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.status = pathlib.Path("/var/lib/dpkg/status").read_text().rstrip("\n").split("\n\n")
        self.configuration = configuration()

    def serve(self, ask, answer):
        work = {b"t": self.transaction, b"d": self.dpkg, b"r": self.release, b"s": self.shells}
        while (what := os.read(ask, 1)) != b"q":  # not the end of the pipe: another run may hold it open
            try:
                result = work[what]()
            except Exception as error:  # told to the one who asked
                result = f"{type(error).__name__}: {error}"
            os.write(answer, json.dumps(result).encode() + b"\n")

    def release(self):
        fcntl.lockf(self.lock, fcntl.LOCK_UN)

    def transaction(self):
        times = {"pre": self.hook("DPkg::Pre-Invoke", "/tmp")}
        times["packages"] = self.hook("DPkg::Pre-Install-Pkgs", "/tmp", self.stream())
        before = self.hook("pre-invoke", "/")
        after = self.hook("post-invoke", "/")
        self.dpkg()
        # dpkg runs at least twice in a commit: to unpack, and to configure.
        times["dpkg's own, four"] = before + after + self.hook("pre-invoke", "/") + self.hook("post-invoke", "/")
        wait_for_children()
        times["post"] = self.hook("DPkg::Post-Invoke", "/tmp")
        wait_for_children()
        return times

    def shells(self):
        return {"shells": sum(self.hook("nothing", "/") for _ in range(7))}

    def hook(self, name, directory, stream=b""):
        """Runs one line as apt and dpkg do; ms. A hook that says anything has failed."""
        os.chdir(directory)
        said = os.open("/tmp/.bench-said", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        give, stdin = None, os.open("/dev/null", os.O_RDONLY)
        if stream:
            os.close(stdin)
            stdin, give = os.pipe()
            fcntl.fcntl(give, 1031, 1 << 20)  # F_SETPIPE_SZ: all of it fits
            os.write(give, stream)
            os.close(give)
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        environment = dict(SHELL_ENVIRONMENT, APT_HOOK_INFO_FD="0") if stream else SHELL_ENVIRONMENT
        start = time.perf_counter()
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", self.lines[name]], environment, file_actions=actions)
        _, ended = os.waitpid(pid, 0)
        took = (time.perf_counter() - start) * 1e3
        text = os.pread(said, 4000, 0).decode()
        os.close(said)
        os.close(stdin)
        if ended or text:
            raise RuntimeError(f"{name} ended with {ended} and said: {text}")
        return took

    def stream(self):
        """What apt says to Pre-Install-Pkgs (version 3), for an upgrade of the first packages."""
        text = ["VERSION 3", *self.configuration, ""]
        for name, architecture, old in map(fields, self.status[:PACKAGES]):
            new = next_version(old, self.round + 1)
            head = f"{name} {old} {architecture} none < {new} {architecture} none"
            text.append(f"{head} /var/cache/apt/archives/{name}_{urllib.parse.quote(new)}_{architecture}.deb")
            text.append(f"{head} **CONFIGURE**")
        return ("\n".join(text) + "\n").encode()

    def dpkg(self):
        """New versions of the first packages: a few files each, then the status, synced and renamed."""
        self.round += 1
        for at, paragraph in enumerate(self.status[:PACKAGES]):
            name, _, old = fields(paragraph)
            new = next_version(old, self.round)
            self.status[at] = re.sub(r"^Version: .*$", f"Version: {new}", paragraph, flags=re.M)
            place = f"/usr/share/bench/{name}"
            os.makedirs(place, exist_ok=True)
            for number in range(3):
                replace(f"{place}/{number}", f"{name} {new}\n" * 50)
        replace("/var/lib/dpkg/status", "\n\n".join(self.status) + "\n\n")


def replace(path, text):
    with open(path + ".dpkg-new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".dpkg-new", path)


def fields(paragraph):
    return [re.search(rf"^{name}: (.*)$", paragraph, re.M)[1] for name in ("Package", "Architecture", "Version")]


def next_version(version, number):
    return f"{version.split('+bench')[0]}+bench{number}"


def configuration():
    """apt's configuration as it stands in the stream: `key=value`, %-encoded."""
    text = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, check=True, text=True).stdout
    lines = [f"{key}={urllib.parse.quote(value, safe='/:. ')}" for key, value in re.findall(r'^(\S+) "(.*)";$', text, re.M)]
    return [*lines, "CommandLine::AsString=apt-get%20upgrade"]


def wait_for_children():
    """What the hooks leave beside dpkg and beside apt has ended, as it has in a real run when the next
    hook comes."""
    def runs(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text() in ("flipper-hook\n", "flipper-profile\n")
        except OSError:
            return False
    # Process 1 is the one that holds this run together.
    while any(runs(pid) for pid in os.listdir("/proc") if pid.isdigit() and pid != "1"):
        time.sleep(0.002)


def _descendants(pid):
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in children for found in (int(child), *_descendants(int(child)))]
