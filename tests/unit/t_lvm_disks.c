/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Physical volumes of LVM in images that a test makes, whole and broken, and partitions. */
#include <fcntl.h>

#include "folder.h"

#include "failing.h"
#include "lvm_disk.h"
#include "volume/lvm/part.h"

static char file_blank[500], file_text[500];

static void disks_are_read(void)
{
	const struct lvm_options opt = { .path = both, .nr_paths = 2 }, one = { .path = both, .nr_paths = 1 };
	char line[600];

	put_both(whole_text);
	snprintf(line, sizeof(line), "\nmeta: 0 512 linear %s 2048\n", file_a);
	says(&opt, 0, line);
	says(&opt, 0, "\npool: 0 12800 thin-pool meta data 256 0 1 skip_block_zeroing\n");
	says(&opt, 0, "\nthin: 0 6400 thin pool 7 ext\n");
	says(&opt, 0, "\next: 0 640 linear ");
	says(&opt, 0, "\next: 640 768 zero\n");
	says(&opt, 0, ", transaction 3, 1 message not sent yet\n");
	says(&opt, 0, ", snapshot of gone (removed)\n");
	says(&opt, 0, "  linear+zero ext ");
	says(&opt, 0, "vg seqno 5 2023-11-14T22:13:20Z ");
	says(&opt, 0, ", committed in 2 areas, taken: by?me\n");
	says(&opt, 0, "warning: vg/thin: its external origin ext is writable");
	says(&one, 0, "MISSING, last seen as an unknown device, id qqqq");
	says(&one, 0, "\ndata@0.1: 0 6400 error\n");
	says(&one, 0, "physical volume pv1 (qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq, last seen as an unknown device) is missing");
}

struct changed_text {
	const char *from, *to, *words;
};

static void owners_and_times(void)
{
	static const struct changed_text t[] = {
		{ "\"RESIZEABLE\"", "\"EXPORTED\"", "extents of 64KiB, exported\n" },
		{ "\"RESIZEABLE\"", "\"CLUSTERED\"", ", shared by hosts with locks of clvm\n" },
		{ "seqno = 5", "seqno = 5 system_id = \"box\"", ", owned by host box\n" },
		{ "seqno = 5", "seqno = 5 system_id = \"\"", "extents of 64KiB\n" },
		{ "seqno = 5", "seqno = 5 lock_type = \"none\"", "extents of 64KiB\n" },
		{ "creation_time = 1700000000", "creation_time = 0", " seqno 5 - " },
		{ "creation_time = 1700000000", "creation_time = 1099511627776", " seqno 5 - " },
		{ "description", "x", ", taken: -\n" },
		{ "message1", "message1 { } message2", "2 messages not sent yet" },
		{ "thin_pool = \"pool\"", "thin_pool = \"none\"", "NOT READABLE: its thin pool does not exist" },
		{ "thin_pool = \"pool\"", "thin_pool = \"none\"", "fault: vg/thin: LVM's text of this volume is broken" },
		{ "metadata = \"meta\"", "metadata = \"\"", "\"metadata\": null" },
		{ "type = \"raid5\"", "", "  ? odd " },
		{ "message1", "note", "transaction 3\n" },
		{ "by\tme", "by\x7fme", "taken: by?me\n" },
		{ "pool = \"data\"", "pool = \"none\"", "\"data\": null" },
		{ "segment_count = 1", "segment_count = 0", "\"type\": null" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const struct lvm_options opt = { .path = both, .nr_paths = 2 };
		char *text = changed(whole_text, NULL, t[i].from, t[i].to);

		put_both(text);
		says(&opt, 0, t[i].words);
		free(text);
	}
}

/* A path with blanks stays one word of the table. */
static void names_with_blanks(void)
{
	const char *const path[] = { file_blank };
	const struct lvm_options opt = { .path = path, .nr_paths = 1 };

	strcpy(file_blank, file_name("a b\\c"));
	make_head('p', whole_text);
	put_image("a b\\c");
	says(&opt, 0, "/a\\040b\\134c 2048\n");
}

static void what_a_terminal_obeys(void)
{
	static const unsigned char ids[] = { 0x1b, ' ', 127, 0x9b };
	static char path_of[500];
	const char *const path[] = { path_of };
	const struct lvm_options opt = { .path = path, .nr_paths = 1 };

	strcpy(path_of, file_name("a\x1b[2Jb"));
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		make_head('p', whole_text);
		head[544 + 5] = ids[i];
		sign_label();
		put_image("a\x1b[2Jb");
		says(&opt, 0, "a?[2Jb");
		says(&opt, 0, "ppppp?pppp");
	}
}

