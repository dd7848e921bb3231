#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/api/secrets.h"
#include "engine/base/json.h"
#include "tests/jobs/test_types.h"

namespace weir::jobs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::string Small() { return JobOf(SourceNode() + "," + SinkNode("out", "in")); }

/// `options` of one t_options node.
CompiledJob WithOptions(const std::string& members, CompileOptions options = {}) {
  return CompileTest(JobOf(SourceNode() + R"(,"x": {"type": "t_options", "inputs": ["in"])" +
                           (members.empty() ? "" : ", " + members) + "}," + SinkNode("out", "x")),
                     std::move(options));
}

std::vector<std::string> OptionCodes(const std::string& members) {
  return CodesOf(WithOptions(members));
}

TEST(CompileJob, TurnsASoundTextIntoAPlan) {
  const CompiledJob job = CompileTest(Small());
  EXPECT_THAT(CodesOf(job), IsEmpty()) << FormatProblemsText(job);
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_EQ(job.plan->job, "test");
  ASSERT_EQ(job.plan->nodes.size(), 2U);
  EXPECT_EQ(job.plan->nodes[0].id, "in");
  EXPECT_EQ(job.plan->checkpoint.interval, Seconds(10));
  EXPECT_EQ(job.plan->key_groups, 128U);
  EXPECT_EQ(ExitCodeOf(job), 0);
  EXPECT_EQ(FormatProblemsText(job), "");
}

TEST(CompileJob, ReportsAllProblemsOfAFileInOnePass) {
  const CompiledJob job =
      CompileTest(R"({"weir": 2, "name": "Bad Name", "colour": 1, "execution": {"parallelism": 0},
    "nodes": {"in": {"type": "t_sourse"}, "a": {"type": "t_filter", "inputs": ["nowhere"]}, "out": {"type": "t_sink", "inputs": ["a"], "limit": 1000}}})");
  EXPECT_THAT(CodesOf(job), UnorderedElementsAre("W0201", "W0204", "W0207", "W0204", "W0211",
                                                 "W0202", "W0204", "W0301"));
  EXPECT_FALSE(job.plan.has_value());
  EXPECT_EQ(ExitCodeOf(job), 1);
}

TEST(CompileJob, StaysSilentBehindANodeWithAnError) {
  const CompiledJob job = CompileTest(
      JobOf(SourceNode() + R"(,"f": {"type": "t_filter", "inputs": ["in"], "where": "nmae = 'x'"},
    "k": {"type": "t_keyed", "inputs": ["f"], "key_by": ["no_such"]}, )" +
            SinkNode("out", "k")));
  EXPECT_THAT(CodesOf(job), ElementsAre("W0412"));
}

TEST(CompileJob, ChecksTheSyntaxOfExpressionsBehindAnError) {
  const CompiledJob job = CompileTest(
      JobOf(SourceNode() + R"(,"f": {"type": "t_filter", "inputs": ["in"], "where": "nmae = 'x'"},
    "g": {"type": "t_filter", "inputs": ["f"], "where": "name ="}, )" +
            SinkNode("out", "g")));
  EXPECT_THAT(CodesOf(job), UnorderedElementsAre("W0412", "W0401"));
}

TEST(CompileJob, ChecksShapesButNoGraphWithoutTheSemanticLayer) {
  CompileOptions options;
  options.semantic = false;
  const CompiledJob job = CompileTest(
      JobOf(R"("f": {"type": "t_filter", "inputs": ["nowhere"], "where": "a +"})"), options);
  EXPECT_THAT(CodesOf(job), ElementsAre("W0401"));
}

TEST(CompileJob, TurnsWarningsIntoErrorsIfStrict) {
  CompileOptions options;
  options.allow_literal_secrets = true;
  CompiledJob job = WithOptions(R"("key": "hunter2")", options);
  EXPECT_TRUE(job.plan.has_value());
  EXPECT_THAT(CodesOf(job), ElementsAre("W0212"));
  options.strict = true;
  job = WithOptions(R"("key": "hunter2")", options);
  EXPECT_FALSE(job.plan.has_value());
  EXPECT_THAT(FormatProblemsText(job), Not(HasSubstr("hunter2\n")));
}

