/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries and exits on a VMCB without a CPU: what goes in, what comes out, the end of NMI handlers,
 * and operands that only the guest's code tells. Includes svm_vcpu.c to take STI out of it.
 */
#include "vmm/host/instructions.h"
#define cpu_irq_enable() ((void)0)
#include "vmm/svm/svm_vcpu.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/host/pool.h"
#include "vmm/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RIP       0x1000U
#define TARGET    0x3000U
#define FREE_PORT 0x1f8U
#define BS        (1U << 14)

static struct vcpu *const vcpu = &fake_vcpu;
static struct svm_features features;
static struct vmcb *vmcb;
static struct exit last;
static void (*guest)(void); /* what the guest does until it exits */
static unsigned entries;

/* ---- what svm_vcpu.c needs of the rest ---- */

const struct svm_features *svm_features(void)
{
    return &features;
}

hpa_t svm_host_vmcb(const struct cpu *cpu)
{
    return hpa(0x1000);
}

struct asid_pool *svm_asids(const struct cpu *cpu)
{
    static struct asid_pool pool = {.count = 8, .next = 8, .generation = 1};

    return &pool;
}

enum status svm_init(void)
{
    return STATUS_OK;
}

enum status svm_enable_cpu(void)
{
    return STATUS_OK;
}

hpa_t maps_io(void)
{
    return hpa(0x2000);
}

hpa_t maps_msr(void)
{
    return hpa(0x5000);
}

void svm_enter(struct vcpu *entered, hpa_t at, hpa_t host)
{
    entries++;
    vmcb->exit_event = 0;
    guest();
}

/* ---- guests ---- */

static void exit_with(uint64_t code, uint64_t info1, uint64_t info2)
{
    vmcb->exit_code = code;
    vmcb->exit_info1 = info1;
    vmcb->exit_info2 = info2;
}

static void host_interrupt(void)
{
    exit_with(VMCB_EXIT_INTR, 0, 0);
}

static void reach_iret(void)
{
    exit_with(VMCB_EXIT_IRET, 0, 0);
}

/* IRET, popping RFLAGS without TF; the trap if it was stepped. */
static void execute_iret(void)
{
    bool stepped = vmcb->rflags & RFLAGS_TF;

    vmcb->rip = TARGET;
    vmcb->rflags = RFLAGS_FIXED | RFLAGS_IF;
    if (stepped) {
        vmcb->dr6 |= BS;
        exit_with(VMCB_EXIT_EXCEPTION + 1, 0, 0);
    } else {
        exit_with(VMCB_EXIT_INTR, 0, 0);
    }
}

/* As Bochs 2.7 tells it. */
static void execute_iret_without_bs(void)
{
    execute_iret();
    vmcb->dr6 &= ~(uint64_t)BS;
}

static void execute_iret_on_watched_stack(void)
{
    execute_iret();
    vmcb->dr6 |= 4;
}

static void fault_in_iret(void)
{
    exit_with(VMCB_EXIT_EXCEPTION + 13, 0x18, 0);
}

static void page_fault_in_iret(void)
{
    exit_with(VMCB_EXIT_EXCEPTION + 14, 2, 0xdead000);
}

static void refuse(void)
{
    exit_with((uint64_t)-1, 0, 0);
}

static void run(void (*what)(void))
{
    guest = what;
    vcpu->kicked = 0;
    svm_run(vcpu, &last);
}

static int setup(void **state)
{
    struct cpu_state reset;

    fake_cpu_milan();
    fake_pages_reset(8);
    fake_vm_reset();
    features = (struct svm_features){.asids = 8};
    backend = &svm_backend;
    vcpu->backend = pool_allocate(backend->vcpu_size, PAGE_SIZE);
    vmcb = &((struct svm_vcpu *)vcpu->backend)->vmcb;
    state_set_reset(&reset);
    reset.cr0 = CR0_PE | CR0_ET;
    reset.segment[STATE_CS].base = 0;
    reset.segment[STATE_CS].limit = UINT32_MAX;
    reset.segment[STATE_CS].attributes = FAKE_CODE_32;
    for (unsigned i = 0; i < STATE_GDTR; i++) {
        reset.segment[i].limit = i == STATE_CS ? UINT32_MAX : reset.segment[i].limit;
    }
    svm_set_state(vcpu, &reset);
    entries = 0;
    return 0;
}

