/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries and exits on a VMCS without a CPU: what goes in and what comes out, for every reason.
 * Includes vmx_vcpu.c to take STI out of it.
 */
#include "vmm/host/instructions.h"
#define cpu_irq_enable() ((void)0)
#include "vmm/vmx/vmx_vcpu.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/simvf/entry_check.h"
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "tests/unit/vmx/fake_vmcs.h"
#include "vmm/host/msr.h"
#include "vmm/host/pool.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RIP   0x1000U
#define VALID (1U << 31)
#define ERROR (1U << 11)

static struct vcpu *const vcpu = &fake_vcpu;
static struct vmx_features chosen;
static struct vmx_vcpu *vmx;
static struct exit last;
static void (*guest)(void); /* what the guest does until it exits */
static bool launched;
static bool is_strange; /* the state is not one that an entry accepts */

/* ---- what vmx_vcpu.c needs of the rest ---- */

const struct vmx_features *vmx_features(void)
{
    return &chosen;
}

const struct vmx_fixed *vmx_fixed(unsigned index)
{
    static const struct vmx_fixed fixed[] = {
        {0x80000021, UINT32_MAX},
        {0x2000,     UINT64_MAX}
    };

    return &fixed[index];
}

enum status vmx_init(void)
{
    return STATUS_OK;
}

enum status vmx_enable_cpu(void)
{
    return STATUS_OK;
}

hpa_t vmx_msr_bitmap(void)
{
    return hpa(0x5000);
}

void vmx_renew_vmcs(void)
{
    launched = false;
}

void vmx_set_host(void)
{
    static const struct {
        uint16_t field;
        uint64_t value;
    } words[] = {
        {VMCS_HOST_CR0,  0x80010033                    },
        {VMCS_HOST_CR4,  0x26a0                        },
        {VMCS_HOST_PAT,  0x0007040600070406            },
        {VMCS_HOST_EFER, EFER_LME | EFER_LMA | EFER_NXE},
        {VMCS_HOST_CS,   0x08                          },
        {VMCS_HOST_TR,   0x18                          },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        fake_vmcs[words[i].field] = words[i].value;
    }
}

/* A CPU with all that is optional; what is forced is as on all CPUs (appendix A). */
static void choose_features(void)
{
    uint64_t capability[VMX_WORDS] = {[VMX_BASIC] = 1ULL << 55, [VMX_EPT] = UINT32_MAX};

    for (unsigned word = VMX_PIN; word < VMX_WORDS; word++) {
        capability[word] = (uint64_t)UINT32_MAX << 32;
    }
    assert_null(vmx_choose(capability, &chosen));
}

/* As a CPU: a VMCS is launched once, and the event is gone after an entry. */
bool vmx_enter(struct vcpu *entered, bool resume)
{
    const char *rule = entry_check_vmcs();

    assert_int_equal(resume, launched);
    rule = rule ? rule : entry_check_guest();
    if (rule && !is_strange) {
        fail_msg("an entry breaks %s", rule);
    }
    fake_vmcs[VMCS_VECTORING_EVENT] = 0;
    guest();
    if ((vmcs_read(VMCS_EXIT_REASON) & 0xffff) != VMCS_EXIT_BAD_STATE) {
        launched = true;
        fake_vmcs[VMCS_ENTRY_EVENT] &= ~(uint64_t)VALID;
    }
    return true;
}

/* ---- guests ---- */

static void exit_with(unsigned reason, uint64_t qualification, unsigned length)
{
    fake_vmcs[VMCS_EXIT_REASON] = reason;
    fake_vmcs[VMCS_QUALIFICATION] = qualification;
    fake_vmcs[VMCS_LENGTH] = length;
}

static void host_interrupt(void)
{
    exit_with(VMCS_EXIT_INTERRUPT, 0, 0);
}

static void refuse(void)
{
    exit_with(VALID | VMCS_EXIT_BAD_STATE, 0, 0);
}

static void run(void (*what)(void))
{
    guest = what;
    vmx_run(vcpu, &last);
}

static unsigned exit_reason, exit_length;
static uint64_t exit_info;

static void make_exit(void)
{
    exit_with(exit_reason, exit_info, exit_length);
}

static void run_exit(unsigned reason, uint64_t info, unsigned length)
{
    exit_reason = reason;
    exit_info = info;
    exit_length = length;
    run(make_exit);
}

