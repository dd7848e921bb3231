// The walk over the tree: kinds of nodes that decide which rows their arguments see, and what all
// strict functions share.

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/data/row_builder.h"
#include "engine/expr/node.h"

namespace weir {
namespace {

constexpr std::array<uint64_t, 256> MakeBitBytes() {
  std::array<uint64_t, 256> table{};
  for (size_t byte = 0; byte < 256; ++byte) {
    for (size_t bit = 0; bit < 8; ++bit) {
      if ((byte >> bit & 1) != 0) table[byte] |= uint64_t{1} << (8 * bit);
    }
  }
  return table;
}
constexpr std::array<uint64_t, 256> kBitBytes = MakeBitBytes();  // eight bits as eight bytes

void ExpandBits(Validity bits, uint32_t rows, uint8_t* out) {
  uint32_t row = 0;
  while (row < rows && ((bits.offset() + row) & 7) != 0) {
    out[row] = bits[row] ? 1 : 0;
    ++row;
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(bits.words()) + ((bits.offset() + row) >> 3);
  for (; row + 8 <= rows; row += 8) std::memcpy(out + row, &kBitBytes[*bytes++], 8);
  for (; row < rows; ++row) out[row] = bits[row] ? 1 : 0;
}

/// Eight bytes of 0 or 1 as eight bits.
uint64_t PackBytes(const uint8_t* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, 8);
  return (word * 0x0102040810204080ULL) >> 56;
}

/// valid[row] = all of the arguments are; null if none has a NULL.
std::shared_ptr<Buffer> MergeValid(const Evaluator& evaluator, const std::vector<Vector>& arguments,
                                   const Rows& rows) {
  std::shared_ptr<Buffer> merged;
  for (const Vector& argument : arguments) {
    if (argument.all_valid()) continue;
    const bool first = merged == nullptr;
    if (first) merged = std::make_shared<Buffer>(evaluator.batch_rows());
    auto* out = merged->as<uint8_t>();
    if (first && rows.list == nullptr) {
      if (argument.valid != nullptr) {
        std::memcpy(out, argument.valid, rows.count);
      } else {
        ExpandBits(argument.bits, rows.count, out);
      }
    } else if (first) {
      rows.ForEach([&](uint32_t row) { out[row] = argument.IsValid(row) ? 1 : 0; });
    } else if (argument.valid != nullptr) {
      rows.ForEach([&](uint32_t row) { out[row] &= argument.valid[row]; });
    } else {
      rows.ForEach([&](uint32_t row) {
        if (!argument.bits[row]) out[row] = 0;
      });
    }
  }
  return merged;
}

void KeepArenas(const Vector& from, Vector& to) {
  for (const auto& arenas : from.arenas) {
    if (std::find(to.arenas.begin(), to.arenas.end(), arenas) == to.arenas.end())
      to.arenas.push_back(arenas);
  }
}

/// Values and NULLs of `rows` from one vector into another at the same positions.
void CopyRows(const Evaluator& evaluator, const Type& type, const Vector& from, const Rows& rows,
              Vector& to) {
  VisitKind(type.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    T* out = to.Mutable<T>();
    if (from.constant) {
      if (!from.constant_null) {
        const T value = from.Values<T>()[0];
        rows.ForEach([&](uint32_t row) { out[row] = value; });
      }
    } else {
      const T* in = from.Values<T>();
      rows.ForEach([&](uint32_t row) { out[row] = in[row]; });
    }
  });
  if (!from.all_valid() || to.valid != nullptr) {
    uint8_t* valid = evaluator.MakeValid(to);
    rows.ForEach([&](uint32_t row) { valid[row] = from.IsValid(row) ? 1 : 0; });
  }
  KeepArenas(from, to);
}

Vector ConstantNull() {
  Vector vector;
  vector.constant = true;
  vector.constant_null = true;
  return vector;
}

/// AND and OR: the value `decides` (false, true) ends a row.
Vector EvaluateLogic(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows,
                     uint8_t decides) {
  Vector out = evaluator.NewVector(node.type);
  auto* values = out.Mutable<uint8_t>();
  const auto undecided_value = static_cast<uint8_t>(1 - decides);
  rows.ForEach([&](uint32_t row) { values[row] = undecided_value; });
  std::vector<uint32_t> open, next;  // undecided rows
  Rows left = rows;
  for (const NodeRef& argument : node.arguments) {
    if (left.count == 0) break;
    const Vector part = evaluator.Evaluate(*argument, left);
    next.resize(left.count);
    uint32_t kept = 0;
    const bool last = argument == node.arguments.back();
    if (part.all_valid()) {
      const Reader<uint8_t> in(part);
      left.ForEach([&](uint32_t row) {
        const uint8_t value = in[row];
        const bool ends = value == decides;
        if (ends) values[row] = decides;
        next[kept] = row;
        kept += ends ? 0 : 1;
      });
      if (out.valid != nullptr) {
        // A decided row is not NULL, whatever came before.
        auto* valid = out.valid_owner->as<uint8_t>();
        left.ForEach([&](uint32_t row) {
          if (in[row] == decides) valid[row] = 1;
        });
      }
    } else {
      uint8_t* valid = evaluator.MakeValid(out);
      const Reader<uint8_t> in(part);
      left.ForEach([&](uint32_t row) {
        const bool known = part.IsValid(row);
        const bool ends = known && in[row] == decides;
        if (ends) {
          values[row] = decides;
          valid[row] = 1;
        } else {
          if (!known) valid[row] = 0;
          next[kept++] = row;
        }
      });
    }
    if (last) break;
    if (kept != left.count) {
      next.resize(kept);
      open.swap(next);
      left = Rows::Of(open);
    }
  }
  return out;
}

}  // namespace