/* An NMI handler runs, and stands at its IRET. */
static void reach(void)
{
    vcpu->nmi_blocked = true;
    run(reach_iret);
    assert_true(vmcb->intercepts & VMCB_INTERCEPT(IRET));
    assert_int_equal(last.reason, EXIT_NMI_WINDOW);
    assert_true(vcpu->nmi_blocked);
}

static void expect_unseen(void)
{
    assert_int_equal(vcpu->rflags & RFLAGS_TF, 0);
    assert_int_equal(vmcb->dr6, DR6_RESET);
    assert_int_equal(vmcb->exceptions, BACKEND_EXCEPTIONS);
}

/* A waiting NMI can be delivered at the IRET's target, and the guest sees nothing of the step. */
static void test_iret_is_stepped(void **state)
{
    reach();
    vcpu->nmi_pending = true;
    run(host_interrupt); /* before it is executed */
    assert_true(vcpu->nmi_blocked);
    assert_int_equal(vcpu->rip, RIP);
    expect_unseen();
    run(execute_iret);
    assert_int_equal(last.reason, EXIT_NMI_WINDOW);
    assert_false(vcpu->nmi_blocked);
    assert_int_equal(vcpu->rip, TARGET);
    fake_expect_nothing();
    expect_unseen();
    run(host_interrupt);
    assert_int_equal(vmcb->intercepts & VMCB_INTERCEPT(IRET), 0);
}

/* While it is stepped no exception may push RFLAGS. */
static void look_at_step(void)
{
    assert_int_equal(vmcb->exceptions, UINT32_MAX);
    assert_true(vmcb->rflags & RFLAGS_TF);
    assert_int_equal(vmcb->intercepts & VMCB_INTERCEPT(IRET), 0);
    execute_iret();
}

static void test_step_is_watched(void **state)
{
    reach();
    run(look_at_step);
    expect_unseen();
}

static void test_step_without_a_word(void **state)
{
    reach();
    run(execute_iret_without_bs);
    assert_int_equal(last.reason, EXIT_NMI_WINDOW);
    assert_false(vcpu->nmi_blocked);
    expect_unseen();
}

static void test_iret_that_faults(void **state)
{
    reach();
    run(fault_in_iret);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_exception(13, true, 0x18);
    assert_false(vcpu->nmi_blocked);
    assert_true(vcpu->rflags & RFLAGS_RF);
    expect_unseen();
    setup(NULL);
    reach();
    run(page_fault_in_iret);
    fake_expect_exception(14, true, 2);
    assert_int_equal(vmcb->cr2, 0xdead000);
    expect_unseen();
}

/* A guest that steps itself, or watches its stack, gets its own #DB, with what DR6 had before. */
static void test_debug_exceptions_of_the_guest(void **state)
{
    vmcb->dr6 = DR6_RESET | 1;
    reach();
    vcpu->rflags |= RFLAGS_TF;
    run(execute_iret);
    assert_int_equal(last.reason, EXIT_EXCEPTION);
    assert_int_equal(vmcb->dr6, DR6_RESET | 1 | BS);
    assert_false(vcpu->nmi_blocked);
    setup(NULL);
    vmcb->dr6 = DR6_RESET | 1;
    reach();
    run(execute_iret_on_watched_stack);
    assert_int_equal(last.reason, EXIT_EXCEPTION);
    assert_int_equal(vmcb->dr6, DR6_RESET | 4);
    assert_int_equal(vcpu->rflags & RFLAGS_TF, 0);
}

