#!/usr/bin/env python3
"""Injects faults into running jobs and waits for the right alerts at the end of the whole way: weir, Prometheus, Alertmanager, a webhook.

    looping     its output directory answers with an error        WeirJobRestartLoop
    cut_off     its Kafka broker is killed                        WeirJobRestartLoop, once checkpoints have failed too often
    stuck       the same, with a long checkpoint.timeout          WeirSinkStuck
    homeless    its storage answers with an error                 WeirCheckpointsFailing, WeirCheckpointStale
    dirty       records that cannot be decoded                    WeirRecordErrors
    killed      kill -9                                           WeirTargetDown
    waiting     its broker was never there                        WeirJobNotRunning
    healthy     nothing                                           none, from beginning to end

The rules are those that `weir dashboard --rules` prints for each job, all in one Prometheus: each alert comes from the rules of its own job, and from no
other. Times in them are divided by TIMES_FASTER, expressions and labels are as they are shipped. Before the faults no alert may come; what is mended must
be reported as resolved.

usage: alerts_test.py WEIR_BINARY SOURCE_DIRECTORY
Without the Debian packages prometheus and prometheus-alertmanager it says that it tested nothing.
"""
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from real_servers import NotSo, Prometheus, Servers, free_port, get, wait_for

WEIR, SOURCE = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
SKIPPED = 77
TIMES_FASTER = 10  # more, and a scrape or two that a busy machine misses would be an alert
QUIET_SECONDS, FIRING_SECONDS, RESOLVED_SECONDS = 15, 240, 180
EXPECTED = {
    "looping": {"WeirJobRestartLoop"},
    "cut_off": {"WeirJobRestartLoop"},
    "stuck": {"WeirSinkStuck"},
    "homeless": {"WeirCheckpointsFailing", "WeirCheckpointStale"},
    "dirty": {"WeirRecordErrors"},
    "killed": {"WeirTargetDown"},
    "waiting": {"WeirJobNotRunning"},
    "healthy": set(),
}
MENDED = {"looping": "WeirJobRestartLoop", "homeless": "WeirCheckpointsFailing", "dirty": "WeirRecordErrors", "killed": "WeirTargetDown"}
PLAIN = {"security": {"protocol": "plaintext"}}


def lines_job(name):
    """Follows a file, drops what it cannot read and writes the rest."""
    return {"weir": 1, "name": name, "execution": {"parallelism": 1, "checkpoint": {"interval": "1s"},
                                                   "restart": {"strategy": "exponential", "initial_delay": "200ms", "max_delay": "1s"}},
            "nodes": {"lines": {"type": "file_source", "path": f"{name}.ndjson", "follow": True, "format": {"type": "json"},
                                "on_error": "drop", "error_threshold": {"ratio": 1.0}, "schema": {"id": "int64"}},
                      "out": {"type": "file_sink", "inputs": ["lines"], "path": f"{name}_disk/out", "format": {"type": "json"}}}}


def numbers_job(name, sink=None, connections=None, **checkpoint):
    return {"weir": 1, "name": name, "connections": connections or {},
            "execution": {"parallelism": 1, "checkpoint": {"interval": "1s", **checkpoint},
                          "restart": {"strategy": "exponential", "initial_delay": "200ms", "max_delay": "1s"}},
            "nodes": {"numbers": {"type": "generator_source", "rate": "200/s", "schema": {"id": "int64"}, "fields": {"id": "_offset"}},
                      "out": {"inputs": ["numbers"], **(sink or {"type": "file_sink", "path": f"{name}_disk/out", "format": {"type": "json"}})}}}


