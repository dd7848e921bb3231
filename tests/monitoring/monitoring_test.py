#!/usr/bin/env python3
"""Runs two jobs, one in health and one to which everything happens (late rows, bad records, backpressure, a restart), lets a real Prometheus scrape both
once a second, and asks it for every expression of every dashboard, of the rules, and of what `weir dashboard` prints. Each must answer with data that is
not only NaN; what stays empty is listed here with its reason. What is zero in health must be more in the other job.
Also: the committed dashboards are what their source makes, panels lie in the grid and do not overlap, the rules pass promtool, the metrics page passes
promtool, and every series is in the list of metrics.

usage: monitoring_test.py WEIR_BINARY SOURCE_DIRECTORY KAFKA_ADDRESS WORKLOAD_BINARY
"""
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from real_servers import NotSo, Prometheus, Servers, free_port, get, wait_for

WEIR, SOURCE, KAFKA, WORKLOAD = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3], os.path.abspath(sys.argv[4])
GRAFANA = f"{SOURCE}/deploy/grafana"
DASHBOARDS = ("job", "checkpoints", "overview")
SCRAPES_SECONDS = 25  # several checkpoints, two rate intervals

# Empty although nothing is wrong: part of an expression -> reason.
EXPECTED_EMPTY = {
    'changes(weir_job_start_time_seconds{job_name="healthy"': "the annotation marks restarts, and this job was not restarted",
    'changes(weir_job_start_time_seconds{job_name=~"healthy"': "the same, on a dashboard with variables",
    "absent(weir_job_state": "the job is there",
}
# What is zero in health, and more after the faults.
PROVOKED = [
    "sum(rate(weir_node_late_records_total{<J>}[1m]))",
    "sum(rate(weir_node_late_partial_records_total{<J>}[1m]))",
    "sum(rate(weir_node_late_assignments_total{<J>}[1m]))",
    "sum(rate(weir_node_errors_total{<J>}[1m]))",
    "sum(weir_job_restarts_total{<J>})",
    "sum(changes(weir_job_start_time_seconds{<J>}[1m]))",
]


def job(name, topic, *, provoked):
    disorder = 8 if provoked else 1
    nodes = {
        "feed": {"type": "generator_source", "rate": "2000/s", "seed": 3, "parallelism": 1,
                 "schema": {"k": "int64", "v": "int64", "at": "timestamp"},
                 "fields": {"k": "random_int(1, 50)", "v": f"random_int({0 if provoked else 1}, 20)",
                            "at": f"_processing_time - random_duration(INTERVAL '0 seconds', INTERVAL '{disorder} seconds')"},
                 "event_time": {"field": "at", "max_delay": "2s"}},
        "checked": {"type": "project", "inputs": ["feed"], "on_error": "drop", "fields": {"k": "k", "q": "100 / v", "at": "at"}},
        "windowed": {"type": "aggregate", "inputs": ["checked"], "key_by": ["k"], "window": {"type": "sliding", "size": "2s", "every": "1s"},
                     "aggregates": {"n": "count(*)", "s": "sum(q)"}},
        "to_kafka": {"type": "kafka_sink", "inputs": ["windowed"], "connection": "main", "topic": topic, "format": {"type": "json"}},
        "from_kafka": {"type": "kafka_source", "connection": "main", "topics": [topic], "start_from": "earliest", "format": {"type": "json"},
                       "schema": {"k": "int64", "n": "int64"}},
        "done": {"type": "file_sink", "inputs": ["from_kafka"], "path": f"{name}_disk/out", "format": {"type": "json"}},
    }
    if provoked:
        nodes["flood"] = {"type": "generator_source", "rate": "1000000/s", "parallelism": 1, "schema": {"n": "int64"}, "fields": {"n": "_offset"}}
        nodes["drain"] = {"type": "blackhole_sink", "inputs": ["flood"], "rate": "1000/s"}
    return {"weir": 1, "name": name, "connections": {"main": {"type": "kafka", "brokers": KAFKA}},
            "execution": {"parallelism": 2, "checkpoint": {"interval": "1s"}, "restart": {"strategy": "exponential", "initial_delay": "500ms"}}, "nodes": nodes}


def fail(message):
    print(f"FAIL: {message}")
    fail.count += 1


fail.count = 0


def expand(expression, name):
    for variable, value in {"$__rate_interval": "10s", "$__interval": "1m", "$job_name": name, "$node_id": ".+", "$namespace": ".*"}.items():
        expression = expression.replace(variable, value)
    return expression


