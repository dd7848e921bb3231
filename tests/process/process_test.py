#!/usr/bin/env python3
"""The life of `weir run` as a process: exit codes and messages for bad input, faults and signals.

Usage: process_test.py WEIR KAFKA_DIRECTORY [CASE...]

Real processes, a real Kafka (the suite's broker, started with its secure listeners), a real disk that
is full. Each case checks the documented exit code, that the message says what and where, and that
nothing is lost: input = output + what was counted. Standard library only; Linux.
"""

import http.server
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

WEIR = pathlib.Path(sys.argv[1]).resolve()
KAFKA = pathlib.Path(sys.argv[2])
ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_MAX = 60
OK, PROBLEMS, USAGE, ENVIRONMENT, FAILED, STATE, FAIL_CLOSED = 0, 1, 2, 4, 6, 7, 8


def broker():
    return (KAFKA / "bootstrap").read_text().strip()


def port_of_broker(offset):
    return int(broker().rsplit(":", 1)[1]) + offset


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kafka_tool(*arguments, text=None):
    subprocess.run([ROOT / "deploy" / "kafka" / "kafka.sh", "tool", *arguments, "--bootstrap-server", broker()],
                   check=True, input=text, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Process:
    """One `weir` process with its output in a file."""

    def __init__(self, directory, arguments, env=None):
        self.log = directory / f"log-{len(list(directory.glob('log-*')))}"
        self.out = open(self.log, "wb")
        self.process = subprocess.Popen([WEIR, *map(str, arguments)], cwd=directory, stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, NO_COLOR="1", **(env or {})))

    def output(self):
        return self.log.read_text(errors="replace")

    def end(self, seconds=SECONDS_MAX):
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {seconds} s:\n{self.output()[-3000:]}") from None
        self.out.close()
        return code

    def wait_for(self, text, seconds=SECONDS_MAX):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text in self.output():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"never said '{text}':\n{self.output()[-3000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.out.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-process-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.started = []

    def tearDown(self):
        for process in self.started:
            if process.process.poll() is None:
                process.kill()

    def start(self, *arguments, env=None):
        process = Process(self.directory, arguments, env)
        self.started.append(process)
        return process

    def run_job(self, job, *arguments, env=None):
        path = job if isinstance(job, pathlib.Path) else self.write(job)
        patience = () if "--connect-timeout" in arguments else ("--connect-timeout", "2s")
        return self.start("run", path, "--storage", f"file://{self.directory}/storage", "--state-dir", self.directory / "state",
                          *patience, *arguments, env=env)

    def write(self, job, name="job.weir.json"):
        path = self.directory / name
        path.write_text(json.dumps(job, indent=1))
        return path

    def expect(self, process, code, *parts, seconds=SECONDS_MAX):
        found = process.end(seconds)
        output = process.output()
        self.assertEqual(found, code, f"exit code\n{output[-3000:]}")
        for part in parts:
            self.assertIn(part, output)
        self.assertNotIn("terminate called", output)
        return output

    def rows(self, name="out"):
        """All lines of the finished files below `name`, parsed."""
        lines = []
        for path in sorted((self.directory / name).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines


def numbers_job(rows, rate=None, **more):
    """`rows` numbers into files, each once."""
    source = {"type": "generator_source", "rate": f"{rate or 1000000}/s", "rows": rows, "schema": {"id": "int64"},
              "fields": {"id": "_offset"}}
    job = {"weir": 1, "name": "numbers", "execution": {"parallelism": 1, "checkpoint": {"interval": "200ms"}},
           "nodes": {"numbers": source,
                     "out": {"type": "file_sink", "inputs": ["numbers"], "path": "out", "format": {"type": "json"}}}}
    job["execution"].update(more)
    return job


def kafka_job(connection, topic="nothing", sink=None):
    return {"weir": 1, "name": "reader", "connections": {"main": {"type": "kafka", **connection}},
            "nodes": {"lines": {"type": "kafka_source", "connection": "main", "topics": [topic], "start_from": "earliest",
                                "stop_at": "latest", "format": {"type": "json"}, "schema": {"id": "int64"}},
                      "out": sink or {"type": "blackhole_sink", "inputs": ["lines"]}}}


PLAIN = {"security": {"protocol": "plaintext"}}


class BrokenJobFiles(Case):
    def check(self, name, content, code, *parts):
        path = self.directory / name
        path.write_bytes(content)
        for verb in (("validate", path), ("run", path, "--storage", f"file://{self.directory}/storage")):
            self.expect(self.start(*verb), code, *parts)

    def test_a_file_that_is_not_there(self):
        self.expect(self.run_job(self.directory / "absent.weir.json"), ENVIRONMENT, "absent.weir.json")

    def test_a_directory(self):
        self.expect(self.run_job(self.directory), ENVIRONMENT, str(self.directory))

    def test_no_json(self):
        self.check("a.weir.json", b"{ not json", PROBLEMS, "W01", "a.weir.json:1:")

    def test_invalid_utf8(self):
        self.check("a.weir.json", b'{"weir": 1, "name": "\xff\xfe"}', PROBLEMS, "W01", "a.weir.json:1:")

    def test_ten_thousand_brackets(self):
        self.check("a.weir.json", b'{"weir": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", PROBLEMS, "W01")

    def test_a_string_of_ten_megabytes(self):
        self.check("a.weir.json", b'{"weir": 1, "name": "' + b"x" * 10_000_000 + b'"}', PROBLEMS, "W01")

    def test_an_unknown_type_gets_a_suggestion(self):
        job = numbers_job(1)
        job["nodes"]["out"]["type"] = "file_sunk"
        self.check("a.weir.json", json.dumps(job).encode(), PROBLEMS, "file_sunk", "file_sink")

    def test_unknown_flag_is_usage(self):
        self.expect(self.start("run", "a.weir.json", "--no-such-flag"), USAGE, "--no-such-flag")


class Environment(Case):
    def test_a_broker_that_is_not_there(self):
        address = f"127.0.0.1:{closed_port()}"
        self.expect(self.run_job(kafka_job({"brokers": address, **PLAIN})), ENVIRONMENT, address)

    def test_a_topic_that_is_not_there(self):
        self.expect(self.run_job(kafka_job({"brokers": broker(), **PLAIN}, "no-such-topic-here")), ENVIRONMENT,
                    "no-such-topic-here")

    def test_a_wrong_password_is_named_and_not_shown(self):
        connection = {"brokers": f"127.0.0.1:{port_of_broker(4)}",
                      "security": {"protocol": "sasl_plaintext", "mechanism": "SCRAM-SHA-256", "username": "alice",
                                   "password": "${secret:kafka}"}}
        (self.directory / "secrets").mkdir()
        (self.directory / "secrets" / "kafka").write_text("wr0ng-and-secret")
        output = self.expect(self.run_job(kafka_job(connection), "--secrets-dir", self.directory / "secrets"), ENVIRONMENT)
        self.assertRegex(output.lower(), "authentica|login|sasl")
        self.assertNotIn("wr0ng-and-secret", output)

    def test_storage_that_cannot_be_written(self):
        (self.directory / "storage").write_text("a file where the storage should be")
        self.expect(self.run_job(numbers_job(10)), ENVIRONMENT, "storage")
        self.assertEqual(self.rows(), [])

    def test_an_output_directory_that_cannot_be_made(self):
        (self.directory / "out").write_text("a file where the directory should be")
        process = self.run_job(numbers_job(10))
        self.expect(process, ENVIRONMENT, "'out' cannot be written")


class Http(Case):
    def ask(self, port, path):
        """Status and body; None while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except urllib.error.URLError:
            return None, ""

    def until(self, what, process, seconds=SECONDS_MAX):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            self.assertIsNone(process.process.poll(), process.output()[-3000:])
            time.sleep(0.05)
        raise AssertionError(f"not so within {seconds} s:\n{process.output()[-3000:]}")

    def listening(self, job, *arguments):
        port = closed_port()
        process = self.run_job(job, "--http-listen", f"127.0.0.1:{port}", *arguments)
        self.until(lambda: self.ask(port, "/healthz")[0] == 200, process)
        return port, process

    def series(self, port):
        """/metrics as {(name, frozenset of label pairs): value}."""
        status, page = self.ask(port, "/metrics")
        self.assertEqual(status, 200)
        found = {}
        for line in page.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line).groups()
            found[name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels or ""))] = float(value)
        return found

    def value(self, series, name, **labels):
        """The sum of the series of that name with these labels; None without one."""
        values = [value for (found, pairs), value in series.items() if found == name and set(labels.items()) <= pairs]
        return sum(values) if values else None

    def stop(self, process, code=OK):
        process.process.send_signal(signal.SIGTERM)
        return self.expect(process, code)

    def test_the_address_for_probes_has_no_api(self):
        probes, api = closed_port(), closed_port()
        process = self.run_job(numbers_job(100_000, rate=1000), "--health-listen", f"127.0.0.1:{probes}", "--http-listen",
                               f"127.0.0.1:{api}")
        process.wait_for("job running")
        self.assertEqual([self.ask(probes, path)[0] for path in ("/metrics", "/healthz", "/api/v1/jobs", "/api/v1/version")],
                         [200, 200, 404, 404])
        self.assertEqual(self.ask(api, "/api/v1/jobs")[0], 200)
        self.stop(process)

    def test_it_answers_while_it_waits_for_a_broker_and_says_so(self):
        address = f"127.0.0.1:{closed_port()}"
        port, process = self.listening(kafka_job({"brokers": address, **PLAIN}), "--connect-timeout", "60s")
        self.until(lambda: address in self.ask(port, "/readyz")[1], process)
        self.assertEqual(self.ask(port, "/healthz"), (200, "ok\n"))
        status, reason = self.ask(port, "/readyz")
        self.assertEqual(status, 503)
        self.assertIn("the job has not started: node 'lines'", reason)
        series = self.series(port)
        self.assertEqual(self.value(series, "weir_job_state", job_name="reader", state="created"), 1)
        self.assertEqual(self.value(series, "weir_job_state", job_name="reader", state="running"), 0)
        self.assertEqual(self.value(series, "weir_node_info", node_id="lines", type="kafka_source"), 1)
        self.assertIn(f"waiting for the environment: node 'lines': no answer from {address}", process.output())
        self.assertIn("stopped before the job has started", self.stop(process))

    def test_memory_is_accounted_for_by_kind(self):
        topic, limit = f"accounts-{os.getpid()}", 512 << 20
        job = numbers_job(10)
        job["connections"] = {"main": {"type": "kafka", "brokers": broker(), **PLAIN}}
        job["nodes"]["out"] = {"type": "kafka_sink", "inputs": ["numbers"], "connection": "main", "topic": topic,
                               "create": {"partitions": 2}, "format": {"type": "json"}}
        self.expect(self.run_job(self.write(job)), OK)
        job = {"weir": 1, "name": "accounts", "connections": job["connections"],
               "execution": {"parallelism": 2}, "nodes": {
                   "made": {"type": "generator_source", "rate": "1000000/s", "schema": {"id": "int64"}, "fields": {"id": "_offset"}},
                   "written": {"type": "kafka_sink", "inputs": ["made"], "connection": "main", "topic": topic, "format": {"type": "json"}},
                   "read": {"type": "kafka_source", "connection": "main", "topics": [topic], "format": {"type": "json"},
                            "schema": {"id": "int64"}, "event_time": {"field": "from_epoch(id, 'ms')", "max_delay": "0s"}},
                   "counted": {"type": "aggregate", "inputs": ["read"], "key_by": ["id % 1000 AS k"],
                               "window": {"type": "tumbling", "size": "1m"}, "aggregates": {"n": "count(*)"}},
                   "out": {"type": "blackhole_sink", "inputs": ["counted"]}}}
        plan = self.expect(self.start("plan", self.write(job), "--memory-limit", "512MiB"), OK, "written, 2 tasks x", "read, 2 tasks x")
        split = {name: int(size) for name, size in re.findall(r"(?m)^  (\w+) +(\d+) MiB  ", plan)}
        port, process = self.listening(job, "--memory-limit", "512MiB")
        kinds = ("batches", "queues", "hot_state", "rocksdb", "kafka_client")
        most = dict.fromkeys(kinds, 0)

        def seen():
            series = self.series(port)
            now = {kind: self.value(series, "weir_memory_accounted_bytes", kind=kind) for kind in (*kinds, "other")}
            self.assertLess(sum(now.values()), limit / 5 * 4, now)
            for kind in kinds:
                most[kind] = max(most[kind], now[kind])
            return all(most.values())

        self.until(seen, process)
        # A partition's queue of 1.5 MiB and the fetch of a third of it that may come on top, in each of two tasks.
        self.assertGreaterEqual(most["kafka_client"], 4 << 20)
        self.assertEqual(split["kafka_client"], 409 // 8)  # of what both together would take, there is less
        self.assertEqual(int(most["rocksdb"]) >> 20, split["rocksdb"])
        self.stop(process)

    def test_the_page_of_metrics_tells_what_the_job_did(self):
        rows = 3000
        (self.directory / "in.ndjson").write_text("".join(
            f'{{"k": {i % 7}, "v": {i % 20}, "ts": "2026-01-01T00:{i // 60 % 60:02d}:{i % 60:02d}Z"}}\n' for i in range(rows)) + "no json\n" * 5)
        job = {"weir": 1, "name": "seen", "execution": {"parallelism": 1, "checkpoint": {"interval": "200ms"}}, "nodes": {
            "in": {"type": "file_source", "path": "in.ndjson", "follow": True, "format": {"type": "json"}, "on_error": "drop",
                   "error_threshold": {"ratio": 1.0},
                   "schema": {"k": "int64", "v": "int64", "ts": "timestamp"}, "event_time": {"field": "ts", "max_delay": "0s"}},
            "few": {"type": "filter", "inputs": ["in"], "where": "v < 5"},
            "counts": {"type": "aggregate", "inputs": ["few"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1m"},
                       "aggregates": {"n": "count(*)"}},
            "out": {"type": "file_sink", "inputs": ["counts"], "path": "out", "format": {"type": "json"}}}}
        port, process = self.listening(job)
        self.until(lambda: self.ask(port, "/readyz")[0] == 200, process)
        results = 7 * (rows // 60 - 1)  # each key in each minute but the last one
        series = self.until(lambda: (found := self.series(port)) and
                            self.value(found, "weir_sink_records_total", outcome="committed") == results and found, process)
        self.assertEqual(self.value(series, "weir_sink_wal_bytes", node_id="out"), 0)
        self.assertEqual(self.value(series, "weir_node_records_in_total", node_id="in"), rows + 5)
        self.assertEqual(self.value(series, "weir_node_errors_total", node_id="in", kind="decode"), 5)
        self.assertEqual(self.value(series, "weir_node_outcomes_total", node_id="in", outcome="error_dropped"), 5)
        self.assertEqual(self.value(series, "weir_node_records_out_total", node_id="few"), rows / 4)
        self.assertEqual(self.value(series, "weir_node_outcomes_total", node_id="few", outcome="filtered"), rows * 3 / 4)
        self.assertEqual(self.value(series, "weir_node_late_records_total", node_id="counts"), 0)
        self.assertEqual(self.value(series, "weir_records_unaccounted"), 0)
        self.assertEqual(self.value(series, "weir_node_anomalies_total", node_id="in", kind="file_truncated"), 0)
        self.assertGreater(self.value(series, "weir_node_windows_fired_total", node_id="counts"), 0)
        self.assertGreater(self.value(series, "weir_state_rows", node_id="counts"), 0)
        self.assertEqual(self.value(series, "weir_state_evictions_total", node_id="counts"), 0)
        self.assertGreater(self.value(series, "weir_checkpoints_total", outcome="completed"), 0)
        self.assertEqual(self.value(series, "weir_checkpoints_total", outcome="failed"), 0)
        self.assertGreater(self.value(series, "weir_checkpoint_snapshot_seconds_count", node_id="counts", phase="sync"), 0)
        self.assertEqual(self.value(series, "weir_job_restarts_total"), 0)
        self.assertEqual({state for (name, pairs), value in series.items() if name == "weir_job_state" and value
                          for label, state in pairs if label == "state"}, {"running"})
        self.stop(process)

    def test_many_tasks_of_a_node_are_one_series(self):
        keys = 500
        job = {"weir": 1, "name": "wide", "execution": {"parallelism": 65, "checkpoint": {"interval": "200ms"}}, "nodes": {
            "numbers": {"type": "generator_source", "rate": "20000/s", "schema": {"k": "int64", "at": "timestamp"},
                        "fields": {"k": f"_offset % {keys}", "at": "_processing_time"}, "event_time": {"field": "at", "max_delay": "0s"}},
            "counts": {"type": "aggregate", "inputs": ["numbers"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1h"},
                       "aggregates": {"n": "count(*)"}},
            "out": {"type": "blackhole_sink", "inputs": ["counts"]}}}
        port, process = self.listening(job, "--memory-limit", "1GiB")
        self.until(lambda: (self.value(self.series(port), "weir_state_rows", node_id="counts", task="all") or 0) >= keys, process)
        series = self.series(port)
        self.assertEqual({dict(pairs)["task"] for name, pairs in series if name == "weir_state_rows"}, {"all"})
        self.assertGreater(self.value(series, "weir_state_size_bytes", node_id="counts", task="all"), 0)
        self.stop(process)

    def test_a_failure_for_good_can_still_be_asked_for(self):
        job = numbers_job(100_000, rate=500, restart={"strategy": "none"})
        job["nodes"]["out"]["path"] = "disk/out"
        port = closed_port()
        process = self.run_job(job, "--health-listen", f"127.0.0.1:{port}")
        process.wait_for("checkpoint completed")
        disk = self.directory / "disk"
        disk.rename(self.directory / "away")
        disk.symlink_to("disk")
        process.wait_for("staying 30 s")
        self.assertEqual(self.value(self.series(port), "weir_job_state", state="failed"), 1)
        status, text = self.ask(port, "/readyz")
        self.assertEqual(status, 503)
        # The failed write, or the removal of a file that went with the folder: whichever the sink meets first.
        self.assertRegex(text, "^the job is failed: (gave up after 1 failures: )?node 'out': ")
        process.process.send_signal(signal.SIGTERM)
        self.expect(process, FAILED)

    def test_a_restart_is_counted_and_named(self):
        rows = 6000
        job = numbers_job(rows, rate=500, restart={"strategy": "fixed_delay", "attempts": 1000, "delay": "500ms"})
        job["nodes"]["out"]["path"] = "disk/out"
        port, process = self.listening(job)
        process.wait_for("checkpoint completed")
        disk, away = self.directory / "disk", self.directory / "away"
        disk.rename(away)
        disk.symlink_to("disk")  # every look below it is an error of the system
        self.until(lambda: self.value(self.series(port), "weir_job_restarts_total", reason="task_failed"), process)
        # It has run, and what it waits for is not its own: ready, with the reason.
        status, text = self.until(lambda: (lambda answer: "the job is restarting: node 'out': " in answer[1] and answer)
                                  (self.ask(port, "/readyz")), process)
        self.assertEqual(status, 200, text)
        disk.unlink()
        away.rename(disk)
        self.until(lambda: self.value(self.series(port), "weir_job_state", state="running") == 1, process)
        self.assertEqual(self.ask(port, "/readyz"), (200, "ok\n"))
        self.assertGreaterEqual(self.value(self.series(port), "weir_job_restarts_total", reason="task_failed"), 1)
        self.expect(process, OK)
        self.assertEqual(sorted(row["id"] for row in self.rows("disk/out")), list(range(rows)))


class ConnectTimeout(Case):
    """The whole of a start ends by it, however many nodes ask brokers that do not answer."""

    def test_two_silent_brokers_share_it(self):
        with socket.socket() as deaf:  # takes connections and never answers
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            silent = f"127.0.0.1:{deaf.getsockname()[1]}"
            absent = f"127.0.0.1:{closed_port()}"
            job = kafka_job({"brokers": silent, **PLAIN}, sink={"type": "kafka_sink", "inputs": ["lines"], "connection": "other",
                                                                "topic": "nothing", "format": {"type": "json"}})
            job["connections"]["other"] = {"type": "kafka", "brokers": absent, **PLAIN}
            output = self.expect(self.run_job(job), ENVIRONMENT, silent, absent)
        # By what each question says of itself, not by a clock: two nodes of one start have two seconds together.
        asked = [int(number) for number in re.findall(r"within (\d+) ms", output)]
        self.assertEqual(len(asked), 2, output)
        self.assertLessEqual(sum(asked), 2000)


@unittest.skipUnless(os.geteuid() == 0, "SKIPPED: only root may mount the small disk that is to be full")
class FullDisk(Case):
    def setUp(self):
        super().setUp()
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "weir-test", self.disk], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"SKIPPED: no small disk can be mounted here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk])

    def once(self, process, rows):
        self.expect(process, OK)
        ids = sorted(row["id"] for row in self.rows("disk/out"))
        self.assertEqual(ids, list(range(rows)))

    def test_output_goes_on_once_there_is_room(self):
        rows = 400_000  # more than 3 MiB of lines
        job = numbers_job(rows, restart={"strategy": "none"})
        job["nodes"]["out"]["path"] = str(self.disk / "out")
        arguments = ("--allowed-paths", self.directory)
        process = self.run_job(job, *arguments)
        self.assertEqual(process.end(), FAILED, process.output()[-2000:])
        self.assertRegex(process.output(), "(?i)no space|full")
        subprocess.run(["mount", "-o", "remount,size=64m", self.disk], check=True)
        self.once(self.run_job(job, *arguments), rows)

    def test_storage_that_fills_up_harms_no_result(self):
        rows = 300_000
        job = numbers_job(rows, restart={"strategy": "none"})
        job["nodes"]["out"]["path"] = str(self.disk / "out")
        arguments = ("run", self.write(job), "--storage", f"file://{self.disk}/storage", "--state-dir", self.directory / "state",
                     "--allowed-paths", self.directory)
        (self.disk / "ballast").write_bytes(b"x" * (2 << 20))
        process = self.start(*arguments)
        self.expect(process, FAILED, "No space left")
        (self.disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", self.disk], check=True)
        self.once(self.start(*arguments), rows)


class BadRecords(Case):
    GOOD = [f'{{"id": {i}, "ts": "2026-01-01T00:00:{i:02d}Z"}}' for i in range(10)]
    BAD = ["{", '{"id": "x", "ts": "2026-01-01T00:00:00Z"}', '{"ts": "2026-01-01T00:00:00Z"}', "null", "\udcff\udcfe",
           '{"id": 99, "ts": "2999-01-01T00:00:00Z"}', '{"id": 98, "ts": "not a time"}', '{"id": 97, "pad": "' + "x" * 20_000 + '"}']

    def job(self, on_error, **more):
        source = {"type": "file_source", "path": "in.ndjson", "format": {"type": "json", "max_record": "16KiB"}, "on_error": on_error,
                  "schema": {"id": "int64", "ts": "timestamp"}, "event_time": {"field": "ts", "max_delay": "0s"}, **more}
        return {"weir": 1, "name": "bad_records", "nodes": {
            "lines": source, "out": {"type": "file_sink", "inputs": ["lines"], "path": "out", "format": {"type": "json"}}}}

    def setUp(self):
        super().setUp()
        lines = []
        for i, line in enumerate(self.GOOD):
            lines.append(line)
            if i < len(self.BAD):
                lines.append(self.BAD[i])
        (self.directory / "in.ndjson").write_bytes("".join(line + "\n" for line in lines).encode(errors="surrogateescape"))

    def outcomes(self):
        """Of the source's records, all tasks together."""
        report = json.loads((self.directory / "report.json").read_text())
        total = {}
        for node in report["nodes"]:
            if node["node_id"] == "lines":
                self.assertEqual(node["unaccounted"], 0)
                for name, count in (*node["outcomes"].items(), ("in", node["records_in"])):
                    total[name] = total.get(name, 0) + count
        return total

    def test_dropped_records_are_counted(self):
        job = self.job("drop", error_threshold={"ratio": 1.0})
        self.expect(self.run_job(job, "--report", "report.json"), OK)
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(10)))
        outcomes = self.outcomes()
        self.assertEqual((outcomes["in"], outcomes["passed"], outcomes["error_dropped"]), (18, 10, 8))

    def test_records_written_aside_can_be_read_again(self):
        job = self.job("side_output", error_threshold={"ratio": 1.0})
        job["nodes"]["aside"] = {"type": "file_sink", "inputs": ["lines.errors"], "path": "aside", "format": {"type": "json"}}
        self.expect(self.run_job(job, "--report", "report.json"), OK)
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(10)))
        outcomes = self.outcomes()
        self.assertEqual(outcomes["error_side"] + outcomes["error_dropped"], len(self.BAD))
        # The time far ahead of the clock has an option of its own, on_future, which drops.
        self.assertEqual(len(self.rows("aside")), len(self.BAD) - 1)

    def test_a_job_that_must_not_go_on_says_where(self):
        job = self.job("fail")
        job["execution"] = {"restart": {"strategy": "none"}}
        output = self.expect(self.run_job(job), FAILED, "lines", "in.ndjson")
        self.assertEqual(self.rows(), [])
        self.assertRegex(output, r"on_error|decode|JSON")

    def test_the_log_shows_them_at_debug_alone(self):
        word = "hunter2-in-a-record"
        (self.directory / "in.ndjson").write_text(f'{{"id": 1, "s": "7"}}\n{{"id": "{word}", "s": "7"}}\n{{"id": 2, "s": "{word}"}}\n'
                                                  f'{{"id": 3, "s": "{word}", "pad": "{"x" * 2000}"}}\n')
        for on_error in ("fail", "drop"):
            for level in ("info", "debug"):
                with self.subTest(on_error=on_error, level=level):
                    job = self.job(on_error, schema={"id": "int64", "s": "string"})
                    del job["nodes"]["lines"]["event_time"]
                    job["nodes"]["cast"] = {"type": "project", "inputs": ["lines"], "on_error": on_error, "fields": {"id": "id", "n": "CAST(s AS int64)"}}
                    job["nodes"]["out"]["inputs"] = ["cast"]
                    job["execution"] = {"restart": {"strategy": "none"}}
                    if on_error == "fail":  # of the row behind it, or the source would be the first to meet one
                        job["nodes"]["lines"]["on_error"] = "drop"
                    process = self.run_job(job, "--from", "none", "--log-format", "json", "--log-level", level)
                    output = self.expect(process, FAILED if on_error == "fail" else OK)
                    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
                    self.assertNotIn(word, "".join(json.dumps(line) for line in lines if line["level"] != "debug"))
                    said = [line for line in lines if line["level"] in ("warn", "error") and line.get("code", "").startswith(("decode", "expression"))]
                    nodes = {line["node_id"] for line in said}  # one line for all nodes in ten seconds
                    self.assertIn("cast" if on_error == "fail" else "lines", nodes)
                    shown = [line for line in lines if line["level"] == "debug" and word in json.dumps(line)]
                    if level == "debug":
                        self.assertTrue(shown)
                        self.assertLessEqual(max(len(line["content"]) for line in shown), 256)
                    else:
                        self.assertEqual(shown, [])
                    if on_error == "fail":  # the command's own answer says what was wrong
                        self.assertRegex(output, r"(?m)^error: .*expression\.cast")

    def test_too_many_of_them_end_the_job(self):
        job = self.job("drop", error_threshold={"ratio": 0.1, "over": "1m", "min_rows": 10})
        job["execution"] = {"restart": {"strategy": "none"}}
        self.expect(self.run_job(job), FAILED, "lines", "error_threshold")

    def test_late_rows_are_counted_or_written_aside(self):
        (self.directory / "in.ndjson").write_text("".join(
            f'{{"id": {i}, "ts": "{ts}"}}\n' for i, ts in enumerate(
                ["2026-01-01T00:00:01Z", "2026-01-01T00:05:00Z", "2026-01-01T00:00:02Z", "2026-01-01T00:05:01Z"])))
        job = self.job("fail")
        job["nodes"]["lines"]["rate"] = "20/s"  # a watermark after each row
        job["nodes"]["counts"] = {"type": "aggregate", "inputs": ["lines"], "window": {"type": "tumbling", "size": "1m"},
                                  "aggregates": {"n": "count(*)"}, "late": "side_output"}
        job["nodes"]["out"]["inputs"] = ["counts"]
        job["nodes"]["late"] = {"type": "file_sink", "inputs": ["counts.late"], "path": "late", "format": {"type": "json"}}
        self.expect(self.run_job(job), OK)
        self.assertEqual(sum(row["n"] for row in self.rows()) + len(self.rows("late")), 4)
        self.assertEqual([row["id"] for row in self.rows("late")], [2])


