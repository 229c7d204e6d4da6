/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/* The name under which patches written for kpatch include KPATCH_SYSCALL_DEFINEn. */
#include "kpatch-macros.h"
