#!/usr/bin/env python3
"""State several times larger than memory, under the kernel's own limit: runs `weir run` in a control group of its own and compares the result with what this
script computes by itself.

One window holds all keys until the input ends, so everything is live; keys and values do not compress. Fails if the process is killed or fails, if a result is
wrong, missing or doubled, or if the kernel counted an out-of-memory kill. Prints the peak of resident memory and the pauses of checkpoints.
Exit code 77: nothing was tested, since no control group could be made, or the binary holds a sanitizer.

usage: memory_limit.py --weir BINARY [--limit MIB] [--factor N] [--parallelism N] [--keep]
"""
import argparse
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
KEY_CHARS = 100
NOTE_CHARS = 900
ACCUMULATOR_BYTES = 16  # count and sum of a key
AGAIN = 16  # one key of so many comes a second time, when all others have passed by


def key(i):
    return hashlib.shake_128(b"key %d" % i).hexdigest(KEY_CHARS // 2)


def note(i, turn):
    return hashlib.shake_128(b"note %d %d" % (i, turn)).hexdigest(NOTE_CHARS // 2)


def write_input(path, keys):
    """Returns the number of rows."""
    rows = [(i, 0) for i in range(keys)] + [(i, 1) for i in range(0, keys, AGAIN)]
    with open(path, "w", encoding="ascii") as file:
        for number, (i, turn) in enumerate(rows):
            file.write(f'{{"k":"{key(i)}","v":{number % 97},"note":"{note(i, turn)}","at":{1_700_006_400_000 + number // 100}}}\n')
    return len(rows)


def expected(i, keys):
    if i % AGAIN != 0:
        return 1, i % 97, note(i, 0)
    return 2, i % 97 + (keys + i // AGAIN) % 97, max(note(i, 0), note(i, 1))


def job(work, parallelism):
    return {
        "weir": 1, "name": "memory", "execution": {"parallelism": parallelism, "checkpoint": {"interval": "2s"}},
        "nodes": {
            "rows": {"type": "file_source", "path": f"{work}/input.ndjson", "format": {"type": "json"},
                     "schema": {"k": "string", "v": "int64", "note": "string", "at": "timestamp_ms"}, "event_time": {"field": "at", "max_delay": "0s"}},
            "all": {"type": "aggregate", "inputs": ["rows"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1d"},
                    "aggregates": {"n": "count(*)", "s": "sum(v)", "note": "max(note)"}},
            "out": {"type": "file_sink", "inputs": ["all"], "path": f"{work}/out", "format": {"type": "json"}},
        },
    }


class ControlGroup:
    """A group with a limit, of version 1 or 2."""

    def __init__(self, limit_bytes):
        self.path = None
        name = f"weir-memory-{os.getpid()}"
        if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            self.events, controls = "memory.events", [("memory.max", limit_bytes), ("memory.swap.max", 0)]
            path = f"/sys/fs/cgroup/{name}"
        else:
            self.events, controls = "memory.oom_control", [("memory.limit_in_bytes", limit_bytes), ("memory.memsw.limit_in_bytes", limit_bytes)]
            path = f"/sys/fs/cgroup/memory/{name}"
        os.mkdir(path)
        self.path = path
        try:
            for file, value in controls:
                if "sw" in file and not os.path.exists(f"{path}/{file}"):
                    continue  # a kernel without accounting of swap
                with open(f"{path}/{file}", "w", encoding="ascii") as control:
                    control.write(str(value))
        except OSError:
            self.remove()
            raise

    def enter(self):
        with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))

    def kills(self):
        with open(f"{self.path}/{self.events}", encoding="ascii") as events:
            return int(dict(line.split() for line in events)["oom_kill"])

    def remove(self):
        os.rmdir(self.path)


def run(arguments, work, group):
    """Exit code, and the peak of resident memory in bytes."""
    command = [arguments.weir, "run", f"{work}/job.weir.json", "--state-dir", f"{work}/state", "--storage", f"file://{work}/storage",
               "--report", f"{work}/report.json", "--allowed-paths", work, "--http-listen", "127.0.0.1:0"]
    with open(f"{work}/log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, preexec_fn=group.enter, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


def compare(work, keys):
    """Problems found, at most ten."""
    numbers = {key(i): i for i in range(keys)}
    problems = []
    for path in glob.glob(f"{work}/out/**/*", recursive=True):
        if not os.path.isfile(path):
            continue
        with open(path, encoding="ascii") as file:
            for line in file:
                row = json.loads(line)
                i = numbers.pop(row["k"], None)
                if i is None:
                    problems.append(f"{row['k']}: not expected, or twice")
                elif (row["n"], int(row["s"]), row["note"]) != expected(i, keys):
                    problems.append(f"{row['k']}: {row['n']} {row['s']} {row['note'][:20]}, expected {expected(i, keys)}")
                if len(problems) >= 10:
                    return problems
    if numbers:
        problems.append(f"{len(numbers)} keys are missing, {next(iter(numbers))} for one")
    return problems


def pauses(report):
    """Count, the bound below which 99 % of the pauses lie, and their sum."""
    bounds, counts, total = [], [], 0.0
    for node in report["nodes"]:
        sync = node.get("snapshot_sync_seconds")
        if sync is None:
            continue
        bounds = sync["bounds"]
        counts = [a + b for a, b in zip(counts or [0] * len(sync["counts"]), sync["counts"])]
        total += sync["sum"]
    seen = 0
    for position, count in enumerate(counts):
        seen += count
        if seen >= 0.99 * sum(counts):
            return sum(counts), bounds[position] if position < len(bounds) else float("inf"), total
    return 0, 0.0, total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True)
    parser.add_argument("--limit", type=int, default=128, help="of the control group, in MiB")
    parser.add_argument("--factor", type=float, default=4, help="state is so many times larger than the limit")
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--sanitized", default="", help="sanitizers that the binary was built with")
    parser.add_argument("--keep", action="store_true", help="leave the working directory")
    arguments = parser.parse_args()
    if arguments.sanitized:
        print(f"{__file__}: Skipped\nthe memory limit was NOT tested: the sanitizer in this build has a shadow of all memory, which counts too")
        return SKIPPED
    limit = arguments.limit << 20
    row_bytes = KEY_CHARS + NOTE_CHARS + ACCUMULATOR_BYTES
    keys = int(arguments.factor * limit / row_bytes) + 1
    try:
        group = ControlGroup(limit)
    except OSError as error:
        print(f"{__file__}: Skipped\nthe memory limit was NOT tested: no control group can be made here ({error}); run as root")
        return SKIPPED
    work = tempfile.mkdtemp(prefix="weir_memory_")
    try:
        rows = write_input(f"{work}/input.ndjson", keys)
        with open(f"{work}/job.weir.json", "w", encoding="ascii") as file:
            json.dump(job(work, arguments.parallelism), file)
        code, peak = run(arguments, work, group)
        kills = group.kills()
        print(f"limit {arguments.limit} MiB, state {keys * row_bytes / 2**20:.0f} MiB in {keys} keys of {rows} rows: exit code {code}, "
              f"peak resident {peak / 2**20:.0f} MiB, out-of-memory kills {kills}")
        if code != 0 or kills != 0:
            with open(f"{work}/log", encoding="utf-8") as log:
                print(log.read()[-4000:])
            print("FAILED: the job did not finish")
            return 1
        with open(f"{work}/report.json", encoding="utf-8") as file:
            report = json.load(file)
        count, bound, total = pauses(report)
        print(f"{report['wall_seconds']:.1f} s, {report['cpu_seconds']:.1f} s of a core; {count} pauses of tasks for checkpoints, {total * 1e3:.2f} ms in all, "
              f"99 % up to {bound * 1e3:g} ms")
        problems = compare(work, keys)
        for problem in problems:
            print(problem)
        print("FAILED: the result is wrong" if problems else "the result is right")
        return 1 if problems else 0
    finally:
        group.remove()
        if arguments.keep:
            print(f"left: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
