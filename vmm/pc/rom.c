/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/rom.h"

#define RESET_CODE   0xfe05bU /* where the PC's BIOS has its POST */
#define RESET_VECTOR 0xffff0U

static const uint8_t reset_code[] = {
    0xfa,             /* cli */
    0xba, 0xf9, 0x0c, /* mov dx, 0cf9h */
    0xb0, 0x02,       /* mov al, 2 */
    0xee,             /* out dx, al */
    0xb0, 0x06,       /* mov al, 6 */
    0xee,             /* out dx, al */
    0xb0, 0xfe,       /* mov al, 0feh */
    0xe6, 0x64,       /* out 64h, al */
    0xf4,             /* hlt */
    0xeb, 0xfd,       /* jmp to the hlt */
};

/* The jump, the BIOS's date (SeaBIOS's own, which nothing depends on), and the model: an AT. */
static const uint8_t vector[16] = {
    0xea, 0x5b, 0xe0, 0x00, 0xf0, '0', '6', '/', '2', '3', '/', '9', '9', 0, 0xfc, 0,
};

const struct rom_piece rom_pieces[ROM_PIECES] = {
    {{RESET_CODE},   sizeof(reset_code), reset_code},
    {{RESET_VECTOR}, sizeof(vector),     vector    },
};
