/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any sequence of calls on any kind of simulated unit, against a model of what two domains map: no
 * device may ever reach what the model does not have, nor miss what it has. Units may die on the
 * way; then only 'no more than it should' is left to check.
 */
#include "tests/unit/iommu/machine.h"

#include <string.h>

#define SLOTS   64U
#define DEVICES 4U
#define FIRST   0x3fff0000ULL /* the slots cross a 1 GiB border */
#define POOL    512U
#define MARKS   (1ULL << 49 | 1ULL << 52)
#define RUN     0x3ffc0000ULL /* whole words of marks around the slots */
#define WORDS   (0x80000U / (RAM_MARKS_WORD * PAGE_SIZE))

static const bdf_t devices[DEVICES] = {
    {.bus = 1},
    {.bus = 1, .devfn = 1},
    {.bus = 2       },
    {.bus = 3}
};

static struct {
    struct iommu_domain *domain[2];
    uint64_t page[2][SLOTS];   /* physical address + 1, 0: none */
    uint8_t attached[DEVICES]; /* index of the domain + 1 */
    uint32_t irq[DEVICES];
    bool has_irq[DEVICES];
    uint64_t written[2]; /* slots, since the last report */
    bool dead;
} model;

static uint64_t marks[RUN / (RAM_MARKS_WORD * PAGE_SIZE) + WORDS];
static const struct ram ram = {
    .marks = marks, .run_count = 1, .run = {{.at = {RUN}, .size = 0x80000}}};

static void start(const uint8_t *data)
{
    machine_build((data[0] & 1) != 0 ? SIM_VTD : SIM_AMDVI, POOL);
    memset(&model, 0, sizeof(model));
    for (unsigned i = 0; i < 2; i++) {
        struct sim_unit *unit = machine_unit[i];

        unit->cap |= ((data[0] & 2) != 0 ? 1ULL << 7 : 0) | ((data[0] & 4) != 0 ? 1ULL << 4 : 0);
        unit->cap &= ~((uint64_t)(data[1] & 3) << 34) & ~((data[1] & 4) != 0 ? 1ULL << 39 : 0);
        if (unit->kind == SIM_VTD && (data[1] & 8) != 0) {
            unit->ecap &= ~1ULL;
            unit->coherent = false;
        }
        unit->ecap &= ~((data[1] & 16) != 0 ? 0x80ULL : 0) & ~((data[1] & 32) != 0 ? 0x10ULL : 0);
        unit->features &= (data[1] & 64) != 0 ? 0x40U : 0xc4U;
        unit->features |= (data[1] & 128) != 0 ? MARKS : 0;
        unit->delay = data[0] >> 6;
        unit->busy = (data[0] & 8) != 0;
        unit->busy_source = i == 0 ? 0x101 : 0x200;
        unit->busy_iova = FIRST + (data[0] >> 4 & 3) * 0x1000UL;
    }
    sim_require(machine_start() == STATUS_OK, "the units start");
    model.domain[0] = machine_domain(0);
    model.domain[1] = machine_domain(1);
}

/* A domain that nobody is attached to ends, and another takes its place. */
static void change_domain(unsigned d)
{
    bool used = false;

    for (unsigned i = 0; i < DEVICES; i++) {
        used = used || model.attached[i] == d + 1;
    }
    enum status status = iommu_domain_destroy(model.domain[d]);

    sim_require(model.dead || status == (used ? STATUS_STATE : STATUS_OK), "destroy");
    if (status == STATUS_OK) {
        model.domain[d] = machine_domain(d);
        memset(model.page[d], 0, sizeof(model.page[d]));
        model.written[d] = 0;
    }
}

static void change_memory(const uint8_t *op, unsigned d)
{
    unsigned slot = op[1] % SLOTS, count = op[2] % (SLOTS - slot) + 1;
    uint64_t base = 0x40000000ULL + op[3] * 0x10000ULL + (op[4] & 15) * 0x1000ULL;
    uint64_t iova = FIRST + slot * 0x1000UL, size = count * 0x1000UL;
    enum status status =
        iommu_map(model.domain[d], gpa(iova), hpa(base), size, IOMMU_READ | IOMMU_WRITE);
    bool taken = false;

    for (unsigned i = 0; i < count; i++) {
        taken = taken || model.page[d][slot + i] != 0;
    }
    sim_require(model.dead || status == (taken ? STATUS_CONFLICT : STATUS_OK), "map");
    for (unsigned i = 0; i < count && status == STATUS_OK; i++) {
        model.page[d][slot + i] = base + i * 0x1000UL + 1;
    }
}

