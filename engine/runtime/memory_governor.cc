#include "engine/runtime/memory_governor.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "engine/base/cgroup.h"
#include "engine/plan/memory_split.h"

namespace weir {
namespace {

constexpr size_t kSmallFileBytesMax = 4096;
constexpr uint64_t kNoLimitFrom = uint64_t{1} << 60;  // cgroup v1 says "none" by a huge number
constexpr size_t kFallbackBytes = size_t{2} << 30;    // no limit and no /proc/meminfo

std::optional<std::string> ReadSmall(Env& env, const Path& path) {
  Result<std::unique_ptr<ReadableFile>> file = env.Open(path);
  if (!file.ok()) return std::nullopt;
  std::string text(kSmallFileBytesMax, '\0');
  const Result<size_t> read = (*file)->Read(0, text);
  if (!read.ok()) return std::nullopt;
  text.resize(*read);
  return text;
}

std::optional<uint64_t> Number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<uint64_t> LimitIn(Env& env, const Path& file) {
  const std::optional<std::string> text = ReadSmall(env, file);
  if (!text) return std::nullopt;
  const std::optional<uint64_t> limit = Number(*text);  // "max" is none
  return limit && *limit < kNoLimitFrom ? limit : std::nullopt;
}

/// The least limit of the process's cgroup and of all above it.
std::optional<uint64_t> CgroupLimit(Env& env) {
  std::optional<uint64_t> least;
  const std::string groups = ReadSmall(env, "/proc/self/cgroup").value_or("");
  for (const CgroupFolder& folder : CgroupFolders(groups, "memory")) {
    const std::optional<uint64_t> limit =
        LimitIn(env, folder.path + (folder.v1 ? "/memory.limit_in_bytes" : "/memory.max"));
    if (limit && (!least || *limit < *least)) least = limit;
  }
  return least;
}

}  // namespace

size_t DetectMemoryLimit(Env& env) {
  std::optional<uint64_t> machine;
  const std::string meminfo = ReadSmall(env, "/proc/meminfo").value_or("");
  constexpr std::string_view kTotal = "MemTotal:";
  if (const size_t at = meminfo.find(kTotal); at != std::string::npos) {
    if (const std::optional<uint64_t> kib =
            Number(std::string_view(meminfo).substr(at + kTotal.size())))
      machine = *kib * 1024 / 4 * 3;
  }
  const std::optional<uint64_t> cgroup = CgroupLimit(env);
  if (cgroup && (!machine || *cgroup < *machine)) return static_cast<size_t>(*cgroup);
  return static_cast<size_t>(machine.value_or(kFallbackBytes));
}

}  // namespace weir

namespace weir::runtime {

class GovernedAccount final : public MemoryAccount {
 public:
  GovernedAccount(ProcessMemoryGovernor& governor, MemoryKind kind, size_t reservation)
      : governor_(governor), kind_(kind), reservation_(reservation) {
    if (grows()) governor_.growing_.fetch_add(1, std::memory_order_relaxed);
  }
  ~GovernedAccount() override {
    Use(-static_cast<int64_t>(used()));
    governor_.reserved_.fetch_sub(reservation_, std::memory_order_relaxed);
    if (grows()) governor_.growing_.fetch_sub(1, std::memory_order_relaxed);
  }
  void Use(int64_t delta) override {
    const int64_t before = used_.load(std::memory_order_relaxed), now = before + delta;
    used_.store(now, std::memory_order_relaxed);
    if (!grows())
      governor_.unreserved_.fetch_add(Beyond(now) - Beyond(before), std::memory_order_relaxed);
    governor_.used_[static_cast<size_t>(kind_)].fetch_add(delta, std::memory_order_relaxed);
  }
  size_t used() const override {
    return static_cast<size_t>(std::max<int64_t>(0, used_.load(std::memory_order_relaxed)));
  }
  size_t target() const override {
    if (!grows()) return reservation_;
    const int64_t free = static_cast<int64_t>(governor_.handed_out()) -
                         static_cast<int64_t>(governor_.reserved()) -
                         governor_.unreserved_.load(std::memory_order_relaxed);
    return reservation_ + static_cast<size_t>(std::max<int64_t>(free, 0) /
                                              std::max<int64_t>(1, governor_.growing_.load(
                                                                       std::memory_order_relaxed)));
  }

 private:
  bool grows() const { return kind_ == MemoryKind::kHotState; }
  int64_t Beyond(int64_t used) const {
    return std::max<int64_t>(used - static_cast<int64_t>(reservation_), 0);
  }
  ProcessMemoryGovernor& governor_;
  const MemoryKind kind_;
  const size_t reservation_;
  std::atomic<int64_t> used_{0};
};

ProcessMemoryGovernor::ProcessMemoryGovernor(size_t limit)
    : limit_(limit), handed_out_(HandedOut(limit)) {}

Result<std::unique_ptr<MemoryAccount>> ProcessMemoryGovernor::Open(std::string purpose,
                                                                   MemoryKind kind,
                                                                   size_t reservation) {
  size_t reserved = reserved_.load(std::memory_order_relaxed);
  do {
    if (reservation > handed_out_ || reserved > handed_out_ - reservation) {
      return Status(Code::kLimit,
                    "memory for '" + purpose + "' does not fit: it needs " +
                        std::to_string(reservation) + " bytes, " +
                        std::to_string(handed_out_ - std::min(reserved, handed_out_)) + " of the " +
                        std::to_string(handed_out_) + " that memory_limit (" +
                        std::to_string(limit_) +
                        ") leaves for use are free; raise memory_limit, or lower the parallelism");
    }
  } while (!reserved_.compare_exchange_weak(reserved, reserved + reservation,
                                            std::memory_order_relaxed));
  return std::unique_ptr<MemoryAccount>(
      std::make_unique<GovernedAccount>(*this, kind, reservation));
}

size_t ProcessMemoryGovernor::used(MemoryKind kind) const {
  return static_cast<size_t>(
      std::max<int64_t>(0, used_[static_cast<size_t>(kind)].load(std::memory_order_relaxed)));
}

}  // namespace weir::runtime
