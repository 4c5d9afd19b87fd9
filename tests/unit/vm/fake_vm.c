/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vm/fake_vm.h"

#include "vmm/host/panic.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"
#include "vmm/vm/vm_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RIP 0x1000U

struct vm fake_vm;
struct vcpu fake_vcpu;
struct fake_backend fake_backend;
struct fake_platform fake_platform;
struct fake_console fake_console;
unsigned fake_kicks, fake_marked;
gpa_t fake_marked_at;
uint64_t fake_now;
unsigned fake_resets, fake_stops;
jmp_buf fake_panicked;
uint8_t fake_ram[FAKE_RAM_SIZE] __attribute__((aligned(16)));

void fake_vm_reset(void)
{
    static const struct config_vm config = {.name = "fake"};

    memset(&fake_vm, 0, sizeof(fake_vm));
    memset(fake_ram, 0, sizeof(fake_ram));
    fake_vcpu = (struct vcpu){.vm = &fake_vm, .rip = RIP, .rflags = RFLAGS_FIXED};
    fake_vm.config = &config;
    fake_vm.log.vm = config.name;
    fake_vcpu.due_tsc = UINT64_MAX;
    fake_console = (struct fake_console){.room = UINT32_MAX};
    fake_vm.vcpu[0] = &fake_vcpu;
    fake_vm.vcpu_count = 1;
    fake_vm.level = model_host;
    fake_backend = (struct fake_backend){
        .cr0 = CR0_PE | CR0_ET | CR0_NE, .pat = PAT_RESET, .cs_attributes = FAKE_CODE_32};
    fake_platform = (struct fake_platform){.vector = -1};
    fake_now = 0;
    fake_resets = fake_stops = fake_kicks = fake_marked = 0;
}

void fake_vm_long_mode(void)
{
    fake_backend.cs_attributes = FAKE_CODE_LONG;
    fake_backend.efer = 0x500;
    fake_backend.cr4 = CR4_PAE;
}

void fake_code(const uint8_t *bytes, unsigned size)
{
    memcpy(&fake_ram[fake_vcpu.rip], bytes, size);
}

void fake_expect_exception(unsigned vector, bool has_error, uint32_t error)
{
    assert_int_equal(fake_vcpu.event.kind, VCPU_EVENT_EXCEPTION);
    assert_int_equal(fake_vcpu.event.vector, vector);
    assert_true(fake_vcpu.event.has_error == has_error);
    assert_int_equal(fake_vcpu.event.error, error);
}

void fake_expect_nothing(void)
{
    assert_int_equal(fake_vcpu.event.kind, VCPU_EVENT_NONE);
}

/* ---- the VM ---- */

void ram_mark(const struct ram *ram, gpa_t at, uint64_t size)
{
    fake_marked++;
    fake_marked_at = at;
}

bool ram_holds(const struct ram *ram, uint64_t at, uint64_t size)
{
    return range_fits(at, size, FAKE_RAM_SIZE);
}

bool dirty_fault(struct vcpu *vcpu, gpa_t at)
{
    return fake_vm.ram.tracked && at.raw < FAKE_RAM_SIZE;
}

uint64_t vm_now(const struct vm *vm)
{
    return fake_now;
}

bool vcpu_has_news(const struct vcpu *vcpu)
{
    return vcpu->requests != 0;
}

enum status vm_reset(struct vm *vm, const char *why)
{
    fake_resets++;
    return STATUS_OK;
}

enum status vm_stop(struct vm *vm, const char *why)
{
    fake_stops++;
    return STATUS_OK;
}

void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    return range_fits(at.raw, size, sizeof(fake_ram)) ? &fake_ram[at.raw] : NULL;
}

void panic(const char *fmt, ...)
{
    longjmp(fake_panicked, 1);
}

/* ---- the backend ---- */

