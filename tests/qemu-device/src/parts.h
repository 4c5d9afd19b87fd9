/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device parts of virtio 1.4: an image of a VF as a row of parts.
 */
#ifndef PORTOLAN_PARTS_H
#define PORTOLAN_PARTS_H

#include "image.h"

#define PART_HEADER 16

/* All parts of IMAGE in the standard's order, or their headers alone. */
GByteArray *parts_encode(const Image *image, bool headers_only);

/*
 * Lays the parts at DATA over IMAGE.  Why they are refused, or NULL; then
 * IMAGE may be half changed.
 */
const char *parts_decode(Image *image, const uint8_t *data, size_t len);

/* The length of the part whose header is at the start of LEFT bytes; 0: none. */
size_t parts_size(const uint8_t *part, size_t left);

#endif
