#include "engine/control/job_storage.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/base/bytes.h"
#include "engine/base/log.h"
#include "engine/base/random_hex.h"

namespace weir::control {
namespace {

constexpr int kSequenceDigits = 12;
constexpr std::string_view kHeadPrefix = "HEAD.";
constexpr size_t kSmallFileBytesMax = 4096;
// Each is one failed checkpoint or start, and whatever comes next asks for them.
constexpr int kUnlearnedHeadsMax = 16;
constexpr int kPlaceDigits = 32;

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? std::string(name) : std::string("unknown");
}

/// A text member of an OWNER file, empty if it has none.
std::string OwnerMember(std::string_view text, const char* name) {
  const Result<Json> owner = ParseJson(text);
  if (!owner.ok() || !owner->is_object()) return {};
  const auto place = owner->find(name);
  return place != owner->end() && place->is_string() ? place->get<std::string>() : std::string();
}

/// A file of a checkpoint's folder.
struct CheckpointFile {
  CheckpointId id;
  Attempt attempt;
  std::string_view rest;  // its name in there
};

/// `name`: in the incarnation's folder, "chk/<N>-<A>/...".
std::optional<CheckpointFile> InCheckpoint(std::string_view name) {
  constexpr std::string_view kFolder = "chk/";
  if (!name.starts_with(kFolder)) return {};
  name.remove_prefix(kFolder.size());
  CheckpointFile file;
  const auto read = [&name](uint64_t& number, char after) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end == name.data() + name.size() || *end != after) return false;
    name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
    return true;
  };
  if (!read(file.id.value, '-') || !read(file.attempt.value, '/')) return {};
  file.rest = name;
  return file;
}

bool IsPlace(std::string_view text) {
  return text.size() == kPlaceDigits + 1 &&
         text.find_first_not_of("0123456789abcdef") == kPlaceDigits && text.back() == '\n';
}

}  // namespace

std::string JobStorage::HeadName(uint64_t sequence) const {
  std::string digits = std::to_string(sequence);
  digits.insert(0, digits.size() < kSequenceDigits ? kSequenceDigits - digits.size() : 0, '0');
  return job_ + "/" + std::string(kHeadPrefix) + digits;
}

Result<std::optional<uint64_t>> JobStorage::HighestSequence() {
  const std::string prefix = job_ + "/" + std::string(kHeadPrefix);
  WEIR_ASSIGN(const std::vector<StoredFile> files, store_.List(prefix));
  std::optional<uint64_t> highest;
  for (const StoredFile& file : files) {
    const std::string_view digits =
        std::string_view(file.name).substr(std::min(prefix.size(), file.name.size()));
    uint64_t sequence = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
    if (error != std::errc() || end != digits.data() + digits.size()) continue;  // a temporary file
    if (!highest || sequence > *highest) highest = sequence;
  }
  return highest;
}

Result<std::optional<std::string>> JobStorage::ReadOptional(const std::string& name,
                                                            size_t bytes_max) {
  Result<std::string> bytes = store_.Read(name, 0, bytes_max);
  if (bytes.ok()) return std::optional<std::string>(std::move(bytes).value());
  if (bytes.status().code() == Code::kNotFound) return std::optional<std::string>();
  return bytes.status();
}

Result<std::optional<Head>> JobStorage::ReadHead() {
  WEIR_ASSIGN(const std::optional<uint64_t> sequence, HighestSequence());
  if (!sequence) return std::optional<Head>();
  Result<Head> head = ReadHeadAt(*sequence);
  if (!head.ok() && head.status().code() == Code::kCorruption) {
    return head.status().At("the newest HEAD in " + store_.Describe() +
                            " cannot be used, and an older one is never taken by itself (repair "
                            "it, or go on with --from)");
  }
  WEIR_TRY(head.status());
  return std::optional<Head>(std::move(head).value());
}

Result<Head> JobStorage::ReadHeadAt(uint64_t sequence) {
  const std::string name = HeadName(sequence);
  WEIR_ASSIGN(const std::string text, store_.Read(name, 0, kHeadBytesMax));
  Result<Head> head = DecodeHead(text);
  if (!head.ok()) return head.status().At(name);
  if (head->sequence != sequence)
    return Status(Code::kCorruption,
                  name + ": it says it is number " + std::to_string(head->sequence));
  return head;
}

