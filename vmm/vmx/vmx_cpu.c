/* SPDX-License-Identifier: BSD-2-Clause */
/* VMX on one host CPU: what it offers, and switching it on. Intel SDM 3, 24.6 to 24.8 and 32.5. */
#include "vmm/base/log.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/guards.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/panic.h"
#include "vmm/host/percpu.h"
#include "vmm/host/pool.h"
#include "vmm/host/trap.h"
#include "vmm/vm/msr_table.h"
#include "vmm/vmx/vmx.h"

#include <string.h>

#define CPUID_1_ECX_VMX (1U << 5)
#define MSR_FIXED       0x486U /* CR0: must be 1; may be 1; then the same for CR4 */
#define BASIC_REVISION  0x7fffffffU
#define MSR_SPEC_CTRL   0x48U

/* The bitmap's halves: 2000h registers from 0 on and as many from C0000000h on, first the bits for
 * reading, then 800h bytes further those for writing (25.6.9). */
#define MSR_HIGH    0xc0000000U
#define MAP_MSRS    0x2000U
#define MAP_HIGH    0x400U
#define MAP_WRITING 0x800U

/* Of a CPU on which VMX is switched on: its VMCS, right behind its VMXON region. */
static uint32_t *cpu_vmcs[CPUS_MAX];

extern const char vmx_exit_point[]; /* vmx_enter.S */

static struct vmx_features features;
static struct vmx_fixed fixed[2];
static uint32_t revision;
static uint8_t *msr_bitmap;

const struct vmx_features *vmx_features(void)
{
    return &features;
}

const struct vmx_fixed *vmx_fixed(unsigned index)
{
    return &fixed[index];
}

hpa_t vmx_msr_bitmap(void)
{
    return pool_hpa(msr_bitmap);
}

/* From vmx_access.S: no CPU that vmx_choose() accepts refuses what is written here. */
__attribute__((noreturn)) void vmx_refused_field(uint64_t field);

void vmx_refused_field(uint64_t field)
{
    panic("VMX refuses to access VMCS field 0x%lx", field);
}

/* Every register exits but those that the guest has for itself. */
static void fill_bitmap(uint8_t *map)
{
    memset(map, 0xff, PAGE_SIZE);
    for (unsigned i = 0; i < msr_row_count; i++) {
        uint32_t msr = msr_rows[i].first, at = msr % MAP_MSRS;
        uint8_t *byte = map + (msr >= MSR_HIGH ? MAP_HIGH : 0) + at / 8;

        if (msr_rows[i].kind == MSR_KIND_PASSED) {
            byte[0] &= (uint8_t) ~(1U << at % 8);
            byte[MAP_WRITING] &= (uint8_t) ~(1U << at % 8);
        }
    }
}

enum status vmx_init(void)
{
    uint64_t capability[VMX_WORDS];

    if (!(cpuid_read(1, 0).ecx & CPUID_1_ECX_VMX)) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    for (unsigned i = 0; i < VMX_WORDS; i++) {
        (void)msr_read(vmx_word_msr[i], &capability[i]); /* 0: it has nothing of that */
    }
    if (vmx_choose(capability, &features)) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    revision = capability[VMX_BASIC] & BASIC_REVISION;
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        (void)msr_read(MSR_FIXED + 2 * i, &fixed[i].set);
        (void)msr_read(MSR_FIXED + 2 * i + 1, &fixed[i].allowed);
    }
    msr_bitmap = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    if (!msr_bitmap) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    fill_bitmap(msr_bitmap);
    features.guards = guards_init();
    backend_offers = features.offers;
    return STATUS_OK;
}

/* Firmware that left the register open lets us set and lock it, as 24.7 asks for. */
static bool is_allowed(void)
{
    uint64_t control;

    if (msr_read(MSR_FEATURE_CONTROL, &control) != STATUS_OK) {
        return false;
    }
    if (!(control & FEATURE_CONTROL_LOCK)) {
        control |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON;
        (void)msr_write(MSR_FEATURE_CONTROL, control);
    }
    return control & FEATURE_CONTROL_VMXON;
}

/* What guests have taught the branch predictors does not steer us, where the CPU can see to that
 * once and for all. Guests do not reach the register, so that it stays as it is. */