class ManyFiles(Case):
    def test_all_of_them_are_read(self):
        """More than are open at one time; their ends often come apart from their last rows."""
        for i in range(200):
            (self.directory / f"f{i}.txt").write_text("".join(f"{i}-{j}\n" for j in range(5)))
        job = {"weir": 1, "name": "many", "execution": {"parallelism": 1}, "nodes": {
            "in": {"type": "file_source", "path": "f*.txt", "format": {"type": "raw"}, "schema": {"value": "string"}},
            "out": {"type": "file_sink", "inputs": ["in"], "path": "out", "format": {"type": "json"}}}}
        self.expect(self.run_job(job), OK)
        self.assertEqual(sorted(row["value"] for row in self.rows()),
                         sorted(f"{i}-{j}" for i in range(200) for j in range(5)))


class Checkpoints(Case):
    ROWS = 3000

    def interrupted(self, sink=None):
        """A job stopped in the middle: at least three checkpoints lie in its storage."""
        job = numbers_job(self.ROWS, rate=1000)
        if sink:
            job["nodes"]["out"] = {"type": sink, "inputs": ["numbers"]}
        job = self.write(job)
        process = self.run_job(job)
        end = time.monotonic() + SECONDS_MAX
        while process.output().count("checkpoint completed") < 4 and time.monotonic() < end:
            time.sleep(0.02)
        process.process.send_signal(signal.SIGTERM)
        self.expect(process, OK)
        self.assertLess(len(self.rows()), self.ROWS)
        return job

    def test_a_stopped_job_goes_on_where_it_was(self):
        for sent in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(sent):
                job = self.write(numbers_job(self.ROWS, rate=2000))
                process = self.run_job(job)
                process.wait_for("checkpoint completed")
                process.process.send_signal(sent)
                self.expect(process, OK)
                self.expect(self.run_job(job), OK)
                self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(self.ROWS)))
                for name in ("out", "storage", "state"):
                    shutil.rmtree(self.directory / name)

    def test_kills_at_any_time_of_a_start(self):
        job = self.write(numbers_job(self.ROWS, rate=3000))
        chance = random.Random(1)
        for _ in range(10):
            process = self.run_job(job)
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
        self.expect(self.run_job(job), OK)
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(self.ROWS)))

    def flip_a_bit(self):
        """In the newest checkpoint; answers the file and the numbers of the older ones that are kept."""
        files = [path for path in (self.directory / "storage").rglob("*")
                 if path.is_file() and "chk" in path.parts and path.stat().st_size > 40]
        self.assertTrue(files, list((self.directory / "storage").rglob("*")))
        victim = max(files, key=lambda path: (path.stat().st_mtime, path.name))
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        listed = self.start("ckpt", "ls", "numbers", "--json", *self.storage())
        listed.end()
        broken = int(re.search(r"/chk/([0-9]+)-", str(victim)).group(1))
        older = sorted({int(found) for found in re.findall(r'"checkpoint": ?([0-9]+)', listed.output())} - {broken})
        self.assertTrue(older, listed.output())
        return victim, older

    def storage(self):
        return "--storage", f"file://{self.directory}/storage", "--state-dir", self.directory / "state"

    def test_a_flipped_bit_is_found_before_anything_runs(self):
        job = self.interrupted()
        written = len(self.rows())
        victim, older = self.flip_a_bit()
        self.expect(self.run_job(job), STATE, victim.name)
        self.expect(self.start("ckpt", "verify", "numbers", *self.storage()), STATE, victim.name)
        # Files of the newest checkpoint are published: from an older one they would be written twice.
        self.expect(self.run_job(job, "--from", older[-1]), FAIL_CLOSED, "doubled")
        self.assertEqual(len(self.rows()), written)

    def test_an_older_checkpoint_is_gone_on_from_where_nothing_is_doubled(self):
        job = self.interrupted(sink="blackhole_sink")
        victim, older = self.flip_a_bit()
        self.expect(self.run_job(job), OK, f"went back to checkpoint {older[-1]}", victim.name)

    def test_a_manifest_alone_is_no_checkpoint(self):
        """What a process has left that died between its manifest and HEAD."""
        job = self.interrupted(sink="blackhole_sink")
        listed = self.start("ckpt", "ls", "numbers", *self.storage())
        before = self.expect(listed, OK)
        newest = max((self.directory / "storage").rglob("chk/*-*/MANIFEST"), key=lambda path: int(path.parent.name.split("-")[0]))
        shutil.copytree(newest.parent, newest.parent.parent / "999-9")
        self.assertEqual(self.expect(self.start("ckpt", "ls", "numbers", *self.storage()), OK), before)
        for verb in ("show", "verify"):
            self.expect(self.start("ckpt", verb, "numbers", "999", *self.storage()), ENVIRONMENT, "there is no checkpoint 999")
        self.expect(self.start("ckpt", "show", "numbers", "../x", *self.storage()), USAGE, "expected `latest` or a number")
        self.expect(self.run_job(job, "--from", "999"), ENVIRONMENT, "there is no checkpoint 999")
        self.expect(self.run_job(job), OK)

    def test_an_incompatible_job_is_refused_with_its_verdict(self):
        (self.directory / "in.ndjson").write_text("".join(f'{{"k": "a", "v": {i}, "ts": "2026-01-01T00:00:00Z"}}\n' for i in range(500)))
        job = {"weir": 1, "name": "sums", "execution": {"checkpoint": {"interval": "200ms"}}, "nodes": {
            "in": {"type": "file_source", "path": "in.ndjson", "rate": "100/s", "format": {"type": "json"},
                   "schema": {"k": "string", "v": "int64", "ts": "timestamp"}, "event_time": {"field": "ts", "max_delay": "1s"}},
            "sums": {"type": "aggregate", "inputs": ["in"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1m"},
                     "aggregates": {"total": "sum(v)"}},
            "out": {"type": "file_sink", "inputs": ["sums"], "path": "out", "format": {"type": "json"}}}}
        process = self.run_job(job)
        process.wait_for("checkpoint completed")
        process.process.send_signal(signal.SIGTERM)
        self.expect(process, OK)
        job["nodes"]["sums"]["key_by"] = ["v"]
        self.expect(self.run_job(job), STATE, "sums")
        job["nodes"]["sums"]["key_by"] = ["k"]
        self.expect(self.run_job(job), OK)
        self.assertEqual([row["total"] for row in self.rows()], [sum(range(500))])


class TwoProcesses(Case):
    def test_the_second_one_stays_out(self):
        rows = 12_000  # longer than the other one watches until it has seen a sign of life
        job = self.write(numbers_job(rows, rate=1000))
        first = self.run_job(job)
        first.wait_for("checkpoint completed")
        # On the same storage, with the same state directory and with another one.
        self.expect(self.run_job(job, "--connect-timeout", "2s"), STATE, "waiting up to", "is locked by")
        other = self.start("run", job, "--storage", f"file://{self.directory}/storage", "--state-dir", self.directory / "other")
        self.expect(other, STATE, "runs already", "Stop it, or give this job another name or storage")
        self.expect(first, OK)
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(rows)))

    def test_the_same_host_and_path_are_not_the_same_place(self):
        """Two releases of one name in two namespaces: their pods have the same names and paths, and share the storage."""
        rows = 12_000
        job = self.write(numbers_job(rows, rate=1000))
        first = self.run_job(job)
        first.wait_for("checkpoint completed")
        (self.directory / "state").rename(self.directory / "state of the first")
        self.expect(self.run_job(job), STATE, "watching it for up to", "runs already")
        self.expect(first, OK)
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(rows)))

    def test_the_state_directory_lost_delays_a_start(self):
        """As of a pod on another node: OWNER names a place that nobody can ask whether it lives."""
        rows = 4000
        job = self.write(numbers_job(rows, rate=1000))
        first = self.run_job(job)
        first.wait_for("checkpoint completed")
        first.kill()
        shutil.rmtree(self.directory / "state")
        self.expect(self.run_job(job), OK, "watching it for up to", "resumed from checkpoint")
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(rows)))

    def test_a_killed_one_leaves_the_way_free(self):
        rows = 4000
        job = self.write(numbers_job(rows, rate=2000))
        first = self.run_job(job)
        first.wait_for("checkpoint completed")
        first.kill()
        self.assertNotIn("watching it", self.expect(self.run_job(job), OK))
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(rows)))


