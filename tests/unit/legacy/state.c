/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a function comes out and goes in. Random guests run twice, once with pauses in
 * which the state is carried through bytes by its table of fields, and see the same; and nothing
 * that the VF says during a pause is lost.
 */
#include "tests/unit/emulate/random.h"
#include "tests/unit/legacy/guest.h"

#include <string.h>

#define F     (&guest_function[0])
#define ON    0x0007U
#define STEPS 400U
#define RUNS  60U
#define BYTES 8192U

struct seen {
    uint64_t value[STEPS];
    unsigned messages[STEPS];
    bool line[STEPS];
};

/* ---- Through the rows, as a record has it ---- */

static size_t element(const struct field *field, uint32_t i)
{
    return field->offset + (size_t)i * field->stride;
}

static size_t encode(const struct legacy_state *state, uint8_t *bytes)
{
    size_t at = 0;

    for (uint32_t n = 0; n < legacy_section.fields; n++) {
        const struct field *field = &legacy_section.field[n];

        for (uint32_t i = 0; i < field->count; i++, at += field->width) {
            assert_true(at + field->width <= BYTES);
            memcpy(bytes + at, (const uint8_t *)state + element(field, i), field->width);
        }
    }
    return at;
}

static void decode(const uint8_t *bytes, struct legacy_state *state)
{
    memset(state, 0xa5, sizeof(*state));
    for (uint32_t n = 0; n < legacy_section.fields; n++) {
        const struct field *field = &legacy_section.field[n];

        for (uint32_t i = 0; i < field->count; i++, bytes += field->width) {
            uint64_t value = 0;

            memcpy(&value, bytes, field->width);
            assert_true(value <= field->max);
            memcpy((uint8_t *)state + element(field, i), bytes, field->width);
        }
    }
}

/* Save, forget, load, save: the same bytes, and none of the VF's registers was touched. */
static void carry(struct legacy_function *f)
{
    static uint8_t before[BYTES], after[BYTES];
    static struct legacy_state loaded;
    struct fake_vf *vf = fake_vf_of(f);
    unsigned accesses = vf->accesses;
    size_t size = encode(legacy_save(f), before);

    memset(&f->state, 0xa5, sizeof(f->state));
    decode(before, &loaded);
    assert_int_equal(legacy_load(f, &loaded), STATUS_OK);
    assert_int_equal(encode(legacy_save(f), after), size);
    assert_memory_equal(before, after, size);
    assert_int_equal(vf->accesses, accesses);
    fake.same_lines = 0; /* a load says the line again */
}

static void checkpoint(struct legacy_function *f)
{
    legacy_pause(&guest);
    carry(f);
    legacy_resume(&guest);
}

/* ---- Random guests ---- */

static uint32_t pick(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return random_below(random, 8);
    case 1:
        return 0xfee00000U + random_below(random, 256);
    case 2:
        return 0x8000U * random_below(random, 4);
    default:
        return (uint32_t)random_next(random);
    }
}

static uint64_t access_port(struct random *random)
{
    unsigned width = 1U << random_below(random, 3);
    uint16_t port = (uint16_t)(F->io_base + random_below(random, 0x30));

    if (random_below(random, 2) == 0) {
        return in(port, width);
    }
    out(port, width, pick(random));
    return 0;
}

static uint64_t access_config(struct random *random)
{
    static const uint8_t places[] = {0x04, 0x06, 0x10, 0x14, 0x3c, 0x42};
    unsigned offset = places[random_below(random, ARRAY_SIZE(places))];

    if (random_below(random, 2) == 0) {
        return config_in(0, offset, 2);
    }
    if (offset == 0x10 || offset == 0x14) {
        config_out(0, offset, 4,
                   (offset == 0x10 ? IO(0) : MMIO(0)) + 0x1000U * random_below(random, 2));
    } else {
        config_out(0, offset, 2, pick(random) | (offset == 4 ? 3U : 0));
    }
    return 0;
}

