# SPDX-License-Identifier: BSD-2-Clause
#
# newlib, from Debian's newlib-source, in two shapes:
#   newlib-core, newlib-pic   the few string, number and formatting functions of the VMM and of the
#                             EFI loader, compiled without any floating-point or vector register
#   guest-libc                all of newlib, for the test guests (about 45 s, once per build folder)

set(NEWLIB_TARBALL /usr/src/newlib/newlib-3.3.0.tar.xz CACHE FILEPATH "newlib's sources")
set(NEWLIB_DIR ${CMAKE_BINARY_DIR}/newlib)
if(NOT EXISTS ${NEWLIB_TARBALL})
  message(FATAL_ERROR "${NEWLIB_TARBALL} is missing: run './portolan setup' (package newlib-source).")
endif()

# Unpack and configure at configure time: the compile rules below need the generated headers.
if(NOT EXISTS ${NEWLIB_DIR}/build/targ-include/newlib.h)
  message(STATUS "newlib: unpacking and configuring (about 20 s, once)")
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/cmake/newlib-configure.sh ${NEWLIB_TARBALL} ${NEWLIB_DIR}
                  COMMAND_ERROR_IS_FATAL ANY)
endif()

set(NEWLIB_LIBC ${NEWLIB_DIR}/source/newlib/libc)
set(NEWLIB_INCLUDES ${NEWLIB_DIR}/build/targ-include ${NEWLIB_LIBC}/include)

add_custom_command(
  OUTPUT ${NEWLIB_DIR}/build/libc.a
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/newlib-make.sh ${NEWLIB_DIR}/build
  COMMENT "newlib for the guests (about 45 s, once)"
  USES_TERMINAL VERBATIM)
add_custom_target(guest-libc DEPENDS ${NEWLIB_DIR}/build/libc.a)

set(newlib_subset
    string/memchr.c string/memcmp.c string/memmove.c string/memcpy.c string/memset.c
    string/strchr.c string/strcmp.c string/strcspn.c string/strlen.c string/strncmp.c string/strncpy.c string/strnlen.c
    string/strrchr.c string/strspn.c string/strstr.c stdlib/strtoul.c stdlib/strtoull.c stdlib/wctomb_r.c stdlib/mbtowc_r.c
    stdio/vsniprintf.c stdio/fflush.c ctype/ctype_.c locale/locale.c locale/localeconv.c reent/impure.c errno/errno.c)
list(TRANSFORM newlib_subset PREPEND ${NEWLIB_LIBC}/)

function(portolan_newlib_subset name)
  # svfiprintf.c of newlib is vfprintf.c compiled with two definitions.
  add_library(${name}-format OBJECT ${NEWLIB_LIBC}/stdio/vfprintf.c)
  target_compile_definitions(${name}-format PRIVATE INTEGER_ONLY STRING_ONLY _WANT_IO_C99_FORMATS)
  add_library(${name} STATIC ${newlib_subset} $<TARGET_OBJECTS:${name}-format>)
  # Messages and searches in texts are on no guest's way: they are to be small.
  set_source_files_properties(${NEWLIB_LIBC}/string/strstr.c ${NEWLIB_LIBC}/stdlib/strtoul.c ${NEWLIB_LIBC}/stdlib/strtoull.c
    ${NEWLIB_LIBC}/stdio/vsniprintf.c ${NEWLIB_LIBC}/stdio/fflush.c PROPERTIES COMPILE_OPTIONS -Os)
  foreach(target ${name} ${name}-format)
    set_target_properties(${target} PROPERTIES EXPORT_COMPILE_COMMANDS OFF)
    target_compile_definitions(${target} PRIVATE _COMPILING_NEWLIB)
    target_include_directories(${target} PRIVATE
      ${NEWLIB_DIR}/build ${NEWLIB_INCLUDES} ${NEWLIB_LIBC}/stdio ${NEWLIB_LIBC}/locale
      ${NEWLIB_LIBC}/stdlib)
    target_compile_options(${target} PRIVATE
      -O2 -g -std=gnu17 -w -fcommon -ffreestanding -mgeneral-regs-only -mno-red-zone
      -fno-builtin -fno-tree-loop-distribute-patterns -fno-stack-protector -fcf-protection=none
      -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
      ${ARGN})
  endforeach()
  target_compile_options(${name}-format PRIVATE -Os)
endfunction()

portolan_newlib_subset(newlib-core -mcmodel=kernel -fno-pic -fno-pie ${PORTOLAN_BRANCH_FLAGS})
portolan_newlib_subset(newlib-pic -fPIC)
