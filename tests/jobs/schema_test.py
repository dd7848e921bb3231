#!/usr/bin/env python3
"""The JSON Schema of jobs against an independent reader of JSON Schema, and against `weir validate`.

Usage: schema_test.py WEIR SOURCE_DIRECTORY [CASE...]

The schema is what editors check with, so it must be sound by its own meta-schema, take every job of the project and
refuse what it can say; and it must not contradict the validator, which users hear: what the schema refuses, the
validator refuses, and what the validator finds in names and shapes of options, the schema finds. The reader is the
Debian package python3-jsonschema.
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    print(f"SKIPPED jobs.schema: {sys.executable} has no jsonschema: apt-get install python3-jsonschema, or pip install jsonschema")
    sys.exit(77)

WEIR, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
SCHEMA = json.loads((ROOT / "jobs" / "weir-job.v1.schema.json").read_text())
JOB = jsonschema.Draft7Validator(SCHEMA)
PROBLEMS = 1
NODES_PER_JOB = 50

# Shape problems that a schema without the job's own names, or without arithmetic, cannot tell, and why.
NOT_IN_THE_SCHEMA = {
    "W0204": "ranges of durations and sizes",
    "W0205": "one option needs another",
    "W0214": "the inside of a reference",
    "W0215": "types and defaults of parameters",
    "W0216": "names of connections",
    "W0212": "a literal where a secret belongs: a text like any other",
    "W0217": "the number of tasks of the whole job",
}
# What the validator calls a wrong name or shape, and the schema must too.
IN_THE_SCHEMA = {"W0201", "W0202", "W0203", "W0207", "W0208", "W0209", "W0210", "W0211", "W0213"}


def validate(path, *arguments):
    """Exit code and codes with pointers, of `weir validate` without brokers and folders."""
    done = subprocess.run([WEIR, "validate", path, "--no-environment", "--format", "json", *arguments], capture_output=True, text=True,
                          env=dict(os.environ, INPUT="/in.ndjson", OUTPUT="/out"), timeout=60)
    problems = json.loads(done.stdout)["errors"]
    return done.returncode, [(problem["code"], problem["pointer"]) for problem in problems if problem["severity"] == "error"]


def without_comments(text):
    return re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda found: found.group(1) or "", text, flags=re.DOTALL)


def job_files():
    for folder in ("jobs/examples", "bench/nexmark/jobs", "tests/golden"):
        yield from sorted((ROOT / folder).rglob("*.weir.json"))


def jobs_of_documents():
    """Whole jobs shown in the documents, with the page."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^```json[^\n]*\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
            try:
                parsed = json.loads(without_comments(block))
            except ValueError:
                continue  # a piece; docs_tests look at those
            if isinstance(parsed, dict) and "weir" in parsed and "nodes" in parsed:
                yield page, parsed


def parts_of(schema):
    """A schema and all schemas within it."""
    if not isinstance(schema, dict):
        return  # true or false
    yield schema
    inner = [schema[key] for key in ("additionalProperties", "items", "propertyNames", "not", "if", "then", "else") if key in schema]
    for key in ("allOf", "anyOf", "oneOf"):
        inner += schema.get(key, [])
    for key in ("properties", "definitions"):
        inner += schema.get(key, {}).values()
    for part in inner:
        yield from parts_of(part)


