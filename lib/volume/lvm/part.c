/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/part.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/sum/crc32.h"

#define MBR_ENTRIES 446
#define MAX_LOGICAL 128
#define GPT_MAX_LEN ((uint32_t)1 << 20) /* bytes of entries */

struct mbr_entry {
	unsigned char active, head[3], type, tail[3];
	le32 first, count;
};

struct gpt_header {
	char magic[8];
	le32 version, len, crc, zero;
	le64 at, other, first, last;
	unsigned char id[16];
	le64 entries;
	le32 nr, entry_len, entries_crc;
};

struct gpt_entry {
	unsigned char type[16], id[16];
	le64 first, last; /* inclusive */
};

/* What is found so far. */
struct found {
	struct io *io;
	unsigned sector; /* bytes */
	struct part *part;
	unsigned nr;
};

static bool is_extended(unsigned type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool is_table(const unsigned char *sector)
{
	const struct mbr_entry *e = (const void *)(sector + MBR_ENTRIES);

	if (sector[510] != 0x55 || sector[511] != 0xaa)
		return false;
	for (unsigned i = 0; i < 4; i++)
		if (e[i].active & 0x7f)
			return false; /* the boot sector of a filesystem */
	return true;
}

bool part_has_table(const void *data)
{
	return is_table(data);
}

/* @first, @count: in logical sectors.  A partition may end beyond a truncated image. */
static void add(struct found *f, unsigned nr, uint64_t first, uint64_t count)
{
	uint64_t disk = f->io->size / f->sector;

	if (!first || !count || first >= disk || f->nr == PART_MAX)
		return;
	f->part[f->nr++] = (struct part){ nr, first * f->sector,
					  count > disk - first ? f->io->size - first * f->sector :
								 count * f->sector };
}

static bool read_sector(struct found *f, uint64_t nr, unsigned char buf[512])
{
	return nr < f->io->size / f->sector && !io_read(f->io, buf, 512, nr * f->sector, NULL);
}

/* A chain of tables: one partition each, relative to its table; the next relative to @extended. */
static void read_logical(struct found *f, uint64_t extended)
{
	unsigned char sector[512];
	uint64_t at = extended, next;

	for (unsigned nr = 5, hops = 0; hops < MAX_LOGICAL; hops++, at = next) {
		const struct mbr_entry *e = (const void *)(sector + MBR_ENTRIES);

		next = 0;
		if (!read_sector(f, at, sector) || !is_table(sector))
			return;
		for (unsigned i = 0; i < 4; i++) {
			uint64_t first = le32_get(e[i].first);

			if (!le32_get(e[i].count))
				continue;
			if (!is_extended(e[i].type))
				add(f, nr++, at + first, le32_get(e[i].count));
			else if (!next)
				next = extended + first;
		}
		if (!next || next == extended)
			return;
	}
}

static bool gpt_entry_used(const struct gpt_entry *e)
{
	static const unsigned char none[16];

	return memcmp(e->type, none, sizeof(none)) && le64_get(e->last) >= le64_get(e->first);
}

/* The header in logical sector @at, and its entries, when both checksums are right. */
static bool read_gpt(struct found *f, uint64_t at)
{
	unsigned char sector[512];
	struct gpt_header *h = (void *)sector;
	CLEANUP(free_ptr) unsigned char *entries = NULL;
	uint32_t len, crc, size;
	uint64_t from;

	if (!read_sector(f, at, sector) || memcmp(h->magic, "EFI PART", 8))
		return false;
	len = le32_get(h->len);
	crc = le32_get(h->crc);
	size = le32_get(h->entry_len);
	h->crc = le32_make(0);
	if (len < sizeof(*h) || len > 512 || ~crc32_raw(UINT32_MAX, sector, len) != crc ||
	    le64_get(h->at) != at || size < sizeof(struct gpt_entry) ||
	    size > GPT_MAX_LEN || le32_get(h->nr) > GPT_MAX_LEN / size)
		return false;
	len = le32_get(h->nr) * size;
	from = le64_get(h->entries);
	if (!len || from >= f->io->size / f->sector || len > f->io->size - from * f->sector ||
	    !(entries = malloc(len)) || io_read(f->io, entries, len, from * f->sector, NULL) ||
	    ~crc32_raw(UINT32_MAX, entries, len) != le32_get(h->entries_crc))
		return false;
	for (uint32_t i = 0; i < le32_get(h->nr); i++) {
		const struct gpt_entry *e = (const void *)(entries + (size_t)i * size);

		if (gpt_entry_used(e))
			add(f, i + 1, le64_get(e->first), le64_get(e->last) - le64_get(e->first) + 1);
	}
	return true;
}

unsigned part_read(struct io *io, unsigned sector_len, struct part part[PART_MAX])
{
	struct found f = { io, sector_len, part, 0 };
	unsigned char sector[512];
	const struct mbr_entry *e = (const void *)(sector + MBR_ENTRIES);
	uint64_t disk = io->size / sector_len;

	/* the second header is in the last sector */
	if (disk && (read_gpt(&f, 1) || read_gpt(&f, disk - 1)))
		return f.nr;
	if (!read_sector(&f, 0, sector) || !is_table(sector))
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		if (is_extended(e[i].type))
			read_logical(&f, le32_get(e[i].first));
		else if (e[i].type != 0xee)
			add(&f, i + 1, le32_get(e[i].first), le32_get(e[i].count));
	}
	return f.nr;
}
