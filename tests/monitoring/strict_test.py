#!/usr/bin/env python3
"""Decodes every dashboard, committed or printed by `weir dashboard`, strictly by Grafana's own types: unknown fields, missing ones and wrong types fail.
And a dashboard that was spoilt in each of these ways must fail, or the check checks nothing.

usage: strict_test.py WEIR_BINARY SOURCE_DIRECTORY
Without the program of `./dev monitoring tools` it says that it tested nothing.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

WEIR, SOURCE = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
SKIPPED = 77


def strict(*files):
    return subprocess.run([PROGRAM, *map(str, files)], capture_output=True, text=True)


def spoilt(dashboard):
    """(what is wrong, the dashboard with it)"""
    def changed(change):
        copy = json.loads(json.dumps(dashboard))
        change(copy["panels"][1])
        return copy

    yield "an unknown field of a panel", changed(lambda panel: panel.update(descripton="x"))
    yield "an unknown option", changed(lambda panel: panel["options"].update(mergeValue=True))
    yield "a missing option", changed(lambda panel: panel["options"].pop("legend"))
    yield "a wrong type", changed(lambda panel: panel["gridPos"].update(w="wide"))
    yield "an unknown field of a target", changed(lambda panel: panel["targets"][0].update(expression="up"))


def main():
    faults = 0
    with tempfile.TemporaryDirectory(prefix="weir-strict-") as work:
        files = [SOURCE / "deploy" / "grafana" / f"{name}.json" for name in ("job", "checkpoints", "overview")]
        for job in sorted((SOURCE / "jobs" / "examples").glob("*.weir.json")):
            printed = subprocess.run([WEIR, "dashboard", job], capture_output=True, text=True, env=dict(os.environ, KAFKA_BROKERS="127.0.0.1:9092"))
            if printed.returncode != 0:
                print(f"FAIL: weir dashboard {job}: {printed.stderr}")
                faults += 1
                continue
            files.append(pathlib.Path(work, job.name))
            files[-1].write_text(printed.stdout)
        done = strict(*files)
        if done.returncode != 0:
            print(f"FAIL: {done.stdout}{done.stderr}")
            faults += 1
        for what, dashboard in spoilt(json.loads(files[0].read_text())):
            broken = pathlib.Path(work, "broken.json")
            broken.write_text(json.dumps(dashboard))
            if strict(broken).returncode == 0:
                print(f"FAIL: {what} passes")
                faults += 1
        print(f"{len(files)} dashboards decoded by Grafana's types")
        if len(files) < 5:
            print("FAIL: fewer dashboards than there are")
            faults += 1
    sys.exit(1 if faults else 0)


PROGRAM = subprocess.run([SOURCE / "deploy" / "third_party" / "go_program.sh", "deploy/grafana/strict", "--prefix"], check=True, capture_output=True, text=True).stdout.strip()
if not os.access(PROGRAM, os.X_OK):
    print(f"strict_test ... skipped 'SKIPPED: no {PROGRAM}: run ./dev monitoring tools'")
    sys.exit(SKIPPED)
main()