/* What devices have written is told; it may be more, but never less. */
static void take_written(const uint8_t *op, unsigned d)
{
    uint64_t pages = 0, before = sim_pool_pages();
    enum status status = STATUS_OK;

    memset(&marks[ARRAY_SIZE(marks) - WORDS], 0, WORDS * sizeof(*marks));
    if ((op[1] & 1) != 0) {
        status = iommu_watch(model.domain[d], &ram);
        sim_require(iommu_facts()->marks || status == STATUS_UNSUPPORTED, "watch");
    } else if (iommu_facts()->marks) {
        status = iommu_take_written(model.domain[d], &ram, &pages);
        sim_require(sim_pool_pages() == before, "a report needs no memory");
    }
    if (!iommu_facts()->marks || status == STATUS_NO_MEMORY) {
        return;
    }
    sim_require(model.dead || status == STATUS_OK, "take");
    for (unsigned slot = 0; slot < SLOTS && status == STATUS_OK; slot++) {
        uint64_t page = FIRST / PAGE_SIZE + slot;

        sim_require((model.written[d] >> slot & 1) == 0 || (marks[page / 64] >> page % 64 & 1) != 0,
                    "a page that was written");
    }
    model.written[d] = 0;
}

static void change_device(const uint8_t *op, unsigned d)
{
    unsigned device = op[1] % DEVICES;
    bdf_t bdf = devices[device];
    struct iommu_message message;
    enum status status;

    switch (op[2] % 4) {
    case 0:
        status = iommu_attach(model.domain[d], bdf, device == 1 ? devices[0] : bdf);
        sim_require(model.dead || (status == STATUS_OK) == (model.attached[device] == 0), "attach");
        model.attached[device] = status == STATUS_OK ? (uint8_t)(d + 1) : model.attached[device];
        break;
    case 1:
        status = iommu_detach(bdf);
        sim_require(model.dead || (status == STATUS_OK) ==
                                      (model.attached[device] != 0 && !model.has_irq[device]),
                    "detach");
        model.attached[device] = status == STATUS_OK ? 0 : model.attached[device];
        break;
    case 2:
        if (!model.has_irq[device]) {
            status = iommu_irq_allocate(bdf, op[3], op[4], &model.irq[device], &message);
            sim_require(model.dead || status != STATUS_OK || model.attached[device] != 0, "irq");
            model.has_irq[device] = status == STATUS_OK;
        }
        break;
    default:
        status = iommu_irq_free(model.has_irq[device] ? model.irq[device] : IOMMU_IRQS_MAX + op[3]);
        sim_require(model.dead || (status == STATUS_OK) == model.has_irq[device], "irq_free");
        model.has_irq[device] = false;
        break;
    }
}

static void check(unsigned seed)
{
    for (unsigned device = 0; device < DEVICES; device++) {
        unsigned slot = (seed + device * 7) % SLOTS, d = model.attached[device];
        uint64_t base = 0;
        bool reached = machine_dma(devices[device], FIRST + slot * 0x1000UL, true, &base);
        uint64_t wanted = d != 0 ? model.page[d - 1][slot] : 0;

        sim_require(model.dead || (reached ? base + 1 : 0) == wanted, "what a device reaches");
        if (reached && d != 0) {
            model.written[d - 1] |= 1ULL << slot;
        }
    }
    (void)iommu_poll_faults();
}

/* All of it goes back, and nothing is lost. */
static void finish(void)
{
    for (unsigned device = 0; device < DEVICES; device++) {
        if (model.has_irq[device]) {
            sim_require(iommu_irq_free(model.irq[device]) == STATUS_OK, "free");
        }
        if (model.attached[device] != 0) {
            sim_require(iommu_detach(devices[device]) == STATUS_OK, "detach");
        }
    }
    for (unsigned d = 0; d < 2; d++) {
        sim_require(iommu_domain_destroy(model.domain[d]) == STATUS_OK, "destroy");
    }
    struct iommu_counters counters = iommu_counters();

    sim_require(counters.domains == 0 && counters.functions == 0 && counters.irqs == 0 &&
                    counters.table_pages == 0 && counters.mapped_bytes == 0 &&
                    counters.lost_pages == 0,
                "nothing is lost");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    start(data);
    for (size_t at = 2; at + 5 <= size; at += 5) {
        const uint8_t *op = data + at;

        if (op[0] == 0xff) { /* a unit stops working */
            machine_unit[op[1] & 1]->queue_hangs = true;
            model.dead = true;
        } else if ((op[0] & 11) == 9) {
            take_written(op, op[0] >> 2 & 1);
        } else if ((op[0] & 3) == 2) {
            change_domain(op[0] >> 2 & 1);
        } else if ((op[0] & 2) != 0) {
            change_memory(op, op[0] >> 2 & 1);
        } else {
            change_device(op, op[0] >> 2 & 1);
        }
        check(op[4]);
    }
    if (!model.dead) {
        finish();
    }
    return 0;
}
