/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device lists and the mapping trees of all devices, the live ones first and then
 * what the held metadata snapshot adds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/check_state.h"
#include "pool/leaf_scan.h"

/* --- top level and details --- */

static int take_list_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
			  const struct node *n)
{
	struct list *l = ctx;
	struct list_worker *me = &l->worker[worker];

	(void)attr;
	for (uint32_t i = 0; i < n->nr; i++) {
		struct list_entry *e = check_grow(me->e, me->nr, &me->cap, sizeof(*e));
		struct disk_details d;

		if (!e)
			return -ENOMEM;
		me->e = e;
		e += me->nr++;
		*e = (struct list_entry){ .key = node_key(n, i), .leaf = (uint32_t)block };
		if (l->area == AREA_TOP_LEVEL) {
			e->root = node_value64(n, i);
			continue;
		}
		memcpy(&d, node_value(n, i), sizeof(d));
		e->mapped = le64_get(d.mapped_blocks);
		e->creation_time = le32_get(d.creation_time);
		e->snap_time = le32_get(d.snapshotted_time);
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct list_entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->leaf < y->leaf ? -1 : x->leaf > y->leaf;
}

/* Walks the tree under @root and adds its entries, but for those known already, to l->e. */
static int list_add(struct check *c, struct list *l, mblock_t root)
{
	const struct walk_root r = { .block = root };
	unsigned nr_workers = stream_nr_workers(&c->stream);
	size_t nr = l->nr;
	struct list_entry *e;

	if (walk_add(l->walk, &r, 1, c->err))
		return -ENOMEM;
	for (unsigned i = 0; i < nr_workers; i++)
		nr += l->worker[i].nr;
	e = reallocarray(l->e, nr + 1, sizeof(*e));
	if (!e)
		return err_nomem(c->err, "list of devices");
	l->e = e;
	for (unsigned i = 0; i < nr_workers; i++) {
		struct list_worker *me = &l->worker[i];

		if (me->nr)
			memcpy(e + l->nr, me->e, me->nr * sizeof(*e));
		l->nr += me->nr;
		me->nr = 0;
	}
	qsort(e, l->nr, sizeof(*e), by_key);
	return 0;
}

static int list_init(struct check *c, struct list *l, enum pool_area area, uint32_t value_size)
{
	unsigned nr_workers = stream_nr_workers(&c->stream);

	l->area = area;
	l->worker = aligned_alloc(64, nr_workers * sizeof(*l->worker));
	if (!l->worker)
		return err_nomem(c->err, "list of devices");
	memset(l->worker, 0, nr_workers * sizeof(*l->worker));
	l->walk = check_walk(c, area, value_size, take_list_leaf, l);
	return l->walk ? 0 : -ENOMEM;
}

static void list_fini(struct check *c, struct list *l)
{
	for (unsigned i = 0; l->worker && i < stream_nr_workers(&c->stream); i++)
		free(l->worker[i].e);
	free(l->worker);
	free(l->e);
	walk_free(l->walk);
}

/* --- views: one set of devices, joined by id --- */

struct leaves {
	uint32_t *block;
	size_t nr, cap;
};

static int note_leaf(void *ctx, const struct walk_part *part)
{
	struct leaves *l = ctx;
	uint32_t *p;

	if (part->fault && part->fault != NODE_BAD_RANGE)
		return 0;
	p = check_grow(l->block, l->nr, &l->cap, sizeof(*p));
	if (!p)
		return -ENOMEM;
	l->block = p;
	p[l->nr++] = (uint32_t)part->block;
	return 0;
}

static int by_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The entries of @l under @root: a list of their own, ascending. */
static int list_under(struct check *c, struct list *l, mblock_t root, struct list_entry **out,
		      size_t *nr)
{
	struct leaves leaves = { 0 };
	int r = walk_each(l->walk, root, note_leaf, &leaves);

	*nr = 0;
	*out = malloc((l->nr + 1) * sizeof(**out));
	if (!*out || r) {
		free(leaves.block);
		return err_nomem(c->err, "list of devices");
	}
	if (leaves.nr)
		qsort(leaves.block, leaves.nr, sizeof(uint32_t), by_u32);
	for (size_t i = 0; i < l->nr && leaves.nr; i++)
		if (bsearch(&l->e[i].leaf, leaves.block, leaves.nr, sizeof(uint32_t), by_u32) &&
		    (!*nr || (*out)[*nr - 1].key != l->e[i].key))
			(*out)[(*nr)++] = l->e[i];
	free(leaves.block);
	return 0;
}

/* Does the key lie in a part of the tree that could not be read? */
static bool key_lost(struct list *l, uint64_t key)
{
	const struct walk_fault *f;
	size_t nr;

	f = walk_faults(l->walk, &nr);
	for (size_t i = 0; i < nr; i++)
		if (key >= f[i].begin && key <= f[i].last)
			return true;
	return false;
}

static void found_device(struct check *c, const struct view *v, enum finding_kind kind,
			 const struct device *d, uint64_t stored, uint64_t expected)
{
	struct finding f = finding_make(kind, AREA_DEVICE);

	f.held = v->held;
	f.has_values = stored || expected;
	f.stored = stored;
	f.expected = expected;
	findings_add(&c->out->findings, &f, &d->id, 1);
}

static void check_device(struct check *c, const struct view *v, const struct device *d)
{
	uint32_t now = c->out->sb.time, newest = MAX(d->creation_time, d->snap_time);

	if (!d->has_details && !key_lost(&c->details, d->id))
		found_device(c, v, FOUND_NO_DETAILS, d, 0, 0);
	if (!d->has_root && !key_lost(&c->top, d->id))
		found_device(c, v, FOUND_NO_MAPPINGS, d, 0, 0);
	if (d->has_details && newest > now)
		found_device(c, v, FOUND_DEVICE_TIME, d, newest, now);
}

static void found_big_id(struct check *c, const struct view *v, enum pool_area area, uint64_t key)
{
	struct finding f = finding_make(FOUND_DEVICE_ID, area);

	f.held = v->held;
	f.has_values = true;
	f.stored = key;
	f.expected = MAX_DEV_ID;
	check_found(c, &f);
}

static void add_device(struct check *c, struct view *v, const struct list_entry *top,
		       const struct list_entry *details)
{
	struct device *d = &v->dev[v->nr];
	uint64_t key = top ? top->key : details->key;

	if (key > MAX_DEV_ID) {
		found_big_id(c, v, top ? AREA_TOP_LEVEL : AREA_DETAILS, key);
		return;
	}
	*d = (struct device){ .id = (uint32_t)key, .has_root = top, .has_details = details };
	if (top)
		d->root = top->root;
	if (details) {
		d->mapped = details->mapped;
		d->creation_time = details->creation_time;
		d->snap_time = details->snap_time;
	}
	v->nr++;
}

static int view_make(struct check *c, struct view *v)
{
	CLEANUP(free_ptr) struct list_entry *top = NULL, *det = NULL;
	size_t nr_top, nr_det, i = 0, k = 0;

	if (list_under(c, &c->top, v->mapping_root, &top, &nr_top) ||
	    list_under(c, &c->details, v->details_root, &det, &nr_det))
		return -ENOMEM;
	v->dev = malloc((nr_top + nr_det + 1) * sizeof(*v->dev));
	if (!v->dev)
		return err_nomem(c->err, "list of devices");
	while (i < nr_top || k < nr_det) {
		bool has_top = i < nr_top && (k == nr_det || top[i].key <= det[k].key);
		bool has_det = k < nr_det && (i == nr_top || det[k].key <= top[i].key);

		add_device(c, v, has_top ? &top[i] : NULL, has_det ? &det[k] : NULL);
		i += has_top;
		k += has_det;
	}
	for (i = 0; i < v->nr; i++)
		check_device(c, v, &v->dev[i]);
	return 0;
}

/* --- mapping trees --- */

int check_add_issue(struct map_worker *me, const struct leaf_issue *i)
{
	struct leaf_issue *p = check_grow(me->issue, me->nr_issues, &me->cap_issues, sizeof(*p));

	if (!p)
		return -ENOMEM;
	me->issue = p;
	p[me->nr_issues++] = *i;
	return 0;
}

static inline uint64_t value_at(const struct node *n, uint32_t i)
{
	return node_value64(n, i);
}

/* The end of the run of consecutive data blocks with one time that begins at entry @i. */
static inline uint32_t run_end(const struct node *n, uint32_t i)
{
	while (++i < n->nr && value_at(n, i) - value_at(n, i - 1) == MAPPING_STEP)
		;
	return i;
}

static void candidate_set(struct check *c, dblock_t b, uint64_t len)
{
	for (; len; len--, b++)
		if (!(__atomic_load_n(&c->candidate[b / 64], __ATOMIC_RELAXED) & 1ull << b % 64))
			__atomic_fetch_or(&c->candidate[b / 64], 1ull << b % 64, __ATOMIC_RELAXED);
}

/* Candidates of a run, whole words at a time. */
static void candidate_run(struct check *c, dblock_t b, uint64_t len)
{
	uint64_t head = MIN((64 - b % 64) % 64, len);

	candidate_set(c, b, head);
	for (b += head, len -= head; len >= 64; b += 64, len -= 64)
		__atomic_store_n(&c->candidate[b / 64], ~0ull, __ATOMIC_RELAXED);
	candidate_set(c, b, len);
}

#define SHORT_RUN 4 /* up to here block by block, with their cache lines asked for beforehand */

/* What a leaf has to say, gathered before the counts are touched. */
struct leaf_blocks {
	uint64_t single[252], suspect[252];
	uint32_t nr_singles, nr_suspects;
	uint64_t nr_outside, first_outside, last_outside, far;
};

/* A run of which something may be beyond the device or unprotected. */
static void take_run(struct check *c, struct refmap *counts, struct leaf_blocks *lb,
		     const struct node *n, uint32_t i, uint32_t len, uint32_t snap_time)
{
	uint64_t value = value_at(n, i), b = mapping_block(value), fits = len;
	bool suspect = c->candidate && mapping_time(value) >= snap_time;

	if (unlikely(b + len > c->nr_data)) {
		if (c->data_unknown)
			return;
		fits = b < c->nr_data ? c->nr_data - b : 0;
		if (!lb->nr_outside)
			lb->first_outside = node_key(n, i + (uint32_t)fits);
		lb->last_outside = node_key(n, i + len - 1);
		lb->nr_outside += len - fits;
		lb->far = MAX(lb->far, b + len - 1);
	}
	if (fits >= SHORT_RUN)
		refmap_inc_run(counts, b, fits);
	if (fits >= SHORT_RUN && suspect)
		candidate_run(c, b, fits);
	for (uint64_t k = 0; k < fits && fits < SHORT_RUN; k++) {
		lb->single[lb->nr_singles++] = b + k;
		if (suspect)
			lb->suspect[lb->nr_suspects++] = b + k;
	}
}

/* The same for a leaf of which neither is true. */
static void take_plain(struct refmap *counts, struct leaf_blocks *lb, const struct node *n)
{
	uint64_t v = value_at(n, 0), next;
	uint32_t i, begin = 0, nr = 0;

	for (i = 1; i < n->nr; i++, v = next) {
		next = value_at(n, i);
		if (next - v == MAPPING_STEP)
			continue;
		if (i - begin < SHORT_RUN)
			for (; begin < i; begin++)
				lb->single[nr++] = mapping_block(value_at(n, begin));
		else
			refmap_inc_run(counts, mapping_block(value_at(n, begin)), i - begin);
		begin = i;
	}
	lb->nr_singles = nr;
	refmap_inc_run(counts, mapping_block(value_at(n, begin)), i - begin);
}

static void take_singles(struct check *c, struct refmap *counts, const struct leaf_blocks *lb)
{
	for (uint32_t i = 0; i < lb->nr_suspects; i++)
		__builtin_prefetch(&c->candidate[lb->suspect[i] / 64], 1);
	refmap_inc_list(counts, lb->single, lb->nr_singles);
	for (uint32_t i = 0; i < lb->nr_suspects; i++)
		candidate_set(c, lb->suspect[i], 1);
}

static int leaf_issues(struct check *c, struct map_worker *me, uint32_t block, const struct node *n,
		       const struct leaf_blocks *lb, uint32_t newest)
{
	struct leaf_issue issue = { .block = block, .kind = FOUND_DATA_OUTSIDE };
	int r = 0;

	if (lb->nr_outside) {
		issue.first = lb->first_outside;
		issue.last = lb->last_outside;
		issue.count = lb->nr_outside;
		issue.worst = lb->far;
		r = check_add_issue(me, &issue);
	}
	if (newest > c->out->sb.time && !r) {
		issue.kind = FOUND_MAPPING_TIME;
		issue.first = node_key(n, 0);
		issue.last = node_key(n, n->nr - 1);
		issue.count = 1;
		issue.worst = newest;
		r = check_add_issue(me, &issue);
	}
	return r;
}

static int take_mapping_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
			     const struct node *n)
{
	struct check *c = ctx;
	struct map_worker *me = &c->map_worker[worker];
	struct refmap *counts = me->counts;
	struct leaf_blocks lb;
	struct leaf_scan scan;

	c->leaf_count[block] = (uint16_t)n->nr;
	if (!n->nr)
		return 0;
	me->nr_mappings += n->nr;
	scan = leaf_scan(n, c->nr_data);
	if (c->leaf_time)
		c->leaf_time[block] = scan.newest;
	lb.nr_singles = lb.nr_suspects = 0;
	lb.nr_outside = lb.far = 0;
	if (!scan.all_inside || (c->candidate && scan.newest >= attr)) {
		for (uint32_t i = 0, end; i < n->nr; i = end) {
			end = scan.one_run ? n->nr : run_end(n, i);
			take_run(c, counts, &lb, n, i, end - i, attr);
		}
	} else if (scan.one_run) {
		refmap_inc_run(counts, mapping_block(value_at(n, 0)), n->nr);
	} else {
		take_plain(counts, &lb, n);
	}
	take_singles(c, counts, &lb);
	if (unlikely(lb.nr_outside || scan.newest > c->out->sb.time))
		return leaf_issues(c, me, (uint32_t)block, n, &lb, scan.newest);
	return 0;
}

