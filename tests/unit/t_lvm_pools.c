/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A pool's metadata against the text of its group, and pools in LVM's backups. */
#include <unistd.h>

#include "folder.h"

#include "failing.h"
#include "lvm_world.h"
#include "volume/lvm/backup.h"
#include "volume/lvm/check.h"

static const struct device_info devices[] = {
	{ .dev_id = 7, .transaction = 2, .mapped_blocks = 3 },
	{ .dev_id = 8, .transaction = 1, .mapped_blocks = 4 },
};

/* The pool of whole_text as its metadata should be. */
static const struct lvm_pool_seen sound = {
	.transaction = 3, .data_block_size = 256, .nr_data_blocks = 50, .nr_metadata_blocks = 64,
	.device = devices, .nr_devices = 2,
};

struct state {
	struct lvm l;
	struct lvm_vg vg;
	struct lvm_text text[2];
	struct err err;
};

/* The group of @text, and @older, which may be NULL, as another text of the disks. */
static void make_state(struct state *s, const char *text, const char *older)
{
	const char *const both[] = { text, older };

	*s = (struct state){ 0 };
	check(!build_group(text, &s->l.arena, &s->vg, &s->err));
	s->l.vg = &s->vg;
	s->l.nr_vgs = 1;
	s->l.text = s->text;
	for (size_t i = 0; i < 2 && both[i]; i++) {
		struct config_node *root;
		struct lvm_text *t = &s->text[s->l.nr_texts++];

		check(!config_parse(both[i], strlen(both[i]), &s->l.arena, &root, &s->err));
		*t = (struct lvm_text){ .root = root, .vg_name = "vg", .seqno = 5 - i, .taken = !i };
		memcpy(t->vg_id, s->vg.id, sizeof(t->vg_id));
	}
}

/* All findings of the pool, as text. */
static void told(const struct state *s, const struct lvm_pool_seen *seen, struct outbuf *out)
{
	struct lvm_findings f = { 0 };

	outbuf_init(out);
	lvm_check_pool(&s->l, &s->vg, lvm_find_lv(&s->vg, "pool"), seen, &f);
	check(!f.no_memory);
	lvm_findings_text(&f, out);
	outbuf_add(out, "", 1);
	lvm_findings_fini(&f);
}

static void says(const char *text, const char *older, const struct lvm_pool_seen *seen, const char *words)
{
	struct state s;
	struct outbuf out;

	make_state(&s, text, older);
	told(&s, seen, &out);
	if (*words ? !strstr(out.data, words) : out.len > 1)
		printf("# no '%s' in: %s\n", words, out.data);
	check(*words ? strstr(out.data, words) != NULL : out.len == 1);
	outbuf_fini(&out);
	arena_fini(&s.l.arena);
}

static void sound_pool(void)
{
	char *broken = changed(whole_text, NULL, "transaction_id = 3", "");
	struct lvm_pool_seen seen = sound;

	says(whole_text, NULL, &seen, "");
	seen.needs_check = true;
	says(whole_text, NULL, &seen, "warning: vg/pool: the pool's needs_check flag is set");
	says(whole_text, NULL, &seen, "\n    thin_check --pool vg/pool --clear-needs-check-flag PV\n");
	seen.error = "it is torn";
	says(whole_text, NULL, &seen, "fault: vg/pool: the pool's metadata cannot be read, so it is not compared: it is torn");
	says(broken, NULL, &seen, "");
	free(broken);
	/* where the group tells already why it cannot be read, that is a note without advice */
	broken = changed(whole_text, NULL, "stripe_count = 2", "stripe_count = 3");
	says(broken, NULL, &seen, "note: vg/pool: the pool's metadata cannot be read");
	free(broken);
}

/* Only a pool is compared. */
static void other_volumes(void)
{
	struct lvm_findings f = { 0 };
	struct state s;

	make_state(&s, whole_text, NULL);
	lvm_check_pool(&s.l, &s.vg, lvm_find_lv(&s.vg, "meta"), &(struct lvm_pool_seen) { .error = "it is torn" }, &f);
	check_eq(f.nr, 0);
	lvm_findings_fini(&f);
	arena_fini(&s.l.arena);
}

static void transactions(void)
{
	char *older = changed(whole_text, NULL, "transaction_id = 3", "transaction_id = 9");
	struct lvm_pool_seen seen = sound;

	seen.transaction = 2;
	says(whole_text, older, &seen, "the pool at 2: LVM was interrupted before it sent the pool its last message, which is still pending;");
	seen.transaction = 1;
	says(whole_text, older, &seen, "the text is at transaction 3, the pool only at 1");
	says(whole_text, older, &seen, "vgcfgrestore vg with a text of transaction 1");
	seen.transaction = 9;
	says(whole_text, older, &seen, "the pool is at transaction 9, the text at 3: the text is older");
	says(whole_text, older, &seen, "'thin_lvm --seqno 4 PV...' reads the group with the text of that transaction");
	says(whole_text, NULL, &seen, "vgcfgrestore vg with a text of transaction 9 (/etc/lvm/archive)");
	says(whole_text, "vg { }", &seen, "vgcfgrestore vg with a text of transaction 9 (/etc/lvm/archive)");
	free(older);
}