struct broken {
	size_t at;
	unsigned char value;
	char sign; /* l: of the label, a: of the area, t: of the text */
	const char *words;
};

static void labels_and_areas(void)
{
	static const struct broken b[] = {
		{ 512, 'X', 'l', "no LVM label was found" },
		{ 512 + 24, 'X', 'l', "no LVM label was found" },
		{ 512 + 8, 2, 'l', "no LVM label was found" },
		{ 512 + 20, 31, 'l', "no LVM label was found" },
		{ 512 + 21, 2, 'l', "no LVM label was found" },
		{ 512 + 100, 1, 0, "no LVM label was found" },
		{ 544 + 72 + 7, 1, 'l', ": beyond the end of the image)" },
		{ AREA + 100, 1, 0, ": damaged header)" },
		{ AREA + 4, 'X', 'a', ": damaged header)" },
		{ AREA + 20, 2, 'a', ": damaged header)" },
		{ AREA + 25, 1, 'a', ": damaged header)" },
		{ AREA + 39, 0x80, 'a', ": damaged header)" },
		{ AREA + 60, 1, 'a', ": ignored)" },
		{ AREA + 41, 0, 'a', "this physical volume has no text" },
		{ AREA + 47, 1, 'a', ": damaged header)" },
		{ AREA + 55, 1, 'a', ": damaged header)" },
		{ RING + 3, '=', 0, ": damaged text)" },
		{ RING + 3, '=', 't', ": damaged text)" },
	};

	put_both(whole_text);
	for (size_t i = 0; i < ARRAY_SIZE(b); i++) {
		const struct lvm_options opt = { .path = both, .nr_paths = 1 };

		make_head('p', whole_text);
		head[b[i].at] = b[i].value;
		if (b[i].sign == 'l')
			sign_label();
		if (b[i].sign == 'a')
			sign_area();
		if (b[i].sign == 't')
			sign_text();
		put_image("a");
		says(&opt, -EUCLEAN, b[i].words);
	}
}

/* What the other PV's area has is the group; the bad one is told. */
static void one_area_is_enough(void)
{
	const struct lvm_options opt = { .path = both, .nr_paths = 2 };

	put_both(whole_text);
	put64(AREA + 40, 0);
	sign_area();
	put_image("b");
	says(&opt, 0, "\nmeta: 0 512 linear ");
	says(&opt, 0, "warning: vg/pv1: metadata area 0 on ");
	says(&opt, 0, " has no text, although the PV belongs to the group");
}

static void other_texts(void)
{
	struct lvm_options opt = { .path = both, .nr_paths = 2, .has_seqno = true, .seqno = 9 };
	char *older = changed(whole_text, NULL, "seqno = 5", "seqno = 4");
	char *twin = changed(whole_text, NULL, "transaction_id = 3", "transaction_id = 9");

	put_both(whole_text);
	memcpy(head + RING + 32768, older, strlen(older));
	put_image("b");
	says(&opt, -ENODATA, "no text of LVM with seqno 9 is left on the disks; there are: 5 4");
	opt.seqno = 4;
	says(&opt, 0, "note: volume group vg is read as it was at seqno 4, the newest is 5");
	opt.vg = "other";
	says(&opt, -ENODATA, "no volume group 'other' with a text of that seqno on the given disks; there is: vg");
	opt = (struct lvm_options){ .path = both, .nr_paths = 2, .all_texts = true };
	says(&opt, 0, " area 0, left over: by?me\n");
	make_head('q', older);
	put_image("b");
	says(&opt, 0, ", area 0: good (seqno 4, older)\n");
	says(&opt, 0, "has an older text (seqno 4, the newest is 5)");
	make_head('q', twin);
	put_image("b");
	says(&opt, 0, "fault: vg: 2 different texts have the newest seqno 5");
	free(older);
	free(twin);
}

static int look_and_forget(const struct lvm_options *opt, struct err *err)
{
	struct outbuf out;
	int r = look(opt, &out, err);

	check(r || (strstr(out.data, "\nthin: 0 6400 thin pool 7 ext\n") &&
		    strstr(out.data, "its external origin ext is writable")));
	outbuf_fini(&out);
	return r;
}

static void memory(void)
{
	struct lvm_options opt = { .path = both, .nr_paths = 2 };
	struct err err;

	put_both(whole_text);
	check_each_request_failing(look_and_forget(&opt, &err), &err);
	strcpy(file_text, file_name("text"));
	put("text", whole_text, strlen(whole_text));
	opt.vg_backup = file_text;
	check_each_request_failing(look_and_forget(&opt, &err), &err);
}

