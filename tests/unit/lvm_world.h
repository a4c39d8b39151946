/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A text of LVM in which a test changes words, and the group that follows from it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "volume/lvm/conf.h"
#include "volume/lvm/vg.h"

#define ID(letter) \
	letter letter letter letter letter letter "-" letter letter letter letter "-" letter letter letter letter \
		"-" letter letter letter letter "-" letter letter letter letter "-" letter letter letter letter \
		"-" letter letter letter letter letter letter

#define LV(name, count) name " {\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nsegment_count = " count "\n"
#define SEG(nr, start, len, type) \
	"segment" nr " {\nstart_extent = " start "\nextent_count = " len "\ntype = \"" type "\"\n"

static const char whole_text[] =
	"vg {\nid = \"" ID("g") "\"\nseqno = 5\nstatus = [\"RESIZEABLE\"]\nextent_size = 128\n"
	"physical_volumes {\n"
	"pv0 {\nid = \"" ID("p") "\"\ndevice = \"/dev/a\"\npe_start = 2048\npe_count = 900\n}\n"
	"pv1 {\nid = \"" ID("q") "\"\npe_start = 2048\npe_count = 900\n}\n}\n"
	"logical_volumes {\n"
	LV("meta", "1") SEG("1", "0", "4", "striped") "stripe_count = 1\nstripes = [\"pv0\", 0]\n}\n}\n"
	LV("data", "1") SEG("1", "0", "100", "striped")
		"stripe_count = 2\nstripe_size = 64\nstripes = [\"pv0\", 4, \"pv1\", 0]\n}\n}\n"
	LV("pool", "1") SEG("1", "0", "100", "thin-pool")
		"metadata = \"meta\"\npool = \"data\"\ntransaction_id = 3\nchunk_size = 256\n"
		"message1 {\ncreate = \"thin\"\n}\n}\n}\n"
	LV("thin", "1") SEG("1", "0", "50", "thin")
		"thin_pool = \"pool\"\ntransaction_id = 2\ndevice_id = 7\nexternal_origin = \"ext\"\n}\n}\n"
	LV("snap", "1") SEG("1", "0", "50", "thin")
		"thin_pool = \"pool\"\ntransaction_id = 1\ndevice_id = 8\norigin = \"gone\"\n}\n}\n"
	LV("ext", "2") SEG("1", "0", "5", "linear") "stripes = [\"pv0\", 200]\n}\n"
		SEG("2", "5", "6", "zero") "}\n}\n"
	LV("legs", "1") SEG("1", "0", "9", "raid1") "raids = [\"m0\", \"i0\", \"m1\", \"i1\"]\n}\n}\n"
	LV("i0", "1") SEG("1", "0", "9", "linear") "stripes = [\"pv0\", 300]\n}\n}\n"
	LV("i1", "1") SEG("1", "0", "9", "linear") "stripes = [\"pv1\", 300]\n}\n}\n"
	LV("mir", "1") SEG("1", "0", "9", "mirror") "mirrors = [\"pv0\", 310, \"pv1\", 310]\n}\n}\n"
	LV("odd", "1") SEG("1", "0", "9", "raid5") "}\n}\n"
	LV("cow", "1") SEG("1", "0", "9", "linear") "stripes = [\"pv0\", 320]\n}\n}\n"
	LV("old", "1") SEG("1", "0", "9", "snapshot") "cow_store = \"cow\"\norigin = \"ext\"\n}\n}\n"
	"}\n}\ncontents = \"Text Format Volume Group\"\ndescription = \"by\tme\"\ncreation_time = 1700000000\n";

/* @text in which the first @from behind @at, unless that is NULL, is @to; the caller frees it. */
static char *changed(const char *text, const char *at, const char *from, const char *to)
{
	const char *begin = at ? strstr(text, at) : text, *p = begin ? strstr(begin, from) : NULL;
	size_t len = strlen(text) + strlen(to) + 1;
	char *out = malloc(len);

	check(p && out);
	snprintf(out, len, "%.*s%s%s", (int)(p - text), text, to, p + strlen(from));
	return out;
}

static inline int build_group(const char *text, struct arena *arena, struct lvm_vg *vg, struct err *err)
{
	struct config_node *root;
	int r = config_parse(text, strlen(text), arena, &root, err);

	if (!r)
		r = lvm_vg_build(root, arena, vg, err);
	return r ? r : lvm_judge(vg, 1, arena, err);
}
