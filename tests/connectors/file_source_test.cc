#include <gmock/gmock.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>

#include "engine/base/env_posix.h"
#include "tests/connectors/kafka_rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class FileSourceTest : public ::testing::Test {
 protected:
  FileSourceTest()
      : directory_(fs::temp_directory_path() / ("weir-file-source-" + UniqueTopic("t"))) {
    fs::create_directories(directory_);
  }
  ~FileSourceTest() override { fs::remove_all(directory_); }

  void Put(const std::string& name, const std::string& text, bool append) const {
    std::ofstream file(directory_ / name, append ? std::ios::app : std::ios::trunc);
    file << text;
  }

  /// A source over `<directory>/<glob>` with its splits.
  struct Run {
    std::unique_ptr<TestNode> node;
    std::unique_ptr<TestNodeContext> context;
    std::unique_ptr<SplitEnumerator> enumerator;
    std::unique_ptr<Source> source;
    std::vector<SplitState> splits;
    TestSourceOutput out;

    Status Discover() {
      WEIR_ASSIGN(const std::vector<SplitState> fresh, enumerator->Discover());
      splits.insert(splits.end(), fresh.begin(), fresh.end());
      return source->Add(fresh);
    }
    Status PollUntil(const std::function<bool()>& done) {
      Status status;
      const bool in_time = WaitFor([&] {
        status = source->Poll(out).status();
        return !status.ok() || done();
      });
      return in_time ? status : Status(Code::kTimedOut, "not that far");
    }
    bool AllEnded() const {
      return out.reports.size() == splits.size() &&
             std::ranges::all_of(out.reports, [](const auto& report) {
               return report.second.status == SplitStatus::kEnded;
             });
    }
    std::vector<SplitState> Positions() const {
      std::vector<SplitState> states = splits;
      for (const auto& [split, reported] : out.reports) states[split].position = reported.position;
      return states;
    }
    std::vector<std::string> Values() const {
      std::vector<std::string> values;
      values.reserve(out.records.size());
      for (const auto& record : out.records) values.push_back(record.value);
      return values;
    }
  };
  std::unique_ptr<Run> Start(const std::string& glob, const std::string& more,
                             const std::vector<SplitState>& restored, Status* status) {
    auto run = std::make_unique<Run>();
    run->node = MakeNode("file_source", R"({"path": ")" + (directory_ / glob).string() +
                                            R"(", "schema": )" + schema_ + R"(, "format": )" +
                                            format_ + more + "}");
    EXPECT_EQ(run->node->Messages(), "");
    const SourceParts parts = std::get<Factory<SourceParts>>(run->node->config->type().create)(
                                  *run->node->config, run->node->shape)
                                  .value();
    run->context = std::make_unique<TestNodeContext>(*env_, nullptr);
    run->enumerator = parts.enumerator();
    run->source = parts.source();
    *status = run->enumerator->Open(*run->context, restored);
    if (!status->ok()) return run;
    EXPECT_TRUE(run->source->Open(*run->context).ok());
    run->splits = restored;
    EXPECT_TRUE(run->source->Add(restored).ok());
    *status = run->Discover();
    return run;
  }

  const fs::path directory_;
  const std::unique_ptr<Env> env_ = MakePosixEnv(2);
  std::string format_ = R"({"type": "raw"})", schema_ = R"({"value": "string"})";
};

