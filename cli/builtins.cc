#include "cli/builtins.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "cli/process_config.h"
#include "connectors/connectors.h"
#include "connectors/register.h"
#include "engine/net/http_client.h"
#include "engine/plan/memory_split.h"
#include "engine/runtime/memory_governor.h"
#include "operators/register.h"
#include "state/state.h"

namespace weir::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

const Registry& Builtins() {
  static const Registry kRegistry = [] {
    Registry all;
    RegisterOperators(all);
    RegisterConnectors(all);
    return all;
  }();
  return kRegistry;
}

std::unique_ptr<Clients> MakeRealClients(Env& env) { return MakeClients(env); }

Result<BackendParts> MakeBackend(Env& env, MemoryGovernor& memory, const std::string& kind) {
  BackendParts parts;
  if (kind == "memory") {
    parts.backend = state::MakeMemoryBackend(env);
    return parts;
  }
  const RocksdbSplit split = SplitRocksdb(memory.handed_out());
  state::RocksdbOptions options;
  options.cache_bytes = split.cache;
  options.write_buffer_bytes = split.write_buffers;
  // Write buffers are charged to the cache. Beside it lies what flushes and compactions work with:
  // filters of a table being made, buffers of files, batches on their way in.
  WEIR_ASSIGN(parts.account, memory.Open("RocksDB's cache and write buffers", MemoryKind::kRocksdb,
                                         split.bytes()));
  parts.account->Use(static_cast<int64_t>(split.bytes()));
  WEIR_ASSIGN(parts.backend, state::MakeRocksdbBackend(env, options));
  return parts;
}

std::unique_ptr<MemoryGovernor> MakeGovernor(size_t limit) {
  return std::make_unique<runtime::ProcessMemoryGovernor>(limit);
}

Result<std::unique_ptr<CheckpointStore>> OpenStorage(Env& env, const std::string& uri,
                                                     const ProcessConfig& config) {
  if (!uri.starts_with("s3://")) return state::OpenFileStore(env, uri);
  // A server that cuts a connection is an error of that call.
  signal(SIGPIPE, SIG_IGN);
  state::S3Options options;
  options.endpoint = config.s3_endpoint;
  options.region = config.s3_region;
  options.path_style = config.s3_path_style;
  options.key_id = Environment("AWS_ACCESS_KEY_ID");
  options.secret_key = Secret(Environment("AWS_SECRET_ACCESS_KEY"));
  options.session_token = Secret(Environment("AWS_SESSION_TOKEN"));
  options.credentials_file = Environment("AWS_SHARED_CREDENTIALS_FILE");
  if (const std::string profile = Environment("AWS_PROFILE"); !profile.empty())
    options.profile = profile;
  options.web_identity_token_file = Environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  options.role_arn = Environment("AWS_ROLE_ARN");
  if (const std::string name = Environment("AWS_ROLE_SESSION_NAME"); !name.empty())
    options.role_session_name = name;
  options.sts_endpoint = Environment("AWS_ENDPOINT_URL_STS");
  return state::OpenS3Store(env, net::MakeHttpClient({Environment("AWS_CA_BUNDLE")}), uri, options);
}

}  // namespace weir::cli
