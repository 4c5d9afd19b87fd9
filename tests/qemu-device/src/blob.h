/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a VF as the 2021 protocol has it: a count and that many
 * fields of type, length and value.
 */
#ifndef PORTOLAN_BLOB_H
#define PORTOLAN_BLOB_H

#include "image.h"

GByteArray *blob_encode(const Image *image);

/* The length of the blob at DATA if all of it is there, else 0. */
size_t blob_length(const uint8_t *data, size_t len);

/*
 * The image that DATA, which is complete, makes of VF; the caller frees it.
 * NULL with *WHY if it is refused.
 */
Image *blob_decode(PCIDevice *vf, const uint8_t *data, const char **why);

#endif