TEST(CompileJob, AnswersPlannedTypesAndOptionsAsSuch) {
  EXPECT_THAT(CodesOf(CompileTest(JobOf(
                  SourceNode() + R"(,"x": {"type": "top_n", "inputs": ["in"], "limit": 3}, )" +
                  SinkNode("out", "x")))),
              ElementsAre("W0210"));
  EXPECT_THAT(CodesOf(CompileTest(
                  JobOf(SourceNode() + R"(,"x": {"type": "t_later"}, )" + SinkNode("out", "in")))),
              ElementsAre("W0210"));
  EXPECT_THAT(OptionCodes(R"("later": "x")"), ElementsAre("W0210"));
  EXPECT_THAT(OptionCodes(R"("mode": "exact")"), ElementsAre("W0210"));
  EXPECT_THAT(OptionCodes(R"("shape": {"type": "star"})"), ElementsAre("W0210"));
  EXPECT_THAT(CodesOf(CompileTest(R"({"weir": 1, "name": "t", "tables": {}, "nodes": {)" +
                                  SourceNode() + "," + SinkNode("out", "in") + "}}")),
              ElementsAre("W0210"));
  EXPECT_THAT(
      CodesOf(CompileTest(JobOf(R"("in": {"type": "t_source", "schema": {"a": "array<int64>"}}, )" +
                                SinkNode("out", "in")))),
      ElementsAre("W0210"));
  EXPECT_THAT(
      CodesOf(CompileTest(JobOf(
          R"("in": {"type": "t_source", "schema": {"a": "int64"}, "format": {"type": "avro"}}, )" +
          SinkNode("out", "in")))),
      ElementsAre("W0210"));
}

TEST(CompileJob, KeepsWarningsBesideAPlan) {
  CompileOptions options;
  options.allow_literal_secrets = true;
  const CompiledJob job = WithOptions(R"("key": "x")", options);
  EXPECT_EQ(ExitCodeOf(job), 0);
  EXPECT_THAT(FormatProblemsText(job), HasSubstr("1 warning in 1 file.\n"));
}

TEST(ShapeChecker, TakesEveryTypeOfOptionInItsForm) {
  EXPECT_THAT(
      OptionCodes(
          R"("flag": false, "count": 3, "ratio": 0.5, "text": "t", "plain": "p", "mode": "fast", "wait": "1m30s", "shift": "-5m", "drift": "off",
    "size": "64MiB", "rate": "500/s", "when": "2026-01-01T00:00:00Z", "words": ["a"], "map": {"a": "b"}, "object": {"must": "x"}, "shape": {"type": "round", "radius": 2})"),
      IsEmpty());
  EXPECT_THAT(OptionCodes(R"("count": "all")"), IsEmpty());
}

TEST(ShapeChecker, RefusesValuesOfAnotherType) {
  for (const char* const members :
       {R"("flag": 1)", R"("flag": "yes")", R"("count": 1.5)", R"("count": "3")",
        R"("count": 99999999999999999999)", R"("ratio": "half")", R"("text": 1)", R"("mode": true)",
        R"("wait": {})", R"("drift": null)", R"("when": 5)", R"("words": "a")", R"("words": [1])",
        R"("map": [])", R"("map": {"a": 1})", R"("object": 3)", R"("shape": "round")",
        R"("inputs": "in")"}) {
    const bool inputs = std::string(members).find("inputs") != std::string::npos;
    const std::string node =
        inputs ? R"("x": {"type": "t_options", "inputs": "in"})"
               : R"("x": {"type": "t_options", "inputs": ["in"], )" + std::string(members) + "}";
    EXPECT_THAT(CodesOf(CompileTest(JobOf(SourceNode() + "," + node + "," + SinkNode("out", "x")))),
                Contains("W0203"))
        << members;
  }
}

TEST(ShapeChecker, RefusesValuesOutOfRange) {
  for (const char* const members :
       {R"("count": 0)", R"("count": 11)", R"("ratio": 1.01)", R"("wait": "1ms")",
        R"("wait": "2h")", R"("wait": "-5s")", R"("wait": "soon")", R"("wait": "")",
        R"("shift": "-2h")", R"("drift": "99999999d")", R"("size": "1B")", R"("size": "2GiB")",
        R"("size": "1 MiB")", R"("rate": "0/s")", R"("rate": "5")", R"("when": "yesterday")"}) {
    EXPECT_THAT(OptionCodes(members), ElementsAre("W0204")) << members;
  }
}

