#include "jobs/logical_graph.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/api/options.h"
#include "jobs/shape.h"

namespace weir::jobs {
namespace {

std::string NodePointer(const std::string& id) { return "/nodes/" + PointerToken(id); }

std::string_view KindName(StreamKind kind) {
  return kind == kAppend      ? "an append stream"
         : kind == kChangelog ? "a changelog"
                              : "an upsert stream";
}

std::vector<Field> OrdinaryFields(const Schema& schema) {
  std::vector<Field> fields;
  for (const Field& field : schema.fields()) {
    if (!IsMetadataColumn(field.name)) fields.push_back(field);
  }
  return fields;
}

bool SameButForNull(const std::vector<Field>& a, const std::vector<Field>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Field& x, const Field& y) {
    return x.name == y.name && x.type == y.type;
  });
}

Problem MakeProblem(std::string code, std::string pointer, std::string message, std::string help,
                    std::string node_id) {
  Problem problem;
  problem.code = std::move(code);
  problem.message = std::move(message);
  problem.pointer = std::move(pointer);
  problem.help = std::move(help);
  problem.node_id = std::move(node_id);
  return problem;
}

/// Builds one graph; one object per call of BuildGraph.
class GraphBuilder {
 public:
  GraphBuilder(const JobSpec& spec, const CompileOptions& options, Problems& problems)
      : spec_(spec), options_(options), problems_(problems) {}

  LogicalGraph Build() {
    for (uint32_t i = 0; i < spec_.nodes.size(); ++i) by_id_[spec_.nodes[i].id] = i;
    ResolveInputs();
    Order();
    CheckEnds();
    MakeNodes();
    InferAll(/*wanted=*/nullptr, &problems_);
    ConnectPorts();
    CheckUnread();
    if (!problems_.has_errors()) PruneColumns();
    return std::move(graph_);
  }

 private:
  // An input as the file has it: spec positions. Port numbers come with the shapes.
  struct Link {
    uint32_t producer = 0;
    std::string port;
    uint32_t consumer = 0;
    uint16_t to = 0;
    std::string pointer;
  };

  void Report(std::string code, std::string pointer, std::string message, std::string help = "",
              const std::string& node_id = "") {
    problems_.Add(MakeProblem(std::move(code), std::move(pointer), std::move(message),
                              std::move(help), node_id));
  }

  void ResolveInputs() {
    std::vector<std::string> ids;
    ids.reserve(spec_.nodes.size());
    for (const NodeSpec& node : spec_.nodes) ids.push_back(node.id);
    good_inputs_.assign(spec_.nodes.size(), true);
    in_links_.resize(spec_.nodes.size());
    out_links_.resize(spec_.nodes.size());
    for (uint32_t i = 0; i < spec_.nodes.size(); ++i) {
      const NodeSpec& node = spec_.nodes[i];
      std::set<std::pair<std::string, std::string>> seen;
      size_t count = 0;
      for (uint16_t input = 0; input < node.inputs.size(); ++input) {
        for (const PortReference& reference : node.inputs[input].ports) {
          ++count;
          const auto found = by_id_.find(reference.node);
          if (found == by_id_.end()) {
            good_inputs_[i] = false;
            const std::vector<std::string> near = Suggest(reference.node, ids);
            Problem problem = MakeProblem("W0301", reference.pointer,
                                          "node '" + reference.node + "' does not exist",
                                          DidYouMean(reference.node, ids), node.id);
            if (near.size() == 1)
              problem.fix = near.front() + (reference.port.empty() ? "" : "." + reference.port);
            problems_.Add(std::move(problem));
            continue;
          }
          if (!seen.insert({reference.node, reference.port}).second) {
            good_inputs_[i] = false;
            Report("W0309", reference.pointer,
                   "'" + reference.node + (reference.port.empty() ? "" : "." + reference.port) +
                       "' is an input of '" + node.id + "' twice",
                   "", node.id);
            continue;
          }
          if (links_.size() == kEdgesMax) {
            if (!too_many_)
              Report("W0217", reference.pointer,
                     "the nodes of a job have at most " + std::to_string(kEdgesMax) +
                         " inputs together");
            too_many_ = true;
            good_inputs_[i] = false;
            continue;
          }
          in_links_[i].push_back(static_cast<uint32_t>(links_.size()));
          out_links_[found->second].push_back(static_cast<uint32_t>(links_.size()));
          links_.push_back({found->second, reference.port, i, input, reference.pointer});
        }
      }
      CheckArity(node,
                 node.type != nullptr && node.type->inputs.named ? node.inputs.size() : count);
      if (count == 0 && (node.type == nullptr || node.type->inputs.least > 0))
        good_inputs_[i] = false;
    }
  }

