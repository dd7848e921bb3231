#!/usr/bin/env python3
"""Runs a job with late rows, bad records, Kafka and checkpoints, lets a real Prometheus scrape it once a second, and asks Prometheus for every expression
of the dashboard and of the rules. Each must answer with data that is not only NaN; what stays empty in a healthy job is listed here with its reason.
Also: the committed dashboard is what its source makes, panels do not overlap, the rules pass promtool, the metrics page passes promtool, and every series
is in the list of metrics.

usage: monitoring_test.py WEIR_BINARY SOURCE_DIRECTORY KAFKA_ADDRESS WORKLOAD_BINARY
"""
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

WEIR, SOURCE, KAFKA, WORKLOAD = sys.argv[1:5]
TOPIC = f"monitored_{os.getpid()}_{int(time.time())}"  # read by the job that writes it, so it must be there before
SCRAPES_SECONDS = 25  # several checkpoints, two rate intervals

# Empty while nothing is wrong: expression (after expansion) -> reason.
EXPECTED_EMPTY = {
    "weir_node_anomalies_total": "no offset jumped, no file was truncated: kinds appear when they are first counted",
    "changes(weir_job_start_time_seconds": "the annotation marks restarts, and this job was not restarted",
    "absent(weir_job_state": "the job is there",
    "up{job=~": "compared with 0 by the alert: the target is up",
}

JOB = {
    "weir": 1, "name": "monitored",
    "connections": {"main": {"type": "kafka", "brokers": KAFKA}},
    "execution": {"parallelism": 2, "checkpoint": {"interval": "1s"}},
    "nodes": {
        "feed": {"type": "generator_source", "rate": "2000/s", "seed": 3, "parallelism": 1,
                 "schema": {"k": "int64", "v": "int64", "at": "timestamp"},
                 "fields": {"k": "random_int(1, 50)", "v": "random_int(0, 20)",
                            "at": "_processing_time - random_duration(INTERVAL '0 seconds', INTERVAL '8 seconds')"},
                 "event_time": {"field": "at", "max_delay": "2s"}},
        "checked": {"type": "project", "inputs": ["feed"], "on_error": "drop", "fields": {"k": "k", "q": "100 / v", "at": "at"}},
        "windowed": {"type": "aggregate", "inputs": ["checked"], "key_by": ["k"], "window": {"type": "sliding", "size": "2s", "every": "1s"},
                     "aggregates": {"n": "count(*)", "s": "sum(q)"}},
        "to_kafka": {"type": "kafka_sink", "inputs": ["windowed"], "connection": "main", "topic": TOPIC, "format": {"type": "json"}},
        "from_kafka": {"type": "kafka_source", "connection": "main", "topics": [TOPIC], "start_from": "earliest", "format": {"type": "json"},
                       "schema": {"k": "int64", "n": "int64"}},
        "done": {"type": "blackhole_sink", "inputs": ["from_kafka"]},
    },
}


def fail(message):
    print(f"FAIL: {message}")
    fail.count += 1


