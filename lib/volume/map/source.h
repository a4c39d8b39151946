/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_MAP_SOURCE_H
#define VOLUME_MAP_SOURCE_H
/* The mappings of one device, from metadata or from any source of events (events.h). */
#include "dev/stream.h"
#include "volume/map/map.h"

/* The mapping tree at @root, read through @s, which must live longer. */
int map_source_tree(struct stream *s, mblock_t root, struct map_source *out, struct err *err);

/*
 * From a source of events: xml_read, or salvage.  @drive must send the same pool each time.  It
 * runs once here, to learn the facts of the pool and the device, and once for each walk, which ends
 * it with -ECANCELED behind the device.  @drive_free may be NULL; when 0 is returned @drive_ctx
 * belongs to the map_source.  Memory: the runs of those defs that the device refers to, 32 bytes
 * each.  -ENODATA with the ids that are there: no such device.
 */
typedef int map_drive_fn(void *drive_ctx, const struct events *to, struct err *err);
struct map_events_info {
	struct pool_info pool;
	struct device_info device;
};
int map_source_events(map_drive_fn *drive, void (*drive_free)(void *drive_ctx), void *drive_ctx,
		      uint32_t dev_id, struct map_events_info *info, struct map_source *out,
		      struct err *err);

/* The XML file at @path.  map_source_events() does the rest. */
int map_source_xml(const char *path, uint32_t dev_id, struct map_events_info *info,
		   struct map_source *out, struct err *err);

/*
 * The same mappings with each block's data at its own place in the device: for who reads through the
 * device.  @s is changed, and freed as before.
 */
int map_source_through(struct map_source *s, struct err *err);

#endif
