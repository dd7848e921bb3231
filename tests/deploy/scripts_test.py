#!/usr/bin/env python3
"""Scripts of ./dev and deploy/ where a mistake would go unnoticed: what they report when something fails, and what they refuse to remove.
Nothing is built and nothing is started.

usage: scripts_test.py SOURCE_DIRECTORY
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()


class Scripts(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="weir-scripts-"))
        self.addCleanup(shutil.rmtree, self.work)

    def run_script(self, *command, **environment):
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "WEIR_CACHE": str(self.work / "cache"), **environment})

    def fuzz(self, fuzzer):
        """./dev fuzz on a tree whose build does nothing and whose one fuzzer is the given script."""
        binaries = self.work / "build" / "fuzz" / "fuzz"
        for folder in (self.work / "dev.d", self.work / "tests" / "fuzz", binaries):
            folder.mkdir(parents=True)
        (self.work / "dev.d" / "setup.bash").write_text('say() { echo "$*" >&2; }\ndie() { say "$*"; exit 1; }\nbuild() { :; }\n')
        (self.work / "tests" / "fuzz" / "toy_fuzz.cc").touch()
        for name, text in {"toy_replay": "exit 0", "toy_fuzz": fuzzer}.items():
            (binaries / name).write_text(f"#!/bin/sh\n{text}\n")
            (binaries / name).chmod(0o755)
        return self.run_script("bash", SOURCE / "dev.d" / "fuzz.sh", "toy", WEIR_ROOT=str(self.work))

    def test_fuzz_fails_when_a_fuzzer_does(self):
        done = self.fuzz("echo 'SUMMARY: AddressSanitizer: heap-buffer-overflow'; exit 77")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("failing inputs of toy", done.stderr)

    def test_fuzz_fails_when_a_fuzzer_dies_without_a_word(self):
        self.assertEqual(self.fuzz("kill -9 $$").returncode, 1)

    def test_fuzz_is_content_with_a_fuzzer_that_finds_nothing(self):
        done = self.fuzz("echo 'none of the lines that are shown'")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing found", done.stderr)

    def foreign(self):
        """A folder with somebody's files."""
        folder = self.work / "mine"
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "thesis").write_text("years of work")
        return folder

    def test_cluster_removes_no_folder_that_it_has_not_made(self):
        folder = self.foreign()
        done = self.run_script(SOURCE / "deploy" / "k8s" / "cluster.sh", "down", WEIR_K8S_DIR=str(folder))
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing is removed", done.stderr)
        self.assertTrue((folder / "data" / "thesis").exists())

    def test_cluster_up_explains_itself(self):
        done = self.run_script(SOURCE / "deploy" / "k8s" / "cluster.sh", "up", "--help", WEIR_K8S_DIR=str(self.work / "cluster"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("usage:", done.stdout)
        done = self.run_script(SOURCE / "deploy" / "k8s" / "cluster.sh", "up", "--nodes", WEIR_K8S_DIR=str(self.work / "cluster"))
        self.assertIn("--nodes needs a value", done.stderr)

    def kafka(self, *arguments):
        return self.run_script(SOURCE / "deploy" / "kafka" / "kafka.sh", *arguments)

    def test_kafka_purges_no_folder_that_it_has_not_made(self):
        folder = self.foreign()
        done = self.kafka("down", "--purge", "--dir", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing is removed", done.stderr)
        self.assertTrue((folder / "data" / "thesis").exists())

    @unittest.skipUnless(shutil.which("java"), "no java")
    def test_kafka_starts_no_broker_on_data_of_others(self):
        folder = self.foreign()
        done = self.kafka("up", "--dir", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no broker's", done.stderr)
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["data"])

    def test_kafka_purges_its_own_files_and_leaves_others(self):
        folder = self.work / "broker"
        (folder / "data").mkdir(parents=True)
        for name in (".weir-kafka-broker", "broker.log", "data/meta.properties", "notes"):
            (folder / name).touch()
        self.assertEqual(self.kafka("down", "--purge", "--dir", folder).returncode, 0)
        self.assertEqual([p.name for p in folder.iterdir()], ["notes"])
        (folder / "notes").rename(folder / ".weir-kafka-broker")
        self.assertEqual(self.kafka("down", "--purge", "--dir", folder).returncode, 0)
        self.assertFalse(folder.exists())
        self.assertEqual(self.kafka("down", "--purge", "--dir", folder).returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"])