  void CheckArity(const NodeSpec& node, size_t count) {
    if (node.type == nullptr || count == 0) return;
    const InputRule& rule = node.type->inputs;
    if (count >= rule.least && count <= rule.most) return;
    const std::string wanted = rule.least == rule.most ? std::to_string(rule.least)
                               : count < rule.least    ? "at least " + std::to_string(rule.least)
                                                       : "at most " + std::to_string(rule.most);
    Report("W0304", NodePointer(node.id) + "/inputs",
           "a " + std::string(node.type->name) + " has " + wanted + " inputs, this one has " +
               std::to_string(count),
           "", node.id);
  }

  /// Kahn's order by place in the file; what is left lies on a cycle or behind one.
  void Order() {
    const auto count = static_cast<uint32_t>(spec_.nodes.size());
    std::vector<uint32_t> missing(count);
    std::set<uint32_t> ready;
    for (uint32_t i = 0; i < count; ++i) {
      missing[i] = static_cast<uint32_t>(in_links_[i].size());
      if (missing[i] == 0) ready.insert(i);
    }
    while (!ready.empty()) {
      const uint32_t node = *ready.begin();
      ready.erase(ready.begin());
      order_.push_back(node);
      for (const uint32_t link : out_links_[node]) {
        if (--missing[links_[link].consumer] == 0) ready.insert(links_[link].consumer);
      }
    }
    if (order_.size() == count) return;
    std::vector<bool> left(count, true);
    for (const uint32_t node : order_) left[node] = false;
    for (uint32_t i = 0; i < count; ++i) {
      if (left[i]) order_.push_back(i), on_cycle_.insert(i);
    }
    ReportCycles(std::move(left));
  }

  /// Each left node has a left producer, so walking backwards ends in a cycle; its nodes are taken
  /// out and the walk starts again.
  void ReportCycles(std::vector<bool> left) {
    std::vector<uint32_t> mark(left.size(), 0);
    uint32_t round = 0;
    for (uint32_t start = 0; start < left.size(); ++start) {
      if (!left[start]) continue;
      ++round;
      std::vector<uint32_t> path;
      uint32_t at = start;
      bool closed = false;
      while (true) {
        if (mark[at] != 0) {
          closed = mark[at] == round;
          break;
        }
        mark[at] = round;
        path.push_back(at);
        const auto back = std::find_if(in_links_[at].begin(), in_links_[at].end(),
                                       [&](uint32_t link) { return left[links_[link].producer]; });
        if (back == in_links_[at].end()) break;
        at = links_[*back].producer;
      }
      if (!closed) continue;
      std::vector<uint32_t> cycle(std::find(path.begin(), path.end(), at), path.end());
      std::reverse(cycle.begin(), cycle.end());
      std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
      std::string text;
      for (const uint32_t node : cycle) text += spec_.nodes[node].id + " -> ";
      text += spec_.nodes[cycle.front()].id;
      const std::string& first = spec_.nodes[cycle.front()].id;
      Report("W0303", NodePointer(first) + "/inputs", "nodes form a cycle: " + text,
             "rows flow from sources to sinks", first);
    }
  }

  void CheckEnds() {
    if (spec_.nodes.empty()) return;
    const auto has = [&](auto test) {
      return std::any_of(spec_.nodes.begin(), spec_.nodes.end(), [&](const NodeSpec& node) {
        return node.type == nullptr || test(*node.type);
      });
    };
    if (!has([](const NodeType& type) { return type.is_source(); }))
      Report("W0306", "/nodes", "the job has no source");
    if (!has([](const NodeType& type) { return type.is_sink(); }))
      Report("W0307", "/nodes", "the job has no sink", "blackhole_sink counts rows and drops them");
  }

