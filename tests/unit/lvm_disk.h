/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Disks with a physical volume of LVM, as images in the test's folder, and what the room tells of them. */
#include <unistd.h>

#include "base/le.h"
#include "base/sum/crc32.h"
#include "lvm_world.h"
#include "volume/lvm/check.h"
#include "volume/lvm/list.h"

#define IMAGE_LEN ((2048 + 900 * 128) * 512ull)
#define AREA	  4096
#define RING	  (AREA + 512)
#define CRC_BEGIN 0xf597a6cfu

static unsigned char head[1 << 20];

static void put32(size_t at, uint32_t v)
{
	*(le32 *)(head + at) = le32_make(v);
}

static void put64(size_t at, uint64_t v)
{
	*(le64 *)(head + at) = le64_make(v);
}

static void sign_label(void)
{
	put32(512 + 16, crc32_raw(CRC_BEGIN, head + 512 + 20, 512 - 20));
}

static void sign_area(void)
{
	put32(AREA, crc32_raw(CRC_BEGIN, head + AREA + 4, 512 - 4));
}

static void sign_text(void)
{
	put32(AREA + 56, crc32_raw(CRC_BEGIN, head + RING, le64_get(*(le64 *)(head + AREA + 48))));
	sign_area();
}

/* The begin of a PV whose id is 32 times @letter, with a label, one area and in it @text. */
static void make_head(char letter, const char *text)
{
	memset(head, 0, sizeof(head));
	memcpy(head + 512, "LABELONE", 8);
	put64(512 + 8, 1);
	put32(512 + 20, 32);
	memcpy(head + 512 + 24, "LVM2 001", 8);
	memset(head + 544, letter, 32);
	put64(544 + 32, IMAGE_LEN);
	put64(544 + 40, sizeof(head));
	put64(544 + 72, AREA);
	put64(544 + 80, sizeof(head) - AREA);
	sign_label();
	memcpy(head + AREA + 4, " LVM2 x[5A%r0N*>", 16);
	put32(AREA + 20, 1);
	put64(AREA + 24, AREA);
	put64(AREA + 32, sizeof(head) - AREA);
	put64(AREA + 40, 512);
	put64(AREA + 48, strlen(text) + 1);
	memcpy(head + RING, text, strlen(text) + 1);
	sign_text();
}

static void put_image(const char *name)
{
	put(name, head, sizeof(head));
	check(!truncate(file_name(name), IMAGE_LEN));
}

static struct outbuf told;

static void note(void *ctx, const char *text)
{
	(void)ctx;
	outbuf_str(&told, text);
	outbuf_str(&told, "\n");
}

/* All that the room tells of @opt's disks, in one text. */
static int look(const struct lvm_options *given, struct outbuf *out, struct err *err)
{
	struct lvm_options opt = *given;
	struct lvm_findings f = { 0 };
	struct lvm *l = NULL;
	int r;

	opt.tell = note;
	opt.leg = 0;
	outbuf_init(out);
	outbuf_init(&told);
	r = lvm_open(&opt, &l, err);
	if (!r) {
		lvm_write_table(l, 0, out);
		lvm_list(l, NULL, NULL, out);
		lvm_list_json(l, NULL, NULL, out);
		lvm_list_texts(l, out);
		lvm_list_texts_json(l, out);
		lvm_check_groups(l, &f);
		lvm_findings_text(&f, out);
		lvm_findings_json(&f, out);
		if (f.no_memory || out->error || told.error)
			r = err_nomem(err, "what is told");
	}
	outbuf_add(out, told.error ? "" : told.data, told.error ? 0 : told.len);
	outbuf_add(out, "", 1);
	lvm_findings_fini(&f);
	lvm_free(l);
	outbuf_fini(&told);
	return r;
}

/* Paths of the images, once put_both() has made them. */
static char file_a[500], file_b[500];
static const char *const both[] = { file_a, file_b };

static void says(const struct lvm_options *opt, int code, const char *words)
{
	struct err err = { 0 };
	struct outbuf out;
	int r = look(opt, &out, &err);
	const char *got = r ? err.text : out.data;

	if (r != code || !strstr(got, words))
		printf("# %d, no '%s' in: %.2000s\n", r, words, got);
	check(r == code && strstr(got, words));
	for (const char *p = r ? "" : got; *p; p++) /* nothing that a terminal would obey */
		check((unsigned char)*p >= ' ' || *p == '\n' || *p == '\t');
	outbuf_fini(&out);
}

static void put_both(const char *text)
{
	strcpy(file_a, file_name("a"));
	strcpy(file_b, file_name("b"));
	make_head('p', text);
	put_image("a");
	make_head('q', text);
	put_image("b");
}
