#include "jobs/job_tests.h"

#include <algorithm>
#include <array>

#include "engine/base/json.h"
#include "engine/data/civil_time.h"

namespace weir::jobs {
namespace {

constexpr size_t kTestsMax = 1000;
constexpr size_t kStepsMax = 10000;

const NodeSpec* FindNode(const JobSpec& spec, std::string_view id) {
  const auto found = std::find_if(spec.nodes.begin(), spec.nodes.end(),
                                  [&](const NodeSpec& node) { return node.id == id; });
  return found == spec.nodes.end() ? nullptr : &*found;
}

std::vector<std::string> NodeIds(const JobSpec& spec) {
  std::vector<std::string> ids;
  ids.reserve(spec.nodes.size());
  for (const NodeSpec& node : spec.nodes) ids.push_back(node.id);
  return ids;
}

void CheckPort(const std::string& port, const std::string& pointer, bool at_key,
               const JobSpec& spec, ShapeChecker& shape) {
  const std::string id = port.substr(0, port.find('.'));
  if (FindNode(spec, id) != nullptr) return;
  const std::string message = "node " + Quoted(id) + " does not exist";
  const std::string help = DidYouMean(id, NodeIds(spec));
  if (at_key) {
    shape.FailAtKey("W0301", pointer, message, help);
  } else {
    shape.Fail("W0301", pointer, message, help);
  }
}

void CheckRows(const Json& rows, const std::string& pointer, ShapeChecker& shape) {
  if (!rows.is_array()) {
    shape.Fail("W0203", pointer, "rows must be an array of objects");
    return;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].is_object())
      shape.Fail("W0203", pointer + "/" + std::to_string(i), "a row must be an object");
  }
}

void CheckInput(const Json& step, const std::string& pointer, const JobSpec& spec,
                ShapeChecker& shape) {
  const Json& to = step["to"];
  if (!to.is_string()) {
    shape.Fail("W0203", pointer + "/to", "'to' must be the id of a source");
    return;
  }
  const std::string id = to.get<std::string>();
  const NodeSpec* node = FindNode(spec, id);
  if (node == nullptr) {
    shape.Fail("W0301", pointer + "/to", "node " + Quoted(id) + " does not exist",
               DidYouMean(id, NodeIds(spec)));
  } else if (node->type != nullptr && !node->type->is_source()) {
    shape.Fail("W0301", pointer + "/to", "'" + id + "' is no source");
  }
  if (step.contains("rows")) CheckRows(step["rows"], pointer + "/rows", shape);
  if (step.contains("raw")) {
    const Json& raw = step["raw"];
    const bool texts = raw.is_array() && std::all_of(raw.begin(), raw.end(), [](const Json& item) {
                         return item.is_string();
                       });
    if (!texts) shape.Fail("W0203", pointer + "/raw", "'raw' must be an array of texts");
  }
  if (step.contains("watermark")) {
    const Json& time = step["watermark"];
    if (!time.is_string() || !ParseTimestamp(time.get<std::string>()))
      shape.Fail("W0204", pointer + "/watermark",
                 "'watermark' must be a time such as \"2026-01-01T00:00:00Z\"");
  }
  if (step.contains("rows") + step.contains("raw") + step.contains("watermark") != 1) {
    shape.Fail("W0205", pointer, "a step with 'to' has one of: rows, raw, watermark");
  }
}

