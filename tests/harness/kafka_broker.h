#pragma once
// KafkaBroker: a real Apache Kafka broker that a test owns: started, stopped, killed, restarted.
//
// Called by tests and benchmarks on one thread. Each broker has its own directory and free ports,
// so that tests run side by side. Tests that only need some broker use SharedKafka(): one broker
// for the whole run, started by the CTest fixture `kafka`; they must name their topics uniquely
// (UniqueTopic).
//
// Failure: a Status with the end of the script's output; the work is done by deploy/kafka/kafka.sh.
// Lifetime: the destructor stops the broker and removes its directory.

#include <sys/types.h>

#include <memory>
#include <string>

#include "engine/base/status.h"

namespace weir {

/// Where a broker listens. The secure addresses are empty unless it was started secure.
struct KafkaAddresses {
  std::string plaintext;  // host:port, no authentication
  std::string sasl_ssl;   // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; user alice, password alice-secret
  std::string ssl;        // TLS; a client certificate is optional
  std::string sasl_plaintext;  // as sasl_ssl, without TLS
  std::string ca_path;         // certificate authority of the listeners with TLS
  std::string client_certificate_path;
  std::string client_key_path;
};

class KafkaBroker {
 public:
  struct Options {
    bool secure = false;
    bool load = false;  // a large JVM, for benchmarks
  };

  /// Starts a broker with empty data and waits until it serves (seconds).
  static Result<std::unique_ptr<KafkaBroker>> Start(const Options& options);

  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;
  ~KafkaBroker();

  /// Ends it in order; its data and ports stay. REQUIRES: it runs.
  Status Stop();
  /// kill -9, and waits until the process is gone. REQUIRES: it runs.
  Status Kill();
  /// SIGSTOP and SIGCONT: a broker that hangs but keeps its connections. REQUIRES: it runs.
  Status Pause();
  Status Continue();
  /// Starts it again on the same data and ports after Stop or Kill.
  Status Restart();

  const KafkaAddresses& addresses() const { return addresses_; }
  const std::string& bootstrap() const { return addresses_.plaintext; }
  pid_t process_id() const { return process_id_; }

 private:
  KafkaBroker(const Options& options, std::string directory);
  Status Up();
  Status Signal(int signal);

  const Options options_;
  const std::string directory_;
  KafkaAddresses addresses_;
  pid_t process_id_ = 0;  // 0: not running
};

/// The broker that all tests of a run share, with secure listeners. Under CTest the fixture has
/// started it; by hand the first call does, and it goes on running for the next run (`./dev clean`
/// stops it).
Result<KafkaAddresses> SharedKafka();

/// A topic name that no other test, process or earlier run uses:
/// "<prefix>-<process>-<time>-<count>".
std::string UniqueTopic(const std::string& prefix);

}  // namespace weir