  void MakeNodes() {
    position_.resize(spec_.nodes.size());
    for (const uint32_t node : order_) {
      position_[node] = static_cast<uint32_t>(graph_.nodes.size());
      LogicalNode made;
      made.id = spec_.nodes[node].id;
      made.type = spec_.nodes[node].type;
      const Json& options = spec_.nodes[node].options;
      if (options.is_object() && options.contains("renamed_from") &&
          options["renamed_from"].is_string())
        made.renamed_from = options["renamed_from"].get<std::string>();
      graph_.nodes.push_back(std::move(made));
    }
    CheckRenames();
  }

  void CheckRenames() {
    std::map<std::string, std::string> taken;
    for (const LogicalNode& node : graph_.nodes) {
      if (node.renamed_from.empty()) continue;
      const std::string pointer = NodePointer(node.id) + "/renamed_from";
      if (by_id_.contains(node.renamed_from))
        Report("W0205", pointer, "'" + node.renamed_from + "' is still a node of the job", "",
               node.id);
      const auto [other, fresh] = taken.emplace(node.renamed_from, node.id);
      if (!fresh)
        Report("W0205", pointer,
               "'" + node.renamed_from + "' is renamed to '" + other->second + "' already", "",
               node.id);
    }
  }

  /// Shapes of all nodes. `wanted` null: with all columns, problems go to `problems`.
  void InferAll(const std::vector<std::shared_ptr<const std::set<std::string>>>* wanted,
                Problems* problems) {
    for (const uint32_t spec_index : order_) {
      const NodeSpec& node = spec_.nodes[spec_index];
      LogicalNode& made = graph_.nodes[position_[spec_index]];
      made.shape = NodeShape();
      made.config.reset();
      if (!node.sound || node.type == nullptr || on_cycle_.contains(spec_index) ||
          !good_inputs_[spec_index]) {
        if (problems != nullptr && node.type != nullptr) CheckSyntax(node, *problems);
        continue;
      }
      std::vector<NodeConfig::Input> inputs;
      bool known = true;
      for (uint16_t to = 0; to < node.inputs.size(); ++to) {
        NodeConfig::Input input;
        input.alias = node.inputs[to].alias;
        known = InputShape(spec_index, to, problems, input.shape) && known;
        inputs.push_back(std::move(input));
      }
      if (!known) {
        if (problems != nullptr) CheckSyntax(node, *problems);
        continue;
      }
      auto config =
          std::make_shared<NodeConfig>(*options_.registry, *node.type, node.id, node.options,
                                       std::move(inputs), spec_.settings, problems);
      if (wanted != nullptr) config->SetWanted((*wanted)[position_[spec_index]]);
      node.type->infer(*config, made.shape);
      if (!config->failed()) Complete(*config, made.shape, problems);
      if (config->failed()) {
        pass_failed_ = true;
        made.shape = NodeShape();
        continue;
      }
      // What the plan keeps must not point to problems that die with the compilation.
      auto kept =
          std::make_shared<NodeConfig>(*options_.registry, *node.type, node.id, node.options,
                                       InputsOf(*config), spec_.settings, nullptr);
      if (wanted != nullptr) kept->SetWanted((*wanted)[position_[spec_index]]);
      made.config = std::move(kept);
    }
  }

  static std::vector<NodeConfig::Input> InputsOf(const NodeConfig& config) {
    std::vector<NodeConfig::Input> inputs;
    for (uint16_t i = 0; i < config.inputs(); ++i)
      inputs.push_back({config.alias(Port{i}), config.input(Port{i})});
    return inputs;
  }

  /// The port `errors`, defaults of states, and the checks that are the same for all types.
  void Complete(NodeConfig& config, NodeShape& shape, Problems* problems) {
    const bool errors = config.on_error() == OnError::kSideOutput ||
                        (shape.event_time && shape.event_time->on_future == OnFuture::kSideOutput);
    if (errors || shape.outputs.size() > 1) {
      if (shape.outputs.size() <= kErrors.value) shape.outputs.resize(size_t{kErrors.value} + 1);
      if (shape.port_names.size() < shape.outputs.size())
        shape.port_names.resize(shape.outputs.size());
      shape.port_names[kLate.value] = "late";
      shape.port_names[kErrors.value] = "errors";
    }
    if (errors) {
      PortShape port;
      port.schema = NodeConfig::ErrorsSchema();
      shape.outputs[kErrors.value] = std::move(port);
    }
    if (problems == nullptr) return;
    CheckKinds(config);
    CheckTime(config);
    CheckState(config, shape);
    CheckFormat(config, shape);
  }

