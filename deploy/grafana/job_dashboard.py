#!/usr/bin/env python3
"""Makes the Job dashboard: job_dashboard.py > job.json. The JSON is committed; a test fails when the two differ.

One panel is one line of PANELS: title, unit, expressions, what to do when it looks wrong. Layout, ids and common settings are made here, so that they
cannot be wrong in one panel only. Written for Grafana 12 or newer (schema version 42).
"""
import json

J = 'job_name=~"$job_name"'
N = J + ',node_id=~"$node_id"'
R = "[$__rate_interval]"


def quantiles(metric, labels, by):
    """p50, p95 and p99 of a histogram."""
    return [(f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket{{{labels}}}{R})))", f"{{{{{by}}}}} p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]


# (row title, [(panel title, type, unit, width, [(expression, legend)], description)])
ROWS = [
    ("At a glance", [
        ("State", "state-timeline", "none", 24, [(f"max by (state) (weir_job_state{{{J}}}) == 1", "{{state}}")],
         "The state of the job. Anything but running for long: see the log for the code, and `weir explain CODE`."),
        ("Records in", "stat", "rows/s", 6, [(f"sum(rate(weir_node_records_in_total{{{J}}}{R}) * on (job_name, node_id) group_left (type) weir_node_info{{type=~\".*_source\"}})", "in")],
         "Rows read by all sources. Zero with input waiting: look at backpressure below."),
        ("Records out", "stat", "rows/s", 6, [(f"sum(rate(weir_sink_records_total{{{J},outcome=\"committed\"}}{R}))", "out")],
         "Rows that sinks have delivered or published."),
        ("Watermark lag", "stat", "s", 6, [(f"max(time() - weir_node_watermark_timestamp_seconds{{{J}}})", "lag")],
         "How far event time trails the clock. Growing: a split is silent or the job is too slow."),
        ("Age of the last checkpoint", "stat", "s", 6, [(f"max(time() - weir_checkpoint_last_completed_timestamp_seconds{{{J}}})", "age")],
         "Work that a crash would repeat. Above the interval: checkpoints fail or take long, see the log."),
    ]),
    ("Throughput", [
        ("Records in per node", "timeseries", "rows/s", 8, [(f"sum by (node_id) (rate(weir_node_records_in_total{{{N}}}{R}))", "{{node_id}}")],
         "Compare neighbours: where it drops, rows are filtered, aggregated or held back."),
        ("Records out per node", "timeseries", "rows/s", 8, [(f"sum by (node_id) (rate(weir_node_records_out_total{{{N}}}{R}))", "{{node_id}}")],
         "Rows on all ports of a node."),
        ("Bytes out per node", "timeseries", "Bps", 8, [(f"sum by (node_id) (rate(weir_node_bytes_out_total{{{N}}}{R}))", "{{node_id}}")],
         "Of sinks: encoded bytes. Wide rows cost exchange memory."),
        ("Skew: busiest to average task", "timeseries", "none", 8,
         [(f"max by (node_id) (rate(weir_node_records_in_total{{{N}}}{R})) / (avg by (node_id) (rate(weir_node_records_in_total{{{N}}}{R})) > 0)", "{{node_id}}")],
         "1 is even. Far above: a hot key or too few partitions; more parallelism does not help then."),
        ("Windows fired", "timeseries", "ops", 8, [(f"sum by (node_id) (rate(weir_node_windows_fired_total{{{N}}}{R}))", "{{node_id}}")],
         "Results of (key, window). None while rows come in: the watermark stands still."),
        ("Where rows went", "timeseries", "rows/s", 8, [(f"sum by (node_id, outcome) (rate(weir_node_outcomes_total{{{N}}}{R}))", "{{node_id}} {{outcome}}")],
         "Every input row ends in exactly one class."),
    ]),
    ("Time", [
        ("Busy, idle, backpressured", "timeseries-stacked", "percentunit", 12, [(f"avg by (node_id, state) (rate(weir_node_time_seconds_total{{{N}}}{R}))", "{{node_id}} {{state}}")],
         "The last node that is backpressured stands in front of the one that is too slow."),
        ("What busy is spent on", "timeseries-stacked", "percentunit", 12, [(f"avg by (node_id, part) (rate(weir_node_busy_seconds_total{{{N}}}{R}))", "{{node_id}} {{part}}")],
         "decode: fewer columns or a leaner format. state_read: more memory. thread_wait: more cores."),
        ("Record latency", "timeseries", "s", 8, quantiles("weir_record_latency_seconds", N, "node_id"),
         "Sampled, from the source to each node."),
        ("Watermark lag per node", "timeseries", "s", 8, [(f"max by (node_id) (time() - weir_node_watermark_timestamp_seconds{{{N}}})", "{{node_id}}")],
         "A step between two nodes is time spent in between."),
        ("Event-time lag of emitted rows", "timeseries", "s", 8, [(f"max by (node_id) (weir_source_emit_event_time_lag_seconds{{{N}}})", "{{node_id}}")],
         "How old the rows are that a source sends on: during a backfill it falls towards zero."),
    ]),
    ("Data quality", [
        ("Late rows", "timeseries", "rows/s", 8, [(f"sum by (node_id, action) (rate(weir_node_late_records_total{{{N}}}{R}))", "{{node_id}} {{action}}")],
         "Too late for all their windows. Raise max_delay or allowed_lateness, or send them aside."),
        ("Partly late rows", "timeseries", "rows/s", 8, [(f"sum by (node_id) (rate(weir_node_late_partial_records_total{{{N}}}{R}))", "{{node_id}}")],
         "Late for some of their sliding windows: those results are too small."),
        ("Lost window assignments", "timeseries", "ops", 8, [(f"sum by (node_id) (rate(weir_node_late_assignments_total{{{N}}}{R}))", "{{node_id}}")],
         "(row, window) pairs that no result contains."),
        ("Bad records", "timeseries", "rows/s", 8, [(f"sum by (node_id, kind) (rate(weir_node_errors_total{{{N}}}{R}))", "{{node_id}} {{kind}}")],
         "By the class of their code; with side_output they are in the node's errors port."),
        ("Anomalies", "timeseries", "ops", 8, [(f"sum by (node_id, kind) (rate(weir_node_anomalies_total{{{N}}}{R}))", "{{node_id}} {{kind}}")],
         "Counted and passed over: offsets that jumped or repeated, failed commits of offsets, truncated files."),
        ("Unaccounted rows", "timeseries", "short", 8, [(f"max by (node_id) (abs(weir_records_unaccounted{{{N}}}))", "{{node_id}}")],
         "Always 0. Anything else is a defect of the engine: report it with the log."),
    ]),
    ("Kafka and sinks", [
        ("Lag by partition", "timeseries", "short", 12, [(f"sum by (topic, partition) (weir_source_lag_records{{{N}}})", "{{topic}} {{partition}}")],
         "End offset minus position. One partition alone: its key is hot or its broker slow."),
        ("Sink outcomes", "timeseries", "rows/s", 12, [(f"sum by (node_id, outcome) (rate(weir_sink_records_total{{{N}}}{R}))", "{{node_id}} {{outcome}}")],
         "failed above zero: the broker or disk refuses, see the log."),
        ("Sink flush at a checkpoint", "timeseries", "s", 12, quantiles("weir_sink_commit_duration_seconds", N, "node_id"),
         "A slow flush makes checkpoints slow."),
        ("Written, not yet published", "timeseries", "bytes", 12, [(f"sum by (node_id) (weir_sink_wal_bytes{{{N}}})", "{{node_id}}")],
         "Falls to zero after each checkpoint."),
    ]),
    ("Checkpoints and state", [
        ("Checkpoint duration", "timeseries", "s", 8, quantiles("weir_checkpoint_duration_seconds", J, "job_name"),
         "From the trigger until HEAD names it. Long alignment: backpressure; long async: a slow disk."),
        ("Checkpoint outcomes", "timeseries", "short", 8, [(f"sum by (outcome) (increase(weir_checkpoints_total{{{J}}}[1h]))", "{{outcome}}")],
         "Per hour. skipped: nothing had changed."),
        ("Checkpoint size", "timeseries", "bytes", 8, [(f"max by (scope) (weir_checkpoint_size_bytes{{{J}}})", "{{scope}}")],
         "full, and the part that had to be uploaded."),
        ("Alignment p95", "timeseries", "s", 8,
         [(f"histogram_quantile(0.95, sum by (node_id, le) (rate(weir_checkpoint_alignment_seconds_bucket{{{N}}}{R})))", "{{node_id}}")],
         "First to last barrier. Seconds: the node waits for a backpressured input."),
        ("Snapshot phases p95", "timeseries", "s", 8,
         [(f"histogram_quantile(0.95, sum by (node_id, phase, le) (rate(weir_checkpoint_snapshot_seconds_bucket{{{N}}}{R})))", "{{node_id}} {{phase}}")],
         "Only sync holds processing up."),
        ("State size", "timeseries", "bytes", 8, [(f"sum by (node_id) (weir_state_size_bytes{{{N}}})", "{{node_id}}")],
         "Hot table plus RocksDB. It must not grow without end: a window or TTL bounds it."),
        ("State rows", "timeseries", "short", 8, [(f"sum by (node_id) (weir_state_rows{{{N}}})", "{{node_id}}")],
         "An estimate."),
        ("RocksDB memory", "timeseries", "bytes", 8, [(f"sum by (kind) (weir_rocksdb_memory_bytes{{{N}}})", "{{kind}}")],
         "Bounded by the process's memory limit."),
        ("Write stalls and pending compaction", "timeseries", "short", 8,
         [(f"sum by (node_id) (rate(weir_rocksdb_write_stall_seconds_total{{{N}}}{R}))", "{{node_id}} stalled"),
          (f"sum by (node_id) (weir_rocksdb_compaction_pending_bytes{{{N}}})", "{{node_id}} pending bytes")],
         "Stalls above zero for long: the disk does not keep up."),
    ]),
    ("Process", [
        ("CPU", "timeseries", "short", 8, [(f"rate(process_cpu_seconds_total{R}) * on (instance) group_left (role) weir_build_info", "{{instance}}")],
         "Cores in use."),
        ("Memory", "timeseries", "bytes", 8,
         [("process_resident_memory_bytes * on (instance) group_left (role) weir_build_info", "{{instance}} resident"),
          ("sum by (instance, kind) (weir_memory_accounted_bytes)", "{{instance}} {{kind}}"), ("weir_memory_limit_bytes", "{{instance}} limit")],
         "Resident memory beside what the engine accounts for. Near the limit: raise memory_limit."),
        ("Edges: queued bytes and blocked time", "timeseries", "short", 8,
         [(f"sum by (node_id, upstream) (weir_channel_queued_bytes{{{N}}})", "{{upstream}} to {{node_id}} bytes"),
          (f"avg by (node_id, upstream) (rate(weir_channel_blocked_seconds_total{{{N}}}{R}))", "{{upstream}} to {{node_id}} blocked")],
         "Blocked near 1: the consumer is the bottleneck."),
    ]),
]

