/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/live/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "volume/live/dm.h"

#define MAX_LAYERS 8
#define NAME_ROOM 600

struct live {
	struct dm_device pool;
	struct dm_device thin; /* what live_open() was given; .type NULL: no thin device */
};

/* The first word, MAJOR:MINOR. */
static bool device_word(const char *params, dev_t *dev)
{
	unsigned major, minor;

	if (sscanf(params, "%u:%u", &major, &minor) != 2)
		return false;
	*dev = makedev(major, minor);
	return true;
}

static bool has_type(const struct dm_device *d, const char *type)
{
	return d->nr_targets == 1 && !strcmp(d->type, type);
}

/* Below /dev/mapper is VG and LV with each '-' twice, joined by one. */
static void mapper_name(const char *word, char name[NAME_ROOM])
{
	static const char dev[] = "/dev/";
	const char *slash;
	size_t n = 0;

	if (!strncmp(word, dev, strlen(dev)))
		word += strlen(dev);
	slash = strchr(word, '/');
	*name = 0;
	if (!slash || slash == word || strchr(slash + 1, '/') || strlen(word) > 256)
		return;
	for (; *word; word++) {
		name[n++] = *word == '/' ? '-' : *word;
		if (*word == '-')
			name[n++] = '-';
	}
	name[n] = 0;
}

/* LVM gives VG/POOL no node of its own as long as only its volumes are active. */
static int find_by_lvm_name(const char *word, dev_t *dev, struct err *err)
{
	static const char *const layer[] = { "-tpool", "" };
	char name[NAME_ROOM];
	struct dm_device d;
	int r = -ENXIO;

	mapper_name(word, name);
	for (size_t i = 0; *name && i < ARRAY_SIZE(layer) && r == -ENXIO; i++) {
		char whole[NAME_ROOM + 8];

		snprintf(whole, sizeof(whole), "%s%s", name, layer[i]);
		r = dm_table(whole, 0, &d, err);
	}
	if (r == -ENXIO)
		return err_set(err, -ENOENT, "%s: no such device or active volume", word);
	if (!r) {
		*dev = d.dev;
		dm_device_fini(&d);
	}
	return r;
}

static int find(const char *word, dev_t *dev, struct err *err)
{
	struct stat st;

	if (dev_stat(word, &st))
		return find_by_lvm_name(word, dev, err);
	*dev = st.st_rdev;
	return S_ISBLK(st.st_mode) ? 0 : err_set(err, -ENODATA, "%s: is not a block device", word);
}

/* The pool whose metadata device has the number .metadata. */
struct search {
	dev_t metadata;
	struct dm_device *out;
};

static int is_pool_of(void *ctx, dev_t dev, struct err *err)
{
	struct search *s = ctx;
	struct dm_device d;
	dev_t metadata;
	int r = dm_table(NULL, dev, &d, err);

	if (r)
		return r == -ENXIO ? 0 : r; /* it was removed meanwhile */
	if (has_type(&d, "thin-pool") && device_word(d.params, &metadata) && metadata == s->metadata) {
		*s->out = d;
		return 1;
	}
	dm_device_fini(&d);
	return 0;
}

/* Does @d lie over a whole device, whose number is *@below? */
static bool lies_over(const struct dm_device *d, dev_t *below)
{
	unsigned long long at;

	if (has_type(d, "linear") && (sscanf(d->params, "%*s %llu", &at) != 1 || at))
		return false;
	return (has_type(d, "thin") || has_type(d, "linear")) && device_word(d->params, below);
}

/* 1: l->pool is found, on the way down from @dev.  0: it is not. */
static int descend(struct live *l, dev_t dev, struct err *err)
{
	sector_t whole = 0; /* of the linear device above */

	for (unsigned i = 0; i < MAX_LAYERS; i++) {
		struct dm_device d;
		bool go_on;
		int r = dm_table(NULL, dev, &d, err);

		if (r)
			return r == -ENXIO ? 0 : r;
		if (whole && d.length != whole) {
			dm_device_fini(&d);
			return 0;
		}
		if (has_type(&d, "thin-pool")) {
			l->pool = d;
			return 1;
		}
		go_on = lies_over(&d, &dev);
		whole = has_type(&d, "linear") ? d.length : 0;
		if (has_type(&d, "thin"))
			l->thin = d;
		else
			dm_device_fini(&d);
		if (!go_on)
			return 0;
	}
	return 0;
}

int live_open(const char *word, struct live **out, struct err *err)
{
	CLEANUP(free_ptr) struct live *l = calloc(1, sizeof(*l));
	struct search s = { .out = l ? &l->pool : NULL };
	int r;

	if (!l)
		return err_nomem(err, "an active pool");
	r = find(word, &s.metadata, err);
	if (!r)
		r = descend(l, s.metadata, err);
	if (!r)
		r = dm_each(is_pool_of, &s, err);
	if (r == 1) {
		*out = steal_ptr(&l);
		return 0;
	}
	dm_device_fini(&l->thin);
	return r ? r : err_set(err, -ENODATA, "%s: is neither an active thin pool nor an active "
					      "thin device", word);
}

void live_free(struct live *l)
{
	if (!l)
		return;
	dm_device_fini(&l->pool);
	dm_device_fini(&l->thin);
	free(l);
}

int live_reserve(const struct live *l, struct err *err)
{
	int r = dm_message(l->pool.dev, "reserve_metadata_snap", err);

	if (r == -EBUSY)
		return err_set(err, r,
			       "%s: a metadata snapshot is held already: -m reads it, and "
			       "'dmsetup message %s 0 release_metadata_snap' releases it",
			       l->pool.name, l->pool.name);
	return r ? err_prefix(err, r, "%s", l->pool.name) : 0;
}