/* --- counts of data blocks --- */

/*
 * Workers on one map need an atomic operation for each block.  As long as that is not much
 * memory, each has a map of its own, and they are added up afterwards.
 */
#define PRIVATE_MAPS_MAX ((uint64_t)64 << 20) /* bytes, all together */

static int counts_begin(struct check *c)
{
	unsigned nr = stream_nr_workers(&c->stream);
	bool private = c->nr_data / 4 * nr <= PRIVATE_MAPS_MAX;

	if (!c->data)
		c->data = refmap_new(c->nr_data, nr > 1 && !private);
	if (!c->data)
		return err_nomem(c->err, "counts of data blocks");
	for (unsigned i = 0; i < nr; i++) {
		c->map_worker[i].counts = c->data;
		if (!i || !private)
			continue;
		c->map_worker[i].counts = refmap_new(c->nr_data, false);
		if (!c->map_worker[i].counts)
			return err_nomem(c->err, "counts of data blocks");
	}
	return 0;
}

static int merge_piece(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	struct check *c = ctx;

	(void)worker;
	(void)err;
	for (unsigned i = 0; i < stream_nr_workers(&c->stream); i++)
		if (c->map_worker[i].counts != c->data)
			refmap_merge(c->data, c->map_worker[i].counts, begin * REFMAP_GRAIN,
				     end * REFMAP_GRAIN);
	return 0;
}

