/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Texts of several groups and ages on disks that are whole, cut, copied or forged. */
#include <sys/stat.h>

#include "folder.h"

#include "lvm_disk.h"
#include "volume/open/pool_arg.h"
#include "volume/open/pool_lvm.h"

/* Another group: other ids, names of its own. */
static char *other_group(const char *name, const char *seqno, bool third)
{
	char begin[300], *with_id = changed(whole_text, NULL, ID("g"), third ? ID("i") : ID("h")), *with_pv, *out;

	with_pv = changed(with_id, NULL, ID("p"), third ? ID("s") : ID("r"));
	snprintf(begin, sizeof(begin), "%s {", name);
	out = changed(with_pv, NULL, "vg {", begin);
	free(with_id);
	free(with_pv);
	with_id = out;
	out = changed(with_id, NULL, "seqno = 5", seqno);
	free(with_id);
	return out;
}

/* Disk a has whole_text, disk c the group @name. */
static char file_c[500], file_d[500];
static const char *const groups[] = { file_a, file_c, file_d };

static void put_other(const char *name)
{
	char *other = other_group(name, "seqno = 6", false);

	strcpy(file_c, file_name("c"));
	make_head('r', other);
	put_image("c");
	free(other);
}

static void put_groups(const char *name)
{
	put_both(whole_text);
	put_other(name);
}

static void does_not_say(const struct lvm_options *opt, const char *words)
{
	struct err err = { 0 };
	struct outbuf out;

	check_eq(look(opt, &out, &err), 0);
	if (strstr(out.data, words))
		printf("# '%s' in: %.2000s\n", words, out.data);
	check(!strstr(out.data, words));
	outbuf_fini(&out);
}

#define TEN "0123456789"
#define LONG_NAME TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN /* and a letter before it */

static void one_group_of_two(void)
{
	static const char long_name[] = "n" LONG_NAME;
	char *first, *third;
	struct lvm_options opt = { .path = groups, .nr_paths = 2 };

	put_groups("wg");
	says(&opt, 0, "\nvg/pool: ");
	says(&opt, 0, "\nwg/pool: ");
	opt.vg = "wg";
	says(&opt, 0, "\npool: 0 12800 thin-pool meta data");
	says(&opt, 0, "# volume group wg, seqno 6\n");
	does_not_say(&opt, "volume group vg");
	opt.vg = "vg";
	does_not_say(&opt, "volume group wg");
	opt.vg = "xg";
	says(&opt, -ENODATA, "no volume group 'xg' on the given disks; there is: vg wg");
	put_groups(long_name);
	says(&opt, -ENODATA, long_name);
	/* a third one for whose name there is no room */
	first = changed(whole_text, NULL, "vg {", "v" LONG_NAME "123456 {");
	make_head('p', first);
	put_image("a");
	free(first);
	put_other("n" LONG_NAME "123456");
	strcpy(file_d, file_name("d"));
	third = other_group("w" LONG_NAME, "seqno = 6", true);
	make_head('s', third);
	put_image("d");
	free(third);
	opt.nr_paths = 3;
	says(&opt, -ENODATA, "on the given disks; there is: v0123456789");
	/* no text at all is another fault than another group */
	opt.nr_paths = 1;
	make_head('p', whole_text);
	put64(AREA + 40, 0);
	sign_area();
	put_image("a");
	says(&opt, -EUCLEAN, "this physical volume has no text of a volume group");
}

static void one_text(void)
{
	struct lvm_options opt = { .path = both, .nr_paths = 2, .has_seqno = true, .seqno = 9 };

	put_both(whole_text);
	says(&opt, -ENODATA, "no text of LVM with seqno 9 is left on the disks; there is: 5");
}

/* More texts than a message lists; those of two groups in one ring are kept apart. */
static void many_texts(void)
{
	struct lvm_options opt = { .path = both, .nr_paths = 2, .has_seqno = true, .seqno = 9 };
	size_t at = RING + 16384;
	char *other;

	put_both(whole_text);
	for (int i = 0; i < 30; i++) {
		char seqno[60], *older;

		snprintf(seqno, sizeof(seqno), "seqno = %d", 100000000 + i);
		older = changed(whole_text, NULL, "seqno = 5", seqno);
		memcpy(head + at, older, strlen(older) + 1);
		at += 8192;
		free(older);
	}
	other = other_group("wg", "seqno = 5", false);
	memcpy(head + at, other, strlen(other) + 1);
	free(other);
	put_image("b");
	says(&opt, -ENODATA, "there are: 100000029 100000028 ");
	opt = (struct lvm_options){ .path = both, .nr_paths = 2, .all_texts = true };
	says(&opt, 0, "wg seqno 5 ");
	says(&opt, 0, "vg seqno 100000000 ");
	/* a text that no 0 ends before the area does */
	make_head('q', whole_text);
	memset(head + RING + 32768, 'x', sizeof(head) - RING - 32768);
	memcpy(head + RING + 32768, "ug {\n", 5);
	memcpy(head + RING + 65536, "{ } ", 4);
	put_image("b");
	does_not_say(&opt, "ug seqno");
	memset(head + RING, 'x', 32768);
	put_image("b");
	does_not_say(&opt, "ug seqno");
	says(&opt, 0, "vg seqno 5 ");
}