/* An event that is delivered at the IRET is not pushed with TF; its own IRET is the one then. */
static void test_event_at_the_iret(void **state)
{
    reach();
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    run(host_interrupt);
    assert_int_equal(vmcb->rflags & RFLAGS_TF, 0);
    assert_true(vmcb->intercepts & VMCB_INTERCEPT(IRET));
    assert_true(vcpu->nmi_blocked);
}

/* A handler that is a task: TF would be seen in its TSS. */
static void test_return_to_a_task(void **state)
{
    reach();
    vcpu->rflags |= RFLAGS_NT;
    vcpu->nmi_pending = true;
    run(host_interrupt);
    assert_int_equal(vmcb->rflags & RFLAGS_TF, 0);
    assert_true(vmcb->intercepts & VMCB_INTERCEPT(VINTR));
    assert_true(vcpu->nmi_blocked);
    run(execute_iret);
    assert_false(vcpu->nmi_blocked);
}

static uint32_t io_info(unsigned port, unsigned size, bool in)
{
    return port << VMCB_IO_PORT_SHIFT | size << VMCB_IO_SIZE_SHIFT | (in ? VMCB_IO_IN : 0);
}

/* The OUT that VMRUN was interrupted for is served at once; then the state is refused. */
static void write_port_then_refuse(void)
{
    exit_with(VMCB_EXIT_IOIO, io_info(FREE_PORT, 2, false), vmcb->rip + 2);
    assert_true(svm_quick(vcpu));
    refuse();
}

static void test_refusals(void **state)
{
    vcpu->event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = 0x40};
    run(refuse);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_INTERRUPT); /* still to be delivered */
    run(write_port_then_refuse);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_NONE); /* it was, before the OUT */
    vmcb->dr7 = 1ULL << 40;
    vmcb->cr0 = CR0_NW;
    run(host_interrupt); /* mended */
    assert_int_equal(vmcb->dr7, 0);
    assert_int_equal(vmcb->cr0, 0);
}

/* What the guest exits with, and which byte of the platform it would reach. */
static uint64_t quick_info;
static bool is_quick_done;

static void access_port(void)
{
    exit_with(VMCB_EXIT_IOIO, quick_info, vmcb->rip + 2);
    is_quick_done = svm_quick(vcpu);
    if (is_quick_done) {
        assert_int_equal(vmcb->rip, RIP + 2);
        assert_int_equal(vmcb->interrupt_shadow | vmcb->inject | vmcb->tlb_control, 0);
        host_interrupt();
    }
}

/* The accesses that are served before anything else is put away, and those that are not. */
static void test_quick_ports(void **state)
{
    static const struct {
        uint64_t info, rflags;
        bool iret, claimed, quick;
    } rows[] = {
        {FREE_PORT << 16 | 0x10, 0,         false, false, true },
        {FREE_PORT << 16 | 0x41, 0,         false, false, true },
        {FREE_PORT << 16 | 0x11, RFLAGS_TF, false, false, false}, /* a trap comes behind it */
        {FREE_PORT << 16 | 0x11, RFLAGS_RF, false, false, false},
        {FREE_PORT << 16 | 0x15, 0,         false, false, false}, /* INS */
        {FREE_PORT << 16 | 0x31, 0,         false, false, false}, /* no such size */
        {FREE_PORT << 16 | 0x11, 0,         true,  false, false}, /* an NMI handler ends */
        {0x20U << 16 | 0x10,     0,         false, true,  true }, /* the 8259 */
        {0x3f8U << 16 | 0x10,    0,         false, true,  false}, /* the console may have no room */
        {0xcfcU << 16 | 0x41,    0,         false, true,  false}, /* PCI's configuration */
        {0x1008U << 16 | 0x41,   0,         false, true,  true }, /* the PM timer */
        {0x1004U << 16 | 0x20,   0,         false, true,  false}, /* it may switch the machine off */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_vm_reset();
        assert_int_equal(setup(state), 0);
        memset(fake_vm.pc.port_pages, rows[i].claimed ? 0xff : 0, sizeof(fake_vm.pc.port_pages));
        fake_platform.port_value = 0x55;
        quick_info = rows[i].info;
        vcpu->rflags = RFLAGS_FIXED | rows[i].rflags;
        vcpu->shadow = true;
        ((struct svm_vcpu *)vcpu->backend)->iret = rows[i].iret;
        ((struct svm_vcpu *)vcpu->backend)->iret_rip = RIP;
        vcpu->nmi_blocked = rows[i].iret;
        run(access_port);
        assert_int_equal(is_quick_done, rows[i].quick);
        assert_int_equal(fake_platform.accesses, rows[i].quick);
        assert_int_equal(vcpu->counter[EXIT_IO].exits, rows[i].quick);
        assert_true(!rows[i].quick || last.reason == EXIT_INTERRUPT);
    }
}

