#pragma once
// Which properties of the Kafka client a job may set: an allow-list, because some
// of them load code, run commands, read or write files, or switch safety off. Every property of the
// linked client library has an entry here; a test fails when a new library version brings one
// without. Read by the validator of connections and by the client. Pure data; any thread.

#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

enum class KafkaPropertyUse : uint8_t {
  kAllowed,   // a job may set it under `properties`
  kByOption,  // set by an option of connection, source or sink: `instead` names it
  kOwned,     // set by the engine only
  kRefused,   // loads code, reads or writes files, reaches other addresses, switches safety off, or
              // has no meaning here
};
enum class KafkaPropertySide : uint8_t { kBoth, kConsumer, kProducer };

struct KafkaProperty {
  std::string_view name;
  KafkaPropertySide side = KafkaPropertySide::kBoth;
  KafkaPropertyUse use = KafkaPropertyUse::kRefused;
  std::string_view why;      // refused, owned: completes "'<name>' cannot be set: <why>"
  std::string_view instead;  // kByOption: the option; else empty
};

/// By name, sorted.
std::span<const KafkaProperty> KafkaProperties();
/// Null: no property of that name.
const KafkaProperty* FindKafkaProperty(std::string_view name);

}  // namespace weir
