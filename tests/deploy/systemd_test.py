#!/usr/bin/env python3
"""The systemd unit: systemd's own checks of it, and its ExecStart line under the restrictions that it names.

Without a running systemd the restrictions are made here from the unit's lines: a read-only root but for the state directory, no homes, an empty /tmp,
hardly any devices, a user without capabilities, no new privileges, the system calls of SystemCallFilter and no others (by libseccomp). The job takes a checkpoint, ends by SIGTERM with 0 and goes on from the checkpoint; something that the unit forbids must
really be forbidden, or the check checks nothing. For MemoryDenyWriteExecute the memory of the running process is looked at. Not covered: MemoryMax,
DynamicUser's own user.

usage: systemd_test.py WEIR_BINARY SOURCE_DIRECTORY       needs root, systemd-analyze, libseccomp; else it says that it tested nothing
"""
import ctypes
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
EXPOSURE_MAX = 1.5  # of systemd-analyze security: 0 is shut, 10 is open
USER = 65532
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
PYTHON = "/usr/bin/python3"  # the system's: the one that runs this test may lie in a home, which is hidden


def read_unit(path):
    """{key: [values]} of [Service], in the order of the lines."""
    values, section = {}, ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            values.setdefault(key, []).append(value)
    return values


def allowed_calls(filters):
    """Names of the system calls that the lines of SystemCallFilter leave."""
    def members(name):
        if not name.startswith("@"):
            return {name}
        text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
        found = set()
        for line in text.splitlines()[1:]:
            word = line.strip().split("#")[0].strip()
            if word:
                found |= members(word)
        return found

    calls = set()
    for line in filters:
        take = line.startswith("~")
        for name in line.lstrip("~").split():
            calls = calls - members(name) if take else calls | members(name)
    return calls


def restrict_calls(calls):
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    refuse, allow = 0x00050000 | errno.EPERM, 0x7FFF0000
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(refuse)))
    for name in calls:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # of this machine's architecture
            seccomp.seccomp_rule_add(context, ctypes.c_uint32(allow), number, 0)
    if seccomp.seccomp_load(context) != 0:
        raise OSError("the kernel takes no filter of system calls")