/* --- partitions --- */

enum { GPT = 512, ENTRIES = 1024, DISK_SECTORS = 2000 };

static void sign_gpt(unsigned char *d)
{
	*(le32 *)(d + GPT + 88) = le32_make(~crc32_raw(UINT32_MAX, d + ENTRIES, 4 * 128));
	*(le32 *)(d + GPT + 16) = le32_make(0);
	*(le32 *)(d + GPT + 16) = le32_make(~crc32_raw(UINT32_MAX, d + GPT, 92));
}

static struct io *gpt_disk(void)
{
	struct io *io = io_mem_new("disk", DISK_SECTORS * 512);
	unsigned char *d;

	check(io);
	d = io_mem_data(io);
	memcpy(d + GPT, "EFI PART", 8);
	*(le32 *)(d + GPT + 12) = le32_make(92);
	*(le64 *)(d + GPT + 24) = le64_make(1);
	*(le64 *)(d + GPT + 72) = le64_make(2);
	*(le32 *)(d + GPT + 80) = le32_make(4);
	*(le32 *)(d + GPT + 84) = le32_make(128);
	for (unsigned i = 0; i < 2; i++) { /* the second and the fourth */
		unsigned char *e = d + ENTRIES + 128 + i * 256;

		e[0] = 7;
		*(le64 *)(e + 32) = le64_make(100 + 1000 * i);
		*(le64 *)(e + 40) = le64_make(199 + 10000 * i);
	}
	sign_gpt(d);
	return io;
}

static void gpt(void)
{
	static const struct {
		size_t at;
		unsigned char value;
		bool sign;
		unsigned nr;
	} changes[] = {
		{ GPT + 100, 1, false, 2 }, /* behind the header */
		{ GPT + 40, 1, false, 0 },  { GPT + 24, 2, true, 0 },	{ GPT + 84, 40, true, 0 },
		{ GPT + 87, 1, true, 0 },   { GPT + 83, 1, true, 0 },	{ GPT + 73, 255, true, 0 },
		{ GPT + 80, 0, true, 0 },   { ENTRIES + 130, 9, false, 0 }, { ENTRIES + 128, 0, true, 1 },
		{ ENTRIES + 128 + 33, 1, true, 1 }, { ENTRIES + 128 + 37, 1, true, 1 },
		{ GPT + 12, 80, false, 0 }, { GPT + 13, 2, false, 0 },
	};
	struct part part[PART_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct io *io = gpt_disk();
		unsigned char *d = io_mem_data(io);

		check_eq(part_read(io, 512, part), 2);
		check(part[0].nr == 2 && part[0].start == 100 * 512 && part[0].len == 100 * 512);
		check(part[1].nr == 4 && part[1].start == 1100 * 512 && part[1].len == 900 * 512);
		check(!part_read(io, 4096, part));
		d[changes[i].at] = changes[i].value;
		if (changes[i].sign)
			sign_gpt(d);
		if (part_read(io, 512, part) != changes[i].nr)
			printf("# change %zu\n", i);
		check_eq(part_read(io, 512, part), changes[i].nr);
		io_free(io);
	}
}

/* The first header is gone: the second one, in the last sector, counts, as far as its entries are on the disk. */
static void second_gpt(void)
{
	struct part part[PART_MAX];
	struct io *io = gpt_disk();
	unsigned char *d = io_mem_data(io), *last = d + (DISK_SECTORS - 1) * 512;

	memcpy(last, d + GPT, 512);
	memset(d + GPT, 0, 512);
	check(!part_read(io, 512, part)); /* it still says that it is the first */
	*(le64 *)(last + 24) = le64_make(DISK_SECTORS - 1);
	*(le32 *)(last + 16) = le32_make(0);
	*(le32 *)(last + 16) = le32_make(~crc32_raw(UINT32_MAX, last, 92));
	check_eq(part_read(io, 512, part), 2);
	check(part[0].start == 100 * 512 && part[1].nr == 4);
	/* its entries run past the end */
	*(le64 *)(last + 72) = le64_make(DISK_SECTORS - 1);
	*(le32 *)(last + 80) = le32_make(512);
	*(le32 *)(last + 16) = le32_make(0);
	*(le32 *)(last + 16) = le32_make(~crc32_raw(UINT32_MAX, last, 92));
	check(!part_read(io, 512, part));
	io_free(io);
}