void CheckStep(const Json& step, const std::string& pointer, const JobSpec& spec,
               ShapeChecker& shape) {
  static const std::vector<std::string> kKnown = {
      "to",      "rows",  "raw",    "watermark",   "advance_clock", "checkpoint",
      "restore", "drain", "expect", "expect_none", "ordered"};
  static constexpr std::array<const char*, 7> kKinds = {
      "to", "advance_clock", "checkpoint", "restore", "drain", "expect", "expect_none"};
  if (!step.is_object()) {
    shape.Fail("W0203", pointer, "a step must be an object");
    return;
  }
  for (const auto& [name, unused] : step.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      shape.FailAtKey("W0201", pointer + "/" + PointerToken(name),
                      "unknown option " + Quoted(name) + " of a step", DidYouMean(name, kKnown));
    }
  }
  const auto kinds = std::count_if(kKinds.begin(), kKinds.end(),
                                   [&](const char* kind) { return step.contains(kind); });
  if (kinds != 1) {
    shape.Fail(
        "W0205", pointer,
        "a step has one of: to, advance_clock, checkpoint, restore, drain, expect, expect_none");
    return;
  }
  if (step.contains("to")) CheckInput(step, pointer, spec, shape);
  if (step.contains("advance_clock")) {
    shape.Check(step["advance_clock"],
                {.name = "advance_clock",
                 .type = OptionType::kDuration,
                 .doc = "How far.",
                 .allowed = "1ms..36500d"},
                pointer + "/advance_clock");
  }
  for (const char* const flag : {"checkpoint", "restore", "drain"}) {
    if (step.contains(flag) && step[flag] != true)
      shape.Fail("W0203", pointer + "/" + flag, "'" + std::string(flag) + "' must be true");
  }
  if (step.contains("expect")) {
    const Json& expected = step["expect"];
    if (!expected.is_object()) {
      shape.Fail("W0203", pointer + "/expect", "'expect' must be an object of rows by port");
      return;
    }
    for (const auto& [port, rows] : expected.items()) {
      const std::string below = pointer + "/expect/" + PointerToken(port);
      CheckPort(port, below, /*at_key=*/true, spec, shape);
      CheckRows(rows, below, shape);
    }
  }
  if (step.contains("expect_none")) {
    const Json& ports = step["expect_none"];
    if (!ports.is_array()) {
      shape.Fail("W0203", pointer + "/expect_none", "'expect_none' must be an array of ports");
      return;
    }
    for (size_t i = 0; i < ports.size(); ++i) {
      const std::string below = pointer + "/expect_none/" + std::to_string(i);
      if (ports[i].is_string()) {
        CheckPort(ports[i].get<std::string>(), below, /*at_key=*/false, spec, shape);
      } else {
        shape.Fail("W0203", below, "a port must be a text");
      }
    }
  }
}

}  // namespace

void CheckTests(const Json& tests, const JobSpec& spec, ShapeChecker& shape) {
  static const std::vector<Option> kFields = {
      {.name = "name", .doc = "what the test shows", .required = true},
      {.name = "params", .type = OptionType::kJson, .doc = "Values of parameters."},
      {.name = "env", .type = OptionType::kStringMap, .doc = "Values of environment variables."},
      {.name = "secrets", .type = OptionType::kStringMap, .doc = "Values of secrets."},
      {.name = "clock",
       .type = OptionType::kTimestamp,
       .doc = "Start of the clock.",
       .fallback = "2100-01-01T00:00:00Z"},
      {.name = "watermarks",
       .type = OptionType::kEnum,
       .doc = "Whether rows move event time.",
       .fallback = "manual",
       .allowed = "auto|manual"},
      {.name = "tables", .type = OptionType::kJson, .doc = "Rows of tables.", .since = "planned"},
  };
  if (!tests.is_array()) {
    shape.Fail("W0203", "/tests", "'tests' must be an array of tests");
    return;
  }
  if (tests.size() > kTestsMax) shape.Fail("W0217", "/tests", "more than 1000 tests");
  for (size_t i = 0; i < tests.size() && i < kTestsMax; ++i) {
    const std::string pointer = "/tests/" + std::to_string(i);
    const Json& test = tests[i];
    if (!test.is_object()) {
      shape.Fail("W0203", pointer, "a test must be an object");
      continue;
    }
    shape.CheckObject(test, kFields, pointer, "a test", {"steps"});
    const auto steps = test.find("steps");
    if (steps == test.end()) {
      shape.Fail("W0202", pointer, "'steps' of a test is missing");
    } else if (!steps->is_array()) {
      shape.Fail("W0203", pointer + "/steps", "'steps' must be an array of steps");
    } else if (steps->size() > kStepsMax) {
      shape.Fail("W0217", pointer + "/steps", "more than 10000 steps");
    } else {
      for (size_t step = 0; step < steps->size(); ++step)
        CheckStep((*steps)[step], pointer + "/steps/" + std::to_string(step), spec, shape);
    }
  }
}

}  // namespace weir::jobs
