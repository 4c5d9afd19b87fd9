/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest reads or writes a port, or memory that is no RAM. */
#include "vmm/emulate/emulate_edge.h"
#include "vmm/host/instructions.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/pc/ports.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/exit_table.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/notify.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

#define I8042_PORTS 0x60U
#define PORT_A      0x92U
#define PCI_DATA    0xcfcU

/* So long one REP may go on, unless its elements themselves take longer. */
#define EXIT_MS_MAX 1U

static const uint64_t masks[] = {[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff};

/* Is PORT, a legacy function's, one of a lost VF whose standby is to come? */
static bool must_wait(const struct vcpu *vcpu, uint16_t port)
{
    const struct vf_set *vfs = &vcpu->vm->vfs;

    return vfs->inflight && legacy_port_waits(&vfs->legacy, port);
}

/* False: the guest is to read it again. */
static bool read_untraced(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t *value)
{
    if (legacy_port_read(&vcpu->vm->vfs.legacy, port, size, value)) {
        return !must_wait(vcpu, port);
    }
    *value = pc_port_read(&vcpu->vm->pc, port, size, vm_now(vcpu->vm));
    return true;
}

static bool read_port(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t *value)
{
    bool done = read_untraced(vcpu, port, size, value);

    if (trace_is_on(&vcpu->vm->trace, TRACE_PORTS | TRACE_PCI)) {
        trace_port(vcpu, port, size, false, *value);
    }
    return done;
}

uint32_t emulate_port_read(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    (void)read_port(vcpu, port, size, &value);
    return value;
}

/* False: the guest is to write it again, after what else there is to see to. */
static bool carry_out_dma(struct vcpu *vcpu)
{
    while (!pc_dma_run(&vcpu->vm->pc)) {
        if (emulate_must_pause(vcpu)) {
            return false;
        }
    }
    return true;
}

static bool touches(uint16_t port, unsigned size, unsigned first, unsigned count)
{
    return port < first + count && port + size > first;
}

/* One by which the A20 gate is moved? */
static bool has_gate(uint16_t port, unsigned size)
{
    return touches(port, size, I8042_PORTS, I8042_PORT_STATUS + 1 - I8042_PORTS) ||
           touches(port, size, PORT_A, 1);
}

/*
 * Ports behind which is more than a device: what is sent needs room in the console, PCI's
 * configuration and the A20 gate show in the nested tables, and fw_cfg takes its time.
 */
static bool write_special(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = vcpu->vm;
    bool sends = touches(port, size, UART_PORT, 1) || touches(port, size, PORTS_DEBUG_OUTPUT, 1);

    if (sends && !vm_edge_has_room(vm->index)) {
        vm_edge_bring(vm->index);
        if (!vm_edge_has_room(vm->index)) {
            return false;
        }
    }
    pc_port_write(&vm->pc, port, size, value, vm_now(vm));
    if (sends) {
        vm_edge_bring(vm->index);
    }
    if (touches(port, size, PCI_DATA, 4)) {
        legacy_settle(&vm->vfs.legacy);
        low_memory_settle(vm, false);
        video_settle(vm);
        service_settle(vm);
    } else if (has_gate(port, size)) {
        low_memory_settle(vm, false);
    }
    return !touches(port, size, FW_CFG_PORT_DMA, 8) || carry_out_dma(vcpu);
}

bool emulate_port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value)
{
    struct vm *vm = vcpu->vm;

    if (trace_is_on(&vm->trace, TRACE_PORTS | TRACE_PCI)) {
        trace_port(vcpu, port, size, true, value);
    }
    if (size == 2 && legacy_notify(&vm->vfs.legacy, port, (uint16_t)value)) {
        return true;
    }
    if (legacy_port_write(&vm->vfs.legacy, port, size, value)) {
        return !must_wait(vcpu, port);
    }
    if (touches(port, size, UART_PORT, PCI_DATA + 4 - UART_PORT) || has_gate(port, size)) {
        return write_special(vcpu, port, size, value);
    }
    pc_port_write(&vm->pc, port, size, value, vm_now(vm));
    return true;
}

bool emulate_must_pause(const struct vcpu *vcpu)
{
    uint64_t now = cpu_read_tsc();

    return vcpu_has_news(vcpu) || __atomic_load_n(&vcpu->kicked, __ATOMIC_RELAXED) ||
           now >= vcpu->due_tsc || now - vcpu->left >= time_facts()->tsc_khz * EXIT_MS_MAX ||
           timer_service_is_due();
}

