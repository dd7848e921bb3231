#!/usr/bin/env python3
"""Runs the Nexmark jobs and the hand-written loop over one topic in a real Kafka.

Two parts, both on by default:

  verify  every job writes files, at parallelism 1, 2 and 3, and once more stopped in the middle and
          resumed at another parallelism; the oracle compares the rows with what they must be
  speed   engine and hand-written loop run in turn over the same topic, pinned alike; reported are
          medians with their ranges, never a pass or fail

A figure counts only for a query whose output was verified in the same invocation; others are marked.
Standard library only.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
JOBS = pathlib.Path(__file__).resolve().parent / "jobs"
QUERIES = ["q0", "q1", "q2", "q5_count", "q14", "q21", "q22"]
HAND_LOOP_QUERIES = ["q0", "q5_count"]
RUN_SECONDS_MAX = 900
BROKER_CPU = 0
ENGINE_CPU = 1


class BenchError(Exception):
    """What ends the benchmark, as one sentence for the user."""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run_tool(arguments, **kwargs):
    """Runs one of the benchmark's own programs and returns what it printed."""
    done = subprocess.run(
        [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    if done.returncode != 0:
        raise BenchError(f"{pathlib.Path(arguments[0]).name} failed ({done.returncode}): "
                         f"{(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


# --- The process under test ---------------------------------------------------------------------------


class Measured:
    """One finished process: exit code, output, wall time, CPU time and peak memory from the kernel."""

    def __init__(self, code, output, wall, usage):
        self.code = code
        self.output = output
        self.wall_seconds = wall
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.rss_bytes_max = usage.ru_maxrss * 1024


def measure(arguments, cpus, log, cwd, env=None, during=None):
    """Runs a process pinned to `cpus`; `during(process)` runs beside it on a thread of ours."""

    def pin():
        os.sched_setaffinity(0, cpus)

    with open(log, "wb") as out:
        start = time.monotonic()
        process = subprocess.Popen([str(a) for a in arguments], stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, cwd=cwd, env=env, preexec_fn=pin)
        ended = threading.Event()
        helper = None
        if during is not None:
            helper = threading.Thread(target=during, args=(process, ended), daemon=True)
            helper.start()
        killer = threading.Timer(RUN_SECONDS_MAX, process.kill)
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        killer.cancel()
        ended.set()
        if helper is not None:
            helper.join()
    return Measured(process.returncode, pathlib.Path(log).read_text(errors="replace"), wall, usage)


def calibrate(cpu):
    """Seconds that a fixed loop takes on the engine's core: how much the machine itself varies."""
    code = ("import time\ns=time.process_time()\nx=0\nfor i in range(3000000): x=(x*31+i)&0xffffffff\n"
            "print(time.process_time()-s)")
    return float(run_tool([sys.executable, "-c", code], preexec_fn=lambda: os.sched_setaffinity(0, {cpu})))


# --- Kafka and the topic ----------------------------------------------------------------------------


class Broker:
    """A real broker, started for the benchmark unless the user names one that runs."""

    def __init__(self, options):
        self.script = ROOT / "deploy" / "kafka" / "kafka.sh"
        self.directory = pathlib.Path(options.kafka_dir)
        self.ours = options.brokers is None
        self.address = options.brokers
        self.cpus = {BROKER_CPU} if options.mode == "split" else os.sched_getaffinity(0)

    def __enter__(self):
        if self.ours:
            self.directory.mkdir(parents=True, exist_ok=True)
            # Its output goes to a file: the broker must not hold a pipe of ours open.
            with open(self.directory / "up.log", "w") as log:
                code = subprocess.call(
                    [self.script, "up", "--load", "--dir", self.directory, "--port", "0"], stdout=log,
                    stderr=log, preexec_fn=lambda: os.sched_setaffinity(0, self.cpus))
            if code != 0:
                raise BenchError("the broker did not start: " + (self.directory / "up.log").read_text()[-2000:])
            self.address = (self.directory / "bootstrap").read_text().strip()
            pid = int((self.directory / "kafka.pid").read_text())
            for task in os.listdir(f"/proc/{pid}/task"):  # it may have run before, pinned otherwise
                try:
                    os.sched_setaffinity(int(task), self.cpus)
                except ProcessLookupError:
                    pass
        return self

    def __exit__(self, *_):
        if self.ours:
            subprocess.call([self.script, "down", "--dir", self.directory], stdout=subprocess.DEVNULL)


def prepare_topic(broker, options):
    """The topic's name and what is known of it: counts, checksums, expected results. Written once."""
    name = (f"nexmark-{options.events}-tps{options.tps}-p{options.partitions}-s{options.seed}"
            f"-{options.compression}")
    known = (broker.directory if broker.ours else pathlib.Path(options.work)) / f"{name}.json"
    known.parent.mkdir(parents=True, exist_ok=True)
    facts = json.loads(known.read_text()) if known.exists() else {}
    if not facts:
        say(f"writing {options.events} events to topic {name}")
        facts = json.loads(run_tool([
            BUILD / "bench" / "weir_bench_nexmark_gen", "--brokers", broker.address, "--topic", name,
            "--events", options.events, "--tps", options.tps, "--partitions", options.partitions,
            "--seed", options.seed, "--compression", options.compression]))
        known.write_text(json.dumps(facts, indent=1))
    if "expected" not in facts:
        say("computing what the queries must give")
        expected = json.loads(run_tool([
            BUILD / "bench" / "weir_bench_nexmark_oracle", "--mode", "expect", "--brokers", broker.address,
            "--topic", name]))
        if expected.pop("events") != options.events:
            raise BenchError(f"topic {name} does not hold {options.events} events; remove {broker.directory}")
        facts["expected"] = expected
        known.write_text(json.dumps(facts, indent=1))
    return name, facts


# --- Weir -------------------------------------------------------------------------------------------


class Weir:
    def __init__(self, broker, topic, options):
        self.broker = broker
        self.topic = topic
        self.options = options
        self.binary = pathlib.Path(options.weir).resolve()
        self.work = pathlib.Path(options.work)
        self.env = dict(os.environ, KAFKA_BROKERS=broker.address, NO_COLOR="1")
        self.number = 0
        self.session = f"nexmark-out-{time.time_ns():x}"

    def fresh(self, label):
        """A directory for one run of a job, with its storage, state and output below it."""
        self.number += 1
        directory = self.work / f"{self.number:03d}-{label}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return directory

    def output_topic(self, directory):
        return f"{self.session}-{directory.name}"

    def output_of(self, directory):
        """The oracle's arguments that name what the run in `directory` wrote; nothing if it wrote nothing."""
        if self.options.verify_sink == "kafka":
            return ["--brokers", self.broker.address, "--actual-topic", self.output_topic(directory)]
        out = directory / "out"
        return ["--actual", out] if out.exists() else None

    def write_job(self, query, directory, parallelism, to_files):
        job = json.loads((JOBS / f"{query}.weir.json").read_text())
        job["execution"]["parallelism"] = parallelism
        job["execution"]["checkpoint"]["interval"] = self.options.checkpoint_interval
        job["execution"]["state"]["backend"] = self.options.backend
        inputs = job["nodes"]["out"]["inputs"]
        if not to_files:
            job["nodes"]["out"] = {"type": "blackhole_sink", "inputs": inputs}
        elif self.options.verify_sink == "kafka":
            job["nodes"]["out"] = {"type": "kafka_sink", "inputs": inputs, "connection": "main", "format": {"type": "json"},
                                   "topic": self.output_topic(directory), "create": {"partitions": 4}}
        if job["nodes"]["out"]["type"] != "file_sink":
            del job["params"]["out"]
        path = directory / f"{query}-p{parallelism}.weir.json"
        path.write_text(json.dumps(job, indent=1))
        return path

    def run(self, query, directory, parallelism, to_files, cpus, during=None):
        job = self.write_job(query, directory, parallelism, to_files)
        report = directory / "report.json"
        report.unlink(missing_ok=True)
        command = [self.binary, "run", job.name, "-p", f"topic={self.topic}",
                   "--storage", f"file://{directory}/storage", "--state-dir", "state", "--report", report]
        if to_files and self.options.verify_sink == "file":
            command += ["-p", f"out={directory}/out", "--allowed-paths", directory]
        log = directory / f"log-{len(list(directory.glob('log-*')))}.txt"
        done = measure(command, cpus, log, directory, self.env, during)
        if done.code != 0:
            raise BenchError(f"weir run {query} ended with {done.code}; {log} ends with:\n{done.output[-2000:]}")
        done.report = json.loads(report.read_text())
        return done


def digest_of(query, output):
    """(rows, digest) of what the oracle's arguments `output` name."""
    if output is None:
        return 0, "none"
    text = run_tool([BUILD / "bench" / "weir_bench_nexmark_oracle", "--mode", "digest", "--queries", query, *output])
    digest = json.loads(text)[query]
    return int(digest.split(":")[0]), digest


def stop_after(seconds):
    """Sends SIGTERM once the process has run for so long."""

    def wait_and_stop(process, ended):
        if not ended.wait(seconds):
            process.send_signal(signal.SIGTERM)

    return wait_and_stop


class Verification:
    """Runs a query in several ways and keeps what was found wrong."""

    def __init__(self, weir, facts, options):
        self.weir = weir
        self.expected = facts["expected"]
        self.options = options
        self.cpus = os.sched_getaffinity(0)

    def check(self, query, directory, what):
        output = self.weir.output_of(directory)
        rows, digest = digest_of(query, output)
        if digest == self.expected[query]:
            say(f"{query} {what}: {rows} rows, equal to the oracle")
            return {"case": what, "equal": True, "rows": rows}
        difference = "nothing was written"
        if output is not None:
            where = output if "--brokers" in output else ["--brokers", self.weir.broker.address, *output]
            difference = subprocess.run(
                [BUILD / "bench" / "weir_bench_nexmark_oracle", "--mode", "compare", "--queries", query, "--topic",
                 self.weir.topic, *where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        say(f"{query} {what}: DIFFERENT\n{difference}")
        return {"case": what, "equal": False, "rows": rows, "difference": difference[-4000:]}

    def query(self, query):
        results = []
        seconds = 1.0
        for parallelism in self.options.verify_parallelism:
            what = f"at parallelism {parallelism}"
            results.append(self.guarded(query, what, lambda: self.plain(query, parallelism, what)))
            seconds = results[-1].get("seconds", seconds)
        for before, after in ((1, 2), (3, 1)):
            what = f"stopped at parallelism {before}, resumed at {after}"
            results.append(self.guarded(query, what, lambda: self.resumed(query, before, after, what, seconds)))
        return results

    def guarded(self, query, what, action):
        try:
            return action()
        except BenchError as error:
            say(f"{query} {what}: FAILED\n{error}")
            return {"case": what, "equal": False, "error": str(error)[-4000:]}

    def plain(self, query, parallelism, what):
        directory = self.weir.fresh(f"{query}-p{parallelism}")
        done = self.weir.run(query, directory, parallelism, True, self.cpus)
        result = self.check(query, directory, what)
        result["seconds"] = done.wall_seconds
        self.clean(directory, result)
        return result

    def resumed(self, query, before, after, what, seconds):
        """Tries until the stop falls between the first and the last row, then runs to the end."""
        expected_rows = int(self.expected[query].split(":")[0])
        share = 0.5
        for _ in range(8):
            directory = self.weir.fresh(f"{query}-p{before}-p{after}")
            stopped = self.weir.run(query, directory, before, True, self.cpus,
                                    during=stop_after(max(0.2, seconds * share)))
            rows, _ = digest_of(query, self.weir.output_of(directory))
            say(f"{query} {what}: {rows} of {expected_rows} rows when stopped after {stopped.wall_seconds:.1f} s")
            if 0 < rows < expected_rows:
                self.weir.run(query, directory, after, True, self.cpus)
                result = self.check(query, directory, what)
                result["rows_before_stop"] = rows
                self.clean(directory, result)
                return result
            share *= 0.7 if rows >= expected_rows else 1.3
            shutil.rmtree(directory, ignore_errors=True)
        raise BenchError("the stop never fell into the middle of the run")

    def clean(self, directory, result):
        if result["equal"]:
            shutil.rmtree(directory, ignore_errors=True)


# --- Speed ------------------------------------------------------------------------------------------


def where_time_goes(report):
    """Seconds of busy time by node and part, summed over tasks, and the tasks' idle and backpressured time."""
    parts = {}
    for node in report["nodes"]:
        for part, busy_us in node.get("busy_us", {}).items():
            key = f"{node['node_id']}.{part}"
            parts[key] = parts.get(key, 0.0) + busy_us / 1e6
    return {key: round(value, 3) for key, value in sorted(parts.items(), key=lambda item: -item[1]) if value >= 0.001}


def checkpoint_facts(report):
    checkpoints = report["job"]["checkpoints"]
    completed = checkpoints["completed"]
    return {
        "completed": completed,
        "mean_seconds": checkpoints["seconds_sum"] / completed if completed else None,
        "last_bytes": checkpoints["last_bytes"],
    }


def state_facts(report):
    """Of the nodes with state: rows, bytes in memory and in RocksDB, calls of RocksDB."""
    facts = {}
    for node in report["nodes"]:
        for name, value in node.get("state", {}).items():
            facts[name] = facts.get(name, 0) + value
    return facts


def measure_engine(weir, query, options, cpus):
    directory = weir.fresh(f"{query}-speed")
    done = weir.run(query, directory, options.parallelism, False, cpus)
    records = sum(node["records_in"] for node in done.report["nodes"] if node["node_id"] == "events")
    if records != options.events:
        raise BenchError(f"weir run {query} read {records} events of {options.events}")
    result = {
        "wall_seconds": done.wall_seconds,
        "cpu_seconds": done.cpu_seconds,
        "rss_bytes_max": done.rss_bytes_max,
        "checkpoints": checkpoint_facts(done.report),
        "state": state_facts(done.report),
        "busy_seconds": where_time_goes(done.report),
    }
    if not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return result


def measure_hand_loop(weir, query, cpus):
    directory = weir.fresh(f"{query}-hand")
    done = measure([BUILD / "bench" / "weir_bench_nexmark_hand_loop", "--brokers", weir.broker.address, "--topic",
                    weir.topic, "--query", query], cpus, directory / "log.txt", directory)
    if done.code != 0:
        raise BenchError(f"the hand-written loop failed: {done.output[-2000:]}")
    shutil.rmtree(directory, ignore_errors=True)
    return {"wall_seconds": done.wall_seconds, "cpu_seconds": done.cpu_seconds, "rss_bytes_max": done.rss_bytes_max}


def verify_hand_loop(weir, query, facts, cpus):
    directory = weir.fresh(f"{query}-hand")
    done = measure([BUILD / "bench" / "weir_bench_nexmark_hand_loop", "--brokers", weir.broker.address, "--topic",
                    weir.topic, "--query", query, "--digest", "yes"], cpus, directory / "log.txt", directory)
    report = json.loads(done.output.splitlines()[-1])
    shutil.rmtree(directory, ignore_errors=True)
    if report["digest"] != facts["expected"][query]:
        raise BenchError(f"the hand-written loop's result of {query} differs from the oracle's")


def summary(runs, events):
    """Medians with ranges; figures per event from each run's own CPU time."""
    per_event = [run["cpu_seconds"] / events * 1e9 for run in runs]
    return {
        "runs": len(runs),
        "ns_per_event": statistics.median(per_event),
        "ns_per_event_range": [min(per_event), max(per_event)],
        "events_per_cpu_second": events / statistics.median(run["cpu_seconds"] for run in runs),
        "wall_seconds": statistics.median(run["wall_seconds"] for run in runs),
        "wall_seconds_range": [min(run["wall_seconds"] for run in runs), max(run["wall_seconds"] for run in runs)],
        "rss_bytes_max": statistics.median(run["rss_bytes_max"] for run in runs),
    }


def speed(weir, queries, facts, options):
    cpus = {ENGINE_CPU} if options.mode == "split" else os.sched_getaffinity(0)
    results = {}
    for query in queries:
        by_hand = query in HAND_LOOP_QUERIES
        engine_runs, hand_runs, calibration = [], [], []
        try:
            if by_hand:
                verify_hand_loop(weir, query, facts, cpus)
            measure_engine(weir, query, options, cpus)  # warms the page cache and the broker
            for number in range(options.runs):
                calibration.append(calibrate(ENGINE_CPU))
                engine_runs.append(measure_engine(weir, query, options, cpus))
                if by_hand:
                    hand_runs.append(measure_hand_loop(weir, query, cpus))
                say(f"{query} run {number + 1}: engine {engine_runs[-1]['cpu_seconds']:.2f} CPU-s, "
                    f"{engine_runs[-1]['wall_seconds']:.2f} s"
                    + (f"; by hand {hand_runs[-1]['cpu_seconds']:.2f} CPU-s, {hand_runs[-1]['wall_seconds']:.2f} s"
                       if by_hand else ""))
        except BenchError as error:
            say(f"{query}: FAILED\n{error}")
            results[query] = {"error": str(error)[-4000:]}
            continue
        result = {"engine": summary(engine_runs, options.events), "engine_runs": engine_runs,
                  "calibration_seconds": [min(calibration), statistics.median(calibration), max(calibration)]}
        if by_hand:
            result["hand_loop"] = summary(hand_runs, options.events)
            ratios = [e["cpu_seconds"] / h["cpu_seconds"] for e, h in zip(engine_runs, hand_runs)]
            result["ratio"] = result["engine"]["ns_per_event"] / result["hand_loop"]["ns_per_event"]
            result["ratio_range"] = [min(ratios), max(ratios)]
        results[query] = result
    return results


# --- Report -----------------------------------------------------------------------------------------


def first_line(command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              cwd=ROOT).stdout.strip().split("\n")[0]
    except OSError:
        return ""


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": int(memory[1]) * 1024 if memory else None,
        "kernel": platform.release(),
        "compiler": first_line(["g++", "--version"]),
        "load_average": os.getloadavg(),
        "commit": first_line(["git", "rev-parse", "--short=12", "HEAD"])
                  + ("+changes" if first_line(["git", "status", "--porcelain", "--untracked-files=no"]) else ""),
        "date": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
    }


def print_table(report):
    facts = report["machine"]
    options = report["options"]
    print(f"\n{facts['cpu']}, {facts['cores']} cores, commit {facts['commit']}, {facts['date']}")
    print(f"{options['events']} events, {options['partitions']} partitions, TPS {options['tps']}, "
          f"{options['compression']}, mode {options['mode']}, parallelism {options['parallelism']}, "
          f"checkpoints every {options['checkpoint_interval']}, state {options['backend']}")
    if report["speed"]:
        print(f"\n{'query':9} {'output':9} {'ns/event':>9} {'range':>13} {'M ev/CPU-s':>11} {'wall s':>7} "
              f"{'RSS MB':>7} {'by hand ns':>10} {'ratio':>6} {'range':>11}")
    for query, result in report["speed"].items():
        verified = verdict(report, query)
        if "error" in result:
            print(f"{query:9} {verified:9} failed")
            continue
        engine = result["engine"]
        low, high = engine["ns_per_event_range"]
        line = (f"{query:9} {verified:9} {engine['ns_per_event']:9.0f} {f'{low:.0f}-{high:.0f}':>13} "
                f"{engine['events_per_cpu_second'] / 1e6:11.2f} {engine['wall_seconds']:7.2f} "
                f"{engine['rss_bytes_max'] / 1e6:7.0f}")
        if "ratio" in result:
            low, high = result["ratio_range"]
            line += (f" {result['hand_loop']['ns_per_event']:10.0f} {result['ratio']:6.2f} "
                     f"{f'{low:.2f}-{high:.2f}':>11}")
        print(line)
        last = result["engine_runs"][-1]
        if last["checkpoints"]["completed"]:
            mean = last["checkpoints"]["mean_seconds"]
            print(f"{'':9} checkpoints in the last run: {last['checkpoints']['completed']:.0f}, "
                  f"mean {mean:.3f} s" if mean is not None else "")
        if last["busy_seconds"]:
            busy = ", ".join(f"{k} {v:.2f} s" for k, v in last["busy_seconds"].items())
            print(f"{'':9} busy: {busy}")
    if report["verify"]:
        print("\nOutput against the oracle")
    for query, cases in report["verify"].items():
        for case in cases:
            print(f"{query:9} {case['case']:40} "
                  f"{'equal' if case['equal'] else 'DIFFERENT' if 'difference' in case else 'FAILED'}"
                  f"  {case.get('rows', '')}")


def verdict(report, query):
    cases = report["verify"].get(query)
    if cases is None:
        return "unchecked"
    return "equal" if all(case["equal"] for case in cases) else "WRONG"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench nexmark", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="of the speed part (default 10,000,000)")
    parser.add_argument("--verify-events", type=int, default=2_000_000, help="of the verify part (default 2,000,000)")
    parser.add_argument("--queries", default=",".join(QUERIES), help="comma-separated; default all")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each side (default 5)")
    parser.add_argument("--parallelism", type=int, default=1, help="of the engine in the speed part (default 1)")
    parser.add_argument("--verify-parallelism", default="1,2,3", help="default 1,2,3")
    parser.add_argument("--verify-sink", choices=["file", "kafka"], default="file",
                        help="what the verify part writes to (default file: exactly once)")
    parser.add_argument("--mode", choices=["split", "shared"], default="split",
                        help="split: broker on core 0, engine on core 1; shared: both on all")
    parser.add_argument("--no-verify", action="store_true", help="skip the comparison with the oracle")
    parser.add_argument("--no-speed", action="store_true", help="skip the measured runs")
    parser.add_argument("--checkpoint-interval", default="10s")
    parser.add_argument("--backend", choices=["rocksdb", "memory"], default="rocksdb")
    parser.add_argument("--tps", type=int, default=10_000, help="events per second of event time")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compression", choices=["none", "lz4"], default="none")
    parser.add_argument("--brokers", help="use this Kafka instead of starting one")
    cache = pathlib.Path(os.environ.get("WEIR_CACHE", pathlib.Path.home() / ".cache" / "weir"))
    parser.add_argument("--kafka-dir", default=str(cache / "kafka-bench"), help="data of the started Kafka, kept")
    parser.add_argument("--work", default=str(ROOT / "build" / "nexmark"), help="jobs, storage, output of the runs")
    parser.add_argument("--weir", default=str(BUILD / "weir"), help="the binary to measure (default build/release/weir)")
    parser.add_argument("--keep", action="store_true", help="keep the directories of the measured runs")
    parser.add_argument("--json", default=str(ROOT / "build" / "nexmark" / "results.json"), help="where results go")
    options = parser.parse_args()
    options.queries = [name for name in options.queries.split(",") if name]
    options.verify_parallelism = [int(p) for p in options.verify_parallelism.split(",")]
    unknown = [name for name in options.queries if name not in QUERIES]
    if unknown:
        parser.error(f"unknown queries: {', '.join(unknown)}; known: {', '.join(QUERIES)}")
    if options.mode == "split" and len(os.sched_getaffinity(0)) < 2:
        parser.error("mode split needs two cores; use --mode shared")
    return options


def main():
    options = parse_arguments()
    pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "options": vars(options), "verify": {}, "speed": {}, "topics": {}}
    with Broker(options) as broker:
        report["machine"]["broker"] = broker.address
        if not options.no_verify:
            topic, facts = prepare_topic(broker, argparse.Namespace(**{**vars(options), "events": options.verify_events}))
            report["topics"]["verify"] = {"name": topic, **facts}
            verification = Verification(Weir(broker, topic, options), facts, options)
            for query in options.queries:
                report["verify"][query] = verification.query(query)
        if not options.no_speed:
            topic, facts = prepare_topic(broker, options)
            report["topics"]["speed"] = {"name": topic, **facts}
            report["speed"] = speed(Weir(broker, topic, options), options.queries, facts, options)
    report["machine"]["load_average_after"] = os.getloadavg()
    pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    print_table(report)
    print(f"\nall figures: {options.json}")
    wrong = [query for query in options.queries if verdict(report, query) == "WRONG"]
    failed = [query for query, result in report["speed"].items() if "error" in result]
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as problem:
        print(f"bench: {problem}", file=sys.stderr)
        sys.exit(4)
