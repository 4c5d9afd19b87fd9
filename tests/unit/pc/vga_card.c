/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/vga_card.h"

#include <stdlib.h>

struct vga card;

int card_set_up(void **state)
{
    uint32_t *memory = card.memory ? card.memory : malloc(VGA_MEMORY_SIZE);

    card = (struct vga){.memory = memory};
    vga_reset(&card);
    vga_port_write(&card, 0x3c2, 0x67);
    return 0;
}

int card_tear_down(void **state)
{
    free(card.memory);
    card.memory = NULL;
    return 0;
}

uint8_t card_in(uint16_t port)
{
    return vga_port_read(&card, port, 0);
}

void card_out(uint16_t port, uint8_t value)
{
    vga_port_write(&card, port, value);
}

void card_put(uint16_t port, uint8_t index, uint8_t value)
{
    card_out(port, index);
    card_out(port + 1, value);
}

uint8_t card_get(uint16_t port, uint8_t index)
{
    card_out(port, index);
    return card_in(port + 1);
}

void card_vbe_put(uint16_t index, uint16_t value)
{
    vga_vbe_write(&card, 0x1ce, index);
    vga_vbe_write(&card, 0x1cf, value);
    vga_clear(&card, vga_take_clear(&card));
}

uint16_t card_vbe_get(uint16_t index)
{
    vga_vbe_write(&card, 0x1ce, index);
    return vga_vbe_read(&card, 0x1cf);
}