static uint64_t access_memory(struct random *random)
{
    unsigned offset = random_below(random, 2) != 0 ? random_below(random, 0x20) * 4 : PAGE_SIZE / 2;
    uint64_t value = random_below(random, 3) == 0 ? 0 : pick(random);
    gpa_t at = gpa(F->mmio_base + offset);

    if (random_below(random, 3) == 0) {
        return legacy_mmio_read(&guest, at, 4, &value) ? value : 0;
    }
    (void)legacy_mmio_write(&guest, at, 4, value);
    return 0;
}

static uint64_t step(struct random *random)
{
    switch (random_below(random, 8)) {
    case 0:
        return access_config(random);
    case 1:
    case 2:
        return access_memory(random);
    case 3:
        guest_queue(0, random_below(random, FAKE_QUEUES), random_below(random, 4));
        return 0;
    case 4:
        fake_complete(F, random_below(random, FAKE_QUEUES));
        return 0;
    case 5:
        fake_config_change(F);
        (void)fake_run(F);
        return 0;
    default:
        return access_port(random);
    }
}

/* What the VF is after its registers were brought to another one: all but vectors. */
static void move_registers(const struct fake_vf *from, struct fake_vf *to)
{
    to->guest_features = from->guest_features;
    to->select = from->select;
    to->status = from->status;
    memcpy(to->config, from->config, sizeof(to->config));
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        to->queue[i].pfn = from->queue[i].pfn;
        to->queue[i].works = from->queue[i].works;
    }
}

/*
 * A paused function goes to a VF that nobody has used, and goes on; what the old VF had still to
 * say comes from the new one.
 */
static void move(void)
{
    static struct fake_machine old;
    static struct legacy_state state;
    unsigned messages = fake.messages;

    state = *legacy_save(F);
    old = fake;
    guest_start(1, 1);
    legacy_pause(&guest);
    move_registers(&old.vf[0], &fake.vf[0]);
    assert_int_equal(legacy_load(F, &state), STATUS_OK);
    fake.same_lines = 0;
    legacy_rebind(F);
    fake.messages = messages;
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        assert_true(fake.vf[0].entry[i].open || !old.vf[0].entry[i].pending);
        fake.vf[0].entry[i].pending = old.vf[0].entry[i].pending;
    }
    legacy_resume(&guest);
}

enum way { STAYS, CARRIED, MOVED };

static void run(uint64_t seed, enum way way, struct seen *seen)
{
    struct random random = {seed};
    struct random moments = {seed + 77};

    guest_start(1, 1);
    config_out(0, 4, 2, ON);
    for (unsigned i = 0; i < STEPS; i++) {
        if (way == CARRIED && random_below(&moments, 5) == 0) {
            checkpoint(F);
        } else if (way == MOVED && random_below(&moments, 50) == 0) {
            legacy_pause(&guest);
            move();
        }
        seen->value[i] = step(&random);
        seen->messages[i] = fake.messages;
        seen->line[i] = fake.line[0];
    }
    assert_false(F->state.lost);
    guest_check();
}

static void compare(enum way way)
{
    static struct seen alone, other;

    for (unsigned transport = 0; transport < 2; transport++) {
        guest_transport = transport ? LEGACY_TRANSPORT_ADMIN : LEGACY_TRANSPORT_MMR;
        for (uint64_t seed = 1; seed <= RUNS; seed++) {
            run(seed * 1000, STAYS, &alone);
            run(seed * 1000, way, &other);
            for (unsigned i = 0; i < STEPS; i++) {
                assert_int_equal(alone.value[i], other.value[i]);
                assert_int_equal(alone.messages[i], other.messages[i]);
                assert_int_equal(alone.line[i], other.line[i]);
            }
        }
    }
    guest_transport = LEGACY_TRANSPORT_MMR;
}

static void a_guest_does_not_see_that_it_was_carried(void **state)
{
    compare(CARRIED);
}

static void nor_that_it_was_moved(void **state)
{
    compare(MOVED);
}

/* ---- Interrupts during a pause ---- */

enum moment { BEFORE_SAVE, AFTER_SAVE, AFTER_LOAD, MOMENTS };