/* IN to EAX clears the upper half of RAX, to AX and AL leaves the rest (AMD APM 3, IN). */
static void put_rax(uint64_t *rax, const struct exit_io *io, uint64_t value)
{
    *rax = io->size == 4 ? value : (*rax & ~masks[io->size]) | (value & masks[io->size]);
}

/* The board's own devices, which wait for nothing; and what timers are read by, where it lies at
 * first and where guests move it. */
#define BOARD_PORTS_END 0x100U
#define PM_PORTS        0x1000U

/* Is PORT one of a device whose accesses do all they do under the pc lock? */
static bool is_quick(const struct exit_io *io)
{
    bool pm = io->port >= PM_PORTS || io->port - ACPI_PM_BASE <= ACPI_PM_SIZE - 4;

    return io->port < BOARD_PORTS_END - 4 || (io->in && pm);
}

static bool read_quick(struct vcpu *vcpu, const struct exit_io *io, uint32_t *value)
{
    struct vm *vm = vcpu->vm;

    if (legacy_port_is_ours(&vm->vfs.legacy, io->port)) {
        return legacy_port_read_now(&vm->vfs.legacy, io->port, io->size, value);
    }
    if (!pc_port_is_free(&vm->pc, io->port, io->size) && !is_quick(io)) {
        return false;
    }
    *value = pc_port_read(&vm->pc, io->port, io->size, vm_now(vm));
    return true;
}

static bool write_quick(struct vcpu *vcpu, const struct exit_io *io, uint32_t value)
{
    struct vm *vm = vcpu->vm;

    if (legacy_port_is_ours(&vm->vfs.legacy, io->port)) {
        return legacy_port_write_now(&vm->vfs.legacy, io->port, io->size, value);
    }
    if (!pc_port_is_free(&vm->pc, io->port, io->size) &&
        (!is_quick(io) || has_gate(io->port, io->size))) {
        return false;
    }
    pc_port_write(&vm->pc, io->port, io->size, value, vm_now(vm));
    return true;
}

bool vcpu_io_quick(struct vcpu *vcpu, const struct exit_io *io, uint64_t *rax)
{
    uint64_t left = cpu_read_tsc();
    uint32_t value;

    if (trace_is_on(&vcpu->vm->trace, TRACE_PORTS | TRACE_PCI)) {
        return false;
    }
    if (io->in) {
        if (!read_quick(vcpu, io, &value)) {
            return false;
        }
        put_rax(rax, io, value);
    } else if (!write_quick(vcpu, io, (uint32_t)(*rax & masks[io->size]))) {
        return false;
    }
    uint64_t now = cpu_read_tsc();

    vcpu->counter[EXIT_IO].exits++;
    vcpu->counter[EXIT_IO].cycles += now - left;
    vcpu->entered += now - left;
    /* What would end the guest's next run before its first instruction need not wait for that. */
    if (now >= vcpu->due_tsc || __atomic_load_n(&vcpu->kicked, __ATOMIC_RELAXED)) {
        vcpu->look = true;
    }
    return true;
}

void handle_io(struct vcpu *vcpu, const struct exit *exit)
{
    const struct exit_io *io = &exit->io;

    if (io->size != 1 && io->size != 2 && io->size != 4) {
        vcpu_raise_ud(vcpu);
        return;
    }
    /* Where it is not done the guest executes it again, after what else there is to see to. */
    if (io->in) {
        uint32_t value;

        if (!read_port(vcpu, io->port, io->size, &value)) {
            return;
        }
        put_rax(&vcpu->gpr[INSN_RAX], io, value);
    } else if (!emulate_port_write(vcpu, io->port, io->size,
                                   (uint32_t)(vcpu->gpr[INSN_RAX] & masks[io->size]))) {
        return;
    }
    vcpu_skip(vcpu, exit->length);
}

void handle_string_io(struct vcpu *vcpu, const struct exit *exit)
{
    struct emulate_string_io expected = {.in = exit->io.in, .size = exit->io.size};
    struct emulate_cpu cpu;
    struct emulate_result result;

    vcpu_context(vcpu, &cpu);
    emulate_string(&cpu, &expected, &result);
    vcpu_store(vcpu, &cpu, &result);
}

/* A page of RAM, or one that only looks like it. *AT becomes what the A20 gate lets through. */
static void *memory_at(const struct vcpu *vcpu, gpa_t *at, unsigned size, bool write)
{
    const struct vm *vm = vcpu->vm;

    if (__builtin_expect(vm->rom_size != 0, 0)) {
        *at = low_memory_alias(vm, *at);
        return low_memory_pointer(vm, *at, size, write);
    }
    return ram_pointer(&vm->ram, *at, size);
}

