/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* May a pool's free blocks be discarded? */
#include <errno.h>

#include "pool/space/trim.h"

#define SHOWN 10

int trim_judge(const struct check_result *res, void (*tell)(void *ctx, const char *text), void *ctx,
	       struct err *err)
{
	const struct findings *fs = &res->findings;
	size_t nr = 0, leaks = 0;

	for (size_t i = 0; i < fs->nr; i++) {
		const struct finding *f = &fs->f[i];

		leaks += f->kind == FOUND_LEAK && !f->expected; /* else the block is mapped, and stays */
		if ((finding_severity(f) == FINDING_FATAL || f->kind == FOUND_LEAK) && nr++ < SHOWN)
			finding_tell(fs, f, "", tell, ctx);
	}
	if (findings_any(fs, FINDING_FATAL) || !res->complete || !res->data.counts)
		return err_set(err, -EUCLEAN,
			       "metadata contains errors (run thin_check for details: 'thin_check POOL'); nothing was "
			       "discarded; perhaps you need to run thin_repair: 'thin_repair -i POOL -o FILE'");
	if (leaks)
		return err_set(err, -EUCLEAN,
			       "metadata contains leaked blocks; nothing was discarded; "
			       "'thin_check --auto-repair POOL' frees them");
	return 0;
}