static uint64_t *fake_register(enum backend_register reg)
{
    uint64_t *const registers[BACKEND_REGISTERS] = {
        [BACKEND_CR0] = &fake_backend.cr0,   [BACKEND_CR2] = &fake_backend.cr2,
        [BACKEND_CR3] = &fake_backend.cr3,   [BACKEND_CR4] = &fake_backend.cr4,
        [BACKEND_EFER] = &fake_backend.efer, [BACKEND_PAT] = &fake_backend.pat,
        [BACKEND_DR6] = &fake_backend.dr6,   [BACKEND_TSC_OFFSET] = &fake_backend.tsc_offset,
    };

    return registers[reg];
}

static uint64_t fake_read(const struct vcpu *vcpu, enum backend_register reg)
{
    return *fake_register(reg);
}

static void fake_write(struct vcpu *vcpu, enum backend_register reg, uint64_t value)
{
    *fake_register(reg) = value;
}

static void fake_context(const struct vcpu *vcpu, struct emulate_cpu *cpu)
{
    cpu->cr0 = fake_backend.cr0;
    cpu->cr3 = fake_backend.cr3;
    cpu->cr4 = fake_backend.cr4;
    cpu->efer = fake_backend.efer;
    cpu->cpl = fake_backend.cpl;
    cpu->pdpte_cached = false;
    for (unsigned i = 0; i < INSN_SEGMENT_COUNT; i++) {
        cpu->segment[i] = (struct x86_segment){.limit = UINT32_MAX, .attributes = 0xc93};
    }
    cpu->segment[INSN_SEGMENT_CS].attributes = fake_backend.cs_attributes;
}

static void fake_flush(struct vcpu *vcpu)
{
    fake_backend.flushes++;
}

static const struct backend functions = {
    .name = "fake",
    .takes_offers = true,
    .read = fake_read,
    .write = fake_write,
    .context = fake_context,
    .flush = fake_flush,
};

const struct backend *backend = &functions;
struct backend_offers backend_offers;

void vcpu_kick_self(struct vcpu *vcpu)
{
    fake_kicks++;
}

/* ---- the platform ---- */

uint32_t pc_port_read(struct pc *pc, uint16_t port, unsigned width, uint64_t now)
{
    fake_platform.port = port;
    fake_platform.port_size = width;
    fake_platform.accesses++;
    return fake_platform.port_value;
}

void pc_port_write(struct pc *pc, uint16_t port, unsigned width, uint32_t value, uint64_t now)
{
    fake_platform.port = port;
    fake_platform.port_size = width;
    fake_platform.port_value = value;
    fake_platform.accesses++;
}

bool pc_dma_run(struct pc *pc)
{
    fake_platform.dma_runs++;
    return fake_platform.dma_pieces == 0 || --fake_platform.dma_pieces == 0;
}

void low_memory_settle(struct vm *vm, bool anew)
{
    fake_platform.settles++;
}

bool low_memory_is_lasting(const struct vm *vm, gpa_t at)
{
    return true;
}

gpa_t low_memory_alias(const struct vm *vm, gpa_t at)
{
    return at;
}

void *low_memory_pointer(const struct vm *vm, gpa_t at, unsigned size, bool write)
{
    return ram_pointer(&vm->ram, at, size);
}

bool pc_mmio_read(struct pc *pc, unsigned vcpu, gpa_t address, unsigned width, uint64_t now,
                  uint64_t *value)
{
    fake_platform.mmio = address.raw;
    fake_platform.accesses++;
    *value = fake_platform.mmio_value;
    return true;
}

bool pc_mmio_write(struct pc *pc, unsigned vcpu, gpa_t address, unsigned width, uint64_t value,
                   uint64_t now)
{
    fake_platform.mmio = address.raw;
    fake_platform.mmio_value = value;
    fake_platform.accesses++;
    return true;
}

enum status pc_msr_read(struct pc *pc, unsigned vcpu, uint32_t msr, uint64_t now, uint64_t *value)
{
    fake_platform.msr = msr;
    *value = fake_platform.msr_value;
    return fake_platform.msr_status;
}

