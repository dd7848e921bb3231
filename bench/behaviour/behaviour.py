#!/usr/bin/env python3
"""Measures how a running job behaves, beside how fast it is: behind a slow sink, idle, and at its start.

  slow   a job whose sink takes a fixed rate for a while, then all it can: resident memory, rows on their
         way, checkpoints, where the time goes, and how soon the job is at full speed again
  idle   the CPU share of a job without input
  cold   time from the start of the process to the first record read from Kafka
  pause  how long checkpoints hold up the thread that processes rows, under load, with a million rows of state

What is printed is measured; nothing here passes or fails. Standard library only.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
START_SECONDS_MAX = 30


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Job:
    """A job in a process of its own, its metrics and what the kernel knows of it."""

    def __init__(self, options, work, name, job, env=None, arguments=()):
        self.work = work / name
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        path = self.work / f"{name}.weir.json"
        path.write_text(json.dumps(job, indent=1))
        self.port = free_port()
        self.started = time.monotonic()
        with open(self.work / "log", "wb") as log:
            self.process = subprocess.Popen(
                [options.weir, "run", path, "--storage", f"file://{self.work}/storage", "--state-dir",
                 self.work / "state", "--http-listen", f"127.0.0.1:{self.port}", *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.work, env=dict(os.environ, **(env or {})))

    def metrics(self):
        """[(name, labels, value)], or None while nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            if self.process.poll() is not None:
                sys.exit(f"behaviour: the job ended: {(self.work / 'log').read_text()[-2000:]}")
            return None
        samples = []
        for line in text.splitlines():
            match = SAMPLE.match(line)
            if match and not line.startswith("#"):
                samples.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))
        return samples

    def wait_for(self, what, seconds=START_SECONDS_MAX, pause=0.005):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            samples = self.metrics()
            if samples is not None and what(samples):
                return samples
            time.sleep(pause)
        sys.exit(f"behaviour: it did not happen: {(self.work / 'log').read_text()[-2000:]}")

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode


def total(samples, name, **labels):
    return sum(value for n, found, value in samples
               if n == name and all(found.get(key) == wanted for key, wanted in labels.items()))


def slow(options, work):
    rate, seconds = options.rate, options.seconds
    job = {
        "weir": 1, "name": "slow_sink",
        "execution": {"parallelism": 2, "checkpoint": {"interval": "5s"}},
        "nodes": {
            "numbers": {"type": "generator_source", "rate": "2000000/s",
                        "schema": {"id": "int64", "name": "string"},
                        "fields": {"id": "_offset", "name": "'name-' || (_offset % 1000)::string"}},
            "kept": {"type": "filter", "inputs": ["numbers"], "where": "id % 2 = 0"},
            "out": {"type": "blackhole_sink", "inputs": ["kept"], "rate": f"{rate}/s", "rate_for": f"{seconds}s",
                    "parallelism": 1},  # another task than the filter: rows wait in channels
        },
    }
    run = Job(options, work, "slow", job)
    run.wait_for(lambda s: total(s, "weir_node_records_in_total", node_id="out") > 0)
    begun = time.monotonic()
    rows = []
    while time.monotonic() - begun < seconds + 10:
        samples = run.metrics()
        if samples is None:
            continue
        at = time.monotonic() - begun
        into = total(samples, "weir_node_records_in_total", node_id="out")
        left = total(samples, "weir_node_records_out_total", node_id="kept")
        rows.append({
            "at": at, "into": into, "in_flight": left - into, "rss": run.rss_bytes(),
            "checkpoints": total(samples, "weir_checkpoints_total", result="completed"),
            "checkpoint_count": total(samples, "weir_checkpoint_duration_seconds_count"),
            "checkpoint_sum": total(samples, "weir_checkpoint_duration_seconds_sum"),
            "busy": {node: total(samples, "weir_node_time_seconds_total", node_id=node, state="backpressured")
                     for node in ("numbers", "kept", "out")},
        })
        time.sleep(0.1)
    run.stop()
    settled = [row for row in rows if seconds * 0.25 <= row["at"] <= seconds - 1]
    rss = [row["rss"] for row in settled]
    in_flight = [row["in_flight"] for row in settled]
    during = [row for row in rows if row["at"] <= seconds - 1]
    count = during[-1]["checkpoint_count"] - during[0]["checkpoint_count"]
    longest = 0.0
    for before, after in zip(during, during[1:]):
        if after["checkpoint_count"] > before["checkpoint_count"]:
            longest = max(longest, (after["checkpoint_sum"] - before["checkpoint_sum"]) /
                          (after["checkpoint_count"] - before["checkpoint_count"]))
    # Rates of half a second each, after the release.
    speeds = []
    for before, after in zip(rows, rows[5:]):
        if before["at"] >= seconds - 3:
            speeds.append((before["at"], (after["into"] - before["into"]) / (after["at"] - before["at"])))
    full = statistics.median(speed for at, speed in speeds if at > seconds + 4)
    first = next((at for at, speed in speeds if speed >= 0.9 * full), None)
    last = settled[-1]
    return {
        "rate": rate, "seconds": seconds,
        "rows_per_second": (settled[-1]["into"] - settled[0]["into"]) / (settled[-1]["at"] - settled[0]["at"]),
        "rss_mib": [round(min(rss) / 2**20, 1), round(max(rss) / 2**20, 1)],
        "in_flight_rows": {"median": statistics.median(in_flight), "max": max(in_flight)},
        "checkpoints": {"completed": count, "mean_s": round((during[-1]["checkpoint_sum"] - during[0]["checkpoint_sum"])
                                                            / max(count, 1), 3), "longest_s": round(longest, 3)},
        "backpressured_share": {node: round((last["busy"][node] - settled[0]["busy"][node]) /
                                            (last["at"] - settled[0]["at"]), 2) for node in last["busy"]},
        "full_speed_rows_per_second": round(full),
        "full_speed_after_release_s": None if first is None else round(max(0.0, first - seconds), 2),
    }


