#include "operators/aggregate_functions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/base/check.h"
#include "engine/data/decimal.h"
#include "engine/data/key_encoding.h"

namespace weir {
namespace {

using Slot = StateLayout::Slot;

/// Calls body(i) for every row that takes part and whose argument is not NULL.
template <class Body>
void ForEachInput(std::span<StateRow* const> rows, const Validity& valid, Body&& body) {
  if (valid.all()) {
    for (uint32_t i = 0; i < rows.size(); ++i) {
      if (rows[i] != nullptr) body(i);
    }
  } else {
    for (uint32_t i = 0; i < rows.size(); ++i) {
      if (rows[i] != nullptr && valid[i]) body(i);
    }
  }
}

Field Nullable(const char* name, Type type) { return {name, std::move(type), true}; }

class Count final : public Accumulator {
 public:
  std::vector<Field> Fields() const override { return {Nullable("n", Type::Of(TypeKind::kInt64))}; }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter&) const override {
    const Slot slot = slots_[0];
    ForEachInput(rows, arguments.empty() ? Validity() : arguments[0].Valid(),
                 [&](uint32_t i) { rows[i]->Set(slot, rows[i]->Get<int64_t>(slot) + 1); });
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter&) const override {
    into->Set(slots_[0], into->Get<int64_t>(slots_[0]) + from->Get<int64_t>(slots_[0]));
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    out.Append<int64_t>(row->Get<int64_t>(slots_[0]));
    return true;
  }
};

/// Exact sum of integers or unscaled decimals in 192 bits: no input order can make it overflow on
/// the way.
struct WideSum {
  static void Add(StateRow* row, const Slot& low, const Slot& high, Int128 value,
                  int64_t value_high) {
    const auto before = static_cast<Uint128>(row->Get<Int128>(low));
    const Uint128 after = before + static_cast<Uint128>(value);
    row->Set(low, static_cast<Int128>(after));
    row->Set(high, row->Get<int64_t>(high) + value_high + (after < before ? 1 : 0));
  }
  static int64_t SignExtension(Int128 value) { return value < 0 ? -1 : 0; }
  /// Empty if it needs more than 128 bits.
  static std::optional<Int128> Value(const StateRow* row, const Slot& low, const Slot& high) {
    const auto value = row->Get<Int128>(low);
    if (row->Get<int64_t>(high) != SignExtension(value)) return std::nullopt;
    return value;
  }
};

/// sum and avg of integers and decimals.
class ExactSum final : public Accumulator {
 public:
  ExactSum(Type input, Type result, bool average)
      : input_(std::move(input)), result_(std::move(result)), average_(average) {}
  std::vector<Field> Fields() const override {
    return {Nullable("low", Type::Decimal(38, 0)), Nullable("high", Type::Of(TypeKind::kInt64)),
            Nullable("n", Type::Of(TypeKind::kInt64))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter&) const override {
    switch (input_.kind) {
      case TypeKind::kInt32:
        return Add<int32_t>(rows, arguments[0]);
      case TypeKind::kDecimal:
        return Add<Int128>(rows, arguments[0]);
      default:
        return Add<int64_t>(rows, arguments[0]);
    }
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter&) const override {
    if (from->IsNull(slots_[0])) return;
    WideSum::Add(into, slots_[0], slots_[1], from->Get<Int128>(slots_[0]),
                 from->Get<int64_t>(slots_[1]));
    into->Set(slots_[2], into->Get<int64_t>(slots_[2]) + from->Get<int64_t>(slots_[2]));
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    if (row->IsNull(slots_[0])) {
      out.AppendNull();
      return true;
    }
    const std::optional<Int128> sum = WideSum::Value(row, slots_[0], slots_[1]);
    const auto n = row->Get<int64_t>(slots_[2]);
    if (average_ && result_.kind == TypeKind::kFloat64) {
      const double low = sum ? static_cast<double>(*sum)
                             : std::ldexp(static_cast<double>(row->Get<int64_t>(slots_[1])), 128);
      out.Append<double>(low / static_cast<double>(n));
      return true;
    }
    std::optional<Int128> value = sum;
    if (average_ && sum) {
      value = Rescale(*sum, input_.scale, result_.scale);
      if (value) {
        const Int128 half = *value < 0 ? -Int128{n} : Int128{n};
        value = (*value * 2 + half) / (Int128{n} * 2);  // half away from zero
      }
    }
    if (result_.kind == TypeKind::kInt64) {
      if (!value || *value > std::numeric_limits<int64_t>::max() ||
          *value < std::numeric_limits<int64_t>::min())
        return Fail(out);
      out.Append<int64_t>(static_cast<int64_t>(*value));
      return true;
    }
    if (!value || !FitsPrecision(*value, kDecimalPrecisionMax)) return Fail(out);
    out.Append<Int128>(*value);
    return true;
  }

 private:
  template <class T>
  void Add(std::span<StateRow* const> rows, const Column& column) const {
    const std::span<const T> values = column.Values<T>();
    ForEachInput(rows, column.Valid(), [&](uint32_t i) {
      const Int128 value = values[i];
      WideSum::Add(rows[i], slots_[0], slots_[1], value, WideSum::SignExtension(value));
      rows[i]->Set(slots_[2], rows[i]->template Get<int64_t>(slots_[2]) + 1);
    });
  }
  static bool Fail(ColumnBuilder& out) {
    out.AppendNull();
    return false;
  }
  const Type input_, result_;
  const bool average_;
};

/// Neumaier's compensated sum; avg divides.
class FloatSum final : public Accumulator {
 public:
  FloatSum(TypeKind input, bool average) : input_(input), average_(average) {}
  std::vector<Field> Fields() const override {
    return {Nullable("sum", Type::Of(TypeKind::kFloat64)),
            Nullable("lost", Type::Of(TypeKind::kFloat64)),
            Nullable("n", Type::Of(TypeKind::kInt64))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter&) const override {
    if (input_ == TypeKind::kFloat32) {
      Loop<float>(rows, arguments[0]);
    } else {
      Loop<double>(rows, arguments[0]);
    }
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter&) const override {
    if (from->IsNull(slots_[0])) return;
    Add(into, from->Get<double>(slots_[0]));
    Add(into, from->Get<double>(slots_[1]));
    into->Set(slots_[2], into->Get<int64_t>(slots_[2]) + from->Get<int64_t>(slots_[2]));
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    if (row->IsNull(slots_[0])) {
      out.AppendNull();
      return true;
    }
    const double plain = row->Get<double>(slots_[0]);
    const double sum = std::isfinite(plain) ? plain + row->Get<double>(slots_[1]) : plain;
    out.Append<double>(average_ ? sum / static_cast<double>(row->Get<int64_t>(slots_[2])) : sum);
    return true;
  }

 private:
  template <class T>
  void Loop(std::span<StateRow* const> rows, const Column& column) const {
    const std::span<const T> values = column.Values<T>();
    ForEachInput(rows, column.Valid(), [&](uint32_t i) {
      Add(rows[i], static_cast<double>(values[i]));
      rows[i]->Set(slots_[2], rows[i]->template Get<int64_t>(slots_[2]) + 1);
    });
  }
  void Add(StateRow* row, double value) const {
    const double sum = row->Get<double>(slots_[0]), next = sum + value;
    const double lost =
        std::fabs(sum) >= std::fabs(value) ? (sum - next) + value : (value - next) + sum;
    row->Set(slots_[0], next);
    row->Set(slots_[1], row->Get<double>(slots_[1]) + (std::isfinite(lost) ? lost : 0.0));
  }
  const TypeKind input_;
  const bool average_;
};

/// a sorts before b, NaN above all numbers.
template <class T>
bool Less(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return a.compare(b) < 0;
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return false;
    return std::isnan(b) || a < b;
  } else {
    return a < b;
  }
}

/// One kept value of the input's type: min, max, first, last.
template <class T>
class Kept : public Accumulator {
 protected:
  explicit Kept(Type input) : input_(std::move(input)) {}
  static constexpr bool kText = std::is_same_v<T, Utf8View>;
  using View = std::conditional_t<kText, std::string_view, T>;
  Type StoredType() const { return kText ? Type::Of(TypeKind::kBytes) : input_; }
  View Stored(const StateRow* row) const {
    if constexpr (kText) {
      return row->GetBytes(slots_[0]);
    } else {
      return row->Get<T>(slots_[0]);
    }
  }
  void Store(StateRow* row, View value, BytesWriter& writer) const {
    if constexpr (kText) {
      writer.Set(row, slots_[0], value);
    } else {
      row->Set(slots_[0], value);
    }
  }
  static View At(std::span<const T> values, uint32_t i) {
    if constexpr (kText) {
      return values[i].view();
    } else {
      return values[i];
    }
  }
  bool FinishKept(const StateRow* row, ColumnBuilder& out) const {
    if constexpr (kText) {
      out.AppendString(Stored(row));
    } else {
      out.Append<T>(Stored(row));
    }
    return true;
  }
  const Type input_;
};

template <class T>
class Extreme final : public Kept<T> {
 public:
  Extreme(Type input, bool max) : Kept<T>(std::move(input)), max_(max) {}
  std::vector<Field> Fields() const override { return {Nullable("value", this->StoredType())}; }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter& writer) const override {
    const std::span<const T> values = arguments[0].Values<T>();
    ForEachInput(rows, arguments[0].Valid(),
                 [&](uint32_t i) { Offer(rows[i], this->At(values, i), writer); });
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter& writer) const override {
    if (!from->IsNull(this->slots_[0])) Offer(into, this->Stored(from), writer);
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    if (!row->IsNull(this->slots_[0])) return this->FinishKept(row, out);
    out.AppendNull();
    return true;
  }