def inside(unit_path, state, command):
    """In a mount namespace of its own: restricts, then becomes the command."""
    unit = read_unit(pathlib.Path(unit_path))
    assert unit["ProtectSystem"] == ["strict"] and unit["ProtectHome"] == unit["PrivateTmp"] == unit["PrivateDevices"] == unit["NoNewPrivileges"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    calls = allowed_calls(unit["SystemCallFilter"])

    def mount(*arguments):
        subprocess.run(["mount", *arguments], check=True)

    mount("--make-rprivate", "/")
    devices = tempfile.mkdtemp(dir=state)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", devices)
    for name in ("null", "zero", "full", "random", "urandom"):
        pathlib.Path(devices, name).touch()
        mount("--bind", f"/dev/{name}", f"{devices}/{name}")
    mount("--move", devices, "/dev")
    os.rmdir(devices)
    mount("--bind", state, state)
    mount("-o", "remount,bind,ro", "/")
    for hidden in ("/home", "/root", "/tmp", "/var/tmp"):
        if os.path.isdir(hidden):
            mount("-t", "tmpfs", "-o", "mode=1777" if hidden.endswith("tmp") else "mode=000", "tmpfs", hidden)
    for path in ("/sys", "/proc/sys"):
        if os.path.isdir(path):
            mount("--bind", path, path)
            mount("-o", "remount,bind,ro", path)
    os.chdir(state)
    os.umask(int(unit["UMask"][0], 8))
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError("no_new_privs was refused")
    restrict_calls(calls | {"execve"})
    os.execve(command[0], command, dict(os.environ))


PROBE = """
import ctypes, json, mmap, os, socket
def refused(action):
    try:
        action()
    except OSError:
        return True
    return False
libc = ctypes.CDLL(None, use_errno=True)
print(json.dumps({
    "a file outside of the state directory": refused(lambda: open("/etc/weir-probe", "w")),
    "another user": refused(lambda: os.setuid(0)),
    "a home": refused(lambda: os.listdir("/root")),
    "a mount": libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) != 0,
    "a trace of another process": libc.ptrace(16, 1, 0, 0) != 0,
}))
"""


def main(weir, source):
    unit_file = source / "deploy" / "systemd" / "weir@.service"
    unit = read_unit(unit_file)
    faults = []

    def expect(condition, text):
        if not condition:
            faults.append(text)
            print(f"FAIL: {text}")

    work = pathlib.Path(tempfile.mkdtemp(prefix="weir-systemd-", dir="/var/lib"))
    try:
        work.chmod(0o755)
        program = work / "weir"
        shutil.copy(weir, program)
        text = unit_file.read_text()
        shown = work / "weir@probe.service"
        shown.write_text(text.replace("/usr/bin/weir", str(program)))
        done = subprocess.run(["systemd-analyze", "verify", shown], capture_output=True, text=True)
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if "weir@probe" in line]
        expect(not complaints, f"systemd-analyze verify: {complaints}")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", shown], capture_output=True, text=True)
        score = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
        expect(score and float(score[1]) <= EXPOSURE_MAX, f"systemd-analyze security: {done.stdout[-300:]}{done.stderr}")

        # The specifiers, as systemd fills them in.
        states, credentials, name = work / "states", work / "credentials", "numbers"
        state = states / "weir" / name
        state.mkdir(parents=True)
        credentials.mkdir()
        job = work / f"{name}.weir.json"
        job.write_text(json.dumps({
            "weir": 1, "name": name, "execution": {"parallelism": 2, "checkpoint": {"interval": "300ms"}},
            "nodes": {"numbers": {"type": "generator_source", "rate": "1000/s", "schema": {"k": "int64", "at": "timestamp"},
                                  "fields": {"k": "_offset % 50", "at": "_processing_time"}, "event_time": {"field": "at", "max_delay": "0s"}},
                      "sums": {"type": "aggregate", "inputs": ["numbers"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1s"},
                               "aggregates": {"n": "count(*)"}},
                      "out": {"type": "file_sink", "inputs": ["sums"], "path": f"{state}/out", "format": {"type": "json"}}}}))
        for path in (state, credentials):
            os.chown(path, USER, USER)

        def filled(value):
            return value.replace("%S", str(states)).replace("%d", str(credentials)).replace("%i", name)

        # The unit's rules take from a sanitizer what it looks for leaks with.
        environment = {"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"}
        for line in unit["Environment"]:
            environment |= dict(pair.split("=", 1) for pair in filled(line).split())
        command = filled(unit["ExecStart"][0]).replace("/usr/bin/weir", str(program)).replace(f"/etc/weir/jobs/{name}.weir.json", str(job)).split()

        def start(*arguments):
            return subprocess.Popen(["unshare", "--mount", "--", PYTHON, os.path.abspath(__file__), "--inside", unit_file, state, *arguments], env=environment,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        output = start(PYTHON, "-c", PROBE).communicate(timeout=60)[0]
        probe = json.loads(output.splitlines()[-1]) if "{" in output else {}
        expect(len(probe) == 5, f"the probe did not run:\n{output[-3000:]}")
        for what, refused in probe.items():
            expect(refused, f"not refused under the unit's restrictions: {what}")
        for turn in ("first", "second"):
            before = set((state / "storage").rglob("MANIFEST"))
            process = start(*command)
            end = time.monotonic() + 60
            while not set((state / "storage").rglob("MANIFEST")) - before and process.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
            if process.poll() is None:
                maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text().splitlines()
                expect(maps and not [line for line in maps if line.split()[1].startswith("rwx")], "memory is both writable and executable")
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=60)[0]
            expect(process.returncode == 0, f"the {turn} run ended with {process.returncode}:\n{output[-3000:]}")
            expect(list((state / "storage").rglob("MANIFEST")), f"the {turn} run left no checkpoint:\n{output[-3000:]}")
        expect("resumed from checkpoint" in output, f"the second run did not go on from the first:\n{output[-3000:]}")
        print(f"exposure {score[1] if score else '?'}, {len(allowed_calls(unit['SystemCallFilter']))} system calls allowed, {len(probe)} things refused")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if faults else 0)


if sys.argv[1] == "--inside":
    inside(sys.argv[2], sys.argv[3], sys.argv[4:])
missing = [program for program in ("systemd-analyze", "unshare") if not shutil.which(program)]
try:
    ctypes.CDLL("libseccomp.so.2")
except OSError:
    missing.append("libseccomp.so.2")
reason = "no " + ", ".join(missing) if missing else "needs root" if os.geteuid() != 0 else ""
if not reason and subprocess.run(["unshare", "--mount", "--", "mount", "--make-rprivate", "/"], stderr=subprocess.DEVNULL).returncode != 0:
    reason = "a mount namespace of its own is not permitted here"
if reason:
    print(f"systemd_test ... skipped 'SKIPPED: {reason}'")
    sys.exit(SKIPPED)
main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
