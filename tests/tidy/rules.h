#pragma once
// The rules of the house that a test can check: each is a function from the working copy to its
// violations.
//
// Called by tests/tidy/tidy_test.cc. A message names what to write instead. Places where a rule
// rightly does not hold stand in tests/tidy/exceptions.txt, one a line: rule, path, reason.

#include <functional>
#include <string>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace weir::tidy {

struct Finding {
  std::string rule;
  std::string path;
  int line = 0;  // 0: the whole file
  std::string message;

  std::string ToString() const;
};

using Findings = std::vector<Finding>;

struct Rule {
  std::string name;  // as in exceptions.txt
  std::function<Findings(const SourceTree&)> check;
};

// Structure.
Findings IncludeDirection(const SourceTree& tree);
Findings PrivateHeaders(const SourceTree& tree);
Findings ThirdPartyInWrapper(const SourceTree& tree);
Findings BannedCalls(const SourceTree& tree);
Findings UnorderedIteration(const SourceTree& tree);
Findings TestTwins(const SourceTree& tree);
Findings HeadersAreIncluded(const SourceTree& tree);

// Form.
Findings FileNames(const SourceTree& tree);
Findings HeaderComments(const SourceTree& tree);
Findings NoUsingNamespaceInHeaders(const SourceTree& tree);
Findings NoFixme(const SourceTree& tree);
Findings NoTrailingBlanks(const SourceTree& tree);
Findings NoLargeFiles(const SourceTree& tree);

// Documents.
Findings LinksResolve(const SourceTree& tree);
Findings NamedPagesExist(const SourceTree& tree);
Findings NoMachinePaths(const SourceTree& tree);

/// The rows of tests/acceptance.txt: each id once, each with tests that exist or a reason.
Findings AcceptanceRows(const SourceTree& tree);

/// All of the above.
const std::vector<Rule>& AllRules();

/// `sources` that no compile command names; paths relative to the root.
Findings SourcesWithoutTarget(const SourceTree& tree, const std::vector<std::string>& compiled);

/// Removes the findings that `exceptions` (the text of exceptions.txt) allows, and adds one for
/// each line that is malformed or allows nothing any more.
Findings ApplyExceptions(const Findings& findings, const std::string& exceptions);

}  // namespace weir::tidy