/* A text of another group, or one without what is looked for, tells nothing of this pool. */
static void other_texts(void)
{
	static const struct device_info extra[] = { { .dev_id = 9, .transaction = 1, .mapped_blocks = 6 } };
	char *older = changed(whole_text, NULL, "transaction_id = 3", "transaction_id = 9");
	char *renamed = changed(whole_text, "snap {", "device_id = 8", "device_id = 9");
	char *nothing = changed(renamed, "thin {", "device_id = 7", "");
	struct lvm_pool_seen seen = sound;
	struct outbuf out;
	struct state s;

	seen.transaction = 9;
	make_state(&s, whole_text, older);
	s.text[1].vg_id[0] = 'x';
	told(&s, &seen, &out);
	check(strstr(out.data, "/etc/lvm/archive") && !strstr(out.data, "--seqno"));
	outbuf_fini(&out);
	arena_fini(&s.l.arena);
	seen = sound;
	seen.device = extra;
	seen.nr_devices = 1;
	says(whole_text, nothing, &seen, "the text of seqno 4 calls it snap");
	make_state(&s, whole_text, renamed);
	s.text[1].vg_id[0] = 'x';
	told(&s, &seen, &out);
	check(strstr(out.data, "its length is not recorded anywhere"));
	outbuf_fini(&out);
	arena_fini(&s.l.arena);
	/* a volume whose text is broken is told as that, not as one without a device */
	says(nothing, NULL, &seen, "");
	free(older);
	free(renamed);
	free(nothing);
}

static void sizes(void)
{
	char *small = changed(whole_text, "data {", "extent_count = 100", "extent_count = 98");
	struct lvm_pool_seen seen = sound;

	says(small, NULL, &seen, "fault: vg/data: the data LV is smaller than its pool pool");
	seen.nr_data_blocks = 51;
	says(whole_text, NULL, &seen, "has 51 data blocks, its volume has room for 50: the kernel refuses it");
	says(whole_text, NULL, &seen, "lvextend the pool to at least 13056 sectors");
	seen.nr_data_blocks = 49;
	says(whole_text, NULL, &seen, "room for 50 data blocks, the pool uses 49: it grows");
	seen = sound;
	seen.nr_metadata_blocks = 65;
	says(whole_text, NULL, &seen, "fault: vg/meta: the metadata has 65 blocks, its volume has room for 64");
	seen.data_block_size = 128;
	says(whole_text, NULL, &seen, "the text says chunks of 256 sectors, the pool has blocks of 128");
	free(small);
}

static void names(void)
{
	static const struct device_info other[] = {
		{ .dev_id = 7, .transaction = 2 },
		{ .dev_id = 9, .transaction = 1, .mapped_blocks = 6 },
	};
	char *older = changed(whole_text, "snap {", "device_id = 8", "device_id = 9");
	char *renamed = changed(older, NULL, "snap {", "was {");
	char *twice = changed(whole_text, NULL, "device_id = 8", "device_id = 7");
	struct lvm_pool_seen seen = sound;

	seen.device = other;
	says(whole_text, renamed, &seen, "no LV has device 9 (6 blocks mapped), created in transaction 1: its LV was removed");
	says(whole_text, renamed, &seen, "the text of seqno 4 calls it was");
	says(whole_text, renamed, &seen, "thin_materialize --seqno 4 PV was OUTPUT reads it; thin_message --force --pool vg/pool PV 'delete 9'");
	says(whole_text, NULL, &seen, "its length is not recorded anywhere");
	says(whole_text, NULL, &seen, "thin_materialize --pool vg/pool --size SIZE PV 9 OUTPUT reads it");
	says(whole_text, "vg { }", &seen, "its length is not recorded anywhere");
	says(whole_text, NULL, &seen, "the pool has no device 8, which was created in transaction 1 of 3: it was deleted");
	seen.transaction = 1;
	says(whole_text, NULL, &seen, "the pool has no device 8: transaction 1 was to create it");
	seen.nr_devices = 0;
	says(whole_text, NULL, &seen, "the pool has no device 7: transaction 2 was to create it");
	seen = sound;
	says(twice, NULL, &seen, "two LVs have device 7: writes to one change the other");
	free(older);
	free(renamed);
	free(twice);
}

static int compare(const struct state *s, const struct lvm_pool_seen *seen, struct err *err)
{
	struct lvm_findings f = { 0 };
	int r;

	lvm_check_pool(&s->l, &s->vg, lvm_find_lv(&s->vg, "pool"), seen, &f);
	r = f.no_memory ? err_nomem(err, "the comparison") : 0;
	check(r || f.nr == 4);
	lvm_findings_fini(&f);
	return r;
}

