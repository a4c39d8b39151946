/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/space/trim.h"

#include <errno.h>

#include "base/overflow.h"

#define REQUEST_LEN ((uint64_t)1 << 30) /* bytes: so that it can be interrupted and followed */

static int trim_bytes(struct io *data, uint64_t at, uint64_t len, const struct trim_options *opt,
		      struct trim_report *out, struct err *err)
{
	uint64_t n;
	int r;

	for (; len; at += n, len -= n) {
		n = MIN(len, REQUEST_LEN);
		r = opt->dry_run ? 0 : io_discard(data, at, n, err);
		if (r == -EOPNOTSUPP)
			return err_set(err, r, "%s: the device does not take discards; %llu bytes were discarded before",
				       data->name, (unsigned long long)out->bytes);
		if (r < 0)
			return r;
		out->bytes += n;
		if (opt->done)
			opt->done(opt->ctx, n);
	}
	return 0;
}

int trim_run(const struct refmap *counts, uint32_t block_size, struct io *data,
	     const struct trim_options *opt, struct trim_report *out, struct err *err)
{
	const uint64_t nr = refmap_nr_blocks(counts);
	const uint64_t block_len = (uint64_t)block_size << SECTOR_SHIFT;
	uint64_t b, end, want;
	int r = 0;

	*out = (struct trim_report){ .nr_blocks = nr, .nr_free = nr - refmap_nr_allocated(counts) };
	if (mul_overflow(nr, block_len, &want) || want > data->size)
		return err_set(err, -ERANGE,
			       "%s: unexpected data device size, wanted %llu bytes, it has %llu",
			       data->name, (unsigned long long)want, (unsigned long long)data->size);
	for (b = refmap_find_free(counts, 0); !r && b < nr; b = refmap_find_free(counts, end)) {
		end = refmap_find_used(counts, b);
		out->nr_runs++;
		r = trim_bytes(data, b * block_len, (end - b) * block_len, opt, out, err);
	}
	return r || opt->dry_run ? r : io_flush(data, err);
}
