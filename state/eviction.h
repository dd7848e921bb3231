#pragma once
// EvictionBatch: changed rows that have left the hot table, serialised, until P has written them.
// It is also the side buffer between a freeze and its image. W fills it, then hands it over inside
// a write set; P reads only what is fixed then. W finds what is in it through Slice::evicted.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace weir::state {

struct Slice;

struct Evicted {
  // Fixed once made; P reads them.
  uint64_t hash = 0;
  const char* key = nullptr;  // key, sort bytes, value
  int64_t ns = 0;
  uint32_t key_bytes = 0, sort_bytes = 0, value_bytes = 0;
  uint16_t state = 0, group = 0;
  bool absent = false;
  // W only.
  Slice* slice = nullptr;   // nullptr: taken back, replaced, or its slice is gone
  Evicted* next = nullptr;  // of the same key: older rows
  std::string_view key_view() const { return {key, key_bytes}; }
  std::string_view sort_view() const { return {key + key_bytes, sort_bytes}; }
  std::string_view value_view() const { return {key + key_bytes + sort_bytes, value_bytes}; }
};

class EvictionBatch {
 public:
  Evicted* Add(size_t text_bytes, char** text);
  size_t bytes() const { return bytes_; }
  std::vector<Evicted*>& rows() { return rows_; }

 private:
  static constexpr size_t kBlockBytes = 256 * 1024;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t left_ = 0, bytes_ = 0;
  std::vector<Evicted*> rows_;
};

}  // namespace weir::state
