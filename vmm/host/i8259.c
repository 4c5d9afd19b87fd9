/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/apic.h"

#include "vmm/base/types.h"
#include "vmm/host/port_io.h"
#include "vmm/host/trap.h"

/* Intel 8259A data sheet: initialisation command words. */
#define MASTER_COMMAND 0x20U
#define MASTER_DATA    0x21U
#define SLAVE_COMMAND  0xa0U
#define SLAVE_DATA     0xa1U

#define ICW1_EDGE_CASCADE_ICW4 0x11U
#define ICW3_MASTER            0x04U /* the slave is on IRQ 2 */
#define ICW3_SLAVE             0x02U
#define ICW4_8086              0x01U
#define OCW1_ALL               0xffU

#define VECTOR_MASTER (VECTOR_SPURIOUS - 7U)
#define VECTOR_SLAVE  0xe8U

_Static_assert(VECTOR_MASTER % 8 == 0 && VECTOR_SLAVE % 8 == 0, "the low 3 bits are the IRQ's");

void pic_silence(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } writes[] = {
        {MASTER_COMMAND, ICW1_EDGE_CASCADE_ICW4},
        {MASTER_DATA,    VECTOR_MASTER         },
        {MASTER_DATA,    ICW3_MASTER           },
        {MASTER_DATA,    ICW4_8086             },
        {SLAVE_COMMAND,  ICW1_EDGE_CASCADE_ICW4},
        {SLAVE_DATA,     VECTOR_SLAVE          },
        {SLAVE_DATA,     ICW3_SLAVE            },
        {SLAVE_DATA,     ICW4_8086             },
        {MASTER_DATA,    OCW1_ALL              }, /* ICW1 has cleared the masks */
        {SLAVE_DATA,     OCW1_ALL              },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        port_write(writes[i].port, 1, writes[i].value);
    }
}
