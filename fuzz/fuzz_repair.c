/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Salvage of a damaged pool: whatever it offers can be built and is sound.  The corpus of
 * fuzz_check is its corpus too.
 */
#include <errno.h>

#include "fuzz.h"
#include "image.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "pool/report/report.h"
#include "pool/salvage/salvage.h"
#include "sound.h"

#define BUILT_BLOCKS 512
#define DATA_BLOCKS_MAX (1 << 20)
#define TOLD_BLOCKS_MAX (3 * ENTRIES_PER_BITMAP)

/* Of an image that was cut off, each block past its end costs time: so many are enough. */
static bool tells_of_too_many(struct io *io)
{
	const struct disk_superblock *d = (const void *)io_mem_data(io);

	return le64_get(d->metadata_sm.nr_blocks) > TOLD_BLOCKS_MAX;
}

static void build_anew(struct salvage *s, struct jobs *jobs)
{
	struct io *out = io_mem_new("repaired", (uint64_t)BUILT_BLOCKS * MBLOCK_SIZE);
	const struct build_options opt = { 0 };
	struct events e = { 0 };
	struct err err = { 0 };
	int r;

	MUST(out);
	MUST(!build_new(out, &opt, &e, &err));
	r = salvage_emit(s, NULL, &e, &err);
	build_free(&e);
	if (r)
		fprintf(stderr, "%s\n", err.text);
	MUST(!r || r == -ENOSPC);
	/* times that were wrong before are told as they were */
	MUST(r || pool_sound_but(out, jobs, FINDING_NON_FATAL, FOUND_SHARED_TIME, true));
	io_free(out);
}

static void salvage(struct io *io)
{
	const struct salvage_options opt = {
		.hint = { .has_data_block_size = true, .has_nr_data_blocks = true,
			  .data_block_size = 128, .nr_data_blocks = 5000 },
	};
	struct jobs *jobs = jobs_new(1);
	struct salvage_totals totals;
	struct salvage *s = NULL;
	struct err err = { 0 };
	struct outbuf text;

	MUST(jobs);
	outbuf_init(&text);
	if (!salvage_new(io, jobs, &opt, &s, &err)) {
		salvage_totals(s, &totals);
		if (totals.nr_data_blocks <= DATA_BLOCKS_MAX)
			build_anew(s, jobs);
	} else {
		MUST(err.text[0]);
	}
	if (s) {
		salvage_report(s, true, &text);
		salvage_report_json(s, &text);
		salvage_list_roots(s, &text, &err);
	}
	salvage_free(s);
	outbuf_fini(&text);
	jobs_free(jobs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct io *io = image_new(data, len);

	if (!tells_of_too_many(io))
		salvage(io);
	io_free(io);
	return 0;
}
