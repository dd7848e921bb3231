#include "connectors/in_process_kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace weir {
namespace {

constexpr size_t kErrorTextBytes = 512;

class MockBroker final : public InProcessKafka {
 public:
  MockBroker(rd_kafka_t* handle, rd_kafka_mock_cluster_t* cluster)
      : handle_(handle), cluster_(cluster), brokers_(rd_kafka_mock_cluster_bootstraps(cluster)) {}
  ~MockBroker() override {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  const std::string& brokers() const override { return brokers_; }
  Status CreateTopic(const std::string& name, int partitions) override {
    const rd_kafka_resp_err_t error =
        rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, /*replication_factor=*/1);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      return Status::Ok();
    return Status(Code::kUnavailable,
                  "cannot make topic '" + name + "': " + rd_kafka_err2str(error));
  }

 private:
  rd_kafka_t* const handle_;
  rd_kafka_mock_cluster_t* const cluster_;
  const std::string brokers_;
};

}  // namespace

Result<std::unique_ptr<InProcessKafka>> InProcessKafka::Start() {
  char error[kErrorTextBytes] = {};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "enable.metrics.push", "false", nullptr, 0);
  rd_kafka_conf_set(conf, "log_level", "3", nullptr,
                    0);  // it warns that it has no broker to connect to, which is right: it is one
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error,
                                    sizeof(error));  // the mock cluster lives inside of a client
  if (handle == nullptr) {
    rd_kafka_conf_destroy(conf);
    return Status(Code::kInternal, std::string("cannot start the in-process broker: ") + error);
  }
  rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new(handle, /*broker_cnt=*/1);
  if (cluster == nullptr) {
    rd_kafka_destroy(handle);
    return Status(Code::kInternal, "cannot start the in-process broker");
  }
  return std::unique_ptr<InProcessKafka>(std::make_unique<MockBroker>(handle, cluster));
}

}  // namespace weir
