/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A pool's metadata against the text of its group.
 *
 * Both count transactions: LVM writes its text with the new number, sends the message, then sets
 * the pool's number.  So a text one ahead is what an interruption leaves, and LVM goes on from
 * there; anything else is an older text or older metadata.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "volume/lvm/check.h"

typedef unsigned long long ull;

struct pool_check {
	const struct lvm *l;
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;
	const struct lvm_seg *seg;
	const struct lvm_pool_seen *seen;
	struct lvm_findings *f;
	char mend[500];
};

__attribute__((format(printf, 2, 3))) static const char *mend(struct pool_check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->mend, sizeof(c->mend), fmt, ap);
	va_end(ap);
	return c->mend;
}

/* The section of LV @name in a text. */
static const struct config_node *lv_in(const struct lvm_text *t, const char *name)
{
	return config_section(config_section(lvm_vg_section(t->root), "logical_volumes"), name);
}

/* A text on the disks that has this pool with that transaction: the group as it belongs to the pool. */
static const struct lvm_text *text_of_transaction(const struct pool_check *c)
{
	for (size_t i = 0; i < c->l->nr_texts; i++) {
		const struct lvm_text *t = &c->l->text[i];
		const struct config_node *seg = config_section(lv_in(t, c->lv->name), "segment1");
		uint64_t n;

		if (!t->taken && !strcmp(t->vg_id, c->vg->id) && config_u64(seg, "transaction_id", &n) &&
		    n == c->seen->transaction)
			return t;
	}
	return NULL;
}

static void check_transaction(struct pool_check *c)
{
	const uint64_t text = c->seg->transaction, pool = c->seen->transaction;
	const struct lvm_text *t;

	if (text == pool)
		return;
	if (text == pool + 1) {
		lvm_found(c->f, LVM_WARNING, "transaction-behind", c->vg, c->lv->name,
			  mend(c, "vgchange -ay %s", c->vg->name),
			  "the text is at transaction %llu, the pool at %llu: LVM was interrupted "
			  "before it sent the pool its last message%s; LVM activates the pool and "
			  "sends it then",
			  (ull)text, (ull)pool, c->seg->nr_messages ? ", which is still pending" : "");
		return;
	}
	t = text_of_transaction(c);
	if (t)
		mend(c, "'thin_lvm --seqno %llu PV...' reads the group with the text of that "
			"transaction, which is still on the disks; or thin_message --force --pool "
			"%s/%s PV 'set_transaction_id %llu %llu'",
		     (ull)t->seqno, c->vg->name, c->lv->name, (ull)pool, (ull)text);
	else
		mend(c, "vgcfgrestore %s with a text of transaction %llu (/etc/lvm/archive); or thin_message --force --pool "
			"%s/%s PV 'set_transaction_id %llu %llu'",
		     c->vg->name, (ull)pool, c->vg->name, c->lv->name, (ull)pool, (ull)text);
	if (pool > text)
		lvm_found(c->f, LVM_FAULT, "transaction-ahead", c->vg, c->lv->name, c->mend,
			  "the pool is at transaction %llu, the text at %llu: the text is older than the pool, and LVM "
			  "refuses to activate it",
			  (ull)pool, (ull)text);
	else
		lvm_found(c->f, LVM_FAULT, "transaction-lost", c->vg, c->lv->name, c->mend,
			  "the text is at transaction %llu, the pool only at %llu: the pool's "
			  "metadata is older than the text, and LVM refuses to activate it",
			  (ull)text, (ull)pool);
}

