#include "engine/api/registry.h"

#include <algorithm>

#include "engine/base/check.h"

namespace weir {

void Registry::Add(NodeType type) {
  WEIR_CHECK(Find(type.name) == nullptr);
  types_.push_back(std::make_unique<NodeType>(std::move(type)));
}

void Registry::AddFormat(FormatType type) {
  WEIR_CHECK(FindFormat(type.name) == nullptr);
  formats_.push_back(std::make_unique<FormatType>(std::move(type)));
}

const NodeType* Registry::Find(std::string_view name) const {
  const auto found = std::find_if(types_.begin(), types_.end(),
                                  [&](const auto& type) { return type->name == name; });
  return found == types_.end() ? nullptr : found->get();
}

const FormatType* Registry::FindFormat(std::string_view name) const {
  const auto found = std::find_if(formats_.begin(), formats_.end(),
                                  [&](const auto& format) { return format->name == name; });
  return found == formats_.end() ? nullptr : found->get();
}

bool NodeShape::has_keyed_state() const {
  return std::any_of(states.begin(), states.end(),
                     [](const StateSpec& state) { return state.kind != StateKind::kList; });
}

PortShape PortShape::NarrowedBy(const Expression& condition) const {
  PortShape narrowed = *this;
  if (schema == nullptr || !condition) return narrowed;
  std::vector<Field> fields = schema->fields();
  for (const ColumnIndex column : condition.not_null_when_true()) {
    if (column.value < fields.size()) fields[column.value].nullable = false;
  }
  narrowed.schema = std::make_shared<const Schema>(std::move(fields));
  return narrowed;
}

}  // namespace weir