 private:
  void Offer(StateRow* row, typename Kept<T>::View value, BytesWriter& writer) const {
    if (row->IsNull(this->slots_[0]) ||
        (max_ ? Less(this->Stored(row), value) : Less(value, this->Stored(row))))
      this->Store(row, value, writer);
  }
  const bool max_;
};

/// By (event time, arrival): `last` takes the later of equals, `first` the earlier.
template <class T>
class Ordered final : public Kept<T> {
 public:
  Ordered(Type input, bool last) : Kept<T>(std::move(input)), last_(last) {}
  std::vector<Field> Fields() const override {
    return {Nullable("value", this->StoredType()), Nullable("time", Type::Of(TypeKind::kInt64))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t> time, BytesWriter& writer) const override {
    const std::span<const T> values = arguments[0].Values<T>();
    ForEachInput(rows, arguments[0].Valid(),
                 [&](uint32_t i) { Offer(rows[i], this->At(values, i), time[i], writer); });
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter& writer) const override {
    if (!from->IsNull(this->slots_[0]))
      Offer(into, this->Stored(from), from->Get<int64_t>(this->slots_[1]), writer);
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    if (!row->IsNull(this->slots_[0])) return this->FinishKept(row, out);
    out.AppendNull();
    return true;
  }

 private:
  void Offer(StateRow* row, typename Kept<T>::View value, int64_t time, BytesWriter& writer) const {
    if (!row->IsNull(this->slots_[0])) {
      const auto kept = row->Get<int64_t>(this->slots_[1]);
      if (last_ ? time < kept : time >= kept) return;
    }
    this->Store(row, value, writer);
    row->Set(this->slots_[1], time);
  }
  const bool last_;
};

class BoolFold final : public Accumulator {
 public:
  explicit BoolFold(bool conjunction) : conjunction_(conjunction) {}
  std::vector<Field> Fields() const override {
    return {Nullable("true", Type::Of(TypeKind::kInt64)),
            Nullable("false", Type::Of(TypeKind::kInt64))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter&) const override {
    const std::span<const uint8_t> values = arguments[0].Values<uint8_t>();
    ForEachInput(rows, arguments[0].Valid(), [&](uint32_t i) {
      const Slot& slot = slots_[values[i] != 0 ? 0 : 1];
      rows[i]->Set(slot, rows[i]->Get<int64_t>(slot) + 1);
    });
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter&) const override {
    for (const Slot& slot : slots_) {
      if (const auto n = from->Get<int64_t>(slot); n != 0)
        into->Set(slot, into->Get<int64_t>(slot) + n);
    }
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    const auto yes = row->Get<int64_t>(slots_[0]), no = row->Get<int64_t>(slots_[1]);
    if (yes + no == 0) {
      out.AppendNull();
    } else {
      out.Append<uint8_t>((conjunction_ ? no == 0 : yes != 0) ? 1 : 0);
    }
    return true;
  }

 private:
  const bool conjunction_;
};

/// Welford's update, Chan's merge.
class Deviation final : public Accumulator {
 public:
  Deviation(Type input, bool root) : input_(std::move(input)), root_(root) {}
  std::vector<Field> Fields() const override {
    return {Nullable("n", Type::Of(TypeKind::kInt64)),
            Nullable("mean", Type::Of(TypeKind::kFloat64)),
            Nullable("m2", Type::Of(TypeKind::kFloat64))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter&) const override {
    switch (input_.kind) {
      case TypeKind::kInt32:
        return Loop<int32_t>(rows, arguments[0]);
      case TypeKind::kInt64:
        return Loop<int64_t>(rows, arguments[0]);
      case TypeKind::kFloat32:
        return Loop<float>(rows, arguments[0]);
      case TypeKind::kDecimal:
        return Loop<Int128>(rows, arguments[0]);
      default:
        return Loop<double>(rows, arguments[0]);
    }
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter&) const override {
    const auto na = into->Get<int64_t>(slots_[0]), nb = from->Get<int64_t>(slots_[0]);
    if (nb == 0) return;
    const double a = static_cast<double>(na), b = static_cast<double>(nb);
    const double delta = from->Get<double>(slots_[1]) - into->Get<double>(slots_[1]);
    into->Set(slots_[2], into->Get<double>(slots_[2]) + from->Get<double>(slots_[2]) +
                             delta * delta * a * b / (a + b));
    into->Set(slots_[1], into->Get<double>(slots_[1]) + delta * b / (a + b));
    into->Set(slots_[0], na + nb);
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    const auto n = row->Get<int64_t>(slots_[0]);
    if (n < 2) {
      out.AppendNull();
      return true;
    }
    const double variance = row->Get<double>(slots_[2]) / static_cast<double>(n - 1);
    out.Append<double>(root_ ? std::sqrt(variance) : variance);
    return true;
  }

 private:
  template <class T>
  void Loop(std::span<StateRow* const> rows, const Column& column) const {
    const std::span<const T> values = column.Values<T>();
    ForEachInput(rows, column.Valid(), [&](uint32_t i) {
      double value = 0;
      if constexpr (std::is_same_v<T, Int128>) {
        value = DecimalToDouble(values[i], input_.scale);
      } else {
        value = static_cast<double>(values[i]);
      }
      const auto n = rows[i]->template Get<int64_t>(slots_[0]) + 1;
      const auto mean = rows[i]->template Get<double>(slots_[1]);
      const double delta = value - mean, next = mean + delta / static_cast<double>(n);
      rows[i]->Set(slots_[0], n);
      rows[i]->Set(slots_[1], next);
      rows[i]->Set(slots_[2], rows[i]->template Get<double>(slots_[2]) + delta * (value - next));
    });
  }
  const Type input_;
  const bool root_;
};

/// HyperLogLog, p = 14, after Flajolet et al. and HLL++: exact hashes in an open-addressing table
/// while there are few, registers beyond. Field: byte 0 = form (0 sparse, 1 dense); sparse: 8 bytes
/// of header, then 64-bit slots, 0 = free, header bytes 4-7 = count.
class DistinctSketch final : public Accumulator {
 public:
  std::vector<Field> Fields() const override {
    return {Nullable("sketch", Type::Of(TypeKind::kBytes))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter& writer) const override {
    std::string bytes;
    ForEachInput(rows, arguments[0].Valid(), [&](uint32_t i) {
      bytes.clear();
      AppendKeyBytes(arguments[0], i, bytes);
      Insert(rows[i], Hash64(bytes), writer);
    });
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter& writer) const override {
    const std::string_view sketch = from->GetBytes(slots_[0]);
    if (sketch.empty()) return;
    if (into->GetBytes(slots_[0]).empty()) return writer.Set(into, slots_[0], sketch);
    if (sketch[0] == kSparse) {
      for (size_t at = kHeader; at < sketch.size(); at += sizeof(uint64_t)) {
        if (const uint64_t hash = Load(sketch, at); hash != 0) Insert(into, hash, writer);
      }
      return;
    }
    if (into->GetBytes(slots_[0])[0] == kSparse) MakeDense(into, writer);
    char* registers = Bytes(into) + kHeader;
    for (size_t i = 0; i < kRegisters; ++i)
      registers[i] = std::max(registers[i], sketch[kHeader + i]);
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    const std::string_view sketch = row->GetBytes(slots_[0]);
    out.Append<int64_t>(sketch.empty()         ? 0
                        : sketch[0] == kSparse ? int64_t{LoadCount(sketch)}
                                               : Estimate(sketch));
    return true;
  }

 private:
  static constexpr char kSparse = 0, kDense = 1;
  static constexpr size_t kHeader = 8;
  static constexpr int kPrecision = 14;
  static constexpr size_t kRegisters = size_t{1} << kPrecision;
  static constexpr uint32_t kSparseMax = 1024;
  static constexpr size_t kSlotsLeast = 8;

  static uint64_t Load(std::string_view sketch, size_t at) {
    uint64_t value = 0;
    std::memcpy(&value, sketch.data() + at, sizeof(value));
    return value;
  }
  static uint32_t LoadCount(std::string_view sketch) {
    uint32_t count = 0;
    std::memcpy(&count, sketch.data() + 4, sizeof(count));
    return count;
  }
  /// The row is dirty (Update, Merge), so its own bytes may be written in place.
  char* Bytes(StateRow* row) const { return const_cast<char*>(row->GetBytes(slots_[0]).data()); }

  static bool PutSparse(char* sketch, size_t slots, uint64_t hash) {
    for (size_t slot = hash & (slots - 1);; slot = (slot + 1) & (slots - 1)) {
      uint64_t found = 0;
      std::memcpy(&found, sketch + kHeader + slot * 8, 8);
      if (found == hash) return false;
      if (found != 0) continue;
      std::memcpy(sketch + kHeader + slot * 8, &hash, 8);
      return true;
    }
  }
  static void PutDense(char* sketch, uint64_t hash) {
    const size_t index = hash >> (64 - kPrecision);
    const uint64_t rest = (hash << kPrecision) | (uint64_t{1} << (kPrecision - 1));
    const auto rank = static_cast<char>(std::countl_zero(rest) + 1);
    sketch[kHeader + index] = std::max(sketch[kHeader + index], rank);
  }
  void Insert(StateRow* row, uint64_t hash, BytesWriter& writer) const {
    if (hash == 0) hash = 1;  // 0 marks a free slot
    if (row->GetBytes(slots_[0]).empty())
      writer.Set(row, slots_[0], std::string(kHeader + kSlotsLeast * 8, '\0'));
    const std::string_view sketch = row->GetBytes(slots_[0]);
    if (sketch[0] == kDense) return PutDense(Bytes(row), hash);
    const size_t slots = (sketch.size() - kHeader) / 8;
    if (!PutSparse(Bytes(row), slots, hash)) return;
    const uint32_t count = LoadCount(sketch) + 1;
    std::memcpy(Bytes(row) + 4, &count, sizeof(count));
    if (count > kSparseMax) return MakeDense(row, writer);
    if (count * 4 < slots * 3) return;
    std::string grown(kHeader + slots * 2 * 8, '\0');
    std::memcpy(grown.data() + 4, &count, sizeof(count));
    for (size_t at = kHeader; at < sketch.size(); at += 8) {
      if (const uint64_t kept = Load(sketch, at); kept != 0)
        PutSparse(grown.data(), slots * 2, kept);
    }
    writer.Set(row, slots_[0], grown);
  }
  void MakeDense(StateRow* row, BytesWriter& writer) const {
    std::string dense(kHeader + kRegisters, '\0');
    dense[0] = kDense;
    const std::string_view sketch = row->GetBytes(slots_[0]);
    for (size_t at = kHeader; at < sketch.size(); at += 8) {
      if (const uint64_t hash = Load(sketch, at); hash != 0) PutDense(dense.data(), hash);
    }
    writer.Set(row, slots_[0], dense);
  }
  static int64_t Estimate(std::string_view sketch) {
    double sum = 0;
    size_t zeros = 0;
    for (size_t i = 0; i < kRegisters; ++i) {
      const int rank = sketch[kHeader + i];
      sum += std::ldexp(1.0, -rank);
      zeros += rank == 0 ? 1 : 0;
    }
    const double m = static_cast<double>(kRegisters);
    const double raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (raw <= 2.5 * m && zeros != 0)
      return std::llround(m * std::log(m / static_cast<double>(zeros)));
    return std::llround(raw);
  }
};

/// t-digest (Dunning), compression 100, merging form: sorted centroids, and values behind them that
/// wait to be merged in. Field: Head, then centroids, then values.
class Percentile final : public Accumulator {
 public:
  Percentile(Type input, double q) : input_(std::move(input)), q_(q) {}
  std::vector<Field> Fields() const override {
    return {Nullable("digest", Type::Of(TypeKind::kBytes))};
  }
  void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
              std::span<const int64_t>, BytesWriter& writer) const override {
    VisitKind(input_.kind, [&]<TypeKind kKind>() {
      using T = Physical<kKind>;
      if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, Int128>) {
        const std::span<const T> values = arguments[0].Values<T>();
        ForEachInput(rows, arguments[0].Valid(), [&](uint32_t i) {
          if constexpr (std::is_same_v<T, Int128>) {
            Insert(rows[i], DecimalToDouble(values[i], input_.scale), writer);
          } else {
            Insert(rows[i], static_cast<double>(values[i]), writer);
          }
        });
      }
    });
  }
  void Merge(StateRow* into, const StateRow* from, BytesWriter& writer) const override {
    const std::string_view other = from->GetBytes(slots_[0]);
    if (other.empty()) return;
    const std::string_view own = into->GetBytes(slots_[0]);
    if (own.empty()) return writer.Set(into, slots_[0], other);
    std::vector<Centroid> all = Unpack(own);
    const std::vector<Centroid> more = Unpack(other);
    all.insert(all.end(), more.begin(), more.end());
    Head head = HeadOf(own);
    const Head other_head = HeadOf(other);
    head.least = std::min(head.least, other_head.least);
    head.most = std::max(head.most, other_head.most);
    writer.Set(into, slots_[0], Pack(Compress(std::move(all)), head, /*room=*/0));
  }
  bool Finish(const StateRow* row, ColumnBuilder& out) const override {
    const std::string_view digest = row->GetBytes(slots_[0]);
    if (digest.empty()) {
      out.AppendNull();
      return true;
    }
    std::vector<Centroid> centroids = Unpack(digest);
    std::sort(centroids.begin(), centroids.end(),
              [](const Centroid& a, const Centroid& b) { return a.mean < b.mean; });
    out.Append<double>(Quantile(centroids, HeadOf(digest)));
    return true;
  }