/* TO has any alignment. Copies of a size that is known here need no call (each walk makes four). */
bool emulate_ram_read(struct vcpu *vcpu, gpa_t from, void *to, unsigned size)
{
    const void *memory = memory_at(vcpu, &from, size, false);
    uint64_t value;

    if (!memory) {
        return false;
    }
    switch ((from.raw & (size - 1)) == 0 ? size : 0) {
    case 8:
        value = __atomic_load_n((const uint64_t *)memory, __ATOMIC_RELAXED);
        memcpy(to, &value, 8);
        break;
    case 4:
        value = __atomic_load_n((const uint32_t *)memory, __ATOMIC_RELAXED);
        memcpy(to, &value, 4);
        break;
    case 2:
        value = __atomic_load_n((const uint16_t *)memory, __ATOMIC_RELAXED);
        memcpy(to, &value, 2);
        break;
    default:
        for (unsigned i = 0; i < size; i++) {
            ((uint8_t *)to)[i] = ((const volatile uint8_t *)memory)[i];
        }
    }
    return true;
}

bool emulate_ram_write(struct vcpu *vcpu, gpa_t to, const void *from, unsigned size)
{
    void *memory = memory_at(vcpu, &to, size, true);
    uint64_t value = 0;

    if (!memory) {
        return false;
    }
    memcpy(&value, from, size); /* FROM has any alignment */
    switch (to.raw % size == 0 ? size : 0) {
    case 8:
        __atomic_store_n((uint64_t *)memory, value, __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)memory, (uint32_t)value, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((uint16_t *)memory, (uint16_t)value, __ATOMIC_RELAXED);
        break;
    default:
        for (unsigned i = 0; i < size; i++) {
            ((volatile uint8_t *)memory)[i] = (uint8_t)(value >> 8 * i);
        }
    }
    ram_written(&vcpu->vm->ram, to, size);
    return true;
}

/* Below 1 MiB and at the end of 4 GiB there may be a ROM at times. */
const void *emulate_ram_lasting(const struct vcpu *vcpu, gpa_t at, unsigned size)
{
    const struct vm *vm = vcpu->vm;

    return low_memory_is_lasting(vm, at) ? ram_pointer(&vm->ram, at, size) : NULL;
}

