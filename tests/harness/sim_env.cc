#include "tests/harness/sim_env.h"

#include <algorithm>

#include "engine/base/bytes.h"
#include "engine/base/check.h"
#include "tests/harness/memory_files.h"

namespace weir {
namespace {

constexpr int64_t kCallUsMax = 20;        // virtual time that one call takes
constexpr int64_t kJobDelayUsMax = 1000;  // from Post to start
constexpr int64_t kWakeDelayUsMax = 50;
constexpr Duration kLoopSleepMax = Seconds(3600);  // as the real Env
constexpr std::string_view kUndoDirectory = "/.undo";

}  // namespace

/// Whether a process lives, and what the kernel frees when it dies.
struct SimWorld::Life {
  std::string name;
  bool alive = true;
  std::map<uint64_t, std::unique_ptr<FileLock>> locks;
};

/// A loop, a posted job or an event: something that runs when its time has come.
struct SimWorld::Item {
  uint64_t id = 0;
  std::shared_ptr<Life> life;  // null: of the world itself
  Duration ready_at;
  std::function<Duration()> turn;
  bool once = false;
  bool ended = false;
  bool running = false;
  bool woken = false;  // while running
};

class SimWorld::SimLoop final : public Loop {
 public:
  SimLoop(SimWorld& world, std::shared_ptr<Item> item) : world_(world), item_(std::move(item)) {}
  ~SimLoop() override {
    WEIR_CHECK(!item_->running);
    item_->ended = true;
  }
  void Wake() override {
    item_->woken = item_->running;
    const Duration soon =
        world_.Steady() + Microseconds(static_cast<int64_t>(
                              world_.Random() % static_cast<uint64_t>(kWakeDelayUsMax)));
    item_->ready_at = std::min(item_->ready_at, soon);
  }

 private:
  SimWorld& world_;
  const std::shared_ptr<Item> item_;
};

/// The one disk. Only its files are used.
class SimWorld::Disk final : public MemoryFiles {
 public:
  explicit Disk(SimWorld& world) : world_(world) {}
  EventTime Now() override { return world_.Now(); }
  Duration Steady() override { return world_.Steady(); }
  uint64_t Random() override { return world_.Random(); }
  void Post(std::function<void()>) override { WEIR_CHECK(false); }
  std::unique_ptr<Loop> Start(std::string_view, std::function<Duration()>) override {
    WEIR_CHECK(false);
  }

 private:
  SimWorld& world_;
};

class SimWorld::Process final : public Env {
 public:
  Process(SimWorld& world, std::shared_ptr<Life> life) : world_(world), life_(std::move(life)) {}
  ~Process() override {
    world_.Kill(*this);
    world_.lives_.erase(this);
  }

  EventTime Now() override { return world_.Now(); }
  Duration Steady() override { return world_.Steady(); }
  uint64_t Random() override { return world_.Random(); }
  void Post(std::function<void()> job) override {
    if (!life_->alive) return;
    const Duration delay =
        Microseconds(static_cast<int64_t>(world_.Random() % static_cast<uint64_t>(kJobDelayUsMax)));
    world_.Add(
        life_, world_.Steady() + delay,
        [job = std::move(job)] {
          job();
          return Duration();
        },
        /*once=*/true);
  }
  std::unique_ptr<Loop> Start(std::string_view, std::function<Duration()> turn) override {
    return std::make_unique<SimLoop>(
        world_, world_.Add(life_, world_.Steady(), std::move(turn), /*once=*/false));
  }

  Result<std::unique_ptr<WritableFile>> Create(const Path& path, CreateMode mode) override {
    WEIR_TRY(Alive(*life_));
    WEIR_ASSIGN(auto file, files().Create(path, mode));
    return std::make_unique<ProcessWritableFile>(life_, std::move(file));
  }
  Result<std::unique_ptr<ReadableFile>> Open(const Path& path) override {
    WEIR_TRY(Alive(*life_));
    WEIR_ASSIGN(auto file, files().Open(path));
    return std::make_unique<ProcessReadableFile>(life_, std::move(file));
  }
  Status Rename(const Path& from, const Path& to) override {
    return IfAlive([&] { return files().Rename(from, to); });
  }
  Status Link(const Path& from, const Path& to) override {
    return IfAlive([&] { return files().Link(from, to); });
  }
  Status Remove(const Path& path) override {
    return IfAlive([&] { return files().Remove(path); });
  }
  Status RemoveTree(const Path& path) override {
    return IfAlive([&] { return files().RemoveTree(path); });
  }
  Status Truncate(const Path& path, uint64_t bytes) override {
    return IfAlive([&] { return files().Truncate(path, bytes); });
  }
  Status MakeDirectory(const Path& path) override {
    return IfAlive([&] { return files().MakeDirectory(path); });
  }
  Result<std::vector<DirectoryEntry>> List(const Path& path) override {
    WEIR_TRY(Alive(*life_));
    return files().List(path);
  }
  Result<DirectoryEntry> Stat(const Path& path) override {
    WEIR_TRY(Alive(*life_));
    return files().Stat(path);
  }
  Result<std::unique_ptr<FileLock>> Lock(const Path& path) override {
    WEIR_TRY(Alive(*life_));
    WEIR_ASSIGN(auto lock, files().Lock(path));
    const uint64_t number = world_.next_file_++;
    life_->locks.emplace(number, std::move(lock));
    return std::make_unique<ProcessLock>(life_, number);
  }
  Result<uint64_t> FreeBytes(const Path& path) override {
    WEIR_TRY(Alive(*life_));
    return files().FreeBytes(path);
  }
  Status SyncDirectory(const Path& path) override {
    return IfAlive([&] { return files().SyncDirectory(path); });
  }

