#include "engine/runtime/keyed_batch.h"

#include <cstring>
#include <string>
#include <utility>

#include "engine/data/key_encoding.h"

namespace weir::runtime {
namespace {

Batch WithColumnsAsKeys(const Batch& batch, std::span<const Column> columns) {
  const std::optional<ColumnIndex> time = batch.schema().Find(kEventTimeColumn);
  if (!time) return batch.WithKeys(EncodeKeys(columns, batch.rows(), nullptr));
  const Column times = batch.column(*time);
  return batch.WithKeys(EncodeKeys(columns, batch.rows(), &times));
}

void AppendValid(const KeyBatch& keys, uint32_t row, uint32_t at, std::vector<uint64_t>& words) {
  if (at / 64 >= words.size()) words.resize(at / 64 + 1, 0);
  if (keys.valid[row]) words[at >> 6] |= uint64_t{1} << (at & 63);
}

/// Longer keys lie in arenas that only the batch's own storage names: they are copied.
void AppendKey(const Utf8View& key, KeyStorage& into, std::string& arena,
               std::vector<std::pair<uint32_t, size_t>>& moved) {
  if (!key.is_inline()) {
    moved.emplace_back(static_cast<uint32_t>(into.bytes.size()), arena.size());
    arena.append(key.view());
  }
  into.bytes.push_back(key);
}

void PlaceMoved(KeyStorage& into, const std::string& arena,
                const std::vector<std::pair<uint32_t, size_t>>& moved) {
  if (moved.empty()) return;
  auto buffer = std::make_shared<Buffer>(arena.size());
  std::memcpy(buffer->data(), arena.data(), arena.size());
  for (const auto& [row, offset] : moved)
    into.bytes[row] = Utf8View(std::string_view(buffer->data() + offset, into.bytes[row].size()));
  into.arenas.push_back(std::move(buffer));
}

}  // namespace

Batch WithEvaluatedKeys(const Batch& batch, std::span<const Expression> keys, RowErrors& errors) {
  const size_t mark = errors.Mark();
  std::vector<Column> columns;
  columns.reserve(keys.size());
  for (const Expression& key : keys) {
    if (const std::optional<ColumnIndex> column = key.as_column()) {
      columns.push_back(batch.column(*column));
    } else {
      columns.push_back(key.Evaluate(batch, errors));
    }
  }
  if (errors.Mark() == mark) return WithColumnsAsKeys(batch, columns);
  auto storage = std::make_shared<KeyStorage>(*EncodeKeys(columns, batch.rows(), nullptr));
  for (const RowError& error : errors.errors().subspan(mark))
    storage->hash[error.row] = 0;  // key group 0
  return batch.WithKeys(std::move(storage));
}

Batch WithLeadingKeys(const Batch& batch, size_t columns) {
  std::vector<Column> keys;
  keys.reserve(columns);
  for (size_t i = 0; i < columns; ++i)
    keys.push_back(batch.column(ColumnIndex{static_cast<uint16_t>(i)}));
  return WithColumnsAsKeys(batch, keys);
}

Batch TakeWithKeys(const Batch& batch, const Selection& rows) {
  if (rows.size() == batch.rows()) return batch;
  Batch taken = batch.Take(rows);
  if (!batch.has_keys()) return taken;
  const KeyBatch& keys = batch.keys();
  auto storage = std::make_shared<KeyStorage>();
  storage->hash.reserve(rows.size());
  storage->bytes.reserve(rows.size());
  for (const uint32_t row : rows) storage->hash.push_back(keys.hash[row]);
  std::string arena;
  std::vector<std::pair<uint32_t, size_t>> moved;
  for (const uint32_t row : rows) AppendKey(keys.bytes[row], *storage, arena, moved);
  PlaceMoved(*storage, arena, moved);
  if (!keys.time.empty()) {
    storage->time.reserve(rows.size());
    for (const uint32_t row : rows) storage->time.push_back(keys.time[row]);
  }
  if (!keys.valid.all()) {
    uint32_t at = 0;
    for (const uint32_t row : rows) AppendValid(keys, row, at++, storage->valid_words);
  }
  return taken.WithKeys(std::move(storage));
}

Batch ConcatWithKeys(std::span<const Batch> batches) {
  if (batches.size() == 1) return batches.front();
  Batch whole = Concat(batches);
  auto storage = std::make_shared<KeyStorage>();
  bool any_null = false;
  bool all_time = true;
  for (const Batch& batch : batches) {
    if (!batch.has_keys()) return whole;
    any_null |= !batch.keys().valid.all();
    all_time &= !batch.keys().time.empty();
  }
  storage->hash.reserve(whole.rows());
  storage->bytes.reserve(whole.rows());
  std::string arena;
  std::vector<std::pair<uint32_t, size_t>> moved;
  uint32_t at = 0;
  for (const Batch& batch : batches) {
    const KeyBatch& keys = batch.keys();
    storage->hash.insert(storage->hash.end(), keys.hash.begin(), keys.hash.end());
    for (const Utf8View& key : keys.bytes) AppendKey(key, *storage, arena, moved);
    if (all_time) storage->time.insert(storage->time.end(), keys.time.begin(), keys.time.end());
    if (!any_null) continue;
    for (uint32_t row = 0; row < keys.rows(); ++row)
      AppendValid(keys, row, at++, storage->valid_words);
  }
  PlaceMoved(*storage, arena, moved);
  return whole.WithKeys(std::move(storage));
}

}  // namespace weir::runtime