static void guard_predictors(void)
{
    static const struct {
        uint32_t action, bit;
    } bits[] = {
        {GUARD_IBRS,      0 },
        {GUARD_RRSBA_DIS, 6 },
        {GUARD_BHI_DIS,   10},
    };
    uint64_t value, more = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        more |= features.guards & bits[i].action ? 1ULL << bits[i].bit : 0;
    }
    if (more && msr_read(MSR_SPEC_CTRL, &value) == STATUS_OK) {
        (void)msr_write(MSR_SPEC_CTRL, value | more);
    }
}

static enum status switch_on(uint32_t *vmxon, uint32_t *vmcs)
{
    vmxon[0] = vmcs[0] = revision;
    cpu_write_cr0((cpu_read_cr0() | fixed[0].set) & fixed[0].allowed);
    cpu_write_cr4(cpu_read_cr4() | fixed[1].set | CR4_VMXE);
    if (!vmx_on(pool_hpa(vmxon).raw)) {
        cpu_write_cr4(cpu_read_cr4() & ~CR4_VMXE);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    guard_predictors();
    return STATUS_OK;
}

enum status vmx_enable_cpu(void)
{
    uint32_t **vmcs = &cpu_vmcs[cpu_current()->index];

    if (*vmcs) {
        return STATUS_OK;
    }
    if (!is_allowed()) {
        log_warn("CPU %u: the firmware has switched VMX off and locked that: enable Intel "
                 "Virtualization Technology (VT-x) in the firmware set-up, then power the machine "
                 "off and on",
                 cpu_current()->index);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    uint32_t *pages = pool_allocate(2 * PAGE_SIZE, PAGE_SIZE);

    if (!pages) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    enum status status = switch_on(pages, pages + PAGE_SIZE / sizeof(*pages));

    if (status != STATUS_OK) {
        pool_free(pages, 2 * PAGE_SIZE);
        return status;
    }
    *vmcs = pages + PAGE_SIZE / sizeof(*pages); /* it says that all is done */
    return STATUS_OK;
}

void vmx_renew_vmcs(void)
{
    uint64_t at = pool_hpa(cpu_vmcs[cpu_current()->index]).raw;

    if (!vmcs_clear(at) || !vmcs_load(at)) {
        panic("CPU %u: VMX refuses its VMCS", cpu_current()->index);
    }
}

/* 25.5. The CPU leaves interrupts off, and GDTR and IDTR with the largest limit. */
void vmx_set_host(void)
{
    struct cpu *cpu = cpu_current();
    uint64_t pat, efer;

    (void)msr_read(MSR_PAT, &pat);
    (void)msr_read(MSR_EFER, &efer);
    const struct {
        enum vmcs_field field;
        uint64_t value;
    } words[] = {
        {VMCS_HOST_ES,           SELECTOR_DATA           },
        {VMCS_HOST_CS,           SELECTOR_CODE           },
        {VMCS_HOST_SS,           SELECTOR_DATA           },
        {VMCS_HOST_DS,           SELECTOR_DATA           },
        {VMCS_HOST_FS,           0                       },
        {VMCS_HOST_GS,           0                       },
        {VMCS_HOST_TR,           SELECTOR_TSS            },
        {VMCS_HOST_PAT,          pat                     },
        {VMCS_HOST_EFER,         efer                    },
        {VMCS_HOST_SYSENTER_CS,  0                       },
        {VMCS_HOST_SYSENTER_ESP, 0                       },
        {VMCS_HOST_SYSENTER_EIP, 0                       },
        {VMCS_HOST_CR0,          cpu_read_cr0()          },
        {VMCS_HOST_CR3,          cpu_read_cr3()          },
        {VMCS_HOST_CR4,          cpu_read_cr4()          },
        {VMCS_HOST_FS_BASE,      0                       },
        {VMCS_HOST_GS_BASE,      (uint64_t)cpu           },
        {VMCS_HOST_TR_BASE,      (uint64_t)&cpu->tss     },
        {VMCS_HOST_GDTR_BASE,    (uint64_t)&cpu->gdt     },
        {VMCS_HOST_IDTR_BASE,    trap_table()            },
        {VMCS_HOST_RIP,          (uint64_t)vmx_exit_point},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        vmcs_write(words[i].field, words[i].value);
    }
}