TEST_F(FileSourceTest, ReadsEachFileOnceAndEnds) {
  Put("a.txt", "1\n2\r\n3", false);
  Put("b.txt", "", false);
  fs::create_directories(directory_ / "sub");
  Put("sub/c.txt", "4\n", false);
  Put(".hidden.txt", "no\n", false);
  Put("other.csv", "no\n", false);
  Status status;
  const auto run = Start("**/*.txt", "", {}, &status);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(run->enumerator->complete());
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_THAT(run->Values(), UnorderedElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(run->out.records.back().partition, -1);
}

TEST_F(FileSourceTest, GoesOnAtTheSavedPositionOfTheSameFileOnly) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + "\n";
  Put("a.txt", text, false);
  std::vector<std::string> values;
  std::vector<SplitState> restored;
  for (int attempt = 0; attempt < 4; ++attempt) {
    Status status;
    const auto run = Start("a.txt", "", restored, &status);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_TRUE(run->PollUntil([&] {
                     return run->AllEnded() || (attempt < 3 && run->out.records.size() > 20'000);
                   })
                    .ok());
    for (const std::string& value : run->Values()) values.push_back(value);
    EXPECT_EQ(run->out.records.back().offset, static_cast<int64_t>(values.size()));
    restored = run->Positions();
  }
  ASSERT_THAT(values, SizeIs(100'000));
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], std::to_string(i));
  restored[0].position.replace(restored[0].position.find("/1/"), 3, "/0/");
  fs::remove(directory_ / "a.txt");
  Put("a.txt", "another file\n", false);
  Status status;
  Start("a.txt", "", restored, &status);
  EXPECT_EQ(status.code(), Code::kIncompatible);
  fs::remove(directory_ / "a.txt");
  Start("a.txt", "", restored, &status);
  EXPECT_EQ(status.code(), Code::kNotFound);
}

TEST_F(FileSourceTest, ReadsFilesInOrderOfName) {
  for (const char* name : {"c.txt", "a.txt", "b.txt"}) Put(name, std::string(name) + "\n", false);
  Status status;
  const auto run = Start("*.txt", R"(, "order": "by_name")", {}, &status);
  ASSERT_THAT(run->splits, SizeIs(3));
  EXPECT_FALSE(run->splits[0].begun);
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_THAT(run->Values(), ElementsAre("a.txt", "b.txt", "c.txt"));
}

TEST_F(FileSourceTest, ReadsAllMembersOfGzipAndNoticesACut) {
  const std::string path = (directory_ / "a.txt.gz").string();
  for (const char* mode : {"wb", "ab"}) {
    gzFile file = gzopen(path.c_str(), mode);
    ASSERT_NE(file, nullptr);
    gzputs(file, *mode == 'w' ? "1\n2\n" : "3\n");
    gzclose(file);
  }
  Status status;
  auto run = Start("*.gz", "", {}, &status);
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_THAT(run->Values(), ElementsAre("1", "2", "3"));
  fs::resize_file(path, fs::file_size(path) - 6);
  run = Start("*.gz", "", {}, &status);
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_TRUE(run->out.records.back().truncated);
}

/// One frame, without a checksum behind it.
std::string Frame(const std::string& text) {
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  const size_t size = ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), 1);
  EXPECT_EQ(ZSTD_isError(size), 0U);
  frame.resize(size);
  return frame;
}

/// "0000000\n" and on: eight bytes each.
std::string NumberedLines(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    const std::string digits = std::to_string(i);
    text += std::string(7 - digits.size(), '0') + digits + "\n";
  }
  return text;
}

TEST_F(FileSourceTest, ReadsAllFramesOfZstandardAndNoticesACut) {
  // A frame that may be passed over, as pzstd writes it, and an empty one between two.
  const std::string skippable("\x50\x2A\x4D\x18\x03\x00\x00\x00xyz", 11);
  const std::string whole = Frame("1\n2") + skippable + Frame("") + Frame("2\n3\n");
  Put("a.txt.zst", whole, false);
  Put("empty.txt.zst", "", false);
  Status status;
  auto run = Start("*.zst", "", {}, &status);
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_THAT(run->Values(), ElementsAre("1", "22", "3"));
  EXPECT_FALSE(run->out.records.back().truncated);
  fs::remove(directory_ / "empty.txt.zst");
  for (size_t cut = 1; cut < Frame("2\n3\n").size(); ++cut) {
    Put("a.txt.zst", whole.substr(0, whole.size() - cut), false);
    run = Start("*.zst", "", {}, &status);
    ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok()) << cut;
    ASSERT_THAT(run->out.records, testing::Not(testing::IsEmpty())) << cut;
    EXPECT_TRUE(run->out.records.back().truncated) << cut;
  }
  for (const std::string& damaged : {Frame("1\n") + "no frame", std::string("no frame at all")}) {
    Put("a.txt.zst", damaged, false);
    run = Start("*.zst", "", {}, &status);
    const Status read = run->PollUntil([&] { return run->AllEnded(); });
    EXPECT_EQ(read.code(), Code::kCorruption);
    EXPECT_THAT(read.message(), HasSubstr("a.txt.zst"));
    EXPECT_THAT(read.message(), HasSubstr("not zstd"));
  }
}

