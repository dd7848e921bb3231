#include "engine/base/metric_names.h"

#include <algorithm>

#include "engine/base/check.h"

namespace weir {
namespace {

constexpr auto kC = MetricKind::kCounter;
constexpr auto kG = MetricKind::kGauge;
constexpr auto kH = MetricKind::kHistogram;
constexpr auto kP = MetricScope::kProcess;
constexpr auto kJ = MetricScope::kJob;
constexpr auto kN = MetricScope::kNode;
constexpr auto kT = MetricScope::kTask;

constexpr MetricInfo kMetrics[] = {
    {"weir_build_info", kG, kP, "version revision role", "Always 1; the labels tell the build."},
    {"weir_job_state", kG, kJ, "state", "1 for the state that the job is in, 0 for the others."},
    {"weir_job_start_time_seconds", kG, kJ, "", "Unix time of the last start of the job."},
    {"weir_job_restarts_total", kC, kJ, "reason", "Restarts of the job."},
    {"weir_checkpoints_total", kC, kJ, "kind outcome",
     "Checkpoints: completed, failed, expired, or skipped because nothing had changed."},
    {"weir_checkpoint_fallbacks_total", kC, kJ, "",
     "Starts from an older checkpoint, because the newest one was damaged."},
    {"weir_checkpoint_duration_seconds", kH, kJ, "kind",
     "From the trigger until HEAD names the checkpoint."},
    {"weir_checkpoint_size_bytes", kG, kJ, "scope",
     "Size of the last checkpoint: full, and the incremental part that was uploaded."},
    {"weir_checkpoint_last_completed_timestamp_seconds", kG, kJ, "",
     "Unix time up to which a checkpoint is current; none with checkpoints off."},
    {"weir_checkpoints_in_progress", kG, kJ, "", "1 while a checkpoint is under way."},
    {"weir_checkpoint_alignment_seconds", kH, kN, "",
     "Time between the first and the last barrier of a checkpoint at a task."},
    {"weir_checkpoint_snapshot_seconds", kH, kN, "phase",
     "Parts of a task's snapshot: sync holds the task up, async and upload do not."},
    {"weir_storage_operations_total", kC, kJ, "operation outcome",
     "Calls to the storage: completed, also with the answer that a name is not there or is taken, "
     "or failed after all tries."},
    {"weir_storage_operation_duration_seconds", kH, kJ, "operation",
     "Duration of calls to the storage, tries included."},
    {"weir_node_info", kG, kN, "type parallelism",
     "Always 1; the labels tell the node's type and parallelism."},
    {"weir_node_records_in_total", kC, kT, "",
     "Rows that entered the node; of sources: records read."},
    {"weir_node_records_out_total", kC, kT, "", "Rows that left the node on any port."},
    {"weir_node_bytes_in_total", kC, kT, "",
     "Bytes of the batches that entered; of sources: undecoded."},
    {"weir_node_bytes_out_total", kC, kT, "", "Bytes of the batches that left; of sinks: encoded."},
    {"weir_node_time_seconds_total", kC, kT, "state",
     "Time of the node's task: busy, idle, backpressured; the three add up to wall time."},
    {"weir_node_busy_seconds_total", kC, kT, "part",
     "Busy time of the node itself by what it was spent on."},
    {"weir_node_watermark_timestamp_seconds", kG, kT, "",
     "Event time of the node; absent before its first watermark."},
    {"weir_node_late_records_total", kC, kT, "action", "Rows too late for all their windows."},
    {"weir_node_late_partial_records_total", kC, kT, "",
     "Rows too late for some of their windows."},
    {"weir_node_late_assignments_total", kC, kT, "", "Lost (row, window) pairs."},
    {"weir_node_errors_total", kC, kT, "kind", "Bad records by the class of their code."},
    {"weir_node_anomalies_total", kC, kT, "kind", "Things that were counted and passed over."},
    {"weir_node_outcomes_total", kC, kT, "outcome",
     "Where the rows of the node ended, each in one class."},
    {"weir_records_unaccounted", kG, kN, "",
     "Rows missing in the equation of the node's outcomes; always 0."},
    {"weir_node_windows_fired_total", kC, kT, "", "Results of (key, window) that fired."},
    {"weir_record_latency_seconds", kH, kN, "", "Sampled: from the source to this node."},
    {"weir_channel_credits", kG, kT, "upstream", "Rows that the sender may still send."},
    {"weir_channel_queued_bytes", kG, kT, "upstream", "Bytes that wait at the consumer."},
    {"weir_channel_blocked_seconds_total", kC, kT, "upstream",
     "Time in which the sender had no credit."},
    {"weir_source_lag_records", kG, kN, "topic partition", "End offset minus position."},
    {"weir_source_emit_event_time_lag_seconds", kG, kT, "",
     "Now minus the event time of the last row sent on."},
    {"weir_sink_records_total", kC, kT, "outcome",
     "Records of the sink: committed, retried, failed."},
    {"weir_sink_commit_duration_seconds", kH, kN, "", "Flush or publication of one checkpoint."},
    {"weir_sink_wal_bytes", kG, kT, "", "Written by the sink, not yet published or delivered."},
    {"weir_state_size_bytes", kG, kT, "", "Hot table plus RocksDB."},
    {"weir_state_rows", kG, kT, "", "Rows in the state, an estimate."},
    {"weir_state_evictions_total", kC, kT, "", "Rows that left memory for RocksDB."},
    {"weir_state_cold_reads_total", kC, kT, "", "Rows that had to be read back from RocksDB."},
    {"weir_rocksdb_memory_bytes", kG, kT, "kind", "Memory of RocksDB."},
    {"weir_rocksdb_compaction_pending_bytes", kG, kT, "",
     "Bytes that wait for compaction, an estimate."},
    {"weir_rocksdb_write_stall_seconds_total", kC, kT, "",
     "Time in which writers were stopped or delayed."},
    {"weir_memory_accounted_bytes", kG, kP, "kind",
     "Accounted memory of the process: what is in use, or where others fill it, what may come."},
    {"weir_memory_limit_bytes", kG, kP, "", "memory_limit of the process."},
    {"process_cpu_seconds_total", kC, kP, "", "CPU time of the process, user and system."},
    {"process_resident_memory_bytes", kG, kP, "", "Resident memory of the process."},
    {"process_open_fds", kG, kP, "", "Open file descriptors."},
    {"process_max_fds", kG, kP, "", "Most file descriptors that the process may open."},
    {"process_start_time_seconds", kG, kP, "", "Unix time of the start of the process."},
};

}  // namespace

std::span<const MetricInfo> Metrics() { return kMetrics; }

const MetricInfo& MetricInfoOf(std::string_view name) {
  const auto* place = std::find_if(std::begin(kMetrics), std::end(kMetrics),
                                   [&](const MetricInfo& info) { return info.name == name; });
  WEIR_CHECK(place != std::end(kMetrics));
  return *place;
}

}  // namespace weir
