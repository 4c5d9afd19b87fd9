# SPDX-License-Identifier: BSD-2-Clause
# Warnings that every C file of the project is built with; all of them are errors.
set(PORTOLAN_WARNINGS
    -Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wpointer-arith -Wcast-qual -Wcast-align=strict
    -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations
    -Wold-style-definition -Wredundant-decls -Wnested-externs -Wformat=2 -Wswitch-enum
    -Wimplicit-fallthrough=5 -Wduplicated-cond -Wduplicated-branches -Wlogical-op
    -Wnull-dereference -Wdate-time -Wno-unused-parameter)
