#!/usr/bin/env python3
"""The Helm chart and the image on a real Kubernetes cluster with a real Kafka: what docs/kubernetes.md says happens is made to happen, and looked at.

Makes the image of the binary, starts deploy/k8s/cluster.sh with two nodes and a broker that pods reach, and ends both. The self-checking workload of tests/chaos runs as the job: results are
compared with its oracle after pods were deleted, processes killed, releases upgraded, and a node lost. Prints the times that it measured; none is an assertion.
Needs root, the packages that `./dev k8s test` installs, the tools of `./dev k8s tools` and the programs of `./dev k8s build`; without them it says that it tested nothing.

usage: cluster_test.py WEIR_BINARY SOURCE_DIRECTORY WORKLOAD_BINARY [CASE...]
"""
import argparse
import base64
import glob
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

WEIR, SOURCE, WORKLOAD = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
sys.path[:0] = [str(SOURCE / "tests" / name) for name in ("deploy", "chaos", "memory")]
import chaos  # noqa: E402  after its folder is known
import chart_test  # noqa: E402
import memory_limit  # noqa: E402

CHART = SOURCE / "deploy" / "helm" / "weir"
CLUSTER = SOURCE / "deploy" / "k8s" / "cluster.sh"
KAFKA = SOURCE / "deploy" / "kafka" / "kafka.sh"
MACHINE = "172.30.213.254"  # this machine as pods see it
NAMESPACE = chart_test.NAMESPACE
SKIPPED = 77
IMAGE_MIB_MAX = 120 * 1000 * 1000 >> 20  # 120 MB
SECONDS_MAX = 180
RATE = 1000  # records a second of the workload
FILES = "/var/lib/weir/files"
# Small enough for several pods on the two cores of a test machine.
SMALL = {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
         "terminationGracePeriodSeconds": 60, "startupSeconds": 120, "config": {"connect_timeout": "1m"}}
TO_NODE1 = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 100, "preference": {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"]}]}}]}}

work = pathlib.Path(tempfile.mkdtemp(prefix="weir_cluster_"))
figures = []


def figure(what, seconds):
    figures.append((what, seconds))
    print(f"  {what}: {seconds:.1f} s", flush=True)


def run(*command, ok=True, timeout=SECONDS_MAX, **options):
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, **options)
    done.output = done.stdout + done.stderr
    if ok and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.output}")
    return done


def until(what, condition, seconds=SECONDS_MAX, pause=0.1):
    """The first true value of the condition, and how long that took."""
    begin = time.monotonic()
    while True:
        value = condition()
        if value:
            return value, time.monotonic() - begin
        if time.monotonic() - begin > seconds:
            raise AssertionError(f"{what}: not within {seconds} s\n{describe()}")
        time.sleep(pause)


def describe():
    """What somebody would look at."""
    text = run(CLUSTER, "kubectl", "-n", NAMESPACE, "get", "pods,pvc,events", ok=False).stdout
    for pod in cluster.pods() if cluster else []:
        text += f"\n--- {pod['metadata']['name']}: {json.dumps(pod.get('status', {}).get('containerStatuses'))}\n"
        text += kubectl("logs", pod["metadata"]["name"], "--tail", "20", ok=False).stdout
    return text


def kubectl(*arguments, **options):
    return run(CLUSTER, "kubectl", "-n", NAMESPACE, *arguments, **options)


class Cluster:
    """Reads of the API server, which kubectl would make slowly."""

    def __init__(self):
        self.folder = pathlib.Path(re.search(r"KUBECONFIG=(\S+)/admin.kubeconfig", run(CLUSTER, "status").stdout)[1])
        self.kubeconfig = self.folder / "admin.kubeconfig"
        text = self.kubeconfig.read_text()
        for name in ("certificate-authority-data", "client-certificate-data", "client-key-data"):
            (work / name).write_bytes(base64.b64decode(re.search(rf"{name}: ([\w+/=]+)", text)[1]))
        self.server = re.search(r'server: "(\S+)"', text)[1]
        self.tls = ssl.create_default_context(cafile=work / "certificate-authority-data")
        self.tls.load_cert_chain(work / "client-certificate-data", work / "client-key-data")

    def get(self, path):
        with urllib.request.urlopen(self.server + path, context=self.tls, timeout=10) as answer:
            return json.load(answer)

    def pods(self):
        return self.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]


cluster = None


def address_of(pod):
    """As it stands in a URL."""
    address = pod["status"]["podIP"]
    return f"[{address}]" if ":" in address else address