/* More partitions than any kernel numbers: the first ones are read. */
static void many_partitions(void)
{
	const unsigned nr = PART_MAX + 10;
	struct io *io = io_mem_new("disk", 4000 * 512);
	unsigned char *d = io_mem_data(io);
	struct part part[PART_MAX];

	memcpy(d + GPT, "EFI PART", 8);
	*(le32 *)(d + GPT + 12) = le32_make(92);
	*(le64 *)(d + GPT + 24) = le64_make(1);
	*(le64 *)(d + GPT + 72) = le64_make(2);
	*(le32 *)(d + GPT + 80) = le32_make(nr);
	*(le32 *)(d + GPT + 84) = le32_make(128);
	for (unsigned i = 0; i < nr; i++) {
		unsigned char *e = d + ENTRIES + i * 128;

		e[0] = 7;
		*(le64 *)(e + 32) = le64_make(1000 + 2 * i);
		*(le64 *)(e + 40) = le64_make(1001 + 2 * i);
	}
	*(le32 *)(d + GPT + 88) = le32_make(~crc32_raw(UINT32_MAX, d + ENTRIES, nr * 128));
	*(le32 *)(d + GPT + 16) = le32_make(~crc32_raw(UINT32_MAX, d + GPT, 92));
	check_eq(part_read(io, 512, part), PART_MAX);
	check(part[PART_MAX - 1].nr == PART_MAX && part[PART_MAX - 1].len == 1024);
	io_free(io);
}

static void put_entry(unsigned char *table, unsigned i, unsigned type, unsigned first, unsigned count)
{
	unsigned char *e = table + 446 + 16 * i;

	table[510] = 0x55;
	table[511] = 0xaa;
	e[4] = (unsigned char)type;
	*(le32 *)(e + 8) = le32_make(first);
	*(le32 *)(e + 12) = le32_make(count);
}

static void logical_partitions(void)
{
	struct io *io = io_mem_new("disk", DISK_SECTORS * 512);
	unsigned char *d = io_mem_data(io);
	struct part part[PART_MAX];

	put_entry(d, 0, 0x05, 100, 1000);
	put_entry(d + 100 * 512, 0, 0x83, 10, 20);
	put_entry(d + 100 * 512, 1, 0x05, 200, 100);
	put_entry(d + 100 * 512, 2, 0x05, 400, 100); /* of two, the first goes on */
	put_entry(d + 300 * 512, 0, 0x83, 5, 6);
	put_entry(d + 500 * 512, 0, 0x83, 7, 8);
	check_eq(part_read(io, 512, part), 2);
	check(part[0].nr == 5 && part[0].start == 110 * 512 && part[0].len == 20 * 512);
	check(part[1].nr == 6 && part[1].start == 305 * 512 && part[1].len == 6 * 512);
	io_free(io);
}

static void mbr(void)
{
	struct io *io = io_mem_new("disk", DISK_SECTORS * 512);
	unsigned char *d;
	struct part part[PART_MAX];

	check(io);
	d = io_mem_data(io);
	check(!part_read(io, 512, part));
	d[510] = 0x55;
	d[511] = 0xaa;
	check(!part_read(io, 512, part));
	d[446 + 4] = 0x83;
	d[446 + 8] = 10;
	check(!part_read(io, 512, part)); /* no sectors */
	d[446 + 12] = 20;
	check(part_read(io, 512, part) == 1 && part[0].start == 5120 && part[0].len == 20 * 512);
	d[446 + 16 + 4] = 0x83;
	d[446 + 16 + 12] = 5;
	check(part_read(io, 512, part) == 1); /* a second one over the table itself */
	d[446 + 16 + 10] = 1;
	check(part_read(io, 512, part) == 1); /* and behind the disk's end */
	d[446] = 1;
	check(!part_read(io, 512, part)); /* a filesystem's first sector */
	io_free(io);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a group is read from its disks, and a missing disk is told", disks_are_read },
		{ "a listing tells owners, times, messages and what is broken", owners_and_times },
		{ "a path with blanks stays one word of the table", names_with_blanks },
		{ "a broken label is none, and a broken area is told with the reason", labels_and_areas },
		{ "one good area is enough, and an empty one is told", one_area_is_enough },
		{ "older texts are found by seqno, and different texts of one seqno are told", other_texts },
		{ "what has no memory for disks with LVM says so", memory },
		{ "a GPT whose checksums or numbers are wrong has no partitions", gpt },
		{ "the second header of a GPT counts where the first is gone", second_gpt },
		{ "of very many partitions the first ones are read", many_partitions },
		{ "logical partitions are one chain", logical_partitions },
		{ "an MBR's partitions lie inside the disk and behind the table", mbr },
		{ "names and ids with control characters are shown without them", what_a_terminal_obeys },
	{ 0 },
	};

	return folder_main(tests, argc, argv);
}
