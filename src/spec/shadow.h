/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_SHADOW_H
#define AC_SPEC_SHADOW_H

/* Shadow copies: an ASP.NET Core app runs from a copy of its folder, so that its
 * files can be replaced while it runs (handler setting enableShadowCopy).
 *
 * Part of a look, so with the app's identity and within its time: what took too
 * long is gone on with by the next look. Copies are folders with a number below
 * shadowCopyDirectory. The newest is brought up to date, or where a .dll differs
 * a new one is made, so a process's files never change under it. Working folder,
 * content root and logs stay those of the app's own folder. */

#include "spec/detect.h"

/* Lets a launch that was found run from a copy, and marks which; where that cannot
 * be, a notice says why and the launch stays as it is. For a child of httpd that is to
 * host the app launch->copy_fd keeps the copy as long as it is open, since nobody's
 * command line does; for one that hosts it already only the mark is set, to that of
 * the copy that the next start runs from. */
void ac_shadow_apply(ac_look_t *look);

#endif