/* What one of them brings for this vCPU is looked at before the guest goes on. */
static void test_quick_port_with_news(void **state)
{
    quick_info = io_info(FREE_PORT, 1, true);
    fake_platform.port_value = 0x5a;
    vcpu->gpr[INSN_RAX] = 0x1234;
    vcpu->look = true;
    run(access_port);
    assert_false(is_quick_done);
    assert_int_equal(last.reason, EXIT_RETRY);
    assert_int_equal(vcpu->rip, RIP + 2); /* it was carried out, once */
    assert_int_equal(vcpu->gpr[INSN_RAX], 0x125a);
    assert_int_equal(fake_platform.accesses, 1);
    vcpu->look = false;
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
}

static void test_watches(void **state)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        vcpu->window = bits & 1;
        vcpu->nmi_blocked = bits & 2;
        vcpu->cr8_watched = bits & 4;
        vcpu->shadow = bits & 8;
        vcpu->cr8 = (uint8_t)(bits ^ 5);
        vcpu->rflags = RFLAGS_FIXED;
        run(host_interrupt);
        assert_int_equal((vmcb->intercepts & VMCB_INTERCEPT(VINTR)) != 0, bits & 1);
        assert_int_equal((vmcb->interrupt_control & VMCB_V_IRQ) != 0, bits & 1);
        assert_int_equal((vmcb->intercepts & VMCB_INTERCEPT(IRET)) != 0, (bits & 2) != 0);
        assert_int_equal(vmcb->cr_writes >> 8 & 1, (bits & 4) != 0);
        assert_int_equal(vmcb->interrupt_shadow, (bits & 8) != 0);
        assert_int_equal(vcpu->cr8, bits ^ 5);
        vmcb->interrupt_control ^= 6;
        take_over(vcpu, vmcb);
        assert_int_equal(vcpu->cr8, bits ^ 3);
    }
}

/* What the CPU says of the interrupt 41h that it was offered. */
static bool says_pending;
static uint64_t says_event;

static void answer_offer(void)
{
    if (!says_pending) {
        vmcb->interrupt_control &= ~(uint64_t)VMCB_V_IRQ;
    }
    vmcb->exit_event = says_event;
    exit_with(VMCB_EXIT_INTR, 0, 0);
}