static void counts_drop(struct check *c)
{
	for (unsigned i = 0; c->map_worker && i < stream_nr_workers(&c->stream); i++) {
		if (c->map_worker[i].counts != c->data)
			refmap_free(c->map_worker[i].counts);
		c->map_worker[i].counts = NULL;
	}
}

static int counts_end(struct check *c)
{
	bool failed = refmap_failed(c->data), private = false;
	int r = 0;

	for (unsigned i = 0; i < stream_nr_workers(&c->stream); i++) {
		private |= c->map_worker[i].counts != c->data;
		failed |= refmap_failed(c->map_worker[i].counts);
	}
	if (private)
		r = jobs_for(c->stream.jobs, c->nr_data / REFMAP_GRAIN + 1, 4096, merge_piece, c,
			     c->err);
	counts_drop(c);
	return failed ? err_nomem(c->err, "counts of data blocks") : r;
}

static int devices_init(struct check *c, size_t nr_roots)
{
	unsigned nr_workers = stream_nr_workers(&c->stream);

	c->map_worker = aligned_alloc(64, nr_workers * sizeof(*c->map_worker));
	if (c->map_worker)
		memset(c->map_worker, 0, nr_workers * sizeof(*c->map_worker));
	c->leaf_count = calloc(c->nr_blocks + 1, sizeof(*c->leaf_count));
	if (nr_roots > 1) {
		c->leaf_time = calloc(c->nr_blocks + 1, sizeof(*c->leaf_time));
		c->candidate = calloc(c->nr_data / 64 + 1, sizeof(*c->candidate));
	}
	if (!c->map_worker || !c->leaf_count ||
	    (nr_roots > 1 && (!c->leaf_time || !c->candidate)))
		return err_nomem(c->err, "counts of data blocks");
	c->devices = check_walk(c, AREA_DEVICE, 8, take_mapping_leaf, c);
	return c->devices ? 0 : -ENOMEM;
}

