# SPDX-License-Identifier: BSD-2-Clause
#
# The same sources for the host: unit tests, fuzzers, tools.
#
#   portolan_unit_test(NAME n SOURCES ...)       a cmocka program under ASan and UBSan, label unit
#   portolan_fuzz_test(NAME n SOURCES ... [CORPUS dir] [RUNS n] [MAX_LEN n] [LIBRARIES ...])
#                                                a libFuzzer program, a fixed number of runs per
#                                                test, label fuzz; for longer: build/fuzz-NAME DIR
#   portolan_machine_test(NAME n SCRIPT file [ARGS ...] [TAKES s] [LABELS ...] [BUILD folder])
#                                                a script that boots an emulator with what is in the folder, label machine
# Sources are relative to the top folder.

find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_program(CLANG NAMES clang clang-14 REQUIRED)
find_library(CMOCKA cmocka REQUIRED)

set(PORTOLAN_HOST_FLAGS
    -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all)
set(PORTOLAN_MACHINE_PYTHON /usr/bin/python3)

function(portolan_absolute out)
  set(result)
  foreach(file ${ARGN})
    list(APPEND result ${CMAKE_SOURCE_DIR}/${file})
  endforeach()
  set(${out} ${result} PARENT_SCOPE)
endfunction()

# Limits end what hangs, and judge nothing: ten times the SECONDS that test NAME takes on an idle host, and never less than ten
# minutes, since a host may be busy. What a test is told of it (PORTOLAN_LIMIT) lets it show its log first.
function(portolan_limit name seconds)
  math(EXPR limit "10 * ${seconds}")
  if(limit LESS 600)
    set(limit 600)
  endif()
  set_property(TEST ${name} PROPERTY TIMEOUT ${limit})
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "PORTOLAN_LIMIT=${limit}")
endfunction()

function(portolan_unit_test)
  cmake_parse_arguments(T "" "NAME" "SOURCES;ARGS;LIBRARIES" ${ARGN})
  portolan_absolute(sources ${T_SOURCES})
  add_executable(unit-${T_NAME} ${sources})
  target_include_directories(unit-${T_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(unit-${T_NAME} PRIVATE ${PORTOLAN_HOST_FLAGS} ${PORTOLAN_WARNINGS})
  target_link_options(unit-${T_NAME} PRIVATE ${PORTOLAN_HOST_FLAGS})
  target_link_libraries(unit-${T_NAME} PRIVATE ${CMOCKA} ${T_LIBRARIES})
  add_test(NAME unit-${T_NAME} COMMAND unit-${T_NAME} ${T_ARGS}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(unit-${T_NAME} PROPERTIES LABELS unit)
  portolan_limit(unit-${T_NAME} 20)
endfunction()

function(portolan_fuzz_test)
  cmake_parse_arguments(T "" "NAME;CORPUS;RUNS;MAX_LEN" "SOURCES;LIBRARIES" ${ARGN})
  foreach(default "RUNS 200000" "MAX_LEN 4096")
    separate_arguments(default)
    list(GET default 0 key)
    if(NOT T_${key})
      list(GET default 1 T_${key})
    endif()
  endforeach()
  portolan_absolute(sources ${T_SOURCES})
  set(program ${CMAKE_BINARY_DIR}/fuzz-${T_NAME})
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${CLANG} -std=gnu17 -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter
            -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
            -fsanitize-coverage-ignorelist=${CMAKE_SOURCE_DIR}/tests/fuzz/ignore.txt
            -I${CMAKE_SOURCE_DIR} -MD -MF ${program}.d -MT ${program} -o ${program} ${sources} ${T_LIBRARIES}
    DEPENDS ${sources} ${CMAKE_SOURCE_DIR}/tests/fuzz/ignore.txt DEPFILE ${program}.d COMMENT "fuzz-${T_NAME}" VERBATIM)
  add_custom_target(fuzz-${T_NAME}-program ALL DEPENDS ${program})
  set(corpus)
  if(T_CORPUS)
    set(corpus ${CMAKE_SOURCE_DIR}/${T_CORPUS})
  endif()
  # A fresh work folder per run: what one run found must not change the next.
  add_test(NAME fuzz-${T_NAME}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/fuzz/run.sh ${program} ${T_RUNS} ${T_MAX_LEN} ${corpus})
  set_tests_properties(fuzz-${T_NAME} PROPERTIES LABELS fuzz)
  portolan_limit(fuzz-${T_NAME} 60)
endfunction()

function(portolan_machine_test)
  cmake_parse_arguments(T "" "NAME;SCRIPT;TAKES;BUILD" "ARGS;LABELS" ${ARGN})
  if(NOT T_TAKES)
    set(T_TAKES 60)
  endif()
  if(NOT T_BUILD)
    set(T_BUILD ${CMAKE_BINARY_DIR})
  endif()
  add_test(NAME machine-${T_NAME}
           COMMAND ${PORTOLAN_MACHINE_PYTHON} ${CMAKE_SOURCE_DIR}/${T_SCRIPT} ${T_ARGS}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(machine-${T_NAME} PROPERTIES
    LABELS "machine;${T_LABELS}"
    ENVIRONMENT "PORTOLAN_BUILD=${T_BUILD};PYTHONDONTWRITEBYTECODE=1")
  portolan_limit(machine-${T_NAME} ${T_TAKES})
endfunction()
