/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818 real-time clock with 128 bytes of CMOS RAM, on ports 70h and 71h (and 72h, 73h for the
 * same bytes without the NMI gate). Motorola MC146818A data sheet; the memory-size bytes are those
 * that BIOSes read.
 *
 * The date is kept as seconds since 1970 and made into registers when they are read. The update
 * cycle ends exactly on the second; UIP is set during the 2228 us before it.
 * Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_RTC_H
#define PORTOLAN_VMM_PC_RTC_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define RTC_PORT          0x70U
#define RTC_PORT_EXTENDED 0x72U
#define RTC_RAM_SIZE      128U

struct rtc_state {
    int64_t base_seconds; /* since 1970, at virtual time base_ns */
    int64_t base_ns;      /* a second's boundary; may lie before the VM's start */
    uint64_t last;        /* virtual ns up to which events were seen */
    uint8_t index;
    uint8_t index_extended;
    bool nmi_masked;           /* port 70h bit 7 */
    uint8_t ram[RTC_RAM_SIZE]; /* 00h..0dh: as last written; the date only while it stands still */
};

struct rtc {
    struct rtc_state state;
    uint64_t next_event; /* derived: virtual ns */
};

extern const struct section rtc_section; /* struct rtc_state */

struct pc_config;

/* Power-on: battery-backed RAM filled from CONFIG, clock running in BCD and 24-hour mode. */
void rtc_power_on(struct rtc *rtc, const struct pc_config *config);

/* Machine reset: interrupt enables and flags are cleared, time and RAM stay. */
void rtc_reset(struct rtc *rtc, uint64_t now);

uint8_t rtc_read(struct rtc *rtc, uint16_t port, uint64_t now);
void rtc_write(struct rtc *rtc, uint16_t port, uint8_t value, uint64_t now);

/* Note the events up to NOW and find the next one that would interrupt. */
void rtc_run(struct rtc *rtc, uint64_t now);

/* Find again what follows from the state. */
void rtc_derive(struct rtc *rtc);

/* The level of IRQ 8. */
bool rtc_irq(const struct rtc *rtc);

#endif
