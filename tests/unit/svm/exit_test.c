/* SPDX-License-Identifier: BSD-2-Clause */
/* What the words of a VMCB mean: AMD APM 2, appendix C, and sections 15.10 to 15.33. */
#include "vmm/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RIP      0x401000ULL
#define NEXT     (RIP + 3)
#define LAST     0x403U /* exit codes above are none */
#define MOV(reg) (VMCB_CR_IS_MOV | (reg))

static struct vmcb vmcb;
static struct exit last;
static const struct svm_features every = {.next_rip = true, .decode_assists = true};
static const struct svm_features none;

static const struct exit *decode(const struct svm_features *features, uint64_t code, uint64_t info1,
                                 uint64_t info2)
{
    vmcb.exit_code = code;
    vmcb.exit_info1 = info1;
    vmcb.exit_info2 = info2;
    vmcb.rip = RIP;
    vmcb.next_rip = NEXT;
    svm_decode_exit(&vmcb, features, &last);
    assert_int_equal(last.code, code);
    assert_int_equal(last.info1, info1);
    assert_int_equal(last.info2, info2);
    return &last;
}

/* Every code from 0 to the last: by the manual's numbers, not by our names. */
static const struct {
    uint16_t first, last;
    enum exit_reason reason;
    uint8_t length; /* with NEXT known */
} codes[] = {
    {0x00,  0x0f,  EXIT_CR_READ,    0}, /* no word about the operand: decode */
    {0x10,  0x1f,  EXIT_CR_WRITE,   0},
    {0x40,  0x5f,  EXIT_EXCEPTION,  0},
    {0x60,  0x63,  EXIT_INTERRUPT,  0},
    {0x64,  0x64,  EXIT_WINDOW,     0},
    {0x65,  0x65,  EXIT_CR_WRITE,   0}, /* CR0, selectively */
    {0x6f,  0x6f,  EXIT_FORBIDDEN,  0}, /* RDPMC */
    {0x72,  0x72,  EXIT_CPUID,      3},
    {0x73,  0x73,  EXIT_REFUSED,    0}, /* RSM */
    {0x74,  0x74,  EXIT_NMI_WINDOW, 0},
    {0x76,  0x76,  EXIT_CACHE,      3}, /* INVD */
    {0x77,  0x77,  EXIT_PAUSE,      3},
    {0x78,  0x78,  EXIT_HLT,        3},
    {0x7a,  0x7a,  EXIT_REFUSED,    0}, /* INVLPGA */
    {0x7b,  0x7b,  EXIT_IO,         0}, /* its next rip is in EXITINFO2 */
    {0x7c,  0x7c,  EXIT_MSR_READ,   3},
    {0x7e,  0x7e,  EXIT_INTERRUPT,  0}, /* FERR_FREEZE */
    {0x7f,  0x7f,  EXIT_SHUTDOWN,   0},
    {0x80,  0x86,  EXIT_REFUSED,    0}, /* VMRUN .. SKINIT */
    {0x89,  0x89,  EXIT_CACHE,      3}, /* WBINVD */
    {0x8a,  0x8c,  EXIT_REFUSED,    0}, /* MONITOR, MWAIT, MWAIT armed */
    {0x8d,  0x8d,  EXIT_XSETBV,     3},
    {0x8e,  0x8e,  EXIT_REFUSED,    0}, /* RDPRU */
    {0x400, 0x400, EXIT_MEMORY,     0},
};

static enum exit_reason wanted(uint64_t code, uint8_t *length)
{
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        if (code >= codes[i].first && code <= codes[i].last) {
            *length = codes[i].length;
            return codes[i].reason;
        }
    }
    *length = 0;
    return EXIT_UNKNOWN;
}

static void test_every_code(void **state)
{
    for (uint64_t code = 0; code <= LAST; code++) {
        uint8_t length;
        enum exit_reason reason = wanted(code, &length);

        assert_int_equal(decode(&every, code, 0, 0)->reason, reason);
        assert_int_equal(last.length, length);
        assert_int_equal(decode(&none, code, 0, 0)->reason, reason);
        assert_int_equal(last.length, 0);
    }
    /* The upper half counts, too. */
    assert_int_equal(decode(&every, 1ULL << 32 | 0x78, 0, 0)->reason, EXIT_UNKNOWN);
    assert_int_equal(decode(&every, 0x10078, 0, 0)->reason, EXIT_UNKNOWN);
    assert_int_equal(decode(&every, UINT64_MAX, 0, 0)->reason, EXIT_INVALID);
    assert_int_equal(decode(&every, UINT64_MAX - 1, 0, 0)->reason, EXIT_UNKNOWN); /* BUSY, of SEV */
    /* Some CPUs write the lower half of it only. */
    assert_int_equal(decode(&every, UINT32_MAX, 0, 0)->reason, EXIT_INVALID);
}

static uint8_t length_with(uint64_t rip, uint64_t next)
{
    vmcb.exit_code = 0x78;
    vmcb.rip = rip;
    vmcb.next_rip = next;
    svm_decode_exit(&vmcb, &every, &last);
    return last.length;
}

