#pragma once
// SplitDiscovery: the enumerators of a job's sources for one attempt. Opens them with the restored
// splits, asks for new ones, and deals splits to tasks by the enumerator's rule, which is a
// function of the split's id alone. Open and Discover block (pool), one caller at a
// time; TakeShares and the rest are the coordinator's.

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/api/clients.h"
#include "engine/api/memory.h"
#include "engine/api/source.h"
#include "engine/plan/physical_plan.h"

namespace weir::control {

class SplitDiscovery {
 public:
  struct Surroundings {
    Env* env;
    Clients* clients;
    MemoryGovernor* memory;
    std::string cluster, incarnation;
    Attempt attempt;
  };
  /// What one task of a source node is given next.
  struct Share {
    NodeIndex node;
    TaskIndex task;
    std::vector<SplitState> splits;
    bool complete = false;
  };

  static Result<std::unique_ptr<SplitDiscovery>> Open(
      const PhysicalPlan& plan, const Surroundings& surroundings,
      const std::map<std::string, std::vector<SplitState>>& restored);
  ~SplitDiscovery();

  Status Discover(NodeIndex node);
  std::vector<Share> TakeShares();
  /// Nodes whose splits may still grow, with their discovery interval.
  std::map<NodeIndex, Duration> Intervals() const;
  bool complete(NodeIndex node) const;

 private:
  struct SourceNode;
  SplitDiscovery() = default;
  void Deal(SourceNode& source, std::vector<SplitState> splits);

  std::map<NodeIndex, std::unique_ptr<SourceNode>> sources_;
  mutable std::mutex mutex_;
  std::vector<Share> shares_;  // guarded by mutex_
};

}  // namespace weir::control