void PutGzip(const fs::path& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())),
            static_cast<int>(text.size()));
  gzclose(file);
}

// Text that had no room comes with the next piece, however little of the file is left.
TEST_F(FileSourceTest, ReadsCompressedFilesOfAnySizeWhole) {
  constexpr int kLinesOfAMebibyte = 131'072;
  for (const int lines : {kLinesOfAMebibyte - 1, kLinesOfAMebibyte, kLinesOfAMebibyte + 13,
                          3 * kLinesOfAMebibyte + 20'000}) {
    // So alike that all of it is decompressed from one piece of the file.
    std::string text;
    for (int i = 0; i < lines; ++i) text += NumberedLines(i / 1000, 1);
    Put("a.txt.zst", Frame(text), false);
    PutGzip(directory_ / "a.txt.gz", text);
    for (const char* name : {"a.txt.zst", "a.txt.gz"}) {
      // Once at a stroke, once in attempts that go on at the saved position.
      for (const size_t stop_after : {size_t{SIZE_MAX}, size_t{100'000}}) {
        std::string read;
        std::vector<SplitState> restored;
        bool ended = false;
        for (int attempt = 0; attempt < 10 && !ended; ++attempt) {
          Status status;
          const auto run = Start(name, "", restored, &status);
          ASSERT_TRUE(status.ok()) << status.ToString();
          run->out.wanted = 50'000;
          const Status polled = run->PollUntil(
              [&] { return run->AllEnded() || run->out.records.size() >= stop_after; });
          ASSERT_TRUE(polled.ok()) << polled.ToString();
          for (const auto& record : run->out.records) {
            ASSERT_FALSE(record.truncated) << name << ", " << lines << " lines: " << record.value;
            read += record.value + "\n";
          }
          ended = run->AllEnded();
          restored = run->Positions();
        }
        EXPECT_TRUE(read == text) << name << ": " << read.size() << " of " << text.size()
                                  << " bytes";
      }
    }
  }
}

/// All that tells one record from another.
std::vector<std::string> Shown(std::span<const TestSourceOutput::Copied> records) {
  std::vector<std::string> shown;
  shown.reserve(records.size());
  for (const auto& record : records) {
    shown.push_back(std::to_string(record.offset) + (record.truncated ? " cut " : " ") +
                    record.key + "|" + record.value);
  }
  return shown;
}

// A line beyond max_record comes in several pieces: a stop between them must not make a record of
// its own of the rest. Every position that a task could have saved is gone on from.
TEST_F(FileSourceTest, GoesOnInsideOfALineThatWasCutAsWithoutAStop) {
  const std::string rest(size_t{5} << 19, 'x');  // more than a piece, decompressed ones too
  struct Case {
    std::string format, schema, text;
  };
  const std::string columns = R"({"a": "string?", "b": "string?"})";
  const std::string csv = R"({"type": "csv", "max_record": "1KiB", "header": )";
  const std::vector<Case> cases = {
      {R"({"type": "raw", "max_record": "1KiB"})", R"({"value": "string"})",
       "\xEF\xBB\xBF"
       "1\n\n2" +
           rest + "\r\n3\n\n" + rest + "\n4"},
      {R"({"type": "json", "max_record": "1KiB"})", columns,
       "{}\n\n{\"a\": \"" + rest + "\"}\n\n{\"b\": \"1\"}\n"},
      {csv + "false}", columns, "1,2\n\n\"3\n3\"," + rest + "\n\"4\n4\",\n5,6\n"},
      // The quote swallows the limit: the rest of the line behind it is skipped, and the next one
      // is a beginning.
      {csv + "true}", columns,
       "\xEF\xBB\xBF"
       "b,\"a\"\n\"1\n\n1\",2\n3,\"3\n3\n" +
           rest + "\nx,y\n4,5\n"},
  };
  for (const Case& one : cases) {
    format_ = one.format;
    schema_ = one.schema;
    Put("a.txt", one.text, false);
    Put("a.txt.zst", Frame(one.text), false);
    PutGzip(directory_ / "a.txt.gz", one.text);
    for (const char* name : {"a.txt", "a.txt.zst", "a.txt.gz"}) {
      SCOPED_TRACE(one.format + " " + name);
      Status status;
      const auto whole = Start(name, "", {}, &status);
      ASSERT_TRUE(status.ok()) << status.ToString();
      whole->out.wanted = 1;
      // Where a task could have stopped, and how many records had been given out.
      std::map<std::string, size_t> stops;
      const Status read_whole = whole->PollUntil([&] {
        if (!whole->out.reports.empty())
          stops.emplace(whole->out.reports[0].position, whole->out.records.size());
        return whole->AllEnded();
      });
      ASSERT_TRUE(read_whole.ok()) << read_whole.ToString();
      const std::vector<std::string> expected = Shown(whole->out.records);
      EXPECT_TRUE(std::ranges::any_of(stops, [](const auto& stop) {
        return stop.first.ends_with("/1");
      })) << "none was inside of the line";
      for (const auto& [position, count] : stops) {
        std::vector<SplitState> restored = whole->splits;
        restored[0].position = position;
        const auto again = Start(name, "", restored, &status);
        ASSERT_TRUE(status.ok()) << status.ToString();
        const Status read = again->PollUntil([&] { return again->AllEnded(); });
        ASSERT_TRUE(read.ok()) << read.ToString();
        std::vector<std::string> shown = Shown(std::span(whole->out.records).first(count));
        std::ranges::move(Shown(again->out.records), std::back_inserter(shown));
        EXPECT_EQ(shown, expected) << "stopped at " << position;
      }
    }
  }
}

TEST_F(FileSourceTest, FollowsALineThatWasCutOverSeveralStops) {
  const std::string part(5000, 'x');
  struct Case {
    std::string format, schema, begin;
    std::vector<std::string> records;
  };
  const std::string header = "a,\"b\n" + std::string(1020, 'x');
  const std::vector<Case> cases = {
      {R"({"type": "raw", "max_record": "1KiB"})",
       R"({"value": "string"})",
       "1\n2",
       {"1 |1", "2 cut |2" + std::string(1024, 'x'), "3 |3"}},
      // The header line is the one that is cut, in its quotes.
      {R"({"type": "csv", "max_record": "1KiB", "header": true})",
       R"({"a": "string?"})",
       "a,\"b\n",
       {"3 " + header + "|3"}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.format);
    format_ = one.format;
    schema_ = one.schema;
    Put("app.log", one.begin + part, false);
    std::vector<SplitState> restored;
    std::vector<std::string> shown;
    // The last piece ends the line.
    for (const std::string& more : {part, part, part + "\n3\n"}) {
      Status status;
      const auto run = Start("app.log", R"(, "follow": true)", restored, &status);
      ASSERT_TRUE(status.ok()) << status.ToString();
      ASSERT_TRUE(run->PollUntil([&] {
                       return run->out.reports.contains(0) &&
                              run->out.reports[0].status == SplitStatus::kCaughtUp;
                     })
                      .ok());
      std::ranges::move(Shown(run->out.records), std::back_inserter(shown));
      restored = run->Positions();
      EXPECT_TRUE(restored[0].position.ends_with("/1")) << restored[0].position;
      Put("app.log", more, true);
    }
    Status status;
    const auto run = Start("app.log", R"(, "follow": true)", restored, &status);
    ASSERT_TRUE(run->PollUntil([&] { return !run->out.records.empty(); }).ok());
    std::ranges::move(Shown(run->out.records), std::back_inserter(shown));
    EXPECT_EQ(shown, one.records);
    const auto whole = Start("app.log", "", {}, &status);
    ASSERT_TRUE(whole->PollUntil([&] { return whole->AllEnded(); }).ok());
    EXPECT_EQ(Shown(whole->out.records), one.records) << "read at a stroke";
    fs::remove(directory_ / "app.log");
  }
}

TEST_F(FileSourceTest, ReadsPositionsOfOlderVersions) {
  Put("a.txt", "1\n2\n3\n", false);
  Status status;
  auto run = Start("a.txt", "", {}, &status);
  run->out.wanted = 1;
  ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 1; }).ok());
  const std::vector<SplitState> saved = run->Positions();
  const std::string& position = saved[0].position;
  ASSERT_TRUE(position.ends_with("/0")) << position;
  std::vector<SplitState> restored = saved;
  restored[0].position = position.substr(0, position.size() - 2);
  run = Start("a.txt", "", restored, &status);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_THAT(Shown(run->out.records), ElementsAre("2 |2", "3 |3"));
  for (const char* wrong : {"/2", "/x"}) {
    restored[0].position = position.substr(0, position.size() - 2) + wrong;
    Start("a.txt", "", restored, &status);
    EXPECT_EQ(status.code(), Code::kCorruption) << wrong;
  }
}

