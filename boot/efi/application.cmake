# SPDX-License-Identifier: BSD-2-Clause
#
# How EFI applications are built, to be included where one is:
#   portolan_efi_application(TARGET OUTPUT SOURCE...)   builds OUTPUT, an absolute path
#   portolan_efi_link(TARGET OUTPUT OBJECT...)          the same from objects that others have built

set(PORTOLAN_EFI_FLAGS
    -O2 -g -fpic -ffreestanding -fno-builtin-printf -mgeneral-regs-only -mno-red-zone
    -fvisibility=hidden -fno-stack-protector -fno-strict-aliasing -fcf-protection=none
    -fno-asynchronous-unwind-tables -fno-delete-null-pointer-checks -fno-common
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
set(GNU_EFI_LIB /usr/lib CACHE PATH "where GNU-EFI's start code and linker script are")
set(GNU_EFI_INCLUDE /usr/include/efi CACHE PATH "GNU-EFI's headers")
if(NOT EXISTS ${GNU_EFI_LIB}/crt0-efi-x86_64.o)
  message(FATAL_ERROR "GNU-EFI is missing: run './portolan setup' (package gnu-efi).")
endif()

# What every EFI application of the project can use.
set(PORTOLAN_EFI_COMMON)
foreach(file boot/loader_log.c boot/efi/efi_console.c boot/efi/efi_files.c boot/efi/services.c boot/efi/text.c vmm/base/format.c
        vmm/base/newlib_hooks.c vmm/base/status.c)
  list(APPEND PORTOLAN_EFI_COMMON ${CMAKE_SOURCE_DIR}/${file})
endforeach()

function(portolan_efi_application target output)
  add_library(${target}-objects OBJECT ${ARGN} ${PORTOLAN_EFI_COMMON})
  target_compile_options(${target}-objects PRIVATE
    ${PORTOLAN_EFI_FLAGS} $<$<COMPILE_LANGUAGE:C>:${PORTOLAN_WARNINGS}>)
  target_compile_definitions(${target}-objects PRIVATE
    GNU_EFI_USE_MS_ABI PORTOLAN_VERSION="${PROJECT_VERSION}")
  target_include_directories(${target}-objects PRIVATE ${CMAKE_SOURCE_DIR})
  target_include_directories(${target}-objects SYSTEM PRIVATE
    ${NEWLIB_INCLUDES} ${GNU_EFI_INCLUDE} ${GNU_EFI_INCLUDE}/x86_64)
  portolan_efi_link(${target} ${output} $<TARGET_OBJECTS:${target}-objects>)
endfunction()

function(portolan_efi_link target output)
  set(script ${GNU_EFI_LIB}/elf_x86_64_efi.lds)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ld -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic --no-undefined
            -T ${script} -o ${output}.so ${GNU_EFI_LIB}/crt0-efi-x86_64.o
            ${ARGN} $<TARGET_FILE:newlib-pic>
            ${GNU_EFI_LIB}/libgnuefi.a
    COMMAND objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela
            -j .rel.* -j .rela.* -j .reloc --target=efi-app-x86_64 --subsystem=10
            ${output}.so ${output}
    DEPENDS ${ARGN} newlib-pic ${script}
    COMMENT "${output}" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${target} ALL DEPENDS ${output})
endfunction()
