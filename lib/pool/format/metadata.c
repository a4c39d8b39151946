/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/format/metadata.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "base/vec.h"
#include "pdata/tree/cursor.h"

static int read_superblock(struct io *io, mblock_t at, struct superblock *sb, struct err *err)
{
	enum sb_fault f;
	int r = superblock_read(io, at, sb, &f, err);

	if (r)
		return err_prefix(err, r, "superblock");
	if (f == SB_OK)
		return 0;
	/* For the most frequent fault, the words that callers of other tools know. */
	if (f == SB_BAD_CSUM)
		return err_set(err, -EBADMSG, "bad checksum in superblock");
	if (f == SB_UNFINISHED)
		return err_set(err, -EBADMSG, "bad checksum in superblock: %s", sb_fault_text(f));
	return err_set(err, -EUCLEAN, "superblock %s", sb_fault_text(f));
}

static int open_held(struct io *io, const struct metadata_options *opt, struct metadata *md,
		     struct err *err)
{
	mblock_t held = md->live.held_root;
	int r;

	if (!held)
		return err_set(err, -ENODATA,
			       "no current metadata snap: the pool holds none; leave out "
			       "--metadata-snap to read the pool itself");
	if (opt->snap_block && opt->snap_block != held)
		return err_set(err, -ENODATA,
			       "metadata snapshot does not match that in superblock: asked for block "
			       "%" PRIu64 ", it is at %" PRIu64,
			       opt->snap_block, held);
	if (held >= md->nr_blocks)
		return err_set(err, -EUCLEAN,
			       "metadata snap: block %" PRIu64
			       " lies beyond the end of the metadata device (%" PRIu64 " blocks)",
			       held, md->nr_blocks);
	r = read_superblock(io, held, &md->view, err);
	if (r)
		return err_prefix(err, r, "metadata snap");
	md->snap = held;
	return 0;
}

#define NO_ROOT \
	"if the device was cut short, give it back its old size; otherwise " \
	"'thin_repair --dry-run -i POOL' looks for the root"

static int judge(const struct metadata *md, const struct metadata_options *opt, struct err *err)
{
	const struct superblock *v = &md->view;

	if (md->live.incompat_flags)
		return err_set(err, -EUCLEAN,
			       "superblock: unknown incompatible features 0x%" PRIx32
			       ": this metadata cannot be read safely, the kernel refuses it too",
			       md->live.incompat_flags);
	if (!opt->any_block_size && !data_block_size_ok(v->data_block_size))
		return err_set(err, -EUCLEAN,
			       "superblock: %" PRIu32 " sectors is not a valid data block size: "
			       "it must be a multiple of 128 up to 2097152; 'thin_repair "
			       "--data-block-size SECTORS -i POOL -o FILE' corrects it",
			       v->data_block_size);
	if (!v->mapping_root || v->mapping_root >= md->nr_blocks)
		return err_set(err, -EUCLEAN,
			       "superblock: mapping root %" PRIu64
			       " is not on the metadata device (%" PRIu64 " blocks): " NO_ROOT,
			       v->mapping_root, md->nr_blocks);
	if (!v->details_root || v->details_root >= md->nr_blocks)
		return err_set(err, -EUCLEAN,
			       "superblock: details root %" PRIu64
			       " is not on the metadata device (%" PRIu64 " blocks): " NO_ROOT,
			       v->details_root, md->nr_blocks);
	return 0;
}

int metadata_open(struct io *io, const struct metadata_options *opt, struct metadata *out,
		  struct err *err)
{
	struct metadata md = { 0 };
	int r;