/* It is taken once V_IRQ is clear, or while its delivery is under way; INT 41h is not it. */
static void test_offers(void **state)
{
    static const struct {
        bool pending;
        uint64_t event;
        bool taken;
        enum vcpu_event_kind kind;
    } rows[] = {
        {true,  0,          false, VCPU_EVENT_NONE     },
        {false, 0,          true,  VCPU_EVENT_NONE     },
        {false, 0x80000041, true,  VCPU_EVENT_INTERRUPT},
        {true,  0x80000341, true,  VCPU_EVENT_INTERRUPT}, /* as QEMU tells it */
        {true,  0x80000441, false, VCPU_EVENT_NONE     },
        {true,  0x80000051, false, VCPU_EVENT_INTERRUPT},
        {true,  0x8000030e, false, VCPU_EVENT_EXCEPTION},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vcpu->event.kind = VCPU_EVENT_NONE;
        vcpu->offer = 0x41;
        vcpu->cr8 = 3;
        says_pending = rows[i].pending;
        says_event = rows[i].event;
        run(answer_offer);
        assert_int_equal(vmcb->interrupt_control & ~(uint64_t)VMCB_V_IRQ,
                         0x41ULL << 32 | VMCB_V_INTR_MASKING | VMCB_V_IGNORE_TPR | 4U << 16 | 3);
        assert_int_equal(vmcb->intercepts & VMCB_INTERCEPT(VINTR), 0);
        assert_int_equal(vcpu->offer, rows[i].taken ? 0 : 0x41);
        assert_int_equal(vcpu->event.kind, rows[i].kind);
        assert_int_equal(vcpu->cr8, 3);
    }
    vcpu->event.kind = VCPU_EVENT_NONE;
    vcpu->offer = 0;
    says_pending = true;
    run(answer_offer);
    assert_int_equal(vmcb->interrupt_control, VMCB_V_INTR_MASKING | 3);
}

/* Where the guest is left at a window instead, nothing is taken. */
static void test_offers_and_windows(void **state)
{
    says_pending = false;
    says_event = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (i == 2) { /* while an IRET is stepped */
            reach();
        }
        vcpu->window = i == 0;
        vcpu->nmi_pending = i == 1;
        vcpu->offer = 0x41;
        run(answer_offer);
        assert_true(vmcb->intercepts & VMCB_INTERCEPT(VINTR));
        assert_int_equal(vcpu->offer, 0x41);
    }
}

static void refuse_and_forget(void)
{
    vmcb->interrupt_control = 0;
    refuse();
}

static void take_and_refuse(void)
{
    vmcb->interrupt_control &= ~(uint64_t)VMCB_V_IRQ;
    refuse();
}

/* Nothing was entered, whatever QEMU has made of the field. */
static void test_offer_is_refused(void **state)
{
    vcpu->offer = 0x41;
    vcpu->cr8 = 2;
    run(refuse_and_forget);
    assert_int_equal(last.reason, EXIT_INVALID);
    assert_int_equal(vcpu->offer, 0x41);
    assert_int_equal(vcpu->cr8, 2);
    vcpu->event.kind = VCPU_EVENT_NONE;
    run(refuse); /* as CPUs do, which know that it is still offered */
    assert_int_equal(vcpu->offer, 0x41);
    run(take_and_refuse); /* by an entry before */
    assert_int_equal(vcpu->offer, 0);
}

/* A host interrupt in the shadow of STI: the HLT behind it is carried out at once. */
static void test_hlt_in_shadow(void **state)
{
    vcpu->shadow = true;
    FAKE_CODE(0xf4);
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_HLT);
    assert_int_equal(last.length, 1);
    FAKE_CODE(0x90);
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
    vmcb->cpl = 3;
    FAKE_CODE(0xf4);
    run(host_interrupt);
    assert_int_equal(last.reason, EXIT_INTERRUPT);
}

/* ---- operands ---- */

static void write_cr0(void)
{
    exit_with(VMCB_EXIT_CR_WRITE, 0, 0);
}

static void write_cr4(void)
{
    exit_with(VMCB_EXIT_CR_WRITE + 4, 0, 0);
}

static void write_cr8(void)
{
    exit_with(VMCB_EXIT_CR_WRITE + 8, 0, 0);
}

static void read_cr4(void)
{
    exit_with(VMCB_EXIT_CR_READ + 4, 0, 0);
}

static void ask_cpuid(void)
{
    exit_with(VMCB_EXIT_CPUID, 0, 0);
}