struct odd {
	size_t at;
	uint64_t value;
	const char *words;
};

static void odd_fields(void)
{
	static const struct odd o[] = {
		{ AREA + 32, 512, ": damaged header)" },
		{ AREA + 40, 511, ": damaged header)" },
		{ AREA + 48, 0, ": damaged header)" },
	};
	const struct lvm_options opt = { .path = both, .nr_paths = 1 };

	put_both(whole_text);
	for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
		make_head('p', whole_text);
		put64(o[i].at, o[i].value);
		sign_area();
		put_image("a");
		says(&opt, -EUCLEAN, o[i].words);
	}
	/* the lists of areas do not end in the sector */
	make_head('p', whole_text);
	for (size_t at = 544 + 40; at < 1024; at += 8)
		put64(at, 1 << 20);
	sign_label();
	put_image("a");
	says(&opt, -EUCLEAN, "this physical volume has no text of a volume group");
	/* more areas than LVM makes: the first ones are read */
	make_head('p', whole_text);
	for (size_t i = 1; i < LVM_MAX_AREAS + 4; i++) {
		put64(544 + 72 + 16 * i, sizeof(head) + 4096 * i);
		put64(544 + 80 + 16 * i, 4096);
	}
	sign_label();
	put_image("a");
	says(&opt, 0, "\nmeta: 0 512 linear ");
	/* the first of two areas lies beyond the end */
	make_head('p', whole_text);
	put64(544 + 72, UINT64_C(1) << 40);
	put64(544 + 80, 65536);
	put64(544 + 72 + 16, AREA);
	put64(544 + 80 + 16, sizeof(head) - AREA);
	sign_label();
	put_image("a");
	says(&opt, 0, "\nmeta: 0 512 linear ");
	/* the second of two areas lies before the first */
	make_head('p', whole_text);
	put64(544 + 72, sizeof(head) + 65536);
	put64(544 + 80, 65536);
	put64(544 + 72 + 16, AREA);
	put64(544 + 80 + 16, sizeof(head) - AREA);
	sign_label();
	put_image("a");
	says(&opt, 0, "\nmeta: 0 512 linear ");
}

static void names_that_no_group_has(void)
{
	const struct lvm_options opt = { .path = both, .nr_paths = 1 };
	char *text = changed(whole_text, NULL, "vg {", "\"v g\" {");

	put_both(text);
	says(&opt, -EUCLEAN, ": damaged text)");
	free(text);
}

static void cut_images(void)
{
	const struct lvm_options opt = { .path = both, .nr_paths = 1 }, two = { .path = both, .nr_paths = 2 };
	const off_t len[] = { (1 << 20) + 512, 1 << 20, RING + 65536 };

	put_both(whole_text);
	/* inside its first extent, at the begin of that, and behind the text */
	for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
		check(!truncate(file_a, len[i]));
		says(&two, 0, "meta 256KiB, PARTLY READABLE: 256KiB beyond the end of an image that is cut off");
		says(&two, 0, "area 0: good (seqno 5)");
	}
	/* inside the text */
	check(!truncate(file_a, RING + 100));
	says(&opt, -EUCLEAN, ": beyond the end of the image)");
	check(!truncate(file_a, 0));
	says(&opt, -EUCLEAN, "no LVM label was found");
}

