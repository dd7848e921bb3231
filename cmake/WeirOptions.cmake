# Language, warnings, hardening, sanitizers, compiler cache and linker: the flags of all of Weir's own targets.
# Third-party headers are SYSTEM includes and see none of the warnings.

set(WEIR_SANITIZE "" CACHE STRING "Sanitizers to build with, comma-separated: address, undefined, thread")
option(WEIR_LINT "Analyse the sources instead of compiling them (needs clang)" OFF)
option(WEIR_FUZZ "Build the fuzz targets (needs clang)" OFF)

if(NOT CMAKE_BUILD_TYPE)
  message(FATAL_ERROR "No build type. Use a preset: cmake --preset release (dev, tsan, lint, fuzz)")
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()

# RelWithDebInfo: line tables suffice for backtraces and profiles and halve the size of objects.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")

add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Werror
  -fno-omit-frame-pointer -fstack-protector-strong
  # Paths inside the sources: __FILE__ in logs and checks is relative, and a build is the same in any directory.
  # (The compiler cache passes them relative to build/<preset>.)
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=" -ffile-prefix-map=../../=)
target_link_options(weir_options INTERFACE -Wl,-z,relro,-z,now)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these two inside its own inlined standard library at -O2 (std::string, std::vector).
  target_compile_options(weir_options INTERFACE -Wno-restrict -Wno-stringop-overflow)
else()
  # librdkafka's produce macros are statement expressions; clang reports them in the file that uses them.
  target_compile_options(weir_options INTERFACE -Wthread-safety -Wthread-safety-beta
    -Wno-gnu-statement-expression-from-macro-expansion)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT WEIR_SANITIZE)
  target_compile_options(weir_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

if(WEIR_SANITIZE)
  target_compile_options(weir_options INTERFACE "-fsanitize=${WEIR_SANITIZE}" -fno-sanitize-recover=all)
  target_link_options(weir_options INTERFACE "-fsanitize=${WEIR_SANITIZE}")
endif()
if(WEIR_FUZZ)
  target_compile_options(weir_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The compiler cache is shared by all working copies on a machine: paths below the sources count as relative, and the
# current directory does not count. Precompiled headers need the two sloppiness entries.
find_program(WEIR_CCACHE ccache)
if(WEIR_CCACHE AND NOT WEIR_LINT)
  set(CMAKE_CXX_COMPILER_LAUNCHER env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros "${WEIR_CCACHE}")
endif()
find_program(WEIR_MOLD mold)
if(WEIR_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Lint makes no code: what stands for an object is empty, and so is what stands for a library or a program.
if(WEIR_LINT)
  find_program(WEIR_CLANG_TIDY NAMES clang-tidy-16 REQUIRED)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/lint_source.sh" "${WEIR_CLANG_TIDY}" "${PROJECT_SOURCE_DIR}")
  set(CMAKE_CXX_CREATE_STATIC_LIBRARY "<CMAKE_COMMAND> -E touch <TARGET>")
  set(CMAKE_CXX_LINK_EXECUTABLE "<CMAKE_COMMAND> -E touch <TARGET>")
endif()