class StopWithoutKafka(Case):
    """A broker of its own that is killed while a job writes to it."""
    ROWS = 4000

    def setUp(self):
        super().setUp()
        self.kafka = self.directory / "kafka"
        self.up("--port", "0")
        self.addCleanup(self.script, "down", "--purge")
        job = numbers_job(self.ROWS, rate=500)
        job["connections"] = {"main": {"type": "kafka", "brokers": self.address(), **PLAIN}}
        job["execution"]["checkpoint"]["timeout"] = "3s"
        job["nodes"]["out"] = {"type": "kafka_sink", "inputs": ["numbers"], "connection": "main", "topic": "numbers",
                               "create": {"partitions": 1}, "format": {"type": "json"}}
        self.job = self.write(job)
        self.process = self.run_job(self.job, "--stop-timeout", "2s", "--cancel-timeout", "2s")
        self.process.wait_for("checkpoint completed")
        os.kill(int((self.kafka / "kafka.pid").read_text()), signal.SIGKILL)
        time.sleep(0.5)

    def script(self, verb, *arguments):
        with open(self.directory / "kafka.log", "a") as log:
            subprocess.run([ROOT / "deploy" / "kafka" / "kafka.sh", verb, "--dir", self.kafka, *arguments], check=True,
                           stdout=log, stderr=log)

    def up(self, *arguments):
        self.script("up", *arguments)

    def address(self):
        return (self.kafka / "bootstrap").read_text().strip()

    def test_a_stop_ends_and_nothing_is_lost(self):
        self.process.process.send_signal(signal.SIGTERM)
        self.expect(self.process, STATE, "checkpoint")
        self.up()
        self.expect(self.run_job(self.job), OK)
        ids = set()
        for _ in range(6):  # a busy machine may not start the tool within its own time-out
            read = subprocess.run([ROOT / "deploy" / "kafka" / "kafka.sh", "tool", "console-consumer", "--topic", "numbers",
                                   "--from-beginning", "--timeout-ms", "5000", "--bootstrap-server", self.address()],
                                  capture_output=True, text=True)
            ids = {json.loads(line)["id"] for line in read.stdout.splitlines() if line.startswith("{")}
            if ids == set(range(self.ROWS)):
                break
        self.assertEqual(ids, set(range(self.ROWS)))

    def test_a_second_signal_ends_it_at_once(self):
        self.process.process.send_signal(signal.SIGTERM)
        self.process.wait_for("stopping")
        self.process.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.end(), 130)