/* An unaligned LOCK CMPXCHG is atomic too (a bus lock), which C's builtins do not promise. */
#define SWAP(width, suffix)                                            \
    {                                                                  \
        uint##width##_t old = (uint##width##_t)expected;               \
        __asm__ volatile("lock cmpxchg" suffix " %2, %1"               \
                         : "+a"(old), "+m"(*(uint##width##_t *)memory) \
                         : "r"((uint##width##_t)wanted)                \
                         : "cc", "memory");                            \
        swapped = old == (uint##width##_t)expected;                    \
        break;                                                         \
    }

enum emulate_swap emulate_ram_swap(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t expected,
                                   uint64_t wanted)
{
    void *memory = memory_at(vcpu, &at, size, true);
    bool swapped;

    if (!memory || memory != memory_at(vcpu, &at, size, false)) {
        return EMULATE_SWAP_NOT_RAM;
    }
    switch (size) {
    case 1:
        SWAP(8, "b")
    case 2:
        SWAP(16, "w")
    case 4:
        SWAP(32, "l")
    default:
        SWAP(64, "q")
    }
    ram_written(&vcpu->vm->ram, at, size);
    return swapped ? EMULATE_SWAPPED : EMULATE_SWAP_CHANGED;
}

/* Where BARs of VFs may lie: firmware has its own mind about it, and begins where RAM ends. */
static bool is_for_functions(gpa_t at)
{
    return at.raw >= PC_LOW_END && at.raw < PCI_HOLE_END;
}

uint64_t emulate_device_read(struct vcpu *vcpu, gpa_t at, unsigned size)
{
    uint64_t value = 0;

    if (!is_for_functions(at) || !legacy_mmio_read(&vcpu->vm->vfs.legacy, at, size, &value)) {
        (void)pc_mmio_read(&vcpu->vm->pc, vcpu->index, at, size, vm_now(vcpu->vm), &value);
    }
    if (trace_is_on(&vcpu->vm->trace, TRACE_MMIO)) {
        trace_add(vcpu, TRACE_MMIO,
                  &(struct trace_entry){.at = at.raw, .size = (uint8_t)size, .value = value});
    }
    return value;
}

void emulate_device_write(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t value)
{
    if (trace_is_on(&vcpu->vm->trace, TRACE_MMIO)) {
        trace_add(vcpu, TRACE_MMIO,
                  &(struct trace_entry){
                      .at = at.raw, .size = (uint8_t)size, .value = value, .write = true});
    }
    if (is_for_functions(at) && legacy_mmio_write(&vcpu->vm->vfs.legacy, at, size, value)) {
        return;
    }
    (void)pc_mmio_write(&vcpu->vm->pc, vcpu->index, at, size, value, vm_now(vcpu->vm));
}

/* What is traced goes the common way. */
static bool is_for_apic(const struct vcpu *vcpu, gpa_t at)
{
    return at.raw - LAPIC_BASE < LAPIC_SIZE && pc_lapic_has_page(&vcpu->vm->pc, vcpu->index) &&
           !trace_is_on(&vcpu->vm->trace, TRACE_MMIO);
}

/*
 * What this makes of the next entry: an EOI and a lower priority let in what is requested, if
 * anything is; an IPI to itself kicks it; for all else it looks.
 */
static void write_apic(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
    struct pc *pc = &vcpu->vm->pc;
    bool needs_time = pc_lapic_needs_time(offset);

    pc_lapic_written(pc, vcpu->index, offset, value, needs_time ? vm_now(vcpu->vm) : 0);
    if (needs_time || lapic_has_requests(&pc->lapic[vcpu->index])) {
        vcpu->look = true; /* a store: handlers of this CPU's interrupts set it, too */
    }
    vcpu->cr8 = pc_cr8_read(pc, vcpu->index);
}

/*
 * The registers of the local APIC are the hottest of all device memory, and are read and written
 * by MOV. If this exit's is known from before, the CPU has said all else: it has checked the access
 * before it asked for the page of the guest-physical address. What is compared with that is the
 * part that paging leaves alone. True: it is done.
 */
static bool move_to_apic(struct vcpu *vcpu, const struct emulate_cpu *cpu,
                         const struct exit_memory *access)
{
    const struct insn *insn = emulate_recall(cpu);
    uint32_t offset = (uint32_t)(access->address.raw % PAGE_SIZE);

    if (!insn || insn->op != INSN_MOV || insn->operand_size != 4 || offset % 16 != 0 ||
        (insn->destination == INSN_OPERAND_MEMORY) != access->write ||
        emulate_page_offset(cpu, insn) != offset) {
        return false;
    }
    if (access->write) {
        write_apic(vcpu, offset,
                   (uint32_t)(insn->source == INSN_OPERAND_REGISTER ? vcpu->gpr[insn->reg]
                                                                    : insn->immediate));
    } else {
        vcpu->look = true; /* its timer may expire */
        (void)pc_mmio_read(&vcpu->vm->pc, vcpu->index, access->address, 4, vm_now(vcpu->vm),
                           &vcpu->gpr[insn->reg]);
    }
    vcpu_skip(vcpu, insn->length);
    return true;
}

/*
 * An access to what is no RAM, or a write to RAM that is protected to see it. A fault of the CPU's
 * own accesses (page tables, descriptors, the stack of a handler) in such a place leaves it nothing
 * to go on with: on a PC it would read garbage and shut down soon.
 */
void handle_memory(struct vcpu *vcpu, const struct exit *exit)
{
    struct emulate_cpu cpu;
    struct emulate_result result;
    bool mid_event = vcpu->event.kind != VCPU_EVENT_NONE;

    if (is_for_apic(vcpu, exit->memory.address) && !exit->memory.walk && !mid_event) {
        vcpu_context(vcpu, &cpu);
        if (move_to_apic(vcpu, &cpu, &exit->memory)) {
            return;
        }
    }
    vcpu->look = true;
    if (exit->memory.present && dirty_fault(vcpu, exit->memory.address)) {
        return;
    }
    if (exit->memory.walk || mid_event) {
        vm_complain(vcpu->vm, "vCPU %u: %s at 0x%lx, which is no RAM (rip 0x%lx): reset",
                    vcpu->index, exit->memory.walk ? "a page table lies" : "an event needs memory",
                    exit->memory.address.raw, vcpu->rip);
        vcpu->event.kind = VCPU_EVENT_NONE;
        (void)vm_reset(vcpu->vm, NULL);
        return;
    }
    vcpu_context(vcpu, &cpu);
    emulate_memory(&cpu, &result);
    vcpu_store(vcpu, &cpu, &result);
}
