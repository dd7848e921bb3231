// The part of Task that makes it: objects and state on P, restored time and rows on W,
// and the copy of its values for the metrics.

#include <algorithm>
#include <utility>

#include "engine/base/log.h"
#include "engine/plan/memory_split.h"
#include "engine/runtime/task.h"

namespace weir::runtime {
namespace {

NodeInfo InfoOf(const AttemptOptions& options, const PlanNode& node, TaskIndex task,
                GroupRange groups) {
  NodeInfo info;
  info.cluster = options.cluster;
  info.job = options.plan->job;
  info.incarnation = options.incarnation;
  info.id = node.id;
  info.type = node.type->name;
  info.attempt = options.attempt;
  info.task = task;
  info.parallelism = node.parallelism;
  info.key_groups = options.plan->key_groups;
  info.groups = groups;
  return info;
}

GroupRange GroupsOfTask(const PhysicalPlan& plan, const PlanChain& chain, TaskIndex task) {
  if (chain.parallelism > plan.key_groups)
    return {{0}, {static_cast<uint16_t>(plan.key_groups - 1)}};  // no keyed node is so wide
  return GroupsOf(task, plan.key_groups, chain.parallelism);
}

const TaskRestore kNothing;

}  // namespace

Task::Task(TaskSpec spec)
    : spec_(std::move(spec)),
      options_(*spec_.options),
      plan_(*options_.plan),
      groups_(GroupsOfTask(plan_, *spec_.chain, spec_.task)),
      valve_(spec_.inputs.size(), EventTime::Min()),
      aligner_(spec_.inputs.size(), plan_.checkpoint.exactly_once),
      flow_(spec_.inputs.size(), options_.batch_rows_initial, spec_.share_bytes, spec_.pool_bytes) {
  const auto restore = options_.restore.find(key());
  restore_ = restore == options_.restore.end() ? &kNothing : &restore->second;
  services_.env = options_.env;
  services_.clients = options_.clients;
  services_.store = options_.store;
  services_.memory = options_.memory;
  services_.signal = spec_.signal;
  services_.post = [this](std::function<void()> job) {
    spec_.pool_jobs->Post([job = std::move(job), keep = shared_from_this()] { job(); });
  };
  std::map<NodeIndex, size_t> positions;
  for (size_t i = 0; i < spec_.chain->nodes.size(); ++i) positions[spec_.chain->nodes[i]] = i;
  for (size_t i = 0; i < spec_.chain->nodes.size(); ++i) {
    const PlanNode& plan = plan_.nodes[spec_.chain->nodes[i].value];
    std::vector<std::vector<Target>>& targets = spec_.targets[i];
    std::vector<bool> wanted;
    wanted.reserve(targets.size());
    for (const auto& of_port : targets) wanted.push_back(!of_port.empty());
    auto node = std::make_unique<TaskNode>(plan, InfoOf(options_, plan, spec_.task, groups_),
                                           services_, MakeOutput(plan, wanted));
    targets.resize(node->out.ports());
    node->targets = std::move(targets);
    node->time.groups = groups_;
    if (const auto client = spec_.clients.find(plan.index); client != spec_.clients.end())
      node->basics.client_memory = std::move(client->second);
    for (auto& of_port : node->targets) {
      for (Target& target : of_port) {
        if (target.exchange != nullptr) {
          node->exchanges.push_back(target.exchange.get());
          exchanges_.push_back(target.exchange.get());
        }
        if (target.local && std::find(node->followers.begin(), node->followers.end(),
                                      *target.local) == node->followers.end())
          node->followers.push_back(*target.local);
        if (target.edge->combined) {
          const PlanNode& consumer = plan_.nodes[target.edge->consumer.value];
          const std::vector<Expression>& keys = consumer.shape.keys[target.edge->to.value].value();
          target.combine = std::make_unique<CombineStep>(
              consumer, InfoOf(options_, consumer, spec_.task, groups_), services_, keys);
        }
      }
    }
    nodes_.push_back(std::move(node));
  }
  for (TaskInput& input : spec_.inputs) inputs_.push_back({std::move(input), {}, false});
}

Task::~Task() { delete published_.load(); }

Status Task::Open() {
  WEIR_TRY(OpenState());
  for (const auto& node : nodes_) {
    Status status = OpenNode(*node);
    if (status.ok()) status = OpenCombiners(*node);
    if (status.ok()) continue;
    failed_node_ = node->plan.id;
    return status;
  }
  return Status::Ok();
}

Status Task::OpenState() {
  TaskStateSpec state;
  for (const auto& node : nodes_) {
    const NodeShape& shape = node->plan.shape;
    std::vector<Type> key_types;
    if (node->keyed && !shape.keys.empty() && shape.keys.front()) {
      for (const Expression& key : *shape.keys.front()) key_types.push_back(key.type());
    }
    for (size_t i = 0; i < shape.states.size(); ++i) {
      if (shape.states[i].kind == StateKind::kList) continue;
      state.states.push_back({node->plan.index,
                              node->plan.id,
                              {static_cast<uint16_t>(i)},
                              shape.states[i],
                              key_types});
    }
  }
  if (state.states.empty()) return Status::Ok();
  failed_node_ = state.states.front().node_id;
  const std::string task_name =
      std::to_string(spec_.chain->index) + "-" + std::to_string(spec_.task.value);
  WEIR_ASSIGN(hot_, options_.memory->Open(plan_.job + "/state/" + task_name, MemoryKind::kHotState,
                                          kHotStateReserveBytes));
  state.job = plan_.job;
  state.incarnation = options_.incarnation;
  state.attempt = options_.attempt;
  state.task_name = task_name;
  state.groups = groups_;
  state.key_groups = plan_.key_groups;
  state.directory = options_.state_directory + "/" + options_.incarnation + "-" +
                    std::to_string(options_.attempt.value) + "-" + task_name;
  state.compression = plan_.compression;
  state.hot = hot_.get();
  state_wake_ = std::make_shared<WakeTarget>();
  state_wake_->task = spec_.signal;
  state.wake = [target = state_wake_] { target->Wake(); };
  WEIR_ASSIGN(state_, options_.backend->Open(state, restore_->images));
  failed_node_.clear();
  return Status::Ok();
}

Status Task::OpenNode(TaskNode& node) {
  const NodeConfig& config = *node.plan.config;
  const NodeShape& shape = node.plan.shape;
  if (node.role == TaskNode::Role::kSource) {
    WEIR_ASSIGN(SourceParts parts,
                std::get<Factory<SourceParts>>(node.plan.type->create)(config, shape));
    std::unique_ptr<Decoder> decoder;
    if (config.Has("format")) {
      WEIR_ASSIGN(decoder, config.MakeDecoder(shape.source->columns));
    }
    node.source_context = std::make_unique<BasicContext<NodeContext>>(node.basics);
    std::unique_ptr<Source> source = parts.source();
    WEIR_TRY(source->Open(*node.source_context));
    const auto watermark = restore_->watermarks.find(node.plan.id);
    const EventTime start =
        watermark == restore_->watermarks.end() || watermark->second == EventTime::Max()
            ? EventTime::Min()
            : watermark->second;
    const uint32_t rows_max =
        options_.batch_rows_initial < kBatchRowsLeast ? options_.batch_rows_initial : kBatchRowsMax;
    source_ = std::make_unique<SourceStep>(node.plan, std::move(source), std::move(decoder), start,
                                           rows_max, node.plan.parallelism);
    return Status::Ok();
  }
  if (node.role == TaskNode::Role::kSink) {
    WEIR_ASSIGN(SinkParts parts,
                std::get<Factory<SinkParts>>(node.plan.type->create)(config, shape));
    const SchemaRef input = plan_.edges[node.plan.in_edges.front()].schema;
    const LaneId own{spec_.task.value};
    node.sink_context = std::make_unique<SinkTaskContext>(node.basics, own, config, input);
    WEIR_TRY(node.sink_context->MakeEncoder());
    std::vector<LaneState> restored;
    for (const NodeLane& lane : restore_->lanes) {
      if (lane.node_id == node.plan.id) restored.push_back(lane.lane);
    }
    node.sink = parts.sink();
    WEIR_TRY(node.sink->Open(*node.sink_context, restored));
    if (!parts.protocol) return Status::Ok();
    node.transactional = true;
    if (std::none_of(restored.begin(), restored.end(),
                     [&](const LaneState& lane) { return lane.lane == own; }))
      restored.push_back({own, {}});
    for (LaneState& state : restored) {
      auto lane =
          std::make_unique<CommitLane>(node.basics.info, services_, state.lane, config, input);
      lane->protocol = parts.protocol();
      WEIR_TRY(lane->protocol->Open(lane->context));
      lane->restored = std::move(state);
      node.lanes.push_back(std::move(lane));
    }
    return Status::Ok();
  }
  WEIR_ASSIGN(node.op,
              std::get<Factory<std::unique_ptr<Operator>>>(node.plan.type->create)(config, shape));
  node.operator_context = std::make_unique<OperatorTaskContext>(node.basics, node.time);
  OperatorTaskContext& context = *node.operator_context;
  for (const uint32_t edge : node.plan.in_edges) {
    if (node.keyed && plan_.nodes[plan_.edges[edge].producer.value]
                          .shape.outputs[plan_.edges[edge].from.value]
                          .has_event_time)
      ttl_by_clock_ = false;
  }
  for (size_t i = 0; i < shape.states.size(); ++i) {
    const StateIndex index{static_cast<uint16_t>(i)};
    const StateSpec& spec = shape.states[i];
    StatePointer pointer;
    if (spec.kind == StateKind::kList) {
      std::vector<std::string> restored;
      for (const ListItems& items : restore_->lists) {
        if (items.node_id == node.plan.id && items.state == index)
          restored.insert(restored.end(), items.items.begin(), items.items.end());
      }
      context.lists[index] = MakeListState(std::move(restored));
    } else {
      pointer = state_->state(node.plan.index, index);
    }
    context.states.push_back(pointer);
    if (TimerState* const* timers = std::get_if<TimerState*>(&pointer)) {
      (spec.kind == StateKind::kEventTimers ? node.event_timers : node.processing_timers)
          .push_back(*timers);
    }
    if (spec.namespaced || spec.spread != Spread::kByKey) continue;
    if (ValueState* const* value = std::get_if<ValueState*>(&pointer))
      node.prefetched.push_back(*value);
  }
  if (shape.event_time) {
    node.generator.emplace(
        WatermarkPolicy{shape.event_time->max_delay, shape.event_time->idle_timeout,
                        shape.event_time->when_idle},
        EventTime::Min());
    WEIR_ASSIGN(node.restored_max_ts, LeastMaxTs(context.list(kMaxTsState)));
  }
  return node.op->Open(context);
}

Status Task::OpenCombiners(TaskNode& node) {
  for (auto& of_port : node.targets) {
    for (Target& target : of_port) {
      if (target.combine == nullptr) continue;
      const PlanNode& consumer = target.combine->consumer;
      WEIR_ASSIGN(target.combine->combiner,
                  consumer.shape.combine->create(*consumer.config, consumer.shape,
                                                 target.combine->context));
    }
  }
  return Status::Ok();
}

void Task::RestoreTime() {
  for (const auto& node : nodes_) {
    const auto rows = restore_->buffered.find(node->plan.id);
    if (rows != restore_->buffered.end()) node->restored_rows = rows->second;
    const auto groups = restore_->group_watermarks.find(node->plan.id);
    if (groups == restore_->group_watermarks.end()) continue;
    node->time.floors.assign(static_cast<size_t>(groups_.last.value - groups_.first.value) + 1,
                             EventTime::Min());
    for (const auto& [group, floor] : groups->second) {
      if (groups_.Contains({group}))
        node->time.floors[static_cast<size_t>(group - groups_.first.value)] = floor;
    }
  }
  EventTime start = EventTime::Min();
  if (!head().time.floors.empty()) {
    start = *std::min_element(head().time.floors.begin(), head().time.floors.end());
  } else if (const auto watermark = restore_->watermarks.find(head().plan.id);
             watermark != restore_->watermarks.end()) {
    start = watermark->second;
  }
  if (start == EventTime::Max()) start = EventTime::Min();  // everything had fired: END comes again
  if (source_ == nullptr) valve_ = WatermarkMerger(inputs_.size(), start);
  restored_.assign(restore_->in_flight.begin(), restore_->in_flight.end());
  if (start != EventTime::Min()) marks_.push_back({Mark::Kind::kWatermark, start});
}

/// The first run on the worker: what 3.4 says of W.
void Task::BeginRunning() {
  begun_ = true;
  time_.Start(now_);
  published_at_ = now_;
  if (spec_.queues != nullptr)  // the exclusive windows, which are granted from the start
    spec_.queues->Use(static_cast<int64_t>(spec_.share_bytes * inputs_.size()));
  RestoreTime();
  if (source_ != nullptr) {
    source_->tracker().StartClock(now_);
    if (restore_->finished) {
      drained_ = splits_started_ = true;
      source_->tracker().Started(marks_);
      source_->tracker().NoMoreSplits(marks_);
    }
  }
  for (const auto& node : nodes_) {
    if (node->generator) {
      node->generator->Add({.id = node->plan.id, .position = {}, .max_ts = node->restored_max_ts},
                           false, node->generated);
      node->generator->OnReport({0}, SplitStatus::kCaughtUp,
                                node->generated);  // its clock counts time without a row
      node->generator->StartClock(now_);
      node->generator->NoMoreSplits(node->generated);  // announces the restored time
    }
    for (const auto& lane : node->lanes) {
      lane->protocol->Recover(lane->restored, options_.head);
      lane->basics.wake->Wake();
    }
  }
  if (source_ == nullptr && inputs_.empty())
    marks_.push_back({Mark::Kind::kEnd});  // nobody feeds this task
}

// --- Values

void Task::Publish(Duration steady) {
  auto values = std::make_unique<TaskValues>();
  values->steady = steady;
  values->since = booked_as_;
  values->changes = changes_;
  if (state_ != nullptr) {
    const StateUsage usage = state_->usage();
    state_cold_ = usage.cold_bytes != 0 || usage.evictions != 0;
  }
  for (const auto& node : nodes_) {
    FillValues(*node, values->nodes.emplace_back());
    for (const auto& lane : node->lanes) {
      const LaneProgress progress = lane->protocol->progress();
      const bool retired = lane->restored.lane.value != spec_.task.value;
      if (!(retired && progress.resolved))
        values->lanes.emplace_back(node->plan.id, progress);  // such a lane owes nothing any more
    }
  }
  // What combiners did counts as the consumer's.
  for (const auto& node : nodes_) {
    for (const auto& of_port : node->targets) {
      for (const Target& target : of_port) {
        if (target.combine == nullptr) continue;
        NodeValues& combined = values->combined.emplace_back();
        const NodeCounters& counters = target.combine->counters;
        combined.node_id = target.combine->consumer.id;
        combined.type = target.combine->consumer.type->name;
        combined.task = spec_.task;
        combined.records_in = counters.records_in;
        combined.bytes_in = counters.bytes_in;
        combined.outcomes = counters.outcomes;
        combined.counts = counters.counts;
        combined.errors = counters.errors;
        combined.unaccounted = static_cast<int64_t>(counters.records_in);
        for (const int64_t rows : counters.outcomes) combined.unaccounted -= rows;
      }
    }
  }
  delete published_.exchange(values.release(), std::memory_order_acq_rel);
  published_at_ = steady;
  dirty_ = false;
}

void Task::FillValues(TaskNode& node, NodeValues& values) {
  const bool is_head = &node == nodes_.front().get();
  values.node_id = node.plan.id;
  values.type = node.plan.type->name;
  values.task = spec_.task;
  values.source = node.role == TaskNode::Role::kSource;
  values.sink = node.role == TaskNode::Role::kSink;
  values.head = is_head;
  values.records_in = node.counters.records_in;
  values.records_out = node.counters.records_out;
  values.bytes_in = node.counters.bytes_in;
  values.bytes_out = node.counters.bytes_out;
  values.time_us = time_.state_us();
  values.busy_us = node.counters.busy_us;
  values.stall_longest_us = time_.stall_longest_us();
  const EventTime time = node.role == TaskNode::Role::kSource || node.generator
                             ? node.time.announced
                             : node.time.watermark;
  if (time != EventTime::Min() && time != EventTime::Max()) values.watermark = time;
  values.outcomes = node.counters.outcomes;
  values.counts = node.counters.counts;
  values.errors = node.counters.errors;
  for (const auto& [name, counter] : node.basics.anomalies)
    values.anomalies[name] = counter.value();
  values.exact_conservation = node.plan.shape.exact_conservation;
  if (values.exact_conservation) {
    // `buffered` starts at what was restored, so that number stands on both sides.
    values.unaccounted = static_cast<int64_t>(node.counters.records_in);
    for (const int64_t rows : node.counters.outcomes) values.unaccounted -= rows;
    values.outcomes[static_cast<size_t>(Outcome::kBuffered)] +=
        static_cast<int64_t>(node.restored_rows);
  }
  if (node.keyed && state_ != nullptr) values.state = state_->usage();
  if (values.source) {
    values.splits = source_->Values();
    if (source_->unreachable()) values.degraded = "source";
    if (source_->last_time())
      values.emit_lag_seconds =
          static_cast<double>(services_.now.us - source_->last_time()->us) / 1e6;
  }
  if (values.sink) {
    values.sink_progress = node.sink->progress();
    values.bytes_out = values.sink_progress.bytes;
    for (const auto& lane : node.lanes) {
      const LaneProgress progress = lane->protocol->progress();
      values.sink_progress.records_committed += progress.records_committed;
      values.sink_progress.bytes_waiting += progress.bytes_waiting;
    }
  }
  if (is_head) {
    for (const Input& input : inputs_) {
      const ChannelReceiver& channel = *input.wired.channel;
      values.channels.push_back({input.wired.upstream, channel.credits(), channel.queued_rows(),
                                 channel.queued_bytes(), channel.blocked_us()});
    }
    values.alignment = node.alignment.Values();
    values.snapshot_sync = node.snapshot_sync.Values();
    values.snapshot_async = node.snapshot_async.Values();
    values.snapshot_upload = node.snapshot_upload.Values();
  }
  values.record_latency = node.latency.Values();
  values.sink_commit = node.sink_commit.Values();
}

}  // namespace weir::runtime