class Schema(unittest.TestCase):
    def test_is_sound_by_its_own_meta_schema(self):
        self.assertEqual(SCHEMA["$schema"], "http://json-schema.org/draft-07/schema#")
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        with self.assertRaises(jsonschema.SchemaError):  # the meta-schema is there and looks
            jsonschema.Draft7Validator.check_schema({"type": "objekt"})

    def test_is_what_the_binary_prints(self):
        printed = subprocess.run([WEIR, "schema", "job"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(json.loads(printed), SCHEMA)

    def test_every_reference_leads_somewhere(self):
        names = [part["$ref"] for part in parts_of(SCHEMA) if "$ref" in part]
        self.assertGreater(len(names), 20)
        for name in names:
            self.assertRegex(name, "^#/definitions/")
            self.assertIn(name.rsplit("/", 1)[1], SCHEMA["definitions"])

    def test_examples_and_defaults_fit_their_own_schema(self):
        """An editor offers them."""
        looked_at = 0
        for part in parts_of(SCHEMA):
            for value in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
                looked_at += 1
                reader = jsonschema.Draft7Validator(dict(part, definitions=SCHEMA["definitions"]))
                problem = jsonschema.exceptions.best_match(reader.iter_errors(value))
                self.assertIsNone(problem, f"{value!r} of {json.dumps(part)[:300]}")
        self.assertGreater(looked_at, 50)


class Jobs(unittest.TestCase):
    def test_every_job_of_the_project_is_taken(self):
        files = list(job_files())
        self.assertGreater(len(files), 6)
        for path in files:
            with self.subTest(path.relative_to(ROOT)):
                JOB.validate(json.loads(without_comments(path.read_text())))

    def test_every_job_of_the_documents_is_taken(self):
        jobs = list(jobs_of_documents())
        self.assertGreaterEqual(len(jobs), 2)
        for page, job in jobs:
            with self.subTest(page.relative_to(ROOT)):
                JOB.validate(job)

    def test_bad_jobs_are_refused_as_far_as_a_schema_can_tell(self):
        seen = set()
        for path in sorted((ROOT / "tests" / "jobs" / "bad").glob("*.weir.json")):
            code = path.name[:5]
            if code < "W02":
                continue  # no JSON, or no object
            job = json.loads(without_comments(path.read_text()))
            with self.subTest(path.name):
                status, problems = validate(path)
                refused = not JOB.is_valid(job)
                self.assertEqual(status, PROBLEMS if problems else 0)
                self.assertTrue(problems or not refused, "the schema refuses what the validator only warns of")
                shape = {found for found, _ in problems if found.startswith("W02")}
                seen |= shape
                self.assertLessEqual(shape, IN_THE_SCHEMA | set(NOT_IN_THE_SCHEMA) | {"W0206"}, "say above whether a schema can tell this one")
                if shape & IN_THE_SCHEMA:
                    self.assertTrue(refused, f"the schema takes what has {shape}")
                if not {found for found, _ in problems} & (set(NOT_IN_THE_SCHEMA) | IN_THE_SCHEMA | {"W0206", "W0304", "W0404"}):
                    self.assertFalse(refused, "the schema refuses a shape that the validator takes")
        self.assertLessEqual(IN_THE_SCHEMA - {"W0210"}, seen)

    def test_a_text_of_one_line_that_is_no_job(self):
        for text in ("{}", "[]", "1", '"job"', '{"weir": 2, "name": "a", "nodes": {"a": {"type": "print_sink"}}}',
                     '{"weir": 1, "name": "A", "nodes": {}}', '{"weir": 1, "name": "storage", "nodes": {"a": {"type": "print_sink", "inputs": ["b"]}}}',
                     '{"weir": 1, "name": "a", "nodes": {"a": {}}}', '{"weir": 1, "name": "a", "nodes": {"A": {"type": "union", "inputs": ["b", "c"]}}}'):
            with self.subTest(text), tempfile.NamedTemporaryFile("w", suffix=".weir.json") as file:
                self.assertFalse(JOB.is_valid(json.loads(text)))
                file.write(text)
                file.flush()
                self.assertEqual(validate(file.name)[0], PROBLEMS)


VALUES = [True, 7, -1, 0.5, "x", "", "5s", "5", "64MiB", "500/s", "earliest", "2026-01-01T00:00:00Z", "${A}", None, [], ["x"], [1], {}, {"a": "b"},
          {"a": 1}, {"type": "nothing"}]


def mutants(sound, options, required):
    """Copies of an object with one thing changed: an option that nobody knows, one left out, each with each value."""
    yield dict(copy.deepcopy(sound), unknown_option=1)
    for name in required:
        if name in sound:
            yield {key: value for key, value in sound.items() if key != name}
    for name in options:
        if name != "type":
            for value in VALUES:
                yield dict(copy.deepcopy(sound), **{name: value})
    for name, value in sound.items():
        if isinstance(value, dict):
            # One deeper: what an object within holds.
            yield dict(copy.deepcopy(sound), **{name: dict(value, unknown_option=1)})
            for inner in value:
                for other in VALUES:
                    yield dict(copy.deepcopy(sound), **{name: dict(value, **{inner: other})})


class Agreement(unittest.TestCase):
    """Changed options, judged by both. Values that are free JSON for the schema are the validator's alone."""

    def agree(self, many, job_of, schema, refused_least=10):
        """`many` changed objects, many in one job: job_of(list) -> (job, pointer of each)."""
        stricter, blind, refused = self.judge(many, job_of, schema)
        self.assertEqual(stricter, [], "the schema refuses what the validator takes")
        self.assertEqual(blind, [], "the schema takes a name or shape that the validator refuses")
        self.assertGreater(refused, refused_least)

    def judge(self, many, job_of, schema):
        reader = jsonschema.Draft7Validator({"$ref": f"#/definitions/{schema}", "definitions": SCHEMA["definitions"]})
        stricter, blind, refused = [], [], 0
        with tempfile.TemporaryDirectory() as folder:
            for first in range(0, len(many), NODES_PER_JOB):
                part = many[first:first + NODES_PER_JOB]
                job, pointers = job_of(part)
                path = pathlib.Path(folder) / "a.weir.json"
                path.write_text(json.dumps(job))
                _, problems = validate(path, "--no-semantic")
                _, meanings = validate(path)
                for changed, pointer in zip(part, pointers):
                    codes = {code for code, at in problems if at == pointer or at.startswith(pointer + "/")}
                    taken = reader.is_valid(changed)
                    refused += not taken
                    # What the schema knows of names of types and of inputs belongs to the meaning of a job.
                    if not taken and not codes and not any(at == pointer or at.startswith(pointer + "/") for _, at in meanings):
                        stricter.append((changed, str(jsonschema.exceptions.best_match(reader.iter_errors(changed)).message)[:200]))
                    if taken and codes & IN_THE_SCHEMA:
                        blind.append((changed, codes))
        return stricter, blind, refused

    def test_of_every_node_type(self):
        kinds = {kind["if"]["properties"]["type"]["const"]: kind["then"] for kind in SCHEMA["definitions"]["node"]["allOf"]}
        snippets = {snippet["label"]: snippet["body"] for snippet in SCHEMA["definitions"]["node"]["defaultSnippets"]}
        self.assertEqual(set(kinds), set(snippets), "an example for each type")
        self.assertGreater(len(kinds), 10)

        def job_of(nodes):
            names = [f"n{number}" for number in range(len(nodes))]
            return ({"weir": 1, "name": "changed", "connections": {"main": {"type": "kafka", "brokers": "a:1"}}, "nodes": dict(zip(names, nodes))},
                    [f"/nodes/{name}" for name in names])

        for name, kind in kinds.items():
            with self.subTest(name):
                many = list(mutants(snippets[name], kind["properties"], kind.get("required", [])))
                self.agree([snippets[name], *many], job_of, "node")

    def test_of_every_format(self):
        def job_of(formats):
            nodes = {f"n{number}": {"type": "kafka_sink", "inputs": ["in"], "connection": "main", "topic": "t", "format": changed}
                     for number, changed in enumerate(formats)}
            return ({"weir": 1, "name": "changed", "connections": {"main": {"type": "kafka", "brokers": "a:1"}}, "nodes": nodes},
                    [f"/nodes/{name}/format" for name in nodes])

        kinds = {kind["if"]["properties"]["type"]["const"]: kind["then"] for kind in SCHEMA["definitions"]["format"]["allOf"]}
        self.assertGreaterEqual(set(kinds), {"json", "csv", "raw", "dead_letter", "table"})
        for name, kind in kinds.items():
            with self.subTest(name):
                self.agree([{"type": name}, *mutants({"type": name}, kind["properties"], [])], job_of, "format", 0)

    def test_of_connections(self):
        def job_of(connections):
            names = {f"c{number}": changed for number, changed in enumerate(connections)}
            return ({"weir": 1, "name": "changed", "connections": names, "nodes": {"n": {"type": "generator_source"}}},
                    [f"/connections/{name}" for name in names])

        sound = {"type": "kafka", "brokers": "a:1", "security": {"protocol": "sasl_ssl", "mechanism": "PLAIN", "username": "u", "password": "${secret:p}",
                                                                 "ca": "${secret:ca}", "ca_file": "/ca.pem"},
                 "properties": {"client.id": "x", "linger.ms": 5}}
        options = SCHEMA["definitions"]["connection"]["allOf"][0]["then"]["properties"]
        many = [sound, *mutants(sound, options, ["brokers"]), {"type": "kafka_"}, {"type": 1}, {"brokers": "a:1"}]
        many += [dict(sound, properties={name: "1"}) for name in ("plugin.library.paths", "transactional.id", "no.such.property", "group.id", "debug")]
        self.agree(many, job_of, "connection")

    def test_of_execution_and_the_top(self):
        whole = {"weir": 1, "name": "changed", "description": "d", "labels": {"a": "b"}, "params": {"p": {"type": "int64", "default": 1}},
                 "execution": {"parallelism": 1, "checkpoint": {"interval": "1s", "retain": 3}, "restart": {"strategy": "none"},
                               "state": {"backend": "rocksdb"}, "upgrade": {"mode": "savepoint"}},
                 "nodes": {"in": {"type": "generator_source", "schema": {"a": "int64"}, "fields": {"a": "1"}},
                           "out": {"type": "blackhole_sink", "inputs": ["in"]}}}
        values = [True, -1, "x", "5s", None, [], {}]
        changed = [whole, dict(whole, unknown_option=1), *({key: value for key, value in whole.items() if key != name} for name in ("weir", "name", "nodes"))]
        changed += [dict(whole, **{name: value}) for name in SCHEMA["properties"] if name != "$schema" for value in values]
        execution = whole["execution"]
        changed += [dict(whole, execution=dict(execution, **{name: value}))
                    for name in ["unknown_option", *SCHEMA["properties"]["execution"]["properties"]] for value in values]
        changed += [dict(whole, execution=dict(execution, **{name: dict(inner, **{option: value})})) for name, inner in execution.items()
                    if isinstance(inner, dict) for option in ["unknown_option", *inner] for value in values]
        refused = 0
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.weir.json"
            for job in changed:
                path.write_text(json.dumps(job))
                status, problems = validate(path, "--no-semantic")
                taken = JOB.is_valid(job)
                refused += not taken
                self.assertTrue(taken or status == PROBLEMS, f"the schema refuses what the validator takes: {job}")
                self.assertFalse(taken and {code for code, _ in problems} & IN_THE_SCHEMA, f"the schema takes {job}: {problems}")
        self.assertTrue(JOB.is_valid(whole))
        self.assertGreater(refused, 50)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
