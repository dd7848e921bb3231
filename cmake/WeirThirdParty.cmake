# Third-party libraries as targets weir_third_party::<name>, with SYSTEM includes. Each may be linked only by the
# target whose folder wraps it; tests/tidy checks the includes. `./dev build` installs what is missing here.

# weir_third_party(<name> PACKAGE <Debian package> HEADER <file> [STATIC <library>...] [SHARED <library>...]
#                  [DEFINES <macro>...] [LINK <target or library>...] [INCLUDE <directory>])
# Finds a header and libraries in the compiler's default places. STATIC takes lib<library>.a, SHARED the .so.
function(weir_third_party name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE;HEADER" "STATIC;SHARED;DEFINES;LINK")
  set(missing "")
  find_path(WEIR_${name}_INCLUDE "${arg_HEADER}")
  mark_as_advanced(WEIR_${name}_INCLUDE)
  if(NOT WEIR_${name}_INCLUDE)
    set(missing "header ${arg_HEADER}")
  endif()
  add_library(weir_third_party_${name} INTERFACE)
  add_library(weir_third_party::${name} ALIAS weir_third_party_${name})
  foreach(library IN LISTS arg_STATIC arg_SHARED)
    if(library IN_LIST arg_STATIC)
      find_library(WEIR_${name}_${library}_LIBRARY NAMES "lib${library}.a")
    else()
      find_library(WEIR_${name}_${library}_LIBRARY NAMES "lib${library}.so")
    endif()
    mark_as_advanced(WEIR_${name}_${library}_LIBRARY)
    if(NOT WEIR_${name}_${library}_LIBRARY)
      set(missing "library ${library}")
    endif()
    target_link_libraries(weir_third_party_${name} INTERFACE "${WEIR_${name}_${library}_LIBRARY}")
  endforeach()
  if(missing)
    set_property(GLOBAL APPEND PROPERTY WEIR_MISSING "  ${name}: ${missing} (Debian package ${arg_PACKAGE})")
    return()
  endif()
  if(NOT WEIR_${name}_INCLUDE STREQUAL "/usr/include")
    target_include_directories(weir_third_party_${name} SYSTEM INTERFACE "${WEIR_${name}_INCLUDE}")
  endif()
  target_compile_definitions(weir_third_party_${name} INTERFACE ${arg_DEFINES})
  target_link_libraries(weir_third_party_${name} INTERFACE ${arg_LINK})
endfunction()

find_package(Threads REQUIRED)

weir_third_party(zlib PACKAGE zlib1g-dev HEADER zlib.h STATIC z)
weir_third_party(lz4 PACKAGE liblz4-dev HEADER lz4.h STATIC lz4)
weir_third_party(zstd PACKAGE libzstd-dev HEADER zstd.h STATIC zstd)
weir_third_party(bz2 PACKAGE libbz2-dev HEADER bzlib.h STATIC bz2)
weir_third_party(snappy PACKAGE libsnappy-dev HEADER snappy.h STATIC snappy)
# OpenSSL shared: security fixes of the system reach Weir without a new build.
weir_third_party(openssl PACKAGE libssl-dev HEADER openssl/ssl.h SHARED ssl crypto)

weir_third_party(nlohmann_json PACKAGE nlohmann-json3-dev HEADER nlohmann/json.hpp)
weir_third_party(fmt PACKAGE libfmt-dev HEADER fmt/format.h SHARED fmt DEFINES FMT_SHARED)
weir_third_party(spdlog PACKAGE libspdlog-dev HEADER spdlog/spdlog.h SHARED spdlog
  DEFINES SPDLOG_COMPILED_LIB SPDLOG_SHARED_LIB SPDLOG_FMT_EXTERNAL LINK weir_third_party::fmt Threads::Threads)
# xxHash inlined: librdkafka.a carries the same symbols, a second static copy would not link; and short keys hash faster.
weir_third_party(xxhash PACKAGE libxxhash-dev HEADER xxhash.h DEFINES XXH_INLINE_ALL
  "$<$<CONFIG:Debug>:XXH_NO_INLINE_HINTS=1>")  # GCC refuses its always_inline at -Og
weir_third_party(protobuf_c PACKAGE libprotobuf-c-dev HEADER protobuf-c/protobuf-c.h STATIC protobuf-c)
weir_third_party(pg_query PACKAGE libpg-query-dev HEADER pg_query.h STATIC pg_query
  LINK weir_third_party::protobuf_c Threads::Threads)
weir_third_party(re2 PACKAGE libre2-dev HEADER re2/re2.h STATIC re2 LINK Threads::Threads)
weir_third_party(utf8proc PACKAGE libutf8proc-dev HEADER utf8proc.h STATIC utf8proc DEFINES UTF8PROC_STATIC)
weir_third_party(date PACKAGE libhowardhinnant-date-dev HEADER date/tz.h SHARED date-tz
  DEFINES USE_OS_TZDB=1 HAS_REMOTE_API=0 AUTO_DOWNLOAD=0)
# simdjson: without this definition its headers differ from the packaged library in a debug build.
weir_third_party(simdjson PACKAGE libsimdjson-dev HEADER simdjson.h SHARED simdjson
  DEFINES SIMDJSON_DEVELOPMENT_CHECKS=0)
weir_third_party(rocksdb PACKAGE librocksdb-dev HEADER rocksdb/db.h STATIC rocksdb
  LINK weir_third_party::snappy weir_third_party::zlib weir_third_party::bz2 weir_third_party::lz4
       weir_third_party::zstd Threads::Threads dl)
weir_third_party(prometheus PACKAGE prometheus-cpp-dev HEADER prometheus/registry.h SHARED prometheus-cpp-core)
weir_third_party(cli11 PACKAGE libcli11-dev HEADER CLI/CLI.hpp)
weir_third_party(httplib PACKAGE libcpp-httplib-dev HEADER httplib.h SHARED cpp-httplib
  DEFINES CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT CPPHTTPLIB_BROTLI_SUPPORT
  LINK weir_third_party::openssl weir_third_party::zlib Threads::Threads)
weir_third_party(curl PACKAGE libcurl4-openssl-dev HEADER curl/curl.h SHARED curl LINK Threads::Threads)
weir_third_party(brotli PACKAGE libbrotli-dev HEADER brotli/decode.h)
weir_third_party(gtest PACKAGE libgtest-dev HEADER gtest/gtest.h STATIC gtest LINK Threads::Threads)
weir_third_party(gmock PACKAGE libgmock-dev HEADER gmock/gmock.h STATIC gmock gmock_main
  LINK weir_third_party::gtest)
weir_third_party(benchmark PACKAGE libbenchmark-dev HEADER benchmark/benchmark.h SHARED benchmark
  LINK Threads::Threads)
weir_third_party(sasl PACKAGE libsasl2-dev HEADER sasl/sasl.h SHARED sasl2)

# librdkafka: Weir's own static build, see deploy/third_party/librdkafka.sh. Debian 13's package would serve as well.
execute_process(COMMAND "${PROJECT_SOURCE_DIR}/deploy/third_party/librdkafka.sh" --prefix
  OUTPUT_VARIABLE WEIR_RDKAFKA_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
add_library(weir_third_party_rdkafka INTERFACE)
add_library(weir_third_party::rdkafka ALIAS weir_third_party_rdkafka)
if(EXISTS "${WEIR_RDKAFKA_PREFIX}/lib/librdkafka.a")
  target_include_directories(weir_third_party_rdkafka SYSTEM INTERFACE "${WEIR_RDKAFKA_PREFIX}/include")
  target_compile_definitions(weir_third_party_rdkafka INTERFACE LIBRDKAFKA_STATICLIB)
  target_link_libraries(weir_third_party_rdkafka INTERFACE "${WEIR_RDKAFKA_PREFIX}/lib/librdkafka.a"
    weir_third_party::openssl weir_third_party::sasl weir_third_party::zstd weir_third_party::zlib
    Threads::Threads dl rt m)
  if(WEIR_SANITIZE MATCHES thread)
    add_library(weir_c11_threads STATIC "${PROJECT_SOURCE_DIR}/cmake/c11_threads.c")
    target_compile_options(weir_c11_threads PRIVATE -fsanitize=thread)
    target_link_libraries(weir_third_party_rdkafka INTERFACE weir_c11_threads)
  endif()
else()
  set_property(GLOBAL APPEND PROPERTY WEIR_MISSING "  librdkafka: ${WEIR_RDKAFKA_PREFIX} (built by ./dev build)")
endif()

get_property(weir_missing GLOBAL PROPERTY WEIR_MISSING)
if(weir_missing)
  list(JOIN weir_missing "\n" weir_missing)
  message(FATAL_ERROR "Missing third-party libraries; `./dev build` installs them on Debian:\n${weir_missing}")
endif()