static void check_sizes(struct pool_check *c)
{
	const struct lvm_pool_seen *s = c->seen;
	const uint64_t extent = c->vg->extent_size;
	uint64_t data = c->lv->size * extent, metadata = c->seg->metadata->size * extent;
	const char *name = c->lv->name;

	if (s->data_block_size != c->seg->chunk_size) {
		lvm_found(c->f, LVM_FAULT, "chunk-size", c->vg, name, "",
			  "the text says chunks of %llu sectors, the pool has blocks of %u: this "
			  "is the metadata of another pool, and wrong data would be read",
			  (ull)c->seg->chunk_size, s->data_block_size);
		return;
	}
	if (s->nr_data_blocks > data / s->data_block_size)
		lvm_found(c->f, LVM_FAULT, "data-small", c->vg, name,
			  mend(c, "lvextend the pool to at least %llu sectors", (ull)(s->nr_data_blocks * s->data_block_size)),
			  "the pool has %llu data blocks, its volume has room for %llu: the kernel refuses it",
			  (ull)s->nr_data_blocks, (ull)(data / s->data_block_size));
	else if (s->nr_data_blocks < data / s->data_block_size)
		lvm_found(c->f, LVM_NOTE, "data-grows", c->vg, name, "",
			  "the volume has room for %llu data blocks, the pool uses %llu: it grows when it is activated",
			  (ull)(data / s->data_block_size), (ull)s->nr_data_blocks);
	if (c->seg->data->size < c->lv->size)
		lvm_found(c->f, LVM_FAULT, "data-lv-small", c->vg, c->seg->data->name, "",
			  "the data LV is smaller than its pool %s", name);
	if (s->nr_metadata_blocks > metadata / 8)
		lvm_found(c->f, LVM_FAULT, "metadata-small", c->vg, c->seg->metadata->name, "",
			  "the metadata has %llu blocks, its volume has room for %llu: the kernel "
			  "refuses it",
			  (ull)s->nr_metadata_blocks, (ull)(metadata / 8));
}

static const struct device_info *find_device(const struct lvm_pool_seen *s, uint32_t id)
{
	size_t at = search_first(i, s->nr_devices, s->device[i].dev_id >= id);

	return at < s->nr_devices && s->device[at].dev_id == id ? &s->device[at] : NULL;
}

/* An LV whose device the pool does not have. */
static void name_without_device(struct pool_check *c, const struct lvm_lv *lv, const struct lvm_seg *s)
{
	/* the text counts from the transaction in which the device was to be made */
	const bool never = s->transaction >= c->seen->transaction;

	if (never)
		lvm_found(c->f, LVM_FAULT, "device-never-made", c->vg, lv->name,
			  mend(c, "lvremove %s/%s, then create it again", c->vg->name, lv->name),
			  "the pool has no device %u: transaction %llu was to create it, but the "
			  "pool is at %llu and never got the message; the volume has never held "
			  "data",
			  s->dev_id, (ull)s->transaction, (ull)c->seen->transaction);
	else
		lvm_found(c->f, LVM_FAULT, "device-deleted", c->vg, lv->name,
			  mend(c, "lvremove %s/%s; 'thin_repair --list-roots --pool %s/%s -i PV' "
				  "may find an older tree of it",
			       c->vg->name, lv->name, c->vg->name, c->lv->name),
			  "the pool has no device %u, which was created in transaction %llu of %llu: it was deleted after "
			  "this text was written",
			  s->dev_id, (ull)s->transaction, (ull)c->seen->transaction);
}

/* What an LV with that device was called in another text of the group; NULL: in none. */
static const char *old_name(const struct pool_check *c, uint32_t id, const struct lvm_text **in)
{
	for (size_t i = 0; i < c->l->nr_texts; i++) {
		const struct config_node *lvs = config_section(lvm_vg_section(c->l->text[i].root), "logical_volumes");

		if (strcmp(c->l->text[i].vg_id, c->vg->id))
			continue;
		for (const struct config_node *n = lvs ? lvs->first : NULL; n; n = n->next) {
			const struct config_node *seg = config_section(n, "segment1");
			const char *pool = config_string(seg, "thin_pool");
			uint64_t dev;

			if (pool && !strcmp(pool, c->lv->name) && config_u64(seg, "device_id", &dev) && dev == id) {
				*in = &c->l->text[i];
				return n->name;
			}
		}
	}
	return NULL;
}

