#include "connectors/formats/options.h"

#include "engine/base/json.h"

namespace weir {

FormatOptions FormatOptions::Of(const NodeConfig& node) {
  FormatOptions options;
  const auto is = [&](std::string_view path, const char* text) {
    const Json& value = node.json(path);
    return value.is_string() && value.get_ref<const std::string&>() == text;
  };
  const auto yes = [&](std::string_view path, bool fallback) {
    const Json& value = node.json(path);
    return value.is_boolean() ? value.get<bool>() : fallback;
  };
  if (node.json("format/max_record").is_string())
    options.record_bytes_max = node.SizeOf("format/max_record");
  options.unknown_fields_refused = is("format/unknown_fields", "error");
  options.checked_fully = is("format/check", "full");
  options.int64_as_string = yes("format/int64_as_string", false);
  options.omit_nulls = is("format/nulls", "omit");
  if (const Json& delimiter = node.json("format/delimiter");
      delimiter.is_string() && delimiter.get_ref<const std::string&>().size() == 1) {
    options.delimiter = delimiter.get_ref<const std::string&>().front();
  }
  options.header = yes("format/header", true);
  if (node.json("format/null").is_string()) options.null = node.Text("format/null");
  return options;
}

bool WritesOp(const NodeConfig& node) {
  const Json& write = node.json("write");
  return node.type().name == "print_sink" ||
         (write.is_string() && write.get_ref<const std::string&>() == "changelog");
}

}  // namespace weir