Result<Head> JobStorage::Advance(const std::optional<Head>& current, Head next) {
  next.sequence = current ? current->sequence + 1 : 1;
  next.token = Token();
  // One's own HEAD that an earlier call did not learn of is passed by a step more; others' stop it.
  for (int steps = 0; steps <= kUnlearnedHeadsMax; ++steps, ++next.sequence) {
    const std::string name = HeadName(next.sequence);
    const std::string text = EncodeHead(next);
    if (const Status created = store_.PutNew(name, text); !created.ok()) {
      // An answer lost on the way: the file is ours if it holds our token.
      Result<std::string> stored = store_.Read(name, 0, kHeadBytesMax);
      if (!stored.ok() || *stored != text) {
        if (created.code() != Code::kAlreadyExists) return created.At(name);
        if (!stored.ok()) return stored.status().At(name);  // whose it is cannot be told now
        const Result<Head> head = DecodeHead(*stored);
        if (head.ok() && head->token == next.token) continue;
        return Overtaken(name + " exists already");
      }
    }
    WEIR_ASSIGN(const std::optional<uint64_t> highest, HighestSequence());
    if (highest && *highest > next.sequence)
      return Overtaken(HeadName(*highest) + " is newer than ours");
    if (next.sequence > kHeadsKept)
      IgnoreStatus(store_.Remove(HeadName(next.sequence - kHeadsKept)),
                   "an old HEAD that stays costs a few bytes");
    return next;
  }
  return Status(Code::kInternal, "HEAD moved again and again by calls of our own");
}

Result<Head> JobStorage::Learn(const Head& current) {
  Head newest = current;
  for (int steps = 0; steps <= kUnlearnedHeadsMax; ++steps) {
    const std::string name = HeadName(newest.sequence + 1);
    WEIR_ASSIGN(const std::optional<std::string> text, ReadOptional(name, kHeadBytesMax));
    if (!text) break;
    Result<Head> head = DecodeHead(*text);
    if (!head.ok()) return head.status().At(name);
    if (head->token != Token()) return Overtaken(name + " exists already");
    newest = std::move(head).value();
  }
  return newest;
}

const std::string& JobStorage::Token() {
  if (head_token_.empty()) head_token_ = RandomHex(env_, 16);
  return head_token_;
}

Status JobStorage::Overtaken(const std::string& what) const {
  return Status(Code::kFenced, what + ": another process has taken over job '" + job_ + "'");
}

Result<std::string> JobStorage::ReadManifestText(const std::string& manifest) {
  const std::string name = job_ + "/" + manifest;
  WEIR_ASSIGN(const uint64_t bytes, store_.Size(name));
  if (bytes > kManifestBytesMax)
    return Status(Code::kCorruption, name + ": larger than a manifest may be");
  return store_.Read(name, 0, bytes);
}

Result<Manifest> JobStorage::CheckedManifest(const std::string& name, std::string_view text,
                                             const std::string& incarnation,
                                             CheckpointId id) const {
  Result<Manifest> manifest = DecodeManifest(text);
  if (!manifest.ok()) return manifest.status().At(job_ + "/" + name);
  if (manifest->incarnation != incarnation || manifest->checkpoint != id || manifest->job != job_) {
    return Status(Code::kCorruption,
                  job_ + "/" + name + ": it belongs to another job or checkpoint");
  }
  return manifest;
}

Result<Manifest> JobStorage::ReadManifest(const Head& head) {
  WEIR_ASSIGN(const std::string text, ReadManifestText(head.manifest));
  if (const std::string found = Sha256Hex(text); found != head.manifest_sha256) {
    return Status(Code::kCorruption, job_ + "/" + head.manifest + ": expected SHA-256 " +
                                         head.manifest_sha256 + ", found " + found);
  }
  return CheckedManifest(head.manifest, text, head.incarnation, head.checkpoint);
}

