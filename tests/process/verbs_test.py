#!/usr/bin/env python3
"""What each verb of `weir` says and answers: exit codes, standard output, errors. Neither a broker nor a network.

Usage: verbs_test.py WEIR SOURCE_DIRECTORY [CASE...]
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

WEIR, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
OK, PROBLEMS, USAGE, ENVIRONMENT, STATE = 0, 1, 2, 4, 7
SECONDS_MAX = 60

SUMS = {"weir": 1, "name": "sums", "nodes": {
    "in": {"type": "file_source", "path": "in.ndjson", "format": {"type": "json"}, "schema": {"k": "string", "v": "int32", "ts": "timestamp"},
           "event_time": {"field": "ts", "max_delay": "1s"}},
    "sums": {"type": "aggregate", "inputs": ["in"], "key_by": ["k"], "window": {"type": "tumbling", "size": "1m"}, "aggregates": {"total": "sum(v)"}},
    "out": {"type": "file_sink", "inputs": ["sums"], "path": "out", "format": {"type": "json"}}}}


def changed(job, **paths):
    """A copy with the values at the paths: nodes__sums__key_by=["v"]; None removes."""
    copy = json.loads(json.dumps(job))
    for path, value in paths.items():
        *way, last = path.split("__")
        part = copy
        for step in way:
            part = part[step]
        if value is None:
            del part[last]
        else:
            part[last] = value
    return copy


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-verbs-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def write(self, job, name="job.weir.json"):
        (self.directory / name).write_text(job if isinstance(job, str) else json.dumps(job, indent=1))
        return name

    def weir(self, code, *arguments, text=None, env=None):
        """Runs it, asserts the exit code, answers (stdout, stderr)."""
        done = subprocess.run([WEIR, *map(str, arguments)], cwd=self.directory, input=text, capture_output=True, text=True, timeout=SECONDS_MAX,
                              env={**os.environ, "NO_COLOR": "1", **(env or {})}, **({} if text is not None else {"stdin": subprocess.DEVNULL}))
        self.assertEqual(done.returncode, code, f"weir {' '.join(map(str, arguments))}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        self.assertNotIn("terminate called", done.stderr)
        return done.stdout, done.stderr

    def storage(self):
        return "--storage", f"file://{self.directory}/storage", "--state-dir", self.directory / "state"

    def run_sums(self):
        (self.directory / "in.ndjson").write_text("".join(
            f'{{"k": "k{i % 3}", "v": {i}, "ts": "2026-01-01T00:{i // 60:02d}:{i % 60:02d}Z"}}\n' for i in range(180)))
        return self.weir(OK, "run", self.write(SUMS), *self.storage())


class Plan(Case):
    def test_shows_chains_exchanges_and_guarantees(self):
        out, err = self.weir(OK, "plan", self.write(SUMS), "--parallelism", 3)
        self.assertEqual(err, "")
        for line in ("job sums: 3 nodes, 2 chains", "  0 x3  in (file_source)", "  1 x3  sums (aggregate) > out (file_sink)", "  in -> sums: hash by k",
                     "  out: exactly_once, visible once per checkpoint, 10s"):
            self.assertIn(line, out)
        more, _ = self.weir(OK, "plan", "job.weir.json", "--stages", "--types")
        self.assertIn("total int64", more)
        self.assertNotIn("total int64", out)

    def test_of_a_job_with_problems_shows_these(self):
        out, err = self.weir(PROBLEMS, "plan", self.write(changed(SUMS, nodes__sums__key_by=["nobody"])))
        self.assertEqual(out, "")
        self.assertIn("error[W0412]: column 'nobody' does not exist", err)

    def verdicts(self, old, new, code):
        out, _ = self.weir(code, "plan", self.write(old, "old.json"), self.write(new, "new.json"))
        return dict(line.split(None, 1) for line in out.splitlines() if re.match("(in|sums|out|more) ", line)), out

    def test_of_two_versions_gives_a_verdict_for_each_node(self):
        verdicts, out = self.verdicts(SUMS, SUMS, OK)
        self.assertEqual(verdicts, {"in": "keep", "sums": "keep", "out": "keep"})
        self.assertNotIn("--from none", out)
        more = changed(SUMS, nodes__sums__having="total > 3", nodes__sums__parallelism=2, execution={"checkpoint": {"interval": "1s"}})
        self.assertEqual(self.verdicts(SUMS, more, OK)[0], {"in": "keep", "sums": "keep", "out": "keep"})

    def test_of_two_versions_refuses_what_would_lose_state(self):
        verdicts, out = self.verdicts(SUMS, changed(SUMS, nodes__sums__key_by=["v"]), STATE)
        self.assertEqual(verdicts, {"in": "keep", "sums": "reset: the key changed: it was k, now it is v (W0902)", "out": "keep"})
        self.assertIn("--from none", out)
        verdicts, _ = self.verdicts(SUMS, changed(SUMS, nodes__sums__window__size="2m"), STATE)
        self.assertRegex(verdicts["sums"], "^reset: ")
        verdicts, _ = self.verdicts(SUMS, changed(SUMS, execution={"max_parallelism": 64}), STATE)
        self.assertRegex(verdicts["sums"], "^incompatible: max_parallelism was 128, now it is 64")

    def test_a_broken_version_is_a_problem_whichever_of_the_two_it_is(self):
        self.write(SUMS, "good.json")
        for broken, part in (("{", "W0101"), ("[]", "W0106"), (json.dumps(changed(SUMS, nodes__sums__key_by=["nobody"])), "W0412")):
            self.write(broken, "broken.json")
            for files in (("broken.json", "good.json"), ("good.json", "broken.json")):
                with self.subTest(broken[:20], files=files):
                    out, err = self.weir(PROBLEMS, "plan", *files)
                    self.assertEqual(out, "")
                    self.assertIn(f"error[{part}]", err)
                    self.assertIn("broken.json", err)
        for files in (("absent.json", "good.json"), ("good.json", "absent.json")):
            self.assertIn("absent.json", self.weir(ENVIRONMENT, "plan", *files)[1])

    def test_of_a_checkpoint_compares_with_the_job_that_wrote_it(self):
        job = self.write(SUMS)
        _, err = self.weir(ENVIRONMENT, "plan", "latest", job, *self.storage())
        self.assertIn("job 'sums' has never run", err)
        self.run_sums()
        for which in ("latest", "1"):
            self.assertRegex(self.weir(OK, "plan", which, job, *self.storage())[0], "sums  keep\n")
        other = self.write(changed(SUMS, nodes__sums__key_by=["v"]), "other.json")
        self.assertIn("sums  reset", self.weir(STATE, "plan", "latest", other, *self.storage())[0])
        self.assertIn("checkpoint 77", self.weir(ENVIRONMENT, "plan", "77", job, *self.storage())[1])


class Validate(Case):
    def test_a_sound_job(self):
        self.assertEqual(self.weir(OK, "validate", self.write(SUMS), "--no-environment"), ("job.weir.json: valid\n", ""))
        self.assertEqual(self.weir(OK, "validate", "-", "--no-environment", text=json.dumps(SUMS)), ("-: valid\n", ""))

    def test_warnings_are_errors_if_asked(self):
        self.write(SUMS)  # whose file is not there
        out, err = self.weir(OK, "validate", "job.weir.json")
        self.assertEqual(out, "job.weir.json: valid\n")
        self.assertIn("warning[W0707]: no file matches 'in.ndjson'", err)
        clock = changed(SUMS, nodes__sums__key_by=["date_trunc('minute', _processing_time) AS m"])
        self.assertIn("warning[W0509]", self.weir(OK, "validate", self.write(clock, "clock.json"), "--no-environment")[1])
        out, err = self.weir(PROBLEMS, "validate", "clock.json", "--no-environment", "--strict")
        self.assertEqual(out, "")
        self.assertIn("[W0509]", err)

    def test_layers_can_be_left_out(self):
        self.write(changed(SUMS, nodes__sums__key_by=["nobody"]))
        self.weir(OK, "validate", "job.weir.json", "--no-semantic")
        self.weir(PROBLEMS, "validate", "job.weir.json", "--no-environment")
        kafka = changed(SUMS, connections={"main": {"type": "kafka", "brokers": "127.0.0.1:1"}},
                        nodes__in={"type": "kafka_source", "connection": "main", "topics": ["t"], "format": {"type": "json"},
                                   "schema": {"k": "string", "v": "int32"}, "event_time": {"max_delay": "1s"}})
        self.write(kafka)
        self.weir(OK, "validate", "job.weir.json", "--no-environment")
        _, err = self.weir(ENVIRONMENT, "validate", "job.weir.json")
        self.assertIn("error[W0702]: no answer from 127.0.0.1:1", err)

    def test_problems_as_json(self):
        self.write(changed(SUMS, nodes__sums__key_by=["nobody"], nodes__out__formt={}))
        out, err = self.weir(PROBLEMS, "validate", "job.weir.json", "--no-environment", "--format", "json")
        self.assertEqual(err, "")
        report = json.loads(out)
        self.assertEqual((report["type"], report["status"]), ("/problems/invalid-job", 422))
        found = {(problem["code"], problem["pointer"]): problem for problem in report["errors"]}
        self.assertIn(("W0201", "/nodes/out/formt"), found)
        problem = found["W0412", "/nodes/sums/key_by/0"]
        self.assertEqual((problem["severity"], problem["node_id"], problem["file"]), ("error", "sums", "job.weir.json"))
        text = (self.directory / "job.weir.json").read_text()
        self.assertIn("nobody", text[problem["start"]["offset"]:problem["end"]["offset"]])
        self.assertEqual(text[:problem["start"]["offset"]].count("\n") + 1, problem["start"]["line"])
        self.assertEqual(json.loads(self.weir(OK, "validate", self.write(SUMS), "--no-environment", "--format", "json")[0])["errors"], [])

    def test_single_unambiguous_fixes_are_written(self):
        self.write(changed(SUMS, nodes__out__type="file_sinc"))
        self.assertIn("did you mean 'file_sink'?", self.weir(PROBLEMS, "validate", "job.weir.json", "--no-environment")[1])
        before = (self.directory / "job.weir.json").read_text()
        out, err = self.weir(OK, "validate", "job.weir.json", "--no-environment", "--fix")
        self.assertIn("1 fixes applied to job.weir.json", err)
        self.assertEqual((self.directory / "job.weir.json").read_text(), before.replace("file_sinc", "file_sink"))
        self.write("{")
        self.weir(PROBLEMS, "validate", "job.weir.json", "--fix")
        self.assertEqual((self.directory / "job.weir.json").read_text(), "{")

    def test_parameters(self):
        self.write(changed(SUMS, params={"size": {"type": "duration"}, "least": {"type": "int64", "default": 1}},
                           nodes__sums__window__size="${params.size}", nodes__sums__having="total > param('least')"))
        arguments = ("validate", "job.weir.json", "--no-environment")
        self.assertIn("parameter 'size' has no default and was not set", self.weir(PROBLEMS, *arguments)[1])
        self.weir(OK, *arguments, "-p", "size=1m", "-p", "least=7")
        self.assertIn("parameter 'least' was set to 'x', which is no int64", self.weir(PROBLEMS, *arguments, "-p", "size=1m", "-p", "least=x")[1])
        self.assertIn("no parameter 'other'", self.weir(PROBLEMS, *arguments, "-p", "size=1m", "-p", "other=1")[1])
        self.assertIn("name=value", self.weir(USAGE, *arguments, "-p", "size")[1])

    def test_secrets_are_never_shown(self):
        kafka = {"type": "kafka", "brokers": "127.0.0.1:1",
                 "security": {"protocol": "sasl_plaintext", "mechanism": "PLAIN", "username": "u", "password": "canary-in-the-file"}}
        self.write(changed(SUMS, connections={"main": kafka}, nodes__sums__key_by=["nobody"]))
        arguments = ("validate", "job.weir.json", "--no-environment")
        for flags in ((), ("--format", "json"), ("--allow-literal-secrets",)):
            out, err = self.weir(PROBLEMS, *arguments, *flags)
            self.assertIn("W0212", out + err)
            self.assertNotIn("canary", out + err)
        # On one line with another problem.
        (self.directory / "job.weir.json").write_text(json.dumps(changed(SUMS, connections={"main": kafka}, nodes__sums__key_by=["nobody"])))
        self.assertNotIn("canary", "".join(self.weir(PROBLEMS, *arguments)))

    def test_usage(self):
        self.assertIn("--format", self.weir(USAGE, "validate", self.write(SUMS), "--format", "xml")[1])
        self.assertIn("JOB", self.weir(USAGE, "validate")[1])
        self.assertIn("--no-such", self.weir(USAGE, "validate", "job.weir.json", "--no-such")[1])


class Checkpoints(Case):
    def test_are_listed_shown_and_verified(self):
        self.run_sums()
        where = self.storage()[:2]
        listed = json.loads(self.weir(OK, "ckpt", "ls", "sums", "--json", *where)[0])
        self.assertEqual([(entry["checkpoint"], entry["kind"], entry["head"]) for entry in listed], [(1, "finished", True)])
        text, _ = self.weir(OK, "ckpt", "ls", "sums", *where)
        self.assertRegex(text, r"(?m)^1 \*\s+finished ")
        shown = json.loads(self.weir(OK, "ckpt", "show", "sums", *where)[0])
        self.assertEqual((shown["checkpoint"], shown["kind"], shown["attempt"]), (1, "finished", 1))
        self.assertEqual({tuple(task["nodes"]) for task in shown["tasks"]}, {("in",), ("sums", "out")})
        positions = [splits["in.ndjson"] for task in shown["tasks"] for splits in task.get("splits", {}).values()]
        self.assertEqual(len(positions), 1)
        self.assertTrue(positions[0].startswith(f"{(self.directory / 'in.ndjson').stat().st_size}/180/1/"), positions)
        groups = sorted(tuple(task["key_groups"]) for task in shown["tasks"] if task["nodes"] == ["sums", "out"])
        self.assertEqual((groups[0][0], groups[-1][1]), (0, 127))
        self.assertEqual(json.loads(self.weir(OK, "ckpt", "show", "sums", "1", *where)[0]), shown)
        self.assertRegex(self.weir(OK, "ckpt", "verify", "sums", *where)[0], r"checkpoint 1: \d+ files, \d+ bytes read, 0 bad\n")

    def test_that_are_not_there_are_named(self):
        where = self.storage()[:2]
        for verb in ("ls", "show", "verify"):
            _, err = self.weir(ENVIRONMENT, "ckpt", verb, "nobody", *where)
            self.assertIn("job 'nobody' has never run on", err)
        self.run_sums()
        _, err = self.weir(ENVIRONMENT, "ckpt", "show", "sums", "99", *where)
        self.assertIn("there is no checkpoint 99 of job 'sums'", err)
        self.assertIn("weir ckpt ls", err)
        for words in (("ckpt",), ("ckpt", "frob", "sums"), ("ckpt", "show")):
            self.weir(USAGE, *words)

    def test_damage_is_found_and_named(self):
        self.run_sums()
        victim = next(path for path in sorted((self.directory / "storage").rglob("*.task")) if path.is_file())
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        out, err = self.weir(STATE, "ckpt", "verify", "sums", *self.storage()[:2])
        self.assertIn(victim.name, out + err)


class Manual(Case):
    def test_explains_codes_functions_and_node_types(self):
        out, err = self.weir(OK, "explain", "W0412")
        self.assertTrue(out.startswith("W0412: no such column\n"), out)
        self.assertIn("\nwrong:  ", out)
        self.assertIn("\nright:  ", out)
        self.assertEqual(err, "")
        self.assertIn("sum(number) -> int64", self.weir(OK, "explain", "fn", "sum")[0])
        self.assertTrue(self.weir(OK, "explain", "node", "filter")[0].startswith("filter: Keeps the rows"))

    def test_does_not_know_everything(self):
        for words, near in ((("W9999",), None), (("fn", "summ"), "sum"), (("node", "fliter"), "filter"), (("fn", "no_such_function_at_all"), None)):
            out, err = self.weir(USAGE, "explain", *words)
            self.assertEqual(out, "")
            self.assertIn(f"nothing is known about '{words[-1]}'", err)
            self.assertEqual("did you mean" in err, near is not None, err)
            if near:
                self.assertIn(f"did you mean '{near}'?", err)
        self.weir(USAGE, "explain")

    def test_examples_of_every_node_type_and_code_are_there(self):
        schema = json.loads(self.weir(OK, "schema", "job")[0])
        for name in schema["definitions"]["node"]["properties"]["type"]["enum"]:
            self.assertRegex(self.weir(OK, "explain", "node", name)[0], rf"(?s)^{name}: .*\nexample\n  \{{")

    def test_prints_the_schema_of_jobs(self):
        out, err = self.weir(OK, "schema", "job")
        self.assertEqual((out, err), ((ROOT / "jobs" / "weir-job.v1.schema.json").read_text(), ""))
        self.weir(USAGE, "schema")
        self.assertIn("jobs", self.weir(USAGE, "schema", "jobs")[1])

    def test_version_and_help(self):
        self.assertRegex(self.weir(OK, "--version")[0], r"^weir \d+\.\d+\.\d+ \([0-9a-f+dirty-]+\)\n$")
        out, _ = self.weir(OK, "--help")
        for verb in ("run", "validate", "plan", "graph", "explain", "schema", "dashboard", "ckpt", "demo"):
            self.assertRegex(out, rf"(?m)^  {verb} ")
            self.assertIn("Examples:", self.weir(OK, verb, "--help")[0] if verb != "ckpt" else self.weir(OK, "ckpt", "ls", "--help")[0])
        self.weir(USAGE)

    def test_an_unknown_verb_is_named(self):
        _, err = self.weir(USAGE, "valdate", "job.weir.json")
        self.assertIn("'valdate'", err)
        self.assertIn("did you mean 'validate'?", err)
        self.assertIn("'frobnicate'", self.weir(USAGE, "frobnicate")[1])


class Examples(Case):
    def free_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def test_the_first_job_shows_rows_and_writes_its_files(self):
        shutil.copy(ROOT / "jobs" / "examples" / "hello.weir.json", self.directory)
        process = subprocess.Popen([WEIR, "run", "hello.weir.json", "--http-listen", f"127.0.0.1:{self.free_port()}", *map(str, self.storage())],
                                   cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.kill)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if sum(1 for shown in lines if re.match(r"d[1-5]\s", shown)) >= 5:
                break
        process.send_signal(signal.SIGTERM)
        lines += process.stdout.readlines()
        process.stdout.close()
        self.assertEqual(process.wait(timeout=SECONDS_MAX), OK, "".join(lines))
        self.assertRegex("".join(lines), r"device\s+window_start\s+window_end\s+n\s+mean\s+max")
        alerts = [json.loads(line) for path in (self.directory / "out" / "alerts").rglob("*") if path.is_file() and not path.name.startswith(".")
                  for line in path.read_text().splitlines()]
        self.assertTrue(alerts)
        self.assertTrue(all(30 < row["celsius"] <= 60 for row in alerts), alerts)

    def test_the_demo_runs_the_clickstream_job_and_ends(self):
        out, err = self.weir(OK, "demo", ROOT / "jobs" / "examples" / "clicks.weir.json", "--seconds", 6, "--directory", "demo",
                             env={"KAFKA_BROKERS": ""})
        self.assertIn("an in-process broker runs on ", out)
        self.assertGreater(int(re.search(r"(?m)^(\d+) clicks went in; the job stopped with a final checkpoint in demo/storage\.$", out).group(1)), 1000)
        # Minutes of event time pass in seconds: there are results, each of a page that was clicked on.
        pages = set(re.findall(r"(?m)^(/\w*) +\d{4}-\d\d-\d\dT\d\d:\d\d", out))
        self.assertGreaterEqual(len(pages & {"/", "/home", "/cart", "/checkout", "/search", "/help"}), 3, out[-3000:] + err[-2000:])
        listed = json.loads(self.weir(OK, "ckpt", "ls", "clicks_per_page", "--json", "--storage", f"file://{self.directory}/demo/storage")[0])
        self.assertTrue(listed)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
