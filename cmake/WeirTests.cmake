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