/* A next rip that cannot be is no next rip: the instruction is decoded then. */
static void test_length(void **state)
{
    for (unsigned i = 1; i <= 15; i++) {
        assert_int_equal(length_with(RIP, RIP + i), i);
        assert_int_equal(length_with(UINT64_MAX, i - 1), i); /* over the end */
    }
    assert_int_equal(length_with(RIP, RIP), 0);
    assert_int_equal(length_with(RIP, RIP + 16), 0);
    assert_int_equal(length_with(RIP, RIP - 1), 0);
    assert_int_equal(length_with(RIP, 0), 0); /* not provided */
    assert_int_equal(length_with(RIP, RIP + 256 + 2), 0);
    assert_int_equal(length_with(RIP, RIP + (1ULL << 32) + 2), 0);
    assert_int_equal(length_with(UINT32_MAX, 1), 0); /* wrapped in 32-bit code */
}

static void test_io(void **state)
{
    static const uint8_t sizes[] = {1, 2, 4};

    for (unsigned i = 0; i < 3 * 2 * 2 * 2; i++) {
        uint8_t size = sizes[i % 3];
        bool in = i / 3 & 1, string = i / 6 & 1, repeat = i / 12 & 1;
        uint64_t info = (uint64_t)(0xfff0 + i) << 16 | (1ULL << 9) /* 64-bit address */ |
                        (uint64_t)size << 4 | (repeat ? 8 : 0) | (string ? 4 : 0) | (in ? 1 : 0);

        decode(&none, 0x7b, info, RIP + 2);
        assert_int_equal(last.reason, string ? EXIT_STRING_IO : EXIT_IO);
        assert_int_equal(last.io.port, (uint16_t)(0xfff0 + i));
        assert_int_equal(last.io.size, size);
        assert_true(last.io.in == in);
        assert_int_equal(last.length, 2); /* needs no next-rip feature: 15.10.2 */
    }
    assert_int_equal(decode(&every, 0x7b, 0x3f80011, RIP + 16)->length, 0);
    assert_int_equal(decode(&every, 0x7b, 0x3f80011, RIP)->length, 0);
    assert_int_equal(last.io.port, 0x3f8);
    /* What no CPU says is not made one of the three sizes. */
    assert_int_equal(decode(&every, 0x7b, 0x3f80001, NEXT)->io.size, 0);
    assert_int_equal(decode(&every, 0x7b, 0x3f80071, NEXT)->io.size, 7);
}

static void test_msr(void **state)
{
    assert_int_equal(decode(&every, 0x7c, 0, 0)->reason, EXIT_MSR_READ);
    assert_int_equal(decode(&every, 0x7c, 1, 0)->reason, EXIT_MSR_WRITE);
    assert_int_equal(last.length, 3);
    assert_int_equal(decode(&none, 0x7c, 1, 0)->length, 0);
}

static void test_memory(void **state)
{
    for (unsigned i = 0; i < 16; i++) {
        bool present = i & 1, write = i & 2, fetch = i & 4, walk = i & 8;
        uint64_t info = (present ? 1U : 0U) | (write ? 2U : 0U) | 4U | (fetch ? 16U : 0U) |
                        (walk ? 1ULL << 33 : 1ULL << 32);

        decode(&every, 0x400, info, 0xfee00ff8);
        assert_int_equal(last.memory.address.raw, 0xfee00ff8);
        assert_true(last.memory.present == present);
        assert_true(last.memory.walk == walk);
    }
}

static void test_control_registers(void **state)
{
    for (unsigned number = 0; number < 16; number++) {
        for (unsigned reg = 0; reg < 16; reg++) {
            for (unsigned write = 0; write < 2; write++) {
                decode(&every, write * 16 + number, MOV(reg), 0);
                assert_int_equal(last.reason, write ? EXIT_CR_WRITE : EXIT_CR_READ);
                assert_int_equal(last.control.number, number);
                assert_int_equal(last.control.reg, reg);
                assert_int_equal(last.length, 3);
            }
        }
    }
}

/* LMSW, CLTS and SMSW have no such word, and without the feature there is none at all: decode. */
static void test_control_registers_without_assists(void **state)
{
    static const struct svm_features next_only = {.next_rip = true};

    decode(&every, 0x10, 0x7, 0);
    assert_int_equal(last.length, 0);
    decode(&next_only, 0x14, MOV(5), 0);
    assert_int_equal(last.control.number, 4);
    assert_int_equal(last.length, 0);
    decode(&none, 0x18, MOV(5), 0);
    assert_int_equal(last.control.number, 8);
    assert_int_equal(last.length, 0);
    decode(&every, 0x65, MOV(9), 0);
    assert_int_equal(last.reason, EXIT_CR_WRITE);
    assert_int_equal(last.control.number, 0);
    assert_int_equal(last.control.reg, 9);
    assert_int_equal(last.length, 3);
}