  void CheckKinds(const NodeConfig& config) const {
    for (uint16_t i = 0; i < config.inputs(); ++i) {
      const StreamKind kind = config.input(Port{i}).kind;
      if ((config.type().inputs.accepts & kind) != 0) continue;
      config.Error(
          "inputs", "W0607",
          "a " + std::string(config.type().name) + " cannot read " + std::string(KindName(kind)) +
              " ('" + config.alias(Port{i}) + "' takes results back)",
          "results that are taken back go to a sink with \"write\": \"upsert\" or \"changelog\"");
    }
  }

  /// Windows over event time need it.
  void CheckTime(const NodeConfig& config) const {
    const Json& window = config.json("window");
    if (!window.is_object() || config.json("window/type") == "none" ||
        config.json("window/type") == "count" || config.json("window/clock") == "processing")
      return;
    for (uint16_t i = 0; i < config.inputs(); ++i) {
      if (config.input(Port{i}).has_event_time) continue;
      config.Error("window", "W0501",
                   "the window goes by event time, and '" + config.alias(Port{i}) + "' has none",
                   "declare \"event_time\" on the source, or use \"clock\": \"processing\"");
    }
  }

  void CheckState(const NodeConfig& config, NodeShape& shape) const {
    if (!config.type().is_source() && !config.type().is_sink() && config.Has("state") &&
        !shape.has_keyed_state()) {
      config.Error("state", "W0205", "a " + std::string(config.type().name) + " keeps no state");
    }
    if (config.json("window/type") == "none" && !config.Has("state/ttl") &&
        config.json("state/unbounded_ok") != true && config.job().state_ttl_default.empty()) {
      config.Error("window", "W0508", "a group that never ends keeps its state for ever",
                   "set \"state\": {\"ttl\": \"7d\"}, or say that the number of keys is bounded: "
                   "{\"unbounded_ok\": true}");
    }
    const auto duration = [&](std::string_view path) {
      return config.Has(path) ? config.DurationOf(path) : Duration{};
    };
    if (config.Has("state/ttl") && config.Has("allowed_lateness") &&
        duration("state/ttl") <= duration("allowed_lateness")) {
      config.Error("state/ttl", "W0503", "the state ends before its late rows may come",
                   "a ttl above 'allowed_lateness'");
    }
  }

  void CheckFormat(NodeConfig& config, const NodeShape& shape) const {
    const Json& name = config.json("format/type");
    if (!name.is_string()) return;
    const FormatType* format = config.registry().FindFormat(name.get_ref<const std::string&>());
    if (format == nullptr) return;
    const bool decodes = config.type().is_source();
    if (decodes ? format->decoder == nullptr : format->encoder == nullptr) {
      config.Error("format/type", "W0205",
                   "format '" + std::string(format->name) + "' does not " +
                       (decodes ? "read" : "write") + " records");
      return;
    }
    if (format->check == nullptr) return;
    const SchemaRef schema = decodes ? (shape.outputs.empty() ? nullptr : shape.outputs[0].schema)
                             : config.inputs() == 0 ? nullptr
                                                    : config.input(kMain).schema;
    if (schema != nullptr) format->check(config, *schema, decodes);
  }

  /// Number of an output port by its name; empty: there is none.
  static std::optional<Port> FindPort(const NodeShape& shape, std::string_view name) {
    if (name.empty())
      return shape.outputs.empty() || shape.outputs[0].schema == nullptr ? std::nullopt
                                                                         : std::optional(kMain);
    for (uint16_t i = 1; i < shape.port_names.size() && i < shape.outputs.size(); ++i) {
      if (shape.port_names[i] == name && shape.outputs[i].schema != nullptr) return Port{i};
    }
    return std::nullopt;
  }