class Release:
    """A release of the chart with a pod NAME-weir-0."""

    def __init__(self, name, values, helm=4):
        self.name, self.values, self.helm_version = name, values, helm
        self.pod_name = f"{name}-weir-0"

    def helm(self, *arguments, **options):
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), **{f"HELM_{kind}_HOME": str(work / f"helm{kind}") for kind in ("CACHE", "CONFIG", "DATA")}}
        return run(tools / f"helm{self.helm_version}", "--namespace", NAMESPACE, *arguments, env=environment, **options)

    def apply(self, verb, *arguments, **options):
        file = work / f"{self.name}.values.json"
        file.write_text(json.dumps(self.values))
        return self.helm(verb, self.name, CHART, "--values", file, *arguments, **options)

    def install(self, *arguments):
        begin = time.monotonic()
        self.apply("install", *arguments)
        return begin

    def pod(self):
        for pod in cluster.pods():
            if pod["metadata"]["name"] == self.pod_name:
                return pod
        return None

    def container(self):
        statuses = (self.pod() or {}).get("status", {}).get("containerStatuses")
        return statuses[0] if statuses else None

    def is_ready(self, but=None):
        """The id of the running container if it is ready and is not `but`."""
        pod = self.pod()
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return None
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
        identity = pod["status"]["containerStatuses"][0]["containerID"] if ready else None
        return identity if identity != but else None

    def wait_ready(self, but=None, seconds=SECONDS_MAX):
        return until(f"{self.pod_name} is ready", lambda: self.is_ready(but), seconds)[0]

    def running(self, but=None):
        """As soon as the job runs, which the kubelet sees up to 5 s later: asked for by the pod's own address."""
        pod = self.pod()
        status = (pod or {}).get("status", {})
        identity = (status.get("containerStatuses") or [{}])[0].get("containerID")
        if pod is None or "podIP" not in status or identity in (None, but):
            return None
        try:
            with urllib.request.urlopen(f"http://{address_of(pod)}:8081/readyz", timeout=2) as answer:
                return identity if answer.status == 200 else None
        except OSError:
            return None

    def readiness(self):
        """What /readyz says, whatever its code."""
        try:
            with urllib.request.urlopen(f"http://{address_of(self.pod())}:8081/readyz", timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.read().decode()

    def metric(self, name):
        with urllib.request.urlopen(f"http://{address_of(self.pod())}:8081/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[{{ ]", line))

    def checkpoints(self):
        """How many the running process has completed."""
        return self.metric(r'weir_checkpoints_total\{[^}]*outcome="completed"[^}]*\}')

    def wait_checkpoints(self, more=1):
        before = self.checkpoints()
        until(f"{self.pod_name} takes checkpoints", lambda: self.checkpoints() >= before + more)

    def log(self, *arguments):
        return kubectl("logs", self.pod_name, *arguments, ok=False).stdout

    def groups(self):
        """Control groups of the container, one for each controller of version 1, one in all of version 2."""
        pod = self.pod()
        container = self.container()["containerID"].rsplit("/", 1)[1]
        return glob.glob(f"/sys/fs/cgroup/**/pod{pod['metadata']['uid']}/{container}", recursive=True)

    def process(self):
        """The id of weir on this machine."""
        return int(pathlib.Path(self.groups()[0], "cgroup.procs").read_text().split()[0])

    def volume(self):
        """The folder of the claim on this machine."""
        claim = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/data-{self.pod_name}")
        volume = cluster.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")["spec"]
        return pathlib.Path((volume.get("local") or volume["hostPath"])["path"])

    def remove(self):
        self.helm("uninstall", self.name, "--wait", ok=False)
        until(f"{self.pod_name} is gone", lambda: self.pod() is None)


class Workload:
    """Feeds the job of tests/chaos without a pause until it is told to stop; its verifier then looks at what the job wrote."""

    def __init__(self, name):
        self.name = name
        options = argparse.Namespace(seed=1, kafka=bootstrap, weir=WEIR, workload=WORKLOAD, rate=RATE)
        self.checks = chaos.Run(options)
        shutil.rmtree(self.checks.work)  # the job's files are on its volume
        self.checks.source, self.checks.result = f"in_{name}", f"out_{name}"
        self.checks.workload("create", self.checks.source, chaos.PARTITIONS)
        self.spec = chaos.job(f"{MACHINE}:{int(bootstrap.rsplit(':', 1)[1]) + 5}", self.checks.source, self.checks.result, FILES)
        self.fed = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join(60)

    def feed(self):
        while not self.stopping.is_set():
            self.checks.workload("feed", self.checks.source, chaos.PARTITIONS, self.fed, RATE * 2, RATE)
            self.fed += RATE * 2

    def job(self):
        return json.dumps(self.spec, indent=1)

    def without_files(self):
        """For a pod whose files end with it: results go to Kafka alone."""
        for node in ("rows", "rows_out", "counts_out"):
            del self.spec["nodes"][node]
        return self

    def close(self):
        """Ends the input; returns what must come of it."""
        self.stop()
        self.checks.workload("close", self.checks.source, chaos.PARTITIONS, chaos.BASE_MS + self.fed + 3_600_000)
        return chaos.oracle(self.fed)

    def finish_in_kafka(self):
        """All that was fed is out; returns what is wrong with the results in Kafka."""
        want = self.close()
        until("the results of everything fed", lambda: len(set(self.checks.workload("dump", self.checks.result, stdout=subprocess.PIPE).stdout.splitlines())) >= len(want),
              pause=2)
        print(f"  {self.fed} records, {len(want)} results", flush=True)
        return self.checks.verify_kafka(want)

    def finish(self, release):
        """All that was fed is out; returns what is wrong with it."""
        want = self.close()
        self.checks.work = str(release.volume() / "files")
        until("the results of everything fed", lambda: sum(1 for _ in chaos.file_rows(f"{self.checks.work}/counts")) >= len(want))
        # The last checkpoint ends the files.
        release.values["suspend"] = True
        release.apply("upgrade", "--wait", "--timeout", "120s")
        until(f"{release.pod_name} is gone", lambda: release.pod() is None)
        print(f"  {self.fed} records, {len(want)} results", flush=True)
        return self.checks.verify(self.fed, want)


