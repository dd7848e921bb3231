# Test binaries: one per folder of tests/, made of its *_test.cc, each test known to CTest by itself.

include(GoogleTest)

# weir_tests(<folder> [TESTS_ONLY] [DIRS <subfolder>...] [LINK <target>...] [PROPERTIES <CTest property> <value>...]
#            [DEFINES <macro>...])
# Builds tests/<folder>/*_test.cc (and of DIRS), with any other *.cc beside them unless TESTS_ONLY, into <folder>_tests,
# labelled <folder>. Without a test there is no target.
function(weir_tests folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TESTS_ONLY" "" "DIRS;LINK;PROPERTIES;DEFINES")
  set(directory "${PROJECT_SOURCE_DIR}/tests/${folder}")
  set(patterns "${directory}/*.cc")
  foreach(sub IN LISTS arg_DIRS)
    list(APPEND patterns "${directory}/${sub}/*.cc")
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  if(arg_TESTS_ONLY)
    list(FILTER sources INCLUDE REGEX "_test\\.cc$")
  endif()
  if(NOT sources MATCHES "_test\\.cc")
    return()
  endif()
  string(REPLACE "/" "_" name "${folder}")
  set(target "${name}_tests")
  add_executable(${target} ${sources})
  weir_own_target(${target})
  target_link_libraries(${target} PRIVATE ${arg_LINK} weir_third_party::gmock)
  target_compile_definitions(${target} PRIVATE ${arg_DEFINES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_precompile_headers(${target} PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    PROPERTIES LABELS "${folder}" TIMEOUT 300 ${arg_PROPERTIES})
endfunction()

# weir_fuzz(<name> [LINK <target>...]): tests/fuzz/<name>_fuzz.cc as <name>_replay, run over its seeds, damaged copies of
# them and tests/fuzz/corpus/<name>/ as the CTest fuzz.<name>; in the fuzz preset also as <name>_fuzz with libFuzzer.
function(weir_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  set(directory "${PROJECT_SOURCE_DIR}/tests/fuzz")
  add_executable(${name}_replay "${directory}/${name}_fuzz.cc" "${directory}/replay.cc")
  add_test(NAME fuzz.${name} COMMAND ${name}_replay "${directory}/corpus/${name}")
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 300)
  set(targets ${name}_replay)
  if(WEIR_FUZZ)
    add_executable(${name}_fuzz "${directory}/${name}_fuzz.cc")
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    list(APPEND targets ${name}_fuzz)
  endif()
  foreach(target IN LISTS targets)
    weir_own_target(${target})
    target_link_libraries(${target} PRIVATE ${arg_LINK})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  endforeach()
endfunction()