TEST_F(FileSourceTest, ReadsARotatedFileToItsEndAndTheNewOneFromItsBeginning) {
  for (const char* glob : {"app.log", "app.log*"}) {
    Put("app.log", "1\n2\n", false);
    Status status;
    auto run = Start(glob, R"(, "follow": true)", {}, &status);
    ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 2; }).ok());
    fs::rename(directory_ / "app.log", directory_ / "app.log.1");
    Put("app.log.1", "3\n4", true);  // its writer has not noticed yet
    Put("app.log", "5\n", false);
    ASSERT_TRUE(run->Discover().ok());
    ASSERT_THAT(run->splits, SizeIs(2)) << glob;
    ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 4; }).ok());
    EXPECT_THAT(run->Values(), UnorderedElementsAre("1", "2", "3", "5"));
    // Stopped between the two: what is left of the old one is found under its new name.
    const std::vector<SplitState> restored = run->Positions();
    run.reset();
    Put("app.log.1", "4\n", true);
    Put("app.log", "6\n", true);
    run = Start(glob, R"(, "follow": true)", restored, &status);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_THAT(run->splits, SizeIs(2)) << glob;
    ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 2; }).ok());
    EXPECT_THAT(run->Values(), UnorderedElementsAre("44", "6"));
    EXPECT_EQ(run->context->counters["file_truncated"].value(), 0);
    EXPECT_EQ(run->context->counters["file_lost"].value(), 0);
    ASSERT_TRUE(run->Discover().ok());
    EXPECT_THAT(run->splits, SizeIs(2)) << "each file has one split, whatever it is called";
    run.reset();
    fs::remove(directory_ / "app.log");
    fs::remove(directory_ / "app.log.1");
  }
}