Vector Evaluator::NewVector(const Type& type) const {
  Vector vector;
  vector.values_owner = std::make_shared<Buffer>(batch_rows_ * type.width());
  vector.values = vector.values_owner->data();
  return vector;
}

uint8_t* Evaluator::MakeValid(Vector& vector) const {
  if (vector.valid_owner == nullptr) {
    vector.valid_owner = std::make_shared<Buffer>(batch_rows_);
    std::memset(vector.valid_owner->data(), 1, batch_rows_);
    vector.valid = vector.valid_owner->as<uint8_t>();
  }
  return vector.valid_owner->as<uint8_t>();
}

void Evaluator::AddError(uint32_t row, RecordCode code, std::string_view message) {
  if (quiet_ != nullptr) {
    quiet_[row] = 1;
    return;
  }
  errors_.Add(row, code, message);
  failed_rows_.push_back(row);
}

void Evaluator::Select(const ExpressionNode& node, const Rows& rows, std::vector<uint32_t>& out) {
  if (rows.count == 0) return;
  if (node.kind != NodeKind::kAnd) {
    const Vector passed = Evaluate(node, rows);
    const size_t before = out.size();
    if (passed.constant) {
      if (!passed.constant_null && passed.Values<uint8_t>()[0] != 0)
        rows.ForEach([&](uint32_t row) { out.push_back(row); });
      return;
    }
    out.resize(before + rows.count);
    uint32_t* next = out.data() + before;
    const auto* values = passed.Values<uint8_t>();
    if (passed.all_valid()) {
      rows.ForEach([&](uint32_t row) {
        *next = row;
        next += values[row];
      });
    } else {
      rows.ForEach([&](uint32_t row) {
        *next = row;
        next += (passed.IsValid(row) && values[row] != 0) ? 1 : 0;
      });
    }
    out.resize(static_cast<size_t>(next - out.data()));
    return;
  }
  // Each conjunct sees the rows on which none before was false. NULL keeps a row open for errors,
  // but it will not pass.
  std::vector<uint32_t> open, kept, unknown;
  Rows left = rows;
  for (const NodeRef& conjunct : node.arguments) {
    const Vector part = Evaluate(*conjunct, left);
    kept.resize(left.count);
    uint32_t* next = kept.data();
    const Reader<uint8_t> values(part);
    if (part.all_valid()) {
      left.ForEach([&](uint32_t row) {
        *next = row;
        next += values[row];
      });
    } else {
      left.ForEach([&](uint32_t row) {
        const bool known = part.IsValid(row);
        *next = row;
        next += (!known || values[row] != 0) ? 1 : 0;
        if (!known) unknown.push_back(row);
      });
    }
    kept.resize(static_cast<size_t>(next - kept.data()));
    open.swap(kept);
    left = Rows::Of(open);
    if (left.count == 0) return;
  }
  if (unknown.empty()) {
    out.insert(out.end(), open.begin(), open.end());
    return;
  }
  std::sort(unknown.begin(), unknown.end());
  unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
  std::set_difference(open.begin(), open.end(), unknown.begin(), unknown.end(),
                      std::back_inserter(out));
}

