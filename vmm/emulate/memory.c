/* SPDX-License-Identifier: BSD-2-Clause */

#include "vmm/emulate/emulate_edge.h"
#include "vmm/emulate/engine.h"

bool memory_stop(struct engine *engine, enum emulate_outcome outcome)
{
    engine->result->outcome = outcome;
    return false;
}

bool memory_raise(struct engine *engine, uint8_t vector, uint32_t error)
{
    struct emulate_result *result = engine->result;

    result->vector = vector;
    result->has_error = vector != VECTOR_UD;
    result->error = error;
    return memory_stop(engine, EMULATE_FAULT);
}

/* Base plus offset, cut to 32 bits outside of 64-bit mode, where ES, CS, SS, DS have no base. */
static uint64_t linear_of(const struct emulate_cpu *cpu, enum insn_segment segment, uint64_t offset)
{
    uint64_t base = cpu->segment[segment].base;

    if (emulate_mode(cpu) != INSN_MODE_64) {
        return (base + offset) & 0xffffffff;
    }
    return segment >= INSN_SEGMENT_FS ? base + offset : offset;
}

/* What is cut off an address, to any size, lies above these bits. */
uint32_t emulate_page_offset(const struct emulate_cpu *cpu, const struct insn *insn)
{
    uint64_t at = linear_of(cpu, (enum insn_segment)insn->segment, (uint64_t)insn->displacement);

    if (insn->base == INSN_BASE_RIP) {
        at += cpu->rip + insn->length;
    } else if (insn->base != INSN_NO_REGISTER) {
        at += cpu->gpr[insn->base];
    }
    if (insn->index != INSN_NO_REGISTER) {
        at += cpu->gpr[insn->index] * insn->scale;
    }
    return at % PAGE_SIZE;
}

static bool is_canonical(const struct emulate_cpu *cpu, uint64_t address)
{
    unsigned shift = cpu->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(address << shift) >> shift) == address;
}

/* Does the segment's type allow it? Real and virtual-8086 mode never ask. */
static bool segment_type_allows(const struct emulate_cpu *cpu, unsigned attributes, bool write)
{
    if (!(cpu->cr0 & CR0_PE) || (cpu->rflags & RFLAGS_VM)) {
        return true;
    }
    if (!(attributes & SEGMENT_PRESENT)) {
        return false;
    }
    if (attributes & SEGMENT_TYPE_CODE) {
        return !write && (attributes & SEGMENT_TYPE_WRITE);
    }
    return !write || (attributes & SEGMENT_TYPE_WRITE);
}

/* SDM 3 5.3: OFFSET is below 4 GiB. An expand-down segment begins behind its limit. */
static bool segment_limit_allows(const struct x86_segment *segment, uint64_t offset, unsigned size)
{
    unsigned kind = SEGMENT_TYPE_CODE | SEGMENT_TYPE_DOWN;
    uint64_t last = offset + size - 1;

    if ((segment->attributes & kind) == SEGMENT_TYPE_DOWN) {
        bool big = segment->attributes & SEGMENT_DEFAULT_BIG;
        return offset > segment->limit && last <= (big ? 0xffffffff : 0xffff);
    }
    return last <= segment->limit;
}

static bool alignment_allows(const struct emulate_cpu *cpu, uint64_t linear, unsigned size)
{
    return cpu->cpl != 3 || !(cpu->cr0 & CR0_AM) || !(cpu->rflags & RFLAGS_AC) ||
           (linear & (size - 1)) == 0;
}

/* SDM 3 6.15, exceptions 12, 13 and 17. */
static bool segment_check(struct engine *engine, enum insn_segment segment, uint64_t offset,
                          unsigned size, bool write)
{
    const struct emulate_cpu *cpu = engine->cpu;
    const struct x86_segment *s = &cpu->segment[segment];
    uint64_t linear = linear_of(cpu, segment, offset);
    bool allowed;

    if (emulate_mode(cpu) == INSN_MODE_64) {
        allowed = is_canonical(cpu, linear) && is_canonical(cpu, linear + size - 1);
    } else {
        allowed =
            segment_type_allows(cpu, s->attributes, write) && segment_limit_allows(s, offset, size);
    }
    if (!allowed) {
        return memory_raise(engine, segment == INSN_SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0);
    }
    return alignment_allows(cpu, linear, size) || memory_raise(engine, VECTOR_AC, 0);
}

static bool translate(struct engine *engine, uint64_t linear, unsigned access, gpa_t *physical)
{
    uint32_t error = 0;

    access |= engine->cpu->cpl == 3 ? WALK_USER : 0;
    switch (walk_translate(engine->cpu, gva(linear), access, physical, &error)) {
    case WALK_OK:
        return true;
    case WALK_FAULT:
        engine->result->address = linear;
        return memory_raise(engine, VECTOR_PF, error);
    case WALK_AGAIN:
        return memory_stop(engine, EMULATE_RETRY);
    case WALK_NO_TABLE:
        break;
    }
    return memory_stop(engine, EMULATE_UNSUPPORTED);
}

static bool translate_data(struct engine *engine, uint64_t linear, bool write, gpa_t *physical)
{
    struct translation *last = &engine->last[write];
    uint64_t page = align_down(linear, PAGE_SIZE);

    if (!last->valid || last->page != page) {
        gpa_t found;

        if (!translate(engine, linear, write ? WALK_WRITE : 0, &found)) {
            return false;
        }
        *last = (struct translation){true, page, gpa(align_down(found.raw, PAGE_SIZE))};
    }
    *physical = gpa(last->gpa.raw + (linear - page));
    return true;
}