class S3Storage(Case):
    """Checkpoints on a real S3 server of its own."""
    KEY, SECRET = "WEIRTESTKEY000000001", "weir-test-secret-0123456789"
    ROWS = 3000

    def setUp(self):
        super().setUp()
        program = subprocess.run([ROOT / "deploy" / "third_party" / "versitygw.sh", "--path"], check=True, capture_output=True,
                                 text=True).stdout.strip()
        if not os.access(program, os.X_OK):
            self.skipTest("SKIPPED: there is no S3 server: deploy/third_party/versitygw.sh builds it and needs Go 1.21 or newer")
        self.program, self.port = program, closed_port()
        (self.directory / "s3" / "data" / "weir-test").mkdir(parents=True)
        (self.directory / "s3" / "iam").mkdir()
        self.server = None
        self.addCleanup(self.stop_server)
        self.start_server()
        self.keys = {"AWS_ACCESS_KEY_ID": self.KEY, "AWS_SECRET_ACCESS_KEY": self.SECRET,
                     "WEIR_S3_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    def start_server(self):
        with open(self.directory / "s3" / "log", "ab") as log:
            self.server = subprocess.Popen(
                [self.program, "--port", f"127.0.0.1:{self.port}", "--region", "us-east-1", "--iam-dir", self.directory / "s3" / "iam",
                 "posix", self.directory / "s3" / "data"], stdout=log, stderr=log,
                env=dict(os.environ, ROOT_ACCESS_KEY=self.KEY, ROOT_SECRET_KEY=self.SECRET))
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.directory / "s3" / "log").read_text())

    def stop_server(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None

    def run_on(self, job, *arguments, storage="s3://weir-test/jobs", env=None):
        return self.start("run", job, "--storage", storage, "--state-dir", self.directory / "state", "--connect-timeout", "2s",
                          *arguments, env=env or self.keys)

    def ckpt(self, verb, *arguments):
        return self.start("ckpt", verb, "numbers", *arguments, "--storage", "s3://weir-test/jobs", env=self.keys)

    def all_rows_once(self):
        self.assertEqual(sorted(row["id"] for row in self.rows()), list(range(self.ROWS)))

    def test_a_killed_job_goes_on_from_it(self):
        job = self.write(numbers_job(self.ROWS, rate=300))  # far from its end when it is killed for the last time
        chance = random.Random(2)
        for life in range(6):
            process = self.run_on(job)
            process.wait_for("checkpoint completed")
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            if life:
                self.assertIn("resumed from checkpoint", process.output())
            shutil.rmtree(self.directory / "state")  # another machine
        self.expect(self.run_on(job), OK)
        self.all_rows_once()
        listed = self.ckpt("ls", "--json")
        self.expect(listed, OK)
        self.assertTrue(json.loads(listed.output()))
        self.expect(self.ckpt("show"), OK, '"job": "numbers"')
        self.expect(self.ckpt("verify"), OK, " 0 bad")

    def test_a_flipped_bit_is_found(self):
        job = self.write(numbers_job(self.ROWS, rate=1500))
        process = self.run_on(job)
        process.wait_for("checkpoint completed")
        process.process.send_signal(signal.SIGTERM)
        self.expect(process, OK)
        parts = [path for path in (self.directory / "s3" / "data").rglob("*.task") if path.is_file()]
        victim = max(parts, key=lambda path: path.stat().st_mtime)
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        self.expect(self.ckpt("verify"), STATE, victim.name)
        self.expect(self.run_on(job), STATE, victim.name)

    def test_a_server_that_is_away_for_a_while_harms_no_result(self):
        job = self.write(numbers_job(self.ROWS, rate=1000))
        process = self.run_on(job)
        process.wait_for("checkpoint completed")
        self.stop_server()
        time.sleep(1.5)
        self.assertIsNone(process.process.poll(), process.output())
        self.start_server()
        self.expect(process, OK)
        self.all_rows_once()

    def test_a_stop_without_the_server_ends(self):
        job = self.write(numbers_job(self.ROWS, rate=500, checkpoint={"interval": "200ms", "timeout": "2s"}))
        process = self.run_on(job)
        process.wait_for("checkpoint completed")
        self.stop_server()
        process.process.send_signal(signal.SIGTERM)
        self.expect(process, STATE, "no final checkpoint")
        self.start_server()
        self.expect(self.run_on(job), OK)
        self.all_rows_once()

    def test_the_second_process_stays_out(self):
        job = self.write(numbers_job(12_000, rate=1000))
        first = self.run_on(job)
        first.wait_for("checkpoint completed")
        second = self.start("run", job, "--storage", "s3://weir-test/jobs", "--state-dir", self.directory / "other", env=self.keys)
        self.expect(second, STATE, "runs already")
        first.process.send_signal(signal.SIGTERM)
        self.expect(first, OK)

    def refused(self, *parts, storage="s3://weir-test/jobs", **env):
        process = self.run_on(self.write(numbers_job(10)), storage=storage, env={**self.keys, **env})
        output = self.expect(process, ENVIRONMENT, *parts)
        self.assertNotIn(self.SECRET, output)
        self.assertEqual(self.rows(), [])
        return output

    def test_wrong_keys_are_named_and_secrets_are_not(self):
        output = self.refused("SignatureDoesNotMatch", self.KEY, f"127.0.0.1:{self.port}", AWS_SECRET_ACCESS_KEY="wr0ng-s3cret")
        self.assertNotIn("wr0ng-s3cret", output)
        self.refused("NOBODY", f"127.0.0.1:{self.port}", AWS_ACCESS_KEY_ID="NOBODY")
        self.refused("AWS_SHARED_CREDENTIALS_FILE", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    def test_a_server_or_bucket_that_is_not_there(self):
        port = closed_port()
        self.refused(f"127.0.0.1:{port}", WEIR_S3_ENDPOINT=f"http://127.0.0.1:{port}")
        self.refused("no-such-bucket", storage="s3://no-such-bucket/jobs")

    def test_bad_settings_are_usage(self):
        for storage, endpoint, part in (("s3://B/x", None, "bucket"), ("s3://weir-test/../x", None, ".."),
                                        ("s3://weir-test", "127.0.0.1:1", "--s3-endpoint")):
            env = dict(self.keys, **({"WEIR_S3_ENDPOINT": endpoint} if endpoint else {}))
            self.expect(self.run_on(self.write(numbers_job(10)), storage=storage, env=env), USAGE, part)

    def test_a_web_identity_is_exchanged_for_keys(self):
        """The token service is a page of this test; that the keys are good is the S3 server's word, which knows no session tokens."""
        asked, keys = [], (self.KEY, self.SECRET)

        class TokenService(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append(urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
                body = ("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
                        f"<AccessKeyId>{keys[0]}</AccessKeyId><SecretAccessKey>{keys[1]}</SecretAccessKey><SessionToken/>"
                        f"<Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                        "</AssumeRoleWithWebIdentityResponse>").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenService)
        self.addCleanup(service.server_close)
        self.addCleanup(service.shutdown)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        (self.directory / "token").write_text("token-of-the-pod\n")
        env = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(self.directory / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/weir",
               "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{service.server_address[1]}", "WEIR_S3_ENDPOINT": self.keys["WEIR_S3_ENDPOINT"]}
        process = self.run_on(self.write(numbers_job(100)), env=env)
        output = self.expect(process, OK)
        self.assertEqual(len(self.rows()), 100)
        self.assertEqual([(a["WebIdentityToken"], a["RoleArn"]) for a in asked], [(["token-of-the-pod"], ["arn:aws:iam::1:role/weir"])])
        self.assertNotIn("token-of-the-pod", output)
        (self.directory / "token").unlink()
        self.expect(self.run_on(self.write(numbers_job(100)), env=env), ENVIRONMENT, "AWS_WEB_IDENTITY_TOKEN_FILE", "token")

    def test_keys_may_lie_in_a_file(self):
        (self.directory / "credentials").write_text(
            f"[default]\naws_access_key_id = x\n[weir]\naws_access_key_id = {self.KEY}\naws_secret_access_key={self.SECRET}\n")
        env = {"AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "credentials"), "AWS_PROFILE": "weir",
               "WEIR_S3_ENDPOINT": self.keys["WEIR_S3_ENDPOINT"]}
        self.expect(self.run_on(self.write(numbers_job(100)), env=env), OK)
        self.assertEqual(len(self.rows()), 100)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