TEST_F(FileSourceTest, CountsARotatedFileThatIsGoneBeforeItWasReadAgain) {
  Put("app.log", "1\n2\n", false);
  Status status;
  auto run = Start("app.log", R"(, "follow": true)", {}, &status);
  ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 2; }).ok());
  const std::vector<SplitState> restored = run->Positions();
  run.reset();
  Put("keeps-the-inode", "", false);
  fs::rename(directory_ / "app.log", directory_ / "app.log.1");
  Put("app.log", "3\n", false);
  fs::remove(directory_ / "app.log.1");
  run = Start("app.log", R"(, "follow": true)", restored, &status);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_TRUE(run->PollUntil([&] {
                   return run->out.records.size() == 1 &&
                          run->out.reports[0].status == SplitStatus::kEnded;
                 })
                  .ok());
  EXPECT_THAT(run->Values(), ElementsAre("3"));
  EXPECT_EQ(run->context->counters["file_lost"].value(), 1);
}

// As copytruncate does: the inode stays, the text does not.
TEST_F(FileSourceTest, ReadsATruncatedFileFromItsBeginningAndCountsThat) {
  // Shorter than what was read, as long, longer; begun empty, and begun with more than is hashed.
  const std::string long_text = NumberedLines(0, 300);
  const auto texts = std::vector<std::pair<std::string, std::string>>{
      {"1\n2\n3\n", "4\n"}, {"1\n2\n3\n", "4\n5\n6\n7\n"}, {long_text, "x" + long_text}};
  for (const auto& [before, after] : texts) {
    for (const bool begun_empty : {false, true}) {
      SCOPED_TRACE(after.substr(0, 10) + (begun_empty ? ", begun empty" : ""));
      Put("app.log", begun_empty ? "" : before, false);
      Status status;
      auto run = Start("app.log", R"(, "follow": true)", {}, &status);
      const auto lines = [](const std::string& text) {
        return static_cast<size_t>(std::ranges::count(text, '\n'));
      };
      if (begun_empty) {
        ASSERT_TRUE(run->PollUntil([&] {
                         return run->out.reports.contains(0) &&
                                run->out.reports[0].status == SplitStatus::kCaughtUp;
                       })
                        .ok());
        Put("app.log", before, true);
      }
      ASSERT_TRUE(run->PollUntil([&] {
                       return run->out.records.size() == lines(before) &&
                              run->out.reports[0].status == SplitStatus::kCaughtUp;
                     })
                      .ok());
      Put("app.log", after, false);
      ASSERT_TRUE(run->PollUntil([&] {
                       return run->out.records.size() == lines(before) + lines(after) &&
                              run->out.reports[0].status == SplitStatus::kCaughtUp;
                     })
                      .ok());
      std::string read;
      for (const std::string& value : run->Values()) read += value + "\n";
      EXPECT_EQ(read, before + after);
      EXPECT_EQ(run->context->counters["file_truncated"].value(), 1);
      // A restart goes on behind it.
      const std::vector<SplitState> restored = run->Positions();
      run.reset();
      Put("app.log", "last\n", true);
      run = Start("app.log", R"(, "follow": true)", restored, &status);
      ASSERT_TRUE(run->PollUntil([&] { return !run->out.records.empty(); }).ok());
      EXPECT_THAT(run->Values(), ElementsAre("last"));
      run.reset();
      fs::remove(directory_ / "app.log");
    }
  }
}

