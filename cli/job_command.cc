#include "cli/job_command.h"

#include <cstdio>
#include <cstdlib>

#include "cli/builtins.h"

namespace weir::cli {

void JobCommand::AddFlags(CLI::App& command) {
  command.add_option("JOB", file, "The job file, or - for standard input.")->required();
  command
      .add_option("-p,--param", params, "A parameter of the job, as name=value; may be repeated.")
      ->expected(1)
      ->take_all();
  command.add_option("--parallelism", parallelism, "Stands for execution.parallelism.")
      ->check(CLI::Range(1, 32768));
  command.add_flag("--strict", strict, "Warnings are errors.");
  command.add_flag("--allow-literal-secrets", allow_literal_secrets,
                   "Secrets written into the job are a warning, not an error.");
}

Result<LoadedJob> LoadJob(const JobCommand& command, const ProcessConfig& config, Env& env) {
  LoadedJob loaded;
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  loaded.secrets = std::make_unique<SecretStore>(env, config.secrets_dir, environment);
  jobs::CompileOptions options;
  options.registry = &Builtins();
  options.file = command.file == "-" ? "<stdin>" : command.file;
  for (const std::string& param : command.params) {
    const size_t equals = param.find('=');
    if (equals == std::string::npos || equals == 0)
      return Status(Code::kInvalidArgument, "-p " + param + ": a parameter is written name=value");
    options.params.emplace_back(param.substr(0, equals), param.substr(equals + 1));
  }
  options.environment = environment;
  options.secrets = loaded.secrets.get();
  if (command.parallelism != 0) options.parallelism = command.parallelism;
  options.parallelism_default =
      static_cast<uint32_t>(config.threads > 0 ? config.threads : DetectCores());
  options.allow_literal_secrets = command.allow_literal_secrets;
  options.strict = command.strict;
  options.semantic = command.semantic;
  options.allowed_paths = config.allowed_path_list;
  WEIR_ASSIGN(const std::string text, ReadJobFile(command.file));
  loaded.job = jobs::CompileJob(text, options);
  return loaded;
}

int Fail(const Status& status) {
  constexpr int kUsage = 2, kEnvironment = 4, kState = 7;
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  switch (status.code()) {
    case Code::kInvalidArgument:
      return kUsage;
    case Code::kLocked:
    case Code::kFenced:
    case Code::kIncompatible:
    case Code::kCorruption:
      return kState;
    default:
      return kEnvironment;
  }
}

}  // namespace weir::cli