def sides(expression):
    """The parts of an alert's expression on both sides of its comparisons: an alert is quiet, but what it compares must be there. Now: this test
    does not last as long as an alert looks back."""
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
            match = re.match(r"(==|!=|>=|<=|>|<|\b(and|or)\b( on \([^)]*\))?)", expression[i:])
            if match:
                parts.append(expression[begin:i])
                i += match.end()
                begin = i
                continue
        i += 1
    parts.append(expression[begin:])
    parts = [re.sub(r" offset \w+$", "", part.strip()) for part in parts]
    return [part for part in parts if part and not re.fullmatch(r"[-+0-9.e]+", part)]


def check_structure(name, dashboard):
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        title, grid = f"{name}: panel '{panel['title']}'", panel["gridPos"]
        if min(grid.values()) < 0 or grid["w"] < 1 or grid["h"] < 1 or grid["x"] + grid["w"] > 24:
            fail(f"{title} is not within the grid")
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                if taken.setdefault((x, y), title) != title:
                    fail(f"{title} overlaps {taken[x, y]}")
                    return
        if panel["id"] in ids:
            fail(f"{title} has the id of another one")
        ids.add(panel["id"])
        if panel["type"] == "row":
            continue
        if len(panel.get("description", "")) < 10:
            fail(f"{title} does not say what to do next")
        if not panel["fieldConfig"]["defaults"].get("unit") or "min" not in panel["fieldConfig"]["defaults"]:
            fail(f"{title} has no unit or no minimum")
        for target in panel["targets"]:
            if "job_name" not in target["expr"]:
                fail(f"{title} does not choose a job: {target['expr']}")
            if "rate(" in target["expr"] and "$__rate_interval" not in target["expr"]:
                fail(f"{title} takes a rate over a fixed time: {target['expr']}")


def check_sources(work):
    """The committed files are what their source makes."""
    subprocess.run([sys.executable, f"{GRAFANA}/dashboards.py", work], check=True)
    for name in (*DASHBOARDS, "job_template"):
        if open(f"{work}/{name}.json").read() != open(f"{GRAFANA}/{name}.json").read():
            fail(f"deploy/grafana/{name}.json is not what dashboards.py makes: run it again")


def promtool(what, *arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"{what}: {done.stdout}{done.stderr}")


def restart(work, port):
    """A sink whose directory answers with an error for a moment: the attempt ends, the next one goes on."""
    disk = pathlib.Path(work, "provoked_disk")
    disk.rename(f"{disk}.away")
    disk.symlink_to(disk.name)
    wait_for("the job restarts", lambda: re.search(r'restarts_total\{.*reason="task_failed"\} [1-9]', get(f"http://127.0.0.1:{port}/metrics")), 30)
    disk.unlink()
    pathlib.Path(f"{disk}.away").rename(disk)
    wait_for("the job runs again", lambda: get(f"http://127.0.0.1:{port}/readyz") == "ok\n", 30)


class Asking:
    def __init__(self, prometheus):
        self.prometheus, self.asked = prometheus, 0

    def expect_data(self, where, expression):
        self.asked += 1
        values = self.prometheus.query(expression)
        if values is None:
            fail(f"{where}: Prometheus refuses {expression}")
        elif any(key in expression for key in EXPECTED_EMPTY):
            return
        elif not values:
            fail(f"{where}: no data for {expression}")
        elif all(math.isnan(value) for value in values):
            fail(f"{where}: only NaN for {expression}")

    def dashboard(self, title, dashboard, name):
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                self.expect_data(f"{title}, panel '{panel['title']}'", expand(target["expr"], name))
        for variable in dashboard["templating"]["list"]:
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.get("definition", ""))
            if match:
                self.expect_data(f"{title}, variable '{variable['name']}'", f"count by ({match[2]}) ({expand(match[1], name)})")
        for annotation in dashboard["annotations"]["list"]:
            self.expect_data(f"{title}, annotation", expand(annotation["expr"], name))

    def jobs_apart(self, title, dashboard, name):
        """Panels with a line for each job: jobs of one name in two namespaces have one each."""
        found = 0
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                if panel["type"] != "table" and "{{job_name}}" not in target["legendFormat"]:
                    continue
                found += 1
                if any(key in target["expr"] for key in EXPECTED_EMPTY):
                    continue
                names = {(labels.get("namespace"), labels.get("job_name")) for labels, _ in self.prometheus.series(expand(target["expr"], name))}
                if names != {(None, name), ("other", name)}:
                    fail(f"{title}, panel '{panel['title']}': not a line for each namespace's job but {names}: {target['expr']}")
        if found < 9:
            fail(f"{title}: only {found} expressions of its panels are about each job")

    def rules(self):
        for rule in self.prometheus.rules():
            if rule["health"] not in ("ok", "unknown"):
                fail(f"rule {rule['name']}: {rule.get('lastError')}")
            if rule["type"] == "recording":
                self.expect_data(f"record {rule['name']}", rule["name"])
            else:
                for side in sides(rule["query"]):
                    self.expect_data(f"alert {rule['name']}", side)