Result<StoredCheckpoints> JobStorage::ListCheckpoints(const Head& head) {
  const std::string root = InIncarnation(head.incarnation, "");
  WEIR_ASSIGN(const std::vector<StoredFile> files, store_.List(root + "chk/"));
  StoredCheckpoints stored;
  std::map<CheckpointId, StoredCheckpoint> complete;
  for (const StoredFile& file : files) {
    const std::optional<CheckpointFile> found =
        InCheckpoint(std::string_view(file.name).substr(root.size()));
    if (!found) continue;
    stored.highest = std::max(stored.highest, found->id);
    if (found->rest != "MANIFEST" || file.bytes > kManifestBytesMax) continue;
    StoredCheckpoint one{found->id, found->attempt, file.name.substr(job_.size() + 1), file.bytes};
    if (one.id > std::max(head.checkpoint, head.next)) continue;
    if (one.id == head.checkpoint && one.manifest != head.manifest) continue;
    StoredCheckpoint& newest = complete[one.id];
    if (newest.manifest.empty() || newest.attempt < one.attempt) newest = std::move(one);
  }
  stored.complete.reserve(complete.size());
  for (auto& [id, one] : complete) stored.complete.push_back(std::move(one));
  return stored;
}

Result<Manifest> JobStorage::ReadManifest(const Head& head, const StoredCheckpoint& stored) {
  WEIR_ASSIGN(const std::string text, store_.Read(job_ + "/" + stored.manifest, 0, stored.bytes));
  return CheckedManifest(stored.manifest, text, head.incarnation, stored.id);
}

Result<Head> JobStorage::PointAt(const Head& head, CheckpointId id) {
  Head pointed = head;
  pointed.next = std::max(head.next, head.checkpoint);
  pointed.checkpoint = id;
  Head oldest = head;
  uint64_t sequence = head.sequence;
  for (; sequence > 0; --sequence) {
    const Result<Head> old = ReadHeadAt(sequence);
    if (old.status().code() == Code::kNotFound) break;  // kept no longer
    if (old.status().code() == Code::kCorruption) continue;
    WEIR_TRY(old.status());
    if (old->incarnation != head.incarnation) return NoCheckpoint(id);
    oldest = *old;
    if (old->checkpoint != id || old->manifest.empty()) continue;
    pointed.manifest = old->manifest;
    pointed.manifest_sha256 = old->manifest_sha256;
    return pointed;
  }
  if (sequence == 0) return NoCheckpoint(id);
  // One that was complete before the oldest HEAD that is kept: only its manifest tells of it.
  WEIR_ASSIGN(const StoredCheckpoints stored, ListCheckpoints(oldest));
  const auto place = std::find_if(stored.complete.begin(), stored.complete.end(),
                                  [id](const StoredCheckpoint& one) { return one.id == id; });
  if (place == stored.complete.end()) return NoCheckpoint(id);
  WEIR_ASSIGN(const std::string text, ReadManifestText(place->manifest));
  pointed.manifest = place->manifest;
  pointed.manifest_sha256 = Sha256Hex(text);
  return pointed;
}

Status JobStorage::NoCheckpoint(CheckpointId id) const {
  return Status(Code::kNotFound, "there is no checkpoint " + std::to_string(id.value) +
                                     " of job '" + job_ + "' in " + store_.Describe() +
                                     "; `weir ckpt ls` shows what there is");
}

Result<std::string> JobStorage::ClusterId() {
  const auto read = [this]() -> Result<std::optional<std::string>> {
    WEIR_ASSIGN(std::optional<std::string> text, ReadOptional("cluster", kSmallFileBytesMax));
    if (text &&
        (text->size() < 8 || text->find_first_not_of("0123456789abcdef\n") != std::string::npos)) {
      return Status(Code::kCorruption,
                    "'cluster' in " + store_.Describe() + " does not hold 8 hex digits");
    }
    if (text) text->resize(8);
    return text;
  };
  WEIR_ASSIGN(std::optional<std::string> known, read());
  if (known) return *known;
  const std::string made = RandomHex(env_, 8);
  if (Status created = store_.PutNew("cluster", made + "\n"); created.ok()) return made;
  WEIR_ASSIGN(known, read());  // somebody was first, or the answer was lost
  if (known) return *known;
  return Status(Code::kIo, "cannot write 'cluster' in " + store_.Describe());
}

