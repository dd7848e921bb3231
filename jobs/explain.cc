#include <algorithm>
#include <array>

#include "engine/api/options.h"
#include "jobs/jobs.h"

namespace weir::jobs {
namespace {

struct CodePage {
  std::string_view code, title, doc, wrong, right;
};

// By code. A test finds codes that are used anywhere and have no page, and pages of codes that
// nobody uses.
constexpr auto kPages = std::to_array<CodePage>({
    {"W0101", "the text is not JSON",
     "Something is missing or too much at this place: a comma, a bracket, a quote. Commas stand "
     "between members, never behind the last one. Comments are // and /* */.",
     R"x("inputs": ["clicks",])x", R"x("inputs": ["clicks"])x"},
    {"W0102", "a key stands twice",
     "Two members of one object have the same name, perhaps written with escapes. Which one would "
     "count is not defined in JSON, so neither does.",
     R"x({"topic": "a", "topic": "b"})x", R"x({"topic": "a"})x"},
    {"W0103", "nested too deeply", "A job has at most 64 levels of brackets.", "[[[[ ... ]]]]",
     "fewer levels"},
    {"W0104", "the text is too large",
     "A job file has at most 1 MiB. Test rows that take much room can lie in a file of their own.",
     "", ""},
    {"W0105", "the text is not UTF-8", "A job file is UTF-8 without a byte order mark.", "", ""},
    {"W0106", "a job is an object",
     "The outermost value of a job file is an object with 'weir', 'name' and 'nodes'.", "[]",
     R"x({"weir": 1, "name": "hello", "nodes": {}})x"},
    {"W0107", "a string is not sound",
     "An escape that JSON does not have, a lone surrogate, a control character or a NUL in a "
     "string.",
     R"x("a\x41")x", R"x("aA")x"},
    {"W0108", "a number is not sound",
     "A number that JSON does not have, or one that cannot be kept exactly: infinite, or too "
     "large.",
     "0x10, 1e999, 007", "16, 1e9, 7"},
    {"W0109", "no comments here",
     "Comments are accepted in files, but not in jobs that are sent over HTTP. `weir fmt --strict` "
     "strips them.",
     "// a note", ""},

    {"W0201", "unknown option",
     "No such option here; a misspelt one would otherwise be ignored without a word. `weir explain "
     "node TYPE` lists the options of a node type.",
     R"x({"type": "filter", "inputs": ["a"], "were": "x > 1"})x",
     R"x({"type": "filter", "inputs": ["a"], "where": "x > 1"})x"},
    {"W0202", "an option is missing",
     "This option has no default that could be right for every job.",
     R"x({"type": "filter", "inputs": ["a"]})x",
     R"x({"type": "filter", "inputs": ["a"], "where": "x > 1"})x"},
    {"W0203", "a value of the wrong type",
     "The option takes another kind of JSON value. Expressions, durations and sizes are texts, "
     "numbers stand without quotes.",
     R"x("inputs": "clicks")x", R"x("inputs": ["clicks"])x"},
    {"W0204", "out of range",
     "The value is of the right kind, but outside of what is possible or sensible.",
     R"x("interval": "1ms")x", R"x("interval": "10s")x"},
    {"W0205", "options that do not go together",
     "Two options exclude each other, or one needs the other.",
     R"x({"keep": "listed", "drop": ["x"]})x", R"x({"keep": "all", "drop": ["x"]})x"},
    {"W0206", "empty", "At least one item is needed here.", R"x("aggregates": {})x",
     R"x("aggregates": {"n": "count(*)"})x"},
    {"W0207", "not a name",
     "Names of jobs, nodes, parameters and connections are a lower-case letter followed by "
     "letters, digits and '_', 63 at most. Columns have 1 to 63 bytes, and a schema does not "
     "declare the names that the engine makes itself (_event_time, window_start ...).",
     R"x("Clicks-2": {"type": ...})x", R"x("clicks_2": {"type": ...})x"},
    {"W0208", "a unit is missing",
     "Durations, sizes and rates are texts with a unit, so that nobody has to guess: ms, s, m, h, "
     "d · B, KiB, MiB, GiB · /s.",
     R"x("size": 60)x", R"x("size": "1m")x"},
    {"W0209", "not one of the values", "The option takes one of a few words.",
     R"x("on_error": "ignore")x", R"x("on_error": "drop")x"},
    {"W0210", "planned, not in this version",
     "The name is reserved for something that a later version does.", R"x({"type": "top_n", ...})x",
     ""},
    {"W0211", "unknown type",
     "No node type, format, window or connection of this name. `weir explain node TYPE` shows one, "
     "`weir schema job` all.",
     R"x({"type": "fliter", ...})x", R"x({"type": "filter", ...})x"},
    {"W0212", "a secret stands in the file",
     "Passwords and keys do not belong into job files. A reference names a file below the secrets "
     "directory or an environment variable; it is read on the worker and never shown. `weir run "
     "--allow-literal-secrets` turns this into a warning.",
     R"x("password": "hunter2")x", R"x("password": "${secret:kafka/password}")x"},
    {"W0213", "a client property that a job cannot set",
     "Some properties of the Kafka client belong to the engine, and some would load libraries, run "
     "commands, read files or switch security off. What is left is an allow-list.",
     R"x("properties": {"enable.auto.commit": "true"})x",
     R"x("properties": {"client.id": "weir-clicks"})x"},
    {"W0214", "a reference that cannot be replaced",
     "Forms are ${NAME}, ${NAME:-default}, ${NAME:?message}, ${params.x} and ${secret:name}; they "
     "do not nest, stand in values of options only, and never in expressions (use param('x')), ids "
     "or keys. A literal ${ is written $${.",
     R"x("brokers": "${KAFKA BROKERS}")x", R"x("brokers": "${KAFKA_BROKERS:-localhost:9092}")x"},
    {"W0215", "a parameter without a value of its type",
     "A parameter has a default or is set with -p name=value, and the value is of its type.",
     R"x("params": {"n": {"type": "int64", "default": "many"}})x",
     R"x("params": {"n": {"type": "int64", "default": 10}})x"},
    {"W0216", "unknown connection",
     "Connections are declared once below 'connections' and used by name.",
     R"x("connection": "mian")x", R"x("connection": "main")x"},
    {"W0217", "too many",
     "Bounds keep a job from exhausting the machine that only checks it: 1,024 nodes, 16,384 "
     "inputs, 65,536 tasks, 1,024 members of a list.",
     "", ""},

    {"W0301", "no such node", "An input or a test names a node that is not there.",
     R"x("inputs": ["click"])x", R"x("inputs": ["clicks"])x"},
    {"W0302", "nobody reads a port",
     "Rows that nobody reads are lost, which is rarely meant. A port that is declared (late, "
     "errors, routes) has to be read too.",
     R"x("late": "side_output" and no node reads "per_page.late")x",
     R"x("late_out": {"type": "kafka_sink", "inputs": ["per_page.late"], ...})x"},
    {"W0303", "a cycle", "Rows flow from sources to sinks and never back.",
     R"x("a" reads "b", and "b" reads "a")x", ""},
    {"W0304", "the wrong number of inputs",
     "Node types have a smallest and a largest number of inputs.",
     R"x({"type": "union", "inputs": ["a"]})x", R"x({"type": "union", "inputs": ["a", "b"]})x"},
    {"W0306", "no source", "Nothing would ever flow.", "",
     R"x("in": {"type": "generator_source", ...})x"},
    {"W0307", "no sink", "Nothing would ever come out. blackhole_sink counts rows and drops them.",
     "", R"x("out": {"type": "print_sink", "inputs": ["in"]})x"},
    {"W0308", "no such port",
     "The node has no output of this name, or has not declared it. A route has no main output.",
     R"x("inputs": ["clicks.errors"])x", R"x("clicks": {..., "on_error": "side_output"})x"},
    {"W0309", "an input twice",
     "The same port stands twice among the inputs of a node, so each of its rows would arrive "
     "twice.",
     R"x("inputs": ["a", "a"])x", R"x("inputs": ["a"])x"},
    {"W0331", "a union of unequal columns",
     "Inputs of one node have the same columns: names, types and order.", "",
     R"x({"type": "project", "inputs": ["b"], "fields": {"user_id": "user_id", "page": "page"}})x"},
    {"W0332", "event time in part only",
     "Of several inputs some have event time and some have none, so the union would have neither.",
     "", R"x("event_time": {"field": "at", "max_delay": "5s"})x"},
    {"W0333", "metadata in part only",
     "Of several inputs only some can have a metadata column that somebody reads, such as _topic.",
     "", R"x("fields": {"topic": "_topic", ...})x"},

    {"W0401", "not one SQL expression",
     "An option takes exactly one scalar expression in PostgreSQL's grammar: no statement, "
     "subquery, FROM, alias, comment or semicolon. Strings stand in single quotes.",
     R"x("where": "page = \"/\" AND")x", R"x("where": "page = '/'")x"},
    {"W0402", "planned, not in this version",
     "A function, type or form of SQL that a later version knows.", "", ""},
    {"W0403", "an expression is too large",
     "At most 16 KiB of text, 64 levels of brackets, 4,096 nodes of the tree, 63 bytes of a name.",
     "", ""},
    {"W0404", "no such type",
     "Types of columns: bool, int32, int64, float32, float64, decimal(p,s), string, bytes, date, "
     "timestamp, timestamp_s, timestamp_ms, timestamp_us, duration. A '?' behind it means that it "
     "may be NULL.",
     R"x("user_id": "int")x", R"x("user_id": "int64")x"},
    {"W0412", "no such column",
     "The input has no column of this name. Unquoted names match without regard to case; a "
     "reserved word or another character needs quotes.",
     R"x("key_by": ["usr_id"])x", R"x("key_by": ["user_id"])x"},
    {"W0413", "an ambiguous name",
     "Several columns fit. Quote the name, or put the alias of the input before it.",
     R"x("where": "id = 1")x", R"x("where": "\"Id\" = 1")x"},
    {"W0414", "no such parameter", "param('x') needs x below 'params'.",
     R"x("having": "n > param('least')")x",
     R"x("params": {"least": {"type": "int64", "default": 1}})x"},
    {"W0415", "no such function",
     "Functions come from a list; `weir explain fn NAME` shows one. There is no now(): event time, "
     "or _processing_time.",
     R"x("where": "len(page) > 3")x", R"x("where": "length(page) > 3")x"},
    {"W0416", "wrong arguments of a function",
     "The number or the types of the arguments do not fit.", R"x("lower(1)")x",
     R"x("lower(page)")x"},
    {"W0417", "an aggregate in the wrong place",
     "Aggregates stand in 'aggregates' and 'having' of an aggregate node, and not inside each "
     "other.",
     R"x("where": "count(*) > 1")x", R"x("having": "count(*) > 1")x"},
    {"W0418", "neither key nor aggregate",
     "Beside aggregates only the columns of 'key_by' have one value per group.",
     R"x("aggregates": {"page": "page"})x", R"x("aggregates": {"page": "max(page)"})x"},
    {"W0419", "not in this place",
     "random_* functions make up rows, so they stand in a generator_source only.",
     R"x("where": "random_int(1, 2) = 1")x", ""},
    {"W0421", "no such operator", "The operator does not take these types.", R"x("page + 1")x",
     R"x("page || '1'")x"},
    {"W0422", "another type is expected",
     "A condition is bool; other places have types of their own.", R"x("where": "latency_ms")x",
     R"x("where": "latency_ms > 0")x"},
    {"W0423", "types that cannot be compared",
     "Strings and other types are never converted without a CAST.",
     R"x("user_id > 42" with user_id string)x", R"x("CAST(user_id AS int64) > 42")x"},
    {"W0424", "no such cast", "There is no conversion between these types, or no such type.",
     R"x("CAST(true AS timestamp)")x", ""},
    {"W0425", "a literal that is no value", "The text between the quotes is no value of its type.",
     R"x("DATE '2026-02-31'")x", R"x("DATE '2026-02-28'")x"},
    {"W0426", "NULL without a type",
     "A bare NULL takes its type from what stands beside it; alone it needs a CAST.",
     R"x("fields": {"x": "NULL"})x", R"x("fields": {"x": "CAST(NULL AS string)"})x"},
    {"W0427", "a pattern that does not compile",
     "Patterns are RE2, zones IANA names; they have to be constants, so that they are compiled "
     "once.",
     R"x("page ~ '('")x", R"x("page ~ '[(]'")x"},
    {"W0428", "a constant part that always fails",
     "This part of the expression can be computed now, and gives an error on every row.",
     R"x("1 / 0")x", ""},

    {"W0501", "event time is missing",
     "A window over event time needs rows that have one. It is declared on the source.",
     R"x("clicks": {"type": "kafka_source", ...})x",
     R"x("event_time": {"field": "ts", "max_delay": "5s"})x"},
    {"W0502", "event time is no timestamp",
     "The field is of another type. Numbers of an epoch are declared as timestamp_s, timestamp_ms "
     "or timestamp_us.",
     R"x("at": "int64")x", R"x("at": "timestamp_ms")x"},
    {"W0503", "state ends before its late rows",
     "With a ttl at or below 'allowed_lateness' the state is gone before the last rows that it "
     "waits for.",
     R"x("allowed_lateness": "1h", "state": {"ttl": "10m"})x",
     R"x("allowed_lateness": "1h", "state": {"ttl": "1d"})x"},
    {"W0504", "too many open slices",
     "A window keeps a slice of state for each step of 'every' within 'size' and "
     "'allowed_lateness'; more than 10,000 open ones cost more than they are worth.",
     R"x({"type": "sliding", "size": "1d", "every": "1ms"})x",
     R"x({"type": "sliding", "size": "1d", "every": "1m"})x"},
    {"W0508", "state without a bound",
     "A group that never ends keeps its state for ever, one row for each key that was ever seen.",
     R"x("window": {"type": "none"})x", R"x("state": {"ttl": "7d"})x"},
    {"W0509", "the clock where replays differ",
     "_processing_time in a key, window or join gives other results when rows are read again after "
     "a failure.",
     R"x("key_by": ["date_trunc('hour', _processing_time) AS hour"])x",
     R"x("key_by": ["date_trunc('hour', at) AS hour"])x"},

    {"W0601", "exactly once is not possible here",
     "The sink cannot promise it, or the checkpoints that it rests on are off or at_least_once. "
     "'auto' is the strongest that is possible.",
     R"x("delivery": "exactly_once" with "checkpoint": {"mode": "at_least_once"})x",
     R"x("delivery": "auto")x"},
    {"W0602", "a sink that cannot take results back",
     "The input is updating: it sends results again when late rows change them. An append sink "
     "would show all versions as separate rows.",
     R"x("write": "append" behind "allowed_lateness": "30s")x",
     R"x("write": "upsert", "key": ["page", "window_start"])x"},
    {"W0603", "this 'write' is not possible here",
     "'upsert' needs a key and a sink that replaces rows, 'changelog' a sink that writes changes.",
     R"x({"type": "kafka_sink", "write": "upsert", ...})x",
     R"x({"type": "kafka_sink", "write": "upsert", "key": ["page"], ...})x"},
    {"W0604", "the key is not the unique key",
     "An upsert sink replaces rows by its key. If that is not the unique key of the stream, rows "
     "of different results replace each other.",
     R"x("key": ["page"] behind a window by page)x", R"x("key": ["page", "window_start"])x"},
    {"W0605", "other columns than asserted",
     "The option 'schema' of a sink asserts what arrives. Something before it has changed.", "",
     ""},
    {"W0606", "effectively once needs upsert",
     "'effectively_once' means that a result which is written again replaces itself.",
     R"x("delivery": "effectively_once")x",
     R"x("delivery": "effectively_once", "write": "upsert", "key": ["id"])x"},
    {"W0607", "this node cannot read an updating stream",
     "Results that are taken back later make no sense here in this version; windows read append "
     "streams.",
     R"x(an aggregate behind an aggregate with "allowed_lateness")x", ""},
    {"W0608", "an updating stream would be torn apart",
     "Versions of one row have to stay in order, so they are spread by the unique key; this stream "
     "has none.",
     R"x("parallelism": 4 behind a union of changelogs)x", ""},
    {"W0609", "two tasks would write one key",
     "Results of one key of the sink come from several tasks, so an older version could win.",
     R"x("key": ["country"] behind key_by ["city"])x", R"x("key": ["city", "window_start"])x"},

    {"W0701", "a topic does not exist",
     "The broker has no topic of this name. A sink can make its topic with 'create'; a source "
     "cannot.",
     R"x("topic": "page_stats")x", R"x("topic": "page_stats", "create": {"partitions": 6})x"},
    {"W0702", "a broker does not answer",
     "None of the brokers answered in time: wrong address, a firewall, or the broker is down.",
     R"x("brokers": "localhost:9093")x", R"x("brokers": "localhost:9092")x"},
    {"W0703", "access refused",
     "The broker answered and refused the login or the access to the topic.", "", ""},
    {"W0704", "a connection that cannot be made",
     "A secret is missing, or the client refuses a setting of the connection.",
     R"x("password": "${secret:kafka/pasword}")x", R"x("password": "${secret:kafka/password}")x"},
    {"W0705", "more tasks than partitions",
     "A partition is read by one task; tasks beyond the number of partitions have nothing to do.",
     R"x("parallelism": 8 for 4 partitions)x", R"x("parallelism": 4)x"},
    {"W0706", "a path that jobs may not use",
     "File connectors stay below the allowed paths of the process: in `weir run` the working "
     "directory.",
     R"x("path": "../../etc/passwd")x", R"x("path": "./out")x"},
    {"W0707", "no file to read",
     "No file matches the pattern now. With 'follow' one may still come.",
     R"x("path": "./in/*.jsn")x", R"x("path": "./in/*.json")x"},
    {"W0708", "a directory that cannot be written",
     "The sink could not make its directory, or not write into it: permissions, a read-only or "
     "full disk.",
     "", ""},

    {"W0901", "state under another name",
     "The state of this node could be carried over from the node that 'renamed_from' names, which "
     "this version does not do yet. Run the job under the old name, or start empty with --from "
     "none.",
     "", ""},
    {"W0902", "state would be lost",
     "What the node keeps has another sense in the new job (its key, window, aggregates or input), "
     "or the node is gone. Keep the node as it was and add a new one under another id, or start "
     "empty with --from none.",
     R"x("key_by": ["city"] where the checkpoint has key_by ["page"])x", R"x("key_by": ["page"])x"},
    {"W0903", "a change that no state survives",
     "The node has another type, max_parallelism changed, or an exactly-once sink is gone whose "
     "results may still wait in the checkpoint. Go back to the old job, or start empty with --from "
     "none.",
     R"x("max_parallelism": 64 where the checkpoint has 128)x", R"x("max_parallelism": 128)x"},
});

std::string Defaults(const Option& option) {
  std::string text;
  if (option.required) text += ", required";
  if (!option.fallback.empty()) text += ", default " + std::string(option.fallback);
  if (!option.allowed.empty()) text += ", " + std::string(option.allowed);
  if (!option.unit.empty()) text += ", in " + std::string(option.unit);
  if (option.since == "planned") text += ", planned";
  return text;
}

std::string_view TypeText(OptionType type) {
  switch (type) {
    case OptionType::kBool:
      return "bool";
    case OptionType::kInt:
      return "whole number";
    case OptionType::kFloat:
      return "number";
    case OptionType::kString:
      return "text";
    case OptionType::kName:
      return "name";
    case OptionType::kEnum:
      return "one of";
    case OptionType::kDuration:
      return "duration";
    case OptionType::kDurationOrOff:
      return "duration or off";
    case OptionType::kSize:
      return "size";
    case OptionType::kRate:
      return "rate";
    case OptionType::kTimestamp:
      return "time";
    case OptionType::kExpression:
      return "expression";
    case OptionType::kBoolExpression:
      return "condition";
    case OptionType::kExpressionMap:
      return "expressions by name";
    case OptionType::kKeyList:
      return "key expressions";
    case OptionType::kColumns:
      return "columns";
    case OptionType::kStringList:
      return "texts";
    case OptionType::kStringMap:
      return "texts by name";
    case OptionType::kSchema:
      return "types by column";
    case OptionType::kFormat:
      return "format";
    case OptionType::kConnection:
      return "connection";
    case OptionType::kObject:
      return "object";
    case OptionType::kVariant:
      return "object with type";
    case OptionType::kJson:
      return "value";
  }
  return "";
}

void AppendOptions(std::span<const Option> options, const std::string& indent, std::string& out) {
  for (const Option& option : options) {
    out += indent + std::string(option.name) + "  (" + std::string(TypeText(option.type)) +
           Defaults(option) + ")\n" + indent + "    " + std::string(option.doc) + "\n";
    AppendOptions(option.fields, indent + "    ", out);
    for (const Option::Variant& variant : option.variants) {
      out += indent + "    type " + std::string(variant.name) + ": " + std::string(variant.doc) +
             (variant.planned ? " (planned)" : "") + "\n";
      AppendOptions(variant.fields, indent + "        ", out);
    }
  }
}

}  // namespace

std::string ExplainCode(std::string_view code) {
  const auto page = std::find_if(kPages.begin(), kPages.end(),
                                 [&](const CodePage& each) { return each.code == code; });
  if (page == kPages.end()) return "";
  std::string text = std::string(page->code) + ": " + std::string(page->title) + "\n\n" +
                     std::string(page->doc) + "\n";
  if (!page->wrong.empty()) text += "\nwrong:  " + std::string(page->wrong) + "\n";
  if (!page->right.empty())
    text += (page->wrong.empty() ? "\nright:  " : "right:  ") + std::string(page->right) + "\n";
  return text;
}

std::vector<std::string> KnownCodes() {
  std::vector<std::string> codes;
  codes.reserve(kPages.size());
  for (const CodePage& page : kPages) codes.emplace_back(page.code);
  return codes;
}

std::string ExplainNode(const Registry& registry, std::string_view name) {
  const NodeType* type = registry.Find(name);
  const auto planned = PlannedNodeTypes();
  if ((type != nullptr && type->planned) ||
      (type == nullptr && std::find(planned.begin(), planned.end(), name) != planned.end())) {
    return std::string(name) + ": planned, not in this version\n";
  }
  if (type == nullptr) return "";
  std::string text = std::string(type->name) + ": " + std::string(type->doc) + "\n\n";
  if (type->inputs.most == 0) {
    text += "inputs: none, it is a source\n";
  } else {
    text +=
        "inputs: " + std::to_string(type->inputs.least) +
        (type->inputs.most == kInputsMax           ? " or more"
         : type->inputs.most == type->inputs.least ? ""
                                                   : " to " + std::to_string(type->inputs.most)) +
        " of kind";
    for (const auto& [kind, word] :
         {std::pair(kAppend, " append"), std::pair(kChangelog, " changelog"),
          std::pair(kUpsert, " upsert")}) {
      if ((type->inputs.accepts & kind) != 0) text += word;
    }
    text += "\n";
  }
  if (!type->is_sink()) {
    text += "ports: main";
    for (const std::string_view port : type->ports) text += ", " + std::string(port);
    text += ", errors (with on_error: side_output)\n";
  }
  text += "\noptions\n";
  AppendOptions(OptionsOf(*type), "  ", text);
  if (!type->example.empty()) text += "\nexample\n  " + std::string(type->example) + "\n";
  return text;
}

std::string ExplainFunction(std::string_view name) {
  std::string text;
  for (const FunctionDoc& function : Functions()) {
    if (function.name != name) continue;
    text += std::string(function.signature) +
            (function.planned     ? "   planned, not in this version"
             : function.aggregate ? "   aggregate"
                                  : "") +
            "\n    " + std::string(function.doc) + "\n";
    if (!function.null_rule.empty()) text += "    NULL: " + std::string(function.null_rule) + "\n";
    if (!function.example.empty()) text += "    example: " + std::string(function.example) + "\n";
  }
  return text;
}

}  // namespace weir::jobs
