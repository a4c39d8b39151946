/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_OCCUPIED_H
#define VOLUME_OCCUPIED_H
/*
 * The one place that decides what a writer may overwrite.  Contents that somebody may need are
 * named, and the write is refused unless the user gives --force.
 *
 *	metadata	a thin pool or a device without any known content is overwritten, as callers
 *			expect.  Refused: what libblkid finds (filesystem, partition table, PV,
 *			LUKS, RAID, swap), images of virtual machines, archives, programs, cache or
 *			era metadata, packed metadata, XML, a table file, and a file of any other
 *			text.  A device-mapper device of LVM or Stratis is
 *			free: they hand over spare devices with stale bytes.
 *	image		(a device) the same and a thin pool too; LVM's devices are looked at.
 *	update		(a file) it holds the bytes of a disk, which may be anything.  Refused: a pool, a
 *			table file, XML, packed metadata: whoever names these forgot the DEVICE.
 *	pack		(a file) nothing but an older pack is replaced.
 *
 * The output is open already, for writing and for us alone: what is looked at is what will be
 * written to, whatever becomes of its name.
 *
 * Dumps have content_open_text_out(), since thin_dump does not link libblkid.
 */
#include <stdbool.h>

#include "dev/io.h"

enum occupied_by { FOR_METADATA, FOR_IMAGE, FOR_UPDATE, FOR_PACK };

/* @io: what @path has opened.  0, -EEXIST with the sentence for the user, or another errno. */
int occupied_check(const char *path, struct io *io, enum occupied_by what, struct err *err);

/*
 * The same for commands that ask before they overwrite a superblock whose checksum is good: of a thin
 * pool, a cache or an era.  @sure NULL: nobody can be asked, it is refused.  -EINVAL: the answer is no.
 * @io NULL: a new file will take the place of what is at @path, if anything.
 */
int occupied_ask(const char *path, struct io *io, enum occupied_by what, bool (*sure)(const char *question),
		 struct err *err);

#endif