HEIGHTS = {"stat": 4, "state-timeline": 4}


def panel(title, kind, unit, width, targets, description, number, x, y):
    stacked = kind == "timeseries-stacked"
    kind = "timeseries" if stacked else kind
    custom = {}
    if kind == "timeseries":
        custom = {"lineWidth": 1, "fillOpacity": 30 if stacked else 0, "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    defaults = {"unit": unit, "min": 0, "custom": custom}
    options = {}
    if kind == "timeseries":
        options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}, "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "stat":
        options = {"reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""}, "colorMode": "value", "graphMode": "area", "textMode": "auto"}
    elif kind == "state-timeline":
        options = {"mergeValues": True, "showValue": "never", "rowHeight": 0.9, "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []}}
    return {
        "id": number, "type": kind, "title": title, "description": description, "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": HEIGHTS.get(kind, 8), "w": width, "x": x, "y": y}, "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
        "targets": [{"refId": chr(ord("A") + i), "expr": expr, "legendFormat": legend, "editorMode": "code", "range": True} for i, (expr, legend) in enumerate(targets)],
    }


def dashboard():
    panels, number, y = [], 1, 0
    for title, members in ROWS:
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}, "panels": []})
        number, y, x, height = number + 1, y + 1, 0, 0
        for member in members:
            width = member[3]
            if x + width > 24:
                x, y, height = 0, y + height, 0
            made = panel(*member, number, x, y)
            panels.append(made)
            number, x, height = number + 1, x + width, max(height, made["gridPos"]["h"])
        y += height

    def variable(name, query, multi):
        return {"name": name, "type": "query", "label": name, "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 1,
                "multi": multi, "includeAll": multi, "allValue": ".+" if multi else None, "datasource": {"type": "prometheus", "uid": "${datasource}"}}

    return {
        "uid": "weir-job", "title": "Weir: job", "tags": ["weir"], "schemaVersion": 42, "version": 1, "editable": True, "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"}, "timezone": "browser",
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "data source", "refresh": 1},
            variable("job_name", "label_values(weir_job_state, job_name)", False),
            variable("node_id", f"label_values(weir_node_info{{{J}}}, node_id)", True),
        ]},
        "annotations": {"list": [{
            "name": "restarts", "enable": True, "iconColor": "red", "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": f"changes(weir_job_start_time_seconds{{{J}}}[$__interval]) > 0", "titleFormat": "restart"}]},
        "panels": panels,
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
