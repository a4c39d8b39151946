/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H
/*
 * One thin device, found and opened: its pool (metadata, XML or a table), its map, its size, the
 * devices that its bytes come from.  Everything is opened for reading: block
 * devices with metadata exclusively, data device and origin shared, files with shared locks.  For a
 * metadata snapshot, whose pool is live, and with force_share, nothing is exclusive or locked.
 */
#include "base/text/outbuf.h"
#include "volume/map/map.h"
#include "volume/open/pool_salvage.h"
#include "volume/open/pool_source.h"

struct volume_options {
	const char *pool;   /* metadata, XML or table file */
	const char *device; /* NAME of the table, or id in decimal; with .active NULL: POOL itself */
	bool active; /* POOL is an active thin device; what is read of that comes through it */
	bool active_force; /* even if it is writable and in use */
	bool active_read_only; /* it must not be writable at all */
	const char *data;   /* data device in place of the table's; NULL: the table's */
	const char *origin; /* external origin in place of the table's; NULL: the table's */
	bool origin_raw;    /* an origin that looks like an image format is read as it is */
	struct pool_want want; /* .device is not looked at */
	bool no_origin;	    /* ignore the table's external origin */
	bool has_size;
	uint64_t size; /* bytes */
	bool snap;     /* read the held metadata snapshot */
	mblock_t snap_block; /* 0: wherever it is */
	bool repair;   /* read damaged metadata */
	bool force_share; /* read although another program may be writing; .snap implies it */
	bool map_only; /* the data device is not opened */
	bool lost_ok;  /* lost bytes are found, not refused */
};

/* Bytes of the device. */
struct volume_lost {
	uint64_t at, len;
};

struct volume {
	struct pool_arg xml;	   /* one of these three has POOL, ... */
	struct pool_source source;
	struct pool_salvage saved; /* with .repair: what came back, and what did not */
	const struct pool_arg *arg; /* ... and this is its argument */
	const struct table_thin *line; /* in arg->table, or NULL */
	uint32_t dev_id;
	struct io *data, *origin; /* NULL: none, or not opened */
	const char *data_path, *origin_path;
	const char *other; /* the line that it is, which is no thin device: data is that device; or NULL */
	bool through; /* data is the active device itself, and data_path its path */
	struct map map;
	struct map_summary sum;
	uint64_t claimed_blocks; /* mapped blocks according to the device's details */
	bool has_claim;
	uint64_t nr_data_blocks; /* of the pool */
	uint32_t snap_time; /* of its details; 0: not known.  Older mappings are never written in place */
	bool size_is_guess; /* neither --size nor a table: the larger of mapped_len and map.origin_len */
	/*
	 * With .repair or .lost_ok: parts that the data device or the origin does not have, because it ends
	 * before or has an error target there.  It reads as zeros.  In order.
	 */
	struct volume_lost *lost;
	size_t nr_lost, cap_lost;
	uint64_t lost_bytes;
	bool lost_data, lost_origin;
	uint64_t mapped_len; /* bytes: where the last mapped block ends */
};

/*
 * Opens and scans the map once.  With .want.table.other a line of the table that is no thin device is read as
 * it stands, without the pool.  Damage of the device's mappings and lost data are refused here,
 * before anything is written, unless .repair (for lost data, .lost_ok) is given.  -ENODATA: no such device; -EDOM: no data
 * device is known, or the table does not list the device and no size is given.  @jobs must live
 * longer.
 */
int volume_open(struct volume *v, const struct volume_options *opt, struct jobs *jobs,
		struct err *err);
/*
 * Tells what the user should know before the bytes are used: mapped blocks beyond the size, details
 * that contradict the mappings, a size that is a guess.
 */
void volume_notes(const struct volume *v, void (*tell)(void *ctx, const char *text), void *ctx);
void volume_close(struct volume *v);

/* Fills v->lost.  lost.c */
int volume_find_lost(struct volume *v, struct err *err);
/* One sentence about v->lost, without its end. */
void volume_tell_lost(const struct volume *v, struct outbuf *to);

#endif