/* The VF uses a buffer at MOMENT of a pause; the guest learns of it afterwards, and not before. */
static void pause_with(enum moment moment)
{
    static uint8_t bytes[BYTES];
    static struct legacy_state loaded;
    unsigned messages = fake.messages;
    bool line = fake.line[0];

    legacy_pause(&guest);
    for (enum moment now = BEFORE_SAVE; now < MOMENTS; now++) {
        if (now == moment) {
            fake_complete(F, 0);
            fake_complete(F, 0);
        }
        if (now == BEFORE_SAVE) {
            (void)encode(legacy_save(F), bytes);
            memset(&F->state, 0xa5, sizeof(F->state));
        } else if (now == AFTER_SAVE) {
            decode(bytes, &loaded);
            assert_int_equal(legacy_load(F, &loaded), STATUS_OK);
            fake.same_lines = 0;
        }
    }
    assert_int_equal(fake.messages, messages);
    assert_int_equal(fake.line[0], line);
    legacy_resume(&guest);
    (void)fake_run(F);
}

static int setup(void **state)
{
    guest_start(1, 1);
    config_out(0, 4, 2, ON);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    return 0;
}

static void line_rises_after_a_pause(void **state)
{
    guest_queue(0, 0, 0x10);
    for (enum moment moment = BEFORE_SAVE; moment < MOMENTS; moment++) {
        pause_with(moment);
        assert_true(fake.line[0]);
        assert_int_equal(in(IO(0) + LEGACY_ISR, 1), LEGACY_ISR_QUEUE);
        assert_false(fake.vf[0].entry[1].masked);
    }
}

static void message_comes_after_a_pause(void **state)
{
    guest_msix(0, MSIX_ON);
    guest_msix_entry(0, 2, 0x42);
    guest_queue(0, 0, 0x10);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 2);
    for (enum moment moment = BEFORE_SAVE; moment < MOMENTS; moment++) {
        unsigned messages = guest_messages(0x42);

        pause_with(moment);
        /* The second one waited in the VF, and comes as well. */
        assert_int_equal(guest_messages(0x42), messages + 2);
        assert_int_equal(mmio_in(0, LEGACY_PBA_OFFSET), 0);
        assert_false(fake.vf[0].entry[2].masked);
    }
}

static void masked_message_waits_beyond_a_pause(void **state)
{
    guest_msix(0, MSIX_ON);
    guest_msix_entry(0, 2, 0x42);
    guest_queue(0, 0, 0x10);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 2);
    for (enum moment moment = BEFORE_SAVE; moment < MOMENTS; moment++) {
        unsigned messages = guest_messages(0x42);

        mmio_out(0, 2 * 16 + 12, 1);
        pause_with(moment);
        assert_int_equal(mmio_in(0, LEGACY_PBA_OFFSET), 1U << 2);
        assert_int_equal(guest_messages(0x42), messages);
        mmio_out(0, 2 * 16 + 12, 0);
        assert_int_equal(guest_messages(0x42), messages + 1);
        (void)fake_run(F);
        assert_int_equal(guest_messages(0x42), messages + 2);
    }
}

/* What was recorded before the state was saved is part of it. */
static void recorded_message_moves_too(void **state)
{
    guest_queue(0, 0, 0x10);
    legacy_pause(&guest);
    fake_complete(F, 0);
    move();
    assert_true(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), LEGACY_ISR_QUEUE);
    guest_msix(0, MSIX_ON);
    guest_msix_entry(0, 2, 0x42);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 2);
    fake.messages = 0;
    legacy_pause(&guest);
    fake_complete(F, 0);
    move();
    assert_int_equal(fake.messages, 1);
    assert_int_equal(fake.message[0].data, 0x42);
}

static void pause_without_news_says_nothing(void **state)
{
    guest_queue(0, 0, 0x10);
    checkpoint(F);
    assert_false(fake.line[0]);
    assert_int_equal(fake.messages, 0);
}

/* ---- What is refused ---- */