static void expect_write(unsigned number, uint64_t value, unsigned length)
{
    assert_int_equal(last.reason, EXIT_CR_WRITE);
    assert_int_equal(last.control.number, number);
    assert_int_equal(last.control.value, value);
    assert_int_equal(last.length, length);
    fake_expect_nothing();
}

static void test_moves(void **state)
{
    vcpu->gpr[INSN_RBX] = 0xffffffff00000020ULL;
    FAKE_CODE(0x0f, 0x22, 0xe3); /* MOV CR4, EBX: the upper half is not there */
    run(write_cr4);
    expect_write(4, 0x20, 3);
    FAKE_CODE(0x0f, 0x20, 0xe6); /* MOV ESI, CR4 */
    run(read_cr4);
    assert_int_equal(last.reason, EXIT_CR_READ);
    assert_int_equal(last.control.reg, INSN_RSI);
    assert_int_equal(last.length, 3);
    FAKE_CODE(0x0f, 0x22, 0xc3); /* MOV CR0, EBX by now: it is executed anew */
    run(write_cr4);
    assert_int_equal(last.reason, EXIT_RETRY);
    FAKE_CODE(0x8b, 0x00);
    run(write_cr4);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_nothing();
    vmcb->segment[STATE_CS].attributes = FAKE_CODE_LONG;
    vmcb->efer = EFER_SVME | EFER_LME | EFER_LMA;
    vcpu->gpr[9] = 7;
    FAKE_CODE(0x45, 0x0f, 0x22, 0xc1); /* MOV CR8, R9 */
    run(write_cr8);
    expect_write(8, 7, 4);
    vcpu->gpr[INSN_RAX] = 1ULL << 40;
    FAKE_CODE(0x0f, 0x22, 0xc0); /* MOV CR0, RAX */
    run(write_cr0);
    expect_write(0, 1ULL << 40, 3);
}

static void test_lmsw_and_clts(void **state)
{
    static const struct {
        uint64_t cr0, word, wanted;
    } rows[] = {
        {0,                        0xffff,             CR0_PE | CR0_MP | CR0_EM | CR0_TS},
        {CR0_PE,                   0,                  CR0_PE /* never cleared */       },
        {CR0_PE | CR0_TS | CR0_MP, CR0_EM,             CR0_PE | CR0_EM                  },
        {CR0_PE | CR0_NE | CR0_WP, 0x20 | 0x10000 | 1, CR0_PE | CR0_NE | CR0_WP         },
        {CR0_PE | CR0_AM,          CR0_TS,             CR0_PE | CR0_AM | CR0_TS         },
        {CR0_PE | CR0_CD | CR0_NW, CR0_MP,             CR0_PE | CR0_CD | CR0_NW | CR0_MP},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vmcb->cr0 = rows[i].cr0;
        vcpu->gpr[INSN_RCX] = rows[i].word;
        FAKE_CODE(0x0f, 0x01, 0xf1); /* LMSW CX */
        run(write_cr0);
        expect_write(0, rows[i].wanted, 3);
    }
    vmcb->cr0 = CR0_PE | CR0_NE;
    fake_ram[0x2000] = CR0_TS;
    FAKE_CODE(0x0f, 0x01, 0x35, 0x00, 0x20, 0x00, 0x00); /* LMSW [2000h] */
    run(write_cr0);
    expect_write(0, CR0_PE | CR0_NE | CR0_TS, 7);
    vmcb->cr0 = CR0_PE | CR0_TS | CR0_MP;
    FAKE_CODE(0x0f, 0x06); /* CLTS */
    run(write_cr0);
    expect_write(0, CR0_PE | CR0_MP, 2);
}

static void test_lengths(void **state)
{
    FAKE_CODE(0x66, 0x0f, 0xa2);
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_CPUID);
    assert_int_equal(last.length, 3);
    FAKE_CODE(0x8b, 0x00);
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_nothing();
    features.next_rip = true;
    vmcb->next_rip = RIP + 2;
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_CPUID);
    assert_int_equal(last.length, 2);
    features.next_rip = false;
    vcpu->rip = FAKE_RAM_SIZE + 0x1000; /* no RAM */
    run(ask_cpuid);
    assert_int_equal(last.reason, EXIT_RETRY);
    fake_expect_exception(6, false, 0);
}

