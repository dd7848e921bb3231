#pragma once
// ExpressionNode: one node of a bound, typed tree; made by the binder, immutable afterwards and
// shared by all tasks. A node knows how to evaluate itself for a set of rows: most are strict
// functions (EvaluateStrict plus a kernel, a loop over rows chosen by operation and types when the
// node was bound); AND, OR, CASE and the like have their own function, because they touch a row
// only while it is undecided. Evaluator: the state of one Evaluate call: batch, errors, slots.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/row_errors.h"
#include "engine/expr/expression.h"
#include "engine/expr/vector.h"

namespace weir {

struct ExpressionNode;
using NodeRef = std::shared_ptr<const ExpressionNode>;

class Evaluator;
struct KernelCall;

enum class NodeKind : uint8_t {
  kColumn,
  kConstant,
  kSlot,  // the operand that the enclosing kLet computed
  kLet,   // argument 0 into `slot`, then argument 1
  kAnd,
  kOr,
  kNot,
  kIsNull,  // IS NULL; `negated`: IS NOT NULL
  kCase,    // condition, result, condition, result, ..., else
  kCoalesce,
  kRandom,
  kCall,  // everything else
};

struct ExpressionNode {
  using EvaluateFunction = Vector (*)(const ExpressionNode& node, Evaluator& evaluator,
                                      const Rows& rows);
  using KernelFunction = void (*)(const KernelCall& call);

  NodeKind kind = NodeKind::kCall;
  Type type;
  bool nullable = false;
  EvaluateFunction evaluate = nullptr;
  KernelFunction kernel = nullptr;
  std::vector<NodeRef> arguments;
  std::string
      text;  // column: its name; call: function, or operator between or before the arguments
  ColumnIndex column{0};
  Column constant;    // one row
  uint32_t slot = 0;  // kSlot, kLet: number; kRandom: which of the tree's draws
  std::shared_ptr<const void>
      data;              // what the kernel needs ready-made: pattern, zone, list, numbers
  bool foldable = true;  // without columns, slots, random draws
  bool random = false;
  bool negated = false;
};

/// The row-by-row part of a strict node. `out` has room for every row; `valid` is null if no
/// argument is NULL on any row, and marks the others.
struct KernelCall {
  const ExpressionNode& node;
  Evaluator& evaluator;
  const Rows& rows;
  const std::vector<Vector>& arguments;
  Vector& out;
  uint8_t* valid;

  template <class T>
  T* Out() const {
    return out.Mutable<T>();
  }
  template <class T>
  const T& Data() const {
    return *static_cast<const T*>(node.data.get());
  }
  /// The rows on which no argument is NULL.
  template <class F>
  void ForEachValid(F&& body) const {
    if (valid == nullptr) {
      rows.ForEach(body);
    } else {
      const uint8_t* bytes = valid;
      rows.ForEach([&](uint32_t row) {
        if (bytes[row] != 0) body(row);
      });
    }
  }
  void SetNull(uint32_t row) const;
  void Fail(uint32_t row, RecordCode code, std::string_view message) const;
};

class Evaluator {
 public:
  /// `batch` may be null if the tree reads no column.
  Evaluator(uint32_t batch_rows, const Batch* batch, RowErrors& errors, const uint64_t* random)
      : batch_rows_(batch_rows), batch_(batch), errors_(errors), random_(random) {}

  Vector Evaluate(const ExpressionNode& node, const Rows& rows) {
    return node.evaluate(node, *this, rows);
  }
  /// Appends the rows on which a bool node is true.
  void Select(const ExpressionNode& node, const Rows& rows, std::vector<uint32_t>& out);
  /// A finished column of all rows: errors and NULL as validity.
  Column Finish(const ExpressionNode& node, Vector vector);

  uint32_t batch_rows() const { return batch_rows_; }
  const Batch& batch() const { return *batch_; }
  uint64_t random(uint32_t row) const { return random_[row]; }
  Vector NewVector(const Type& type) const;
  /// Makes `vector` have a validity byte per row, all 1 if it had none. REQUIRES: not constant.
  uint8_t* MakeValid(Vector& vector) const;

  void AddError(uint32_t row, RecordCode code, std::string_view message);
  /// From here on failing rows are only marked in the bytes given (try); null: errors again.
  uint8_t* SetQuiet(uint8_t* marks) {
    uint8_t* before = quiet_;
    quiet_ = marks;
    return before;
  }
  bool failed() const { return !failed_rows_.empty(); }

  std::vector<Vector> slots;

 private:
  uint32_t batch_rows_;
  const Batch* batch_;
  RowErrors& errors_;
  const uint64_t* random_;
  uint8_t* quiet_ = nullptr;
  std::vector<uint32_t> failed_rows_;
};

inline void KernelCall::SetNull(uint32_t row) const { evaluator.MakeValid(out)[row] = 0; }
inline void KernelCall::Fail(uint32_t row, RecordCode code, std::string_view message) const {
  evaluator.AddError(row, code, message);
  SetNull(row);
}

/// What one operation may write for one batch: far above what batches hold, far below what would
/// end the process.
inline constexpr size_t kTextArenaBytesMax = size_t{256} << 20;

/// Long strings that a kernel makes: blocks that grow from what is asked first to kArenaBlockBytes.
class TextArena {
 public:
  /// Whether a text of so many bytes may be made: its own bound, and that of the batch.
  bool Fits(size_t bytes) const {
    return bytes <= kExpressionStringBytesMax && bytes_ + bytes <= kTextArenaBytesMax;
  }
  /// Room for `bytes` in one piece.
  char* Reserve(size_t bytes);
  /// The first `used` bytes of the last Reserve as a value.
  Utf8View Commit(size_t used);
  Utf8View Add(std::string_view text);
  /// Hands the blocks to the vector that holds the values.
  void FinishInto(Vector& out);

 private:
  Arenas blocks_;
  std::shared_ptr<Buffer> block_;
  size_t bytes_ = 0, used_ = 0, next_block_bytes_ = size_t{4} << 10;
};

// Evaluation functions of the kinds (evaluate.cc).
Vector EvaluateColumn(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateConstant(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateSlot(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateLet(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateStrict(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
/// As EvaluateStrict, but the kernel is called also for rows with NULL arguments and sets `valid`
/// itself (IS DISTINCT FROM, greatest, concat).
Vector EvaluateLenient(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateAnd(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateOr(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateIsNull(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateCase(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateCoalesce(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);
Vector EvaluateTry(const ExpressionNode& node, Evaluator& evaluator, const Rows& rows);

/// A one-row column as a node; `type` may be kNull.
NodeRef MakeConstant(Column column);
NodeRef MakeNull(const Type& type);

}  // namespace weir