/* The same PV at another place of another disk, also in a partition, and where a folder leads to it. */
static void copies_elsewhere(void)
{
	static char in_folder[500];
	const char *const path[] = { file_a, file_c, in_folder };
	struct lvm_options opt = { .path = path, .nr_paths = 2 };
	FILE *f;

	put_both(whole_text);
	strcpy(file_c, file_name("c"));
	make_head('p', whole_text);
	f = fopen(file_c, "w");
	check(f && !fseek(f, 512 * 64, SEEK_SET) && fwrite(head, 1, sizeof(head), f) == sizeof(head));
	memset(head, 0, 512);
	head[446 + 4] = 0x8e;
	head[446 + 8] = 64;
	put32(446 + 12, 1 << 20);
	head[510] = 0x55;
	head[511] = 0xaa;
	check(!fseek(f, 0, SEEK_SET) && fwrite(head, 1, 512, f) == 512 && !fclose(f));
	says(&opt, -EINVAL, "hold the same physical volume (pppppppppppppppppppppppppppppppp): one is a copy");
	strcpy(in_folder, file_name("folder"));
	check(!mkdir(in_folder, 0700));
	check(!rename(file_c, file_name("folder/copy")));
	opt.path = (const char *const[]){ file_a, in_folder };
	says(&opt, -EINVAL, "hold the same physical volume");
}

static void paths_to_nothing(void)
{
	static char empty[500], pattern[500];
	const char *const path[] = { empty }, *const wild[] = { pattern };
	struct lvm_options opt = { .path = path, .nr_paths = 1 };

	strcpy(empty, file_name("one"));
	check(!mkdir(empty, 0700));
	says(&opt, -EUCLEAN, "none of 0 files has an LVM label");
	put("one/text", whole_text, strlen(whole_text));
	check(!mkdir(file_name("one/folder"), 0700) && !symlink("nowhere", file_name("one/link")));
	says(&opt, -EUCLEAN, "one: none of 1 file has an LVM label");
	strcpy(pattern, file_name("nothing*"));
	opt.path = wild;
	says(&opt, -ENOENT, "Couldn't find input file '");
	says(&opt, -ENOENT, "nothing*'");
}

/* A group has a volume and no thin pool: the volume is what POOL and DEVICE mean. */
static void groups_without_a_pool(void)
{
	static const char text[] =
		"vg {\nid = \"" ID("g") "\"\nseqno = 5\nextent_size = 128\nphysical_volumes {\npv0 {\nid = \"" ID("p")
		"\"\npe_start = 2048\npe_count = 900\n}\n}\nlogical_volumes {\n" LV("lin", "1") SEG("1", "0", "4", "striped")
		"stripe_count = 1\nstripes = [\"pv0\", 0]\n}\n}\n}\n}\ncontents = \"Text Format Volume Group\"\n";
	struct pool_want want = { .disk = pool_lvm_table, .table = { .device = { "vg/lin" }, .other = table_other_line } };
	struct err err = { 0 };
	struct pool_arg arg;

	put_both(text);
	check_eq(pool_arg_open(file_a, &want, &arg, &err), 0);
	check_eq(arg.kind, POOL_LINE);
	check_str(arg.table->other->name, "lin");
	pool_arg_fini(&arg);
	want.table.device[0] = "vg/none";
	check(pool_arg_open(file_a, &want, &arg, &err) == -ENODATA && strstr(err.text, "volume group vg has no thin pool"));
	want.table.device[0] = "vg/lin";
	want.table.other = NULL;
	check(pool_arg_open(file_a, &want, &arg, &err) == -ENODATA);
}

static void empty_fill(void *ctx, const struct lvm_vg *vg, const struct lvm_lv *pool, struct lvm_fill *fill)
{
	(void)ctx;
	(void)vg;
	(void)pool;
	*fill = (struct lvm_fill){ .known = true, .transaction = 3, .metadata = 4, .used_metadata = 1 };
}

static void a_pool_without_data(void)
{
	const struct lvm_options opt = { .path = both, .nr_paths = 2, .leg = LVM_NO_LEG };
	struct err err = { 0 };
	struct outbuf out;
	struct lvm *l;

	put_both(whole_text);
	check_eq(lvm_open(&opt, &l, &err), 0);
	outbuf_init(&out);
	lvm_list(l, empty_fill, NULL, &out);
	outbuf_add(&out, "", 1);
	check(strstr(out.data, "0.0%") && strstr(out.data, "25.0%"));
	outbuf_fini(&out);
	lvm_free(l);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "of several groups the one that is named is read", one_group_of_two },
		{ "the only text that is left is told", one_text },
		{ "many texts of several groups are kept apart, and some of them listed", many_texts },
		{ "areas with odd numbers are damaged, and those beside them are read", odd_fields },
		{ "a text with a name that no group has is damaged", names_that_no_group_has },
		{ "an image that is cut is read as far as it goes", cut_images },
		{ "a copy of a disk is refused wherever it lies", copies_elsewhere },
		{ "paths that lead to no disk are told", paths_to_nothing },
		{ "a volume of a group without a thin pool is read by its name", groups_without_a_pool },
		{ "a pool without data blocks is not full", a_pool_without_data },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
