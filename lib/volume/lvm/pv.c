/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/pv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/sum/crc32.h"

#define SECTOR	      512
#define LABEL_SECTORS 4
#define CRC_BEGIN     0xf597a6cfu

static const char area_magic[16] = " LVM2 x[5A%r0N*>";

struct disk_label {
	char magic[8];
	le64 sector;
	le32 crc; /* of what follows, to the sector's end */
	le32 header_at;
	char type[8];
};

/* A list of these ends with an offset of 0. */
struct disk_area {
	le64 at, size;
};

struct disk_slot {
	le64 at, size;
	le32 crc, flags;
};

#define SLOT_IGNORED 1

struct disk_area_header {
	le32 crc; /* of what follows, to the sector's end */
	char magic[16];
	le32 version;
	le64 at, size;
	struct disk_slot slot[2];
};

static bool label_good(const unsigned char *sector, unsigned nr)
{
	const struct disk_label *l = (const void *)sector;
	uint32_t at = le32_get(l->header_at);

	return !memcmp(l->magic, "LABELONE", 8) && !memcmp(l->type, "LVM2 001", 8) &&
	       le64_get(l->sector) == nr && at >= sizeof(*l) && at <= SECTOR - 40 - sizeof(struct disk_area) &&
	       crc32_raw(CRC_BEGIN, sector + 20, SECTOR - 20) == le32_get(l->crc);
}

bool lvm_has_label(const void *data, size_t len)
{
	for (unsigned i = 0; i < LABEL_SECTORS && (i + 1) * SECTOR <= len; i++)
		if (label_good((const unsigned char *)data + (size_t)i * SECTOR, i))
			return true;
	return false;
}

/* The list of data areas, then that of metadata areas. */
static void read_header(const unsigned char *sector, struct lvm_pv *pv)
{
	size_t at = le32_get(((const struct disk_label *)sector)->header_at);
	unsigned list = 0;

	memcpy(pv->id, sector + at, LVM_ID_LEN);
	for (size_t i = 0; i < LVM_ID_LEN; i++)
		if (pv->id[i] <= ' ' || pv->id[i] > '~')
			pv->id[i] = '?';
	pv->size = le64_get(*(const le64 *)(sector + at + 32));
	for (at += 40; at + sizeof(struct disk_area) <= SECTOR && list < 2; at += sizeof(struct disk_area)) {
		const struct disk_area *a = (const void *)(sector + at);

		if (!le64_get(a->at))
			list++;
		else if (list == 1 && pv->nr_areas < LVM_MAX_AREAS)
			pv->area[pv->nr_areas++] = (struct lvm_area){ .at = le64_get(a->at),
								      .size = le64_get(a->size) };
	}
}

static bool inside(const struct lvm_pv *pv, uint64_t at, uint64_t len)
{
	return at <= pv->there && len <= pv->there - at;
}

/* The area's header tells where the text is. */
static void read_area(struct io *io, const struct lvm_pv *pv, struct lvm_area *a)
{
	unsigned char sector[SECTOR];
	const struct disk_area_header *h = (const void *)sector;
	uint64_t size;

	a->state = LVM_AREA_CUT;
	if (!inside(pv, a->at, SECTOR) || io_read(io, sector, SECTOR, pv->start + a->at, NULL))
		return;
	a->state = LVM_AREA_BAD_HEADER;
	size = le64_get(h->size);
	if (crc32_raw(CRC_BEGIN, sector + 4, SECTOR - 4) != le32_get(h->crc) ||
	    memcmp(h->magic, area_magic, sizeof(area_magic)) || le32_get(h->version) != 1 ||
	    le64_get(h->at) != a->at || size < 2 * SECTOR || size > (uint64_t)INT64_MAX - a->at)
		return;
	a->size = size;
	a->text_at = le64_get(h->slot[0].at);
	a->text_len = le64_get(h->slot[0].size);
	a->text_crc = le32_get(h->slot[0].crc);
	a->has_pending = le64_get(h->slot[1].at) != 0;
	if (le32_get(h->slot[0].flags) & SLOT_IGNORED)
		a->state = LVM_AREA_IGNORED;
	else if (!a->text_at)
		a->state = LVM_AREA_EMPTY;
	else if (a->text_at >= SECTOR && a->text_at < size && a->text_len &&
		 a->text_len <= MIN(size - SECTOR, LVM_MAX_TEXT))
		a->state = LVM_AREA_GOOD;
}