int live_release(const struct live *l, struct err *err)
{
	int r = dm_message(l->pool.dev, "release_metadata_snap", err);

	return r ? err_prefix(err, r, "%s: the metadata snapshot is still held", l->pool.name) : 0;
}

/* What opens the device @number, MAJOR:MINOR: its name below /dev/mapper where that is one. */
static int add_device(struct outbuf *out, const char *number, struct err *err)
{
	CLEANUP(free_ptr) char *path = NULL;
	char name[NAME_ROOM];
	struct dm_device d;
	struct stat st;
	dev_t dev;
	int r;

	if (!device_word(number, &dev))
		return err_set(err, -EINVAL, "the kernel's table names a device '%s'", number);
	r = dm_table(NULL, dev, &d, err);
	if (r && r != -ENXIO)
		return r;
	if (!r) {
		snprintf(name, sizeof(name), "/dev/mapper/%s", d.name);
		dm_device_fini(&d);
		if (!stat(name, &st) && st.st_rdev == dev) {
			outbuf_printf(out, " %s", name);
			return 0;
		}
	}
	path = dev_path_of_numbers(major(dev), minor(dev));
	if (!path)
		return err_nomem(err, "a device's path");
	outbuf_printf(out, " %s", path);
	return 0;
}

/* One half of LVM's VG-LV or VG-LV-LAYER, where each '-' of a name stands twice; returns what is behind it. */
static const char *take_half(const char *from, char half[NAME_ROOM])
{
	size_t n = 0;

	for (; *from && n < NAME_ROOM - 1; from++) {
		if (*from == '-' && from[1] != '-')
			break;
		from += *from == '-';
		half[n++] = *from;
	}
	half[n] = 0;
	return *from ? from + 1 : from;
}

static bool is_of_lvm(const struct dm_device *d)
{
	return !strncmp(d->uuid, "LVM-", 4);
}

/* The name of @d in the table: that of LVM's volume, as in the table of a disk, or its own. */
static const char *name_of(const struct dm_device *d, char name[NAME_ROOM])
{
	const char *lv = is_of_lvm(d) ? take_half(d->name, name) : "";

	if (!*lv)
		return d->name;
	take_half(lv, name);
	return name;
}

/* So that VG/LV is understood. */
static void write_group(const struct dm_device *pool, struct outbuf *out)
{
	char vg[NAME_ROOM];

	if (!is_of_lvm(pool))
		return;
	take_half(pool->name, vg);
	outbuf_printf(out, "# volume group %s, seqno 0\n", vg);
}

static int write_pool(const struct live *l, struct outbuf *out, struct err *err)
{
	char metadata[32], data[32], name[NAME_ROOM];
	int n = 0, r;

	if (sscanf(l->pool.params, "%31s %31s %n", metadata, data, &n) != 2 || !n)
		return err_set(err, -EINVAL, "%s: the kernel's table is '%s'", l->pool.name, l->pool.params);
	outbuf_printf(out, "%s: 0 %llu thin-pool", name_of(&l->pool, name), (unsigned long long)l->pool.length);
	r = add_device(out, metadata, err);
	if (!r)
		r = add_device(out, data, err);
	outbuf_printf(out, " %s\n", l->pool.params + n);
	return r;
}

struct writing {
	const struct live *live;
	struct outbuf *out;
};

static int write_thin(void *ctx, dev_t dev, struct err *err)
{
	struct writing *w = ctx;
	char origin[32] = "", name[NAME_ROOM], in[NAME_ROOM];
	struct dm_device d;
	unsigned id;
	dev_t pool;
	int r = dm_table(NULL, dev, &d, err);

	if (r)
		return r == -ENXIO ? 0 : r;
	if (has_type(&d, "thin") && device_word(d.params, &pool) && pool == w->live->pool.dev &&
	    sscanf(d.params, "%*s %u %31s", &id, origin) >= 1) {
		outbuf_printf(w->out, "%s: 0 %llu thin %s %u", name_of(&d, name), (unsigned long long)d.length,
			      name_of(&w->live->pool, in), id);
		r = *origin ? add_device(w->out, origin, err) : 0;
		outbuf_str(w->out, "\n");
	}
	dm_device_fini(&d);
	return r;
}

static int write_use(const struct dm_device *thin, struct outbuf *out, struct err *err)
{
	unsigned long long mapped;
	char name[NAME_ROOM];
	struct dm_device d;
	bool known;
	int r = dm_status(thin->dev, &d, err);

	if (r)
		return r == -ENXIO ? err_set(err, -ENOENT, "%s: is no longer active", thin->name) : r;
	known = has_type(&d, "thin") && sscanf(d.params, "%llu", &mapped) == 1;
	if (known)
		outbuf_printf(out, "# active thin device %s: /dev/mapper/%s, open %u, %s, mapped %llu\n",
			      name_of(&d, name), d.name, d.open_count, d.read_only ? "read-only" : "writable", mapped);
	else
		r = err_set(err, -EIO, "%s: the kernel cannot read it: its status is '%s'", d.name, d.params);
	dm_device_fini(&d);
	return r;
}

int live_write_table(const struct live *l, struct outbuf *out, struct err *err)
{
	struct writing w = { l, out };
	int r = 0;

	outbuf_printf(out, "# active thin pool %s, as the kernel has it\n", l->pool.name);
	write_group(&l->pool, out);
	if (l->thin.type)
		r = write_use(&l->thin, out, err);
	if (!r)
		r = write_pool(l, out, err);
	if (!r)
		r = dm_each(write_thin, &w, err);
	return r ? r : out->error ? err_nomem(err, "the table of an active pool") : 0;
}
