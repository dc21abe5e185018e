"""What a check is measured on: a real profile between two real bases, and a made-up one of any size. And
what it is compared with: dpkg's and apt's own looks at the merged system."""

import hashlib
import os
import pathlib
import subprocess
import tempfile

INCLUDED = "systemd-sysv,udev,dbus,openssh-client,python3-minimal,iproute2,ca-certificates,kmod"
INSTALLED = (
    "nginx python3-requests openssh-server postgresql-common fontconfig man-db vim-tiny git curl iputils-ping"
    " locales cron logrotate debsums"
)
APT_CHECK = [
    "apt-get", "check", "-qq", "-o", "Dir::State::extended_states=/dev/null", "-o", "Dir::Etc::sourcelist=/dev/null",
    "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
]  # fmt: skip

# The peak of a process counts what it was forked from: a small one, not the bench with all its packages.
PEAK = """import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(os.wait4(process.pid, 0)[2].ru_maxrss)"""


def install(flipper, name):
    """The packages of a real profile, with their dependencies, from the machine's mirror."""
    script = f"set -e; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; apt-get install -qq -y --no-install-recommends {INSTALLED}; apt-get clean"
    flipper("flipper-profile", "run", name, "sh", "-c", script)


def dpkg_verify(merged):
    subprocess.run(["dpkg", f"--root={merged}", "--verify"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def apt_check(status, lists):
    words = [*APT_CHECK, "-o", f"Dir::State::status={status}", "-o", f"Dir::State::Lists={lists}"]
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def paragraphs(wanted):
    """So many real packages of the machine's archive, as the fields between Package and Description."""
    lists = subprocess.run(["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"], stdout=subprocess.PIPE, text=True, check=True)
    found, names = [], set()
    for path in lists.stdout.split():
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], stdout=subprocess.PIPE, check=True).stdout.decode()
        for paragraph in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.split("\n") if ": " in line and not line.startswith(" "))
            name = fields.get("Package")
            if name and name not in names and name != "dpkg":
                names.add(name)
                found.append(fields)
            if len(found) == wanted:
                return found
    raise RuntimeError(f"the machine's lists have {len(found)} packages: apt-get update")


KEPT = ("Priority", "Section", "Installed-Size", "Maintainer", "Multi-Arch", "Provides", "Depends", "Pre-Depends", "Breaks", "Conflicts", "Replaces")


def _status(fields, version):
    lines = [f"Package: {fields['Package']}", "Status: install ok installed"]
    lines += [f"{name}: {fields[name]}" for name in KEPT if name in fields]
    return "\n".join([*lines, f"Architecture: {fields['Architecture']}", f"Version: {version}", "Description: of a bench", "", ""])


def _stem(fields):
    return fields["Package"] + (f":{fields['Architecture']}" if fields.get("Multi-Arch") == "same" else "")


def _package(root, fields, files, salt):
    """Its files, and what dpkg keeps of it."""
    name, paths, sums = fields["Package"], ["/.", "/usr", "/usr/share"], []
    directory = pathlib.Path(root, "usr/share", name)
    directory.mkdir(parents=True, exist_ok=True)
    paths.append(f"/usr/share/{name}")
    for number in range(files):
        text = f"{name} {number} {salt if number % 10 == 0 else ''}\n" * (number % 40 + 1)
        (directory / f"file-{number}").write_text(text)
        paths.append(f"/usr/share/{name}/file-{number}")
        sums.append(f"{hashlib.md5(text.encode()).hexdigest()}  usr/share/{name}/file-{number}\n")
    info = pathlib.Path(root, "var/lib/dpkg/info")
    (info / f"{_stem(fields)}.list").write_text("\n".join(paths) + "\n")
    (info / f"{_stem(fields)}.md5sums").write_text("".join(sums))


def make_base(packages, files, every):
    """A Debian root of made-up packages with real relations; each `every`-th has a newer version."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="base-"))
    for inside in ("usr/bin", "usr/sbin", "usr/lib", "etc", "var/lib/dpkg/info", "var/lib/dpkg/updates"):
        (root / inside).mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        os.symlink(f"usr/{name}", root / name)
    (root / "usr/lib/os-release").write_text("ID=debian\nVERSION_CODENAME=made\n")
    (root / "usr/bin/dpkg").write_text("")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    status = "Package: dpkg\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\nVersion: 1\nDescription: x\n\n"
    for number, fields in enumerate(packages):
        newer = every and number % every == 0
        _package(root, fields, files, "newer" if newer else "")
        status += _status(fields, fields["Version"] + ("+deb1" if newer else ""))
    (root / "var/lib/dpkg/status").write_text(status)
    return root


def fill_upper(upper, base_status, packages, files):
    """So many packages more, as a profile that installed them has them."""
    (upper / "var/lib/dpkg/info").mkdir(parents=True)
    status = base_status
    for fields in packages:
        _package(upper, fields, files, "")
        status += _status(fields, fields["Version"])
    (upper / "var/lib/dpkg/status").write_text(status)
