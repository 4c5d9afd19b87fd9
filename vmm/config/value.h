/* SPDX-License-Identifier: BSD-2-Clause */
/* Values in the configuration's text, and numbers in other lines. Pure; every function takes the
 * whole slice or fails. */
#ifndef PORTOLAN_VMM_CONFIG_VALUE_H
#define PORTOLAN_VMM_CONFIG_VALUE_H

#include "vmm/base/types.h"
#include "vmm/config/config_keys.h"
#include "vmm/config/config_problems.h"

/* A piece of the text; not NUL-terminated. */
struct slice {
    const char *at;
    size_t length;
};

bool slice_is(struct slice slice, const char *word);
struct slice slice_trim(struct slice slice);

/* Cut SLICE at the first C: what stands before it (all, without C) is returned, what stands behind
 * it stays. */
struct slice slice_cut(struct slice *slice, char c);

/* 123, 0x7b; below 2^64. */
bool value_number(struct slice slice, uint64_t *value);

/* The same in hexadecimal, 0x before it or not. */
bool value_hex(struct slice slice, uint64_t *value);

/* A number with K, M, G or T behind it, or without: bytes; below 2^64. */
bool value_size(struct slice slice, uint64_t *bytes);

/* [SSSS:]BB:DD.F in hexadecimal. */
bool value_bdf(struct slice slice, bdf_t *bdf);

/*
 * The index of the word in WORDS, words with one space between, or -1.
 */
int value_word(struct slice slice, const char *words);

/* May a file of the configuration have this name? Relative, '/' between, no '.' or '..' part,
 * printable, no '\\', ':'. */
bool value_path_ok(struct slice slice);

/* ---- store.c ---- */

/* Check VALUE against KEY and store it in SECTION's structure; complain in REPORT about LINE if it
 * is not good. */
void config_store(void *section, const struct config_key *key, struct slice value, uint32_t line,
                  struct config_report *report);

#define QUOTE(slice) config_quote((slice).at, (slice).length).text

#endif
