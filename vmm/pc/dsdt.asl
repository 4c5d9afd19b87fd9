/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the ACPI tables that is the same for every VM: the PCI root bridge, the PIRQ links, the
 * devices of the ISA bridge, and soft-off. The numbers are those of vmm/platform's headers.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 1, "PRTLN ", "VIRTPC  ", 1)
{
    /* SLP_TYP of soft-off: acpi_pm.c, SLEEP_SOFT_OFF. */
    Name (\_S5, Package () { Zero, Zero, Zero, Zero })

    /* 0: the 8259s, 1: the I/O APIC; the kernel says which through \_PIC. */
    Name (\PICM, Zero)
    Method (\_PIC, 1, NotSerialized)
    {
        Store (Arg0, \PICM)
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x0D00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                             ReadWrite, 0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                             ReadWrite, 0, 0xE0000000, 0xFEBFFFFF, 0, 0x1EC00000)
            })

            /*
             * Pin P (0: INTA) of slot S is wired to PIRQ (S + P - 1) & 3. With the 8259s that is
             * link LNKA..LNKD, with the I/O APIC GSI 16..19.
             */
            Method (_PRT, 0, Serialized)
            {
                Name (ROUT, Package (128) {})
                Store (Zero, Local0)
                While (LLess (Local0, 128))
                {
                    Store (And (Add (Add (ShiftRight (Local0, 2), And (Local0, 3)), 3), 3), Local1)
                    Store (Package (4) { 0, 0, 0, 0 }, Local2)
                    If (\PICM)
                    {
                        Store (Add (Local1, 16), Index (Local2, 3))
                    }
                    ElseIf (LEqual (Local1, 0))
                    {
                        Store (Package (4) { 0, 0, LNKA, 0 }, Local2)
                    }
                    ElseIf (LEqual (Local1, 1))
                    {
                        Store (Package (4) { 0, 0, LNKB, 0 }, Local2)
                    }
                    ElseIf (LEqual (Local1, 2))
                    {
                        Store (Package (4) { 0, 0, LNKC, 0 }, Local2)
                    }
                    Else
                    {
                        Store (Package (4) { 0, 0, LNKD, 0 }, Local2)
                    }
                    Store (Or (ShiftLeft (ShiftRight (Local0, 2), 16), 0xFFFF), Index (Local2, 0))
                    Store (And (Local0, 3), Index (Local2, 1))
                    Store (Local2, Index (ROUT, Local0))
                    Increment (Local0)
                }
                Return (ROUT)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 4)
                Field (PIRQ, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8,
                    PRQB, 8,
                    PRQC, 8,
                    PRQD, 8
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 1, 8)
                        IRQNoFlags () { 8 }
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 1, 1)
                        IO (Decode16, 0x0064, 0x0064, 1, 1)
                        IRQNoFlags () { 1 }
                    })
                }

                /* The auxiliary port fails its test; kernels warn when firmware does not list it. */
                Device (AUX)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IRQNoFlags () { 12 }
                    })
                }

                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, One)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                        IRQNoFlags () { 4 }
                    })
                }
            }

            /* The power management block, so that nobody places anything over it. */
            Device (PWRM)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0600, 0x0600, 1, 0x40)
                    IO (Decode16, 0x0700, 0x0700, 1, 0x10)
                })
            }

            /* What the four links share: bit 7 of a route register switches it off. */
            Method (LSTA, 1, NotSerialized)
            {
                If (And (Arg0, 0x80))
                {
                    Return (0x09)
                }
                Return (0x0B)
            }

            Method (LCRS, 1, Serialized)
            {
                Name (BUF, ResourceTemplate ()
                {
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared,,, IRQR) { 0 }
                })
                CreateDWordField (BUF, IRQR._INT, IRQN)
                If (LNot (And (Arg0, 0x80)))
                {
                    Store (And (Arg0, 0x0F), IRQN)
                }
                Return (BUF)
            }

            Device (LNKA)
            {
                Name (_HID, EisaId ("PNP0C0F"))
                Name (_UID, 1)
                Name (_PRS, ResourceTemplate ()
                {
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
                })
                Method (_STA, 0, NotSerialized) { Return (LSTA (^^ISA.PRQA)) }
                Method (_DIS, 0, NotSerialized) { Or (^^ISA.PRQA, 0x80, ^^ISA.PRQA) }
                Method (_CRS, 0, Serialized) { Return (LCRS (^^ISA.PRQA)) }
                Method (_SRS, 1, NotSerialized)
                {
                    CreateDWordField (Arg0, 5, IRQN)
                    Store (IRQN, ^^ISA.PRQA)
                }
            }

            Device (LNKB)
            {
                Name (_HID, EisaId ("PNP0C0F"))
                Name (_UID, 2)
                Name (_PRS, ResourceTemplate ()
                {
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
                })
                Method (_STA, 0, NotSerialized) { Return (LSTA (^^ISA.PRQB)) }
                Method (_DIS, 0, NotSerialized) { Or (^^ISA.PRQB, 0x80, ^^ISA.PRQB) }
                Method (_CRS, 0, Serialized) { Return (LCRS (^^ISA.PRQB)) }
                Method (_SRS, 1, NotSerialized)
                {
                    CreateDWordField (Arg0, 5, IRQN)
                    Store (IRQN, ^^ISA.PRQB)
                }
            }

            Device (LNKC)
            {
                Name (_HID, EisaId ("PNP0C0F"))
                Name (_UID, 3)
                Name (_PRS, ResourceTemplate ()
                {
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
                })
                Method (_STA, 0, NotSerialized) { Return (LSTA (^^ISA.PRQC)) }
                Method (_DIS, 0, NotSerialized) { Or (^^ISA.PRQC, 0x80, ^^ISA.PRQC) }
                Method (_CRS, 0, Serialized) { Return (LCRS (^^ISA.PRQC)) }
                Method (_SRS, 1, NotSerialized)
                {
                    CreateDWordField (Arg0, 5, IRQN)
                    Store (IRQN, ^^ISA.PRQC)
                }
            }

            Device (LNKD)
            {
                Name (_HID, EisaId ("PNP0C0F"))
                Name (_UID, 4)
                Name (_PRS, ResourceTemplate ()
                {
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
                })
                Method (_STA, 0, NotSerialized) { Return (LSTA (^^ISA.PRQD)) }
                Method (_DIS, 0, NotSerialized) { Or (^^ISA.PRQD, 0x80, ^^ISA.PRQD) }
                Method (_CRS, 0, Serialized) { Return (LCRS (^^ISA.PRQD)) }
                Method (_SRS, 1, NotSerialized)
                {
                    CreateDWordField (Arg0, 5, IRQN)
                    Store (IRQN, ^^ISA.PRQD)
                }
            }
        }
    }
}