enum status pc_msr_write(struct pc *pc, unsigned vcpu, uint32_t msr, uint64_t value, uint64_t now)
{
    fake_platform.msr = msr;
    fake_platform.msr_value = value;
    return fake_platform.msr_status;
}

uint8_t pc_cr8_read(const struct pc *pc, unsigned vcpu)
{
    return fake_platform.cr8;
}

void pc_cr8_write(struct pc *pc, unsigned vcpu, uint8_t value)
{
    fake_platform.cr8 = value;
    fake_platform.cr8_writes++;
}

bool pc_extint_pending(const struct pc *pc, unsigned vcpu)
{
    return fake_platform.vector >= 0 && fake_platform.extint;
}

int pc_extint_take(struct pc *pc, unsigned vcpu)
{
    return pc_interrupt_take(pc, vcpu);
}

void pc_lapic_written(struct pc *pc, unsigned vcpu, uint32_t offset, uint32_t value, uint64_t now)
{
    fake_platform.apic_offset = offset;
    fake_platform.apic_value = value;
}

void pc_lapic_ended(struct pc *pc, unsigned vcpu, uint8_t vector)
{
    fake_platform.apic_ended = vector;
}

bool pc_interrupt_pending(const struct pc *pc, unsigned vcpu)
{
    return fake_platform.vector >= 0;
}

int pc_interrupt_take(struct pc *pc, unsigned vcpu)
{
    int vector = fake_platform.gone ? -1 : fake_platform.vector;

    fake_platform.vector = -1;
    return vector;
}

uint8_t pc_interrupt_offer(struct pc *pc, unsigned vcpu, uint8_t except)
{
    fake_platform.excepted = except;
    return fake_platform.offers ? (uint8_t)fake_platform.vector : 0;
}

void pc_interrupt_settle(struct pc *pc, unsigned vcpu, uint8_t vector, bool taken)
{
    fake_platform.settled = taken ? vector : -vector;
}

bool pc_interrupt_blocked_by_cr8(const struct pc *pc, unsigned vcpu)
{
    return fake_platform.blocked_by_cr8;
}

void pc_vcpu_set_tsc_offset(struct pc *pc, unsigned vcpu, uint64_t offset, uint64_t now)
{
    fake_platform.tsc_offset = offset;
}

/* ---- the console, and the CPU's time ---- */

bool vm_edge_has_room(unsigned vm)
{
    return fake_console.room > 0;
}

void vm_edge_bring(unsigned vm)
{
    fake_console.brought++;
    fake_console.room += fake_console.drained;
}

bool timer_service_is_due(void)
{
    return fake_console.service_due;
}

const struct time_facts *time_facts(void)
{
    static const struct time_facts facts = {.tsc_khz = UINT32_MAX}; /* the test takes no time */

    return &facts;
}

/* ---- VFs: there are none ---- */

bool legacy_port_read(struct legacy_set *set, uint16_t port, unsigned width, uint32_t *value)
{
    return false;
}

bool legacy_port_read_now(struct legacy_set *set, uint16_t port, unsigned width, uint32_t *value)
{
    return false;
}

bool legacy_port_write_now(struct legacy_set *set, uint16_t port, unsigned width, uint32_t value)
{
    return false;
}

bool legacy_port_waits(const struct legacy_set *set, uint16_t port)
{
    return false;
}

bool legacy_port_write(struct legacy_set *set, uint16_t port, unsigned width, uint32_t value)
{
    return false;
}

void legacy_settle(struct legacy_set *set) {}

void video_settle(struct vm *of) {}
void service_settle(struct vm *of) {}

bool legacy_mmio_read(struct legacy_set *set, gpa_t address, unsigned width, uint64_t *value)
{
    return false;
}

bool legacy_mmio_write(struct legacy_set *set, gpa_t address, unsigned width, uint64_t value)
{
    return false;
}
