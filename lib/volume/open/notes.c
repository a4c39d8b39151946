/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Tells the user what to know about a volume that was opened. */
#include "volume/open/volume.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct notes {
	void (*tell)(void *ctx, const char *text);
	void *ctx;
};

__attribute__((format(printf, 2, 3))) static void note(const struct notes *n, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n->tell(n->ctx, text);
}

static void note_guess(const struct volume *v, const struct notes *n)
{
	if (!v->map.size)
		note(n, "note: nothing is mapped and the size is not known, so the image is empty; "
			"--size gives the size");
	else if (v->map.has_origin && v->map.origin_len >= v->mapped_len)
		note(n, "note: the size of %" PRIu64 " bytes is a guess: it is the size of the external "
			"origin; the last mapped block ends at %" PRIu64 "; --size gives the size",
		     v->map.size, v->mapped_len);
	else if (v->map.has_origin)
		note(n, "note: the size of %" PRIu64 " bytes is a guess: the last mapped block ends "
			"there, beyond the origin's end at %" PRIu64 "; --size gives the size",
		     v->map.size, v->map.origin_len);
	else
		note(n, "note: the size of %" PRIu64 " bytes is a guess: the last mapped block ends "
			"there; --size gives the size, --origin DEV the external origin",
		     v->map.size);
}

void volume_notes(const struct volume *v, void (*tell)(void *ctx, const char *text), void *ctx)
{
	struct notes n = { tell, ctx };

	if (v->sum.nr_beyond)
		note(&n, "warning: %" PRIu64 " mapped block%s beyond the size of %" PRIu64 " "
			 "bytes: not copied",
		     v->sum.nr_beyond, v->sum.nr_beyond == 1 ? " lies" : "s lie", v->map.size);
	if (v->has_claim && v->claimed_blocks != v->sum.nr_mapped)
		note(&n, "warning: device %u has %" PRIu64 " mapped blocks, its details say %"
			 PRIu64 ": the metadata is inconsistent (run 'thin_check POOL' for "
			 "details)",
		     v->dev_id, v->sum.nr_mapped, v->claimed_blocks);
	if (v->size_is_guess)
		note_guess(v, &n);
}
