/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a POOL argument is.  Only the first 4096 bytes are looked at: the magic of a superblock,
 * the first character of XML, zeros, or text.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "pool/format/format.h"
#include "volume/guard/head.h"
#include "volume/open/table.h"

/* The first block; from a block device below the page cache, which may be stale. */
static int head_read(const char *path, struct head *h, struct err *err)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st;
	ssize_t n;

	if (stat(path, &st)) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_set(err, -ENOENT, "Couldn't find input file '%s'", path);
		return err_sys(err, -errno, "%s", path);
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -ENODEV, "Not a block device or regular file '%s'.", path);
	if (S_ISBLK(st.st_mode))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, -errno, "%s", path);
	while (h->len < MBLOCK_SIZE) {
		n = pread(fd, h->data + h->len, MBLOCK_SIZE - h->len, (off_t)h->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "%s: first block", path);
		if (!n)
			break;
		h->len += (size_t)n;
	}
	return 0;
}

static int kind_of(const char *path, enum pool_kind *kind, struct err *err)
{
	CLEANUP(free_ptr) void *buf = aligned_alloc(MBLOCK_SIZE, MBLOCK_SIZE);
	const struct disk_superblock *sb = buf;
	struct head h = { .data = buf };
	int r;

	if (!buf)
		return err_nomem(err, "first block");
	memset(buf, 0, MBLOCK_SIZE);
	r = head_read(path, &h, err);
	if (r < 0)
		return r;
	if (h.len == MBLOCK_SIZE && le64_get(sb->magic) == THIN_MAGIC)
		*kind = POOL_METADATA;
	else if (head_is_xml(&h))
		*kind = POOL_XML;
	else if (head_is_text(&h) && (h.len == MBLOCK_SIZE || memmem(h.data, h.len, "thin", 4)))
		*kind = POOL_TABLE;
	else if (head_is_text(&h))
		return err_set(err, -EUCLEAN,
			       "%s: Metadata device/file too small.  Is this binary metadata?  (Nor is "
			       "it a table file: it has no thin-pool line.)",
			       path);
	else if (h.len < MBLOCK_SIZE)
		return err_set(err, -EUCLEAN,
			       "%s: Metadata device/file too small.  Is this binary metadata?", path);
	else
		*kind = head_is_zero(&h) ? POOL_UNFORMATTED : POOL_METADATA;
	return 0;
}

/* The metadata that a table names; a mistake there is one of the table's pool line. */
static int open_from_table(struct pool_arg *p, struct err *err)
{
	const struct table *t = p->table;
	int r = kind_of(t->metadata, &p->kind, err);

	if (!r && p->kind == POOL_TABLE)
		r = err_set(err, -EINVAL,
			    "'%s' is text and no metadata: META of a thin-pool line must be a "
			    "metadata device, or a file that holds one",
			    t->metadata);
	if (r < 0)
		return err_prefix(err, r, "%s: line %u", t->path, t->pool_line);
	p->metadata = strdup(t->metadata);
	return p->metadata ? 0 : err_nomem(err, "path of the metadata");
}

int pool_arg_open(const char *path, struct pool_arg *out, struct err *err)
{
	struct pool_arg p = { 0 };
	int r = kind_of(path, &p.kind, err);

	if (r < 0)
		return r;
	if (p.kind == POOL_TABLE) {
		r = table_read(path, &p.table, err);
		if (!r)
			r = open_from_table(&p, err);
	} else {
		p.metadata = strdup(path);
		if (!p.metadata)
			r = err_nomem(err, "path of the metadata");
	}
	if (r < 0) {
		pool_arg_fini(&p);
		return r;
	}
	*out = p;
	return 0;
}

void pool_arg_fini(struct pool_arg *p)
{
	free(p->metadata);
	table_free(p->table);
	*p = (struct pool_arg){ 0 };
}

int pool_arg_readable(const struct pool_arg *p, bool xml_too, struct err *err)
{
	if (p->kind == POOL_XML && !xml_too)
		return err_set(err, -EINVAL,
			       "%s: This looks like XML.  This tool only supports the binary metadata "
			       "format.",
			       p->metadata);
	if (p->kind == POOL_UNFORMATTED)
		return err_set(err, -ENODATA,
			       "%s: the first block is all zero: the pool was never formatted (or its "
			       "superblock was wiped: thin_repair can tell)",
			       p->metadata);
	return 0;
}