class Webhook:
    """Takes what Alertmanager sends; (status, alert, job) of each in order."""

    def __init__(self):
        self.came = []
        came = self.came

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    came.append((alert["status"], alert["labels"]["alertname"], alert["labels"].get("job_name", ""), alert["annotations"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def firing(self, job):
        return {alert for status, alert, of, _ in self.came if status == "firing" and of == job}

    def resolved(self, job, alert):
        return any(entry[:3] == ("resolved", alert, job) for entry in self.came)


def faster(rules):
    """The same rules on a clock that runs TIMES_FASTER as fast."""
    seconds = {"m": 60, "h": 3600, "d": 86400}

    def shorter(match):
        return f"{match[1]}{max(1, int(match[2]) * seconds[match[3]] // TIMES_FASTER)}s"

    return re.sub(r"(\[|for: )(\d+)([mhd])", shorter, rules).replace("> 600 ", f"> {600 // TIMES_FASTER} ")


class Test:
    def __init__(self, work):
        self.work, self.servers, self.ports, self.processes = pathlib.Path(work), Servers(work), {}, {}
        self.kafka = self.work / "kafka"
        self.webhook = Webhook()

    def kafka_script(self, verb, *arguments):
        with open(self.work / "kafka.log", "a") as log:
            subprocess.run([SOURCE / "deploy" / "kafka" / "kafka.sh", verb, "--dir", self.kafka, *arguments], check=True, stdout=log, stderr=log)

    def start(self, name):
        self.processes[name] = self.servers.start(name, WEIR, "run", f"{name}.weir.json", "--storage", f"file://{self.work}/{name}_{'disk' if name == 'homeless' else 'storage'}/storage", "--state-dir",
                                                  f"{self.work}/{name}_state", "--connect-timeout", "5m", "--cancel-timeout", "5s", "--http-listen",
                                                  f"127.0.0.1:{self.ports[name]}", cwd=self.work)

    def start_jobs(self):
        self.kafka_script("up", "--port", "0")
        brokers = {"main": {"type": "kafka", "brokers": (self.kafka / "bootstrap").read_text().strip(), **PLAIN}}
        nobody = {"main": {"type": "kafka", "brokers": f"127.0.0.1:{free_port()}", **PLAIN}}
        kafka_sink = {"type": "kafka_sink", "connection": "main", "topic": "numbers", "create": {"partitions": 1}, "format": {"type": "json"}}
        jobs = {"looping": numbers_job("looping"), "dirty": lines_job("dirty"),
                "cut_off": numbers_job("cut_off", kafka_sink, connections=brokers, timeout="2s"),
                "stuck": numbers_job("stuck", {**kafka_sink, "topic": "stuck"}, connections=brokers, timeout="1h"),
                "waiting": numbers_job("waiting", kafka_sink, connections=nobody),
                "homeless": numbers_job("homeless", {"type": "blackhole_sink"}, tolerable_failures=1000), "killed": numbers_job("killed"), "healthy": numbers_job("healthy")}
        assert set(jobs) == set(EXPECTED)
        for name, job in jobs.items():
            (self.work / f"{name}.weir.json").write_text(json.dumps(job))
            (self.work / f"{name}.ndjson").write_text('{"id": 1}\n')
            rules = subprocess.run([WEIR, "dashboard", "--rules", f"{name}.weir.json"], cwd=self.work, check=True, capture_output=True, text=True).stdout
            (self.work / f"rules_{name}.yml").write_text(faster(rules))
            self.ports[name] = free_port()
            if name != "waiting":  # a fault from its first moment on
                self.start(name)

    def start_servers(self):
        port = free_port()
        (self.work / "alertmanager.yml").write_text(
            "route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
            f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{self.webhook.port}/', send_resolved: true}}]}}]\n")
        self.servers.start("alertmanager", "prometheus-alertmanager", f"--config.file={self.work}/alertmanager.yml", f"--storage.path={self.work}/alerts",
                           f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=")
        wait_for("Alertmanager is ready", lambda: get(f"http://127.0.0.1:{port}/-/ready"), 30)
        self.prometheus = Prometheus(self.servers, self.ports.values(), f"{self.work}/rules_*.yml", port)

    def quiet(self):
        for name in EXPECTED:
            if name != "waiting":
                wait_for(f"the job {name} is ready", lambda name=name: get(f"http://127.0.0.1:{self.ports[name]}/readyz") == "ok\n", 60)
        time.sleep(QUIET_SECONDS)
        came = [entry[:3] for entry in self.webhook.came if entry[2] != "waiting"]
        if came:
            raise NotSo(f"nothing is wrong yet, and alerts came: {came}")

    def break_directory(self, name):
        """Every look below it is an error of the system from now on: a link to itself."""
        (self.work / name).rename(self.work / f"{name}.away")
        (self.work / name).symlink_to(name)

    def mend_directory(self, name):
        (self.work / name).unlink()
        (self.work / f"{name}.away").rename(self.work / name)

    def faults(self):
        self.start("waiting")
        self.break_directory("looping_disk")
        self.break_directory("homeless_disk")
        os.kill(int((self.kafka / "kafka.pid").read_text()), signal.SIGKILL)
        self.processes["killed"].kill()
        end = time.monotonic() + FIRING_SECONDS
        while any(not wanted <= self.webhook.firing(name) for name, wanted in EXPECTED.items()):
            with open(self.work / "dirty.ndjson", "a") as file:
                file.write("no json\n")
            if time.monotonic() > end:
                missing = {name: sorted(wanted - self.webhook.firing(name)) for name, wanted in EXPECTED.items() if wanted - self.webhook.firing(name)}
                raise NotSo(f"alerts that did not come within {FIRING_SECONDS} s: {missing}; those that came: {[entry[:3] for entry in self.webhook.came]}")
            time.sleep(0.5)

    def mend(self):
        self.mend_directory("looping_disk")
        self.mend_directory("homeless_disk")
        self.start("killed")
        wait_for(f"these are resolved: {MENDED}", lambda: all(self.webhook.resolved(name, alert) for name, alert in MENDED.items()), RESOLVED_SECONDS)

    def judge(self):
        if self.webhook.firing("healthy"):
            raise NotSo(f"nothing happened to the healthy job, and alerts came: {self.webhook.firing('healthy')}")
        for _, alert, job, annotations in self.webhook.came:
            if job not in EXPECTED:
                raise NotSo(f"{alert} names no job: '{job}'")
            if annotations.get("runbook") != f"docs/dashboards_and_alerts.md#{alert.lower()}":
                raise NotSo(f"{alert} does not say where its runbook is: {annotations}")
        owners = {}
        for rule in self.prometheus.rules():
            for alert in rule.get("alerts", []):
                labels = json.dumps({**alert["labels"], "alertname": rule["name"]}, sort_keys=True)
                owners.setdefault(labels, []).append(rule["query"])
        doubled = {labels: queries for labels, queries in owners.items() if len(queries) > 1}
        if doubled:
            raise NotSo(f"alerts that come from the rules of several jobs: {doubled}")

    def run(self):
        self.start_jobs()
        self.start_servers()
        self.quiet()
        begin = time.monotonic()
        self.faults()
        fired = time.monotonic()
        self.mend()
        self.judge()
        alerts = sorted({(job, alert) for status, alert, job, _ in self.webhook.came if status == "firing"})
        print(f"all alerts {fired - begin:.0f} s after the faults, {TIMES_FASTER} times as fast as shipped; what came: {alerts}")


def main():
    missing = [program for program in ("prometheus", "prometheus-alertmanager", "java") if not shutil.which(program)]
    if missing:
        print(f"alerts_test ... skipped 'SKIPPED: no {', '.join(missing)}: ./dev monitoring installs the Debian packages'")
        sys.exit(SKIPPED)
    work = tempfile.mkdtemp(prefix="weir-alerts-")
    test, failed = Test(work), True
    try:
        test.run()
        failed = False
    except NotSo as reason:
        print(f"FAIL: {reason}")
        for name in (*EXPECTED, "prometheus", "alertmanager"):
            print(f"--- {name}\n{test.servers.log(name, 2500)}")
    finally:
        test.servers.end()
        test.kafka_script("down", "--purge")
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