/* The snapshotted_time of a device in the top level; without details no time is too late. */
static uint32_t snap_time_of(const struct view *v, uint64_t id)
{
	size_t lo = 0, hi = v->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->dev[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->nr && v->dev[lo].id == id && v->dev[lo].has_details ? v->dev[lo].snap_time
									     : UINT32_MAX;
}

/* Walks the mapping trees that the top level has from entry list[nr_known..] on. */
static int walk_devices(struct check *c, const struct view *v, const struct list_entry *e, size_t nr)
{
	CLEANUP(free_ptr) struct walk_root *root = malloc((nr + 1) * sizeof(*root));
	int r;

	if (!root)
		return err_nomem(c->err, "list of devices");
	r = counts_begin(c);
	if (r)
		return r;
	for (size_t i = 0; i < nr; i++)
		root[i] = (struct walk_root){ e[i].root, snap_time_of(v, e[i].key) };
	r = walk_add(c->devices, root, nr, c->err);
	return r ? r : counts_end(c);
}

static void check_mapped(struct check *c, const struct view *v)
{
	for (size_t i = 0; i < v->nr; i++) {
		const struct device *d = &v->dev[i];
		uint64_t sum;

		if (!d->has_root || !d->has_details || d->damaged)
			continue;
		sum = walk_sum(c->devices, d->root, c->leaf_count);
		if (sum != d->mapped)
			found_device(c, v, FOUND_MAPPED_BLOCKS, d, d->mapped, sum);
	}
}

/* Live trees (or, with snap, the held ones in their place). */
static int check_first_view(struct check *c, struct view *v)
{
	int r;

	r = list_init(c, &c->top, AREA_TOP_LEVEL, 8);
	if (!r)
		r = list_init(c, &c->details, AREA_DETAILS, sizeof(struct disk_details));
	if (!r)
		r = list_add(c, &c->top, v->mapping_root);
	if (!r)
		r = list_add(c, &c->details, v->details_root);
	if (!r)
		r = view_make(c, v);
	if (r || c->opt->skip_mappings)
		return r;
	r = devices_init(c, c->top.nr);
	if (!r)
		r = walk_devices(c, v, c->top.e, c->top.nr);
	return r ? r : check_times(c);
}

static int by_leaf_known(const struct list_entry *known, size_t nr, const struct list_entry *e)
{
	return nr && bsearch(e, known, nr, sizeof(*e), by_key) != NULL;
}

/* What the held snapshot adds to the live trees. */
static int check_held_view(struct check *c)
{
	CLEANUP(free_ptr) struct list_entry *known = NULL;
	size_t nr = c->top.nr, added = 0;
	struct list_entry *fresh;
	int r;

	known = malloc((nr + 1) * sizeof(*known));
	if (!known)
		return err_nomem(c->err, "list of devices");
	memcpy(known, c->top.e, nr * sizeof(*known));
	r = list_add(c, &c->top, c->held.mapping_root);
	if (!r)
		r = list_add(c, &c->details, c->held.details_root);
	if (!r)
		r = view_make(c, &c->held);
	if (r || c->opt->skip_mappings)
		return r;
	fresh = malloc((c->top.nr + 1) * sizeof(*fresh));
	if (!fresh)
		return err_nomem(c->err, "list of devices");
	for (size_t i = 0; i < c->top.nr; i++)
		if (!by_leaf_known(known, nr, &c->top.e[i]))
			fresh[added++] = c->top.e[i];
	r = walk_devices(c, &c->held, fresh, added);
	free(fresh);
	return r;
}

int check_trees(struct check *c)
{
	struct view *first = c->opt->snap ? &c->held : &c->live;
	int r;

	if (c->opt->snap && !c->held.held)
		return 0; /* the finding is there */
	r = check_first_view(c, first);
	if (!r && c->held.held && first != &c->held)
		r = check_held_view(c);
	if (r)
		return r;
	check_walk_findings(c, c->top.walk, AREA_TOP_LEVEL, first->held);
	check_walk_findings(c, c->details.walk, AREA_DETAILS, first->held);
	c->out->nr_devices = first->nr;
	if (!c->devices)
		return 0;
	r = check_device_findings(c);
	if (r)
		return r;
	check_walk_findings(c, c->devices, AREA_DEVICE, first->held);
	check_mapped(c, first);
	if (first != &c->held)
		check_mapped(c, &c->held);
	for (unsigned i = 0; i < stream_nr_workers(&c->stream); i++)
		c->out->nr_mappings += c->map_worker[i].nr_mappings;
	return refmap_failed(c->data) ? err_nomem(c->err, "counts of data blocks") : 0;
}

void check_trees_fini(struct check *c)
{
	list_fini(c, &c->top);
	list_fini(c, &c->details);
	walk_free(c->devices);
	counts_drop(c);
	for (unsigned i = 0; c->map_worker && i < stream_nr_workers(&c->stream); i++)
		free(c->map_worker[i].issue);
	free(c->map_worker);
	free(c->leaf_count);
	free(c->leaf_time);
	free(c->candidate);
	free(c->live.dev);
	free(c->held.dev);
}
