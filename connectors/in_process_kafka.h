#pragma once
// InProcessKafka: librdkafka's mock broker as a Kafka without an installation, for the demo: real
// protocol over loopback, no transactions, at most about 5 MB or 100 k messages a partition. Never
// used by a job that was not pointed at it. Main thread; must outlive the clients that use it.

#include <memory>
#include <string>

#include "engine/base/status.h"

namespace weir {

class InProcessKafka {
 public:
  static Result<std::unique_ptr<InProcessKafka>> Start();
  virtual ~InProcessKafka() = default;  // stops the broker
  virtual const std::string& brokers() const = 0;
  virtual Status CreateTopic(const std::string& name, int partitions) = 0;
};

}  // namespace weir