class Broker:
    def __init__(self, work):
        self.script = ROOT / "deploy" / "kafka" / "kafka.sh"
        self.directory = work / "kafka"

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / "up.log", "w") as log:
            if subprocess.call([self.script, "up", "--dir", self.directory, "--port", "0"], stdout=log, stderr=log) != 0:
                sys.exit("behaviour: no broker: " + (self.directory / "up.log").read_text()[-2000:])
        self.address = (self.directory / "bootstrap").read_text().strip()
        return self

    def tool(self, *arguments, **more):
        subprocess.run([self.script, "tool", *arguments, "--bootstrap-server", self.address], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)

    def __exit__(self, *_):
        subprocess.call([self.script, "down", "--purge", "--dir", self.directory], stdout=subprocess.DEVNULL)


def kafka_job(name, topic):
    return {
        "weir": 1, "name": name, "execution": {"parallelism": 1, "checkpoint": {"interval": "10s"}},
        "connections": {"main": {"type": "kafka", "brokers": "${KAFKA_BROKERS}", "security": {"protocol": "plaintext"}}},
        "nodes": {
            "lines": {"type": "kafka_source", "connection": "main", "topics": [topic], "start_from": "earliest",
                      "format": {"type": "json"}, "schema": {"k": "string", "ts": "timestamp"},
                      "event_time": {"field": "ts", "max_delay": "1s"}},
            "counts": {"type": "aggregate", "inputs": ["lines"], "key_by": ["k"],
                       "window": {"type": "tumbling", "size": "10s"}, "aggregates": {"n": "count(*)"}},
            "out": {"type": "blackhole_sink", "inputs": ["counts"]},
        },
    }


def idle(options, work, broker):
    broker.tool("topics", "--create", "--topic", "idle", "--partitions", "4")
    run = Job(options, work, "idle", kafka_job("idle", "idle"), {"KAFKA_BROKERS": broker.address})
    run.wait_for(lambda s: total(s, "weir_node_info") > 0)
    time.sleep(15)  # the first checkpoint has passed
    before, at = run.cpu_seconds(), time.monotonic()
    time.sleep(options.idle_seconds)
    share = (run.cpu_seconds() - before) / (time.monotonic() - at)
    rss = run.rss_bytes()
    run.stop()
    return {"seconds": options.idle_seconds, "cpu_share_of_a_core_percent": round(share * 100, 3),
            "rss_mib": round(rss / 2**20, 1)}


