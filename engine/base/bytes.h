#pragma once
// Little-endian bytes for Weir's own files and frames: a writer that appends to a string and a
// reader that never reads past its end (it turns bad and answers zeros; check ok() once at the
// end). CRC-32C guards blocks, XXH3-128 names files by content, SHA-256 seals manifests. Values;
// any thread.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace weir {

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}
  template <class T>
    requires(std::is_arithmetic_v<T>)
  void Fixed(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  void Varint(uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  void String(std::string_view bytes) {
    Varint(bytes.size());
    out_.append(bytes);
  }
  void Raw(std::string_view bytes) { out_.append(bytes); }

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  template <class T>
    requires(std::is_arithmetic_v<T>)
  T Fixed() {
    T value{};
    if (in_.size() < sizeof(T)) return Fail<T>();
    std::memcpy(&value, in_.data(), sizeof(T));
    in_.remove_prefix(sizeof(T));
    return value;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (in_.empty()) return Fail<uint64_t>();
      const auto byte = static_cast<uint8_t>(in_.front());
      in_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Fail<uint64_t>();
  }
  /// Borrowed from the input.
  std::string_view String() { return Raw(Varint()); }
  std::string_view Raw(uint64_t bytes) {
    if (bytes > in_.size()) {
      Fail<int>();
      return {};
    }
    const std::string_view taken = in_.substr(0, bytes);
    in_.remove_prefix(bytes);
    return taken;
  }
  size_t left() const { return in_.size(); }
  bool ok() const { return ok_; }

 private:
  template <class T>
  T Fail() {
    ok_ = false;
    in_ = {};
    return T{};
  }
  std::string_view in_;
  bool ok_ = true;
};

uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);
uint64_t Hash64(std::string_view bytes);  // XXH3, seed 0: stable, part of the state format

struct Hash128 {
  uint64_t high = 0, low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  std::string Hex() const;
};
Hash128 HashContent(std::string_view bytes);
std::string Sha256Hex(std::string_view bytes);

}  // namespace weir
