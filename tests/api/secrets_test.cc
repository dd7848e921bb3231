#include "engine/api/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/base/env_posix.h"
#include "engine/base/json.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Result<SinkParts> NoSink(const NodeConfig&, const NodeShape&) {
  return Status(Code::kInternal, "not in this test");
}

/// A connection "main" and a directory with the secret kafka/password.
class SecretStoreTest : public ::testing::Test {
 protected:
  SecretStoreTest() {
    std::string name = ::testing::TempDir() + "weir_secrets_XXXXXX";
    directory_ = mkdtemp(name.data());
    EXPECT_TRUE(env_->MakeDirectory(directory_ + "/kafka").ok());
    EXPECT_TRUE(WriteFileDurably(*env_, directory_ + "/kafka/password", "s3cret\n").ok());
    store_.emplace(*env_, directory_, [](const std::string& variable) {
      return variable == "FROM_ENV" ? std::optional<std::string>("env-value") : std::nullopt;
    });
    store_->AttachTo(*settings_);
  }
  ~SecretStoreTest() override {
    IgnoreStatus(env_->RemoveTree(directory_), "a temporary directory");
  }

  Result<KafkaConnection> Connect(const std::string& connection) {
    settings_->connections = std::make_shared<Json>(Json{{"main", *ParseJson(connection)}});
    return NodeConfig(registry_, type_, "n", *ParseJson(R"({"connection": "main"})"), {}, settings_,
                      nullptr)
        .Kafka("connection");
  }

  const std::unique_ptr<Env> env_ = MakePosixEnv(1);
  const Registry registry_;
  const NodeType type_ = {
      .name = "k",
      .doc = "d",
      .options = {{.name = "connection", .type = OptionType::kConnection, .doc = "d"}},
      .create = NoSink};
  const std::shared_ptr<JobSettings> settings_ = std::make_shared<JobSettings>();
  std::string directory_;
  std::optional<SecretStore> store_;
};

TEST_F(SecretStoreTest, ReadsFilesAndAllowedVariables) {
  EXPECT_EQ(*ResolveSecrets(*settings_, "a${secret:kafka/password}b$${x}"), "as3cretb${x}");
  EXPECT_EQ(*ResolveSecrets(*settings_, "${secret:FROM_ENV}"), "env-value");
  EXPECT_EQ(ResolveSecrets(*settings_, "${secret:OTHER}").status().code(), Code::kNotFound);
  EXPECT_EQ(ResolveSecrets(*settings_, "${secret:../kafka/password}").status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(ResolveSecrets(JobSettings(), "${secret:FROM_ENV}").status().code(), Code::kNotFound);
}

TEST_F(SecretStoreTest, GivesAConnectionOnlyWhatItsProtocolUses) {
  const auto with = [&](const std::string& protocol) {
    return Connect(
        R"({"brokers": "a:1,b:2", "security": {"protocol": ")" + protocol +
        R"(", "mechanism": "PLAIN", "username": "weir", "password": "${secret:kafka/password}", "ca": "${secret:kafka/none}"}, "properties": {"client.id": "x"}})");
  };
  const Result<KafkaConnection> plain = with("plaintext");
  ASSERT_TRUE(plain.ok()) << plain.status().ToString();
  EXPECT_EQ(plain->brokers, "a:1,b:2");
  ASSERT_EQ(plain->settings.size(), 2U);
  EXPECT_EQ(plain->settings.at("client.id").Reveal(), "x");
  EXPECT_EQ(plain->settings.at("security.protocol").Reveal(), "plaintext");
  const Result<KafkaConnection> sasl = with("sasl_plaintext");
  ASSERT_TRUE(sasl.ok()) << sasl.status().ToString();
  EXPECT_EQ(sasl->settings.at("sasl.password").Reveal(), "s3cret");
  EXPECT_EQ(sasl->settings.at("sasl.mechanism").Reveal(), "PLAIN");
  EXPECT_THAT(::testing::PrintToString(sasl->settings), Not(HasSubstr("s3cret")));
  EXPECT_FALSE(sasl->settings.contains("ssl.ca.pem"));
  const Status missing = with("sasl_ssl").status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("kafka/none"));
  EXPECT_THAT(missing.message(), Not(HasSubstr("s3cret")));
}

TEST_F(SecretStoreTest, GivesAConnectionNoPropertyThatIsNotAllowed) {
  EXPECT_EQ(
      Connect(R"({"brokers": "a:1", "properties": {"plugin.library.paths": "x"}})").status().code(),
      Code::kInvalidArgument);
  EXPECT_EQ(Connect(R"({"brokers": "a:1", "properties": {"enable.auto.commit": "true"}})")
                .status()
                .code(),
            Code::kInvalidArgument);
}

TEST(IsSecretName, KeepsInsideTheDirectory) {
  for (const char* const good : {"a", "kafka/password", "a.b_c-D9/x.y"})
    EXPECT_TRUE(IsSecretName(good)) << good;
  for (const char* const bad :
       {"", ".", "..", "../x", "a/..", "a/b/c", "/a", "a/", "a b", "a\nb", "a/../b", "a..b"})
    EXPECT_FALSE(IsSecretName(bad)) << bad;
}

}  // namespace
}  // namespace weir
