#pragma once
// Rows for the tests of this folder: random columns of any kind that know their own values, and
// batches made of short lists.

#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/data/row_builder.h"

namespace weir {

/// Every kind a column can have in version 1.
inline const std::vector<Type>& AllTypes() {
  static const std::vector<Type> kTypes = {
      Type::Of(TypeKind::kBool),      Type::Of(TypeKind::kInt32),    Type::Of(TypeKind::kInt64),
      Type::Of(TypeKind::kFloat32),   Type::Of(TypeKind::kFloat64),  Type::Decimal(38, 6),
      Type::Of(TypeKind::kString),    Type::Of(TypeKind::kBytes),    Type::Of(TypeKind::kDate),
      Type::Of(TypeKind::kTimestamp), Type::Of(TypeKind::kDuration),
  };
  return kTypes;
}

/// Appends a value that hits borders and common prefixes often.
inline void AppendRandom(const Type& type, std::mt19937_64& random, ColumnBuilder& into) {
  VisitKind(type.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    if constexpr (kKind == TypeKind::kBool) {
      into.Append<T>(static_cast<T>(random() & 1));
    } else if constexpr (std::is_same_v<T, Utf8View>) {
      // Few letters, NUL among them, lengths around the inline limit: prefixes of one another are
      // frequent.
      std::string text(random() % 20, 'a');
      for (char& c : text) c = std::string_view("\0ab\x7f", 4)[random() % 4];
      if (kKind == TypeKind::kBytes && !text.empty() && random() % 4 == 0) text.back() = '\xff';
      into.AppendString(text);
    } else if constexpr (kKind == TypeKind::kDecimal) {
      Int128 value = static_cast<Int128>((static_cast<Uint128>(random()) << 64 | random()) >>
                                         (random() % 120));
      value %= static_cast<Int128>(1) << 126;
      into.Append<T>(random() % 2 == 0 ? value : -value);
    } else if constexpr (std::is_floating_point_v<T>) {
      using Limits = std::numeric_limits<T>;
      const T borders[] = {T{0},
                           -T{0},
                           Limits::infinity(),
                           -Limits::infinity(),
                           Limits::quiet_NaN(),
                           Limits::denorm_min(),
                           -Limits::denorm_min(),
                           Limits::max(),
                           Limits::lowest()};
      if (random() % 3 == 0) {
        into.Append<T>(borders[random() % std::size(borders)]);
      } else {
        const T value = static_cast<T>(
            std::ldexp(static_cast<double>(random() % 1000), static_cast<int>(random() % 40) - 20));
        into.Append<T>(random() % 2 == 0 ? value : -value);
      }
    } else {
      using Limits = std::numeric_limits<T>;
      const T borders[] = {T{0},          T{1},   T{-1},  Limits::min(),
                           Limits::max(), T{255}, T{256}, T{-256}};
      into.Append<T>(random() % 3 == 0 ? borders[random() % std::size(borders)]
                                       : static_cast<T>(random()));
    }
  });
}

inline Column RandomColumn(const Type& type, uint32_t rows, int null_percent,
                           std::mt19937_64& random) {
  ColumnBuilder builder(type, rows);
  for (uint32_t row = 0; row < rows; ++row) {
    if (static_cast<int>(random() % 100) < null_percent) {
      builder.AppendNull();
    } else {
      AppendRandom(type, random, builder);
    }
  }
  return builder.Build();
}

/// One column of every kind.
inline SchemaRef WideSchema() {
  std::vector<Field> fields;
  for (const Type& type : AllTypes())
    fields.push_back({"c" + std::to_string(fields.size()), type, true});
  return std::make_shared<const Schema>(std::move(fields));
}

inline Batch RandomBatch(uint32_t rows, int null_percent, std::mt19937_64& random) {
  std::vector<Column> columns;
  for (const Type& type : AllTypes())
    columns.push_back(RandomColumn(type, rows, null_percent, random));
  return Batch::Make(WideSchema(), rows, std::move(columns));
}

inline std::vector<std::string> RowsOf(const Batch& batch) {
  std::vector<std::string> rows;
  for (uint32_t row = 0; row < batch.rows(); ++row) rows.push_back(batch.RowToString(row));
  return rows;
}

/// A column of strings; nullopt is NULL.
inline Column Strings(const std::vector<std::optional<std::string>>& values) {
  ColumnBuilder builder(Type::Of(TypeKind::kString), static_cast<uint32_t>(values.size()));
  for (const auto& value : values) {
    if (value) {
      builder.AppendString(*value);
    } else {
      builder.AppendNull();
    }
  }
  return builder.Build();
}

template <class T>
Column Values(const Type& type, const std::vector<T>& values) {
  ColumnBuilder builder(type, static_cast<uint32_t>(values.size()));
  for (const T& value : values) builder.Append<T>(value);
  return builder.Build();
}

inline Batch BatchOf(std::vector<Field> fields, std::vector<Column> columns) {
  const uint32_t rows = columns.empty() ? 0 : columns.front().rows();
  return Batch::Make(std::make_shared<const Schema>(std::move(fields)), rows, std::move(columns));
}

}  // namespace weir