static void test_exceptions(void **state)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        decode(&every, 0x40 + vector, 0x123456789ULL, 0xdead);
        assert_int_equal(last.reason, EXIT_EXCEPTION);
        assert_int_equal(last.exception.vector, vector);
        assert_int_equal(last.exception.error, 0x23456789);
    }
}

/* Each combination of LME and CR0.PG, whatever LMA says; and nothing else changes. */
static void test_settled_efer(void **state)
{
    const uint64_t lme = 1U << 8, lma = 1U << 10, pg = 1U << 31, others = 0x1801;

    for (unsigned had = 0; had < 2; had++) {
        uint64_t before = others | (had ? lma : 0);

        assert_int_equal(svm_settle_efer(before, 0x11), others);
        assert_int_equal(svm_settle_efer(before, pg | 0x11), others);
        assert_int_equal(svm_settle_efer(before | lme, 0x11), others | lme);
        assert_int_equal(svm_settle_efer(before | lme, pg | 0x11), others | lme | lma);
        assert_int_equal(svm_settle_efer(before | lme, ~pg), others | lme);
    }
}

static struct vcpu_event event(enum vcpu_event_kind kind, uint8_t vector, bool has_error,
                               uint32_t error)
{
    return (struct vcpu_event){
        .kind = kind, .vector = vector, .has_error = has_error, .error = error};
}

static uint64_t word(unsigned type, unsigned vector, bool has_error, uint64_t error)
{
    return 1ULL << 31 | (uint64_t)type << 8 | vector | (has_error ? 1ULL << 11 : 0) | error << 32;
}

static void test_encode(void **state)
{
    struct vcpu_event nothing = event(VCPU_EVENT_NONE, 13, true, 5);
    struct vcpu_event interrupt = event(VCPU_EVENT_INTERRUPT, 0xef, false, 7);
    struct vcpu_event nmi = event(VCPU_EVENT_NMI, 2, false, 0);
    struct vcpu_event fault = event(VCPU_EVENT_EXCEPTION, 14, true, 0x80000007);

    assert_int_equal(svm_encode_event(&nothing), 0);
    assert_int_equal(svm_encode_event(&interrupt), 0x800000ef);
    assert_int_equal(svm_encode_event(&nmi), 0x80000202);
    assert_int_equal(svm_encode_event(&fault), 0x8000000780000b0e);
}

/* What was under way and interrupted is delivered again as it was. */
static void test_round_trips(void **state)
{
    for (unsigned vector = 0; vector < 256; vector++) {
        struct vcpu_event before = event(VCPU_EVENT_INTERRUPT, (uint8_t)vector, false, 0);
        struct vcpu_event after = svm_decode_event(svm_encode_event(&before));

        assert_int_equal(after.kind, VCPU_EVENT_INTERRUPT);
        assert_int_equal(after.vector, vector);
        assert_false(after.has_error);
    }
    for (unsigned vector = 0; vector < 32; vector++) {
        struct vcpu_event before =
            event(VCPU_EVENT_EXCEPTION, (uint8_t)vector, vector & 1, vector & 1 ? 0xfedc0000 : 0);
        struct vcpu_event after = svm_decode_event(svm_encode_event(&before));

        if (vector >= 2 && vector <= 4) {
            continue; /* below */
        }
        assert_int_equal(after.kind, VCPU_EVENT_EXCEPTION);
        assert_int_equal(after.vector, vector);
        assert_true(after.has_error == before.has_error);
        assert_int_equal(after.error, before.error);
    }
}

static void test_decode_event(void **state)
{
    assert_int_equal(svm_decode_event(0).kind, VCPU_EVENT_NONE);
    assert_int_equal(svm_decode_event(word(3, 14, true, 2) & ~(1ULL << 31)).kind, VCPU_EVENT_NONE);
    /* INT3 and INTO, as a CPU tells them that calls them exceptions, are executed again. */
    assert_int_equal(svm_decode_event(word(3, 3, false, 0)).kind, VCPU_EVENT_NONE);
    assert_int_equal(svm_decode_event(word(3, 4, false, 0)).kind, VCPU_EVENT_NONE);
    for (unsigned vector = 0; vector < 256; vector++) {
        struct vcpu_event as_exception = svm_decode_event(word(3, vector, false, 0));
        struct vcpu_event as_nmi = svm_decode_event(word(2, vector, false, 0));

        assert_int_equal(svm_decode_event(word(4, vector, false, 0)).kind, VCPU_EVENT_NONE);
        assert_int_equal(as_nmi.kind, VCPU_EVENT_NMI);
        assert_int_equal(as_nmi.vector, 2);
        if (vector == 2) {
            assert_int_equal(as_exception.kind, VCPU_EVENT_NMI);
        } else if (vector >= 32) {
            assert_int_equal(as_exception.kind, VCPU_EVENT_INTERRUPT);
            assert_int_equal(as_exception.vector, vector);
            assert_false(as_exception.has_error);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_io),
        cmocka_unit_test(test_msr),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_control_registers),
        cmocka_unit_test(test_control_registers_without_assists),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_settled_efer),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_decode_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
