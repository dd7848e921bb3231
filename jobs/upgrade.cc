#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "jobs/jobs.h"

namespace weir::jobs {
namespace {

constexpr int kDescriptionFormat = 1;

constexpr std::array<std::string_view, 6> kStateKinds = {
    "value", "map", "log", "event_timers", "processing_timers", "list"};
constexpr std::array<std::string_view, 4> kSpreads = {"by_key", "broadcast", "split", "union"};

Json DescribeState(const StateSpec& state) {
  Json row = Json::array();
  for (const Field& field : state.row.fields()) row.push_back(field.ToString());
  Json described = {{"name", state.name},
                    {"kind", kStateKinds[static_cast<size_t>(state.kind)]},
                    {"spread", kSpreads[static_cast<size_t>(state.spread)]}};
  described["row"] = std::move(row);
  described["namespaced"] = state.namespaced;
  described["ttl_us"] = state.ttl ? Json(state.ttl->us) : Json();
  described["meaning"] = state.meaning;
  return described;
}

Json DescribeNode(const PlanNode& node) {
  Json described = {{"id", node.id}, {"type", std::string(node.type->name)}};
  if (!node.renamed_from.empty()) described["renamed_from"] = node.renamed_from;
  Json keys = Json::array();
  if (!node.shape.keys.empty() && node.shape.keys[0]) {
    for (const Expression& key : *node.shape.keys[0])
      keys.push_back({{"type", key.type().ToString()}, {"text", key.ToString()}});
  }
  described["keys"] = std::move(keys);
  Json states = Json::array();
  for (const StateSpec& state : node.shape.states) states.push_back(DescribeState(state));
  described["states"] = std::move(states);
  if (node.type->is_source()) {
    described["role"] = "source";
    // What splits come from; where else they lie (connection, start) is free to change.
    for (const char* const option : {"topics", "topic_pattern", "path", "seed", "fields"}) {
      if (node.config->Has(option)) described["reads"][option] = node.config->json(option);
    }
  } else if (node.type->is_sink()) {
    described["role"] = "sink";
    described["guarantee"] = std::string(GuaranteeName(node.shape.guarantee));
  } else {
    described["role"] = "operator";
  }
  return described;
}

bool IsStateful(const Json& node) {
  return node["role"] == "source" || !node["states"].empty() ||
         (node["role"] == "sink" && node["guarantee"] == "exactly_once");
}

const Json* FindByName(const Json& list, const Json& name, const char* member) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const Json& each) { return each[member] == name; });
  return found == list.end() ? nullptr : &*found;
}

NodeVerdict Better(NodeVerdict a, NodeVerdict b) { return b.verdict > a.verdict ? b : a; }

std::string KeyText(const Json& node) {
  std::string text;
  for (const Json& key : node["keys"])
    text += (text.empty() ? "" : ", ") + key["text"].get<std::string>();
  return text.empty() ? "nothing" : text;
}

NodeVerdict CompareSource(const Json& old, const Json& now, NodeVerdict verdict) {
  const Json before = old.contains("reads") ? old["reads"] : Json::object(),
             after = now.contains("reads") ? now["reads"] : Json::object();
  for (const auto& [option, value] : before.items()) {
    if (option == "topics" && after.contains(option) && value.is_array() &&
        after[option].is_array()) {
      for (const Json& topic : value) {
        if (std::find(after[option].begin(), after[option].end(), topic) == after[option].end()) {
          return {verdict.node, Verdict::kReset, "topic " + topic.dump() + " is no longer read"};
        }
      }
      continue;
    }
    if (!after.contains(option) || after[option] != value)
      return {verdict.node, Verdict::kReset,
              "'" + option + "' changed, so the saved splits are not those that would be read"};
  }
  return verdict;
}

