#include "cli/dashboard.h"

#include <cstdio>

#include "cli/command.h"
#include "cli/job_command.h"
#include "engine/base/bytes.h"
#include "engine/base/check.h"
#include "engine/base/env_posix.h"
#include "engine/base/json.h"

namespace weir::cli {

std::string_view DashboardTemplate();  // deploy/grafana/job_template.json
std::string_view RulesOfAllJobs();     // deploy/prometheus/rules.yml

namespace {

constexpr int kColumns = 24;         // of Grafana's grid
constexpr size_t kUidBytesMax = 40;  // of a dashboard
constexpr size_t kUidHashBytes = 8;  // instead of the rest of a longer one
constexpr std::string_view kAnyJob = "job_name=~\".+\"";

using Names = std::vector<std::pair<std::string_view, std::string>>;  // $JOB -> clicks

std::string Filled(std::string text, const Names& names) {
  for (const auto& [mark, name] : names) {
    for (size_t at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + name.size()))
      text.replace(at, mark.size(), name);
  }
  return text;
}

/// Every string of `value`, however deep, with the names put in.
void Fill(Json& value, const Names& names) {
  if (value.is_string()) {
    value = Filled(value.get<std::string>(), names);
  } else if (value.is_structured()) {
    for (Json& child : value) Fill(child, names);
  }
}

/// Whether a panel about such nodes says something about this one.
bool IsAbout(const std::string& nodes, const PlanNode& node) {
  if (nodes == "node") return true;
  if (nodes == "timed_source") return node.shape.source && node.shape.event_time;
  if (nodes == "kafka") return node.type->name == "kafka_source";
  if (nodes == "sink") return node.type->is_sink();
  WEIR_CHECK(nodes == "state");
  return node.shape.has_keyed_state();
}

/// Puts rows one below the other, and panels from left to right.
class Layout {
 public:
  explicit Layout(const Json& row) : row_(row) {}

  void Row(const std::string& title) {
    Break();
    Json row = row_;
    row["id"] = panels_.size() + 1;
    row["title"] = title;
    row["gridPos"]["y"] = y_++;
    panels_.push_back(std::move(row));
  }
  void Add(const Json& entry, const Names& names) {
    const int width = entry["width"].get<int>(), height = entry["height"].get<int>();
    if (x_ + width > kColumns) Break();
    Json panel;
    panel["id"] = panels_.size() + 1;
    panel["gridPos"] = {{"h", height}, {"w", width}, {"x", x_}, {"y", y_}};
    panel.update(entry["panel"]);
    Fill(panel, names);
    panels_.push_back(std::move(panel));
    x_ += width;
    height_ = std::max(height_, height);
  }
  Json Take() { return std::move(panels_); }

