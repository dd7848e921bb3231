#!/usr/bin/env python3
"""Makes the dashboards, and the template from which `weir dashboard` makes one for a single job:

    dashboards.py [DIRECTORY]    writes job.json, checkpoints.json, overview.json, job_template.json there; without one: beside itself

What it makes is committed; a test fails when the two differ. A panel is described once, in PANELS: title, kind, unit, width, expressions, which nodes it
is about, and what to do when it looks wrong. Layout, ids and common settings are made here, so that they cannot be wrong in one panel only. In
expressions <J> stands for the labels that choose a job, <N> for those that choose nodes of it, <R> for the range of a rate. For Grafana 12 or newer.
"""
import json
import os
import re
import sys
from typing import NamedTuple

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# How a dashboard with variables chooses, and how the template does (weir puts the names in).
VARIABLES = {"<J>": 'job_name=~"$job_name",namespace=~"$namespace"', "<N>": 'job_name=~"$job_name",namespace=~"$namespace",node_id=~"$node_id"'}
TEMPLATE = {"<J>": 'job_name="$JOB"', "<N>": 'job_name="$JOB",node_id="$NODE"'}
RATE = "[$__rate_interval]"
# The information is there once for each process: of jobs of one name in several namespaces, or of a pod and the one that took its place.
ROWS_OF_SOURCES = ('rate(weir_node_records_in_total{<J>}<R>) * on (namespace, job_name, node_id) group_left () '
                   'max by (namespace, job_name, node_id) (weir_node_info{<J>,type=~".*_source"})')


class Panel(NamedTuple):
    title: str
    kind: str
    unit: str
    width: int
    targets: list  # (expression, legend)
    description: str
    nodes: str = "job"  # whom it is about: the job, every node, or one of NODE_KINDS