NodeVerdict CompareStates(const Json& old, const Json& now, NodeVerdict verdict) {
  for (const Json& before : old["states"]) {
    const std::string name = before["name"].get<std::string>();
    const Json* after = FindByName(now["states"], before["name"], "name");
    if (after == nullptr) {
      verdict = Better(
          verdict, {verdict.node, Verdict::kMigrate, "state '" + name + "' is no longer there"});
      continue;
    }
    if ((*after)["kind"] != before["kind"] || (*after)["spread"] != before["spread"] ||
        (*after)["namespaced"] != before["namespaced"]) {
      verdict = Better(verdict,
                       {verdict.node, Verdict::kReset, "state '" + name + "' is of another kind"});
    } else if ((*after)["meaning"] != before["meaning"]) {
      verdict = Better(verdict, {verdict.node, Verdict::kReset,
                                 "state '" + name + "' means something else: it was made by " +
                                     before["meaning"].get<std::string>() + ", now it is " +
                                     (*after)["meaning"].get<std::string>()});
    } else if ((*after)["row"] != before["row"]) {
      verdict = Better(verdict, {verdict.node, Verdict::kMigrate,
                                 "the rows of state '" + name + "' have other fields"});
    } else if ((*after)["ttl_us"] != before["ttl_us"]) {
      verdict = Better(
          verdict, {verdict.node, Verdict::kMigrate, "the ttl of state '" + name + "' changed"});
    }
  }
  for (const Json& after : now["states"]) {
    if (FindByName(old["states"], after["name"], "name") == nullptr) {
      verdict = Better(verdict, {verdict.node, Verdict::kMigrate,
                                 "state '" + after["name"].get<std::string>() + "' is new"});
    }
  }
  return verdict;
}

NodeVerdict CompareNode(const Json& old, const Json& now) {
  NodeVerdict verdict;
  verdict.node = now["id"].get<std::string>();
  if (old["type"] != now["type"]) {
    if (!IsStateful(old)) return verdict;
    return {verdict.node, Verdict::kIncompatible,
            "it was a " + old["type"].get<std::string>() + ", now it is a " +
                now["type"].get<std::string>()};
  }
  if (old["role"] == "source") return CompareSource(old, now, verdict);
  if (old["role"] == "sink") {
    if (old["guarantee"] == "exactly_once" && now["guarantee"] != "exactly_once") {
      return {verdict.node, Verdict::kIncompatible,
              "results that wait to be published could not be: delivery was exactly_once"};
    }
    return verdict;
  }
  if (old["states"].empty() && now["states"].empty()) return verdict;
  if (old["states"].empty()) return verdict;  // state begins empty, nothing is lost
  if (old["keys"] != now["keys"]) {
    return {verdict.node, Verdict::kReset,
            "the key changed: it was " + KeyText(old) + ", now it is " + KeyText(now)};
  }
  return CompareStates(old, now, verdict);
}

/// Whether every member that the comparison reads is there.
bool IsDescription(const Json& old) {
  const auto is_text = [](const Json& object, const char* name) {
    return object.contains(name) && object[name].is_string();
  };
  if (!old.is_object() || !old.contains("format") || old["format"] != kDescriptionFormat)
    return false;
  if (!old.contains("key_groups") || !old["key_groups"].is_number_integer() ||
      !old.contains("nodes") || !old["nodes"].is_array())
    return false;
  for (const Json& node : old["nodes"]) {
    if (!node.is_object() || !is_text(node, "id") || !is_text(node, "type") ||
        !is_text(node, "role"))
      return false;
    if (node["role"] == "sink" && !is_text(node, "guarantee")) return false;
    if (!node.contains("states") || !node["states"].is_array() || !node.contains("keys") ||
        !node["keys"].is_array())
      return false;
    for (const Json& key : node["keys"]) {
      if (!key.is_object() || !is_text(key, "text")) return false;
    }
    for (const Json& state : node["states"]) {
      if (!state.is_object() || !is_text(state, "name") || !is_text(state, "meaning")) return false;
      for (const char* const member : {"kind", "spread", "namespaced", "row", "ttl_us"}) {
        if (!state.contains(member)) return false;
      }
    }
  }
  return true;
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  static constexpr std::array<std::string_view, 4> kNames = {"keep", "migrate", "reset",
                                                             "incompatible"};
  return kNames[static_cast<size_t>(verdict)];
}

