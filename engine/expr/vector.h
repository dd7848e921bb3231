#pragma once
// Vector: what a node of an expression computes, for some rows of a batch: the value of row i
// stands at position i, rows that were not asked for hold anything. So branches of a CASE write
// into one result without moving rows. Used inside one Evaluate call; one thread.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/data/batch.h"

namespace weir {

/// Rows to compute: positions in the batch, rising. Without a list all of [0, count).
struct Rows {
  const uint32_t* list = nullptr;
  uint32_t count = 0;

  static Rows All(uint32_t count) { return {nullptr, count}; }
  static Rows Of(const std::vector<uint32_t>& list) {
    return {list.data(), static_cast<uint32_t>(list.size())};
  }
  template <class F>
  void ForEach(F&& body) const {
    if (list == nullptr) {
      for (uint32_t row = 0; row < count; ++row) body(row);
    } else {
      for (uint32_t i = 0; i < count; ++i) body(list[i]);
    }
  }
  uint32_t first() const { return list == nullptr ? 0 : list[0]; }
};

struct Vector {
  const char* values = nullptr;  // value of row i at i; of every row at 0 if `constant`
  bool constant = false;
  bool constant_null = false;      // constant only
  const uint8_t* valid = nullptr;  // a byte per row, 0 = NULL; else `bits` tells
  Validity bits;
  std::shared_ptr<Buffer> values_owner, valid_owner;
  std::vector<std::shared_ptr<const Arenas>> arenas;  // of long strings

  template <class T>
  const T* Values() const {
    return reinterpret_cast<const T*>(values);
  }
  template <class T>
  T* Mutable() {
    return values_owner->as<T>();
  }
  bool all_valid() const { return constant ? !constant_null : valid == nullptr && bits.all(); }
  bool IsValid(uint32_t row) const {
    if (constant) return !constant_null;
    return valid != nullptr ? valid[row] != 0 : bits[row];
  }
};

/// Reads one argument, constant or not: for functions that cost more than the test.
template <class T>
class Reader {
 public:
  explicit Reader(const Vector& vector) : values_(vector.Values<T>()), constant_(vector.constant) {}
  const T& operator[](uint32_t row) const { return values_[constant_ ? 0 : row]; }

 private:
  const T* values_;
  bool constant_;
};
class TextReader {
 public:
  explicit TextReader(const Vector& vector) : reader_(vector) {}
  std::string_view operator[](uint32_t row) const { return reader_[row].view(); }

 private:
  Reader<Utf8View> reader_;
};

}  // namespace weir