TEST(ShapeChecker, AsksForAUnitWhereANumberStandsAlone) {
  for (const char* const members : {R"("wait": 5)", R"("wait": "5")", R"("drift": 3)",
                                    R"("size": 5)", R"("size": "5")", R"("rate": 500)"}) {
    EXPECT_THAT(OptionCodes(members), ElementsAre("W0208")) << members;
  }
}

TEST(ShapeChecker, SuggestsTheNearestName) {
  CompiledJob job = WithOptions(R"("flga": true)");
  ASSERT_THAT(CodesOf(job), ElementsAre("W0201"));
  EXPECT_EQ(job.problems.list()[0].help, "did you mean 'flag'?");
  EXPECT_EQ(job.problems.list()[0].fix, "flag");
  job = WithOptions(R"("mode": "slwo")");
  ASSERT_THAT(CodesOf(job), ElementsAre("W0209"));
  EXPECT_EQ(job.problems.list()[0].fix, "slow");
  job = WithOptions(R"("shape": {"type": "sqare"})");
  ASSERT_THAT(CodesOf(job), ElementsAre("W0211"));
  EXPECT_EQ(job.problems.list()[0].fix, "square");
}

TEST(ShapeChecker, FindsMissingMembersAtEveryDepth) {
  EXPECT_THAT(OptionCodes(R"("object": {})"), ElementsAre("W0202"));
  EXPECT_THAT(OptionCodes(R"("shape": {})"), ElementsAre("W0202"));
  EXPECT_THAT(OptionCodes(R"("shape": {"type": "round"})"), ElementsAre("W0202"));
  EXPECT_THAT(OptionCodes(R"("shape": {"type": "square", "radius": 1})"), ElementsAre("W0201"));
}

// Substitution
// ----------------------------------------------------------------------------------------------------------------------------------------

CompileOptions WithEnvironment() {
  CompileOptions options;
  options.environment = [](const std::string& name) -> std::optional<std::string> {
    static const std::map<std::string, std::string> kValues = {{"NAME", "value"},
                                                               {"COUNT", "4"},
                                                               {"LOOP", "${LOOP}"},
                                                               {"SECRETISH", "${secret:other}"},
                                                               {"BAD", "\xff\xfe"}};
    const auto found = kValues.find(name);
    return found == kValues.end() ? std::nullopt : std::optional(found->second);
  };
  return options;
}

std::string TextAfter(const std::string& value) {
  const CompiledJob job = WithOptions(R"("text": )" + Json(value).dump(), WithEnvironment());
  if (job.has_errors()) return CodesOf(job).front();
  return job.plan->nodes[1].config->Text("text");
}

TEST(Substitution, ReplacesVariablesOnceAndNeverLooksIntoTheirValues) {
  EXPECT_EQ(TextAfter("a ${NAME} b"), "a value b");
  EXPECT_EQ(TextAfter("${NONE:-fallback}"), "fallback");
  EXPECT_EQ(TextAfter("${NONE:-}"), "");
  EXPECT_EQ(TextAfter("${NAME:-x}${NAME}"), "valuevalue");
  EXPECT_EQ(TextAfter("$${NAME} costs $5"), "${NAME} costs $5");
  EXPECT_EQ(TextAfter("${LOOP}"), "${LOOP}");
}

TEST(Substitution, RefusesEveryOtherForm) {
  for (const char* const value :
       {"${NONE}", "${}", "${a b}", "${NONE:?set it}", "${NAME", "${${NAME}}", "${NAME:-${NAME}}",
        "${params.none}", "${secret:x}", "${NAME:+x}", "${1A}", "${BAD}"}) {
    EXPECT_EQ(TextAfter(value), "W0214") << value;
  }
}

TEST(Substitution, GivesNumbersAndWordsTheirType) {
  CompiledJob job = WithOptions(
      R"("count": "${COUNT}", "mode": "${NONE:-slow}", "flag": "${NONE:-false}", "wait": "${NONE:-5s}", "ratio": "${NONE:-0.25}")",
      WithEnvironment());
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  const NodeConfig& config = *job.plan->nodes[1].config;
  EXPECT_EQ(config.Int("count"), 4);
  EXPECT_EQ(config.Text("mode"), "slow");
  EXPECT_FALSE(config.Bool("flag"));
  EXPECT_EQ(config.DurationOf("wait"), Seconds(5));
  EXPECT_EQ(config.Float("ratio"), 0.25);
  EXPECT_THAT(CodesOf(WithOptions(R"("count": "${NAME}")", WithEnvironment())),
              ElementsAre("W0203"));
}

