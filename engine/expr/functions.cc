#include "engine/expr/functions.h"

#include <unordered_map>

namespace weir {
namespace {

std::vector<Function> MakeTable() {
  std::vector<Function> table;
  AddConditions(table);
  AddNumbers(table);
  AddTexts(table);
  AddTimes(table);
  AddAggregates(table);
  AddPlanned(table);
  return table;
}

}  // namespace

std::span<const Function> FunctionTable() {
  static const std::vector<Function> kTable = MakeTable();
  return kTable;
}

const Function* FindFunction(std::string_view name) {
  static const std::unordered_map<std::string_view, const Function*> kByName = [] {
    std::unordered_map<std::string_view, const Function*> map;
    for (const Function& function : FunctionTable()) map.emplace(function.doc.name, &function);
    return map;
  }();
  const auto found = kByName.find(name);
  return found == kByName.end() ? nullptr : found->second;
}

std::span<const FunctionDoc> Functions() {
  static const std::vector<FunctionDoc> kDocs = [] {
    std::vector<FunctionDoc> list;
    for (const Function& function : FunctionTable()) list.push_back(function.doc);
    return list;
  }();
  return kDocs;
}

void AddPlanned(std::vector<Function>& table) {
  const auto add = [&](std::string_view group, std::string_view name, std::string_view signature,
                       std::string_view doc) {
    table.push_back({.doc = {.name = name,
                             .group = group,
                             .signature = signature,
                             .doc = doc,
                             .null_rule = "strict",
                             .example = "",
                             .aggregate = false,
                             .planned = true}});
  };
  add("text", "split", "split(text, separator) -> array<string>", "The parts between separators.");
  add("json", "json_get", "json_get(json, path) -> json", "The value at a path.");
  add("json", "json_get_text", "json_get_text(json, path) -> string",
      "The value at a path as text.");
  add("json", "json_has", "json_has(json, path) -> bool", "Whether there is a value at a path.");
  add("json", "json_array_length", "json_array_length(json) -> int64", "The number of items.");
  add("json", "parse_json", "parse_json(text) -> json", "The document in a text.");
  add("json", "to_json", "to_json(x) -> json", "A value as a document.");
  add("arrays, maps, rows", "cardinality", "cardinality(array | map) -> int64",
      "The number of items.");
  add("arrays, maps, rows", "element_at", "element_at(array, index) | element_at(map, key)",
      "One item.");
  add("arrays, maps, rows", "array_contains", "array_contains(array, x) -> bool",
      "Whether x is an item.");
  add("arrays, maps, rows", "array_distinct", "array_distinct(array) -> array", "Without repeats.");
  add("arrays, maps, rows", "array_join", "array_join(array, separator) -> string",
      "The items as one text.");
  add("arrays, maps, rows", "array_sort", "array_sort(array) -> array", "In rising order.");
  add("arrays, maps, rows", "map_keys", "map_keys(map) -> array", "The keys.");
  add("arrays, maps, rows", "map_values", "map_values(map) -> array", "The values.");
  add("arrays, maps, rows", "map_entries", "map_entries(map) -> array", "Keys and values.");
  add("hash, id, net", "md5", "md5(text | bytes) -> string", "The MD5 digest in hex.");
  add("hash, id, net", "uuid_v5", "uuid_v5(namespace, name) -> string", "A name-based UUID.");
  add("hash, id, net", "ip_prefix", "ip_prefix(address, bits) -> string",
      "The network of an address.");
  add("hash, id, net", "ip_in_cidr", "ip_in_cidr(address, network) -> bool",
      "Whether an address lies in a network.");
}

}  // namespace weir
