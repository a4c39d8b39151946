/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A thin device that is active: may it be read, and are its mappings those of the metadata snapshot? */
#include <errno.h>

#include "dev/dev.h"
#include "volume/map/source.h"
#include "volume/open/volume_active.h"

static int judge_use(const struct volume *v, const struct volume_options *opt, struct err *err)
{
	const struct table_active *a = &v->arg->table->active;

	if (!a->writable || opt->active_force)
		return 0;
	if (opt->active_read_only)
		return err_set(err, -EINVAL,
			       "%s: not a read-only device: the copy would mix data from before "
			       "and after a write; use a read-only snapshot, or make it read-only "
			       "('lvchange --permission r VG/LV')",
			       opt->pool);
	if (!a->open_count)
		return 0;
	return err_set(err, -EBUSY,
		       "%s: the device is writable and in use (opened %u times): the copy would "
		       "mix data from before and after a write; use a read-only snapshot, or give "
		       "--force",
		       opt->pool, a->open_count);
}

int volume_open_active(struct volume *v, const struct volume_options *opt, struct err *err)
{
	const struct table_active *a = &v->arg->table->active;
	const sector_t mapped = v->claimed_blocks * (v->map.block_len >> SECTOR_SHIFT);
	int r = judge_use(v, opt, err);

	if (r)
		return r;
	if (v->has_claim && mapped != a->mapped)
		return err_set(err, -EBUSY,
			       "%s: the metadata snapshot maps %llu sectors of the device, the kernel now "
			       "maps %llu: what was written since would be missing; release that snapshot, "
			       "and give --take-metadata-snap",
			       opt->pool, (unsigned long long)mapped, (unsigned long long)a->mapped);
	v->data_path = a->path;
	return map_source_through(&v->map.source, err);
}

unsigned volume_active_flags(const struct volume *v, const struct volume_options *opt)
{
	/* so that it is not mounted while it is read */
	return v->arg->table->active.writable && !opt->active_force ? 0 : DEV_FORCE;
}
