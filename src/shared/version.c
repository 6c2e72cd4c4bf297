/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/message.h"

const uint32_t ac_message_version = 1;
