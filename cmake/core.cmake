# SPDX-License-Identifier: BSD-2-Clause
#
# The VMM core: a freestanding ELF at HANDOFF_CORE_VA, carried by every boot loader.
#
#   portolan_core_sources(FILE...)         adds files of the calling folder to it
#   portolan_link_core(NAME FOLDER ...)    FOLDER/portolan-core.elf of NAME-objects, which have the definitions that follow;
#                                          with its own symbol table for backtraces

# A guest may have trained the predictor of indirect jumps: none is left that asks it.
set(PORTOLAN_BRANCH_FLAGS -mindirect-branch=thunk-inline -mindirect-branch-register -fno-jump-tables)

set(PORTOLAN_CORE_FLAGS
    -O2 -g -ffreestanding -fbuiltin -fno-builtin-printf # memcpy of a known small size needs no call
    -mgeneral-regs-only -mno-red-zone -mcmodel=kernel
    -fno-pic -fno-pie -fstack-protector-strong -mstack-protector-guard=global
    -fno-strict-aliasing -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
    -fno-optimize-sibling-calls -fno-shrink-wrap # both hide callers from a backtrace
    -fno-asynchronous-unwind-tables -fcf-protection=none -ffunction-sections -fdata-sections
    -fno-common -fno-delete-null-pointer-checks
    ${PORTOLAN_BRANCH_FLAGS}
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

function(portolan_core_sources)
  foreach(file ${ARGN})
    set_property(GLOBAL APPEND PROPERTY PORTOLAN_CORE_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
endfunction()

option(PORTOLAN_CHECK_LOCKS "Panic where locks are not taken in their order (vmm/host/spinlock.h)" OFF)

function(portolan_link_core name folder)
  get_property(sources GLOBAL PROPERTY PORTOLAN_CORE_SOURCES)
  set(script ${CMAKE_SOURCE_DIR}/vmm/core.lds)
  set(tools ${CMAKE_SOURCE_DIR}/tools)
  add_library(${name}-objects OBJECT ${sources})
  # What runs while no guest does, by an order, or once in the life of a guest is to be small.
  set(cold_folders "vmm/(config|console|load|migrate|portal|report|state|vfio_user)" "drivers/(acpi|iommu|pci|rtc|uart)")
  set(cold_files
    "vmm/(main|main_config|main_vms)"
    "vmm/base/(ranges|rtc_date)"
    "vmm/host/(backtrace|canary|cpuid|frame|gdt|guards|i8259|map_physical|paging|panic|percpu|pool|selftest|skew|smp|trap_text|vmm_tables)"
    "drivers/virtio/(admin_pages|admin_text|device|pf|transport|virtio_regions|vf_state|vf_state_data|vf_state_parts|vf_track)"
    "vmm/legacy/(config_space|legacy_move|legacy_state|life|register_layout)"
    "vmm/svm/(maps|svm_cpu)"
    "vmm/vmx/(vmx_controls|vmx_cpu|vmx_log)"
    "vmm/pc/(acpi_tables|fw_cfg|i8042|mp_table|pc_power|pci_host|pci_registers|flash|portal_function|ps2|rom|rtc|table_writer|vga|vga_draw)"
    "vmm/vf/(pfs|vf_faults|vf_isolation|vf_print|vf_recover|vf_reset|vf_spare|vfs)"
    "vmm/vm/(backend|checkpoint|cpu_section|guest_firmware|input|low_memory|nvram|program|trace|vcpu_state|reset_loop|service|video|vm|vm_clock|vm_memory|vm_move|vm_start|vm_text)")
  foreach(source ${sources})
    foreach(cold ${cold_folders} ${cold_files}) # one by one: CMake's expressions may have 32 parentheses
      if(source MATCHES "/${cold}(/|[.]c$)")
        set_property(SOURCE ${source} PROPERTY COMPILE_OPTIONS -Os)
      endif()
    endforeach()
  endforeach()
  target_compile_options(${name}-objects PRIVATE
    ${PORTOLAN_CORE_FLAGS} $<$<COMPILE_LANGUAGE:C>:${PORTOLAN_WARNINGS}>)
  target_compile_definitions(${name}-objects PRIVATE PORTOLAN_VERSION="${PROJECT_VERSION}" ${ARGN})
  target_compile_definitions(${name}-objects PRIVATE
    $<$<COMPILE_LANGUAGE:ASM>:PORTOLAN_FONT="${CMAKE_BINARY_DIR}/font.psf">)
  add_dependencies(${name}-objects font)
  target_include_directories(${name}-objects PRIVATE ${CMAKE_SOURCE_DIR})
  target_include_directories(${name}-objects SYSTEM PRIVATE ${NEWLIB_INCLUDES})

  # Linked twice: the first pass gives the addresses for the table of symbols, which lies behind
  # everything else and so moves nothing in the second.
  set(link gcc -nostdlib -static -no-pie -Wl,--gc-sections -Wl,-z,max-page-size=4096
      -Wl,-z,noexecstack -Wl,--build-id=none -Wl,--orphan-handling=error -Wl,--fatal-warnings
      -T ${script})
  file(MAKE_DIRECTORY ${folder})
  set(elf ${folder}/portolan-core.elf)
  set(kib 512)
  if(ARGN) # checks take room, and nobody has them who does not look for a fault
    set(kib 576)
  endif()
  add_custom_command(
    OUTPUT ${elf} ${elf}.stripped
    COMMAND ${link} -o ${elf}.pass1 $<TARGET_OBJECTS:${name}-objects> $<TARGET_FILE:newlib-core>
    COMMAND ${tools}/symbols.sh ${elf}.pass1 ${folder}/symbols.S
    COMMAND gcc -c -o ${folder}/symbols.o ${folder}/symbols.S
    COMMAND ${link} -o ${elf} $<TARGET_OBJECTS:${name}-objects> ${folder}/symbols.o
            $<TARGET_FILE:newlib-core>
    COMMAND ${tools}/check-core.sh ${elf}.pass1 ${elf} ${kib}
    COMMAND objcopy --strip-all ${elf} ${elf}.stripped
    DEPENDS ${name}-objects $<TARGET_OBJECTS:${name}-objects> newlib-core ${script} ${tools}/symbols.sh
            ${tools}/check-core.sh
    COMMENT "VMM core: ${name}" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name} ALL DEPENDS ${elf} ${elf}.stripped)
endfunction()
