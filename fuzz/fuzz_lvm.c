/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A disk image of LVM.  The first byte chooses what the rest is: 0: a metadata text, in an area
 * whose label, header and checksums are right (so that the text is reached), wrapped over the
 * ring's end; 1: patches over such an image, whose checksums are then put right; 2: the same and they
 * are not; 3: the text of a backup.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/sum/crc32.h"
#include "dev/named.h"
#include "fuzz.h"
#include "volume/lvm/backup.h"
#include "volume/lvm/check.h"
#include "volume/lvm/list.h"

/* Small: the search for older texts, and checksums with instrumented loops, cost most of the time. */
#define IMAGE_LEN 28672
#define DATA	  24576
#define DISK	  "/lvm-disk"
#define AREA	  4096
#define AREA_LEN  (IMAGE_LEN - AREA)
#define CRC_BEGIN 0xf597a6cfu

static const char sample[] =
	"vg {\nid = \"000000-0000-0000-0000-0000-0000-000000\"\nseqno = 3\nextent_size = 8\n"
	"physical_volumes {\npv0 {\nid = \"111111-1111-1111-1111-1111-1111-111111\"\npe_start = 48\npe_count = 9\n}\n}\n"
	"logical_volumes {\na {\nstatus = [\"VISIBLE\"]\nsegment_count = 1\nsegment1 {\nstart_extent = 0\n"
	"extent_count = 2\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", 3]\n}\n}\n}\n}\n"
	"contents = \"Text Format Volume Group\"\nversion = 1\n";

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &(le32){ htole32(v) }, 4);
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &(le64){ htole64(v) }, 8);
}

static uint64_t get64(const uint8_t *p)
{
	return le64_get(*(const le64 *)p);
}

/* The checksums of the label in sector 1, of the area's header and of the text it names. */
static void put_checksums(uint8_t *image)
{
	uint8_t *label = image + 512, *area = image + AREA;
	uint64_t at = get64(area + 40), len = get64(area + 48), size = get64(area + 32), first;
	uint32_t crc;

	put32(label + 16, crc32_raw(CRC_BEGIN, label + 20, 492));
	if (size <= AREA_LEN && at >= 512 && at < size && len <= size - 512) {
		first = len < size - at ? len : size - at;
		crc = crc32_raw(CRC_BEGIN, area + at, first);
		put32(area + 56, crc32_raw(crc, area + 512, len - first));
	}
	put32(area, crc32_raw(CRC_BEGIN, area + 4, 508));
}

static void make_image(uint8_t *image, const void *text, size_t len, uint64_t at)
{
	uint8_t *label = image + 512, *area = image + AREA;
	size_t first = len < AREA_LEN - at ? len : AREA_LEN - at;

	memcpy(label, "LABELONE", 8);
	put64(label + 8, 1);
	put32(label + 20, 32);
	memcpy(label + 24, "LVM2 001", 8);
	memset(label + 32, '1', 32);
	put64(label + 64, IMAGE_LEN);
	put64(label + 72, DATA);
	put64(label + 104, AREA);
	put64(label + 112, AREA_LEN);
	memcpy(area + 4, " LVM2 x[5A%r0N*>", 16);
	put32(area + 20, 1);
	put64(area + 24, AREA);
	put64(area + 32, AREA_LEN);
	put64(area + 40, at);
	put64(area + 48, len);
	memcpy(area + at, text, first);
	memcpy(area + 512, (const uint8_t *)text + first, len - first);
}

/* (offset u16, length u8, bytes), again and again. */
static void patch(uint8_t *image, const uint8_t *p, size_t len)
{
	while (len >= 3) {
		size_t at = (p[0] | (size_t)p[1] << 8) % IMAGE_LEN, n = p[2];

		p += 3;
		len -= 3;
		n = n < len ? n : len;
		n = n < IMAGE_LEN - at ? n : IMAGE_LEN - at;
		memcpy(image + at, p, n);
		p += n;
		len -= n;
	}
}

/* A hostile text must not bring a line of its own into the table, nor a path. */
static void check_table(const struct outbuf *out)
{
	const char *at = out->data, *end;

	if (!out->len)
		return; /* there is no text but older ones */
	end = at + out->len;
	for (size_t i = 0; i < out->len; i++)
		MUST((unsigned char)out->data[i] >= ' ' || out->data[i] == '\n');
	for (const char *line_end; at < end; at = line_end + 1) {
		const char *path;

		line_end = memchr(at, '\n', (size_t)(end - at));
		MUST(line_end);
		path = memmem(at, (size_t)(line_end - at), " /", 2);
		MUST(*at == '#' || !path || !strncmp(path, " " DISK " ", sizeof(DISK) + 1));
	}
}

static uint8_t image[IMAGE_LEN];

static int disk_open(struct dev_named *d, unsigned flags, struct io **out, struct err *err)
{
	(void)flags;
	*out = io_mem_new(d->name, IMAGE_LEN);
	if (!*out)
		return err_nomem(err, "disk");
	memcpy(io_mem_data(*out), image, IMAGE_LEN);
	return 0;
}

static int disk_parts(struct dev_named *d, uint64_t at, uint64_t len, dev_part_fn *fn, void *fn_ctx)
{
	(void)d, (void)at, (void)len, (void)fn, (void)fn_ctx;
	return 0;
}

static void look(const char *path, const char *backup, bool old)
{
	const struct lvm_options opt = { .path = &path, .nr_paths = 1, .leg = old ? 0 : LVM_NO_LEG,
					 .all_texts = old, .vg_backup = backup };
	struct lvm_findings f = { 0 };
	struct lvm *l = NULL;
	struct err err = { 0 };
	struct outbuf out;

	if (lvm_open(&opt, &l, &err)) {
		MUST(!l && err.text[0]);
		return;
	}
	outbuf_init(&out);
	lvm_write_table(l, opt.leg, &out);
	check_table(&out);
	outbuf_reset(&out);
	lvm_list(l, NULL, NULL, &out);
	lvm_list_json(l, NULL, NULL, &out);
	lvm_list_texts(l, &out);
	lvm_list_texts_json(l, &out);
	lvm_check_groups(l, &f);
	lvm_findings_text(&f, &out);
	lvm_findings_json(&f, &out);
	lvm_findings_fini(&f);
	outbuf_fini(&out);
	lvm_free(l);
}

static int memory_file(const void *data, size_t len, char path[64])
{
	int fd = memfd_create("lvm", 0);

	MUST(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dev_named disk = { .name = DISK, .open = disk_open, .parts = disk_parts };
	struct lvm_backup_pool pool;
	char backup[64];
	uint8_t mode;
	int fd = -1;

	if (!len || len > AREA_LEN - 1024)
		return 0;
	mode = *data++ & 3;
	len--;
	memset(image, 0, sizeof(image));
	if (mode == 0)
		make_image(image, data, len, AREA_LEN - 1024);
	else
		make_image(image, sample, sizeof(sample), 512);
	if (mode == 1 || mode == 2)
		patch(image, data, len);
	if (mode != 2)
		put_checksums(image);
	if (mode == 3) {
		fd = memory_file(data, len, backup);
		if (!lvm_backup_pool(backup, NULL, &pool, NULL))
			free(pool.ids);
	}
	dev_named_add(&disk);
	look(disk.name, mode == 3 ? backup : NULL, false);
	look(disk.name, NULL, true);
	dev_named_remove(&disk);
	if (fd >= 0)
		close(fd);
	return 0;
}
