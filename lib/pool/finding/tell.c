/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Findings as lines for people. */
#include "pool/finding/finding.h"

#include <stdio.h>

void finding_tell(const struct findings *fs, const struct finding *f, const char *before,
		  void (*tell)(void *ctx, const char *text), void *ctx)
{
	struct outbuf text;

	outbuf_init(&text);
	outbuf_str(&text, before);
	finding_text(fs, f, &text);
	outbuf_add(&text, "", 1);
	tell(ctx, text.error ? finding_name(f->kind) : text.data);
	outbuf_fini(&text);
}

void findings_tell(const struct findings *fs, size_t per_kind,
		   void (*tell)(void *ctx, const char *text), void *ctx)
{
	size_t same = 0;

	for (size_t i = 0; i < fs->nr; i++) {
		const struct finding *f = &fs->f[i];
		bool last = i + 1 == fs->nr || f[1].kind != f->kind || f[1].held != f->held;
		char more[100];

		if (same++ < per_kind)
			finding_tell(fs, f, finding_severity(f) == FINDING_WARN ? "warning: " : "", tell,
				     ctx);
		if (last && same > per_kind) {
			snprintf(more, sizeof(more),
				 "... and %zu more of this kind (--format json lists all)", same - per_kind);
			tell(ctx, more);
		}
		same = last ? 0 : same;
	}
}