static void lost_function_stays_lost(void **state)
{
    fake.vf[0].dead = true;
    (void)in(IO(0) + LEGACY_HOST_FEATURES, 4);
    assert_true(F->state.lost);
    fake.vf[0].dead = false;
    checkpoint(F);
    assert_true(F->state.lost);
    assert_int_equal(in(IO(0) + LEGACY_HOST_FEATURES, 4), UINT32_MAX);
    assert_int_equal(config_in(0, 0, 2), 0xffff);
}

static void expect_refusal(const struct legacy_state *bad)
{
    struct legacy_state before = F->state;

    assert_int_equal(legacy_load(F, bad), STATUS_INVALID);
    assert_memory_equal(&F->state, &before, sizeof(before));
}

static void bad_state_is_refused(void **state)
{
    static struct legacy_state good, bad;

    guest_queue(0, 1, 0x10);
    legacy_pause(&guest);
    good = *legacy_save(F);
#define BAD(member, value)    \
    do {                      \
        bad = good;           \
        bad.member = (value); \
        expect_refusal(&bad); \
    } while (0)
    BAD(config[0], 0x86);                     /* another vendor */
    BAD(config[0x42], good.config[0x42] ^ 1); /* other entries of MSI-X */
    BAD(status, 0x10);
    BAD(queue[1].size, 0);
    BAD(table[3].address, 0xfee00001U);
    BAD(pending[0], 1ULL << FAKE_ENTRIES);
    BAD(arrived[1], 1);
#undef BAD
    assert_int_equal(legacy_load(F, &good), STATUS_OK);
    fake.same_lines = 0;
    legacy_resume(&guest);
}

/* ---- From one VF to another ---- */

/* To a VF whose device knows nothing of the old one's configuration. */
static void written_configuration_goes_along(void **state)
{
    static struct legacy_state saved;
    static const uint16_t types[] = {1, 3};

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        guest_start(types[i], 1);
        out(IO(0) + LEGACY_HEADER_INTX, 2, 0x5452);
        out(IO(0) + LEGACY_HEADER_INTX + 8, 4, 'x'); /* of a console: its emergency output */
        legacy_pause(&guest);
        saved = *legacy_save(F);
        guest_start(types[i], 1);
        legacy_pause(&guest);
        fake.vf[0].config[0] = fake.vf[0].config[1] = fake.vf[0].config[8] = 0xee;
        assert_int_equal(legacy_load(F, &saved), STATUS_OK);
        fake.same_lines = 0;
        legacy_rebind(F);
        assert_int_equal(fake.vf[0].config[0], 0x52);
        assert_int_equal(fake.vf[0].config[1], 0x54);
        assert_int_equal(fake.vf[0].config[8], types[i] == 3 ? 0xee : 'x');
        legacy_resume(&guest);
    }
}

/* What a VF says before it is the VM's, whatever its Bus Master is, reaches no guest. */
static void hidden_function_says_nothing(void **state)
{
    static struct legacy_set hidden;
    static struct legacy_function *const to = &guest_function[1];
    const struct legacy_setup setup_there = fake_setup(1, guest_transport);

    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    assert_true(fake.line[0]);
    legacy_init(&hidden, "test");
    hidden.hidden = true;
    assert_int_equal(legacy_add(&hidden, to, &setup_there), STATUS_OK);
    legacy_interrupt(to, 0);
    assert_false(fake.line[1]); /* the guest's own line, in truth: they share a slot */
    assert_int_equal(fake.rises[1], 0);
    legacy_retire(to);
    assert_int_equal(fake.same_lines, 0); /* nor does it fall under the guest's interrupt */
    assert_true(fake.line[0]);
    assert_int_equal(fake.vf[1].bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_does_not_see_that_it_was_carried),
        cmocka_unit_test(nor_that_it_was_moved),
        cmocka_unit_test_setup_teardown(line_rises_after_a_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(message_comes_after_a_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(masked_message_waits_beyond_a_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(recorded_message_moves_too, setup, teardown),
        cmocka_unit_test_setup_teardown(pause_without_news_says_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_function_stays_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_state_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(written_configuration_goes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(hidden_function_says_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