static void set_long_mode(void)
{
    vmx_write(vcpu, BACKEND_CR0, CR0_PE | CR0_PG | CR0_ET);
    vmx_write(vcpu, BACKEND_CR4, CR4_PAE);
    vmx_write(vcpu, BACKEND_EFER, EFER_LME | EFER_LMA);
    fake_vmcs[VMCS_RIGHTS + 2] = 0xa09b;
}

static int setup(void **state)
{
    static struct cpu_state reset;

    fake_cpu_intel();
    fake_pages_reset(8);
    fake_vm_reset();
    model_init();
    fake_vmcs_fill(0);
    choose_features();
    backend = &vmx_backend;
    vcpu->backend = pool_allocate(backend->vcpu_size, PAGE_SIZE);
    fake_vm.apic_page = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    vmx = vcpu->backend;
    state_set_reset(&reset);
    reset.cr0 = CR0_PE | CR0_ET;
    reset.segment[STATE_CS].base = 0;
    reset.segment[STATE_CS].limit = UINT32_MAX;
    reset.segment[STATE_CS].attributes = FAKE_CODE_32;
    is_strange = false;
    vmx_set_state(vcpu, &reset);
    vmx_backend.set_root(vcpu, hpa(0x777000));
    fake_invepts = fake_nmis = 0;
    return 0;
}

/* ---- exits ---- */

/* Every basic reason of appendix C, with whether it brings a length. */
static void test_reasons(void **state)
{
    static const struct {
        uint8_t code, reason;
        bool length;
    } known[] = {
        {1,  EXIT_INTERRUPT,   false},
        {2,  EXIT_SHUTDOWN,    false},
        {7,  EXIT_WINDOW,      false},
        {8,  EXIT_NMI_WINDOW,  false},
        {9,  EXIT_TASK_SWITCH, false},
        {10, EXIT_CPUID,       true },
        {11, EXIT_REFUSED,     false},
        {12, EXIT_HLT,         true },
        {13, EXIT_CACHE,       true },
        {15, EXIT_FORBIDDEN,   false},
        {18, EXIT_REFUSED,     false},
        {19, EXIT_REFUSED,     false},
        {20, EXIT_REFUSED,     false},
        {21, EXIT_REFUSED,     false},
        {22, EXIT_REFUSED,     false},
        {23, EXIT_REFUSED,     false},
        {24, EXIT_REFUSED,     false},
        {25, EXIT_REFUSED,     false},
        {26, EXIT_REFUSED,     false},
        {27, EXIT_REFUSED,     false},
        {28, EXIT_CR_WRITE,    true },
        {30, EXIT_IO,          true },
        {31, EXIT_MSR_READ,    true },
        {32, EXIT_MSR_WRITE,   true },
        {33, EXIT_INVALID,     false},
        {34, EXIT_INVALID,     false},
        {36, EXIT_REFUSED,     false},
        {39, EXIT_REFUSED,     false},
        {40, EXIT_PAUSE,       true },
        {41, EXIT_EXCEPTION,   false},
        {44, EXIT_MEMORY,      false},
        {45, EXIT_APIC_EOI,    false},
        {48, EXIT_MEMORY,      false},
        {50, EXIT_REFUSED,     false},
        {53, EXIT_REFUSED,     false},
        {54, EXIT_CACHE,       true },
        {55, EXIT_XSETBV,      true },
        {56, EXIT_APIC_WRITE,  false},
        {59, EXIT_REFUSED,     false},
        {60, EXIT_REFUSED,     false},
    };

    for (unsigned code = 1, i = 0; code < 80; code++) {
        bool is_known = i < ARRAY_SIZE(known) && known[i].code == code;

        fake_vmcs[VMCS_EXIT_REASON] = code;
        fake_vmcs[VMCS_QUALIFICATION] = 0;
        fake_vmcs[VMCS_LENGTH] = 3;
        vmx_decode_exit(vcpu, &last);
        assert_int_equal(last.reason, is_known ? known[i].reason : EXIT_UNKNOWN);
        assert_int_equal(last.length, is_known && known[i].length ? 3 : 0);
        assert_int_equal(last.code, code);
        i += is_known;
    }
}

static void test_io(void **state)
{
    run_exit(VMCS_EXIT_IO, 0x3f8U << 16 | 0, 1);
    assert_int_equal(last.reason, EXIT_IO);
    assert_int_equal(last.io.port, 0x3f8);
    assert_int_equal(last.io.size, 1);
    assert_false(last.io.in);
    run_exit(VMCS_EXIT_IO, 0xffffU << 16 | 1U << 3 | 3, 2);
    assert_int_equal(last.io.port, 0xffff);
    assert_int_equal(last.io.size, 4);
    assert_true(last.io.in);
    run_exit(VMCS_EXIT_IO, 0x1f0U << 16 | 1U << 5 | 1U << 4 | 1U << 3 | 1, 2);
    assert_int_equal(last.reason, EXIT_STRING_IO);
    assert_int_equal(last.io.size, 2);
}

