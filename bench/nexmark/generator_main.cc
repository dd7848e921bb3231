// weir_bench_nexmark_gen: writes events 0 ... N-1 of the Nexmark stream to a topic of Kafka or to
// files, event k to partition k mod P, and prints count, bytes and SHA-256 of every partition as
// JSON.

#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <openssl/evp.h>

#include "bench/nexmark/arguments.h"
#include "bench/nexmark/generator.h"
#include "bench/nexmark/topic.h"

namespace {

using weir::bench::Arguments;
using weir::bench::ErrorText;
using weir::bench::Generator;
using weir::bench::GeneratorOptions;
using weir::bench::TopicWriter;

constexpr const char* kUsage =
    "weir_bench_nexmark_gen (--brokers HOST:PORT --topic NAME [--compression none|lz4] | "
    "--directory DIR) [--events N] [--partitions P] [--tps N] [--seed N]";

// SHA-256 of the lines of one partition, each ended by a line feed.
class LineHash {
 public:
  LineHash() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void Add(const std::string& line_with_end) {
    EVP_DigestUpdate(context_.get(), line_with_end.data(), line_with_end.size());
    ++lines;
    bytes += line_with_end.size();
  }
  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
      constexpr const char* kDigits = "0123456789abcdef";
      hex += kDigits[digest[i] >> 4];
      hex += kDigits[digest[i] & 15U];
    }
    return hex;
  }
  std::uint64_t lines = 0;
  std::uint64_t bytes = 0;

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

int Fail(const std::string& message) {
  std::cerr << "weir_bench_nexmark_gen: " << message << '\n';
  return 1;
}

int Run(const Arguments& arguments) {
  GeneratorOptions options;
  options.seed = arguments.Number("seed", options.seed);
  options.events_per_second = arguments.Number("tps", options.events_per_second);
  const std::uint64_t events = arguments.Number("events", 1'000'000);
  const auto partitions = static_cast<std::size_t>(arguments.Number("partitions", 4));
  if (options.events_per_second == 0 || partitions == 0 || partitions > 1024) {
    arguments.Refuse("--tps must be above 0 and --partitions between 1 and 1024");
  }

  TopicWriter topic;
  std::vector<std::ofstream> files;
  if (arguments.Has("directory")) {
    for (std::size_t p = 0; p < partitions; ++p) {
      const std::string path =
          arguments.Text("directory") + "/partition-" + std::to_string(p) + ".ndjson";
      files.emplace_back(path, std::ios::binary | std::ios::trunc);
      if (!files.back()) return Fail("cannot write " + path);
    }
  } else {
    const ErrorText error =
        topic.Open(arguments.Text("brokers"), arguments.Text("topic"), static_cast<int>(partitions),
                   arguments.Text("compression", "none"));
    if (!error.empty()) return Fail(error);
  }

  const Generator generator(options);
  std::vector<LineHash> hashes(partitions);
  std::string line;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t k = 0; k < events; ++k) {
    line.clear();
    const Generator::Event event = generator.Append(k, line);
    const std::size_t partition = k % partitions;
    if (files.empty()) {
      const ErrorText error = topic.Write(static_cast<int>(partition), event.time_ms, line);
      if (!error.empty()) return Fail(error);
    }
    line += '\n';
    hashes[partition].Add(line);
    if (!files.empty()) {
      files[partition].write(line.data(), static_cast<std::streamsize>(line.size()));
    }
  }
  for (std::ofstream& file : files) {
    file.close();
    if (!file) return Fail("a file could not be written to its end");
  }
  if (files.empty()) {
    const ErrorText error = topic.Finish();
    if (!error.empty()) return Fail(error);
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;

  std::cout << R"({"events":)" << events << R"(,"tps":)" << options.events_per_second
            << R"(,"seed":)" << options.seed << R"(,"seconds":)" << taken.count()
            << R"(,"partitions":[)";
  for (std::size_t p = 0; p < partitions; ++p) {
    std::cout << (p > 0 ? "," : "") << R"({"lines":)" << hashes[p].lines << R"(,"bytes":)"
              << hashes[p].bytes << R"(,"sha256":")" << hashes[p].Hex() << R"("})";
  }
  std::cout << "]}\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(
      argc, argv,
      {"brokers", "topic", "compression", "directory", "events", "partitions", "tps", "seed"},
      kUsage);
  return Run(arguments);
}
