/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_METADATA_SOUND_H
#define UNIT_METADATA_SOUND_H
#include "base/jobs.h"
#include "base/text/outbuf.h"
#include "pool/check/check.h"
#include "tap.h"

/* A whole check of the metadata in @io has no finding; it prints those that it has. */
static inline void check_metadata(struct io *io)
{
	struct check_options opt = { 0 };
	struct jobs *jobs = jobs_new(1);
	struct outbuf text;
	struct check_result result;
	struct err err;

	check_eq(check_run(io, jobs, &opt, &result, &err), 0);
	outbuf_init(&text);
	for (size_t i = 0; i < result.findings.nr; i++) {
		outbuf_reset(&text);
		finding_text(&result.findings, &result.findings.f[i], &text);
		printf("# %.*s\n", (int)text.len, text.data);
	}
	outbuf_fini(&text);
	check_eq(result.findings.nr, 0);
	check(result.complete);
	check_result_fini(&result);
	jobs_free(jobs);
}

#endif
