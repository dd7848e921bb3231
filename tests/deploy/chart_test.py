#!/usr/bin/env python3
"""Renders the Helm chart with Helm 4 and Helm 3 for many sets of values and looks at what comes out: every object against the schema of its kind, the
restricted Pod Security Standard, names that refer to each other, the job against `weir validate`, and what each set of values is there for. Values that
make no sense must be refused. Needs the tools of `./dev k8s tools` and no cluster.

usage: chart_test.py WEIR_BINARY SOURCE_DIRECTORY
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from kubernetes_schema import Schemas, repeated_keys

WEIR, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
CHART = SOURCE / "deploy" / "helm" / "weir"
NAMESPACE, OPERATOR = "streams", "monitoring.coreos.com/v1"
SKIPPED = 77

KAFKA_JOB = {
    "weir": 1, "name": "clicks", "params": {"window": {"type": "duration", "default": "1m"}},
    "connections": {"main": {"type": "kafka", "brokers": "${BROKERS:-kafka:9092}", "security": {
        "protocol": "sasl_plaintext", "mechanism": "SCRAM-SHA-512", "username": "weir", "password": "${secret:kafka/password}"}}},
    "nodes": {
        "clicks": {"type": "kafka_source", "connection": "main", "topics": ["clicks"], "format": {"type": "json"},
                   "schema": {"page": "string", "at": "timestamp"}, "event_time": {"field": "at", "max_delay": "5s"}},
        "per_page": {"type": "aggregate", "inputs": ["clicks"], "key_by": ["page"], "window": {"type": "tumbling", "size": "${params.window}"},
                     "aggregates": {"views": "count(*)"}},
        "out": {"type": "kafka_sink", "inputs": ["per_page"], "connection": "main", "topic": "views", "format": {"type": "json"}},
    },
}
KAFKA = json.dumps(KAFKA_JOB, indent=2)
COMMENTED = """// views of each page, see https://wiki.example
{
  "weir": 1, /* the "format" */ "name": "clicks", // not "clacks"
  "nodes": {
    "feed": {"type": "generator_source", "schema": {"s": "string"}, "fields": {"s": "'http://x/*\\"//'"}}, /* two
    lines */
    "out": {"type": "blackhole_sink", "inputs": ["feed"]}
  }
}
"""
# In a folder that nobody can make: only the job's own volume has it.
FILES = json.dumps({
    "weir": 1, "name": "files",
    "nodes": {"feed": {"type": "generator_source", "schema": {"n": "int64"}, "fields": {"n": "_offset"}},
              "out": {"type": "file_sink", "inputs": ["feed"], "path": "/proc/nowhere/out", "format": {"type": "json"}}}})
NUMBERS = json.dumps({
    "weir": 1, "name": "numbers",
    "params": {"rows": {"type": "int64", "default": 1}, "much": {"type": "int64", "default": 1}, "part": {"type": "float64", "default": 1},
               "loud": {"type": "bool", "default": False}, "text": {"type": "string", "default": ""}},
    "nodes": {"feed": {"type": "generator_source", "schema": {"n": "int64"}, "fields": {"n": "_offset"}},
              "out": {"type": "blackhole_sink", "inputs": ["feed"]}}})


def fail(message):
    print(f"FAIL: {message}")
    fail.count += 1


fail.count = 0


def expect(condition, message):
    if not condition:
        fail(message)


class Rendered:
    """The objects of one rendering."""

    def __init__(self, objects):
        self.objects = objects

    def all(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind, suffix=""):
        found = [o for o in self.all(kind) if o["metadata"]["name"].endswith(suffix)]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} objects {kind} …{suffix}")
        return found[0]

    set = property(lambda self: self.one("StatefulSet")["spec"])
    template = property(lambda self: self.set["template"])
    pod = property(lambda self: self.template["spec"])
    weir = property(lambda self: self.pod["containers"][0])
    args = property(lambda self: self.weir["args"])
    env = property(lambda self: {e["name"]: e.get("value", e.get("valueFrom")) for e in self.weir.get("env", [])})
    rules = property(lambda self: [r for g in self.one("PrometheusRule")["spec"]["groups"] for r in g["rules"]])

    def alert(self, name):
        return [r for r in self.rules if r.get("alert") == name]

    def job(self):
        return json.loads(self.one("ConfigMap", "-job")["data"]["job.weir.json"])

    def mount(self, path):
        return [m for m in self.weir["volumeMounts"] if m["mountPath"] == path][0]

    def volume(self, path):
        name = self.mount(path)["name"]
        return [v for v in self.pod["volumes"] if v["name"] == name][0]


def after(args, flag):
    return args[args.index(flag) + 1]


# Name -> (values, what must hold, options). Options: release, api (kinds the cluster has), revision.
CASES = {
    "defaults": ({}, lambda r: [
        r.job()["name"] == "hello_weir",
        sorted({n["type"] for n in r.job()["nodes"].values()}) == ["aggregate", "generator_source", "print_sink"],
        r.set["replicas"] == 1 and r.set["podManagementPolicy"] == "Parallel",
        r.set["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"},
        r.args[:2] == ["run", "/etc/weir/job/job.weir.json"] and "--from" not in r.args,
        after(r.args, "--storage").startswith("file:///var/lib/weir/") and after(r.args, "--state-dir").startswith("/var/lib/weir/"),
        after(r.args, "--health-listen") == "[::]:8081" and "--http-listen" not in r.args and "--insecure" not in r.args,
        r.weir["startupProbe"]["httpGet"]["path"] == r.weir["livenessProbe"]["httpGet"]["path"] == "/healthz",
        r.weir["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"},
        r.pod["terminationGracePeriodSeconds"] == 390 and "lifecycle" not in r.weir,
        r.weir["resources"]["requests"]["memory"] == r.weir["resources"]["limits"]["memory"] == "4Gi",
        r.set["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"],
        "storageClassName" not in r.set["volumeClaimTemplates"][0]["spec"],
        r.weir["terminationMessagePolicy"] == "FallbackToLogsOnError",
        r.template["metadata"]["annotations"]["prometheus.io/port"] == "8081",
        not r.all("PodMonitor") and not r.all("PrometheusRule") and not r.all("PodDisruptionBudget") and not r.all("Role"),
        r.one("NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"],
        not [o for o in r.all("ConfigMap") if o["metadata"]["name"].endswith("-dashboards")],
        # A pod that is not ready must be found too: `helm test` asks it why.
        r.one("Service")["spec"]["publishNotReadyAddresses"] is True,
    ]),
    "operator": ({"monitoring": {"dashboards": True}}, lambda r: [
        r.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] == "health",
        "prometheus.io/scrape" not in r.template["metadata"]["annotations"],
        r.alert("WeirJobAbsent")[0]["expr"] == f'absent(weir_job_state{{job_name="hello_weir",namespace="{NAMESPACE}"}})',
    ], {"api": [OPERATOR]}),
    "job": ({"job": KAFKA, "secrets": ["kafka"]}, lambda r: [
        r.job() == KAFKA_JOB,
        r.one("ConfigMap", "-job")["data"]["job.weir.json"] == KAFKA,
        r.volume("/etc/weir/secrets/kafka")["secret"] == {"secretName": "kafka", "defaultMode": 0o440},
        r.mount("/etc/weir/secrets/kafka")["readOnly"] is True,
    ]),
    "other_job_other_checksum": ({"job": KAFKA.replace('"clicks"', '"klicks"')}, lambda r: [
        r.template["metadata"]["annotations"]["weir.dev/job-checksum"] != CHECKSUMS["job"],
    ]),
    "job_that_writes_files": ({"job": FILES, "config": {"allowed_paths": "/proc/nowhere"}}, lambda r: ["--no-environment" in r.one("Pod")["spec"]["containers"][0]["args"][0]]),
    # Comments, also where a careless eye sees some in a string; the text stays as it is.
    "job_with_comments": ({"job": COMMENTED}, lambda r: [
        r.one("ConfigMap", "-job")["data"]["job.weir.json"] == COMMENTED,
        'job_name="clicks"' in r.alert("WeirJobAbsent")[0]["expr"],
    ], {"api": [OPERATOR]}),
    "existing_config_map": ({"existingConfigMap": "my-job"}, lambda r: [
        r.volume("/etc/weir/job")["configMap"]["name"] == "my-job",
        not [o for o in r.all("ConfigMap") if "job.weir.json" in o["data"]],
        not r.alert("WeirJobAbsent") and len(r.alert("WeirJobFailed")) == 1,
        r.alert("WeirRecordsUnaccounted")[0]["expr"] == f'weir_records_unaccounted{{job_name=~".+",namespace="{NAMESPACE}"}} != 0',
    ], {"api": [OPERATOR]}),
    "existing_config_map_with_name": ({"existingConfigMap": "my-job", "jobName": "clicks"}, lambda r: [
        'job_name="clicks"' in r.alert("WeirJobAbsent")[0]["expr"],
        # Of another release no rule can meet these: each looks at this job of this namespace, and says so in what it makes.
        all(f'job_name="clicks",namespace="{NAMESPACE}"' in rule["expr"] and ".+" not in rule["expr"] for rule in r.rules),
        all(rule["labels"]["namespace"] == NAMESPACE for rule in r.rules),
    ], {"api": [OPERATOR]}),
    "params": ({"job": KAFKA, "secrets": ["kafka"], "params": {"window": "5s"}}, lambda r: [
        r.args[-2:] == ["-p", "window=5s"],
        r.one("Pod")["spec"]["containers"][0]["args"][-2:] == ["-p", "window=5s"],
    ]),
    "params_that_are_no_text": ({"job": NUMBERS, "params": {"rows": 2000000, "much": 9007199254740991, "part": 1234567.5, "loud": True, "text": "a b"}},
                                lambda r: [
        r.args[-10:] == ["-p", "loud=true", "-p", "much=9007199254740991", "-p", "part=1234567.5", "-p", "rows=2000000", "-p", "text=a b"],
    ]),
    "two_secrets": ({"secrets": ["kafka", "registry.example"]}, lambda r: [
        r.volume("/etc/weir/secrets/kafka")["secret"]["secretName"] == "kafka",
        r.volume("/etc/weir/secrets/registry.example")["secret"]["secretName"] == "registry.example",
        any(m["mountPath"] == "/etc/weir/secrets/kafka" for m in r.one("Pod")["spec"]["containers"][0]["volumeMounts"]),
    ]),
    "extra_env": ({"job": KAFKA, "secrets": ["kafka"], "extraEnv": [
        {"name": "BROKERS", "value": "broker:9093"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "kafka", "key": "token"}}}]}, lambda r: [
            r.env["BROKERS"] == "broker:9093", r.env["TOKEN"] == {"secretKeyRef": {"name": "kafka", "key": "token"}},
        ]),
    "extra_volumes": ({"extraVolumes": [{"name": "ca", "configMap": {"name": "company-ca"}}],
                       "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/company", "readOnly": True}]}, lambda r: [
                           r.volume("/etc/company")["configMap"]["name"] == "company-ca", r.mount("/etc/company")["readOnly"] is True,
                       ]),
    "storage": ({"storage": {"size": "500Gi", "storageClass": "fast"}}, lambda r: [
        r.set["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "500Gi",
        r.set["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast",
    ]),
    "object_store": ({"storage": {"url": "s3://checkpoints/prod", "credentialsSecret": "s3-keys"}, "stateDir": {"size": "5Gi"},
                      "config": {"s3_endpoint": "https://minio.example:9000", "s3_region": "eu-1", "s3_path_style": "true"}}, lambda r: [
                          after(r.args, "--storage") == "s3://checkpoints/prod" and "volumeClaimTemplates" not in r.set,
                          "persistentVolumeClaimRetentionPolicy" not in r.set,
                          r.volume("/var/lib/weir") == {"name": "data", "emptyDir": {"sizeLimit": "5Gi"}},
                          r.env["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "s3-keys", "key": "AWS_ACCESS_KEY_ID"}},
                          r.env["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "s3-keys", "key": "AWS_SECRET_ACCESS_KEY"}},
                          r.env["WEIR_S3_ENDPOINT"] == "https://minio.example:9000" and r.env["WEIR_S3_REGION"] == "eu-1",
                          r.env["WEIR_S3_PATH_STYLE"] == "true",
                          r.pod["automountServiceAccountToken"] is False,
                      ]),
    "object_store_by_web_identity": ({"storage": {"url": "s3://checkpoints", "roleArn": "arn:aws:iam::1:role/weir"}}, lambda r: [
        after(r.args, "--storage") == "s3://checkpoints" and r.env["AWS_ROLE_ARN"] == "arn:aws:iam::1:role/weir",
        r.env["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/var/run/secrets/weir/identity/token" and "AWS_ACCESS_KEY_ID" not in r.env,
        r.volume("/var/run/secrets/weir/identity")["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "sts.amazonaws.com",
        r.mount("/var/run/secrets/weir/identity")["readOnly"] is True,
    ]),
    "resources": ({"resources": {"requests": {"cpu": 4, "memory": "16Gi"}, "limits": {"cpu": 8, "memory": "16Gi"}}}, lambda r: [
        r.weir["resources"] == {"requests": {"cpu": 4, "memory": "16Gi"}, "limits": {"cpu": 8, "memory": "16Gi"}},
        "WEIR_MEMORY_LIMIT" not in r.env and "WEIR_THREADS" not in r.env,
    ]),
    "process_configuration": ({"config": {"stop_timeout": "5m", "log_level": "debug", "cluster": "0123abcd"}}, lambda r: [
        r.env["WEIR_STOP_TIMEOUT"] == "5m" and r.env["WEIR_LOG_LEVEL"] == "debug" and r.env["WEIR_CLUSTER"] == "0123abcd",
        r.env["WEIR_CONNECT_TIMEOUT"] == "5m" and r.env["WEIR_LOG_FORMAT"] == "json",
    ]),
    "less_than_the_pod_has": ({"config": {"threads": 3, "memory_limit": "1536MiB"}}, lambda r: [
        r.env["WEIR_THREADS"] == "3" and r.env["WEIR_MEMORY_LIMIT"] == "1536MiB",
    ]),
    # As much as the pod has is no more than it has, in whatever words.
    "all_that_the_pod_has": ({"config": {"memory_limit": "4096MiB"}}, lambda r: [r.env["WEIR_MEMORY_LIMIT"] == "4096MiB"]),
    "from_nothing": ({"from": "none"}, lambda r: [
        after(r.args, "--from") == "none" and after(r.args, "--nonce") == "revision-1",
    ]),
    "from_nothing_once_more": ({"from": "none", "fromNonce": "second-try.2"}, lambda r: [after(r.args, "--nonce") == "second-try.2"]),
    "from_checkpoint": ({"from": "17"}, lambda r: [after(r.args, "--from") == "17"]),
    "suspended": ({"suspend": True}, lambda r: [
        r.set["replicas"] == 0, not r.alert("WeirJobAbsent"), len(r.alert("WeirJobFailed")) == 1,
    ], {"api": [OPERATOR]}),
    "long_checkpoints": ({"terminationGracePeriodSeconds": 1800, "startupSeconds": 31}, lambda r: [
        r.pod["terminationGracePeriodSeconds"] == 1800,
        r.weir["startupProbe"]["periodSeconds"] * r.weir["startupProbe"]["failureThreshold"] == 32,
    ]),
    # 1 h 30 min of the job, 2 min of the process, and half a minute.
    "grace_as_the_job_needs_it": ({"job": KAFKA.replace('"weir": 1,', '"weir": 1, "execution": {"checkpoint": {"timeout": "1h30m"}},'), "secrets": ["kafka"],
                                   "config": {"stop_timeout": "119999ms"}}, lambda r: [r.pod["terminationGracePeriodSeconds"] == 5400 + 120 + 30]),
    "grace_of_a_job_with_comments": ({"job": COMMENTED.replace('"name"', '"execution": {"checkpoint": {"timeout": "10m"}}, "name"', 2)}, lambda r: [
        r.pod["terminationGracePeriodSeconds"] == 690]),
    # The chart does not put parameters in.
    "grace_of_a_parameter": ({"job": KAFKA.replace('"params": {', '"execution": {"checkpoint": {"timeout": "${params.window}"}}, "params": {'), "secrets": ["kafka"]},
                             lambda r: [r.pod["terminationGracePeriodSeconds"] == 390]),
    "no_monitoring": ({"monitoring": {"podMonitor": False, "rules": False, "absentAlert": False, "dashboards": False}}, lambda r: [
        not r.all("PodMonitor") and not r.all("PrometheusRule"),
        len(r.all("ConfigMap")) == 1,
        r.template["metadata"]["annotations"]["prometheus.io/scrape"] == "true",
    ], {"api": [OPERATOR]}),
    "only_the_absent_alert": ({"monitoring": {"rules": False}}, lambda r: [
        [x.get("alert") for x in r.rules] == ["WeirJobAbsent"],
    ], {"api": [OPERATOR]}),
    "monitoring_labels": ({"monitoring": {"labels": {"release": "stack", "app.kubernetes.io/part-of": "shop"}, "scrapeInterval": "20s"}}, lambda r: [
        r.one("PodMonitor")["metadata"]["labels"]["release"] == r.one("PrometheusRule")["metadata"]["labels"]["release"] == "stack",
        r.one("PodMonitor")["metadata"]["labels"]["app.kubernetes.io/part-of"] == "shop",
        r.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["interval"] == "20s",
    ], {"api": [OPERATOR]}),
    "runbooks": ({"monitoring": {"runbookBase": "https://wiki.example/weir/"}}, lambda r: [
        r.alert("WeirSinkStuck")[0]["annotations"]["runbook_url"] == "https://wiki.example/weir/docs/dashboards_and_alerts.md#weirsinkstuck",
        all("runbook_url" in rule["annotations"] for rule in r.rules if "alert" in rule),
    ], {"api": [OPERATOR]}),
    "thresholds": ({"alertThresholds": {"checkpointSeconds": 300, "lagRecords": 2500000, "stateBytes": 2000000000000}}, lambda r: [
        r.alert("WeirCheckpointSlow")[0]["expr"].endswith("> 300") and "300 s" in r.alert("WeirCheckpointSlow")[0]["annotations"]["summary"],
        r.alert("WeirLagGrowing")[0]["expr"].endswith("> 2500000"),
        r.alert("WeirStateGrowth")[0]["expr"].endswith("> 2000000000000"),
        "2000000000000 bytes" in r.alert("WeirStateGrowth")[0]["annotations"]["summary"],
    ], {"api": [OPERATOR]}),
    "closed_network": ({"networkPolicy": {
        "egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 9092, "protocol": "TCP"}]}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}}, lambda r: [
            r.one("NetworkPolicy")["spec"]["policyTypes"] == ["Ingress", "Egress"],
            [sorted(p["port"] for p in rule["ports"]) for rule in r.one("NetworkPolicy")["spec"]["egress"]] == [[53, 53], [9092]],
            r.one("NetworkPolicy")["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "monitoring",
            # The pod of `helm test` may ask too.
            any(source.get("podSelector", {}).get("matchLabels", {"": ""}).items() <= r.one("Pod")["metadata"]["labels"].items()
                for source in r.one("NetworkPolicy")["spec"]["ingress"][0]["from"]),
        ]),
    "no_network_policy": ({"networkPolicy": {"enabled": False}}, lambda r: [not r.all("NetworkPolicy")]),
    "scheduling": ({"nodeSelector": {"disk": "nvme"}, "priorityClassName": "high",
                    "tolerations": [{"key": "streams", "operator": "Exists", "effect": "NoSchedule"}],
                    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}}}, lambda r: [
                            r.pod["nodeSelector"] == {"disk": "nvme"} and r.pod["priorityClassName"] == "high",
                            r.pod["tolerations"][0]["key"] == "streams" and "nodeAffinity" in r.pod["affinity"],
                        ]),
    "annotations": ({"podAnnotations": {"prometheus.io/scrape": "false", "team": "shop"},
                     "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/weir"}}}, lambda r: [
                         r.template["metadata"]["annotations"]["prometheus.io/scrape"] == "false",
                         r.template["metadata"]["annotations"]["team"] == "shop",
                         r.one("ServiceAccount")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].endswith("weir"),
                     ]),
    "image": ({"image": {"repository": "registry.example/data/weir", "tag": "1.2.3", "pullPolicy": "Always"}, "imagePullSecrets": ["pull"]}, lambda r: [
        r.weir["image"] == r.one("Pod")["spec"]["containers"][0]["image"] == "registry.example/data/weir:1.2.3",
        r.weir["imagePullPolicy"] == "Always" and r.pod["imagePullSecrets"] == [{"name": "pull"}],
    ]),
    "release_that_has_the_word": ({}, lambda r: [r.one("StatefulSet")["metadata"]["name"] == "weir-clicks"], {"release": "weir-clicks"}),
    "longest_release_name": ({}, lambda r: [r.one("StatefulSet")["metadata"]["name"].endswith("-weir")], {"release": "r" + "0123456789" * 5 + "ab"}),
}

# Values that are refused -> a word that the message must have.
REFUSED = {
    "replicas": ({"replicas": 3}, "replicas"),
    "object_store_of_another_kind": ({"storage": {"url": "gs://bucket/weir"}}, "url"),
    "object_store_without_bucket": ({"storage": {"url": "s3://"}}, "url"),
    "keys_and_role": ({"storage": {"url": "s3://bucket/weir", "credentialsSecret": "k", "roleArn": "arn:aws:iam::1:role/weir"}}, "give one of them"),
    "keys_without_url": ({"storage": {"credentialsSecret": "k"}}, "storage.url"),
    "endpoint_with_path": ({"config": {"s3_endpoint": "https://minio.example/x"}}, "s3_endpoint"),
    "misspelt_limit": ({"resources": {"limits": {"memory": "4Gi", "memroy": "4Gi"}}}, "memroy"),
    "no_memory_limit": ({"resources": {"limits": {"cpu": "2", "memory": None}}}, "memory"),
    "job_and_config_map": ({"job": KAFKA, "existingConfigMap": "my-job"}, "give one of them"),
    "job_that_is_no_json": ({"job": "{"}, "JSON"),
    "job_with_open_comment": ({"job": "{\"weir\": 1, /* \"name\": \"clicks\"}"}, "JSON"),
    "scrapes_too_rare": ({"monitoring": {"scrapeInterval": "30s"}}, "scrapeInterval"),
    "nonce_with_blanks": ({"fromNonce": "a b"}, "fromNonce"),
    "job_without_name": ({"job": "{\"weir\": 1}"}, "no name"),
    "job_as_an_object": ({"job": KAFKA_JOB}, "job"),
    "from_a_word": ({"from": "newest"}, "from"),
    "from_number_unquoted": ({"from": 17}, "from"),
    "unknown_process_setting": ({"config": {"state_dir": "/tmp"}}, "state_dir"),
    "insecure": ({"config": {"insecure": "true"}}, "insecure"),
    "more_memory_than_the_pod_has": ({"config": {"memory_limit": "5GiB"}}, "config.memory_limit"),
    "memory_in_words_of_kubernetes": ({"config": {"memory_limit": "1Gi"}}, "memory_limit"),
    "no_threads": ({"config": {"threads": 0}}, "threads"),
    "secret_with_value": ({"secrets": [{"name": "kafka", "password": "x"}]}, "secrets"),
    "secret_twice": ({"secrets": ["kafka", "kafka"]}, "secrets"),
    "size_in_words": ({"storage": {"size": "twenty"}}, "size"),
    "grace_of_zero": ({"terminationGracePeriodSeconds": 0}, "terminationGracePeriodSeconds"),
    "pull_policy": ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "threshold_below_zero": ({"alertThresholds": {"lagRecords": -1}}, "lagRecords"),
    "job_name_no_job_can_have": ({"jobName": "my-job"}, "jobName"),
    "env_without_name": ({"extraEnv": [{"value": "x"}]}, "extraEnv"),
}

# Objects of the values that are open because Kubernetes says what may stand in them.
OPEN = {
    "secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef", "extraVolumes[]", "extraVolumeMounts[]", "podSelector", "namespaceSelector",
    "ipBlock", "tolerations[]", "nodeAffinity", "podAffinity", "podAntiAffinity", "global",
}
CHECKSUMS = {}


def run(command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, check=False, **options)


def helm_arguments(values_file, options):
    arguments = [options.get("release", "clicks"), CHART, "--namespace", NAMESPACE, "--values", values_file]
    for api in options.get("api", []):
        arguments += ["--api-versions", api]
    return arguments


def to_objects(helm, texts, folder):
    """YAML text by name -> objects by name; the parsing is Helm's."""
    chart = folder / "parse"
    (chart / "templates").mkdir(parents=True)
    (chart / "in").mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: parse\nversion: 1.0.0\n")
    (chart / "templates" / "out.yaml").write_text(
        '{{ range $path, $_ := .Files.Glob "in/*" }}\n---\n{{ dict "path" $path "object" ($.Files.Get $path | fromYaml) | toJson }}\n{{ end }}')
    for name, text in texts.items():
        for i, part in enumerate(re.split(r"(?m)^---\n", text)):
            if re.search(r"(?m)^[^#\s]", part):
                (chart / "in" / f"{name}.{i:03}").write_text(part)
    done = run([helm, "template", "parse", chart])
    if done.returncode != 0:
        raise SystemExit(f"cannot parse: {done.stderr}")
    objects = {name: [] for name in texts}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            objects[entry["path"][3:-4]].append(entry["object"])
    return objects


def check_pod(where, spec, labels):
    """The restricted Pod Security Standard, and names that must fit together."""
    security = spec["securityContext"]
    expect(security["runAsNonRoot"] is True and security["runAsUser"] == 65532 and security["fsGroup"] == 65532, f"{where}: user")
    expect(security["seccompProfile"] == {"type": "RuntimeDefault"}, f"{where}: seccomp")
    expect(spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, f"{where}: token or service links")
    expect(not any(spec.get(k) for k in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")), f"{where}: host namespaces")
    volumes = [v["name"] for v in spec["volumes"]]
    expect(len(volumes) == len(set(volumes)), f"{where}: a volume twice: {volumes}")
    expect(not any("hostPath" in v for v in spec["volumes"]), f"{where}: hostPath")
    for container in spec["containers"]:
        security = container["securityContext"]
        expect(security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, f"{where}: container")
        mounts = container["volumeMounts"]
        expect(len({m["mountPath"] for m in mounts}) == len(mounts), f"{where}: a mount twice")
        for mount in mounts:
            expect(mount["name"] in volumes + labels, f"{where}: mount of unknown volume {mount['name']}")
        names = [e["name"] for e in container.get("env", [])]
        expect(len(names) == len(set(names)), f"{where}: an environment variable twice: {names}")
        ports = {p["name"] for p in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                expect(container[probe]["httpGet"]["port"] in ports, f"{where}: {probe} asks an unknown port")
        tag = container["image"].rsplit(":", 1)[-1]
        expect(":" in container["image"].rsplit("/", 1)[-1] and tag != "latest", f"{where}: image without a version: {container['image']}")
        expect({"memory"} <= set(container["resources"]["limits"]), f"{where}: no memory limit")


def check_objects(name, rendered, schemas):
    for thing in rendered.objects:
        where = f"{name}: {thing.get('kind')} {thing.get('metadata', {}).get('name')}"
        for problem in schemas.problems(thing):
            fail(f"{where}: {problem}")
        meta = thing["metadata"]
        expect(len(meta["name"]) <= 63 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", meta["name"]), f"{where}: name")
        expect("namespace" not in meta or meta["namespace"] == NAMESPACE, f"{where}: namespace")
        for label in ("name", "instance", "version", "component", "part-of", "managed-by"):
            expect(f"app.kubernetes.io/{label}" in meta["labels"], f"{where}: no label {label}")
        expect("helm.sh/chart" in meta["labels"], f"{where}: no chart label")
        for value in list(meta["labels"].values()):
            expect(isinstance(value, str) and len(value) <= 63, f"{where}: label {value!r}")
    names = [(o["kind"], o["metadata"]["name"]) for o in rendered.objects]
    expect(len(names) == len(set(names)), f"{name}: an object twice")
    expect(not rendered.all("Secret"), f"{name}: a Secret of the chart's own")

    labels = rendered.template["metadata"]["labels"]
    selectors = [rendered.set["selector"]["matchLabels"], rendered.one("Service")["spec"]["selector"]]
    selectors += [o["spec"]["podSelector"]["matchLabels"] for o in rendered.all("NetworkPolicy")]
    selectors += [o["spec"]["selector"]["matchLabels"] for o in rendered.all("PodMonitor")]
    for selector in selectors:
        expect(selector.items() <= labels.items(), f"{name}: {selector} does not select the pod")
        # Immutable once installed: nothing in it may change with a version.
        expect(set(selector) == {f"app.kubernetes.io/{x}" for x in ("name", "instance", "component")}, f"{name}: selector {selector}")
        expect(not selector.items() <= rendered.one("Pod")["metadata"]["labels"].items(), f"{name}: {selector} selects the test pod too")
    expect(rendered.set["serviceName"] == rendered.one("Service")["metadata"]["name"], f"{name}: serviceName")
    expect(rendered.pod["serviceAccountName"] == rendered.one("ServiceAccount")["metadata"]["name"], f"{name}: serviceAccountName")
    ports = {p["name"]: p["containerPort"] for p in rendered.weir["ports"]}
    expect(ports == {"health": 8081}, f"{name}: ports {ports}")
    expect(all(p["targetPort"] in ports for p in rendered.one("Service")["spec"]["ports"]), f"{name}: the Service's target")
    check_pod(f"{name}: pod", rendered.pod, [t["metadata"]["name"] for t in rendered.set.get("volumeClaimTemplates", [])])
    check_pod(f"{name}: test pod", rendered.one("Pod")["spec"], [])
    expect(rendered.one("Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test", f"{name}: the test pod is no test hook")


def check_job(name, values, rendered, folder):
    """The binary takes the job, its parameters and every flag that the pod has."""
    if values.get("existingConfigMap"):
        return
    job = folder / f"{name}.weir.json"
    job.write_text(rendered.one("ConfigMap", "-job")["data"]["job.weir.json"])
    secrets = folder / "secrets" / "kafka"
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / "password").write_text("x")
    environment = {**os.environ, **{k: v for k, v in rendered.env.items() if isinstance(v, str)}, "WEIR_SECRETS_DIR": str(folder / "secrets")}
    arguments = [a.replace("/var/lib/weir", str(folder / "data")) for a in rendered.args[2:]]
    done = run([WEIR, "validate", job, "--no-environment"] + (arguments[arguments.index("-p"):] if "-p" in arguments else []), env=environment)
    expect(done.returncode == 0, f"{name}: weir validate: {done.returncode} {done.stdout}{done.stderr}")
    done = run([WEIR, "run", job, "--dry-run", "--no-environment"] + arguments, env=environment)
    # --from of a checkpoint that is not there is refused, but the flag is understood: anything but wrong usage.
    expect(done.returncode == 0 or ("--from" in arguments and done.returncode != 2), f"{name}: weir run: {done.returncode} {done.stdout}{done.stderr}")


class Answers:
    """A server that answers each connection with the same text; without one it says nothing and holds the connection."""

    def __init__(self, text):
        self.socket, self.held = socket.create_server(("127.0.0.1", 0)), []
        self.port = self.socket.getsockname()[1]

        def serve():
            while True:
                try:
                    connection = self.socket.accept()[0]
                except OSError:
                    return
                if text is None:
                    self.held.append(connection)
                    continue
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    asked += connection.recv(4096) or b"\r\n\r\n"
                connection.sendall(text.encode())
                connection.close()

        threading.Thread(target=serve, daemon=True).start()


def check_test_pod(rendered, folder):
    """The script of `helm test` on this machine, against what the Service may answer; its job writes where this pod cannot."""
    container = rendered.one("Pod")["spec"]["containers"][0]
    programs = folder / "programs"
    programs.mkdir()
    (programs / "weir").symlink_to(pathlib.Path(WEIR).resolve())
    job = folder / "test-pod.weir.json"
    job.write_text(rendered.one("ConfigMap", "-job")["data"]["job.weir.json"])

    def outcome(text, file=job):
        server = Answers(text)
        script, *rest = [a.replace("8081", str(server.port)) for a in container["args"]]
        if text is None:
            script = script.replace("-t 20", "-t 2")
        done = run([*container["command"], script, *[str(file) if a == "/etc/weir/job/job.weir.json" else a for a in rest]],
                   env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "WEIR_SERVICE": "127.0.0.1", "WEIR_ALLOWED_PATHS": "/proc/nowhere"})
        server.socket.close()
        return done.returncode, done.stdout + done.stderr

    code, said = outcome("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    expect(code == 0 and "readyz: HTTP/1.1 200 OK" in said, f"helm test of a healthy job: {code} {said}")
    code, said = outcome("HTTP/1.1 503 Service Unavailable\r\n\r\nno answer from kafka:9092")
    expect(code == 1 and "no answer from kafka:9092" in said, f"helm test of a job that is not ready: {code} {said}")
    code, said = outcome(None)
    expect(code == 1 and "no answer from 127.0.0.1" in said, f"helm test of a job that does not answer: {code} {said}")
    job_of_nothing = folder / "invalid.weir.json"
    job_of_nothing.write_text('{"weir": 1, "name": "x"}')
    code, said = outcome("HTTP/1.1 200 OK\r\n\r\nok", job_of_nothing)
    expect(code == 1 and "readyz" not in said, f"helm test of an invalid job: {code} {said}")


def check_rules(rendered, source):
    """The PrometheusRule is deploy/prometheus/rules.yml, but for this job and its namespace."""
    expected = json.loads(json.dumps(source["groups"]))
    scope = f'job_name="hello_weir",namespace="{NAMESPACE}"'
    for group in expected:
        for rule in group["rules"]:
            rule["expr"] = rule["expr"].replace('job_name=~".+"', scope)
            rule["labels"] = {**rule.get("labels", {}), "namespace": NAMESPACE}
            if rule.get("alert") == "WeirJobAbsent":
                rule["expr"] = f"absent(weir_job_state{{{scope}}})"
                rule["annotations"]["summary"] = rule["annotations"]["summary"].replace("NAME", "hello_weir")
            if rule.get("alert") == "WeirStateGrowth":
                rule["expr"] = rule["expr"].replace("1e10", "10000000000")
                rule["annotations"]["summary"] = rule["annotations"]["summary"].replace("10 GB", "10000000000 bytes")
    actual = rendered.one("PrometheusRule")["spec"]["groups"]
    expect(actual == expected, f"the PrometheusRule differs from deploy/prometheus/rules.yml:\n{json.dumps(actual)}\n{json.dumps(expected)}")


def check_schema(values, schema):
    """Every object is closed; values.yaml, the schema and the README name the same values."""
    definitions = schema["definitions"]

    def walk(node, path):
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[1]]
        for part in node.get("allOf", []):
            if "$ref" in part:
                walk(part, path)
        if node.get("type") == "object" and path.split(".")[-1] not in OPEN:
            expect(node.get("additionalProperties", True) is not True, f"values.schema.json: {path or '(top)'} is open")
        if "items" in node:
            walk(node["items"], f"{path}[]")
        for name, child in node.get("properties", {}).items():
            walk(child, f"{path}.{name}" if path else name)

    walk(schema, "")
    expect(set(schema["properties"]) - {"global"} == set(values), f"values.yaml and schema differ: {set(schema['properties']) ^ set(values)}")
    readme = (CHART / "README.md").read_text()
    for name, value in values.items():
        properties = schema["properties"][name].get("properties", {})
        if isinstance(value, dict) and value and name not in ("config", "resources"):
            expect(set(value) == set(properties), f"values.yaml and schema differ below {name}: {set(value) ^ set(properties)}")
        leaves = [f"{name}.{leaf}" for leaf in value] if properties and name not in ("config", "resources", "affinity") else [name]
        for leaf in leaves:
            expect(f"`{leaf}`" in readme, f"deploy/helm/weir/README.md does not name `{leaf}`")


def main():
    tools = pathlib.Path(run([SOURCE / "deploy" / "third_party" / "kubernetes_tools.sh", "--prefix"]).stdout.strip())
    if not tools.is_dir():
        print(f"chart_test.py: Skipped\nnothing of the Helm chart was tested: no {tools}; ./dev k8s tools fetches it")
        return SKIPPED
    helms = [tools / "helm4", tools / "helm3"]
    schemas = Schemas(tools / "kubernetes.json", [tools / "podmonitor.json", tools / "prometheusrule.json"])

    with tempfile.TemporaryDirectory(prefix="weir-chart-") as temporary:
        folder = pathlib.Path(temporary)
        for helm in helms:
            for options in ([], ["--strict"]):
                done = run([helm, "lint", CHART, *options])
                expect(done.returncode == 0, f"{helm.name} lint {options}: {done.stdout}{done.stderr}")

        texts = {}
        for name, (values, _, *options) in CASES.items():
            file = folder / f"{name}.json"
            file.write_text(json.dumps(values))
            outputs = []
            for helm in helms:
                done = run([helm, "template", *helm_arguments(file, options[0] if options else {})])
                expect(done.returncode == 0, f"{name}: {helm.name}: {done.stderr}")
                outputs.append(done.stdout)
            expect(outputs[0] == outputs[1], f"{name}: Helm 4 and Helm 3 render differently")
            texts[name] = outputs[0]
        texts["_values"] = (CHART / "values.yaml").read_text()
        texts["_rules"] = (SOURCE / "deploy" / "prometheus" / "rules.yml").read_text()
        objects = to_objects(helms[0], texts, folder)
        renderings = {name: Rendered(objects[name]) for name in CASES}
        CHECKSUMS["job"] = renderings["job"].template["metadata"]["annotations"]["weir.dev/job-checksum"]
        for name, (values, holds, *_) in CASES.items():
            rendered = renderings[name]
            for problem in repeated_keys(texts[name]):
                fail(f"{name}: {problem}")
            check_objects(name, rendered, schemas)
            check_job(name, values, rendered, folder)
            try:
                for number, condition in enumerate(holds(rendered), 1):
                    expect(condition, f"{name}: expectation {number} does not hold")
            except (AssertionError, KeyError, IndexError, ValueError) as error:
                fail(f"{name}: {error!r}")

        for name, (values, word) in REFUSED.items():
            file = folder / f"refused-{name}.json"
            file.write_text(json.dumps(values))
            for helm in helms:
                done = run([helm, "template", *helm_arguments(file, {})])
                expect(done.returncode != 0, f"{name}: {helm.name} takes values that make no sense")
                expect(word in done.stderr, f"{name}: {helm.name} does not say '{word}': {done.stderr}")

        check_test_pod(renderings["job_that_writes_files"], folder)
        check_rules(renderings["operator"], objects["_rules"][0])
        dashboard = renderings["operator"].one("ConfigMap", "-dashboards")
        expect(dashboard["metadata"]["labels"]["grafana_dashboard"] == "1", "the dashboard has no label")
        for name in ("job", "checkpoints", "overview"):
            expect(dashboard["data"][f"weir-{name}.json"] == (SOURCE / "deploy" / "grafana" / f"{name}.json").read_text(), f"the chart's {name} dashboard differs")
        check_schema(objects["_values"][0], json.loads((CHART / "values.schema.json").read_text()))

        # What comes out of `helm package` holds the linked files themselves.
        done = run([helms[0], "package", CHART, "--destination", folder])
        expect(done.returncode == 0, f"helm package: {done.stderr}")
        for package in folder.glob("weir-*.tgz"):
            done = run([helms[0], "template", "clicks", package, "--namespace", NAMESPACE, "--api-versions", OPERATOR, "--values", folder / "operator.json"])
            expect(done.stdout == texts["operator"], "the packaged chart renders differently")

        done = run([helms[0], "install", *helm_arguments(folder / "defaults.json", {}), "--dry-run=client"])
        for line in ("rollout status statefulset/clicks-weir", "logs -f clicks-weir-0", "helm -n streams test clicks"):
            expect(line in done.stdout, f"NOTES.txt does not say '{line}': {done.stdout[-800:]}{done.stderr}")
        expect("WARNING" not in done.stdout, f"NOTES.txt warns of the defaults: {done.stdout[-800:]}")
        (folder / "hasty.json").write_text(json.dumps({"terminationGracePeriodSeconds": 389}))
        done = run([helms[0], "install", *helm_arguments(folder / "hasty.json", {}), "--dry-run=client"])
        expect("WARNING: terminationGracePeriodSeconds is 389, but a final checkpoint may take 390 s" in done.stdout,
               f"NOTES.txt does not warn of a short grace period: {done.stdout[-800:]}{done.stderr}")

    print(f"{len(CASES)} sets of values rendered twice, {len(REFUSED)} refused, {sum(len(r.objects) for r in renderings.values())} objects checked")
    return 1 if fail.count else 0


if __name__ == "__main__":
    sys.exit(main())
