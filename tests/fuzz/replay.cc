// The main function of fuzz targets without libFuzzer.
//
//   <target>_replay DIRECTORY...          runs the seeds, damaged copies of them, and each file of
//   the directories <target>_replay --write-seeds DIRECTORY  writes the seeds as files, for
//   libFuzzer to start from

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "tests/fuzz/target.h"

namespace {

constexpr size_t kPrefixesMax = 2'000;
constexpr int kMutantsPerSeed = 2'000;
constexpr int kEditsPerMutantMax = 4;
constexpr uint64_t kMutationSeed = 1;

size_t inputs_run = 0;

void Run(const std::string& input) {
  ++inputs_run;
  // libFuzzer never passes a null pointer either.
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

void RunDamaged(const std::string& seed, std::mt19937_64& random) {
  const size_t step = seed.size() / kPrefixesMax + 1;
  for (size_t size = 0; size < seed.size(); size += step) {
    Run(seed.substr(0, size));
  }
  if (seed.empty()) {
    return;
  }
  for (int mutant = 0; mutant < kMutantsPerSeed; ++mutant) {
    std::string input = seed;
    for (uint64_t edits = 1 + random() % kEditsPerMutantMax; edits > 0; --edits) {
      const size_t at = random() % input.size();
      switch (random() % 4) {
        case 0:
          input[at] = static_cast<char>(random());
          break;
        case 1:
          input[at] = static_cast<char>(input[at] ^ (1 << (random() % 8)));
          break;
        case 2:
          input.insert(at, 1, static_cast<char>(random()));
          break;
        default:
          input.insert(at, input.substr(random() % input.size(), random() % 32));
          break;
      }
    }
    Run(input);
  }
}

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int WriteSeeds(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  int number = 0;
  for (const std::string& seed : FuzzSeeds()) {
    std::ofstream file(directory / ("seed_" + std::to_string(number++)), std::ios::binary);
    file << seed;
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write to %s\n", directory.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--write-seeds") {
    return WriteSeeds(argv[2]);
  }
  std::mt19937_64 random(kMutationSeed);
  Run("");
  for (const std::string& seed : FuzzSeeds()) {
    Run(seed);
    RunDamaged(seed, random);
  }
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      Run(ReadAll(entry.path()));
    }
  }
  std::printf("%zu inputs, none crashed\n", inputs_run);
  return 0;
}