static void test_memory(void **state)
{
    fake_vmcs[VMCS_PHYSICAL_ADDRESS] = 0xfee00080;
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x182, 7);
    assert_int_equal(last.reason, EXIT_MEMORY);
    assert_int_equal(last.length, 0);
    assert_int_equal(last.memory.address.raw, 0xfee00080);
    assert_false(last.memory.walk || last.memory.present);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x81, 0);
    assert_true(last.memory.walk);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x1, 0); /* PDPTEs: no linear address */
    assert_true(last.memory.walk);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x18c, 0); /* readable */
    assert_true(last.memory.present);
    assert_false(vcpu->nmi_blocked);
    run_exit(VMCS_EXIT_EPT_VIOLATION, 0x1181, 0); /* of an IRET, which is executed again */
    assert_true(vcpu->nmi_blocked);
}

static void test_moves(void **state)
{
    vcpu->gpr[INSN_RBX] = 0xffffffff00000020ULL;
    run_exit(VMCS_EXIT_CR, 4 | 3U << 8, 3);
    assert_int_equal(last.reason, EXIT_CR_WRITE);
    assert_int_equal(last.control.number, 4);
    assert_int_equal(last.control.value, 0x20);
    assert_int_equal(last.length, 3);
    set_long_mode();
    run_exit(VMCS_EXIT_CR, 0 | 3U << 8, 3);
    assert_int_equal(last.control.value, 0xffffffff00000020ULL);
    vcpu->gpr[9] = 7;
    run_exit(VMCS_EXIT_CR, 8 | 9U << 8, 4);
    assert_int_equal(last.control.number, 8);
    assert_int_equal(last.control.value, 7);
    for (unsigned type = 1; type < 4; type++) { /* none of these exits */
        run_exit(VMCS_EXIT_CR, type << 4, 2);
        assert_int_equal(last.reason, EXIT_UNKNOWN);
    }
}

static void run_exception(uint32_t event, uint64_t info)
{
    fake_vmcs[VMCS_EXIT_EVENT] = event;
    fake_vmcs[VMCS_EXIT_ERROR] = 0x55;
    run_exit(VMCS_EXIT_EXCEPTION, info, 0);
}

static void test_exceptions(void **state)
{
    run_exception(VALID | 2U << 8 | 2, 0);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
    assert_int_equal(fake_nmis, 1);
    run_exception(VALID | 3U << 8 | ERROR | 17, 0);
    assert_int_equal(last.reason, EXIT_EXCEPTION);
    assert_int_equal(last.exception.vector, 17);
    assert_int_equal(last.exception.error, 0x55);
    run_exception(VALID | 3U << 8 | 18, 0);
    assert_int_equal(last.exception.vector, 18);
    assert_int_equal(last.exception.error, 0);
    run_exit(VMCS_EXIT_MACHINE_CHECK | VALID, 0, 0);
    assert_int_equal(last.exception.vector, 18);
    assert_int_equal(fake_nmis, 1);
}

/* What #DB leaves to the VMM: DR6, and DR7.GD. */
static void test_debug(void **state)
{
    fake_dr6 = DR6_RESET | 3;
    fake_vmcs[VMCS_DR7] = 0x2400;
    run_exception(VALID | 3U << 8 | 1, 1U << 14 | 4);
    assert_int_equal(last.exception.vector, 1);
    assert_int_equal(fake_dr6, DR6_RESET | 1U << 14 | 4);
    assert_int_equal(fake_vmcs[VMCS_DR7], 0x400);
}

static uint32_t vectoring;

static void interrupted_delivery(void)
{
    fake_vmcs[VMCS_VECTORING_EVENT] = vectoring;
    fake_vmcs[VMCS_VECTORING_ERROR] = 0x18;
    exit_with(VMCS_EXIT_EPT_VIOLATION, 0x182, 0);
}