Column Evaluator::Finish(const ExpressionNode& node, Vector vector) {
  const uint32_t rows = batch_rows_;
  if (node.kind == NodeKind::kColumn && failed_rows_.empty()) return batch_->column(node.column);
  return VisitKind(node.type.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    if (vector.constant || vector.values_owner == nullptr) {
      // Not this call's own memory, or one value for all rows.
      const Vector from = std::move(vector);
      vector = NewVector(node.type);
      if (from.constant && from.constant_null) {
        std::memset(vector.values_owner->data(), 0, rows * sizeof(T));
        std::memset(MakeValid(vector), 0, rows);
      } else {
        CopyRows(*this, node.type, from, Rows::All(rows), vector);
      }
    }
    if (!vector.all_valid() && vector.valid_owner == nullptr) {
      const Validity bits = vector.bits;
      ExpandBits(bits, rows, MakeValid(vector));
    }
    for (const uint32_t row : failed_rows_) MakeValid(vector)[row] = 0;
    BufferRef validity;
    if (vector.valid != nullptr && std::memchr(vector.valid, 0, rows) != nullptr) {
      // One more word of room than rows need, so that whole bytes can be packed.
      auto words = std::make_shared<Buffer>((size_t{rows} + 63) / 64 * 8);
      std::memset(words->data(), 0, words->size());
      auto* bytes = words->template as<uint8_t>();
      uint32_t row = 0;
      for (; row + 8 <= rows; row += 8)
        bytes[row >> 3] = static_cast<uint8_t>(PackBytes(vector.valid + row));
      for (; row < rows; ++row)
        bytes[row >> 3] = static_cast<uint8_t>(bytes[row >> 3] | vector.valid[row] << (row & 7));
      // What stands under a NULL is the same in every run.
      T* values = vector.Mutable<T>();
      for (row = 0; row < rows; ++row) {
        if (vector.valid[row] == 0) values[row] = T{};
      }
      validity = std::move(words);
    }
    std::shared_ptr<const Arenas> arenas;
    if (vector.arenas.size() == 1) {
      arenas = vector.arenas.front();
    } else if (!vector.arenas.empty()) {
      auto joined = std::make_shared<Arenas>();
      for (const auto& some : vector.arenas) {
        for (const BufferRef& arena : *some) {
          if (std::find(joined->begin(), joined->end(), arena) == joined->end())
            joined->push_back(arena);
        }
      }
      arenas = std::move(joined);
    }
    return Column(node.type, rows, vector.values_owner, std::move(validity), std::move(arenas));
  });
}

char* TextArena::Reserve(size_t bytes) {
  if (block_ == nullptr || block_->size() - used_ < bytes) {
    block_ = std::make_shared<Buffer>(std::max(bytes, next_block_bytes_));
    next_block_bytes_ = std::min(kArenaBlockBytes, next_block_bytes_ * 2);
    blocks_.push_back(block_);
    used_ = 0;
  }
  return block_->data() + used_;
}

Utf8View TextArena::Commit(size_t used) {
  const Utf8View view(std::string_view(block_->data() + used_, used));
  if (!view.is_inline()) {
    used_ += used;
    bytes_ += used;
  }
  return view;
}

