#include "cli/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "cli/process_stats.h"
#include "cli/version.h"
#include "engine/base/metric_names.h"

namespace weir::cli {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using runtime::HistogramValues;
using runtime::NodeValues;

using Labels = std::vector<ClientMetric::Label>;

constexpr double kMicro = 1e-6;

/// Collects samples by family, in the order of first use.
class Families {
 public:
  void Counter(std::string_view name, Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    Family(name).metric.push_back(std::move(metric));
  }
  void Gauge(std::string_view name, Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    Family(name).metric.push_back(std::move(metric));
  }
  void Histogram(std::string_view name, Labels labels, const HistogramValues& values) {
    if (values.bounds.empty()) return;
    ClientMetric metric;
    metric.label = std::move(labels);
    uint64_t cumulative = 0;
    for (size_t i = 0; i < values.counts.size(); ++i) {
      cumulative += values.counts[i];
      metric.histogram.bucket.push_back(
          {cumulative, i < values.bounds.size() ? values.bounds[i] : INFINITY});
    }
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = values.sum;
    Family(name).metric.push_back(std::move(metric));
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  MetricFamily& Family(std::string_view name) {
    const auto [place, fresh] = places_.emplace(name, families_.size());
    if (fresh) {
      const MetricInfo& info = MetricInfoOf(name);
      MetricFamily family;
      family.name = std::string(name);
      family.help = std::string(info.help);
      family.type = info.kind == MetricKind::kCounter ? MetricType::Counter
                    : info.kind == MetricKind::kGauge ? MetricType::Gauge
                                                      : MetricType::Histogram;
      families_.push_back(std::move(family));
    }
    return families_[place->second];
  }
  std::vector<MetricFamily> families_;
  std::map<std::string, size_t, std::less<>> places_;
};

void AddTo(HistogramValues& into, const HistogramValues& from) {
  if (from.bounds.empty()) return;
  if (into.bounds.empty()) {
    into = from;
    return;
  }
  for (size_t i = 0; i < into.counts.size(); ++i) into.counts[i] += from.counts[i];
  into.sum += from.sum;
}

/// By upstream node: what can still be sent is that of the tightest channel.
void AddTo(std::vector<runtime::ChannelValues>& into,
           const std::vector<runtime::ChannelValues>& from) {
  for (const runtime::ChannelValues& channel : from) {
    const auto place = std::ranges::find(into, channel.upstream, &runtime::ChannelValues::upstream);
    if (place == into.end()) {
      into.push_back(channel);
      continue;
    }
    place->credits = std::min(place->credits, channel.credits);
    place->queued_bytes += channel.queued_bytes;
    place->blocked_us += channel.blocked_us;
  }
}

void AddTo(std::optional<StateUsage>& into, const std::optional<StateUsage>& from) {
  if (!from) return;
  if (!into) into.emplace();
  for (const auto member :
       {&StateUsage::hot_rows, &StateUsage::hot_bytes, &StateUsage::cold_bytes, &StateUsage::rows,
        &StateUsage::evictions, &StateUsage::cold_reads, &StateUsage::rocksdb_calls,
        &StateUsage::memtable_bytes, &StateUsage::block_cache_bytes,
        &StateUsage::table_reader_bytes, &StateUsage::pinned_bytes,
        &StateUsage::compaction_pending_bytes, &StateUsage::write_stall_us})
    (*into).*member += (*from).*member;
}

/// Sums tasks beyond the bound into one, so that the number of series stays bounded.
std::vector<NodeValues> BoundTasks(std::vector<NodeValues> values, uint32_t tasks_max,
                                   std::map<std::string, bool>& summed) {
  std::map<std::string, uint32_t> tasks;
  for (const NodeValues& value : values)
    tasks[value.node_id] = std::max(tasks[value.node_id], value.task.value + 1U);
  std::vector<NodeValues> bounded;
  std::map<std::string, size_t> places;
  for (NodeValues& value : values) {
    if (tasks[value.node_id] <= tasks_max) {
      bounded.push_back(std::move(value));
      continue;
    }
    summed[value.node_id] = true;
    const auto [place, fresh] = places.emplace(value.node_id, bounded.size());
    if (fresh) {
      bounded.push_back(std::move(value));
      continue;
    }
    NodeValues& total = bounded[place->second];
    total.records_in += value.records_in;
    total.records_out += value.records_out;
    total.bytes_in += value.bytes_in;
    total.bytes_out += value.bytes_out;
    for (size_t i = 0; i < total.time_us.size(); ++i) total.time_us[i] += value.time_us[i];
    for (size_t i = 0; i < total.busy_us.size(); ++i) total.busy_us[i] += value.busy_us[i];
    if (value.watermark && (!total.watermark || *value.watermark < *total.watermark))
      total.watermark = value.watermark;
    for (size_t i = 0; i < total.outcomes.size(); ++i) total.outcomes[i] += value.outcomes[i];
    for (size_t i = 0; i < total.counts.size(); ++i) total.counts[i] += value.counts[i];
    for (size_t i = 0; i < total.errors.size(); ++i) total.errors[i] += value.errors[i];
    for (const auto& [kind, n] : value.anomalies) total.anomalies[kind] += n;
    total.unaccounted += value.unaccounted;
    total.splits.insert(total.splits.end(), value.splits.begin(), value.splits.end());
    total.sink_progress.records_committed += value.sink_progress.records_committed;
    total.sink_progress.records_failed += value.sink_progress.records_failed;
    total.sink_progress.records_retried += value.sink_progress.records_retried;
    total.sink_progress.bytes_waiting += value.sink_progress.bytes_waiting;
    if (value.emit_lag_seconds)
      total.emit_lag_seconds =
          std::max(total.emit_lag_seconds.value_or(0), *value.emit_lag_seconds);
    AddTo(total.channels, value.channels);
    AddTo(total.state, value.state);
    AddTo(total.record_latency, value.record_latency);
    AddTo(total.alignment, value.alignment);
  }
  return bounded;
}

void AddNode(Families& out, const std::string& job, const NodeValues& node, bool summed) {
  const Labels n = {{"job_name", job}, {"node_id", node.node_id}};
  Labels t = n;
  t.push_back({"task", summed ? std::string("all") : std::to_string(node.task.value)});
  const auto with = [](Labels labels, const char* name, std::string_view value) {
    labels.push_back({name, std::string(value)});
    return labels;
  };
  out.Counter("weir_node_records_in_total", t, static_cast<double>(node.records_in));
  out.Counter("weir_node_records_out_total", t, static_cast<double>(node.records_out));
  out.Counter("weir_node_bytes_in_total", t, static_cast<double>(node.bytes_in));
  out.Counter("weir_node_bytes_out_total", t, static_cast<double>(node.bytes_out));
  for (size_t i = 0; i < node.time_us.size(); ++i) {
    out.Counter("weir_node_time_seconds_total",
                with(t, "state", runtime::TimeStateName(static_cast<runtime::TimeState>(i))),
                static_cast<double>(node.time_us[i]) * kMicro);
  }
  for (size_t i = 0; i < node.busy_us.size(); ++i) {
    out.Counter("weir_node_busy_seconds_total",
                with(t, "part", runtime::BusyPartName(static_cast<runtime::BusyPart>(i))),
                static_cast<double>(node.busy_us[i]) * kMicro);
  }
  if (node.watermark && IsUsable(*node.watermark))
    out.Gauge("weir_node_watermark_timestamp_seconds", t,
              static_cast<double>(node.watermark->us) * kMicro);
  const auto outcome = [&](Outcome which) {
    return static_cast<double>(node.outcomes[static_cast<size_t>(which)]);
  };
  out.Counter("weir_node_late_records_total", with(t, "action", "dropped"),
              outcome(Outcome::kLateDropped));
  out.Counter("weir_node_late_records_total", with(t, "action", "side_output"),
              outcome(Outcome::kLateSide));
  out.Counter(
      "weir_node_late_partial_records_total", t,
      static_cast<double>(node.counts[static_cast<size_t>(NodeCount::kLatePartialRecords)]));
  out.Counter("weir_node_late_assignments_total", t,
              static_cast<double>(node.counts[static_cast<size_t>(NodeCount::kLateAssignments)]));
  out.Counter("weir_node_windows_fired_total", t,
              static_cast<double>(node.counts[static_cast<size_t>(NodeCount::kWindowsFired)]));
  std::map<std::string_view, uint64_t> errors;
  for (int code = 0; code < kRecordCodes; ++code)
    errors[RecordCodeKind(static_cast<RecordCode>(code))] += node.errors[static_cast<size_t>(code)];
  for (const auto& [kind, count] : errors)
    out.Counter("weir_node_errors_total", with(t, "kind", kind), static_cast<double>(count));
  for (const auto& [kind, count] : node.anomalies)
    out.Counter("weir_node_anomalies_total", with(t, "kind", kind), static_cast<double>(count));
  for (size_t i = 0; i < kOutcomes; ++i) {
    // `buffered` is a level, not a flow: it would fall, so it is not exported as a counter.
    if (static_cast<Outcome>(i) == Outcome::kBuffered) continue;
    out.Counter("weir_node_outcomes_total",
                with(t, "outcome", OutcomeName(static_cast<Outcome>(i))),
                static_cast<double>(node.outcomes[i]));
  }
  for (const runtime::ChannelValues& channel : node.channels) {
    const Labels labels = with(t, "upstream", channel.upstream);
    out.Gauge("weir_channel_credits", labels, static_cast<double>(channel.credits));
    out.Gauge("weir_channel_queued_bytes", labels, static_cast<double>(channel.queued_bytes));
    out.Counter("weir_channel_blocked_seconds_total", labels,
                static_cast<double>(channel.blocked_us) * kMicro);
  }
  if (node.source) {
    for (const runtime::SplitValues& split : node.splits) {
      if (split.partition < 0 || split.lag < 0) continue;
      out.Gauge("weir_source_lag_records",
                with(with(n, "topic", split.topic), "partition", std::to_string(split.partition)),
                static_cast<double>(split.lag));
    }
    if (node.emit_lag_seconds)
      out.Gauge("weir_source_emit_event_time_lag_seconds", t, *node.emit_lag_seconds);
  }
  if (node.sink) {
    out.Counter("weir_sink_records_total", with(t, "outcome", "committed"),
                static_cast<double>(node.sink_progress.records_committed));
    out.Counter("weir_sink_records_total", with(t, "outcome", "retried"),
                static_cast<double>(node.sink_progress.records_retried));
    out.Counter("weir_sink_records_total", with(t, "outcome", "failed"),
                static_cast<double>(node.sink_progress.records_failed));
    out.Gauge("weir_sink_wal_bytes", t, static_cast<double>(node.sink_progress.bytes_waiting));
  }
  if (node.state) {
    const StateUsage& state = *node.state;
    out.Gauge("weir_state_size_bytes", t, static_cast<double>(state.hot_bytes + state.cold_bytes));
    out.Gauge("weir_state_rows", t, static_cast<double>(state.rows));
    out.Counter("weir_state_evictions_total", t, static_cast<double>(state.evictions));
    out.Counter("weir_state_cold_reads_total", t, static_cast<double>(state.cold_reads));
    out.Gauge("weir_rocksdb_memory_bytes", with(t, "kind", "memtable"),
              static_cast<double>(state.memtable_bytes));
    out.Gauge("weir_rocksdb_memory_bytes", with(t, "kind", "block_cache"),
              static_cast<double>(state.block_cache_bytes));
    out.Gauge("weir_rocksdb_memory_bytes", with(t, "kind", "table_readers"),
              static_cast<double>(state.table_reader_bytes));
    out.Gauge("weir_rocksdb_memory_bytes", with(t, "kind", "pinned"),
              static_cast<double>(state.pinned_bytes));
    out.Gauge("weir_rocksdb_compaction_pending_bytes", t,
              static_cast<double>(state.compaction_pending_bytes));
    out.Counter("weir_rocksdb_write_stall_seconds_total", t,
                static_cast<double>(state.write_stall_us) * kMicro);
  }
}

/// Histograms never carry a task: those of a node's tasks are added.
void AddHistograms(Families& out, const std::string& job, const std::vector<NodeValues>& values) {
  struct Sums {
    HistogramValues latency, alignment, sync, async, upload, commit;
  };
  std::map<std::string, Sums> nodes;
  for (const NodeValues& value : values) {
    Sums& sums = nodes[value.node_id];
    AddTo(sums.latency, value.record_latency);
    AddTo(sums.alignment, value.alignment);
    AddTo(sums.sync, value.snapshot_sync);
    AddTo(sums.async, value.snapshot_async);
    AddTo(sums.upload, value.snapshot_upload);
    AddTo(sums.commit, value.sink_commit);
  }
  for (const auto& [node, sums] : nodes) {
    const Labels n = {{"job_name", job}, {"node_id", node}};
    const auto with = [&](const char* name, const char* value) {
      Labels labels = n;
      labels.push_back({name, value});
      return labels;
    };
    out.Histogram("weir_record_latency_seconds", n, sums.latency);
    out.Histogram("weir_checkpoint_alignment_seconds", n, sums.alignment);
    out.Histogram("weir_checkpoint_snapshot_seconds", with("phase", "sync"), sums.sync);
    out.Histogram("weir_checkpoint_snapshot_seconds", with("phase", "async"), sums.async);
    out.Histogram("weir_checkpoint_snapshot_seconds", with("phase", "upload"), sums.upload);
    out.Histogram("weir_sink_commit_duration_seconds", n, sums.commit);
  }
}

}  // namespace

std::vector<MetricFamily> JobMetrics::Collect() const {
  Families out;
  const control::JobCoordinator* coordinator = coordinator_.load(std::memory_order_acquire);
  const control::JobStatus status =
      coordinator == nullptr ? control::JobStatus() : coordinator->status();
  const std::string& job = plan_.job;
  const Labels j = {{"job_name", job}};
  const auto with = [&](std::initializer_list<std::pair<const char*, std::string>> more) {
    Labels labels = j;
    for (const auto& [name, value] : more) labels.push_back({name, value});
    return labels;
  };
  out.Gauge(
      "weir_build_info",
      {{"version", std::string(Version())}, {"revision", std::string(Revision())}, {"role", "run"}},
      1);
  for (size_t i = 0; i < control::kJobStates; ++i) {
    const auto state = static_cast<control::JobState>(i);
    out.Gauge("weir_job_state", with({{"state", std::string(control::JobStateName(state))}}),
              status.state == state ? 1 : 0);
  }
  if (status.started.us != 0)
    out.Gauge("weir_job_start_time_seconds", j, static_cast<double>(status.started.us) * kMicro);
  for (const char* reason : {"task_failed", "checkpoint"}) {
    const auto place = status.restarts.find(reason);
    out.Counter("weir_job_restarts_total", with({{"reason", reason}}),
                place == status.restarts.end() ? 0 : static_cast<double>(place->second));
  }
  const control::CheckpointStats& checkpoints = status.checkpoints;
  const auto checkpoint_count = [&](const char* outcome, uint64_t n) {
    out.Counter("weir_checkpoints_total", with({{"kind", "checkpoint"}, {"outcome", outcome}}),
                static_cast<double>(n));
  };
  checkpoint_count("completed", checkpoints.completed);
  checkpoint_count("failed", checkpoints.failed);
  checkpoint_count("expired", checkpoints.expired);
  checkpoint_count("skipped", checkpoints.skipped);
  out.Counter("weir_checkpoint_fallbacks_total", j, static_cast<double>(checkpoints.fallbacks));
  out.Histogram("weir_checkpoint_duration_seconds", with({{"kind", "checkpoint"}}),
                checkpoints.duration);
  out.Gauge("weir_checkpoint_size_bytes", with({{"scope", "full"}}),
            static_cast<double>(checkpoints.last_bytes));
  out.Gauge("weir_checkpoint_size_bytes", with({{"scope", "uploaded"}}),
            static_cast<double>(checkpoints.last_uploaded_bytes));
  if (checkpoints.current_as_of.us != 0) {
    out.Gauge("weir_checkpoint_last_completed_timestamp_seconds", j,
              static_cast<double>(checkpoints.current_as_of.us) * kMicro);
  }
  out.Gauge("weir_checkpoints_in_progress", j, checkpoints.in_progress ? 1 : 0);
  for (const PlanNode& node : plan_.nodes) {
    out.Gauge("weir_node_info",
              with({{"node_id", node.id},
                    {"type", std::string(node.type->name)},
                    {"parallelism", std::to_string(node.parallelism)}}),
              1);
  }

  for (size_t i = 0; i < kStorageOperations; ++i) {
    const auto operation = static_cast<StorageOperation>(i);
    const std::string name(StorageOperationName(operation));
    const StorageMeter::Values calls = storage_.Of(operation);
    out.Counter("weir_storage_operations_total",
                with({{"operation", name}, {"outcome", "completed"}}),
                static_cast<double>(calls.completed));
    out.Counter("weir_storage_operations_total", with({{"operation", name}, {"outcome", "failed"}}),
                static_cast<double>(calls.failed));
    out.Histogram("weir_storage_operation_duration_seconds", with({{"operation", name}}),
                  calls.seconds);
  }

  std::vector<NodeValues> values;
  if (coordinator != nullptr) values = coordinator->Values();
  AddHistograms(out, job, values);
  std::map<std::string, int64_t> unaccounted;
  for (const NodeValues& value : values) {
    if (value.exact_conservation) unaccounted[value.node_id] += value.unaccounted;
  }
  for (const auto& [node, rows] : unaccounted)
    out.Gauge("weir_records_unaccounted", with({{"node_id", node}}), static_cast<double>(rows));
  std::map<std::string, bool> summed;
  for (const NodeValues& value : BoundTasks(std::move(values), tasks_max_, summed))
    AddNode(out, job, value, summed.contains(value.node_id));

  for (size_t i = 0; i < kMemoryKinds; ++i) {
    const auto kind = static_cast<MemoryKind>(i);
    out.Gauge("weir_memory_accounted_bytes", {{"kind", std::string(MemoryKindName(kind))}},
              static_cast<double>(memory_.used(kind)));
  }
  out.Gauge("weir_memory_limit_bytes", {}, static_cast<double>(memory_.limit()));

  const ProcessStats process = ReadProcessStats();
  out.Counter("process_cpu_seconds_total", {}, process.cpu_seconds);
  out.Gauge("process_resident_memory_bytes", {}, static_cast<double>(process.resident_bytes));
  out.Gauge("process_open_fds", {}, static_cast<double>(process.open_files));
  out.Gauge("process_max_fds", {}, static_cast<double>(process.open_files_max));
  out.Gauge("process_start_time_seconds", {}, process.start_time_seconds);
  return out.Take();
}

std::string MetricsText(const JobMetrics& metrics) {
  return prometheus::TextSerializer().Serialize(metrics.Collect());
}

}  // namespace weir::cli
