/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A whole pool.  Nothing crashes on it; and what check calls sound can be told as events, built
 * anew, and is sound again.  What it calls fixable is sound after fixing.
 */
#include <string.h>

#include "fuzz.h"
#include "image.h"
#include "pool/build/build.h"
#include "pool/check/check.h"
#include "pool/emit/emit.h"
#include "pool/check/fix.h"
#include "sound.h"

#define BUILT_BLOCKS 512
#define DATA_BLOCKS_MAX (1 << 20) /* larger pools are not built anew: that would only take longer */

static int skip_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	(void)ctx, (void)run, (void)nr, (void)err;
	return 0;
}

static int skip_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	(void)ctx, (void)p, (void)err;
	return 0;
}

static int skip_device(void *ctx, const struct device_info *d, struct err *err)
{
	(void)ctx, (void)d, (void)err;
	return 0;
}

static int skip_name(void *ctx, uint64_t name, struct err *err)
{
	(void)ctx, (void)name, (void)err;
	return 0;
}

static int skip_end(void *ctx, struct err *err)
{
	(void)ctx, (void)err;
	return 0;
}

static const struct events_ops skip_ops = {
	.begin_pool = skip_pool,
	.begin_def = skip_name,
	.end_def = skip_end,
	.begin_device = skip_device,
	.runs = skip_runs,
	.ref = skip_name,
	.end_device = skip_end,
	.end_pool = skip_end,
};

static int tell(struct io *io, struct jobs *jobs, const struct events *to, struct err *err)
{
	const struct metadata_options live = { 0 };
	const struct emit_options opt = { 0 };
	struct metadata md;
	struct stream s;
	int e;

	stream_init(&s, io, jobs);
	e = metadata_open(io, &live, &md, err);
	return e < 0 ? e : emit_pool(&md, &s, &opt, to, err);
}

static void build_again(struct io *io, struct jobs *jobs)
{
	struct io *out = io_mem_new("built", (uint64_t)BUILT_BLOCKS * MBLOCK_SIZE);
	const struct build_options opt = { 0 };
	struct events e = { 0 };
	struct err err = { 0 };

	MUST(out);
	MUST(!build_new(out, &opt, &e, &err));
	if (tell(io, jobs, &e, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	MUST(!err.code);
	build_free(&e);
	MUST(pool_sound(out, jobs, FINDING_NON_FATAL, true));
	io_free(out);
}

static void fix_and_check(struct io *io, struct jobs *jobs, const struct check_result *r)
{
	struct fix_report rep;
	struct err err = { 0 };

	if (fix_run(io, jobs, r, &rep, &err) < 0)
		MUST(err.text[0]);
	else
		MUST(pool_sound(io, jobs, FINDING_FATAL, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct io *io = image_new(data, len);
	const struct check_options live = { 0 }, snap = { .snap = true };
	const struct events skip = { &skip_ops, NULL };
	struct check_result r = { 0 }, held = { 0 };
	struct err err = { 0 };
	struct jobs *jobs = jobs_new(1);
	int told = tell(io, jobs, &skip, &err);

	if (!check_run(io, jobs, &live, &r, &err) && r.complete &&
	    !findings_any(&r.findings, FINDING_FATAL)) {
		MUST(!told);
		/* a clock past 24 bits is only warned of, but not written anew */
		if (r.sb.data_sm.nr_blocks <= DATA_BLOCKS_MAX && r.sb.time <= MAX_TIME)
			build_again(io, jobs);
		fix_and_check(io, jobs, &r);
	}
	check_result_fini(&r);
	check_run(io, jobs, &snap, &held, &err);
	check_result_fini(&held);
	jobs_free(jobs);
	io_free(io);
	return 0;
}
