#include "tests/jobs/builtin/job_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "connectors/register.h"
#include "operators/register.h"
#include "tests/harness/paths.h"

namespace weir::jobs {

const Registry& BuiltinRegistry() {
  static const Registry kRegistry = [] {
    Registry filled;
    RegisterOperators(filled);
    RegisterConnectors(filled);
    return filled;
  }();
  return kRegistry;
}

std::string ReadSourceFile(const std::string& path) {
  std::ifstream file(SourceDirectory() + "/" + path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

CompiledJob CompileBuiltin(const std::string& file, const std::string& text) {
  CompileOptions options;
  options.registry = &BuiltinRegistry();
  options.file = file;
  options.parallelism_default = 2;
  options.allowed_paths = {"/", "."};
  return CompileJob(text, options);
}

}  // namespace weir::jobs