def cold(options, work, broker):
    broker.tool("topics", "--create", "--topic", "cold", "--partitions", "4")
    lines = "".join(f'{{"k":"k{i % 10}","ts":"2026-01-01T00:00:{i % 60:02d}Z"}}\n' for i in range(1000))
    broker.tool("console-producer", "--topic", "cold", input=lines.encode())
    times = []
    for number in range(options.starts):
        run = Job(options, work, f"cold{number}", kafka_job("cold", "cold"), {"KAFKA_BROKERS": broker.address})
        run.wait_for(lambda s: total(s, "weir_node_records_in_total", node_id="lines") > 0, pause=0.002)
        times.append(time.monotonic() - run.started)
        run.stop()
    return {"starts": len(times), "first_record_s": {"median": round(statistics.median(times), 3),
                                                    "min": round(min(times), 3), "max": round(max(times), 3)}}


def quantile(samples, name, share, **labels):
    """Of a histogram: the bound of the bucket that holds the quantile, hence an upper bound."""
    buckets = {}
    for found, its, value in samples:
        if found == name + "_bucket" and all(its.get(key) == wanted for key, wanted in labels.items()):
            bound = float("inf") if its["le"] == "+Inf" else float(its["le"])
            buckets[bound] = buckets.get(bound, 0) + value
    count = max(buckets.values(), default=0)
    return min((bound for bound, value in buckets.items() if count > 0 and value >= share * count), default=None)


def pause(options, work):
    job = {
        "weir": 1, "name": "pause",
        "execution": {"parallelism": 1, "checkpoint": {"interval": "500ms"}, "state": {"backend": "rocksdb"}},
        "nodes": {
            "rows": {"type": "generator_source", "rate": f"{options.pause_rate}/s",
                     "schema": {"id": "int64", "k": "int64", "at": "timestamp"},
                     "fields": {"id": "_offset", "k": "(_offset * 7919) % 1000000", "at": "_processing_time"},
                     "event_time": {"field": "at", "max_delay": "1s"}},
            "sums": {"type": "aggregate", "inputs": ["rows"], "key_by": ["k"],
                     "window": {"type": "tumbling", "size": "1h"}, "aggregates": {"n": "count(*)", "total": "sum(id)"}},
            "out": {"type": "blackhole_sink", "inputs": ["sums"]},
        },
    }
    run = Job(options, work, "pause", job)
    run.wait_for(lambda s: total(s, "weir_node_records_in_total", node_id="sums") > 0)
    time.sleep(options.pause_seconds)
    samples = run.wait_for(lambda s: True)
    run.stop()
    name, labels = "weir_checkpoint_snapshot_seconds", {"node_id": "sums", "phase": "sync"}
    count = total(samples, name + "_count", **labels)
    return {
        "seconds": options.pause_seconds, "rows_per_second": options.pause_rate,
        "state_rows": total(samples, "weir_state_rows", node_id="sums"), "checkpoints": count,
        "pause_ms": {"mean": round(total(samples, name + "_sum", **labels) / max(count, 1) * 1e3, 3),
                     **{f"p{share} at most": round((quantile(samples, name, share / 100, **labels) or 0) * 1e3, 3)
                        for share in (50, 99, 100)}},
        "checkpoint_mean_s": round(total(samples, "weir_checkpoint_duration_seconds_sum") / max(count, 1), 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["slow", "idle", "cold", "pause"],
                        help="slow, idle, cold, pause; all by default")
    parser.add_argument("--weir", default=ROOT / "build" / "release" / "weir", type=pathlib.Path)
    parser.add_argument("--rate", type=int, default=1000, help="rows a second that the slow sink takes")
    parser.add_argument("--seconds", type=int, default=120, help="how long it is slow")
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--pause-seconds", type=int, default=120)
    parser.add_argument("--pause-rate", type=int, default=200_000, help="rows a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-behaviour-") as directory:
        work = pathlib.Path(directory)
        results = {}
        if "slow" in options.what:
            results["slow"] = slow(options, work)
            print(json.dumps({"slow": results["slow"]}, indent=1), flush=True)
        if "pause" in options.what:
            results["pause"] = pause(options, work)
            print(json.dumps({"pause": results["pause"]}, indent=1), flush=True)
        if {"idle", "cold"} & set(options.what):
            with Broker(work) as broker:
                for name, measure in (("idle", idle), ("cold", cold)):
                    if name in options.what:
                        results[name] = measure(options, work, broker)
                        print(json.dumps({name: results[name]}, indent=1), flush=True)


if __name__ == "__main__":
    main()
