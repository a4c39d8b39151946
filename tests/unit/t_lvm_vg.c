/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What LVM's text says of a group, and what is wrong in it. */
#include "tap.h"

#include "failing.h"
#include "lvm_world.h"

#define TEN "0123456789"
#define LONG_NAME "a" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567" /* 128 bytes */

struct change {
	const char *at, *from, *to;
	const char *lv; /* which has then ... */
	const char *fault; /* ... this fault, or cannot be read for this reason */
};

static void each_fault(const struct change *c, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct arena arena = { 0 };
		struct err err = { 0 };
		struct lvm_vg vg;
		char *text = changed(whole_text, c[i].at, c[i].from, c[i].to);
		int r = build_group(text, &arena, &vg, &err);
		const struct lvm_lv *lv = r ? NULL : lvm_find_lv(&vg, c[i].lv);
		const char *why = lv ? lv->why : r ? err.text : "?";

		if (!why || !strstr(why, c[i].fault))
			printf("# %s, '%s' for '%s': %s\n", c[i].at ?: "group", c[i].to, c[i].from, why ?: "nothing");
		check(why && strstr(why, c[i].fault));
		check(!c[i].lv == (r == -EINVAL));
		arena_fini(&arena);
		free(text);
	}
}

static void groups(void)
{
	static const struct change changes[] = {
		{ NULL, "extent_size = 128", "", NULL, "has no valid extent_size" },
		{ NULL, "extent_size = 128", "extent_size = 0", NULL, "has no valid extent_size" },
		{ NULL, "extent_size = 128", "extent_size = 18014398509481985", NULL, "no valid extent_size" },
		{ NULL, "vg {", "\"a vg\" {", NULL, "a volume group with a name that is invalid" },
		{ NULL, "pv1 {", "\"p/1\" {", NULL, "a physical volume with a name that is invalid" },
		{ NULL, "snap {", "\"\" {", NULL, "a logical volume with a name that is invalid" },
		{ NULL, "snap {", LONG_NAME " {", NULL, "a logical volume with a name that is invalid" },
		{ "pv1", "id = \"qqqqqq", "id = \"qqqqq", NULL, "physical volume 'pv1' has no valid id" },
		{ "pv1", "id = \"qqqqqq", "id = \"qqqqqqq", NULL, "physical volume 'pv1' has no valid id" },
		{ "pv1", "id = \"qqqqqq", "id = \"qqqqq\x7f", NULL, "physical volume 'pv1' has no valid id" },
		{ "pv1", "id = \"qqqqqq", "id = \"qqqqq ", NULL, "physical volume 'pv1' has no valid id" },
		{ "pv1", "pe_start", "x", NULL, "pe_start or pe_count" },
		{ "pv1", "pe_count", "x", NULL, "pe_start or pe_count" },
		{ "pv1", "pe_start = 2048", "pe_start = 99007199254740992", NULL, "pe_start or pe_count" },
		{ "pv1", "pe_count = 900", "pe_count = 9223372036854775807", NULL, "pe_start or pe_count" },
		{ "pv1", "pe_count = 900", "pe_count = 199007199254740", NULL, "pe_start or pe_count" },
	};

	each_fault(changes, ARRAY_SIZE(changes));
}

