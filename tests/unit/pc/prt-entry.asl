/* SPDX-License-Identifier: BSD-2-Clause */
/* One entry of the PCI routing table, for check-tables.sh: acpiexec cannot print all of it. */
DefinitionBlock ("prt-entry.aml", "SSDT", 1, "TEST  ", "TEST    ", 1)
{
    External (\_SB.PCI0._PRT, MethodObj)
    Method (\PRTE, 1, Serialized)
    {
        Store (\_SB.PCI0._PRT (), Local0)
        Return (DeRefOf (Index (Local0, Arg0)))
    }
}
