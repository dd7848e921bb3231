// weir_bench_nexmark_oracle: what the queries must give for a topic or files of events, and whether
// a program's output is that.
//
//   expect   prints the digest of every query's result, as JSON
//   digest   prints the digest of an output
//   compare  computes both, and names rows that are missing or wrong; exit code 1 if there are any

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <xxhash.h>

#include "bench/nexmark/arguments.h"
#include "bench/nexmark/oracle.h"
#include "bench/nexmark/topic.h"

namespace {

using weir::bench::Arguments;
using weir::bench::BidReader;
using weir::bench::ErrorText;
using weir::bench::OracleQuery;
using weir::bench::RowDigest;
using weir::bench::TopicReader;

constexpr const char* kUsage =
    "weir_bench_nexmark_oracle --mode expect|digest|compare [--queries q0,q1] "
    "[--brokers HOST:PORT --topic NAME | --directory DIR] "
    "[--actual DIR | --brokers HOST:PORT --actual-topic NAME] [--show N]";

using OnLine = std::function<ErrorText(std::string_view line)>;

// The finished files of a directory, without hidden and temporary ones, in the order of their
// paths.
ErrorText ReadDirectory(const std::string& directory, const OnLine& on_line) {
  std::error_code failed;
  std::vector<std::filesystem::path> paths;
  for (std::filesystem::recursive_directory_iterator at(directory, failed), end;
       !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (at->is_directory() && name.starts_with('.')) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file() && !name.starts_with('.') && !name.ends_with(".tmp")) {
      paths.push_back(at->path());
    }
  }
  if (failed) return "cannot read " + directory + ": " + failed.message();
  std::sort(paths.begin(), paths.end());
  std::string line;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return "cannot open " + path.string();
    while (std::getline(file, line)) {
      if (line.empty()) continue;
      if (ErrorText error = on_line(line); !error.empty()) return path.string() + ": " + error;
    }
  }
  return "";
}

ErrorText ReadTopic(const std::string& brokers, const std::string& topic, const OnLine& on_line) {
  TopicReader reader;
  if (ErrorText error = reader.Open(brokers, topic); !error.empty()) return error;
  std::vector<TopicReader::Record> records;
  while (!reader.AtEnd()) {
    if (ErrorText error = reader.Poll(records); !error.empty()) return error;
    if (records.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (const TopicReader::Record& record : records) {
      if (ErrorText error = on_line(record.value); !error.empty()) {
        return "partition " + std::to_string(record.partition) + ", offset " +
               std::to_string(record.offset) + ": " + error;
      }
    }
  }
  return "";
}

ErrorText ReadInput(const Arguments& arguments, const OnLine& on_line) {
  if (arguments.Has("directory")) return ReadDirectory(arguments.Text("directory"), on_line);
  return ReadTopic(arguments.Text("brokers"), arguments.Text("topic"), on_line);
}

ErrorText ReadActual(const Arguments& arguments, const OnLine& on_line) {
  if (arguments.Has("actual")) return ReadDirectory(arguments.Text("actual"), on_line);
  return ReadTopic(arguments.Text("brokers"), arguments.Text("actual-topic"), on_line);
}

struct NamedQuery {
  std::string name;
  std::unique_ptr<OracleQuery> query;
  OracleQuery::EmitRow emit;
};

// Feeds all events of the input to the queries.
ErrorText Evaluate(const Arguments& arguments, std::vector<NamedQuery>& queries,
                   std::uint64_t& events) {
  BidReader reader;
  events = 0;
  ErrorText error = ReadInput(arguments, [&](std::string_view line) -> ErrorText {
    ++events;
    OracleQuery::Bid bid;
    ErrorText wrong;
    if (!reader.Read(line, bid, wrong)) return wrong;
    for (NamedQuery& each : queries) each.query->OnBid(bid, each.emit);
    return "";
  });
  if (!error.empty()) return error;
  for (NamedQuery& each : queries) each.query->OnEnd(each.emit);
  return "";
}

std::vector<std::string> QueryNames(const Arguments& arguments) {
  if (!arguments.Has("queries")) return OracleQuery::names();
  std::vector<std::string> names;
  std::stringstream list(arguments.Text("queries"));
  for (std::string name; std::getline(list, name, ',');) {
    if (OracleQuery::Create(name) == nullptr) arguments.Refuse("unknown query '" + name + "'");
    names.push_back(name);
  }
  return names;
}

int Fail(const ErrorText& error) {
  std::cerr << "weir_bench_nexmark_oracle: " << error << '\n';
  return 4;
}

int Expect(const Arguments& arguments) {
  std::vector<NamedQuery> queries;
  std::vector<RowDigest> digests(QueryNames(arguments).size());
  for (const std::string& name : QueryNames(arguments)) {
    RowDigest& digest = digests[queries.size()];
    queries.push_back(
        {name, OracleQuery::Create(name), [&digest](std::string_view row) { digest.Add(row); }});
  }
  std::uint64_t events = 0;
  if (ErrorText error = Evaluate(arguments, queries, events); !error.empty()) return Fail(error);
  std::cout << R"({"events":)" << events;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    std::cout << ",\"" << queries[i].name << R"(":")" << digests[i].ToString() << '"';
  }
  std::cout << "}\n";
  return 0;
}

