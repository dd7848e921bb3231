// Format table: rows as aligned text for people, on the terminal only. Widths grow with what has
// been shown and stay; a long value is cut.

#include <algorithm>

#include "connectors/formats/json_writer.h"
#include "connectors/formats/options.h"
#include "engine/api/registry.h"
#include "engine/base/escape.h"

namespace weir {
namespace {

constexpr size_t kCellBytesMax = 40;
constexpr std::string_view kGap = "  ";

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

class TableEncoder final : public Encoder {
 public:
  TableEncoder(const Schema& schema, std::vector<ColumnIndex> columns)
      : columns_(std::move(columns)) {
    for (const ColumnIndex column : columns_) {
      names_.push_back(OneLine(schema.field(column).name, kCellBytesMax));
      widths_.push_back(Characters(names_.back()));
      right_.push_back(schema.field(column).type.is_numeric() &&
                       schema.field(column).name != kOpColumn);
    }
  }

  void Encode(const Batch& batch, EncodedRows& out, RowErrors&) override {
    std::vector<std::string> cells;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      for (const ColumnIndex column : columns_) {
        const BoundColumn bound(batch, column);
        std::string text;
        if (bound.valid[row]) {
          AppendValueText(bound, row, text);
        } else {
          text = "NULL";
        }
        cells.push_back(OneLine(text, kCellBytesMax));
        size_t& width = widths_[(cells.size() - 1) % columns_.size()];
        width = std::max(width, Characters(cells.back()));
      }
    }
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (!titled_) {
        AppendLine(names_, out.bytes);
        out.bytes.push_back('\n');
        titled_ = true;
      }
      AppendLine(std::span(cells).subspan(row * columns_.size(), columns_.size()), out.bytes);
      out.ends.push_back(static_cast<uint32_t>(out.bytes.size()));
    }
  }

 private:
  void AppendLine(std::span<const std::string> cells, std::string& out) const {
    const size_t begin = out.size();
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i != 0) out.append(kGap);
      const size_t blanks = widths_[i] - std::min(widths_[i], Characters(cells[i]));
      if (right_[i]) out.append(blanks, ' ');
      out.append(cells[i]);
      if (!right_[i]) out.append(blanks, ' ');
    }
    while (out.size() > begin && out.back() == ' ') out.pop_back();
  }

  const std::vector<ColumnIndex> columns_;
  std::vector<std::string> names_;
  std::vector<size_t> widths_;  // in characters
  std::vector<bool> right_;
  bool titled_ = false;
};

}  // namespace

void RegisterTable(Registry& registry) {
  registry.AddFormat(
      {.name = "table",
       .doc = "Aligned columns for people; print_sink only.",
       .encoder = [](const NodeConfig& node,
                     const SchemaRef& schema) -> Result<std::unique_ptr<Encoder>> {
         return std::make_unique<TableEncoder>(*schema, WrittenColumns(*schema, WritesOp(node)));
       },
       .check =
           [](NodeConfig& node, const Schema&, bool) {
             if (node.type().name != "print_sink")
               node.Error("format/type", "W0205", "the format 'table' is for print_sink only",
                          "use json or csv");
           }});
}

}  // namespace weir