static void segments(void)
{
	static const struct change changes[] = {
		{ "meta {", "segment_count = 1", "", "meta", "it has no segments" },
		{ "meta {", "segment_count = 1", "segment_count = 0", "meta", "it has no segments" },
		{ "meta {", "segment_count = 1", "segment_count = 9", "meta", "it has no segments" },
		{ "ext {", "segment2 {", "segment3 {", "ext", "a segment is missing" },
		{ "ext {", "start_extent = 5", "start_extent = 6", "ext", "leave a gap or overlap" },
		{ "ext {", "start_extent = 5", "", "ext", "no start_extent or extent_count" },
		{ "ext {", "extent_count = 6", "", "ext", "no start_extent or extent_count" },
		{ "ext {", "extent_count = 6", "extent_count = 0", "ext", "no start_extent or extent_count" },
		{ "ext {", "extent_count = 6", "extent_count = 9223372036854775807", "ext", "larger than any device" },
		{ "ext {", "type = \"zero\"", "", "ext", "? cannot be followed" },
		{ "ext {", "extent_count = 6", "extent_count = 281474976710656", "ext", "larger than any device" },
		{ "ext {", "segment_count = 2", "segment_count = 4\nsegment3 {\nstart_extent = 11\nextent_count = 9223372036854775807\n"
		  "type = \"zero\" }\nsegment4 {\nstart_extent = 11\nextent_count = 9223372036854775807\ntype = \"zero\" }",
		  "ext", "larger than any device" },
		{ "ext {", "stripes = [\"pv0\", 200]", "stripes = []", "ext", "no stripes or legs" },
		{ "ext {", "type = \"linear\"", "", "ext", "? cannot be followed" },
		{ "meta {", "stripes = ", "x = ", "meta", "no stripes or legs" },
		{ "meta {", "stripes = [\"pv0\", 0]", "stripes = []", "meta", "no stripes or legs" },
		{ "meta {", "[\"pv0\", 0]", "[0, \"pv0\"]", "meta", "other than names and numbers" },
		{ "meta {", "[\"pv0\", 0]", "[\"pv0\"]", "meta", "other than names and numbers" },
		{ "meta {", "[\"pv0\", 0]", "[\"pv0\", \"pv1\"]", "meta", "other than names and numbers" },
		{ "meta {", "[\"pv0\", 0]", "[\"pv0\", -1]", "meta", "other than names and numbers" },
		{ "meta {", "[\"pv0\", 0]", "[\"pv0\", 897]", "meta", "beyond the end of pv0" },
		{ "meta {", "[\"pv0\", 0]", "[\"i0\", 6]", "meta", "beyond the end of i0" },
		{ "meta {", "[\"pv0\", 0]", "[\"odd\", 6]", "meta", "beyond the end of odd" }, /* not only that odd is */
		{ "meta {", "[\"pv0\", 0]", "[\"none\", 0]", "meta", "neither a PV nor an LV 'none'" },
		{ "meta {", "[\"pv0\", 0]", "[\"pool\", 0]", "meta", "stacked on itself" },
		{ "data {", "stripe_count = 2", "stripe_count = 3", "data", "not the number of stripes" },
		{ "data {", "stripe_size = 64", "", "data", "does not fit the stripes" },
		{ "data {", "stripe_size = 64", "stripe_size = 0", "data", "does not fit the stripes" },
		{ "data {", "stripe_size = 64", "stripe_size = 4294967296", "data", "does not fit the stripes" },
		{ "data {", "stripe_size = 64", "stripe_size = 96", "data", "does not fit the stripes" },
		{ "data {", "extent_count = 100", "extent_count = 99", "data", "does not fit the stripes" },
		{ "data {", "extent_count = 100", "extent_count = 9223372036854775806", "data", "larger than any" },
		{ "legs {", "[\"m0\", \"i0\", \"m1\", \"i1\"]", "[\"m0\"]", "legs", "a segment has no legs" },
		{ "legs {", "\"m1\", \"i1\"", "\"m1\", 1", "legs", "but no leg 1" },
		{ "mir {", "mirrors", "legs", "mir", "no stripes or legs" },
		{ "odd {", "raid5", "raid5", "odd", "computed from several devices" },
		{ "odd {", "raid5", "strange", "odd", "strange cannot be followed (activate the VG with LVM)" },
		{ "cow {", "linear", "linear", "cow", "the COW store of a non-thin snapshot of LV ext" },
		{ "old {", "origin", "x", "cow", "the COW store of a non-thin snapshot of LV old" },
	};

	each_fault(changes, ARRAY_SIZE(changes));
}

/* As many stripes as no kernel takes. */
static void too_many_stripes(void)
{
	char text[6000];
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct lvm_vg vg;

	for (int nr = 128; nr <= 129; nr++) {
		sprintf(text, "vg { extent_size = 128 physical_volumes { pv0 { id = \"" ID("p") "\" pe_start = 0 pe_count = 900 } } "
			"logical_volumes { s { segment_count = 1 segment1 { start_extent = 0 extent_count = %d type = \"striped\" "
			"stripe_count = %d stripe_size = 64 stripes = [", nr, nr);
		for (int i = 0; i < nr; i++)
			sprintf(text + strlen(text), "\"pv0\", %d,", i);
		strcat(text, "] } } } }");
		check(!build_group(text, &arena, &vg, &err));
		check(!vg.lv[0].fault == (nr == 128));
		check(nr == 128 || strstr(vg.lv[0].fault, "does not fit the stripes"));
	}
	arena_fini(&arena);
}