  /// What arrives at input `to` of a node: one stream, or the union of several. False: unknown, a
  /// problem has been reported.
  bool InputShape(uint32_t consumer, uint16_t to, Problems* problems, PortShape& shape) {
    std::vector<PortShape> streams;
    std::vector<std::string> names;
    bool known = true;
    for (const uint32_t index : in_links_[consumer]) {
      const Link& link = links_[index];
      if (link.to != to) continue;
      const LogicalNode& producer = graph_.nodes[position_[link.producer]];
      names.push_back(producer.id + (link.port.empty() ? "" : "." + link.port));
      if (producer.config == nullptr) {
        known = false;
        continue;
      }
      const std::optional<Port> port = FindPort(producer.shape, link.port);
      if (!port) {
        known = false;
        if (problems != nullptr) ReportNoPort(link, producer, *problems);
        continue;
      }
      streams.push_back(producer.shape.outputs[port->value]);
    }
    if (!known || streams.empty()) return false;
    if (streams.size() == 1) {
      shape = std::move(streams.front());
      return true;
    }
    return Merge(consumer, streams, names, problems, shape);
  }

  void ReportNoPort(const Link& link, const LogicalNode& producer, Problems& problems) {
    const std::string& consumer = spec_.nodes[link.consumer].id;
    std::vector<std::string> ports;
    for (size_t i = 0; i < producer.shape.outputs.size(); ++i) {
      if (producer.shape.outputs[i].schema == nullptr) continue;
      ports.push_back(producer.id + (i == 0 ? "" : "." + producer.shape.port_names[i]));
    }
    std::string help;
    for (const std::string& port : ports) help += (help.empty() ? "ports: " : ", ") + port;
    if (link.port == "late") help = "declare it: \"late\": \"side_output\"";
    if (link.port == "errors") help = "declare it: \"on_error\": \"side_output\"";
    if (producer.type->is_sink()) help = "a sink has no output";
    const std::string what = link.port.empty()
                                 ? "'" + producer.id + "' has no main output"
                                 : "'" + producer.id + "' has no port '" + link.port + "'";
    problems.Add(MakeProblem("W0308", link.pointer, what, std::move(help), consumer));
  }

  /// The union of streams with equal columns. In the first pass metadata columns that not all have
  /// are left out; the second must find equal ones.
  bool Merge(uint32_t consumer, const std::vector<PortShape>& streams,
             const std::vector<std::string>& names, Problems* problems, PortShape& merged) {
    const NodeSpec& node = spec_.nodes[consumer];
    const auto fail = [&](std::string code, std::string message, std::string help) {
      pass_failed_ = true;
      if (problems == nullptr) return false;
      Problem problem = MakeProblem(std::move(code), NodePointer(node.id) + "/inputs",
                                    std::move(message), std::move(help), node.id);
      size_t width = 0;
      for (const std::string& name : names) width = std::max(width, name.size());
      for (size_t i = 0; i < streams.size(); ++i) {
        problem.notes.push_back(names[i] + ":" + std::string(width - names[i].size() + 1, ' ') +
                                Schema(OrdinaryFields(*streams[i].schema)).ToString());
      }
      problems->Add(std::move(problem));
      return false;
    };
    std::vector<Field> fields = OrdinaryFields(*streams.front().schema);
    for (const PortShape& stream : streams) {
      const std::vector<Field> others = OrdinaryFields(*stream.schema);
      if (!SameButForNull(fields, others))
        return fail("W0331", "inputs of '" + node.id + "' have different columns",
                    "project both to the same columns");
      for (size_t i = 0; i < fields.size(); ++i)
        fields[i].nullable = fields[i].nullable || others[i].nullable;
    }
    merged = streams.front();
    for (const PortShape& stream : streams) {
      if (stream.has_event_time != merged.has_event_time) {
        return fail("W0332", "inputs of '" + node.id + "' have event time in part only",
                    "declare \"event_time\" on every source");
      }
      if ((stream.kind == kAppend) != (merged.kind == kAppend)) {
        return fail("W0210",
                    "a union of append and updating streams is planned, not in this version", "");
      }
      if (stream.kind == kUpsert)
        return fail("W0607", "upsert streams have no union: two of them may hold the same key", "");
    }
    for (const Field& field : streams.front().schema->fields()) {
      if (!IsMetadataColumn(field.name)) continue;
      const bool everywhere = std::all_of(
          streams.begin(), streams.end(),
          [&](const PortShape& stream) { return stream.schema->Find(field.name).has_value(); });
      if (everywhere) fields.push_back(field);
    }
    if (problems == nullptr) {
      for (const PortShape& stream : streams) {
        if (stream.schema->size() != fields.size()) pass_failed_ = true;
      }
    }
    merged.schema = std::make_shared<const Schema>(std::move(fields));
    merged.unique_key.clear();
    merged.partitioned_by.reset();
    return true;
  }

