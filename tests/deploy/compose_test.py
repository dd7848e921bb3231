#!/usr/bin/env python3
"""deploy/compose without a Docker engine: the compose file is read by the specification's own library (unknown keys and broken references fail), every
mounted file exists, Prometheus's configuration and rules pass promtool, Grafana's provisioning points at what is mounted and served. Then the services'
own command lines run as processes on this machine, with the paths and addresses of the containers replaced: Kafka, the topic, weir, Prometheus, which
must see the job running. Not covered: the images, and Grafana itself.

usage: compose_test.py WEIR_BINARY SOURCE_DIRECTORY KAFKA_ADDRESS
Without the program of `./dev monitoring tools`, or without prometheus, it says that it tested nothing.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "monitoring"))
from real_servers import NotSo, Servers, free_port, get, wait_for  # noqa: E402

WEIR, SOURCE, KAFKA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
SKIPPED = 77
COMPOSE = SOURCE / "deploy" / "compose"


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)


def read(file):
    done = run(READER, file)
    if done.returncode != 0:
        raise NotSo(f"{file}: {done.stderr}")
    return json.loads(done.stdout)["services"]


def check_reader(work):
    """A reader that refuses nothing would prove nothing."""
    text = (COMPOSE / "compose.yaml").read_text()
    for what, spoilt in {"an unknown key": text.replace("mem_limit:", "mem_limt:"), "a service that is not there": text.replace("topics: {", "topic: {"),
                         "a wrong type": text.replace("read_only: true", "read_only: [1]")}.items():
        assert spoilt != text
        file = work / "spoilt.yaml"
        file.write_text(spoilt)
        if run(READER, file).returncode == 0:
            raise NotSo(f"the reader takes a compose file with {what}")


def bound(service):
    """{path in the container: path here} of the mounted files."""
    return {volume["target"]: pathlib.Path(volume["source"]) for volume in service["volumes"] if volume["type"] == "bind"}


def check_grafana(services):
    files = bound(services["grafana"])
    provider = files["/etc/grafana/provisioning/dashboards"] / "weir.yaml"
    path = re.search(r"path: ([^ }]+)", provider.read_text())[1]
    dashboards = [here for there, here in files.items() if there.startswith(path + "/")]
    titles = {json.loads(here.read_text())["title"] for here in dashboards}
    if titles != {json.loads(file.read_text())["title"] for file in (SOURCE / "deploy" / "grafana").glob("*.json") if file.name != "job_template.json"}:
        raise NotSo(f"the dashboards below {path} are {titles}")
    source = (files["/etc/grafana/provisioning/datasources"] / "prometheus.yaml").read_text()
    host, port = re.search(r'url: "http://([a-z]+):([0-9]+)"', source).groups()
    if host not in services or str(services[host]["ports"][0]["target"]) != port:
        raise NotSo(f"Grafana asks {host}:{port}, which no service listens on")
    if services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] not in files:
        raise NotSo("Grafana's home dashboard is not mounted")


def check_prometheus(services, work, scraped):
    """Its configuration with the paths and the target of this machine; answers the file."""
    files = bound(services["prometheus"])
    text = files["/etc/prometheus/prometheus.yml"].read_text()
    host, port = re.search(r'targets: \["([a-z]+):([0-9]+)"\]', text).groups()
    command = services[host]["command"]
    if command[command.index("--health-listen") + 1] != f"0.0.0.0:{port}":
        raise NotSo(f"Prometheus scrapes {host}:{port}, where it does not listen: {command}")
    rules = [here for there, here in files.items() if there.startswith("/etc/prometheus/rules/")]
    file = work / "prometheus.yml"
    file.write_text(text.replace("/etc/prometheus/rules/*.yml", str(rules[0])).replace(f"{host}:{port}", f"127.0.0.1:{scraped}").replace("5s", "1s"))
    done = run("promtool", "check", "config", file)
    if len(rules) != 1 or done.returncode != 0:
        raise NotSo(f"promtool check config: {rules} {done.stdout}{done.stderr}")
    return file


def run_services(services, work, servers):
    port, prometheus_port = free_port(), free_port()
    # The topic, by the command of its service.
    topics = services["topics"]["command"]
    if topics[0] != "/opt/kafka/bin/kafka-topics.sh":
        raise NotSo(f"the service topics runs {topics[0]}")
    done = run(SOURCE / "deploy" / "kafka" / "kafka.sh", "tool", "topics", *[word.replace("kafka:9092", KAFKA) for word in topics[1:]])
    if done.returncode != 0:
        raise NotSo(f"the topic cannot be made: {done.stdout}{done.stderr}")
    # weir, by the command and environment of its service.
    weir = services["weir"]
    places = {"/etc/weir/job.weir.json": str(bound(weir)["/etc/weir/job.weir.json"]), "/var/lib/weir": str(work / "state"), "0.0.0.0:8081": f"127.0.0.1:{port}"}
    command = weir["command"]
    for there, here in places.items():
        command = [word.replace(there, here) for word in command]
    environment = {name: value.replace("kafka:9092", KAFKA) for name, value in weir["environment"].items()}
    environment["PATH"] = os.environ["PATH"]
    # A topic that was just made is not yet known to every question; under Docker the restart policy covers that.
    wait_for("the topic is there", lambda: run(WEIR, "validate", command[1], env=environment).returncode == 0, 30)
    process = servers.start("weir", WEIR, *command, cwd=work, env=environment)
    wait_for("the job is ready", lambda: get(f"http://127.0.0.1:{port}/readyz") == "ok\n", 60)
    # Prometheus, by its command.
    config = check_prometheus(services, work, port)
    command = [word.replace("/etc/prometheus/prometheus.yml", str(config)).replace("=/prometheus", f"={work}/tsdb") for word in services["prometheus"]["command"]]
    servers.start("prometheus", "prometheus", *command, f"--web.listen-address=127.0.0.1:{prometheus_port}")

    def sees(expression):
        answer = json.loads(get(f"http://127.0.0.1:{prometheus_port}/api/v1/query?query={expression}"))
        return bool(answer["data"]["result"])

    wait_for("Prometheus sees the job running", lambda: sees("weir_job_state%7Bjob_name=%22page_views%22,state=%22running%22%7D==1"), 60)
    wait_for("Prometheus sees results", lambda: sees("weir_sink_records_total%7Bnode_id=%22page_views%22,outcome=%22committed%22%7D%3E0"), 90)
    process.send_signal(signal.SIGTERM)
    if process.wait(90) != 0:
        raise NotSo(f"weir ended with {process.returncode}")


def main():
    missing = [what for what, there in {"promtool": shutil.which("promtool"), READER: os.access(READER, os.X_OK)}.items() if not there]
    if missing:
        print(f"compose_test ... skipped 'SKIPPED: no {', '.join(missing)}: run ./dev monitoring tools'")
        sys.exit(SKIPPED)
    work = pathlib.Path(tempfile.mkdtemp(prefix="weir-compose-"))
    servers, failed = Servers(work), True
    try:
        check_reader(work)
        services = read(COMPOSE / "compose.yaml")
        for name, service in services.items():
            for there, here in (bound(service) if service.get("volumes") else {}).items():
                if not here.exists():
                    raise NotSo(f"service {name}: {here} for {there} does not exist")
        check_grafana(services)
        run_services(services, work, servers)
        failed = False
        print(f"{len(services)} services read; Kafka, weir and Prometheus run by their commands")
    except NotSo as reason:
        print(f"FAIL: {reason}\n{servers.log('weir')}\n{servers.log('prometheus')}")
    finally:
        servers.end()
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failed else 0)


READER = run(SOURCE / "deploy" / "third_party" / "go_program.sh", "deploy/compose/reader", "--prefix").stdout.strip()
main()
