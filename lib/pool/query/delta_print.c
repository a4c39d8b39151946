/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/delta_print.h"

#include <errno.h>
#include <inttypes.h>

#include "base/text/json.h"
#include "base/text/outbuf.h"

#define PIECE ((size_t)1 << 18)

struct printer {
	const struct delta_print *p;
	struct outbuf out;
	struct json json;
	struct delta_range last; /* still growing; len 0: none */
	int group;		 /* verbose XML: the kind whose element is open, -1: none */
};

static const char *const kind_names[] = { "same", "different", "left_only", "right_only" };

static int write_out(struct printer *d, size_t at_least, struct err *err)
{
	int r;

	if (d->out.error)
		return err_nomem(err, "text");
	if (d->out.len < at_least)
		return 0;
	r = d->p->write(d->p->ctx, d->out.data, d->out.len);
	outbuf_reset(&d->out);
	return r;
}

static void xml_simple(struct printer *d, const struct delta_range *r)
{
	outbuf_str(&d->out, "    <");
	outbuf_str(&d->out, kind_names[r->kind]);
	outbuf_attr(&d->out, "begin", r->begin);
	outbuf_attr(&d->out, "length", r->len);
	outbuf_str(&d->out, "/>\n");
}

static void xml_end_group(struct printer *d)
{
	if (d->group >= 0) {
		outbuf_str(&d->out, "    </");
		outbuf_str(&d->out, kind_names[d->group]);
		outbuf_str(&d->out, ">\n");
	}
	d->group = -1;
}

static void xml_verbose(struct printer *d, const struct delta_range *r)
{
	if (d->group != (int)r->kind) {
		xml_end_group(d);
		d->group = (int)r->kind;
		outbuf_str(&d->out, "    <");
		outbuf_str(&d->out, kind_names[r->kind]);
		outbuf_str(&d->out, ">\n");
	}
	outbuf_str(&d->out, "      <range");
	outbuf_attr(&d->out, "begin", r->begin);
	if (r->kind == DELTA_DIFFERENT) {
		outbuf_attr(&d->out, "left_data_begin", r->left);
		outbuf_attr(&d->out, "right_data_begin", r->right);
	} else {
		outbuf_attr(&d->out, "data_begin", r->kind == DELTA_RIGHT_ONLY ? r->right : r->left);
	}
	outbuf_attr(&d->out, "length", r->len);
	outbuf_str(&d->out, "/>\n");
}

static void json_range(struct printer *d, const struct delta_range *r)
{
	struct json *j = &d->json;

	json_object(j, NULL, 0);
	json_text(j, "kind", kind_names[r->kind]);
	json_u64(j, "begin", r->begin);
	json_u64(j, "length", r->len);
	if (d->p->verbose && r->kind != DELTA_RIGHT_ONLY)
		json_u64(j, "left_data_begin", r->left);
	if (d->p->verbose && r->kind != DELTA_LEFT_ONLY)
		json_u64(j, "right_data_begin", r->right);
	json_close(j);
}

static void end_last(struct printer *d)
{
	if (!d->last.len)
		return;
	if (d->p->json)
		json_range(d, &d->last);
	else if (d->p->verbose)
		xml_verbose(d, &d->last);
	else
		xml_simple(d, &d->last);
	d->last.len = 0;
}

/* Does @b go on where @a ends, and is it of the same kind? */
static bool joins(const struct printer *d, const struct delta_range *a, const struct delta_range *b)
{
	if (!a->len || a->kind != b->kind || a->begin + a->len != b->begin)
		return false;
	return !d->p->verbose || ((a->kind == DELTA_RIGHT_ONLY || a->left + a->len == b->left) &&
				  (a->kind == DELTA_LEFT_ONLY || a->right + a->len == b->right));
}

