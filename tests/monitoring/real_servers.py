"""Processes that the monitoring tests share: weir itself, a real Prometheus, a real Alertmanager. Standard library only."""
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

os.environ.setdefault("no_proxy", "127.0.0.1,localhost")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


class NotSo(Exception):
    pass


def wait_for(what, body, seconds):
    """The first true answer of `body`; errors of the network are no answer yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answer = body()
            if answer:
                return answer
        except OSError:
            pass
        time.sleep(0.2)
    raise NotSo(f"not so within {seconds} s: {what}")


class Servers:
    """Starts processes with their output in files of one directory, and ends all of them."""

    def __init__(self, directory):
        self.directory, self.processes = directory, []

    def start(self, name, *command, **more):
        log = open(f"{self.directory}/{name}.log", "a", encoding="utf-8")
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, **more)
        self.processes.append(process)
        return process

    def log(self, name, most=4000):
        try:
            return open(f"{self.directory}/{name}.log", encoding="utf-8", errors="replace").read()[-most:]
        except FileNotFoundError:
            return ""

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Prometheus:
    """Scrapes the ports once a second and evaluates the rules as often. `again`: (port, labels) of targets that are scraped once more with those labels."""

    def __init__(self, servers, ports, rules, alertmanager_port=None, again=()):
        self.port = free_port()
        directory = servers.directory
        alerting = f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager_port}']}}]}}]}}\n" if alertmanager_port else ""
        groups = [{"targets": [f"127.0.0.1:{port}" for port in ports]}, *({"targets": [f"127.0.0.1:{port}"], "labels": labels} for port, labels in again)]
        with open(f"{directory}/prometheus.yml", "w", encoding="utf-8") as file:
            file.write(f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{rules}']\n{alerting}"
                       f"scrape_configs: [{{job_name: weir, static_configs: {json.dumps(groups)}}}]\n")
        self.process = servers.start("prometheus", "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
                                     f"--web.listen-address=127.0.0.1:{self.port}")
        wait_for("Prometheus is ready", lambda: "Ready" in get(f"http://127.0.0.1:{self.port}/-/ready"), 30)

    def series(self, expression):
        """All series, as (labels, value); None if Prometheus refuses the expression."""
        try:
            answer = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), 20))
        except urllib.error.HTTPError:
            return None
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    def query(self, expression):
        """Their values."""
        found = self.series(expression)
        return None if found is None else [value for _, value in found]

    def rules(self):
        return [rule for group in json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/rules"))["data"]["groups"] for rule in group["rules"]]