static void pools(void)
{
	static const struct change changes[] = {
		{ "pool {", "transaction_id = 3", "", "pool", "no transaction_id" },
		{ "pool {", "chunk_size = 256", "", "pool", "chunk_size is missing or invalid" },
		{ "pool {", "chunk_size = 256", "chunk_size = 100", "pool", "chunk_size is missing or invalid" },
		{ "pool {", "metadata = \"meta\"", "", "pool", "metadata or data LV does not exist" },
		{ "pool {", "pool = \"data\"", "pool = \"none\"", "pool", "metadata or data LV does not exist" },
		{ "thin {", "device_id = 7", "", "thin", "no valid device_id" },
		{ "thin {", "device_id = 7", "device_id = 16777216", "thin", "no valid device_id" },
		{ "thin {", "thin_pool = \"pool\"", "", "thin", "its thin pool does not exist" },
		{ "thin {", "thin_pool = \"pool\"", "thin_pool = \"data\"", "thin", "LV data is not a thin pool" },
		{ "thin {", "external_origin = \"ext\"", "external_origin = \"none\"", "thin",
		  "its external origin does not exist" },
		{ "thin {", "segment_count = 1", "segment2 { start_extent = 50 extent_count = 1 type = \"thin\" thin_pool = \"pool\" device_id = 9 }\nsegment_count = 2",
		  "thin", "more than one segment" },
		{ "pool {", "segment_count = 1", "segment2 { start_extent = 100 extent_count = 1 type = \"zero\" }\nsegment_count = 2",
		  "pool", "more than one segment" },
		{ "pool {", "transaction_id = 3", "", "thin", "it is on LV pool: the pool has no transaction_id" },
	};

	each_fault(changes, ARRAY_SIZE(changes));
}

/* What is no section where one is expected is passed over. */
static void words_beside(void)
{
	static const struct {
		const char *from, *to;
	} more[] = {
		{ "physical_volumes {", "physical_volumes {\nword = 1" },
		{ "logical_volumes {", "logical_volumes {\nword = 1" },
		{ "id = \"gggggg-gggg", "id = \"gggggggggg" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct arena arena = { 0 };
		struct err err = { 0 };
		struct lvm_vg vg;
		char *text = changed(whole_text, NULL, more[i].from, more[i].to);

		check(!build_group(text, &arena, &vg, &err));
		check(vg.nr_members == 2 && vg.nr_lvs == 13 && strlen(vg.id) == LVM_ID_LEN);
		check(!lvm_find_lv(&vg, "thin")->fault);
		arena_fini(&arena);
		free(text);
	}
}

/* A person may have cut a text down to what tells of the pools. */
static void shortened(void)
{
	static const char text[] = "note = 1 other { } vg { extent_size = 128 logical_volumes { "
				   "t { segment_count = 1 segment1 { start_extent = 0 extent_count = 1 type = \"zero\" } } } }";
	static const char bare[] = "vg { id = \"" ID("g") "\" seqno = 1 extent_size = 8 }";
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct lvm_vg vg;

	check(!build_group(text, &arena, &vg, &err));
	check_str(vg.name, "vg");
	check(vg.nr_lvs == 1 && !vg.nr_members && !vg.lv[0].why && !*vg.id);
	check(!build_group(bare, &arena, &vg, &err));
	check(!vg.nr_lvs && !vg.nr_members && strlen(vg.id) == LVM_ID_LEN);
	check(build_group("a = 1 b { seqno = 1 }", &arena, &vg, &err) == -EINVAL);
	check(strstr(err.text, "describes no volume group"));
	arena_fini(&arena);
}

static int build_and_forget(struct err *err)
{
	struct arena arena = { 0 };
	struct lvm_vg vg;
	int r = build_group(whole_text, &arena, &vg, err);

	check(r || (vg.nr_lvs == 13 && vg.nr_members == 2 && lvm_find_lv(&vg, "snap")->seg[0].dev_id == 8));
	arena_fini(&arena);
	return r;
}

static void memory(void)
{
	struct err err;

	check_each_request_failing(build_and_forget(&err), &err);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a group or physical volume that cannot be is refused with the reason", groups },
		{ "a volume whose segments cannot be has its fault, and the others stay", segments },
		{ "a volume of more stripes than a kernel takes has its fault", too_many_stripes },
		{ "a pool or thin volume that lacks something has its fault", pools },
		{ "what is no section among volumes is passed over", words_beside },
		{ "a shortened text still tells of its volumes", shortened },
		{ "a group for which there is no memory is refused, not shortened", memory },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