/* A device that no LV names. */
static void device_without_name(struct pool_check *c, const struct device_info *d)
{
	const struct lvm_text *in = NULL;
	const char *was = old_name(c, d->dev_id, &in);
	char known[300] = "its length is not recorded anywhere";

	if (was)
		snprintf(known, sizeof(known), "the text of seqno %llu calls it %.128s", (ull)in->seqno, was);
	if (was)
		mend(c, "thin_materialize --seqno %llu PV %s OUTPUT reads it", (ull)in->seqno, was);
	else
		mend(c, "thin_materialize --pool %s/%s --size SIZE PV %u OUTPUT reads it", c->vg->name, c->lv->name,
		     d->dev_id);
	snprintf(c->mend + strlen(c->mend), sizeof(c->mend) - strlen(c->mend),
		 "; thin_message --force --pool %s/%s PV 'delete %u' frees its space", c->vg->name, c->lv->name,
		 d->dev_id);
	if (d->transaction >= c->seg->transaction)
		lvm_found(c->f, LVM_WARNING, "device-newer", c->vg, c->lv->name, c->mend,
			  "no LV has device %u (%llu blocks mapped): it was created in "
			  "transaction %llu, after this text (transaction %llu) was written; %s",
			  d->dev_id, (ull)d->mapped_blocks, (ull)d->transaction, (ull)c->seg->transaction, known);
	else
		lvm_found(c->f, LVM_WARNING, "device-unnamed", c->vg, c->lv->name, c->mend,
			  "no LV has device %u (%llu blocks mapped), created in transaction %llu: "
			  "its LV was removed, but the pool did not get the message, or is older; "
			  "%s",
			  d->dev_id, (ull)d->mapped_blocks, (ull)d->transaction, known);
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void check_devices(struct pool_check *c)
{
	uint32_t *id = arena_alloc(&c->f->arena, (c->vg->nr_lvs + 1) * sizeof(*id));
	size_t nr = 0;

	if (!id) {
		c->f->no_memory = true;
		return;
	}
	for (unsigned i = 0; i < c->vg->nr_lvs; i++) {
		const struct lvm_lv *lv = &c->vg->lv[i];
		const struct lvm_seg *s = lvm_seg_of(lv, LVM_THIN);

		if (!s || s->pool != c->lv || lv->fault)
			continue;
		id[nr++] = s->dev_id;
		if (!find_device(c->seen, s->dev_id))
			name_without_device(c, lv, s);
	}
	qsort(id, nr, sizeof(*id), by_id);
	for (size_t i = 0; i + 1 < nr; i++)
		if (id[i] == id[i + 1])
			lvm_found(c->f, LVM_FAULT, "device-twice", c->vg, c->lv->name, "",
				  "two LVs have device %u: writes to one change the other", id[i]);
	for (size_t i = 0; i < c->seen->nr_devices; i++) {
		size_t at = search_first(k, nr, id[k] >= c->seen->device[i].dev_id);

		if (at == nr || id[at] != c->seen->device[i].dev_id)
			device_without_name(c, &c->seen->device[i]);
	}
}

void lvm_check_pool(const struct lvm *l, const struct lvm_vg *vg, const struct lvm_lv *pool,
		    const struct lvm_pool_seen *seen, struct lvm_findings *f)
{
	struct pool_check c = { l, vg, pool, lvm_seg_of(pool, LVM_THIN_POOL), seen, f, "" };

	if (!c.seg || pool->fault)
		return;
	if (seen->error) {
		lvm_found(f, pool->why ? LVM_NOTE : LVM_FAULT, "pool-unreadable", vg, pool->name,
			  pool->why ? "" :
				      mend(&c, "thin_repair --dry-run --pool %s/%s -i PV shows what can be saved; lvconvert "
					       "--repair %s/%s",
					   vg->name, pool->name, vg->name, pool->name),
			  "the pool's metadata cannot be read, so it is not compared: %s", seen->error);
		return;
	}
	check_transaction(&c);
	check_sizes(&c);
	check_devices(&c);
	if (seen->needs_check)
		lvm_found(f, LVM_WARNING, "needs-check", vg, pool->name,
			  mend(&c, "thin_check --pool %s/%s --clear-needs-check-flag PV", vg->name, pool->name),
			  "the pool's needs_check flag is set: the kernel keeps it read-only "
			  "until the flag is cleared");
}