static void test_vectoring(void **state)
{
    static const struct {
        uint32_t word;
        enum vcpu_event_kind kind;
    } rows[] = {
        {0x60,                           VCPU_EVENT_NONE     },
        {VALID | 0x60,                   VCPU_EVENT_INTERRUPT},
        {VALID | 2U << 8 | 2,            VCPU_EVENT_NMI      },
        {VALID | 3U << 8 | ERROR | 13,   VCPU_EVENT_EXCEPTION},
        {VALID | 3U << 8 | 6 | 1U << 12, VCPU_EVENT_EXCEPTION},
        {VALID | 4U << 8 | 0x80,         VCPU_EVENT_NONE     },
        {VALID | 5U << 8 | 1,            VCPU_EVENT_NONE     },
        {VALID | 6U << 8 | 3,            VCPU_EVENT_NONE     },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vectoring = rows[i].word;
        fake_vmcs[VMCS_RFLAGS] = vcpu->rflags = RFLAGS_FIXED | RFLAGS_IF;
        vcpu->event.kind = VCPU_EVENT_NONE;
        vcpu->nmi_blocked = false;
        run(interrupted_delivery);
        assert_int_equal(vcpu->event.kind, rows[i].kind);
        assert_int_equal(vcpu->nmi_blocked, rows[i].kind == VCPU_EVENT_NMI);
        if (rows[i].kind != VCPU_EVENT_NONE) {
            run(host_interrupt); /* delivered again */
            assert_int_equal(fake_vmcs[VMCS_ENTRY_EVENT] | VALID, rows[i].word & ~(1U << 12));
            assert_int_equal(fake_vmcs[VMCS_ENTRY_ERROR], rows[i].word & ERROR ? 0x18 : 0);
        }
    }
}

/* ---- entries ---- */

static void test_watches(void **state)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        vcpu->window = bits & 1;
        vcpu->nmi_pending = bits & 2;
        vcpu->cr8_watched = bits & 4;
        vcpu->cr8 = (uint8_t)(bits ^ 5);
        run(host_interrupt);
        uint64_t primary = vmcs_read(VMCS_PRIMARY_CONTROLS);

        assert_int_equal(primary >> 2 & 1, bits & 1);
        assert_int_equal(primary >> 22 & 1, (bits & 2) != 0);
        assert_int_equal(primary >> 19 & 1, (bits & 4) != 0);
        assert_int_equal(vmx->virtual_apic[VIRTUAL_TPR], (bits ^ 5) << 4);
        assert_int_equal(vcpu->cr8, bits ^ 5);
    }
}

/* ---- APICv ---- */

static void deliver_and_write(void)
{
    assert_int_equal(vmcs_read(VMCS_SECONDARY_CONTROLS) & VMCS_SECONDARY_APIC, VMCS_SECONDARY_APIC);
    assert_int_equal(vmcs_read(VMCS_INTERRUPT_STATUS), 0x61);
    assert_int_equal(vmcs_read(VMCS_APIC_ACCESS), pool_hpa(fake_vm.apic_page).raw);
    assert_int_equal(vmcs_read(VMCS_EOI_EXITS + 2), 1ULL << 0x21);
    assert_int_equal(vmx->virtual_apic[LAPIC_ID / 4], 0);
    assert_int_equal(vmx->virtual_apic[LAPIC_SVR / 4], 0x1ff);
    vmx->virtual_apic[(LAPIC_IRR + 0x30) / 4] = 0;
    vmx->virtual_apic[(LAPIC_ISR + 0x30) / 4] = 2;
    vmx->virtual_apic[LAPIC_SVR / 4] = 0x10ff;
    fake_vmcs[VMCS_PENDING_DEBUG] = VMCS_PENDING_BS | 1;
    exit_with(VMCS_EXIT_APIC_WRITE, LAPIC_SVR, 0);
}

static void find_in_service(void)
{
    assert_int_equal(vmcs_read(VMCS_INTERRUPT_STATUS), 0x6100);
    assert_int_equal(vmx->virtual_apic[LAPIC_SVR / 4], 0x1ff); /* what nobody has carried out */
    exit_with(VMCS_EXIT_APIC_EOI, 0x61, 0);
}

static void access_apic(void)
{
    assert_int_equal(vmcs_read(VMCS_SECONDARY_CONTROLS) & VMCS_SECONDARY_APIC,
                     VMCS_SECONDARY_APIC_ACCESS);
    exit_with(VMCS_EXIT_APIC_ACCESS, LAPIC_CURRENT, 0);
}