TEST_F(FileSourceTest, FollowsGrowth) {
  Put("app.log", "1\n2", false);
  Status status;
  const auto run = Start("app.log", R"(, "follow": true)", {}, &status);
  EXPECT_FALSE(run->enumerator->complete());
  ASSERT_TRUE(run->PollUntil([&] {
                   return run->out.records.size() == 1 &&
                          run->out.reports[0].status == SplitStatus::kCaughtUp;
                 })
                  .ok());
  Put("app.log", "2\n3\n", true);
  ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 3; }).ok());
  EXPECT_THAT(run->Values(), ElementsAre("1", "22", "3"));
}

/// The inode of a file that was rotated away and removed is soon another file's.
TEST_F(FileSourceTest, ReadsTheFileThatTookTheInodeOfAnotherOneWhole) {
  for (const bool ended : {false, true}) {
    Put("app.log", "1\n2\n", false);
    Status status;
    auto run = Start("app.log", R"(, "follow": true)", {}, &status);
    ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() == 2; }).ok());
    std::vector<SplitState> restored = run->Positions();
    run.reset();
    if (ended) restored[0].position.replace(restored[0].position.find("/0/"), 3, "/1/");
    // The same inode, as if it had been given out again; longer than what was read of the old one.
    Put("app.log", "10\n20\n30\n", false);
    run = Start("app.log", R"(, "follow": true)", restored, &status);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_THAT(run->splits, SizeIs(2)) << "ended: " << ended;
    EXPECT_NE(run->splits[0].id, run->splits[1].id);
    ASSERT_TRUE(run->PollUntil([&] { return run->out.records.size() >= 3; }).ok());
    EXPECT_THAT(run->Values(), ElementsAre("10", "20", "30"));
    EXPECT_EQ(run->out.reports[0].status, SplitStatus::kEnded);
    // Known from now on: neither another look nor a restart reads it again.
    ASSERT_TRUE(run->Discover().ok());
    EXPECT_THAT(run->splits, SizeIs(2));
    const std::vector<SplitState> again = run->Positions();
    run = Start("app.log", R"(, "follow": true)", again, &status);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_THAT(run->splits, SizeIs(2));
  }
}

TEST_F(FileSourceTest, ClosesFilesThatItHasRead) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  for (int i = 0; i < 50; ++i) Put(std::to_string(i) + ".txt", "1\n", false);
  const auto before = open_files();
  Status status;
  const auto run = Start("*.txt", "", {}, &status);
  ASSERT_TRUE(run->PollUntil([&] { return run->AllEnded(); }).ok());
  EXPECT_THAT(run->Values(), SizeIs(50));
  EXPECT_LE(open_files() - before, 4);
}

TEST_F(FileSourceTest, RefusesPathsOutsideOfTheAllowedOnes) {
  const auto codes = [](const std::string& path) {
    return MakeNode("file_source",
                    R"({"path": ")" + path +
                        R"(", "schema": {"value": "string"}, "format": {"type": "raw"}})")
        ->Codes();
  };
  EXPECT_THAT(codes("a/../../etc/passwd"), ElementsAre("W0706"));
  EXPECT_THAT(codes(""), ElementsAre("W0203"));
}

}  // namespace
}  // namespace weir