def quantiles(metric, labels, by, points=(0.5, 0.95, 0.99)):
    """Quantiles of a histogram, one line each for every value of the labels in `by`."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return [(f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket{{{labels}}}<R>)))", f"{legend} p{round(q * 100)}") for q in points]


PANELS = {
    # At a glance
    "state": Panel("State", "state-timeline", "none", 24, [("max by (state) (weir_job_state{<J>}) == 1", "{{state}}")],
                   "The state of the job. Anything but running for long: /readyz and the log name the reason, `weir explain CODE` what to do."),
    "in": Panel("Records in", "stat", "rows/s", 6,
                [(f"sum({ROWS_OF_SOURCES})", "in")],
                "Rows read by all sources. Zero with input waiting: look at backpressure below."),
    "out": Panel("Records out", "stat", "rows/s", 6, [('sum(rate(weir_sink_records_total{<J>,outcome="committed"}<R>))', "out")],
                 "Rows that sinks have delivered or published."),
    "watermark": Panel("Watermark lag", "stat", "s", 6, [("max(time() - weir_node_watermark_timestamp_seconds{<J>})", "lag")],
                       "How far event time trails the clock. Growing: a split is silent or the job is too slow."),
    "checkpoint_age": Panel("Age of the last checkpoint", "stat", "s", 6,
                            [("max(time() - weir_checkpoint_last_completed_timestamp_seconds{<J>})", "age")],
                            "Work that a crash would repeat. Above the interval: checkpoints fail or take long, see the log."),
    # Throughput
    "node_in": Panel("Records in per node", "timeseries", "rows/s", 8, [("sum by (node_id) (rate(weir_node_records_in_total{<N>}<R>))", "{{node_id}}")],
                     "Compare neighbours: where it drops, rows are filtered, aggregated or held back.", "node"),
    "node_out": Panel("Records out per node", "timeseries", "rows/s", 8,
                      [("sum by (node_id) (rate(weir_node_records_out_total{<N>}<R>))", "{{node_id}}")], "Rows on all ports of a node.", "node"),
    "bytes_out": Panel("Bytes out per node", "timeseries", "Bps", 8, [("sum by (node_id) (rate(weir_node_bytes_out_total{<N>}<R>))", "{{node_id}}")],
                       "Of sinks: encoded bytes. Wide rows cost exchange memory."),
    "skew": Panel("Skew: busiest to average task", "timeseries", "none", 8,
                  [("max by (node_id) (rate(weir_node_records_in_total{<N>}<R>)) / (avg by (node_id) (rate(weir_node_records_in_total{<N>}<R>)) > 0)",
                    "{{node_id}}")], "1 is even. Far above: a hot key or too few partitions; more parallelism does not help then."),
    "windows": Panel("Windows fired", "timeseries", "ops", 8, [("sum by (node_id) (rate(weir_node_windows_fired_total{<N>}<R>))", "{{node_id}}")],
                     "Results of (key, window). None while rows come in: the watermark stands still.", "state"),
    "outcomes": Panel("Where rows went", "timeseries", "rows/s", 8,
                      [("sum by (node_id, outcome) (rate(weir_node_outcomes_total{<N>}<R>))", "{{node_id}} {{outcome}}")],
                      "Every input row ends in exactly one class.", "node"),
    # Time
    "time": Panel("Busy, idle, backpressured", "timeseries-stacked", "percentunit", 12,
                  [("avg by (node_id, state) (rate(weir_node_time_seconds_total{<N>}<R>))", "{{node_id}} {{state}}")],
                  "The last node that is backpressured stands in front of the one that is too slow.", "node"),
    "busy": Panel("What busy is spent on", "timeseries-stacked", "percentunit", 12,
                  [("avg by (node_id, part) (rate(weir_node_busy_seconds_total{<N>}<R>))", "{{node_id}} {{part}}")],
                  "decode: fewer columns or a leaner format. state_read: more memory. thread_wait: more cores.", "node"),
    "latency": Panel("Record latency", "timeseries", "s", 8, quantiles("weir_record_latency_seconds", "<N>", "node_id"),
                     "Sampled, from the source to each node.", "sink"),
    "watermarks": Panel("Watermark lag per node", "timeseries", "s", 8,
                        [("max by (node_id) (time() - weir_node_watermark_timestamp_seconds{<N>})", "{{node_id}}")],
                        "A step between two nodes is time spent in between."),
    "emit_lag": Panel("Event-time lag of emitted rows", "timeseries", "s", 8,
                      [("max by (node_id) (weir_source_emit_event_time_lag_seconds{<N>})", "{{node_id}}")],
                      "How old the rows are that a source sends on: during a backfill it falls towards zero.", "timed_source"),
    # Data quality
    "late": Panel("Late rows", "timeseries", "rows/s", 8,
                  [("sum by (node_id, action) (rate(weir_node_late_records_total{<N>}<R>))", "{{node_id}} {{action}}")],
                  "Too late for all their windows. Raise max_delay or allowed_lateness, or send them aside.", "state"),
    "late_partial": Panel("Partly late rows", "timeseries", "rows/s", 8,
                          [("sum by (node_id) (rate(weir_node_late_partial_records_total{<N>}<R>))", "{{node_id}}")],
                          "Late for some of their sliding windows: those results are too small."),
    "late_assignments": Panel("Lost window assignments", "timeseries", "ops", 8,
                              [("sum by (node_id) (rate(weir_node_late_assignments_total{<N>}<R>))", "{{node_id}}")],
                              "(row, window) pairs that no result contains."),
    "errors": Panel("Bad records", "timeseries", "rows/s", 8,
                    [("sum by (node_id, kind) (rate(weir_node_errors_total{<N>}<R>))", "{{node_id}} {{kind}}")],
                    "By the class of their code; with side_output they are in the node's errors port.", "node"),
    "anomalies": Panel("Anomalies", "timeseries", "ops", 8,
                       [("sum by (node_id, kind) (rate(weir_node_anomalies_total{<N>}<R>))", "{{node_id}} {{kind}}")],
                       "Counted and passed over: offsets that jumped or repeated, failed commits of offsets, truncated files."),
    "unaccounted": Panel("Unaccounted rows", "timeseries", "short", 8, [("max by (node_id) (abs(weir_records_unaccounted{<N>}))", "{{node_id}}")],
                         "Always 0. Anything else is a defect of the engine: report it with the log."),
    # Kafka and sinks
    "lag": Panel("Lag by partition", "timeseries", "short", 12,
                 [("sum by (topic, partition) (weir_source_lag_records{<N>})", "{{topic}} {{partition}}")],
                 "End offset minus position. One partition alone: its key is hot or its broker slow.", "kafka"),
    "sink_outcomes": Panel("Sink outcomes", "timeseries", "rows/s", 12,
                           [("sum by (node_id, outcome) (rate(weir_sink_records_total{<N>}<R>))", "{{node_id}} {{outcome}}")],
                           "failed above zero: the broker or disk refuses, see the log.", "sink"),
    "sink_commit": Panel("Sink flush at a checkpoint", "timeseries", "s", 12, quantiles("weir_sink_commit_duration_seconds", "<N>", "node_id"),
                         "A slow flush makes checkpoints slow.", "sink"),
    "sink_waiting": Panel("Written, not yet published", "timeseries", "bytes", 12, [("sum by (node_id) (weir_sink_wal_bytes{<N>})", "{{node_id}}")],
                          "Falls to zero after each checkpoint.", "sink"),
    # Checkpoints
    "checkpoint_duration": Panel("Checkpoint duration", "timeseries", "s", 8, quantiles("weir_checkpoint_duration_seconds", "<J>", "job_name"),
                                 "From the trigger until HEAD names it. Long alignment: backpressure; long async: a slow disk."),
    "checkpoint_pause": Panel("Pause for a checkpoint", "timeseries", "s", 8,
                              quantiles("weir_checkpoint_snapshot_seconds", '<N>,phase="sync"', "node_id", points=(0.5, 0.99)),
                              "How long a task's thread stands still while its state is frozen. Everything else of a snapshot runs beside the work.", "state"),
    "checkpoint_outcomes": Panel("Checkpoint outcomes", "timeseries", "short", 8,
                                 [("sum by (job_name, outcome) (increase(weir_checkpoints_total{<J>}[1h]))", "{{job_name}} {{outcome}}")],
                                 "Per hour. skipped: nothing had changed."),
    "checkpoint_size": Panel("Checkpoint size", "timeseries", "bytes", 8,
                             [("max by (job_name, scope) (weir_checkpoint_size_bytes{<J>})", "{{job_name}} {{scope}}")],
                             "full, and the part that had to be uploaded."),
    "checkpoint_running": Panel("Checkpoints under way", "timeseries", "short", 8,
                                [("sum by (job_name) (weir_checkpoints_in_progress{<J>})", "{{job_name}}")],
                                "1 all the time: a checkpoint takes as long as the interval."),
    "checkpoint_fallbacks": Panel("Went back to an older checkpoint", "timeseries", "short", 8,
                                  [("sum by (job_name) (weir_checkpoint_fallbacks_total{<J>})", "{{job_name}}")],
                                  "Since the start of the process. Above zero: a checkpoint was damaged or missing, see WeirCheckpointDamaged."),
    "alignment": Panel("Alignment p95", "timeseries", "s", 8, quantiles("weir_checkpoint_alignment_seconds", "<N>", "node_id", points=(0.95,)),
                       "First to last barrier. Seconds: the node waits for a backpressured input."),
    "phases": Panel("Snapshot phases p95", "timeseries", "s", 8, quantiles("weir_checkpoint_snapshot_seconds", "<N>", "node_id, phase", points=(0.95,)),
                    "Only sync holds processing up; async writes files, upload names them in the storage."),
    # Storage
    "storage_calls": Panel("Storage: calls", "timeseries", "ops", 8,
                           [("sum by (job_name, operation) (rate(weir_storage_operations_total{<J>}<R>))", "{{job_name}} {{operation}}")],
                           "Of an object store these cost money: fewer with a longer checkpoint.interval."),
    "storage_failures": Panel("Storage: failed calls", "timeseries", "short", 8,
                              [('sum by (job_name, operation) (increase(weir_storage_operations_total{<J>,outcome="failed"}[1h]))',
                                "{{job_name}} {{operation}}")],
                              "Per hour, after all tries. The log has what the storage said; a checkpoint that needed them failed too."),
    "storage_time": Panel("Storage: time of a call p95", "timeseries", "s", 8,
                          quantiles("weir_storage_operation_duration_seconds", "<J>", "operation", points=(0.95,)),
                          "Tries included: jumps of seconds are pauses before another try. Slow writes make checkpoints slow."),
    # State
    "state_size": Panel("State size", "timeseries", "bytes", 8, [("sum by (node_id) (weir_state_size_bytes{<N>})", "{{node_id}}")],
                        "Hot table plus RocksDB. It must not grow without end: a window or TTL bounds it.", "state"),
    "state_rows": Panel("State rows", "timeseries", "short", 8, [("sum by (node_id) (weir_state_rows{<N>})", "{{node_id}}")], "An estimate.", "state"),
    "state_cold": Panel("Rows to and from RocksDB", "timeseries", "rows/s", 8,
                        [("sum by (node_id) (rate(weir_state_evictions_total{<N>}<R>))", "{{node_id}} evicted"),
                         ("sum by (node_id) (rate(weir_state_cold_reads_total{<N>}<R>))", "{{node_id}} read back")],
                        "Zero while the state fits into memory. Reads near the rate of rows: raise memory_limit.", "state"),
    "rocksdb_memory": Panel("RocksDB memory", "timeseries", "bytes", 8, [("sum by (kind) (weir_rocksdb_memory_bytes{<N>})", "{{kind}}")],
                            "Bounded by the process's memory limit."),
    "rocksdb_compaction": Panel("Pending compaction", "timeseries", "bytes", 8,
                                [("sum by (node_id) (weir_rocksdb_compaction_pending_bytes{<N>})", "{{node_id}}")],
                                "An estimate. Growing for long: the disk does not keep up."),
    "rocksdb_stalls": Panel("Write stalls", "timeseries", "percentunit", 8,
                            [("sum by (node_id) (rate(weir_rocksdb_write_stall_seconds_total{<N>}<R>))", "{{node_id}}")],
                            "Share of the time in which writers were held back. Above zero for long: a faster disk, or more memory."),
    # Process
    "cpu": Panel("CPU", "timeseries", "short", 8, [("rate(process_cpu_seconds_total<R>) and on (instance) weir_job_state{<J>}", "{{instance}}")],
                 "Cores in use by the processes of the job."),
    "memory": Panel("Memory", "timeseries", "bytes", 8,
                    [("process_resident_memory_bytes and on (instance) weir_job_state{<J>}", "{{instance}} resident"),
                     ("sum by (instance, kind) (weir_memory_accounted_bytes and on (instance) weir_job_state{<J>})", "{{instance}} {{kind}}"),
                     ("weir_memory_limit_bytes and on (instance) weir_job_state{<J>}", "{{instance}} limit")],
                    "Resident memory beside what the engine accounts for. Near the limit: raise memory_limit."),
    "files": Panel("Open files", "timeseries", "percentunit", 8,
                   [("process_open_fds / process_max_fds and on (instance) weir_job_state{<J>}", "{{instance}}")],
                   "Share of what the process may open. Near 1: raise its limit."),
    "queued": Panel("Edges: queued bytes", "timeseries", "bytes", 8,
                    [("sum by (node_id, upstream) (weir_channel_queued_bytes{<N>})", "{{upstream}} to {{node_id}}")],
                    "What waits in front of a node. Bounded by credits: about a second of its work."),
    "credits": Panel("Edges: credits left", "timeseries", "short", 8,
                     [("min by (node_id, upstream) (weir_channel_credits{<N>})", "{{upstream}} to {{node_id}}")],
                     "Rows that the sender may still send. Zero all the time: the consumer is too slow."),
    "blocked": Panel("Edges: blocked time", "timeseries", "percentunit", 8,
                     [("avg by (node_id, upstream) (rate(weir_channel_blocked_seconds_total{<N>}<R>))", "{{upstream}} to {{node_id}}")],
                     "Near 1: the consumer is the bottleneck."),
    # All jobs; of one name there may be one in each namespace
    "jobs": Panel("Jobs by state", "stat", "none", 24, [("sum by (state) (weir_job_state{<J>}) > 0", "{{state}}")],
                  "How many jobs are in each state. Anything but running and finished: open the Job dashboard."),
    "jobs_in": Panel("Records in per job", "timeseries", "rows/s", 8,
                     [(f"sum by (namespace, job_name) ({ROWS_OF_SOURCES})", "{{namespace}} {{job_name}}")], "Rows read by the sources of each job."),
    "jobs_out": Panel("Records out per job", "timeseries", "rows/s", 8,
                      [('sum by (namespace, job_name) (rate(weir_sink_records_total{<J>,outcome="committed"}<R>))', "{{namespace}} {{job_name}}")],
                      "Rows delivered or published. Zero with rows coming in: see WeirSinkStuck."),
    "jobs_lag": Panel("Lag per job", "timeseries", "short", 8, [("sum by (namespace, job_name) (weir_source_lag_records{<J>})", "{{namespace}} {{job_name}}")],
                      "Rows that wait in Kafka. Growing: the job is too slow, or has just come back."),
    "jobs_checkpoints": Panel("Failed checkpoints", "timeseries", "short", 8,
                              [('sum by (namespace, job_name) (increase(weir_checkpoints_total{<J>,outcome=~"failed|expired"}[1h]))', "{{namespace}} {{job_name}}")],
                              "Per hour. The log names task and reason; open Checkpoints and state."),
    "jobs_restarts": Panel("Restarts", "timeseries", "short", 8,
                           [("sum by (namespace, job_name, reason) (increase(weir_job_restarts_total{<J>}[1h]))", "{{namespace}} {{job_name}} {{reason}}")],
                           "Per hour. The log has the cause of each."),
    "jobs_backpressure": Panel("Most held back node", "timeseries", "percentunit", 8,
                               [('max by (namespace, job_name) (rate(weir_node_time_seconds_total{<J>,state="backpressured"}<R>))', "{{namespace}} {{job_name}}")],
                               "Near 1: some node waits for what stands behind it; the Job dashboard shows which."),
    "jobs_table": Panel("Jobs", "table", "s", 24,
                        [("max by (namespace, job_name) (time() - weir_job_start_time_seconds{<J>})", "up"),
                         ("max by (namespace, job_name) (time() - weir_node_watermark_timestamp_seconds{<J>})", "watermark lag"),
                         ("max by (namespace, job_name) (time() - weir_checkpoint_last_completed_timestamp_seconds{<J>})", "age of the last checkpoint")],
                        "Short time up: it was restarted. A large lag or age: open the job's dashboard."),
}

PROCESS = ["cpu", "memory", "files"]
DASHBOARDS = {
    "job": ("weir-job", "Weir: job", [
        ("At a glance", ["state", "in", "out", "watermark", "checkpoint_age"]),
        ("Throughput", ["node_in", "node_out", "bytes_out", "skew", "windows", "outcomes"]),
        ("Time", ["time", "busy", "latency", "watermarks", "emit_lag"]),
        ("Data quality", ["late", "late_partial", "late_assignments", "errors", "anomalies", "unaccounted"]),
        ("Kafka and sinks", ["lag", "sink_outcomes", "sink_commit", "sink_waiting"]),
        ("Edges", ["queued", "credits", "blocked"]),
        ("Checkpoints", ["checkpoint_duration", "checkpoint_pause", "state_size"]),
        ("Process", PROCESS)]),
    "checkpoints": ("weir-checkpoints", "Weir: checkpoints and state", [
        ("Checkpoints", ["checkpoint_duration", "checkpoint_size", "checkpoint_outcomes", "checkpoint_running", "checkpoint_fallbacks", "alignment", "phases",
                         "checkpoint_pause"]),
        ("Storage", ["storage_calls", "storage_failures", "storage_time"]),
        ("State", ["state_size", "state_rows", "state_cold"]),
        ("RocksDB", ["rocksdb_memory", "rocksdb_compaction", "rocksdb_stalls"])]),
    "overview": ("weir-overview", "Weir: overview", [
        ("Jobs", ["jobs", "jobs_table", "jobs_in", "jobs_out", "jobs_lag", "jobs_checkpoints", "jobs_restarts", "jobs_backpressure"]),
        ("Processes", PROCESS)]),
}
# Of one job: before and behind the row of each node. A node's row has every panel that is about nodes like it.
ONE_JOB_BEFORE = [("At a glance", ["state", "in", "out", "watermark", "checkpoint_age"])]
ONE_JOB_BEHIND = [("Checkpoints", ["checkpoint_duration", "checkpoint_size", "checkpoint_outcomes"]), ("Process", PROCESS)]
NODE_KINDS = ("node", "timed_source", "kafka", "sink", "state")

HEIGHTS = {"stat": 4, "state-timeline": 4}


def height_of(panel):
    return HEIGHTS.get(panel.kind, 8)


def without_place(panel, chosen):
    """The JSON of a panel but for its id and grid position."""
    stacked = panel.kind == "timeseries-stacked"
    kind = "timeseries" if stacked else panel.kind
    defaults = {"unit": panel.unit, "min": 0, "custom": {}}
    options = {}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    if kind == "timeseries":
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 0, "showPoints": "never",
                              "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
        options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "stat":
        options = {"reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""}, "colorMode": "value", "graphMode": "area", "textMode": "auto",
                   "justifyMode": "auto", "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard", "orientation": "auto"}
    elif kind == "state-timeline":
        options = {"mergeValues": True, "showValue": "never", "rowHeight": 0.9, "legend": {**legend, "showLegend": False},
                   "tooltip": {"mode": "single", "sort": "none"}}
    elif kind == "table":
        defaults["custom"] = {"align": "auto", "inspect": False}
        options = {"showHeader": True, "frameIndex": 0}

    def fill(expression):
        return re.sub("<[JN]>", lambda mark: chosen[mark[0]], expression).replace("<R>", RATE)

    made = {
        "type": kind, "title": panel.title, "description": panel.description, "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
        "targets": [{"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": fill(expression), "legendFormat": name, "editorMode": "code",
                     **({"instant": True, "range": False, "format": "table"} if kind == "table" else {"range": True})}
                    for i, (expression, name) in enumerate(panel.targets)],
    }
    if kind == "table":  # one line a job: the answers joined, each column with the legend of its target
        columns = {f"Value #{target['refId']}": target["legendFormat"] for target in made["targets"]}
        made["transformations"] = [
            # Lines with the same namespace and job become one; a field to join by could only be one of the two.
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"job_name": "job", **columns}}}]
    return made


def row_of(title, number, y):
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}, "panels": []}


def laid_out(rows):
    """Panels of [(row title, [panel name])] with ids, from left to right and top to bottom."""
    panels, y = [], 0
    for title, names in rows:
        panels.append(row_of(title, len(panels) + 1, y))
        y, x, height = y + 1, 0, 0
        for name in names:
            panel = PANELS[name]
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            panels.append({"id": len(panels) + 1, "gridPos": {"h": height_of(panel), "w": panel.width, "x": x, "y": y}, **without_place(panel, VARIABLES)})
            x, height = x + panel.width, max(height, height_of(panel))
        y += height
    return panels


def variable(name, query, multi, everything):
    return {"name": name, "type": "query", "label": name, "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 1,
            "multi": multi, "includeAll": multi, "allValue": everything if multi else None, "datasource": DATASOURCE}


def shell(uid, title, variables, job):
    """A dashboard without its panels."""
    link = {"type": "dashboards", "title": "Weir", "tags": ["weir"], "asDropdown": True, "includeVars": True, "keepTime": True, "targetBlank": False,
            "icon": "", "tooltip": "", "url": ""}
    return {
        "uid": uid, "title": title, "tags": ["weir"], "schemaVersion": 42, "version": 1, "editable": True, "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"}, "timezone": "browser", "links": [link],
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "data source", "refresh": 1}, *variables]},
        "annotations": {"list": [{
            "name": "restarts", "enable": True, "iconColor": "red", "datasource": DATASOURCE,
            "expr": f"changes(weir_job_start_time_seconds{{{job}}}[$__interval]) > 0", "titleFormat": "restart"}]},
    }


def dashboard(name):
    uid, title, rows = DASHBOARDS[name]
    one = name != "overview"
    namespace = variable("namespace", "label_values(weir_job_state, namespace)", True, ".*")
    job_name = variable("job_name", 'label_values(weir_job_state{namespace=~"$namespace"}, job_name)', not one, ".+")
    node_id = variable("node_id", f"label_values(weir_node_info{{{VARIABLES['<J>']}}}, node_id)", True, ".+")
    variables = [namespace, job_name] + ([] if name == "overview" else [node_id])
    return {**shell(uid, title, variables, VARIABLES["<J>"]), "panels": laid_out(rows)}


def template():
    """What `weir dashboard` fills in: $JOB, $NODE and $TYPE. Each panel says whom it is about; ids and places are given when the nodes are known."""
    def part(names):
        return [{"nodes": PANELS[name].nodes, "width": PANELS[name].width, "height": height_of(PANELS[name]), "panel": without_place(PANELS[name], TEMPLATE)}
                for name in names]

    return {
        "dashboard": shell("weir-job-$JOB", "Weir: $JOB", [], TEMPLATE["<J>"]),
        "row": row_of("", 0, 0),
        "before": [{"title": title, "panels": part(names)} for title, names in ONE_JOB_BEFORE],
        "node": {"title": "$NODE ($TYPE)", "panels": part([name for name, panel in PANELS.items() if panel.nodes in NODE_KINDS])},
        "behind": [{"title": title, "panels": part(names)} for title, names in ONE_JOB_BEHIND],
    }


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name, content in [*((name, dashboard(name)) for name in DASHBOARDS), ("job_template", template())]:
        with open(os.path.join(directory, f"{name}.json"), "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