std::string_view VerdictCode(Verdict verdict) {
  static constexpr std::array<std::string_view, 4> kCodes = {"", "W0901", "W0902", "W0903"};
  return kCodes[static_cast<size_t>(verdict)];
}

Json DescribeForUpgrade(const PhysicalPlan& plan) {
  Json described = {{"format", kDescriptionFormat},
                    {"job", plan.job},
                    {"job_hash", plan.job_hash},
                    {"key_groups", plan.key_groups},
                    {"nodes", Json::array()}};
  for (const PlanNode& node : plan.nodes) described["nodes"].push_back(DescribeNode(node));
  return described;
}

Result<UpgradeReport> CompareJobs(const Json& old, const PhysicalPlan& plan) {
  if (!IsDescription(old))
    return Status(Code::kCorruption,
                  "the checkpoint does not describe its job in a form that this version knows");
  const Json now = DescribeForUpgrade(plan);
  UpgradeReport report;
  std::set<std::string> used;
  for (const Json& node : now["nodes"]) {
    const Json& old_id =
        node.contains("renamed_from") && FindByName(old["nodes"], node["id"], "id") == nullptr
            ? node["renamed_from"]
            : node["id"];
    const Json* before = FindByName(old["nodes"], old_id, "id");
    NodeVerdict verdict;
    verdict.node = node["id"].get<std::string>();
    if (before == nullptr) {
      verdict.reason = "new: it starts empty";
    } else {
      used.insert(old_id.get<std::string>());
      verdict = CompareNode(*before, node);
      if (old["key_groups"] != now["key_groups"] && !(*before)["states"].empty()) {
        verdict.verdict = Verdict::kIncompatible;
        verdict.reason = "max_parallelism was " + old["key_groups"].dump() + ", now it is " +
                         now["key_groups"].dump() + "; it is fixed for the life of the state";
      } else if (old_id != node["id"] && verdict.verdict == Verdict::kKeep && IsStateful(*before)) {
        verdict.verdict = Verdict::kMigrate;
        verdict.reason = "it was '" + old_id.get<std::string>() + "'";
      }
    }
    report.nodes.push_back(std::move(verdict));
  }
  for (const Json& node : old["nodes"]) {
    const std::string id = node["id"].get<std::string>();
    if (used.contains(id)) continue;
    NodeVerdict verdict;
    verdict.node = id;
    verdict.reason = "removed";
    if (node["role"] == "sink" && node["guarantee"] == "exactly_once") {
      verdict.verdict = Verdict::kIncompatible;
      verdict.reason = "removed, but results may wait in the checkpoint to be published";
    } else if (IsStateful(node)) {
      verdict.verdict = Verdict::kReset;
      verdict.reason = node["role"] == "source" ? "removed: its positions would be lost"
                                                : "removed: its state would be lost";
    }
    report.nodes.push_back(std::move(verdict));
  }
  return report;
}

bool UpgradeReport::accepted() const {
  return std::all_of(nodes.begin(), nodes.end(),
                     [](const NodeVerdict& node) { return node.verdict == Verdict::kKeep; });
}

std::string UpgradeReport::ToText() const {
  size_t width = 0;
  for (const NodeVerdict& node : nodes) width = std::max(width, node.node.size());
  std::string text;
  for (const NodeVerdict& node : nodes) {
    text += node.node + std::string(width - node.node.size() + 2, ' ') +
            std::string(VerdictName(node.verdict));
    if (!node.reason.empty()) text += ": " + node.reason;
    if (node.verdict != Verdict::kKeep) text += " (" + std::string(VerdictCode(node.verdict)) + ")";
    text += "\n";
  }
  if (!accepted())
    text +=
        "This version goes on with 'keep' alone. Run the old job, or start empty with --from "
        "none.\n";
  return text;
}

}  // namespace weir::jobs
