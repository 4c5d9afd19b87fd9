/* SPDX-License-Identifier: BSD-2-Clause */
/* SVM on one host CPU: what it offers, and switching it on. AMD APM 2, sections 15.4 and 15.30. */
#include "vmm/base/log.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/guards.h"
#include "vmm/host/msr.h"
#include "vmm/host/percpu.h"
#include "vmm/host/pool.h"
#include "vmm/svm/svm.h"

#define LEAF_SVM         0x8000000aU
#define LEAF_EXTENDED    0x80000001U
#define EXTENDED_ECX_SVM (1U << 2)
#define SVM_EDX_NPT      (1U << 0)
#define SVM_EDX_NEXT_RIP (1U << 3)
#define SVM_EDX_TSC      (1U << 4)
#define SVM_EDX_CLEAN    (1U << 5)
#define SVM_EDX_BY_ASID  (1U << 6)
#define SVM_EDX_ASSISTS  (1U << 7)
#define SVM_EDX_PAUSE    (1U << 10)
#define MSR_VM_HSAVE_PA  0xc0010117U
#define EFER_AIBRSE      (1ULL << 21)
#define ASIDS_USABLE_MIN 2U
#define RATIO            ((struct backend_ratio){8, 32}) /* of MSR C0000104h: 15.30.5 */

/* What a CPU has for its guests; made when SVM is switched on there. */
static struct svm_cpu {
    void *host; /* a VMCB */
    struct asid_pool asids;
} cpus[CPUS_MAX];

static struct svm_features features;

const struct svm_features *svm_features(void)
{
    return &features;
}

enum status svm_init(void)
{
    if (cpuid_read(0x80000000, 0).eax < LEAF_SVM ||
        !(cpuid_read(LEAF_EXTENDED, 0).ecx & EXTENDED_ECX_SVM)) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    struct cpuid svm = cpuid_read(LEAF_SVM, 0);

    if (!(svm.edx & SVM_EDX_NPT) || svm.ebx < ASIDS_USABLE_MIN) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    features = (struct svm_features){
        .asids = svm.ebx,
        .next_rip = svm.edx & SVM_EDX_NEXT_RIP,
        .decode_assists = svm.edx & SVM_EDX_ASSISTS,
        .flush_by_asid = svm.edx & SVM_EDX_BY_ASID,
        .clean_bits = svm.edx & SVM_EDX_CLEAN,
        .pause_filter = svm.edx & SVM_EDX_PAUSE,
        .guards = guards_init(),
    };
    backend_offers = (struct backend_offers){
        .giant_pages = true, /* long mode's came before nested paging (CPUID 80000001h) */
        .tsc_ratio = svm.edx & SVM_EDX_TSC ? RATIO : (struct backend_ratio){0},
    };
    return maps_init();
}

/*
 * Let LFENCE wait for all that stands before it, which guests and cpu_read_tsc() rely on. Guests
 * set the bit themselves, without effect, and read it as set (vmm/vm/model_msr.c). A CPU without
 * the register has such an LFENCE anyhow.
 */
static void make_lfence_wait(void)
{
    uint64_t value;

    if (msr_read(MSR_DE_CFG, &value) == STATUS_OK && !(value & DE_CFG_LFENCE)) {
        (void)msr_write(MSR_DE_CFG, value | DE_CFG_LFENCE);
    }
}

/*
 * Automatic IBRS, where the CPU has it: what guests have taught the branch predictors does not
 * steer us, and the return predictor is emptied at each exit (AMD APM 2, 3.1.7).
 */
static uint64_t own_efer(void)
{
    uint64_t efer;

    (void)msr_read(MSR_EFER, &efer);
    efer |= features.guards & GUARD_AUTO_IBRS ? EFER_AIBRSE : 0;
    return efer | EFER_SVME;
}

static bool is_forbidden(void)
{
    uint64_t vm_cr;

    return msr_read(MSR_VM_CR, &vm_cr) == STATUS_OK && (vm_cr & VM_CR_SVMDIS);
}

static enum status switch_on(void *save_area)
{
    if (msr_write(MSR_EFER, own_efer()) != STATUS_OK ||
        msr_write(MSR_VM_HSAVE_PA, pool_hpa(save_area).raw) != STATUS_OK) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    make_lfence_wait();
    return STATUS_OK;
}

/* own->host says that all is done, so it is set last. */
enum status svm_enable_cpu(void)
{
    struct svm_cpu *own = &cpus[cpu_current()->index];

    if (own->host) {
        return STATUS_OK;
    }
    if (is_forbidden()) {
        log_warn("CPU %u: the firmware has switched SVM off: switch it on in the firmware set-up",
                 cpu_current()->index);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    /* A page that VMRUN saves our state to, and our VMCB. */
    uint8_t *pages = pool_allocate(2 * PAGE_SIZE, PAGE_SIZE);

    if (!pages) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    enum status status = switch_on(pages);

    if (status != STATUS_OK) {
        pool_free(pages, 2 * PAGE_SIZE);
        return status;
    }
    asid_pool_init(&own->asids, features.asids, features.flush_by_asid);
    /* Nothing of this state changes any more: it is saved once and loaded after every exit. */
    svm_save_host(pool_hpa(pages + PAGE_SIZE));
    own->host = pages + PAGE_SIZE;
    return STATUS_OK;
}

hpa_t svm_host_vmcb(const struct cpu *cpu)
{
    return pool_hpa(cpus[cpu->index].host);
}

struct asid_pool *svm_asids(const struct cpu *cpu)
{
    return &cpus[cpu->index].asids;
}