Utf8View TextArena::Add(std::string_view text) {
  if (text.size() <= Utf8View::kInlineMax) return Utf8View(text);
  std::memcpy(Reserve(text.size()), text.data(), text.size());
  return Commit(text.size());
}

void TextArena::FinishInto(Vector& out) {
  if (!blocks_.empty()) out.arenas.push_back(std::make_shared<const Arenas>(std::move(blocks_)));
}

Vector EvaluateColumn(const ExpressionNode& node, Evaluator& evaluator, const Rows&) {
  const Column column = evaluator.batch().column(node.column);
  Vector vector;
  vector.values = column.values_buffer()->data() + size_t{column.offset()} * column.type().width();
  vector.bits = column.Valid();
  if (column.arenas() != nullptr) vector.arenas.push_back(column.arenas());
  return vector;
}

Vector EvaluateConstant(const ExpressionNode& node, Evaluator&, const Rows&) {
  Vector vector;
  vector.constant = true;
  vector.constant_null = !node.constant.Valid()[0];
  vector.values = node.constant.values_buffer()->data();
  if (node.constant.arenas() != nullptr) vector.arenas.push_back(node.constant.arenas());
  return vector;
}

Vector EvaluateSlot(const ExpressionNode& node, Evaluator& evaluator, const Rows&) {
  return evaluator.slots[node.slot];
}

Vector EvaluateLet(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  Vector operand = evaluator.Evaluate(*node.arguments[0], rows);
  if (evaluator.slots.size() <= node.slot) evaluator.slots.resize(node.slot + 1);
  // An inlined tree may use the number of one around it.
  std::swap(evaluator.slots[node.slot], operand);
  Vector result = evaluator.Evaluate(*node.arguments[1], rows);
  std::swap(evaluator.slots[node.slot], operand);
  return result;
}

Vector EvaluateStrict(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  std::vector<Vector> arguments;
  arguments.reserve(node.arguments.size());
  bool null = false;
  bool constant = true;
  for (const NodeRef& argument : node.arguments) {
    arguments.push_back(evaluator.Evaluate(*argument, rows));
    null |= arguments.back().constant && arguments.back().constant_null;
    constant &= arguments.back().constant;
  }
  if (null) return ConstantNull();
  Vector out = evaluator.NewVector(node.type);
  if (rows.count == 0) return out;
  if (constant && !arguments.empty()) {
    // The first argument as a column, so that kernels need not know the case.
    Vector wide = evaluator.NewVector(node.arguments[0]->type);
    CopyRows(evaluator, node.arguments[0]->type, arguments[0], rows, wide);
    arguments[0] = std::move(wide);
  }
  out.valid_owner = MergeValid(evaluator, arguments, rows);
  if (out.valid_owner != nullptr) out.valid = out.valid_owner->as<uint8_t>();
  uint8_t* valid = out.valid_owner == nullptr ? nullptr : out.valid_owner->as<uint8_t>();
  if (node.type.is_text()) {
    for (const Vector& argument : arguments) KeepArenas(argument, out);
  }
  node.kernel({node, evaluator, rows, arguments, out, valid});
  return out;
}

Vector EvaluateLenient(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  std::vector<Vector> arguments;
  arguments.reserve(node.arguments.size());
  for (const NodeRef& argument : node.arguments) {
    arguments.push_back(evaluator.Evaluate(*argument, rows));
    Vector& vector = arguments.back();
    if (vector.constant && vector.constant_null) {
      // Readable zeros under the NULL.
      vector.values_owner = std::make_shared<Buffer>(sizeof(Utf8View));
      std::memset(vector.values_owner->data(), 0, sizeof(Utf8View));
      vector.values = vector.values_owner->data();
    }
  }
  Vector out = evaluator.NewVector(node.type);
  if (node.type.is_text()) {
    for (const Vector& argument : arguments) KeepArenas(argument, out);
  }
  node.kernel({node, evaluator, rows, arguments, out, nullptr});
  return out;
}

