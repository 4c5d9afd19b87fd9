/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PORTOLAN_TOOLS_VFIOD_SIM_OPTIONS_H
#define PORTOLAN_TOOLS_VFIOD_SIM_OPTIONS_H

#include "tools/vfiod/sim.h"

/*
 * "block,file=PATH[,read-only=on][,serial=TEXT]" or "net,socket=PATH|tap=NAME|fd=N[,mac=ADDRESS]",
 * and for both "[,queue-size=N][,transport=mmr|admin][,abi=1.4|2021|none]". A comma within a value
 * is written twice. False: a message says why.
 */
bool sim_options_parse(const char *text, struct sim_options *options);

#endif