static void memory(void)
{
	struct lvm_pool_seen seen = sound;
	struct state s;
	struct err err;

	make_state(&s, whole_text, NULL);
	seen.nr_devices = 1;
	seen.transaction = 9;
	seen.needs_check = true;
	seen.nr_metadata_blocks = 1000;
	check_each_request_failing(compare(&s, &seen, &err), &err);
	arena_fini(&s.l.arena);
}

/* --- backups --- */

static void backup_says(const char *text, const char *name, int code, const char *words)
{
	struct lvm_backup_pool p = { 0 };
	struct err err = { 0 };
	int r;

	put("backup", text, strlen(text));
	r = lvm_backup_pool(file_name("backup"), name, &p, &err);
	if (r != code || (r && !strstr(err.text, words)))
		printf("# %d: %s\n", r, err.text);
	check(r == code && (!r || strstr(err.text, words)));
	check(r || (p.transaction == 3 && p.chunk_size == 256 && p.data_sectors == 12800));
	check(r || (p.nr_ids == 2 && p.ids[0] == 7 && p.ids[1] == 8));
	free(p.ids);
}

static void backups(void)
{
	static const char second[] = "logical_volumes {\np2 { segment_count = 1 segment1 { start_extent = 0 extent_count = 1 "
				     "type = \"thin-pool\" metadata = \"meta\" pool = \"data\" transaction_id = 1 chunk_size = 128 } }\n";
	char *two = changed(whole_text, NULL, "logical_volumes {\n", second);

	backup_says(whole_text, NULL, 0, "");
	backup_says(whole_text, "vg/pool", 0, "");
	backup_says(whole_text, "pool", 0, "");
	backup_says(whole_text, "vgpool", -ENODATA, "has no thin pool 'vgpool'; it has: pool");
	backup_says(whole_text, "vx/pool", -ENODATA, "has no thin pool 'vx/pool'; it has: pool");
	backup_says(two, "pool", 0, "");
	backup_says(two, NULL, -EINVAL, "has several thin pools: p2 pool; name one with --pool NAME");
	backup_says("vg { id = \"" ID("g") "\" seqno = 1 extent_size = 8 }", NULL, -ENODATA, "has no thin pool");
	backup_says("a { }", NULL, -EINVAL, "is not a backup of a volume group as vgcfgbackup writes it");
	backup_says("a {", NULL, -EINVAL, "is not a backup of a volume group as vgcfgbackup writes it: line 1");
	free(two);
}

/* What cannot be a size is not told; of very many pools some are named; a file of gigabytes is not read. */
static void odd_backups(void)
{
	char *large = changed(whole_text, "pool {", "extent_count = 100", "extent_count = 9223372036854775807");
	char *text = malloc(20000);
	struct lvm_backup_pool p = { 0 };
	struct err err = { 0 };
	size_t len;

	put("backup", large, strlen(large));
	check_eq(lvm_backup_pool(file_name("backup"), NULL, &p, &err), 0);
	check(p.transaction == 3 && !p.data_sectors);
	free(p.ids);
	len = (size_t)sprintf(text, "vg { extent_size = 128 logical_volumes {\n");
	for (int i = 0; i < 60; i++)
		len += (size_t)sprintf(text + len, "pool_of_some_length_%02d { segment_count = 1 segment1 { start_extent = 0 extent_count = 1 "
				       "type = \"thin-pool\" transaction_id = 1 chunk_size = 128 } }\n", i);
	sprintf(text + len, "} }");
	backup_says(text, NULL, -EINVAL, "has several thin pools: pool_of_some_length_00 pool_of_some_length_01 ");
	put("backup", text, 10);
	check(!truncate(file_name("backup"), (off_t)LVM_MAX_TEXT + 1));
	check(lvm_backup_pool(file_name("backup"), NULL, &p, &err) == -EINVAL);
	check(strstr(err.text, "is too large to be a backup of a volume group"));
	free(large);
	free(text);
}

static int read_backup(const char *path, struct err *err)
{
	struct lvm_backup_pool p = { 0 };
	int r = lvm_backup_pool(path, NULL, &p, err);

	check(r || p.data_sectors == 12800);
	free(p.ids);
	return r;
}

static void memory_of_backups(void)
{
	struct err err;

	put("backup", whole_text, strlen(whole_text));
	check_each_request_failing(read_backup(file_name("backup"), &err), &err);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a pool that fits its text is not told, its flag and damage are", sound_pool },
		{ "a text and a pool of different transactions are told with the way out", transactions },
		{ "sizes that differ between text and pool are told", sizes },
		{ "devices without a volume, and volumes without a device, are told", names },
		{ "a volume that is no pool is not compared", other_volumes },
		{ "a comparison that has no memory says so", memory },
		{ "a backup gives the pool that is named, or the only one", backups },
		{ "texts of another group, and broken ones, tell nothing of a pool", other_texts },
		{ "a backup may be odd, but not of any size", odd_backups },
		{ "a backup for which there is no memory is not half read", memory_of_backups },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
