#include "engine/runtime/node.h"

#include "engine/runtime/segment_log.h"

namespace weir::runtime {
namespace {

Output OnePort(SchemaRef schema) {
  std::vector<Output::PortSlot> slots;
  slots.push_back({std::move(schema), true, std::nullopt, {}});
  return Output(std::move(slots));
}

}  // namespace

void NodeCounters::Take(Output& out) {
  for (size_t i = 0; i < kOutcomes; ++i) outcomes[i] += out.outcomes()[i];
  for (size_t i = 0; i < kNodeCounts; ++i) counts[i] += out.counts()[i];
  out.outcomes().fill(0);
  out.counts().fill(0);
}

NodeBasics::NodeBasics(NodeInfo node_info, TaskServices& task_services)
    : info(std::move(node_info)), services(task_services) {
  wake->task = services.signal;
}

std::unique_ptr<MemoryAccount> NodeBasics::OpenEmpty(MemoryKind kind) const {
  Result<std::unique_ptr<MemoryAccount>> opened =
      services.memory->Open(info.job + "/" + info.id, kind, 0);
  WEIR_CHECK(opened.ok());  // a reservation of nothing always fits
  return std::move(*opened);
}

MemoryAccount& NodeBasics::Memory() {
  if (memory_ == nullptr) memory_ = OpenEmpty(MemoryKind::kOther);
  return *memory_;
}

MemoryAccount& NodeBasics::ClientMemory() {
  if (client_memory == nullptr) client_memory = OpenEmpty(MemoryKind::kKafkaClient);
  return *client_memory;
}

SinkTaskContext::~SinkTaskContext() = default;

Status SinkTaskContext::MakeEncoder() {
  if (!config_.Has("format")) return Status::Ok();
  WEIR_ASSIGN(encoder_, config_.MakeEncoder(input_));
  return Status::Ok();
}

SegmentLog& SinkTaskContext::segments() {
  if (segments_ == nullptr) segments_ = MakeFileSegmentLog(*this);
  return *segments_;
}

CombineStep::CombineStep(const PlanNode& consumer_node, NodeInfo info, TaskServices& services,
                         const std::vector<Expression>& key_expressions)
    : consumer(consumer_node),
      basics(std::move(info), services),
      context(basics, time),
      keys(key_expressions),
      out(OnePort(std::make_shared<const Schema>(consumer_node.shape.combine->partial))) {}

CommitLane::CommitLane(NodeInfo info, TaskServices& services, LaneId lane, const NodeConfig& config,
                       SchemaRef input)
    : basics(std::move(info), services), context(basics, lane, config, std::move(input)) {}

TaskNode::TaskNode(const PlanNode& node, NodeInfo info, TaskServices& services, Output output)
    : plan(node),
      role(node.type->is_source() ? Role::kSource
           : node.type->is_sink() ? Role::kSink
                                  : Role::kOperator),
      basics(std::move(info), services),
      out(std::move(output)),
      targets(out.ports()),
      keys(role == Role::kSink
               ? decltype(keys)()
               : node.shape.keys),  // a sink's key says how rows are spread; it keeps nothing by it
      combined(node.shape.combine.has_value()) {
  for (const auto& key : keys) keyed |= key.has_value();
  if (!keys.empty() && keys.front()) key_columns = keys.front()->size();
}

Output MakeOutput(const PlanNode& node, const std::vector<bool>& wanted) {
  std::vector<Output::PortSlot> slots;
  for (size_t port = 0; port < node.shape.outputs.size(); ++port) {
    slots.push_back(
        {node.shape.outputs[port].schema, port < wanted.size() && wanted[port], std::nullopt, {}});
  }
  return Output(std::move(slots));
}

}  // namespace weir::runtime
