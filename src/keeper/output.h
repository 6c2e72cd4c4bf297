/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_KEEPER_OUTPUT_H
#define AC_KEEPER_OUTPUT_H

/* Where an app's output goes when it is not the error log: a file that the app's
 * user could open, or a program that runs as that user. The relay asks, each time
 * it needs another descriptor; a log program that ended is started by that. */

#include "keeper/state.h"

/* Answers LOG_FILE. stamp is the relay's, for the name of a file. */
void ac_output_open(ac_keeper_t *k, uint64_t tag, const char *stamp);

#endif