 private:
  void Break() {
    y_ += height_;
    x_ = height_ = 0;
  }
  const Json& row_;
  Json panels_ = Json::array();
  int x_ = 0, y_ = 0, height_ = 0;
};

/// Grafana takes no long uid; two jobs must not share one.
std::string UidOf(const std::string& wanted) {
  if (wanted.size() <= kUidBytesMax) return wanted;
  return wanted.substr(0, kUidBytesMax - kUidHashBytes - 1) + "-" +
         Sha256Hex(wanted).substr(0, kUidHashBytes);
}

/// A name that Kubernetes takes for a namespace; it is put between quotes into expressions.
std::string NotANamespace(const std::string& name) {
  constexpr size_t kLengthMax = 63;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool fits = !name.empty() && name.size() <= kLengthMax && plain(name.front()) &&
                    plain(name.back()) &&
                    std::ranges::all_of(name, [&](char c) { return plain(c) || c == '-'; });
  return fits ? "" : "'" + name + "' is no name of a namespace";
}

/// The labels that choose a job.
std::string ScopeOf(const std::string& job, const std::string& name_space) {
  return "job_name=\"" + job + "\"" +
         (name_space.empty() ? "" : ",namespace=\"" + name_space + "\"");
}

struct Options {
  JobCommand job;
  ProcessConfig config;
  bool rules = false;
  std::string name_space;
};

int Dashboard(Options& options) {
  if (Status status = options.config.Resolve(); !status.ok()) return Fail(status);
  options.config.allowed_path_list.clear();  // nothing is opened: any path will do
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  Result<LoadedJob> loaded = LoadJob(options.job, options.config, *env);
  if (!loaded.ok()) return Fail(loaded.status());
  const jobs::CompiledJob& job = loaded->job;
  std::fputs(jobs::FormatProblemsText(job).c_str(), stderr);
  if (!job.plan) return jobs::ExitCodeOf(job);
  const std::string text = options.rules
                               ? MakeRules(job.plan->job, options.name_space)
                               : MakeDashboard(*job.plan, options.name_space).dump(1) + "\n";
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

Json MakeDashboard(const PhysicalPlan& plan, const std::string& name_space) {
  const Result<Json> parsed = ParseJson(DashboardTemplate());
  WEIR_CHECK(parsed.ok());
  const Json& from = *parsed;
  Layout layout(from["row"]);
  const std::pair<std::string_view, std::string> scope = {"job_name=\"$JOB\"",
                                                          ScopeOf(plan.job, name_space)};
  const Names job = {scope, {"$JOB", plan.job}};
  const auto add_rows = [&](const Json& rows) {
    for (const Json& row : rows) {
      layout.Row(row["title"].get<std::string>());
      for (const Json& entry : row["panels"]) layout.Add(entry, job);
    }
  };
  add_rows(from["before"]);
  for (const PlanNode& node : plan.nodes) {
    const Names names = {
        scope, {"$JOB", plan.job}, {"$NODE", node.id}, {"$TYPE", std::string(node.type->name)}};
    layout.Row(Filled(from["node"]["title"].get<std::string>(), names));
    for (const Json& entry : from["node"]["panels"]) {
      if (IsAbout(entry["nodes"].get<std::string>(), node)) layout.Add(entry, names);
    }
  }
  add_rows(from["behind"]);
  Json dashboard = from["dashboard"];
  // Jobs of one name in several namespaces have dashboards of their own.
  for (const auto& [key, between] : {std::pair("uid", '-'), std::pair("title", '/')}) {
    if (!name_space.empty())
      dashboard[key] =
          Filled(dashboard[key].get<std::string>(), {{"$JOB", name_space + between + "$JOB"}});
  }
  Fill(dashboard, job);
  dashboard["uid"] = UidOf(dashboard["uid"].get<std::string>());
  dashboard["panels"] = layout.Take();
  return dashboard;
}

std::string MakeRules(const std::string& job, const std::string& name_space) {
  std::string text(RulesOfAllJobs());
  // The comment at its head speaks of all jobs.
  text = "# Recording rules and alerts for job " + job + ", made by `weir dashboard --rules`.\n" +
         text.substr(text.find("groups:"));
  const std::string scope = ScopeOf(job, name_space);
  return Filled(std::move(text), {{kAnyJob, scope}, {"job_name=\"NAME\"", scope}, {"NAME", job}});
}

void AddDashboard(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "dashboard",
      "Print a Grafana dashboard for a job, with a row for each of its nodes, or its alerts.");
  options->job.AddFlags(*command);
  command->add_flag("--rules", options->rules,
                    "Instead of the dashboard: recording rules and alerts for Prometheus.");
  command
      ->add_option("--namespace", options->name_space,
                   "Only the job of this namespace of Kubernetes; default: any.")
      ->check(NotANamespace, "");
  command->footer(
      "Examples:\n  weir dashboard clicks.weir.json > clicks_dashboard.json\n  weir dashboard "
      "clicks.weir.json --rules > /etc/prometheus/rules/clicks.yml");
  command->callback(
      [options, &invocation] { invocation.run = [options] { return Dashboard(*options); }; });
}

}  // namespace weir::cli
