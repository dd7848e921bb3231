#pragma once
// S3Server: a real S3 server (versitygw over a directory) that a test owns: started, killed,
// started again. Called on one thread. It checks signatures and body hashes and enforces
// If-None-Match.
//
// Failure: Start answers a Status; kNotFound says that there is no program (no Go to build it
// with), and then the test skips. Lifetime: the destructor kills the server and removes its
// directory.

#include <sys/types.h>

#include <memory>
#include <string>

#include "engine/base/status.h"

namespace weir {

class S3Server {
 public:
  static constexpr const char* kKeyId = "WEIRTESTKEY000000001";
  static constexpr const char* kSecretKey = "weir-test-secret-0123456789";
  static constexpr const char* kBucket = "weir-test";

  /// With an empty bucket kBucket; waits until it serves.
  static Result<std::unique_ptr<S3Server>> Start();
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;
  ~S3Server();

  void Kill();       // -9, and waits. REQUIRES: it runs
  Status Restart();  // on the same directory and port, after Kill

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string endpoint() const { return "http://" + address(); }
  int port() const { return port_; }
  /// The bucket's objects are files below it.
  std::string bucket_directory() const { return directory_ + "/data/" + kBucket; }

 private:
  S3Server(std::string directory, int port) : directory_(std::move(directory)), port_(port) {}

  const std::string directory_;
  const int port_;
  pid_t process_id_ = 0;
};

/// The server that all tests of a process share; started by the first call, stopped at its end.
Result<S3Server*> SharedS3Server();

}  // namespace weir