	md.nr_blocks = MIN(io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	r = read_superblock(io, 0, &md.live, err);
	if (r)
		return r;
	md.view = md.live;
	if (opt->snap)
		r = open_held(io, opt, &md, err);
	if (!r)
		r = judge(&md, opt, err);
	if (r)
		return r;
	md.nr_data_blocks = md.live.data_sm.nr_blocks;
	md.mapping_root = md.view.mapping_root;
	md.details_root = md.view.details_root;
	*out = md;
	return 0;
}

void metadata_pool_info(const struct metadata *md, struct pool_info *out)
{
	*out = (struct pool_info){
		.time = md->view.time,
		.transaction = md->view.transaction_id,
		.flags = md->view.flags,
		.version = md->view.version,
		.has_version = true,
		.data_block_size = md->view.data_block_size,
		.nr_data_blocks = md->nr_data_blocks,
		.metadata_snap = md->snap,
	};
}

static int add_problem(struct metadata_devices *d, const char *text)
{
	if (!d->problem) {
		d->problem = calloc(METADATA_MAX_PROBLEMS, sizeof(*d->problem));
		if (!d->problem)
			return -ENOMEM;
	}
	d->nr_problems++;
	if (d->nr_kept == METADATA_MAX_PROBLEMS)
		return 0;
	d->problem[d->nr_kept] = strdup(text);
	if (!d->problem[d->nr_kept])
		return -ENOMEM;
	d->nr_kept++;
	return 0;
}

__attribute__((format(printf, 2, 3))) static int problemf(struct metadata_devices *d,
							   const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return add_problem(d, text);
}

/* One of the two trees, read whole. */
struct half {
	struct metadata_device *dev;
	size_t nr, cap;
};

static int half_add(struct half *h, const struct metadata_device *dev)
{
	struct metadata_device *slot = vec_add(h->dev, h->nr, h->cap);

	if (!slot)
		return -ENOMEM;
	*slot = *dev;
	return 0;
}

static int take_entries(struct half *h, const struct btree_entries *e, bool details,
			struct metadata_devices *d)
{
	for (uint32_t i = 0; i < e->nr; i++) {
		uint64_t key = entries_key(e, i);
		struct metadata_device dev = { .info.dev_id = (uint32_t)key };
		int r;

		if (key > MAX_DEV_ID) {
			d->damage = true;
			r = problemf(d,
				     "%s: device id %" PRIu64 " (block %" PRIu64 ") is above the "
				     "limit of %u: the device is left out",
				     details ? "device details tree" : "top-level mapping tree", key,
				     e->block, MAX_DEV_ID);
		} else {
			if (details) {
				dev.has_details = true;
				device_info_decode(&dev.info, (uint32_t)key, entries_value(e, i));
			} else {
				dev.has_root = true;
				dev.root = entries_value64(e, i);
			}
			r = half_add(h, &dev);
		}
		if (r)
			return r;
	}
	return 0;
}

/* @err must not be NULL: damage is told by it. */
static int read_half(struct stream *s, mblock_t root, bool details, struct half *h,
		     struct metadata_devices *d, struct err *err)
{
	struct btree_cursor *c =
		btree_cursor_new(s, root, details ? sizeof(struct disk_details) : sizeof(le64));
	struct btree_entries e;
	int r = -ENOMEM;

	if (!c)
		return err_nomem(err, "the list of devices");
	while ((r = btree_cursor_next(c, &e, err))) {
		if (r == 1) {
			r = take_entries(h, &e, details, d);
		} else if (btree_cursor_damage(c)) {
			d->damage |= btree_cursor_damage(c)->fault != NODE_UNREADABLE;
			r = problemf(d, "%s: %s",
				     details ? "device details tree" : "top-level mapping tree",
				     err->text);
		}
		if (r < 0)
			break;
	}
	btree_cursor_free(c);
	return r == -ENOMEM ? err_nomem(err, "the list of devices") : r;
}

bool metadata_device_problem(const struct metadata_device *dev, char *text, size_t len)
{
	if (!dev->has_root)
		snprintf(text, len,
			 "device %" PRIu32 ": is in the details tree but has no mapping tree",
			 dev->info.dev_id);
	else if (!dev->has_details)
		snprintf(text, len,
			 "device %" PRIu32 ": has a mapping tree (block %" PRIu64 ") but is not "
			 "in the details tree",
			 dev->info.dev_id, dev->root);
	else
		return false;
	return true;
}

/* Joins the two ascending lists into d->dev. */
static int join(struct metadata_devices *d, const struct half *det, const struct half *top)
{
	size_t i = 0, j = 0;

	d->dev = calloc(det->nr + top->nr + 1, sizeof(*d->dev));
	if (!d->dev)
		return -ENOMEM;
	d->nr_tree_problems = d->nr_kept;
	while (i < det->nr || j < top->nr) {
		struct metadata_device *out = &d->dev[d->nr++];
		char text[160];

		if (j == top->nr ||
		    (i < det->nr && det->dev[i].info.dev_id < top->dev[j].info.dev_id)) {
			*out = det->dev[i++];
		} else if (i == det->nr || top->dev[j].info.dev_id < det->dev[i].info.dev_id) {
			*out = top->dev[j++];
		} else {
			*out = det->dev[i++];
			out->has_root = true;
			out->root = top->dev[j++].root;
		}
		if (!metadata_device_problem(out, text, sizeof(text)))
			continue;
		d->damage |= !d->nr_tree_problems; /* else it may stand in what could not be read */
		if (add_problem(d, text))
			return -ENOMEM;
	}
	return 0;
}

int metadata_devices_read(const struct metadata *md, struct stream *s,
			  struct metadata_devices *out, struct err *err)
{
	struct half det = { 0 }, top = { 0 };
	struct err text = { 0 };
	int r;

	*out = (struct metadata_devices){ 0 };
	r = read_half(s, md->details_root, true, &det, out, &text);
	if (!r)
		r = read_half(s, md->mapping_root, false, &top, out, &text);
	if (!r && join(out, &det, &top))
		r = err_nomem(&text, "the list of devices");
	free(det.dev);
	free(top.dev);
	return r ? err_set(err, r, "%s", text.text) : 0;
}

void metadata_devices_fini(struct metadata_devices *d)
{
	for (size_t i = 0; i < d->nr_kept; i++)
		free(d->problem[i]);
	free(d->problem);
	free(d->dev);
	*d = (struct metadata_devices){ 0 };
}

const struct metadata_device *metadata_devices_find(const struct metadata_devices *d,
						    uint32_t dev_id)
{
	size_t at = search_first(i, d->nr, d->dev[i].info.dev_id >= dev_id);

	return at < d->nr && d->dev[at].info.dev_id == dev_id ? &d->dev[at] : NULL;
}
