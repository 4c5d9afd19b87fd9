/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/chipset.h"

#define RESET_CPU      0x04U
#define RESET_WRITABLE 0x0eU

#define PORT_A_FAST_RESET 0x01U
#define PORT_A_A20        0x02U

#define SMB_STATUS       0x00U
#define SMB_SLAVE_STATUS 0x01U
#define SMB_CONTROL      0x02U
#define SMB_START        0x40U
#define SMB_DEVICE_ERROR 0x04U

static const struct field chipset_fields[] = {
    FIELD(struct chipset_state, reset_control, RESET_WRITABLE),
    FIELD(struct chipset_state, fast_reset, 1),
    FIELD(struct chipset_state, post_code, 0xff),
    FIELD_ARRAY(struct chipset_state, smb, 0xff),
};

const struct section chipset_section =
    SECTION(struct chipset_state, "chipset", 1, chipset_fields, NULL);

enum chipset_request chipset_write_reset(struct chipset_state *chipset, uint8_t value)
{
    bool rises = (value & ~chipset->reset_control & RESET_CPU) != 0;

    chipset->reset_control = value & RESET_WRITABLE;
    return rises ? CHIPSET_RESET : CHIPSET_NOTHING;
}

uint8_t chipset_read_port_a(const struct chipset_state *chipset, bool a20)
{
    return (uint8_t)((chipset->fast_reset ? PORT_A_FAST_RESET : 0) | (a20 ? PORT_A_A20 : 0));
}

enum chipset_request chipset_write_port_a(struct chipset_state *chipset, uint8_t value, bool *a20)
{
    bool before = chipset->fast_reset;

    chipset->fast_reset = (value & PORT_A_FAST_RESET) != 0;
    *a20 = (value & PORT_A_A20) != 0;
    return chipset->fast_reset && !before ? CHIPSET_RESET : CHIPSET_NOTHING;
}

void chipset_smb_write(struct chipset_state *chipset, unsigned offset, uint8_t value)
{
    if (offset == SMB_STATUS || offset == SMB_SLAVE_STATUS) {
        chipset->smb[offset] &= (uint8_t)~value; /* write one to clear */
        return;
    }
    if (offset == SMB_CONTROL && (value & SMB_START) != 0) {
        chipset->smb[SMB_STATUS] |= SMB_DEVICE_ERROR; /* nobody acknowledges the address */
        value &= (uint8_t)~SMB_START;
    }
    chipset->smb[offset] = value;
}