fail.count = 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def wait_for(what, body, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if body():
                return
        except OSError:
            pass
        time.sleep(0.2)
    fail(f"not so within {seconds} s: {what}")
    raise SystemExit(1)


def expand(expression):
    return (expression.replace("$__rate_interval", "10s").replace("$__interval", "10s").replace("$job_name", "monitored").replace("$node_id", ".+"))


def sides(expression):
    """The parts of an alert's expression on both sides of its comparisons: an alert is quiet, but what it compares must be there."""
    parts, depth, begin, quoted = [], 0, 0, False
    i = 0
    while i < len(expression):
        c = expression[i]
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "({[":
            depth += 1
        elif not quoted and c in ")}]":
            depth -= 1
        elif not quoted and depth == 0:
            match = re.match(r"(==|!=|>=|<=|>|<|\band\b( on \([^)]*\))?)", expression[i:])
            if match:
                parts.append(expression[begin:i])
                i += match.end()
                begin = i
                continue
        i += 1
    parts.append(expression[begin:])
    return [part.strip() for part in parts if part.strip() and not re.fullmatch(r"[-+0-9.e]+", part.strip())]


def check_layout(dashboard):
    taken = {}
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        if grid["x"] + grid["w"] > 24:
            fail(f"panel '{panel['title']}' is wider than the grid")
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                if (x, y) in taken:
                    fail(f"panels '{panel['title']}' and '{taken[x, y]}' overlap")
                    return
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        fail("two panels have the same id")
    for panel in dashboard["panels"]:
        if panel["type"] != "row" and not panel.get("description"):
            fail(f"panel '{panel['title']}' does not say what to do next")


def main():
    dashboard_text = open(f"{SOURCE}/deploy/grafana/job.json").read()
    made = subprocess.run([sys.executable, f"{SOURCE}/deploy/grafana/job_dashboard.py"], check=True, capture_output=True, text=True).stdout
    if made != dashboard_text:
        fail("deploy/grafana/job.json is not what job_dashboard.py makes: run it again")
    dashboard = json.loads(dashboard_text)
    check_layout(dashboard)
    rules_file = f"{SOURCE}/deploy/prometheus/rules.yml"
    checked = subprocess.run(["promtool", "check", "rules", rules_file], capture_output=True, text=True)
    if checked.returncode != 0:
        fail(f"promtool check rules: {checked.stdout}{checked.stderr}")

    work = tempfile.mkdtemp(prefix="weir_monitoring_")
    job_file = f"{work}/monitored.weir.json"
    open(job_file, "w").write(json.dumps(JOB))
    weir_port, prometheus_port = free_port(), free_port()
    open(f"{work}/prometheus.yml", "w").write(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{rules_file}']\n"
        f"scrape_configs: [{{job_name: weir, static_configs: [{{targets: ['127.0.0.1:{weir_port}']}}]}}]\n")
    log = open(f"{work}/weir.log", "w")
    subprocess.run([WORKLOAD, "create", KAFKA, TOPIC, "2"], check=True)
    weir = subprocess.Popen([WEIR, "run", job_file, "--state-dir", f"{work}/state", "--http-listen", f"127.0.0.1:{weir_port}"], stdout=log, stderr=log)
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{prometheus_port}"],
        stdout=subprocess.DEVNULL, stderr=open(f"{work}/prometheus.log", "w"))
    try:
        wait_for("the job is ready", lambda: get(f"http://127.0.0.1:{weir_port}/readyz") == "ok\n", 60)
        wait_for("Prometheus is ready", lambda: "Ready" in get(f"http://127.0.0.1:{prometheus_port}/-/ready"), 30)
        time.sleep(SCRAPES_SECONDS)

        page = get(f"http://127.0.0.1:{weir_port}/metrics")
        linted = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
        if linted.returncode != 0:
            fail(f"promtool check metrics: {linted.stdout}{linted.stderr}")
        listed = set(re.findall(r'\{"((?:weir|process)_[a-z_0-9]+)"', open(f"{SOURCE}/engine/base/metric_names.cc").read()))
        exported = set(re.findall(r"^# TYPE ([a-z_0-9]+) ", page, re.M))
        for name in sorted(exported - listed):
            fail(f"{name} is exported but not in the list of metrics")
        for name in sorted(listed - exported):
            if name not in EXPECTED_EMPTY:
                fail(f"{name} is in the list of metrics but this job does not export it")

        def query(expression):
            answer = json.loads(get(f"http://127.0.0.1:{prometheus_port}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), 20))
            if answer["status"] != "success":
                return None
            return [float(series["value"][1]) for series in answer["data"]["result"]]

        asked = 0

        def expect_data(where, expression):
            nonlocal asked
            asked += 1
            values = query(expression)
            if values is None:
                fail(f"{where}: Prometheus refuses {expression}")
            elif any(key in expression for key in EXPECTED_EMPTY):
                return
            elif not values:
                fail(f"{where}: no data for {expression}")
            elif all(math.isnan(value) for value in values):
                fail(f"{where}: only NaN for {expression}")

        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                expect_data(f"panel '{panel['title']}'", expand(target["expr"]))
        for variable in dashboard["templating"]["list"]:
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.get("definition", ""))
            if match:
                expect_data(f"variable '{variable['name']}'", f"count by ({match[2]}) ({expand(match[1])})")
        for annotation in dashboard["annotations"]["list"]:
            expect_data("annotation", expand(annotation["expr"]))
        rules = json.loads(get(f"http://127.0.0.1:{prometheus_port}/api/v1/rules"))
        for group in rules["data"]["groups"]:
            for rule in group["rules"]:
                if rule["health"] not in ("ok", "unknown"):
                    fail(f"rule {rule['name']}: {rule.get('lastError')}")
                if rule["type"] == "recording":
                    expect_data(f"record {rule['name']}", rule["name"])
                else:
                    for side in sides(rule["query"]):
                        expect_data(f"alert {rule['name']}", side)
        print(f"{asked} expressions asked of a real Prometheus; {len(exported)} metrics exported")
        if asked < 60:
            fail("fewer expressions than the dashboard and the rules have")
        weir.send_signal(signal.SIGTERM)
        code = weir.wait(60)
        if code != 0:
            fail(f"the job ended with {code}")
    finally:
        for process in (weir, prometheus):
            if process.poll() is None:
                process.kill()
            process.wait()
        if fail.count:
            print(open(f"{work}/weir.log").read()[-4000:])
        else:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if fail.count else 0)


if __name__ == "__main__":
    os.environ.setdefault("no_proxy", "127.0.0.1,localhost")
    main()
