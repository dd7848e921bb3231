#!/usr/bin/env python3
"""The kill loop: real processes, real Kafka. Feeds the self-checking workload, kills `weir run` with SIGKILL at random times under load, starts it again,
and at the end compares every result with an oracle of a few lines that shares nothing with the engine.

Checked: rows copied through to files, window results in files: exactly once (nothing lost, nothing twice). Window results in the at-least-once Kafka topic:
nothing lost, nothing that should not be there; repeats are counted. n clean trials bound the failure probability by about 3/n (95 %).

usage: chaos.py --weir BINARY --workload BINARY --kafka HOST:PORT [--kills N] [--seed S] [--rate R] [--rescale] [--keep]
"""
import argparse
import collections
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PARTITIONS = 4
KEYS = 50
BASE_MS = 1_700_000_000_000
WINDOW_MS = 1000


def job(kafka, source, result, work):
    return {
        "weir": 1, "name": "chaos",
        "connections": {"main": {"type": "kafka", "brokers": kafka}},
        "execution": {"parallelism": 2, "checkpoint": {"interval": "200ms"}, "restart": {"initial_delay": "100ms"}},
        "nodes": {
            "input": {"type": "kafka_source", "connection": "main", "topics": [source], "format": {"type": "json"},
                      "schema": {"k": "string", "seq": "int64", "v": "int64", "at": "timestamp_ms"},
                      "event_time": {"field": "at", "max_delay": "100ms", "idle_timeout": "10m"}},
            "counts": {"type": "aggregate", "inputs": ["input"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1s"},
                       "aggregates": {"n": "count(*)", "s": "sum(v)", "last": "max(seq)", "u": "count(DISTINCT v)"}},
            "rows": {"type": "project", "inputs": ["input"], "fields": {"seq": "seq"}},
            "rows_out": {"type": "file_sink", "inputs": ["rows"], "path": f"{work}/rows", "format": {"type": "json"}, "roll": {"every": "1s"}},
            "counts_out": {"type": "file_sink", "inputs": ["counts"], "path": f"{work}/counts", "format": {"type": "json"}, "roll": {"every": "1s"}},
            "counts_kafka": {"type": "kafka_sink", "inputs": ["counts"], "connection": "main", "topic": result, "format": {"type": "json"},
                             "key": ["k"], "create": {"partitions": 2}},
        },
    }


def record(i):
    return f"key-{i * 31 % KEYS}", i, i % 97, BASE_MS + i - i * 7919 % 41


def oracle(count):
    windows = collections.defaultdict(list)
    for i in range(count):
        key, seq, value, at = record(i)
        windows[key, at // WINDOW_MS * WINDOW_MS].append((seq, value))
    return {(key, start): (len(rows), sum(v for _, v in rows), max(s for s, _ in rows), len({v for _, v in rows})) for (key, start), rows in windows.items()}


def parse_time(text):
    """RFC 3339 in UTC to milliseconds."""
    import datetime
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def result_of(row):
    return (row["k"], parse_time(row["window_start"])), (row["n"], row["s"], row["last"], row["u"])


def file_rows(directory):
    for name in glob.glob(f"{directory}/**/*", recursive=True):
        base = os.path.basename(name)
        if os.path.isdir(name) or base.startswith(".") or base.endswith(".part"):
            continue
        with open(name) as lines:
            for line in lines:
                yield json.loads(line)


class Run:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.work = tempfile.mkdtemp(prefix="weir_chaos_")
        tag = f"{os.getpid()}_{int(time.time())}"
        self.source, self.result = f"chaos_in_{tag}", f"chaos_out_{tag}"
        self.log = open(f"{self.work}/weir.log", "a")
        self.job_file = f"{self.work}/chaos.weir.json"
        self.starts = 0
        self.process = None
        self.spec = job(options.kafka, self.source, self.result, self.work)

    def workload(self, *arguments, wait=True, stdout=None):
        command = [self.options.workload, arguments[0], self.options.kafka, *map(str, arguments[1:])]
        if not wait:
            return subprocess.Popen(command)
        return subprocess.run(command, check=True, stdout=stdout)

    def start(self):
        if self.options.rescale:
            self.spec["execution"]["parallelism"] = self.random.choice([1, 2, 3])
        with open(self.job_file, "w") as file:
            json.dump(self.spec, file)
        self.process = subprocess.Popen(
            [self.options.weir, "run", self.job_file, "--state-dir", f"{self.work}/state", "--allowed-paths", self.work, "--http-listen", "127.0.0.1:0",
             "--no-environment"], stdout=self.log, stderr=self.log)
        self.starts += 1

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def go(self):
        options = self.options
        self.workload("create", self.source, PARTITIONS)
        kills, fed, lost_to_exit = 0, 0, 0
        feeder = None
        begin = time.monotonic()
        self.start()
        while kills < options.kills:
            if feeder is None or feeder.poll() is not None:
                if feeder is not None and feeder.returncode != 0:
                    raise SystemExit("the feeder failed")
                feeder = self.workload("feed", self.source, PARTITIONS, fed, options.rate * 5, options.rate, wait=False)
                fed += options.rate * 5
            time.sleep(self.random.choice([self.random.uniform(0.05, 0.6), self.random.uniform(0.3, 2.0)]))
            if self.process.poll() is not None:
                lost_to_exit += 1
                print(f"the job ended by itself with {self.process.returncode}", file=sys.stderr)
                if lost_to_exit > 3:
                    raise SystemExit(f"the job does not run; log: {self.work}/weir.log")
            self.kill()
            kills += 1
            if kills % 20 == 0:
                print(f"{kills} kills, {fed} records, {time.monotonic() - begin:.0f} s", flush=True)
            self.start()
        feeder.wait()
        self.workload("close", self.source, PARTITIONS, BASE_MS + fed + 3_600_000)
        # Everything before the closing records is out once a checkpoint has passed them.
        want = oracle(fed)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"the job ended with {self.process.returncode}; log: {self.work}/weir.log")
            if sum(1 for row in file_rows(f"{self.work}/counts")) >= len(want):
                break
            time.sleep(0.5)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        problems = [] if code == 0 else [f"the last stop ended with {code}"]
        problems += self.verify(fed, want)
        seconds = time.monotonic() - begin
        print(f"{kills} kills, {self.starts} starts, {fed} records, {len(want)} results, {seconds:.0f} s; a failure rate above {3 / max(kills, 1):.3f} per kill is unlikely (95 %)")
        if problems:
            for problem in problems:
                print("FAIL:", problem)
            print(f"kept: {self.work}")
            return 1
        print("nothing lost, nothing doubled in files; nothing lost in Kafka")
        if not options.keep:
            shutil.rmtree(self.work, ignore_errors=True)
        return 0

    def verify(self, fed, want):
        return self.verify_files(fed, want) + self.verify_kafka(want)

    def verify_files(self, fed, want):
        problems = []
        seqs = collections.Counter(row["seq"] for row in file_rows(f"{self.work}/rows") if row["seq"] >= 0)
        lost = fed - len(seqs)
        doubled = sum(count - 1 for count in seqs.values())
        if lost or doubled:
            missing = [seq for seq in range(fed) if seq not in seqs][:5]
            problems.append(f"rows in files: {lost} lost (first {missing}), {doubled} doubled of {fed}")
        found = collections.Counter()
        for row in file_rows(f"{self.work}/counts"):
            if row["k"] != "closing":
                found[result_of(row)] += 1
        expected = {(key, value) for key, value in want.items()}
        if set(found) != expected or any(count != 1 for count in found.values()):
            problems.append(f"results in files: {len(expected - set(found))} lost, {len(set(found) - expected)} wrong, "
                            f"{sum(count - 1 for count in found.values())} doubled; e.g. {list(expected - set(found))[:2]} {list(set(found) - expected)[:2]}")
        return problems

    def verify_kafka(self, want):
        problems = []
        expected = {(key, value) for key, value in want.items()}
        dump = self.workload("dump", self.result, stdout=subprocess.PIPE).stdout.decode().splitlines()
        produced = collections.Counter()
        for line in dump:
            row = json.loads(line)
            if row["k"] != "closing":
                produced[result_of(row)] += 1
        if set(produced) != expected:
            problems.append(f"results in Kafka: {len(expected - set(produced))} lost, {len(set(produced) - expected)} wrong; "
                            f"e.g. {list(expected - set(produced))[:2]} {list(set(produced) - expected)[:2]}")
        print(f"results in Kafka: {len(dump)} records, {sum(produced.values()) - len(produced)} repeats (allowed: at least once)")
        return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--rescale", action="store_true")
    parser.add_argument("--keep", action="store_true")
    run = Run(parser.parse_args())
    try:
        code = run.go()
    finally:
        if run.process is not None and run.process.poll() is None:
            run.kill()
    sys.exit(code)


if __name__ == "__main__":
    main()