bool memory_prepare(struct engine *engine, enum insn_segment segment, uint64_t offset,
                    unsigned size, bool write, struct span *span)
{
    if (!segment_check(engine, segment, offset, size, write)) {
        return false;
    }
    uint64_t linear = linear_of(engine->cpu, segment, offset);
    uint64_t room = PAGE_SIZE - linear % PAGE_SIZE;

    span->size[0] = (uint8_t)(size <= room ? size : room);
    span->size[1] = (uint8_t)(size - span->size[0]);
    if (!translate_data(engine, linear, write, &span->at[0])) {
        return false;
    }
    if (span->size[1] == 0) {
        return true;
    }
    uint64_t next = linear + span->size[0];
    if (emulate_mode(engine->cpu) != INSN_MODE_64) {
        next &= 0xffffffff;
    }
    return translate_data(engine, next, write, &span->at[1]);
}

/* The largest access that a device takes at this address: 1, 2, 4 or 8 bytes, aligned if cut. */
static unsigned device_access(gpa_t at, unsigned size)
{
    unsigned access = 8;

    if ((size & (size - 1)) == 0) {
        return size;
    }
    while (access > size || at.raw % access != 0) {
        access /= 2;
    }
    return access;
}

static uint64_t read_piece(struct vcpu *vcpu, gpa_t at, unsigned size)
{
    uint64_t value = 0;

    if (size == 0 || emulate_ram_read(vcpu, at, &value, size)) {
        return value;
    }
    value = 0;
    for (unsigned done = 0; done < size;) {
        gpa_t part = gpa(at.raw + done);
        unsigned access = device_access(part, size - done);

        value |= alu_truncate(emulate_device_read(vcpu, part, access), access) << 8 * done;
        done += access;
    }
    return value;
}

static void write_piece(struct vcpu *vcpu, gpa_t at, unsigned size, uint64_t value)
{
    if (size == 0 || emulate_ram_write(vcpu, at, &value, size)) {
        return;
    }
    for (unsigned done = 0; done < size;) {
        gpa_t part = gpa(at.raw + done);
        unsigned access = device_access(part, size - done);

        emulate_device_write(vcpu, part, access, alu_truncate(value >> 8 * done, access));
        done += access;
    }
}

uint64_t memory_read(struct engine *engine, const struct span *span)
{
    struct vcpu *vcpu = engine->cpu->vcpu;
    uint64_t value = read_piece(vcpu, span->at[0], span->size[0]);

    if (span->size[1] != 0) {
        value |= read_piece(vcpu, span->at[1], span->size[1]) << 8 * span->size[0];
    }
    return value;
}

void memory_write(struct engine *engine, const struct span *span, uint64_t value)
{
    struct vcpu *vcpu = engine->cpu->vcpu;

    write_piece(vcpu, span->at[0], span->size[0], value);
    if (span->size[1] != 0) {
        write_piece(vcpu, span->at[1], span->size[1], value >> 8 * span->size[0]);
    }
}

bool memory_exchange(struct engine *engine, const struct span *span, uint64_t old, uint64_t new)
{
    struct vcpu *vcpu = engine->cpu->vcpu;

    /* Across two pages no single exchange exists; a device page is among them, or we would not be
       here, and accesses to that are not atomic with anything. */
    if (span->size[1] != 0) {
        memory_write(engine, span, new);
        return true;
    }
    switch (emulate_ram_swap(vcpu, span->at[0], span->size[0], old, new)) {
    case EMULATE_SWAPPED:
        return true;
    case EMULATE_SWAP_CHANGED:
        return memory_stop(engine, EMULATE_RETRY);
    case EMULATE_SWAP_NOT_RAM:
        break;
    }
    memory_write(engine, span, new);
    return true;
}

bool memory_fetch(struct engine *engine, uint8_t *bytes, unsigned *count)
{
    const struct emulate_cpu *cpu = engine->cpu;
    const struct x86_segment *code = &cpu->segment[INSN_SEGMENT_CS];
    uint64_t offset = cpu->rip + *count;
    uint64_t linear = linear_of(cpu, INSN_SEGMENT_CS, offset);
    uint64_t size = PAGE_SIZE - linear % PAGE_SIZE;
    gpa_t from;

    size = size < INSN_MAX - *count ? size : INSN_MAX - *count;
    if (emulate_mode(cpu) == INSN_MODE_64) {
        if (!is_canonical(cpu, linear)) {
            return memory_raise(engine, VECTOR_GP, 0);
        }
    } else {
        if (offset > code->limit) {
            return memory_raise(engine, VECTOR_GP, 0);
        }
        size = size - 1 <= code->limit - offset ? size : code->limit - offset + 1;
    }
    if (!translate(engine, linear, WALK_EXECUTE, &from)) {
        return false;
    }
    for (unsigned i = 0; i < size; i += 8) {
        unsigned part = size - i < 8 ? (unsigned)size - i : 8;

        if (!emulate_ram_read(cpu->vcpu, gpa(from.raw + i), bytes + *count, part)) {
            return memory_stop(engine, EMULATE_UNSUPPORTED);
        }
        *count += part;
    }
    return true;
}