static void test_apic(void **state)
{
    struct lapic *l = &fake_vm.pc.lapic[0];

    lapic_power_on(l, 0, 1000000000);
    l->state.svr |= LAPIC_SVR_ENABLED;
    assert_true(lapic_accept(l, 0x61, true));
    vcpu->apic = true;
    run(deliver_and_write);
    assert_int_equal(last.reason, EXIT_APIC_WRITE);
    assert_int_equal(last.apic.offset, LAPIC_SVR);
    assert_int_equal(last.apic.value, 0x10ff);
    assert_int_equal(vmcs_read(VMCS_PENDING_DEBUG), 1); /* the step's trap is its handler's */
    assert_int_equal(l->state.isr[3], 2);
    run(find_in_service);
    assert_int_equal(last.reason, EXIT_APIC_EOI);
    assert_int_equal(last.apic.vector, 0x61);
    vcpu->apic = false;
    run(access_apic);
    assert_int_equal(last.reason, EXIT_MEMORY);
    assert_int_equal(last.memory.address.raw, LAPIC_BASE + LAPIC_CURRENT);
    assert_false(last.memory.present || last.memory.walk);
    assert_int_equal(l->state.isr[3], 2); /* nobody has touched it */
}

/* What a CPU needs at entries, and nothing where it needs nothing. */
static void test_guards(void **state)
{
    fake_msr_set(MSR_FLUSH_CMD, 0);
    fake_verws = 0;
    run(host_interrupt);
    assert_int_equal(fake_verws, 0);
    chosen.guards = GUARD_BUFFERS;
    run(host_interrupt);
    assert_int_equal(fake_verws, 1);
    assert_int_equal(fake_msr(MSR_FLUSH_CMD), 0);
    chosen.guards = GUARD_FLUSH_L1;
    run(host_interrupt);
    assert_int_equal(fake_verws, 1);
    assert_int_equal(fake_msr(MSR_FLUSH_CMD), 1);
}

/* SDM 3, 27.3.1.5: what an entry accepts, for each combination of what it depends on. */
static void test_interruptibility(void **state)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        enum vcpu_event_kind kind = (enum vcpu_event_kind)(bits >> 4);

        vcpu->shadow = bits & 1;
        vcpu->nmi_blocked = bits & 2;
        vcpu->rflags = RFLAGS_FIXED | (bits & 4 ? RFLAGS_IF : 0) | (bits & 8 ? RFLAGS_TF : 0);
        vcpu->event = (struct vcpu_event){.kind = kind, .vector = 2};
        is_strange = kind == VCPU_EVENT_INTERRUPT && !(bits & 4);
        run(host_interrupt);
        uint64_t value = vmcs_read(VMCS_INTERRUPTIBILITY);
        bool sti = value & 1, mov_ss = value & 2, nmi = value & 8;
        bool blocked = sti || mov_ss;

        assert_false(sti && (mov_ss || !(bits & 4)));
        assert_false(blocked && (kind == VCPU_EVENT_INTERRUPT || kind == VCPU_EVENT_NMI));
        assert_false(nmi && kind == VCPU_EVENT_NMI);
        if (kind == VCPU_EVENT_NONE) {
            assert_int_equal(blocked, bits & 1);
            assert_int_equal(nmi, (bits & 2) != 0);
        }
        assert_int_equal(vmcs_read(VMCS_PENDING_DEBUG), blocked && (bits & 8) ? 1U << 14 : 0);
    }
}

/* A refused entry has delivered nothing and launched nothing. */
static void test_refusals(void **state)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    vcpu->rflags |= RFLAGS_IF;
    fake_vmcs[VMCS_CR3] = UINT64_MAX;
    is_strange = true;
    run(refuse);
    is_strange = false;
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_INTERRUPT);
    vcpu->event.kind = VCPU_EVENT_NONE;
    run(host_interrupt); /* mended, and the old event is gone */
    assert_int_equal(fake_vmcs[VMCS_ENTRY_EVENT] & VALID, 0);
    assert_int_equal(fake_vmcs[VMCS_CR3], (1ULL << model_facts.physical_bits) - 1);
    assert_true(vmx->launched);
    vcpu->counter[EXIT_NOTIFY].exits = 0;
    run(refuse);
    run(host_interrupt);
}

/* One INVEPT for whatever was asked for since the last entry, and none else. */
static void test_flush(void **state)
{
    run(host_interrupt);
    assert_int_equal(fake_invepts, 1); /* new tables */
    assert_int_equal(fake_invept_pointer, 0x77701e);
    run(host_interrupt);
    assert_int_equal(fake_invepts, 1);
    vmx_backend.flush(vcpu);
    vmx_backend.flush(vcpu);
    run(host_interrupt);
    assert_int_equal(fake_invepts, 2);
}