TEST(Substitution, StandsOnlyWhereTheOptionSaysSo) {
  EXPECT_THAT(OptionCodes(R"("plain": "${NAME:-x}")"), ElementsAre("W0214"));
  EXPECT_THAT(OptionCodes(R"("plain": "$${NAME}")"), IsEmpty());
}

std::string WithParameters(const std::string& parameters, const std::string& members) {
  return R"({"weir": 1, "name": "t", "params": {)" + parameters + R"(}, "nodes": {)" +
         SourceNode() + R"(, "x": {"type": "t_options", "inputs": ["in"], )" + members + "}," +
         SinkNode("out", "x") + "}}";
}

TEST(Parameters, TakeTheirDefaultOrWhatIsGiven) {
  const std::string text = WithParameters(
      R"("n": {"type": "int64", "default": 2}, "w": {"type": "duration", "default": "1m"}, "m": {"type": "string"})",
      R"("count": "${params.n}", "wait": "${params.w}", "mode": "${params.m}", "text": "n=${params.n}")");
  CompileOptions options;
  options.params = {{"m", "fast"}, {"n", "5"}, {"n", "6"}};
  const CompiledJob job = CompileTest(text, options);
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  const NodeConfig& config = *job.plan->nodes[1].config;
  EXPECT_EQ(config.Int("count"), 6);
  EXPECT_EQ(config.DurationOf("wait"), Seconds(60));
  EXPECT_EQ(config.Text("mode"), "fast");
  EXPECT_EQ(config.Text("text"), "n=6");
  EXPECT_THAT(CodesOf(CompileTest(text)), Contains("W0215"));
}

TEST(Parameters, AreValuesOfTheirType) {
  for (const char* const parameter :
       {R"("a": {"type": "int64", "default": 1.5})",
        R"("a": {"type": "int32", "default": 3000000000})",
        R"("a": {"type": "bool", "default": "maybe"})",
        R"("a": {"type": "duration", "default": 5})",
        R"("a": {"type": "timestamp", "default": "noon"})",
        R"("a": {"type": "string", "default": 1})", R"("a": {"type": "int64", "default": null})",
        R"("a": {"type": "date", "default": "2026-02-31"})",
        R"x("a": {"type": "decimal(4,2)", "default": "x"})x"}) {
    EXPECT_THAT(CodesOf(CompileTest(WithParameters(parameter, R"("text": "x")"))),
                ElementsAre("W0215"))
        << parameter;
  }
  EXPECT_THAT(CodesOf(CompileTest(WithParameters(R"("a": {"type": "map"})", R"("text": "x")"))),
              ElementsAre("W0404"));
  EXPECT_THAT(CodesOf(CompileTest(
                  WithParameters(R"("A": {"type": "int64", "default": 1})", R"("text": "x")"))),
              ElementsAre("W0207"));
  EXPECT_THAT(CodesOf(CompileTest(WithParameters(R"("a": 5)", R"("text": "x")"))),
              ElementsAre("W0203"));
  CompileOptions options;
  options.params = {{"unknown", "1"}};
  EXPECT_THAT(CodesOf(CompileTest(Small(), options)), ElementsAre("W0215"));
}

TEST(Parameters, AreSeenByExpressions) {
  const auto job = [](const std::string& parameter) {
    return CompileTest(
        R"({"weir": 1, "name": "t", "params": {"p": )" + parameter + R"(}, "nodes": {)" +
        SourceNode() +
        R"x(, "f": {"type": "t_filter", "inputs": ["in"], "where": "param('p') = param('p')"}, )x" +
        SinkNode("out", "f") + "}}");
  };
  for (const char* const parameter :
       {R"({"type": "int64", "default": 5})", R"({"type": "duration", "default": "1h30m"})",
        R"({"type": "string", "default": "it's"})",
        R"({"type": "timestamp", "default": "2026-01-01T00:00:00Z"})",
        R"x({"type": "decimal(4,2)", "default": "1.50"})x", R"({"type": "bool", "default": true})",
        R"({"type": "date", "default": "2026-01-31"})", R"({"type": "float64", "default": 0.5})",
        R"({"type": "int64?", "default": null})"}) {
    const CompiledJob compiled = job(parameter);
    EXPECT_THAT(CodesOf(compiled), IsEmpty()) << parameter << FormatProblemsText(compiled);
  }
}