static int take_ranges(void *ctx, const struct delta_range *r, size_t nr, struct err *err)
{
	struct printer *d = ctx;

	for (size_t i = 0; i < nr; i++) {
		if (joins(d, &d->last, &r[i])) {
			d->last.len += r[i].len;
			continue;
		}
		end_last(d);
		d->last = r[i];
	}
	return write_out(d, PIECE, err);
}

static void begin(struct printer *d, const struct metadata *md)
{
	static const char *const names[2][2] = { { "left", "left_root" },
						 { "right", "right_root" } };
	struct outbuf *out = &d->out;
	bool json = d->p->json;

	if (json) {
		json_begin(&d->json, out);
		json_u64(&d->json, "time", md->view.time);
		json_u64(&d->json, "transaction_id", md->view.transaction_id);
		json_u64(&d->json, "data_block_size", md->view.data_block_size);
		json_u64(&d->json, "nr_data_blocks", md->nr_data_blocks);
	} else {
		outbuf_str(out, "<superblock uuid=\"\"");
		outbuf_attr(out, "time", md->view.time);
		outbuf_attr(out, "transaction", md->view.transaction_id);
		outbuf_attr(out, "data_block_size", md->view.data_block_size);
		outbuf_attr(out, "nr_data_blocks", md->nr_data_blocks);
		outbuf_str(out, ">\n  <diff");
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct delta_side *s = &d->p->side[i];
		uint64_t v = s->by_root ? s->root : s->dev_id;

		if (json)
			json_u64(&d->json, names[i][s->by_root], v);
		else
			outbuf_attr(out, names[i][s->by_root], v);
	}
	if (json)
		json_list(&d->json, "ranges", JSON_LINES);
	else
		outbuf_str(out, ">\n");
}

static void end(struct printer *d)
{
	end_last(d);
	if (d->p->json) {
		json_close(&d->json);
		json_end(&d->json);
	} else {
		xml_end_group(d);
		outbuf_str(&d->out, "  </diff>\n</superblock>");
	}
}

int delta_print(const struct metadata *md, struct stream *s, const struct delta_print *p,
		struct err *err)
{
	const struct delta_options opt = { .skip_same = p->skip_same,
					   .same_by_block = !p->verbose,
					   .problem = p->problem,
					   .problem_ctx = p->ctx };
	struct printer d = { .p = p, .group = -1 };
	int r;

	outbuf_init(&d.out);
	begin(&d, md);
	r = delta_compare(md, s, p->side[0].root, p->side[1].root, &opt, take_ranges, &d, err);
	if (!r) {
		end(&d);
		r = write_out(&d, 0, err);
	} else if (r == -EUCLEAN || r == -EIO) {
		end_last(&d);
		(void)write_out(&d, 0, NULL);
		if (p->side[0].by_root || p->side[1].by_root)
			err_set(err, r,
				"metadata contains errors, or the block given is not the root of a device's mapping tree "
				"(run thin_check for details: 'thin_check POOL')");
	}
	outbuf_fini(&d.out);
	return r;
}

int delta_find_root(const struct metadata *md, struct stream *s, const struct delta_print *p,
		    struct delta_side *side, unsigned nr, struct err *err)
{
	const struct metadata_device *dev;
	struct metadata_devices list;
	int r = side->by_root ? 0 : metadata_devices_read(md, s, &list, err);

	if (r || side->by_root)
		return r;
	dev = metadata_devices_find(&list, side->dev_id);
	if (dev && dev->has_root) {
		side->root = dev->root;
	} else {
		bool lost = dev || list.nr_tree_problems;

		for (size_t i = 0; i < list.nr_kept; i++)
			p->problem(p->ctx, list.problem[i]);
		r = err_set(err, !lost ? -EINVAL : list.damage ? -EUCLEAN : -EIO,
			    "Unable to find mapping tree for snap%u (%" PRIu32 "): %s", nr, side->dev_id,
			    lost ? "metadata contains errors (run thin_check for details: 'thin_check POOL')" :
				   "'thin_ls POOL' lists the devices");
	}
	metadata_devices_fini(&list);
	return r;
}