 private:
  static Status Alive(const Life& life) {
    if (life.alive) return Status::Ok();
    return Status(Code::kIo, "process '" + life.name + "' was killed");
  }
  template <class Call>
  Status IfAlive(Call call) {
    WEIR_TRY(Alive(*life_));
    return call();
  }
  FaultEnv& files() { return world_.faults(); }

  class ProcessWritableFile final : public WritableFile {
   public:
    ProcessWritableFile(std::shared_ptr<Life> life, std::unique_ptr<WritableFile> file)
        : life_(std::move(life)), file_(std::move(file)) {}
    Status Append(std::string_view bytes) override {
      WEIR_TRY(Alive(*life_));
      return file_->Append(bytes);
    }
    Status Sync() override {
      WEIR_TRY(Alive(*life_));
      return file_->Sync();
    }
    Status Close() override {
      WEIR_TRY(Alive(*life_));
      return file_->Close();
    }
    uint64_t size() const override { return file_->size(); }

   private:
    const std::shared_ptr<Life> life_;
    const std::unique_ptr<WritableFile> file_;
  };

  class ProcessReadableFile final : public ReadableFile {
   public:
    ProcessReadableFile(std::shared_ptr<Life> life, std::unique_ptr<ReadableFile> file)
        : life_(std::move(life)), file_(std::move(file)) {}
    Result<size_t> Read(uint64_t offset, std::span<char> into) const override {
      WEIR_TRY(Alive(*life_));
      return file_->Read(offset, into);
    }
    Result<uint64_t> Size() const override {
      WEIR_TRY(Alive(*life_));
      return file_->Size();
    }

   private:
    const std::shared_ptr<Life> life_;
    const std::unique_ptr<ReadableFile> file_;
  };

  class ProcessLock final : public FileLock {
   public:
    ProcessLock(std::shared_ptr<Life> life, uint64_t number)
        : life_(std::move(life)), number_(number) {}
    ~ProcessLock() override { life_->locks.erase(number_); }

   private:
    const std::shared_ptr<Life> life_;
    const uint64_t number_;
  };

  SimWorld& world_;
  const std::shared_ptr<Life> life_;
};

SimWorld::SimWorld(uint64_t seed) : random_(seed), disk_(std::make_unique<Disk>(*this)) {
  faults_ = std::make_unique<FaultEnv>(*disk_, Path(kUndoDirectory), random_());
}
SimWorld::~SimWorld() { WEIR_CHECK(lives_.empty()); }

std::unique_ptr<Env> SimWorld::StartProcess(std::string name) {
  auto life = std::make_shared<Life>();
  life->name = std::move(name);
  auto process = std::make_unique<Process>(*this, life);
  lives_.emplace(process.get(), std::move(life));
  return process;
}

void SimWorld::Kill(Env& process) {
  const auto found = lives_.find(&process);
  WEIR_CHECK(found != lives_.end());
  found->second->alive = false;
  found->second->locks.clear();
  DropDead();  // now, while what its jobs captured still exists
}

void SimWorld::DropDead() {
  std::erase_if(items_, [](const std::shared_ptr<Item>& item) {
    return item->ended || (item->life != nullptr && !item->life->alive);
  });
}

void SimWorld::PowerLoss(PowerLossKeeps keeps) {
  for (const auto& [process, life] : lives_) {
    life->alive = false;
    life->locks.clear();
  }
  DropDead();
  faults_->PowerLoss(keeps);
}

void SimWorld::After(Duration delay, std::function<void()> event) {
  Add(
      nullptr, steady_ + delay,
      [event = std::move(event)] {
        event();
        return Duration();
      },
      /*once=*/true);
}

std::shared_ptr<SimWorld::Item> SimWorld::Add(std::shared_ptr<Life> life, Duration ready_at,
                                              std::function<Duration()> turn, bool once) {
  auto item = std::make_shared<Item>();
  item->id = next_item_++;
  item->life = std::move(life);
  item->ready_at = ready_at;
  item->turn = std::move(turn);
  item->once = once;
  items_.push_back(item);
  return item;
}

bool SimWorld::Step() {
  DropDead();
  if (items_.empty()) return false;
  Duration first = items_.front()->ready_at;
  for (const auto& item : items_) first = std::min(first, item->ready_at);
  steady_ = std::max(steady_, first);
  // One of those that are ready, each equally likely.
  std::shared_ptr<Item> chosen;
  uint64_t ready = 0;
  for (const auto& item : items_) {
    if (item->ready_at <= steady_ && random_() % ++ready == 0) chosen = item;
  }
  ++steps_;
  Mix(chosen->id);
  Mix(static_cast<uint64_t>(steady_.us));
  chosen->running = true;
  chosen->woken = false;
  chosen->ended = chosen->once;
  const Duration sleep = std::clamp(chosen->turn(), Duration{0}, kLoopSleepMax);
  chosen->running = false;
  steady_ = steady_ +
            Microseconds(1 + static_cast<int64_t>(random_() % static_cast<uint64_t>(kCallUsMax)));
  chosen->ready_at = chosen->woken ? steady_ : steady_ + sleep;
  return true;
}

bool SimWorld::RunUntil(const std::function<bool()>& done, Duration at_most) {
  const Duration end = steady_ + at_most;
  while (!done()) {
    if (steady_ >= end || !Step()) return false;
  }
  return true;
}

void SimWorld::RunFor(Duration time) {
  const Duration end = steady_ + time;
  After(time, [] {});  // so that time gets there if nothing else happens
  while (steady_ < end && Step()) {
  }
}

void SimWorld::Mix(uint64_t value) {
  trace_ = (trace_ ^ value) * 0x9e3779b97f4a7c15ULL + (trace_ >> 29);
}
void SimWorld::Note(std::string_view event) { Mix(Hash64(event)); }

}  // namespace weir