def resume(release, what, action):
    """Does something to the pod and measures until the job runs again and until it is ready again; the old container's id must not come back."""
    before = release.wait_ready()
    release.wait_checkpoints()
    begin = time.monotonic()
    action()
    until(f"{release.pod_name} runs again", lambda: release.running(but=before))
    figure(f"{what}: the job runs again after", time.monotonic() - begin)
    release.wait_ready(but=before)
    figure(f"{what}: the pod is Ready again after", time.monotonic() - begin)
    release.wait_checkpoints()


def node_is_ready(name):
    conditions = cluster.get(f"/api/v1/nodes/{name}")["status"]["conditions"]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def resumed_from(release):
    found = re.search(r"resumed from checkpoint (\d+)", release.log())
    return int(found[1]) if found else None


class ClusterTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        print(f"{self._testMethodName}", flush=True)

    def release(self, name, values, **options):
        release = Release(name, values, **options)
        self.addCleanup(release.remove)
        return release

    def workload(self, name):
        load = Workload(name)
        self.addCleanup(load.stop)
        return load

    def test_defaults_become_ready(self):
        """`helm install` with nothing but a name, by Helm 4 and Helm 3, then `helm test`; under the restricted Pod Security Standard."""
        for helm in (4, 3):
            with self.subTest(helm=helm):
                release = self.release(f"hello{helm}", {}, helm=helm)
                begin = release.install("--wait", "--timeout", "120s")
                release.wait_ready()
                figure(f"Helm {helm}: install until Ready", time.monotonic() - begin)
                self.assertEqual(release.container()["restartCount"], 0)
                self.assertIn("Succeeded", release.helm("test", release.name, "--timeout", "60s").stdout)
                until("a row on the log", lambda: '"device"' in release.log())
                release.remove()
                claims = [c["metadata"]["name"] for c in cluster.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")["items"]]
                self.assertIn(f"data-{release.pod_name}", claims, "an uninstalled release keeps its claim")
                # Under the same name again: it goes on.
                release.install("--wait", "--timeout", "120s")
                release.wait_ready()
                self.assertIsNotNone(resumed_from(release), release.log())
                release.remove()

    def test_image_names_its_packages(self):
        """Scanners find each Debian package of the image by a file of its own; what the process has loaded is in one of them, or is weir itself."""
        release = self.release("packages", dict(SMALL))
        release.install("--wait", "--timeout", "120s")
        release.wait_ready()
        process = pathlib.Path("/proc", str(release.process()))
        status = process / "root" / "var" / "lib" / "dpkg" / "status.d"
        wanted = re.search(r"PACKAGES=\(([^)]*)\)", (SOURCE / "deploy" / "image" / "rootfs.sh").read_text())[1]
        wanted = [word for line in wanted.splitlines() if not line.lstrip().startswith("#") for word in line.split()]
        self.assertEqual(sorted(wanted), sorted(f.name for f in status.iterdir() if f.suffix != ".md5sums"))
        for name in wanted:
            fields = dict(line.split(": ", 1) for line in (status / name).read_text().splitlines() if re.match(r"[A-Z][\w-]*: ", line))
            self.assertEqual(fields["Package"], name)
            self.assertTrue(fields["Version"] and fields["Architecture"], name)
        packaged = {"/" + line.split(None, 1)[1] for file in status.glob("*.md5sums") for line in file.read_text().splitlines()}
        # Debian 12 has /lib as a link to /usr/lib; packages name either.
        packaged |= {"/usr" + path for path in packaged if path.startswith("/lib")}
        loaded = {line.split()[5] for line in (process / "maps").read_text().splitlines() if len(line.split()) > 5 and line.split()[5].startswith("/usr/")}
        self.assertIn("/usr/bin/weir", loaded)
        self.assertEqual(loaded - packaged, {"/usr/bin/weir"})

    def test_a_pod_that_is_not_ready_is_found(self):
        """A job whose broker does not answer: the pod lives and waits, the Service leads to it all the same, and `helm test` fails with the reason."""
        job = json.loads(chart_test.KAFKA)
        job["connections"]["main"] = {"type": "kafka", "brokers": f"{MACHINE}:1"}
        release = self.release("waiting", {**SMALL, "job": json.dumps(job), "config": {"connect_timeout": "10m"}})
        release.install()
        until("the pod runs", lambda: ((release.container() or {}).get("state") or {}).get("running"))
        until("the kubelet has seen that it started", lambda: (release.container() or {}).get("started"))
        slices = cluster.get(f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices?labelSelector=kubernetes.io/service-name={release.name}-weir")["items"]
        endpoints = [endpoint for one in slices for endpoint in one["endpoints"]]
        self.assertEqual([(e["addresses"], e["conditions"]["ready"]) for e in endpoints], [([release.pod()["status"]["podIP"]], True)])
        self.assertIsNone(release.is_ready())
        # Brokers are given some seconds before one of them is blamed.
        until("the pod says what it waits for", lambda: f"{MACHINE}:1" in release.readiness())
        done = release.helm("test", release.name, "--timeout", "60s", ok=False)
        self.assertNotEqual(done.returncode, 0, "a release that is not ready must not pass its test")
        said = kubectl("logs", f"{release.name}-weir-test").stdout
        print("  " + said.strip().replace("\n", "\n  "), flush=True)
        self.assertIn(" 503 ", said)
        self.assertIn("the job has not started", said)
        self.assertIn(f"{MACHINE}:1", said)
        self.assertEqual(release.container()["restartCount"], 0, "an outage at the start must not restart the pod")

    def test_from_is_obeyed_once_for_each_nonce(self):
        """`from: none` begins anew once: not when the process starts again, not when the same release is installed again, but with another nonce."""
        release = self.release("anew", dict(SMALL))
        release.install("--wait", "--timeout", "120s")
        before = release.wait_ready()
        release.wait_checkpoints()
        release.values.update({"from": "none", "fromNonce": "first"})
        release.apply("upgrade", "--wait", "--timeout", "120s")
        before = release.wait_ready(but=before)
        self.assertIsNone(resumed_from(release), release.log())
        release.wait_checkpoints()
        run("kill", "-9", release.process())
        before = release.wait_ready(but=before)
        self.assertIsNotNone(resumed_from(release), release.log())
        release.remove()
        release.install("--wait", "--timeout", "120s")
        before = release.wait_ready(but=before)
        self.assertIsNotNone(resumed_from(release), release.log())
        release.values["fromNonce"] = "second"
        release.apply("upgrade", "--wait", "--timeout", "120s")
        release.wait_ready(but=before)
        self.assertIsNone(resumed_from(release), release.log())

    def test_upgrade_and_rollback_by_helm_3(self):
        """Helm 3 merges on the client where Helm 4 lets the server do it: the same release by the older one."""
        release = self.release("three", dict(SMALL), helm=3)
        release.install("--wait", "--timeout", "120s")
        before = release.wait_ready()
        release.values["podAnnotations"] = {"team": "shop"}
        release.apply("upgrade", "--wait", "--timeout", "120s")
        release.wait_ready(but=before)
        self.assertEqual(release.pod()["metadata"]["annotations"]["team"], "shop")
        self.assertIsNotNone(resumed_from(release), release.log())
        before = release.wait_ready()
        release.helm("rollback", release.name, "1", "--wait", "--timeout", "120s")
        release.wait_ready(but=before)
        self.assertNotIn("team", release.pod()["metadata"]["annotations"])

    def test_every_rendering_is_accepted_strictly(self):
        """Each set of values of chart_test.py, by the API server's own rules: unknown fields, formats, limits, admission; PodMonitor and PrometheusRule too."""
        accepted = 0
        for name, (values, _, *options) in chart_test.CASES.items():
            with self.subTest(values=name):
                file = work / "case.json"
                file.write_text(json.dumps(values))
                release = Release((options[0] if options else {}).get("release", "clicks"), values)
                text = release.helm("template", release.name, CHART, "--values", file, "--api-versions", chart_test.OPERATOR).stdout
                done = kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=text)
                accepted += len(done.stdout.splitlines())
                self.assertNotIn("Warning", done.output)
        print(f"  {accepted} objects", flush=True)
        self.assertGreater(accepted, 5 * len(chart_test.CASES))
        # The same way refuses what is wrong.
        for right, wrong in (("replicas: 1", "replicaz: 1"), ("podMetricsEndpoints:", "podMetricEndpoints:"), ("port: health, protocol: TCP", "port: -1, protocol: TCP"),
                             ("runAsNonRoot: true", "runAsNonRoot: false")):
            text = release.helm("template", release.name, CHART, "--api-versions", chart_test.OPERATOR).stdout
            self.assertIn(right, text)
            done = kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=text.replace(right, wrong), ok=False)
            self.assertTrue(done.returncode != 0 or "violate PodSecurity" in done.output, f"{wrong}: {done.output}")

    def test_rights_are_in_force(self):
        """What the chart asks for is looked at from outside, in the kernel's view of the running process."""
        release = self.release("rights", dict(SMALL))
        release.install("--wait", "--timeout", "120s")
        release.wait_ready()
        process = pathlib.Path("/proc", str(release.process()))
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        self.assertEqual(set(status["Uid"].split()) | set(status["Gid"].split()), {"65532"})
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"].strip(), status["Seccomp"].strip()), ("1", "2"))
        mounts = {line.split()[4]: line.split()[5].split(",") for line in (process / "mountinfo").read_text().splitlines()}
        self.assertIn("ro", mounts["/"])
        self.assertIn("rw", mounts["/var/lib/weir"])
        self.assertNotIn("/var/run/secrets/kubernetes.io/serviceaccount", mounts)
        for path in ("/x", "/usr/bin/x", "/etc/weir/job/x"):
            done = kubectl("exec", release.pod_name, "--", "/bin/bash", "-c", f": >{path}", ok=False)
            self.assertIn("Read-only file system", done.output)
        self.assertIn("uid=65532", "uid=" + kubectl("exec", release.pod_name, "--", "/bin/bash", "-c", "echo $UID").stdout)
        # The limits of the pod are the ones that weir took.
        self.assertEqual(release.metric("weir_memory_limit_bytes"), 256 << 20)
        # Only the job's folder and the volume can be written to: all other file systems are the kernel's.
        writable = [path for path, flags in mounts.items() if "rw" in flags and not path.startswith(("/proc", "/sys", "/dev"))]
        self.assertLessEqual(set(writable), {"/var/lib/weir", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})

    def test_killed_pods_resume_from_their_volume(self):
        """The workload of tests/chaos: pods deleted, with and without grace, the process killed; nothing lost, nothing doubled in files."""
        load = self.workload("killed")
        release = self.release("killed", {**SMALL, "job": load.job()})
        begin = release.install()
        release.wait_ready()
        figure("a Kafka job: install until Ready", time.monotonic() - begin)
        # It writes to Kafka and to its volume, neither of which the test pod has.
        self.assertIn("Succeeded", release.helm("test", release.name, "--timeout", "60s").stdout)
        for _ in range(3):
            pod = release.pod()["metadata"]["uid"]
            resume(release, "kill -9 of the process", lambda: run("kill", "-9", release.process()))
            self.assertEqual((release.pod()["metadata"]["uid"], release.container()["restartCount"]), (pod, 1), "restarted in place")
            self.assertEqual(release.container()["lastState"]["terminated"]["exitCode"], 137)
            self.assertIsNotNone(resumed_from(release), release.log())
            resume(release, "kubectl delete pod --force", lambda: kubectl("delete", "pod", release.pod_name, "--force", "--grace-period=0"))
            resume(release, "kubectl delete pod", lambda: kubectl("delete", "pod", release.pod_name))
            self.assertIsNotNone(resumed_from(release), release.log())
        self.assertEqual(load.finish(release), [])

    def test_upgrades(self):
        """Another job: final checkpoint, check, resume; a job that does not fit: refused with its code, and the old one comes back by `helm rollback`."""
        load = self.workload("upgraded")
        release = self.release("upgraded", {**SMALL, "job": load.job()})
        release.install("--wait", "--timeout", "120s")
        release.wait_ready()
        load.spec["execution"]["parallelism"] = 3
        release.values["job"] = load.job()
        with (work / "old.log").open("w") as log:
            follower = subprocess.Popen([CLUSTER, "kubectl", "-n", NAMESPACE, "logs", "-f", release.pod_name], stdout=log, stderr=log)
            self.addCleanup(follower.kill)
            resume(release, "helm upgrade with a changed job", lambda: release.apply("upgrade"))
            follower.wait(60)
        last = (work / "old.log").read_text()
        first = resumed_from(release)
        self.assertIn("stopping: taking a final checkpoint", last)
        self.assertEqual(int(re.findall(r'"checkpoint completed".*"checkpoint":(\d+)', last)[-1]), first, f"{last[-1000:]}\n{release.log()}")
        done = release.helm("history", release.name, "-o", "json")
        self.assertEqual(json.loads(done.stdout)[-1]["revision"], 2)

        # Keys that are made in another way: the windows in the state have no place in the new job.
        load.spec["nodes"]["counts"]["key_by"] = ["v"]
        load.spec["nodes"]["counts_kafka"]["key"] = ["v"]
        old, release.values["job"] = release.values["job"], load.job()
        (work / "old.json").write_text(old)
        (work / "new.json").write_text(release.values["job"])
        plan = run(WEIR, "plan", work / "old.json", work / "new.json", "--allowed-paths", FILES, ok=False)
        self.assertRegex(plan.output, r"counts +reset: the key changed")
        done = release.apply("upgrade", "--wait", "--timeout", "30s", ok=False)
        self.assertNotEqual(done.returncode, 0, "Helm must not call this release ready")
        state = until("the refusal", lambda: (release.container() or {}).get("lastState", {}).get("terminated"))[0]
        self.assertEqual(state["exitCode"], 7, state)
        print("  " + state["message"][-700:].replace("\n", "\n  "), flush=True)
        self.assertIn("counts", state["message"])
        begin = time.monotonic()
        release.helm("rollback", release.name, "--wait", "--timeout", "120s")
        release.wait_ready()
        figure("helm rollback of a refused job until Ready", time.monotonic() - begin)
        self.assertGreaterEqual(resumed_from(release), first)
        release.values["job"] = old
        self.assertEqual(load.finish(release), [])

    def test_memory_limit_is_respected(self):
        """State four times as large as the pod's memory: a right result, and no OOMKilled."""
        limit = 128
        keys = int(4 * (limit << 20) / (memory_limit.KEY_CHARS + memory_limit.NOTE_CHARS + memory_limit.ACCUMULATOR_BYTES)) + 1
        # The input comes by a claim of its own, bound to a volume by name: one that no release has got before.
        volume = next(v for v in cluster.get("/api/v1/persistentvolumes")["items"]
                      if v["metadata"]["name"].startswith("node0-") and v["status"]["phase"] == "Available")
        folder = pathlib.Path(volume["spec"]["local"]["path"])
        rows = memory_limit.write_input(str(folder / "input.ndjson"), keys)
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "input"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "local", "volumeName": volume["metadata"]["name"], "resources": {"requests": {"storage": "1Gi"}}}}
        kubectl("create", "-f", "-", input=json.dumps(claim))
        job = memory_limit.job(FILES, 2)
        job["nodes"]["rows"]["path"] = "/input/input.ndjson"
        memory = f"{limit}Mi"
        release = self.release("memory", {
            **SMALL, "job": json.dumps(job), "resources": {"requests": {"cpu": "1", "memory": memory}, "limits": {"cpu": "2", "memory": memory}},
            "config": {"connect_timeout": "1m", "allowed_paths": f"/input:{FILES}"},
            "extraVolumes": [{"name": "input", "persistentVolumeClaim": {"claimName": "input"}}],
            "extraVolumeMounts": [{"name": "input", "mountPath": "/input", "readOnly": True}]})
        begin = release.install()
        release.wait_ready()
        groups = release.groups()
        peak = [0]

        def ended():
            for group in groups:
                for file in ("memory.max_usage_in_bytes", "memory.peak"):
                    path = pathlib.Path(group, file)
                    if path.exists():
                        try:
                            peak[0] = max(peak[0], int(path.read_text()))
                        except OSError:
                            pass  # the group went with its process
            return (release.container() or {}).get("lastState", {}).get("terminated")

        state = until("the bounded job ends", ended, 600)[0]
        figure(f"{rows} rows, state of {4 * limit} MiB in a pod of {limit} MiB", time.monotonic() - begin)
        print(f"  the control group's peak, page cache included: {peak[0] / 2**20:.0f} MiB", flush=True)
        self.assertEqual((state["exitCode"], state["reason"]), (0, "Completed"), state)
        shutil.copytree(release.volume() / "files" / "out", work / "memory" / "out")
        self.assertEqual(memory_limit.compare(str(work / "memory"), keys), [])

    def test_checkpoints_in_s3(self):
        """No claim: the job moves to any node. A node that is cut off lives on with its pod, and the job goes on elsewhere once its OWNER has not been renewed for 15 s; what the old pod still does is fenced."""
        program = pathlib.Path(run(SOURCE / "deploy" / "third_party" / "versitygw.sh", "--path").stdout.strip())
        if not program.exists():
            self.skipTest(f"SKIPPED: there is no S3 server {program}: deploy/third_party/versitygw.sh builds it")
        folder = work / "s3"
        for name in ("iam", "data/weir"):
            (folder / name).mkdir(parents=True)
        server = subprocess.Popen([program, "--port", f"{MACHINE}:17070", "--region", "us-east-1", "--iam-dir", folder / "iam", "posix", folder / "data"],
                                  env={**os.environ, "ROOT_ACCESS_KEY": "test-key", "ROOT_SECRET_KEY": "test-secret"},
                                  stdout=(folder / "log").open("w"), stderr=subprocess.STDOUT)
        self.addCleanup(lambda: (server.kill(), server.wait()))
        kubectl("create", "secret", "generic", "s3-keys", "--from-literal=AWS_ACCESS_KEY_ID=test-key", "--from-literal=AWS_SECRET_ACCESS_KEY=test-secret")

        load = self.workload("remote").without_files()
        release = self.release("remote", {
            **SMALL, "job": load.job(), "affinity": TO_NODE1, "storage": {"url": "s3://weir/prod", "credentialsSecret": "s3-keys"},
            "config": {**SMALL["config"], "s3_endpoint": f"http://{MACHINE}:17070"}})
        begin = release.install()
        release.wait_ready()
        figure("checkpoints in S3: install until Ready", time.monotonic() - begin)
        claims = [c["metadata"]["name"] for c in cluster.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")["items"]]
        self.assertNotIn(f"data-{release.pod_name}", claims)
        resume(release, "checkpoints in S3, kill -9 of the process", lambda: run("kill", "-9", release.process()))
        self.assertIsNotNone(resumed_from(release), release.log())
        resume(release, "checkpoints in S3, kubectl delete pod", lambda: kubectl("delete", "pod", release.pod_name))
        self.assertIsNotNone(resumed_from(release), release.log())

        self.assertEqual(release.pod()["spec"]["nodeName"], "node1")
        before, old = release.wait_ready(), release.process()
        run(CLUSTER, "isolate", "node1")
        self.addCleanup(lambda: run(CLUSTER, "rejoin", "node1"))
        until("node1 is not ready", lambda: not node_is_ready("node1"))
        begin = time.monotonic()
        kubectl("delete", "pod", release.pod_name, "--force", "--grace-period=0")
        until("the job runs on the other node", lambda: release.running(but=before))
        figure("checkpoints in S3, a node cut off: from delete --force until the job runs on the other node", time.monotonic() - begin)
        release.wait_ready(but=before)
        self.assertEqual(release.pod()["spec"]["nodeName"], "node0")
        self.assertIsNotNone(resumed_from(release), release.log())
        self.assertTrue(os.path.exists(f"/proc/{old}"), "the old pod lives behind the cut")
        run(CLUSTER, "rejoin", "node1")
        until("the old process is gone", lambda: not os.path.exists(f"/proc/{old}"))
        until("node1 is ready", lambda: node_is_ready("node1"))
        release.wait_checkpoints(3)
        self.assertEqual(release.container()["restartCount"], 0)
        self.assertEqual(load.finish_in_kafka(), [])

    def test_loss_of_a_node(self):
        """A machine dies: nothing starts a second pod until somebody says that it is off. A volume that can move brings the job back, one of the machine's own not."""
        load = self.workload("moved")
        moved = self.release("moved", {**SMALL, "job": load.job(), "affinity": TO_NODE1, "storage": {"storageClass": "shared"}})
        tied = self.release("tied", {**SMALL, "affinity": TO_NODE1})
        moved.install()
        tied.install()
        for release in (moved, tied):
            release.wait_ready()
            self.assertEqual(release.pod()["spec"]["nodeName"], "node1")
        moved.wait_checkpoints(3)
        lost = moved.pod()["metadata"]["uid"]

        run(CLUSTER, "crash", "node1")
        figure("a node is lost: the cluster notices after", until("node1 is not ready", lambda: not node_is_ready("node1"))[1])
        figure("after that, the pod is marked for deletion after", until("the pod is marked", lambda: "deletionTimestamp" in moved.pod()["metadata"])[1])
        time.sleep(15)
        self.assertEqual(moved.pod()["metadata"]["uid"], lost, "no second pod while nobody knows whether the first one lives")

        begin = time.monotonic()
        run(CLUSTER, "kubectl", "taint", "node", "node1", "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
        until("the job runs on the other node", moved.running)
        figure("after the taint out-of-service: the job runs on the other node after", time.monotonic() - begin)
        moved.wait_ready()
        self.assertEqual(moved.pod()["spec"]["nodeName"], "node0")
        self.assertIsNotNone(resumed_from(moved), moved.log())
        self.assertEqual(load.finish(moved), [])

        def unscheduled():
            pod = tied.pod()
            return pod and pod["metadata"].get("deletionTimestamp") is None and [
                c["message"] for c in pod["status"].get("conditions", []) if c["type"] == "PodScheduled" and c["status"] == "False"]
        messages = until("the pod with a volume of the lost node waits", unscheduled)[0]
        print(f"  {messages[0]}", flush=True)
        self.assertIn("PersistentVolume's node affinity", messages[0])


class Ipv6Test(unittest.TestCase):
    """A cluster whose nodes, pods and Services have addresses of IPv6 alone, started for this."""

    @classmethod
    def setUpClass(cls):
        run(CLUSTER, "down")
        start_cluster(1, "--ipv6")

    def test_ipv6_alone(self):
        """Probes, metrics, the Service and `helm test`."""
        print(self._testMethodName, flush=True)
        release = Release("six", {})
        self.addCleanup(release.remove)
        begin = release.install("--wait", "--timeout", "120s")
        before = release.wait_ready()
        figure("a cluster of IPv6 alone: install until Ready", time.monotonic() - begin)
        self.assertEqual([":" in one["ip"] for one in release.pod()["status"]["podIPs"]], [True])
        self.assertIn("Succeeded", release.helm("test", release.name, "--timeout", "60s").stdout)
        resume(release, "a cluster of IPv6 alone, kill -9 of the process", lambda: run("kill", "-9", release.process()))
        self.assertNotEqual(release.is_ready(), before)
        self.assertIsNotNone(resumed_from(release), release.log())


def traces():
    """What a cluster could leave on this machine."""
    found = set(pathlib.Path("/proc/self/mounts").read_text().splitlines())
    found |= {line.split(":")[1].strip() for line in run("ip", "-o", "link").stdout.splitlines()}
    found |= set(run("ip", "-4", "route").stdout.splitlines())
    # Of a route that a router has told of, how long it still holds is no trace.
    found |= {re.sub(r" expires \S+", "", line) for line in run("ip", "-6", "route").stdout.splitlines()}
    found |= set(glob.glob("/sys/fs/cgroup/**/*weir-k8s*", recursive=True))
    found |= {path for path in ("/run/containerd", "/run/netns", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods") if os.path.exists(path)}
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            name = pathlib.Path(path).read_text().strip()
        except OSError:
            continue
        if name.startswith(("kube", "containerd", "etcd", "coredns", "tini")):
            found.add(f"process {name}")
    for name in ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        if not pathlib.Path("/proc/sys", name).exists():
            continue
        found.add(f"{name} {pathlib.Path('/proc/sys', name).read_text().strip()}")
    return found


def start_cluster(nodes, *options):
    """With the Prometheus operator's kinds and the namespace of the tests."""
    global cluster
    begin = time.monotonic()
    print(run(CLUSTER, "up", "--nodes", nodes, "--image", work / "image.tar", *options, timeout=900).stdout, end="")
    cluster = Cluster()
    figure(f"a cluster of {nodes} node(s){' with ' + ' '.join(options) if options else ''} until all are Ready", time.monotonic() - begin)
    for kind in ("podmonitor", "prometheusrule"):
        run(CLUSTER, "kubectl", "create", "-f", tools / f"{kind}.json")
        run(CLUSTER, "kubectl", "wait", "--for=condition=Established", "--timeout=60s", f"crd/{kind}s.monitoring.coreos.com")
    run(CLUSTER, "kubectl", "create", "namespace", NAMESPACE)
    run(CLUSTER, "kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")


def set_up():
    global bootstrap
    built = run(SOURCE / "deploy" / "image" / "build.sh", WEIR, work / "image.tar").stdout.splitlines()[-1]
    print(built)
    size = int(re.search(r"(\d+) MiB unpacked", built)[1])
    if size > IMAGE_MIB_MAX:
        raise AssertionError(f"the image has {size} MiB, more than {IMAGE_MIB_MAX} MiB")
    start_cluster(2)
    run(KAFKA, "up", "--port", "0", "--dir", work / "kafka", "--address", MACHINE)
    bootstrap = (work / "kafka" / "bootstrap").read_text().strip()


def main():
    global tools
    tools = pathlib.Path(run(SOURCE / "deploy" / "third_party" / "kubernetes_tools.sh", "--prefix").stdout.strip())
    programs = pathlib.Path(run(SOURCE / "deploy" / "k8s" / "build.sh", "--prefix").stdout.strip())
    missing = [f"{folder} (./dev k8s {verb})" for folder, verb in ((tools, "tools"), (programs, "build")) if not folder.is_dir()]
    missing += [] if os.geteuid() == 0 else ["right of root"]
    missing += [f"program {name} (./dev k8s test installs it)" for name in ("containerd", "buildah", "busybox", "nft", "java") if shutil.which(name) is None]
    missing = ["there is no " + thing for thing in missing]
    if run(CLUSTER, "status", ok=False).returncode == 0:
        missing.append("another cluster is running (./dev k8s down ends it)")
    if missing:
        print("cluster_test.py: Skipped\nnothing was tested on a real Kubernetes cluster: " + ", ".join(missing))
        shutil.rmtree(work)
        return SKIPPED
    before = traces()
    code = 1
    try:
        set_up()
        loader = unittest.TestLoader()
        # As written, so that the run reads like this file.
        lines = {name: method.__code__.co_firstlineno for case in (ClusterTest, Ipv6Test) for name, method in vars(case).items() if name.startswith("test_")}
        loader.sortTestMethodsUsing = lambda a, b: lines[a] - lines[b]
        loader.testNamePatterns = [f"*{name}*" for name in sys.argv[4:]] or None
        result = unittest.TextTestRunner(verbosity=1).run(unittest.TestSuite([loader.loadTestsFromTestCase(case) for case in (ClusterTest, Ipv6Test)]))
        code = 0 if result.wasSuccessful() and result.testsRun else 1
        print("\nmeasured:")
        for what, seconds in figures:
            print(f"  {seconds:7.1f} s  {what}")
    finally:
        run(KAFKA, "down", "--purge", "--dir", work / "kafka", ok=False)
        done = run(CLUSTER, "down", ok=False)
        shutil.rmtree(work, ignore_errors=True)
    left = traces() ^ before
    if left or done.returncode != 0:
        print(f"FAIL: ./dev k8s down left or changed: {sorted(left)} {done.output}")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