/* ---- state ---- */

static void test_state(void **state)
{
    static struct cpu_state in, out, again;

    memset(&in, 0x5a, sizeof(in));
    for (unsigned i = 0; i < ARRAY_SIZE(in.segment); i++) {
        in.segment[i].base = 0x5a5a5a5a5a5a; /* what more there is of an address is taken out */
    }
    in.lstar = in.kernel_gs_base = in.sysenter_esp = in.sysenter_eip = in.cr3 = 0x5a5a5a5a5a5a;
    in.cr0 = in.dr6 = in.dr7 = 0x5a5a5a5a;
    svm_set_state(vcpu, &in);
    assert_int_equal(vmcb->efer & EFER_SVME, EFER_SVME);
    assert_true(vmcb->cr4 & CR4_MCE);
    assert_int_equal(vmcb->inject | vmcb->clean | vmcb->asid, 0);
    in.efer &= ~EFER_SVME;
    memset(&out, 0xa5, sizeof(out));
    svm_get_state(vcpu, &out);
    svm_set_state(vcpu, &out);
    memset(&again, 0xa5, sizeof(again));
    svm_get_state(vcpu, &again);
    assert_memory_equal(&out, &again, sizeof(out));
    assert_memory_equal(out.segment, in.segment, sizeof(in.segment));
    for (const char *member = (const char *)&in.cr0; member < (const char *)&in.tsc_offset;
         member += sizeof(uint64_t)) {
        size_t at = (size_t)(member - (const char *)&in);

        assert_memory_equal(member, (const char *)&out + at, sizeof(uint64_t));
    }
    assert_int_equal(out.cpl, in.cpl);
}

static void test_registers(void **state)
{
    for (unsigned reg = 0; reg < BACKEND_REGISTERS; reg++) {
        vmcb->clean = UINT32_MAX;
        backend->write(vcpu, (enum backend_register)reg, 0x100 + reg);
        assert_int_not_equal(vmcb->clean, UINT32_MAX);
    }
    for (unsigned reg = 0; reg < BACKEND_REGISTERS; reg++) {
        assert_int_equal(backend->read(vcpu, (enum backend_register)reg), 0x100 + reg);
    }
    backend->set_root(vcpu, hpa(0x123000));
    assert_int_equal(vmcb->nested_cr3, 0x123000);
    assert_true(((struct svm_vcpu *)vcpu->backend)->asid.stale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_iret_is_stepped, setup),
        cmocka_unit_test_setup(test_step_is_watched, setup),
        cmocka_unit_test_setup(test_step_without_a_word, setup),
        cmocka_unit_test_setup(test_iret_that_faults, setup),
        cmocka_unit_test_setup(test_debug_exceptions_of_the_guest, setup),
        cmocka_unit_test_setup(test_event_at_the_iret, setup),
        cmocka_unit_test_setup(test_return_to_a_task, setup),
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test_setup(test_quick_ports, setup),
        cmocka_unit_test_setup(test_quick_port_with_news, setup),
        cmocka_unit_test_setup(test_offers, setup),
        cmocka_unit_test_setup(test_offers_and_windows, setup),
        cmocka_unit_test_setup(test_offer_is_refused, setup),
        cmocka_unit_test_setup(test_watches, setup),
        cmocka_unit_test_setup(test_hlt_in_shadow, setup),
        cmocka_unit_test_setup(test_moves, setup),
        cmocka_unit_test_setup(test_lmsw_and_clts, setup),
        cmocka_unit_test_setup(test_lengths, setup),
        cmocka_unit_test_setup(test_state, setup),
        cmocka_unit_test_setup(test_registers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