Vector EvaluateAnd(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  return EvaluateLogic(node, evaluator, rows, 0);
}
Vector EvaluateOr(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  return EvaluateLogic(node, evaluator, rows, 1);
}

Vector EvaluateIsNull(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  const Vector operand = evaluator.Evaluate(*node.arguments[0], rows);
  Vector out = evaluator.NewVector(node.type);
  auto* values = out.Mutable<uint8_t>();
  const auto if_null = static_cast<uint8_t>(node.negated ? 0 : 1);
  const auto if_value = static_cast<uint8_t>(1 - if_null);
  if (operand.all_valid()) {
    rows.ForEach([&](uint32_t row) { values[row] = if_value; });
  } else {
    rows.ForEach([&](uint32_t row) { values[row] = operand.IsValid(row) ? if_value : if_null; });
  }
  return out;
}

Vector EvaluateCase(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  Vector out = evaluator.NewVector(node.type);
  std::vector<uint32_t> taken, open, next;
  Rows left = rows;
  for (size_t i = 0; i + 1 < node.arguments.size() && left.count != 0; i += 2) {
    const Vector condition = evaluator.Evaluate(*node.arguments[i], left);
    taken.clear();
    next.clear();
    if (condition.constant) {
      const bool holds = !condition.constant_null && condition.Values<uint8_t>()[0] != 0;
      if (!holds) continue;
      CopyRows(evaluator, node.type, evaluator.Evaluate(*node.arguments[i + 1], left), left, out);
      return out;
    }
    const auto* values = condition.Values<uint8_t>();
    const bool all_valid = condition.all_valid();
    taken.resize(left.count);
    next.resize(left.count);
    uint32_t* taken_next = taken.data();
    uint32_t* next_next = next.data();
    left.ForEach([&](uint32_t row) {
      const bool holds = values[row] != 0 && (all_valid || condition.IsValid(row));
      *taken_next = row;
      *next_next = row;
      taken_next += holds ? 1 : 0;
      next_next += holds ? 0 : 1;
    });
    taken.resize(static_cast<size_t>(taken_next - taken.data()));
    next.resize(static_cast<size_t>(next_next - next.data()));
    if (taken.empty()) continue;
    const Rows some = Rows::Of(taken);
    CopyRows(evaluator, node.type, evaluator.Evaluate(*node.arguments[i + 1], some), some, out);
    open.swap(next);
    left = Rows::Of(open);
  }
  if (left.count != 0)
    CopyRows(evaluator, node.type, evaluator.Evaluate(*node.arguments.back(), left), left, out);
  return out;
}

Vector EvaluateCoalesce(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  Vector out = evaluator.NewVector(node.type);
  std::vector<uint32_t> open, next;
  Rows left = rows;
  for (const NodeRef& argument : node.arguments) {
    const Vector part = evaluator.Evaluate(*argument, left);
    if (!(part.constant && part.constant_null)) CopyRows(evaluator, node.type, part, left, out);
    if (part.all_valid()) return out;
    next.clear();
    left.ForEach([&](uint32_t row) {
      if (!part.IsValid(row)) next.push_back(row);
    });
    open.swap(next);
    left = Rows::Of(open);
    if (left.count == 0) return out;
  }
  uint8_t* valid = evaluator.MakeValid(out);
  left.ForEach([&](uint32_t row) { valid[row] = 0; });
  return out;
}

Vector EvaluateTry(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows) {
  std::vector<uint8_t> marks(evaluator.batch_rows(), 0);
  uint8_t* before = evaluator.SetQuiet(marks.data());
  Vector value = evaluator.Evaluate(*node.arguments[0], rows);
  evaluator.SetQuiet(before);
  if (marks.empty() || std::memchr(marks.data(), 1, marks.size()) == nullptr) return value;
  Vector out = evaluator.NewVector(node.type);
  CopyRows(evaluator, node.type, value, rows, out);
  uint8_t* valid = evaluator.MakeValid(out);
  rows.ForEach([&](uint32_t row) {
    if (marks[row] != 0) valid[row] = 0;
  });
  return out;
}

}  // namespace weir
