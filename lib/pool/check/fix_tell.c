/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What was fixed, in words. */
#include <inttypes.h>
#include <stdio.h>

#include "pool/check/fix.h"

void fix_tell(const struct fix_report *rep, void (*tell)(void *ctx, const char *text), void *ctx)
{
	char text[200];

	if (rep->data_leaks) {
		snprintf(text, sizeof(text), "repaired data leaks: %" PRIu64 " blocks are free again",
			 rep->data_leaks);
		tell(ctx, text);
	}
	if (rep->metadata_leaks) {
		snprintf(text, sizeof(text), "repaired metadata leaks: %" PRIu64 " blocks are free again",
			 rep->metadata_leaks);
		tell(ctx, text);
	}
	if (rep->totals || rep->nr_index ||
	    (rep->nr_bitmaps && !rep->data_leaks && !rep->metadata_leaks))
		tell(ctx, "corrected the space maps' counters");
	if (rep->time) {
		snprintf(text, sizeof(text), "raised the pool's time to %u", rep->time);
		tell(ctx, text);
	}
	if (rep->nr_raised) {
		snprintf(text, sizeof(text),
			 "raised the snapshot time of %" PRIu64 " device%s: shared data is protected again",
			 rep->nr_raised, rep->nr_raised == 1 ? "" : "s");
		tell(ctx, text);
	}
	if (rep->flag)
		tell(ctx, "cleared needs_check flag");
}
