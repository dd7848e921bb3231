#include "connectors/decompressor.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>

namespace weir {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // gzip headers only

class Plain final : public Decompressor {
 public:
  Result<size_t> Next(std::string_view in, size_t room, std::string& out) override {
    const size_t used = std::min(in.size(), room);
    out.append(in.substr(0, used));
    return used;
  }
  bool at_boundary() const override { return true; }
};

class Gzip final : public Decompressor {
 public:
  ~Gzip() override {
    if (open_) inflateEnd(&stream_);
  }
  Result<size_t> Next(std::string_view in, size_t room, std::string& out) override {
    if (in.empty()) return size_t{0};
    if (!open_) {
      stream_ = {};
      if (inflateInit2(&stream_, kGzipWindowBits) != Z_OK)
        return Status(Code::kLimit, "no memory to decompress");
      open_ = true;
    }
    const size_t before = out.size();
    out.resize(before + room);
    stream_.next_in = reinterpret_cast<Bytef*>(
        const_cast<char*>(in.data()));  // NOLINT: zlib does not write to it
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    out.resize(out.size() - stream_.avail_out);
    const size_t used = in.size() - stream_.avail_in;
    if (result == Z_STREAM_END) {
      // Another member may follow.
      inflateEnd(&stream_);
      open_ = false;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return Status(Code::kCorruption,
                    std::string("not gzip: ") + (stream_.msg == nullptr ? "damaged" : stream_.msg),
                    Fault::kExternal, Retry::kNever);
    }
    return used;
  }
  bool at_boundary() const override { return !open_; }

 private:
  z_stream stream_ = {};
  bool open_ = false;
};

class Zstd final : public Decompressor {
 public:
  Zstd() : stream_(ZSTD_createDStream()) {}
  ~Zstd() override { ZSTD_freeDStream(stream_); }
  Result<size_t> Next(std::string_view in, size_t room, std::string& out) override {
    const size_t before = out.size();
    out.resize(before + room);
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data() + before, room, 0};
    const size_t result = ZSTD_decompressStream(stream_, &output, &input);
    out.resize(before + output.pos);
    if (ZSTD_isError(result) != 0)
      return Status(Code::kCorruption, std::string("not zstd: ") + ZSTD_getErrorName(result),
                    Fault::kExternal, Retry::kNever);
    boundary_ = result == 0;
    return input.pos;
  }
  bool at_boundary() const override { return boundary_; }

 private:
  ZSTD_DStream* stream_;
  bool boundary_ = true;
};

}  // namespace

std::unique_ptr<Decompressor> MakeDecompressor(std::string_view file_name) {
  if (file_name.ends_with(".gz")) return std::make_unique<Gzip>();
  if (file_name.ends_with(".zst")) return std::make_unique<Zstd>();
  return std::make_unique<Plain>();
}

bool IsCompressed(std::string_view file_name) {
  return file_name.ends_with(".gz") || file_name.ends_with(".zst");
}

}  // namespace weir