// Connections
// -----------------------------------------------------------------------------------------------------------------------------------------

std::vector<std::string> ConnectionCodes(const std::string& connection) {
  return CodesOf(CompileTest(R"({"weir": 1, "name": "t", "connections": {"main": )" + connection +
                             R"(}, "nodes": {)" + SourceNode() + "," + SinkNode("out", "in") +
                             "}}"));
}

TEST(Connections, AreCheckedAgainstTheirType) {
  EXPECT_THAT(ConnectionCodes(R"({"type": "kafka", "brokers": "a:1"})"), IsEmpty());
  EXPECT_THAT(
      ConnectionCodes(
          R"({"type": "kafka", "brokers": "a:1", "security": {"protocol": "sasl_ssl", "mechanism": "PLAIN", "username": "u", "password": "${secret:p}"}})"),
      IsEmpty());
  EXPECT_THAT(ConnectionCodes(R"({"type": "kafka"})"), ElementsAre("W0202"));
  EXPECT_THAT(ConnectionCodes(R"({"brokers": "a:1"})"), ElementsAre("W0202"));
  EXPECT_THAT(ConnectionCodes(R"({"type": "kafak", "brokers": "a:1"})"), ElementsAre("W0211"));
  EXPECT_THAT(ConnectionCodes(R"({"type": "redis"})"), ElementsAre("W0210"));
  EXPECT_THAT(ConnectionCodes(
                  R"({"type": "kafka", "brokers": "a:1", "security": {"protocol": "sasl_ssl"}})"),
              ElementsAre("W0202", "W0202", "W0202"));
  EXPECT_THAT(
      ConnectionCodes(
          R"({"type": "kafka", "brokers": "a:1", "security": {"mechanism": "OAUTHBEARER"}})"),
      ElementsAre("W0210"));
  EXPECT_THAT(ConnectionCodes(
                  R"({"type": "kafka", "brokers": "a:1", "security": {"password": "hunter2"}})"),
              ElementsAre("W0212"));
  EXPECT_THAT(ConnectionCodes(R"(5)"), ElementsAre("W0203"));
}

// J17 ... J21
TEST(Connections, RefusePropertiesThatAreNotAllowed) {
  const auto codes = [](const std::string& property) {
    return ConnectionCodes(R"({"type": "kafka", "brokers": "a:1", "properties": {")" + property +
                           R"(": "x"}})");
  };
  for (const char* const property :
       {"plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location", "ssl.providers",
        "ssl.key.location", "sasl.oauthbearer.token.endpoint.url", "transactional.id",
        "enable.auto.commit", "auto.offset.reset", "isolation.level", "debug",
        "enable.ssl.certificate.verification", "clietn.id", "__proto__"}) {
    EXPECT_THAT(codes(property), ElementsAre("W0213")) << property;
  }
  EXPECT_THAT(codes("client.id"), IsEmpty());
  EXPECT_THAT(codes("linger.ms"), IsEmpty());
}

// J15, J16
TEST(Secrets, StayReferencesInThePlanAndAreNoPartOfTheHash) {
  const auto job = [](const std::string& password) {
    return CompileTest(
        R"({"weir": 1, "name": "t", "connections": {"main": {"type": "kafka", "brokers": "a:1", "security": {"password": ")" +
            password + R"("}}}, "nodes": {)" + SourceNode() + "," + SinkNode("out", "in") + "}}",
        WithEnvironment());
  };
  const CompiledJob sound = job("${secret:kafka/password}");
  ASSERT_TRUE(sound.plan.has_value());
  EXPECT_EQ(sound.plan->settings->connections->at("main")["security"]["password"],
            "${secret:kafka/password}");
  for (const char* const bad :
       {"${secret:../x}", "${secret:a/../b}", "${secret:a/b/c}", "${secret:}", "${secret:a b}"}) {
    EXPECT_THAT(CodesOf(job(bad)), ElementsAre("W0214")) << bad;
  }
  EXPECT_THAT(CodesOf(job("${NAME}")), ElementsAre("W0212"));
  // A variable cannot bring in a reference of its own.
  const CompiledJob mixed = job("${secret:a}${SECRETISH}");
  ASSERT_TRUE(mixed.plan.has_value());
  EXPECT_EQ(mixed.plan->settings->connections->at("main")["security"]["password"],
            "${secret:a}$${secret:other}");
}

}  // namespace
}  // namespace weir::jobs
