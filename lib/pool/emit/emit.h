/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EMIT_H
#define POOL_EMIT_H
/*
 * The source of events that reads metadata: thin_dump and thin_shrink begin here.  What a rescue put together comes the
 * same way (source.h).
 *
 * The internal nodes are read first; they tell which leaves are shared.  Shared leaves become defs,
 * ascending by name, before all devices.  Then the devices follow, ascending by id, with each ref
 * where its keys belong.  Leaves are read in batches in the order of their blocks, rendered by the
 * workers, and given to the sink in the order of keys.  Where the sink has render(), the workers
 * call it.
 *
 * Memory: that of the walk over internal nodes (pdata/tree/walk.h) and of the shared leaves
 * (sharing.h), at most 4 MiB of runs, and half a MiB a worker; nothing per mapping.
 */
#include "pool/events/events.h"
#include "pool/format/metadata.h"

struct emit_options {
	const uint32_t *dev_ids; /* only these devices, in any order; -ENODATA when one is not there */
	size_t nr_dev_ids;	 /* 0: all */
	bool no_shared;		 /* no defs: each device has all of its mappings; always so with dev_ids */
	bool skip_mappings;	 /* device elements without content */
	const struct pool_info *header; /* NULL: what metadata_pool_info() says */
	/*
	 * Called once for each thing that the events lack: damage, with its devices and key
	 * range, and devices that only one of the two trees has.  From one thread at a time; damage of
	 * trees comes in the end, in the order of devices.
	 */
	void (*problem)(void *ctx, const char *text);
	void *ctx;
};

#define EMIT_MAX_PROBLEMS 1000 /* further ones are told by their number */

/*
 * Drives @to.  0: everything was told.  -EUCLEAN (-EIO when only reading failed): there were
 * problems; all that could be read was told, but end_pool was not, so that nothing takes the result
 * for the whole pool.  Another negative errno: the sink's, or no memory.
 */
int emit_pool(const struct metadata *md, struct stream *s, const struct emit_options *opt,
	      const struct events *to, struct err *err);

#endif