def check_metrics(page):
    promtool("promtool check metrics", "check", "metrics", text=page)
    listed = set(re.findall(r'\{"((?:weir|process)_[a-z_0-9]+)"', open(f"{SOURCE}/engine/base/metric_names.cc").read()))
    exported = set(re.findall(r"^# TYPE ([a-z_0-9]+) ", page, re.M))
    for name in sorted(exported - listed):
        fail(f"{name} is exported but not in the list of metrics")
    for name in sorted(listed - exported):
        fail(f"{name} is in the list of metrics but this job does not export it")
    return len(exported)


def run(servers, work):
    rules = f"{SOURCE}/deploy/prometheus/rules.yml"
    promtool("promtool check rules", "check", "rules", rules)
    ports, processes, printed = {}, {}, {}
    for name in ("healthy", "provoked"):
        topic = f"{name}_{os.getpid()}_{int(time.time())}"  # read by the job that writes it, so it must be there before
        subprocess.run([WORKLOAD, "create", KAFKA, topic, "2"], check=True)
        pathlib.Path(work, f"{name}.weir.json").write_text(json.dumps(job(name, topic, provoked=name == "provoked")))
        # A topic that was just made is not yet known to every question.
        wait_for(f"the topic of {name} is there", lambda name=name: subprocess.run([WEIR, "validate", f"{name}.weir.json"], cwd=work, capture_output=True).returncode == 0, 30)
        ports[name] = free_port()
        processes[name] = servers.start(name, WEIR, "run", f"{name}.weir.json", "--state-dir", f"{work}/state", "--http-listen",
                                        f"127.0.0.1:{ports[name]}", cwd=work)
        printed[name] = json.loads(subprocess.run([WEIR, "dashboard", f"{name}.weir.json"], cwd=work, check=True, capture_output=True, text=True).stdout)
        scoped = subprocess.run([WEIR, "dashboard", "--rules", f"{name}.weir.json"], cwd=work, check=True, capture_output=True, text=True).stdout
        pathlib.Path(work, f"{name}_rules.yml").write_text(scoped)
        promtool(f"rules of {name}", "check", "rules", f"{work}/{name}_rules.yml")
    # Every process once more as a job of the same name in another namespace, and as the pod that another one took the place of.
    again = [(port, labels) for port in ports.values() for labels in ({"namespace": "other"}, {"instance": "replaced", "pod": "replaced"})]
    prometheus = Prometheus(servers, ports.values(), rules, again=again)
    for name, port in ports.items():
        wait_for(f"the job {name} is ready", lambda port=port: get(f"http://127.0.0.1:{port}/readyz") == "ok\n", 60)
    time.sleep(SCRAPES_SECONDS - 10)
    restart(work, ports["provoked"])
    time.sleep(10)

    exported = check_metrics(get(f"http://127.0.0.1:{ports['healthy']}/metrics"))
    asking = Asking(prometheus)
    for file in DASHBOARDS:
        dashboard = json.load(open(f"{GRAFANA}/{file}.json"))
        check_structure(file, dashboard)
        for name in ports:
            asking.dashboard(file, dashboard, name)
            if file == "overview":
                asking.jobs_apart(file, dashboard, name)
    for name, dashboard in printed.items():
        check_structure(f"weir dashboard {name}", dashboard)
        asking.dashboard(f"weir dashboard {name}", dashboard, name)
    asking.rules()
    for expression in PROVOKED:
        quiet, loud = (prometheus.query(expression.replace("<J>", f'job_name="{name}"')) for name in ports)
        if quiet != [0]:
            fail(f"in health not zero but {quiet}: {expression}")
        if not loud or not loud[0] > 0:
            fail(f"provoked, and still {loud}: {expression}")
    held = prometheus.query('max(rate(weir_node_time_seconds_total{job_name="provoked",node_id="flood",state="backpressured"}[10s]))')
    if not held or held[0] < 0.5:
        fail(f"the source before a slow sink is not held back: {held}")
    print(f"{asking.asked} expressions asked of a real Prometheus; {exported} metrics exported")
    if asking.asked < 300:
        fail("fewer expressions than the dashboards and the rules have")
    for name, process in processes.items():
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        if code != 0:
            fail(f"the job {name} ended with {code}")


def main():
    work = tempfile.mkdtemp(prefix="weir_monitoring_")
    servers = Servers(work)
    try:
        check_sources(work)
        run(servers, work)
    except NotSo as reason:
        fail(str(reason))
    finally:
        servers.end()
        if fail.count:
            for name in ("healthy", "provoked", "prometheus"):
                print(f"--- {name}\n{servers.log(name)}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if fail.count else 0)


if __name__ == "__main__":
    main()