static void test_pdptes(void **state)
{
    static const uint64_t entries[4] = {0x2001, 0, 0x3007 /* reserved */, 1ULL << 62 | 1};

    memcpy(fake_ram + 0x2fe0, entries, sizeof(entries));
    vmx_write(vcpu, BACKEND_CR3, 0x2fe0);
    vmx_write(vcpu, BACKEND_CR4, CR4_PAE);
    vmx_write(vcpu, BACKEND_CR0, CR0_PE | CR0_PG | CR0_ET);
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0x2001);
    assert_int_equal(fake_vmcs[VMCS_PDPTES + 4] | fake_vmcs[VMCS_PDPTES + 6], 0);
    fake_vmcs[VMCS_PDPTES] = 0x1001; /* what the CPU has loaded since stays */
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0x1001);
    vmx_write(vcpu, BACKEND_CR3, 0x7fffffe0); /* not RAM */
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0);
    fake_vmcs[VMCS_PDPTES] = 0x1001;
    set_long_mode();
    run(host_interrupt);
    assert_int_equal(fake_vmcs[VMCS_PDPTES], 0x1001);
}

/* ---- notifications ---- */

/* As vmx_enter.S asks. */
static bool notify(void)
{
    if (vmcs_read(VMCS_EXIT_REASON) != VMCS_EXIT_IO) {
        return false;
    }
    uint64_t rip = vmcs_read(VMCS_RIP), next = rip + vmcs_read(VMCS_LENGTH);
    bool done = vmx_notify(vcpu, vmcs_read(VMCS_QUALIFICATION), rip, next, vmcs_read(VMCS_RFLAGS),
                           vmcs_read(VMCS_INTERRUPTIBILITY));

    if (done) {
        vmcs_write(VMCS_RIP, next);
    }
    return done;
}

static void test_notify(void **state)
{
    static struct legacy_function function;
    static uint16_t doorbell;
    struct legacy_set *set = &fake_vm.vfs.legacy;
    const uint64_t out = 0x1010U << 16 | 1;

    function.doorbell = &doorbell;
    function.notify_port = 0x1010;
    set->function[0] = &function;
    set->owner[0x1010 / LEGACY_PORT_PAGE] = 1;
    vcpu->gpr[INSN_RAX] = 0x12340003;
    fake_vmcs[VMCS_RIP] = RIP;
    exit_with(VMCS_EXIT_IO, out, 2);
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED;
    assert_true(notify());
    assert_int_equal(doorbell, 3);
    assert_int_equal(fake_vmcs[VMCS_RIP], RIP + 2);
    assert_int_equal(vcpu->counter[EXIT_NOTIFY].exits, 1);
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED | RFLAGS_TF;
    assert_false(notify());
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED | RFLAGS_RF;
    assert_false(notify());
    fake_vmcs[VMCS_RFLAGS] = RFLAGS_FIXED;
    fake_vmcs[VMCS_INTERRUPTIBILITY] = 1;
    assert_false(notify());
    fake_vmcs[VMCS_INTERRUPTIBILITY] = 0;
    for (unsigned bit = 0; bit < 7; bit++) { /* another size, IN, string, REP, a port in the code */
        exit_with(VMCS_EXIT_IO, out ^ 1U << bit, 2);
        assert_false(notify());
    }
    exit_with(VMCS_EXIT_IO, out + (2U << 16), 2);
    assert_false(notify());
    exit_with(VMCS_EXIT_CPUID, out, 2);
    assert_false(notify());
    assert_int_equal(fake_vmcs[VMCS_RIP], RIP + 2);
    set->owner[0x1010 / LEGACY_PORT_PAGE] = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reasons, setup),
        cmocka_unit_test_setup(test_io, setup),
        cmocka_unit_test_setup(test_memory, setup),
        cmocka_unit_test_setup(test_moves, setup),
        cmocka_unit_test_setup(test_exceptions, setup),
        cmocka_unit_test_setup(test_debug, setup),
        cmocka_unit_test_setup(test_vectoring, setup),
        cmocka_unit_test_setup(test_watches, setup),
        cmocka_unit_test_setup(test_apic, setup),
        cmocka_unit_test_setup(test_guards, setup),
        cmocka_unit_test_setup(test_interruptibility, setup),
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test_setup(test_flush, setup),
        cmocka_unit_test_setup(test_pdptes, setup),
        cmocka_unit_test_setup(test_notify, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