  void ConnectPorts() {
    for (const Link& link : links_) {
      const uint32_t producer = position_[link.producer], consumer = position_[link.consumer];
      const std::optional<Port> port = FindPort(graph_.nodes[producer].shape, link.port);
      const auto index = static_cast<uint32_t>(graph_.edges.size());
      graph_.edges.push_back({producer, port.value_or(kMain), consumer, Port{link.to}});
      graph_.nodes[producer].out_edges.push_back(index);
      graph_.nodes[consumer].in_edges.push_back(index);
    }
  }

  void CheckUnread() {
    for (const uint32_t spec_index : order_) {
      const LogicalNode& node = graph_.nodes[position_[spec_index]];
      if (node.config == nullptr) continue;
      for (uint16_t port = 0; port < node.shape.outputs.size(); ++port) {
        if (node.shape.outputs[port].schema == nullptr) continue;
        const bool read = std::any_of(
            out_links_[spec_index].begin(), out_links_[spec_index].end(), [&](uint32_t link) {
              return links_[link].port == (port == 0 ? "" : node.shape.port_names[port]);
            });
        if (read) continue;
        const std::string name = port == 0 ? node.id : node.id + "." + node.shape.port_names[port];
        Problem problem = MakeProblem(
            "W0302", NodePointer(node.id), "nobody reads '" + name + "'",
            port == kErrors.value ? "read it, or use \"on_error\": \"drop\""
            : port == kLate.value ? "read it, or use \"late\": \"drop\""
                                  : "add a sink; blackhole_sink counts rows and drops them",
            node.id);
        problem.at_key = true;
        problems_.Add(std::move(problem));
      }
    }
  }

  // Liveness
  // ------------------------------------------------------------------------------------------------------------------------------------------

  /// Columns of each node's outputs that somebody reads; sets only grow, so the loop ends. A union
  /// needs the same columns of all its inputs.
  std::vector<std::set<std::string>> LiveColumns() const {
    std::vector<std::set<std::string>> live(graph_.nodes.size());
    bool changed = true;
    const auto add = [&](std::set<std::string>& into, const std::set<std::string>& from) {
      const size_t before = into.size();
      into.insert(from.begin(), from.end());
      changed = changed || into.size() != before;
    };
    while (changed) {
      changed = false;
      for (size_t i = graph_.nodes.size(); i-- > 0;) {
        const LogicalNode& node = graph_.nodes[i];
        const std::set<std::string> needs = Needs(node, live[i]);
        std::set<std::string> shared = needs;
        if (node.in_edges.size() > 1) {
          for (const uint32_t edge : node.in_edges)
            shared.merge(Carried(graph_.nodes[graph_.edges[edge].producer],
                                 live[graph_.edges[edge].producer]));
        }
        for (const uint32_t edge : node.in_edges)
          add(live[graph_.edges[edge].producer], node.in_edges.size() > 1 ? shared : needs);
      }
    }
    return live;
  }

  /// Of the columns that are live in a producer: those that its outputs have.
  static std::set<std::string> Carried(const LogicalNode& node, const std::set<std::string>& live) {
    std::set<std::string> carried;
    for (const PortShape& port : node.shape.outputs) {
      if (port.schema == nullptr) continue;
      for (const Field& field : port.schema->fields()) {
        if (live.contains(field.name)) carried.insert(field.name);
      }
    }
    return carried;
  }

  /// Columns that a node needs of its inputs.
  std::set<std::string> Needs(const LogicalNode& node, const std::set<std::string>& live) const {
    std::set<std::string> needs = node.shape.uses;
    for (size_t port = 0; port < node.shape.keys.size() && port < node.config->inputs(); ++port) {
      if (!node.shape.keys[port]) continue;
      const SchemaRef& schema = node.config->input(Port{static_cast<uint16_t>(port)}).schema;
      for (const Expression& key : *node.shape.keys[port]) {
        for (const ColumnIndex column : key.columns()) needs.insert(schema->field(column).name);
      }
    }
    // Late rows leave as they came.
    const bool late = node.shape.outputs.size() > kLate.value &&
                      node.shape.outputs[kLate.value].schema != nullptr;
    if (node.shape.passes_through || late) needs.insert(live.begin(), live.end());
    if (node.shape.passes_metadata) {
      for (const std::string& column : live) {
        if (IsMetadataColumn(column)) needs.insert(column);
      }
    }
    return needs;
  }