 private:
  struct Head {
    uint32_t centroids = 0, values = 0, values_max = 0, reserved = 0;
    double least = 0, most = 0;
  };
  struct Centroid {
    double mean = 0, weight = 0;
  };
  static constexpr double kCompression = 100;
  static constexpr uint32_t kValuesLeast = 8, kValuesMost = 512;

  static Head HeadOf(std::string_view digest) {
    Head head;
    std::memcpy(&head, digest.data(), sizeof(head));
    return head;
  }
  static std::vector<Centroid> Unpack(std::string_view digest) {
    const Head head = HeadOf(digest);
    std::vector<Centroid> all(head.centroids);
    if (head.centroids != 0)
      std::memcpy(all.data(), digest.data() + sizeof(Head), head.centroids * sizeof(Centroid));
    const char* values = digest.data() + sizeof(Head) + head.centroids * sizeof(Centroid);
    for (uint32_t i = 0; i < head.values; ++i) {
      Centroid one{0, 1};
      std::memcpy(&one.mean, values + i * sizeof(double), sizeof(double));
      all.push_back(one);
    }
    return all;
  }
  static std::string Pack(const std::vector<Centroid>& centroids, Head head, uint32_t room) {
    head.centroids = static_cast<uint32_t>(centroids.size());
    head.values = 0;
    head.values_max = room;
    std::string digest(sizeof(Head) + centroids.size() * sizeof(Centroid) + room * sizeof(double),
                       '\0');
    std::memcpy(digest.data(), &head, sizeof(head));
    if (!centroids.empty())
      std::memcpy(digest.data() + sizeof(Head), centroids.data(),
                  centroids.size() * sizeof(Centroid));
    return digest;
  }
  void Insert(StateRow* row, double value, BytesWriter& writer) const {
    if (std::isnan(value)) return;  // a quantile of numbers
    std::string_view digest = row->GetBytes(slots_[0]);
    if (digest.empty()) {
      writer.Set(row, slots_[0], Pack({}, Head{.least = value, .most = value}, kValuesLeast));
      digest = row->GetBytes(slots_[0]);
    }
    Head head = HeadOf(digest);
    if (head.values == head.values_max) {
      std::vector<Centroid> all = Unpack(digest);
      const bool grow = head.values_max < kValuesMost;
      const uint32_t room = grow ? std::max(kValuesLeast, head.values_max * 2) : kValuesMost;
      writer.Set(row, slots_[0], Pack(Compress(std::move(all)), head, room));
      digest = row->GetBytes(slots_[0]);
      head = HeadOf(digest);
    }
    char* bytes = const_cast<char*>(digest.data());  // the row is dirty
    std::memcpy(
        bytes + sizeof(Head) + head.centroids * sizeof(Centroid) + head.values * sizeof(double),
        &value, sizeof(value));
    ++head.values;
    head.least = std::min(head.least, value);
    head.most = std::max(head.most, value);
    std::memcpy(bytes, &head, sizeof(head));
  }
  /// Scale function k1: centroids near the ends stay small.
  static std::vector<Centroid> Compress(std::vector<Centroid> all) {
    std::sort(all.begin(), all.end(),
              [](const Centroid& a, const Centroid& b) { return a.mean < b.mean; });
    double total = 0;
    for (const Centroid& centroid : all) total += centroid.weight;
    const auto k = [&](double q) {
      return kCompression / (2 * M_PI) * std::asin(2 * std::clamp(q, 0.0, 1.0) - 1);
    };
    std::vector<Centroid> merged;
    double before = 0;
    for (const Centroid& centroid : all) {
      if (!merged.empty() &&
          k((before + centroid.weight) / total) - k((before - merged.back().weight) / total) <= 1) {
        Centroid& last = merged.back();
        last.mean +=
            (centroid.mean - last.mean) * centroid.weight / (last.weight + centroid.weight);
        last.weight += centroid.weight;
      } else {
        merged.push_back(centroid);
      }
      before += centroid.weight;
    }
    return merged;
  }
  double Quantile(const std::vector<Centroid>& centroids, const Head& head) const {
    double total = 0;
    for (const Centroid& centroid : centroids) total += centroid.weight;
    if (centroids.size() == 1)
      return centroids[0].weight == 1 ? centroids[0].mean
                                      : head.least + q_ * (head.most - head.least);
    // As percentile_cont: rank q * (n - 1) among the values, each centroid standing in the middle
    // of its own.
    const double rank = q_ * (total - 1);
    double before = 0, last_middle = 0, last_mean = head.least;
    for (const Centroid& centroid : centroids) {
      const double middle = before + (centroid.weight - 1) / 2;
      if (rank <= middle) {
        const double part =
            middle == last_middle ? 1 : (rank - last_middle) / (middle - last_middle);
        return last_mean + part * (centroid.mean - last_mean);
      }
      last_middle = middle;
      last_mean = centroid.mean;
      before += centroid.weight;
    }
    const double part =
        total - 1 == last_middle ? 1 : (rank - last_middle) / (total - 1 - last_middle);
    return last_mean + part * (head.most - last_mean);
  }
  const Type input_;
  const double q_;
};

template <template <class> class Maker>
std::unique_ptr<Accumulator> ForType(const Type& type, bool flag) {
  return VisitKind(type.kind, [&]<TypeKind kKind>() -> std::unique_ptr<Accumulator> {
    return std::make_unique<Maker<Physical<kKind>>>(type, flag);
  });
}

double ConstantOf(const Expression& expression) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{"unused", Type::Of(TypeKind::kInt64), false}});
  RowBuilder rows(schema);
  rows.column(size_t{0}).Append<int64_t>(0);
  rows.FinishRow();
  RowErrors errors;
  const Column value = expression.Evaluate(rows.Build(), errors);
  switch (value.type().kind) {
    case TypeKind::kDecimal:
      return DecimalToDouble(value.Values<Int128>()[0], value.type().scale);
    case TypeKind::kInt32:
      return value.Values<int32_t>()[0];
    case TypeKind::kInt64:
      return static_cast<double>(value.Values<int64_t>()[0]);
    case TypeKind::kFloat32:
      return static_cast<double>(value.Values<float>()[0]);
    default:
      return value.Values<double>()[0];
  }
}

}  // namespace

std::unique_ptr<Accumulator> MakeAccumulator(const AggregateCall& call) {
  const std::string& name = call.function;
  if (call.distinct) return nullptr;
  if (name == "count") return std::make_unique<Count>();
  WEIR_CHECK(!call.arguments.empty());
  const Type& input = call.arguments[0].type();
  if (name == "sum" || name == "avg") {
    if (input.is_float()) return std::make_unique<FloatSum>(input.kind, name == "avg");
    return std::make_unique<ExactSum>(input, call.result, name == "avg");
  }
  if (name == "min" || name == "max") return ForType<Extreme>(input, name == "max");
  if (name == "first" || name == "last") return ForType<Ordered>(input, name == "last");
  if (name == "bool_and" || name == "bool_or")
    return std::make_unique<BoolFold>(name == "bool_and");
  if (name == "stddev_samp" || name == "var_samp")
    return std::make_unique<Deviation>(input, name == "stddev_samp");
  if (name == "approx_count_distinct") return std::make_unique<DistinctSketch>();
  if (name == "percentile")
    return std::make_unique<Percentile>(input, ConstantOf(call.arguments[1]));
  WEIR_CHECK(false);  // the binder knows no other
  return nullptr;
}

}  // namespace weir