Result<std::string> JobStorage::ReadOrMakePlace() {
  const Path path = state_directory_ + "/PLACE";
  const Result<std::string> text = ReadWholeFile(env_, path, kSmallFileBytesMax);
  if (text.ok() && IsPlace(*text)) return text->substr(0, kPlaceDigits);
  if (text.ok() || text.status().code() == Code::kLimit) {
    // Cut off by a crash before anything rested on it, or damaged. A new id is always safe: an
    // OWNER that was this place's counts as another's, and is watched.
    WEIR_LOG(kWarn, "the state directory's PLACE holds no id; it gets a new one", {"path", path});
    WEIR_TRY(env_.Remove(path));
  } else if (text.status().code() != Code::kNotFound) {
    return text.status();
  }
  std::string place = RandomHex(env_, kPlaceDigits);
  WEIR_ASSIGN(const std::unique_ptr<WritableFile> file, env_.Create(path, CreateMode::kNew));
  WEIR_TRY(file->Append(place + "\n"));
  WEIR_TRY(file->Sync());
  WEIR_TRY(file->Close());
  WEIR_TRY(env_.SyncDirectory(state_directory_));
  return place;
}

std::string JobStorage::OwnerText() {
  Json owner;
  owner["host"] = HostName();
  owner["pid"] = getpid();
  owner["state_dir"] = state_directory_;
  owner["place"] = place_;
  owner["token"] = owner_token_;
  owner["renewals"] = ++renewals_;
  owner["time_us"] = env_.Now().us;
  return owner.dump() + "\n";
}

Result<std::optional<std::string>> JobStorage::ForeignOwner() {
  WEIR_ASSIGN(place_, ReadOrMakePlace());
  WEIR_ASSIGN(std::optional<std::string> text, ReadOptional(job_ + "/OWNER", kSmallFileBytesMax));
  if (!text) return text;
  // The lock on the state directory already tells whether an owner of this very place still lives;
  // LOST says that it is not to be trusted.
  const bool own_place = OwnerMember(*text, "place") == place_;
  if (own_place && !env_.Stat(state_directory_ + "/LOST").ok()) text.reset();
  return text;
}

Status JobStorage::CheckUnchanged(const std::string& text) {
  WEIR_ASSIGN(const std::optional<std::string> now,
              ReadOptional(job_ + "/OWNER", kSmallFileBytesMax));
  if (!now || *now == text) return Status::Ok();
  return Status(Code::kLocked,
                "job '" + job_ + "' runs already: a process on host '" + OwnerMember(*now, "host") +
                    "' with state directory '" + OwnerMember(*now, "state_dir") + "' (place " +
                    OwnerMember(*now, "place") + ", this one is " + place_ + ") renews OWNER in " +
                    store_.Describe() + ". Stop it, or give this job another name or storage");
}

Status JobStorage::TakeOwner() {
  if (place_.empty()) {
    WEIR_ASSIGN(place_, ReadOrMakePlace());
  }
  IgnoreStatus(env_.Remove(state_directory_ + "/LOST"), "absent, or the next start removes it");
  owner_token_ = RandomHex(env_, 16);
  return RenewOwner();
}

Status JobStorage::RenewOwner() { return store_.Put(job_ + "/OWNER", OwnerText()); }

void JobStorage::ReleaseOwner() {
  if (owner_token_.empty()) return;  // never taken: what is there is another's
  Result<std::optional<std::string>> text = ReadOptional(job_ + "/OWNER", kSmallFileBytesMax);
  if (text.ok() && *text && (*text)->find(owner_token_) != std::string::npos) {
    IgnoreStatus(store_.Remove(job_ + "/OWNER"), "a stale OWNER only delays the next start");
  }
}

void JobStorage::MarkLost() {
  Result<std::unique_ptr<WritableFile>> file =
      env_.Create(state_directory_ + "/LOST", CreateMode::kTruncate);
  if (!file.ok()) WEIR_LOG(kWarn, "cannot leave LOST behind", {"error", file.status().message()});
}

}  // namespace weir::control