  void PruneColumns() {
    const std::vector<std::set<std::string>> live = LiveColumns();
    std::vector<std::shared_ptr<const std::set<std::string>>> wanted;
    wanted.reserve(live.size());
    for (const std::set<std::string>& columns : live)
      wanted.push_back(std::make_shared<const std::set<std::string>>(columns));
    const std::vector<LogicalNode> whole = graph_.nodes;
    pass_failed_ = false;
    InferAll(&wanted, nullptr);
    if (!pass_failed_) return;
    // A union whose inputs cannot be cut to equal columns, because not all have a metadata column
    // that somebody reads: every column is carried instead.
    graph_.nodes = whole;
    for (const LogicalNode& node : graph_.nodes) {
      for (const uint32_t edge : node.in_edges) {
        const LogicalEdge& first = graph_.edges[node.in_edges.front()];
        const LogicalEdge& other = graph_.edges[edge];
        const Schema& a = *graph_.nodes[first.producer].shape.outputs[first.from.value].schema;
        const Schema& b = *graph_.nodes[other.producer].shape.outputs[other.from.value].schema;
        if (first.to != other.to || SameButForNull(a.fields(), b.fields())) continue;
        Report("W0333", NodePointer(node.id) + "/inputs",
               "inputs of '" + node.id + "' carry different metadata columns",
               "project each input to the columns that are needed", node.id);
        break;
      }
    }
  }

  const JobSpec& spec_;
  const CompileOptions& options_;
  Problems& problems_;
  LogicalGraph graph_;
  std::map<std::string, uint32_t, std::less<>> by_id_;
  std::vector<Link> links_;
  std::vector<std::vector<uint32_t>> in_links_, out_links_;  // by spec position
  std::vector<bool> good_inputs_;
  std::vector<uint32_t> order_;     // spec positions, topological
  std::vector<uint32_t> position_;  // spec position -> graph position
  std::set<uint32_t> on_cycle_;     // and behind one
  bool too_many_ = false;
  bool pass_failed_ = false;
};

}  // namespace

void CheckSyntax(const NodeSpec& node, Problems& problems) {
  const auto report = [&](const std::string& pointer, const std::vector<ExpressionProblem>& found) {
    for (const ExpressionProblem& one : found) {
      if (one.warning || (one.code != "W0401" && one.code != "W0403")) continue;
      Problem problem = MakeProblem(one.code, pointer, one.message, one.help, node.id);
      problem.inside = {one.start, std::max(one.start, one.end)};
      if (!one.note.empty()) problem.notes.push_back(one.note);
      problems.Add(std::move(problem));
    }
  };
  const Scope nothing;
  for (const Option& option : node.type->options) {
    const std::string name(option.name);
    if (!node.options.is_object() || !node.options.contains(name)) continue;
    const Json& value = node.options[name];
    const std::string pointer = NodePointer(node.id) + "/" + name;
    const bool one =
        option.type == OptionType::kExpression || option.type == OptionType::kBoolExpression;
    if (one && value.is_string())
      report(pointer, BindExpression(value.get<std::string>(), nothing, {}).problems);
    if (option.type == OptionType::kExpressionMap && value.is_object()) {
      for (const auto& [key, text] : value.items()) {
        if (text.is_string())
          report(pointer + "/" + PointerToken(key),
                 BindExpression(text.get<std::string>(), nothing, {}).problems);
      }
    }
    if (option.type == OptionType::kKeyList && value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i) {
        if (value[i].is_string())
          report(pointer + "/" + std::to_string(i),
                 BindKey(value[i].get<std::string>(), nothing).problems);
      }
    }
  }
}

LogicalGraph BuildGraph(const JobSpec& spec, const CompileOptions& options, Problems& problems) {
  return GraphBuilder(spec, options, problems).Build();
}

}  // namespace weir::jobs