int Digest(const Arguments& arguments, const std::string& name) {
  const std::unique_ptr<OracleQuery> query = OracleQuery::Create(name);
  RowDigest digest;
  std::string row;
  const ErrorText error = ReadActual(arguments, [&](std::string_view line) -> ErrorText {
    ErrorText wrong;
    if (!query->Canonical(line, row, wrong)) return wrong;
    digest.Add(row);
    return "";
  });
  if (!error.empty()) return Fail(error);
  std::cout << R"({")" << name << R"(":")" << digest.ToString() << "\"}\n";
  return 0;
}

struct RowHash {
  std::uint64_t high;
  std::uint64_t low;
  bool operator==(const RowHash&) const = default;
};

RowHash HashOf(std::string_view row) {
  const XXH128_hash_t hash = XXH3_128bits(row.data(), row.size());
  return {hash.high64, hash.low64};
}

struct LowBits {
  std::size_t operator()(const RowHash& hash) const { return hash.low; }
};

std::string Readable(std::string_view row) {
  std::string text(row);
  std::replace(text.begin(), text.end(), '\x1f', '|');
  return text;
}

int Compare(const Arguments& arguments, const std::string& name) {
  const std::uint64_t show = arguments.Number("show", 5);
  // How often a row occurs in the output, less how often it should. What cannot be read as a row of
  // the query counts as a wrong one.
  std::unordered_map<RowHash, std::int64_t, LowBits> balance;
  std::uint64_t unreadable = 0;
  std::uint64_t rows = 0;
  std::string row;
  const std::unique_ptr<OracleQuery> form = OracleQuery::Create(name);
  ErrorText error = ReadActual(arguments, [&](std::string_view line) -> ErrorText {
    ErrorText wrong;
    ++rows;
    if (!form->Canonical(line, row, wrong)) {
      if (++unreadable <= show) std::cout << "unreadable: " << wrong << '\n';
      return "";
    }
    ++balance[HashOf(row)];
    return "";
  });
  if (!error.empty()) return Fail(error);

  std::uint64_t expected = 0;
  std::uint64_t missing = 0;
  std::uint64_t events = 0;
  std::vector<NamedQuery> queries;
  queries.push_back({name, OracleQuery::Create(name), [&](std::string_view wanted) {
                       ++expected;
                       if (--balance[HashOf(wanted)] < 0 && ++missing <= show) {
                         std::cout << "missing: " << Readable(wanted) << '\n';
                       }
                     }});
  if (error = Evaluate(arguments, queries, events); !error.empty()) return Fail(error);

  std::uint64_t unexpected = 0;
  error = ReadActual(arguments, [&](std::string_view line) -> ErrorText {
    ErrorText wrong;
    if (!form->Canonical(line, row, wrong)) return "";
    std::int64_t& left = balance[HashOf(row)];
    if (left > 0) {
      --left;
      if (++unexpected <= show) std::cout << "unexpected: " << Readable(row) << '\n';
    }
    return "";
  });
  if (!error.empty()) return Fail(error);
  std::cout << name << ": " << expected << " rows expected, " << rows << " written, " << missing
            << " missing, " << unexpected << " unexpected, " << unreadable << " unreadable\n";
  return missing + unexpected + unreadable == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(
      argc, argv,
      {"mode", "queries", "brokers", "topic", "directory", "actual", "actual-topic", "show"},
      kUsage);
  const std::string mode = arguments.Text("mode");
  if (mode == "expect") return Expect(arguments);
  const std::vector<std::string> names = QueryNames(arguments);
  if (names.size() != 1) arguments.Refuse("--queries must name one query");
  if (mode == "digest") return Digest(arguments, names.front());
  if (mode == "compare") return Compare(arguments, names.front());
  arguments.Refuse("unknown mode '" + mode + "'");
}
