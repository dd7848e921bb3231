#include "tests/harness/paths.h"

namespace weir {

std::string SourceDirectory() { return WEIR_SOURCE_DIR; }

std::string BinaryDirectory() { return WEIR_BINARY_DIR; }

}  // namespace weir