int lvm_pv_read(struct io *io, uint64_t start, uint64_t len, struct lvm_pv *out, struct err *err)
{
	unsigned char head[LABEL_SECTORS * SECTOR] = { 0 };
	size_t n = (size_t)MIN(len, sizeof(head));
	int r = n ? io_read(io, head, n, start, err) : 0;

	if (r)
		return r;
	for (unsigned i = 0; i < LABEL_SECTORS; i++) {
		if (!label_good(head + (size_t)i * SECTOR, i))
			continue;
		*out = (struct lvm_pv){ .start = start, .there = len, .sector = i };
		read_header(head + (size_t)i * SECTOR, out);
		for (unsigned k = 0; k < out->nr_areas; k++)
			read_area(io, out, &out->area[k]);
		return 1;
	}
	return 0;
}

/* The ring goes from byte 512 of the area to its end. */
static int read_ring(struct io *io, const struct lvm_pv *pv, const struct lvm_area *a, uint64_t at,
		     char *buf, uint64_t len, struct err *err)
{
	uint64_t first = MIN(len, a->size - at), base = a->at;
	int r;

	if (!inside(pv, base + at, first) || !inside(pv, base + SECTOR, len - first))
		return err_set(err, -EIO, "the metadata area ends beyond the end of the image");
	r = io_read(io, buf, (size_t)first, pv->start + base + at, err);
	if (!r && first < len)
		r = io_read(io, buf + first, (size_t)(len - first), pv->start + base + SECTOR, err);
	return r;
}

int lvm_area_text(struct io *io, const struct lvm_pv *pv, struct lvm_area *area, char **text,
		  struct err *err)
{
	CLEANUP(free_ptr) char *buf = calloc(1, (size_t)area->text_len + 1);

	*text = NULL;
	if (!buf)
		return err_nomem(err, "LVM's metadata text");
	if (read_ring(io, pv, area, area->text_at, buf, area->text_len, NULL))
		area->state = LVM_AREA_CUT;
	else if (crc32_raw(CRC_BEGIN, buf, (size_t)area->text_len) != area->text_crc)
		area->state = LVM_AREA_BAD_TEXT;
	else {
		*text = buf;
		buf = NULL;
	}
	return 0;
}

/* NAME {, as every text begins: more is seen when it is parsed.  A sector at least is there. */
static bool begins_vg(const char *p)
{
	const char *end = p + 200;

	if (*p <= ' ' || *p == '}' || *p == '{')
		return false;
	while (p < end && *p > ' ' && *p != '{' && *p != '=')
		p++;
	while (p < end && *p == ' ')
		p++;
	return p < end && *p == '{';
}

/*
 * @ring: all of it, twice, so that each text is in one piece.  What is parsed is limited, since a
 * forged area could make a text begin in each sector and end nowhere.
 */
static int scan_ring(const char *ring, size_t len,
		     int (*found)(void *ctx, const char *text, size_t len, uint64_t at), void *ctx)
{
	uint64_t budget = 16 * (uint64_t)len + (1u << 20);

	for (size_t at = 0; at < len; at += SECTOR) {
		size_t n;
		int r;

		if (!begins_vg(ring + at))
			continue;
		n = strnlen(ring + at, len);
		if (n == len || n > budget)
			continue;
		budget -= n;
		r = found(ctx, ring + at, n, at + SECTOR);
		if (r)
			return r;
	}
	return 0;
}

int lvm_area_scan(struct io *io, const struct lvm_pv *pv, const struct lvm_area *area,
		  int (*found)(void *ctx, const char *text, size_t len, uint64_t at), void *ctx,
		  struct err *err)
{
	CLEANUP(free_ptr) char *ring = NULL;
	struct lvm_area a = *area;
	size_t len;

	if (!inside(pv, a.at, 2 * SECTOR))
		return 0;
	a.size = MIN(MIN(a.size, pv->there - a.at), LVM_MAX_TEXT) / SECTOR * SECTOR;
	if (a.size < 2 * SECTOR)
		return 0;
	len = (size_t)a.size - SECTOR;
	ring = malloc(2 * len);
	if (!ring)
		return err_nomem(err, "a metadata area");
	if (read_ring(io, pv, &a, SECTOR, ring, len, NULL))
		return 0;
	memcpy(ring + len, ring, len);
	return scan_ring(ring, len, found, ctx);
}
