/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/guard/content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/words.h"
#include "dev/named.h"
#include "dev/signature.h"
#include "pdata/block/csum.h"
#include "pool/format/format.h"
#include "pool/pack/pack.h"
#include "volume/guard/head.h"

#define PIECE	    ((size_t)1 << 20)
#define LOOK_BLOCKS 1024 /* in which a pool would show */

/* Past the first block, holes left out. */
static int rest_is_zero(struct io *io, bool *zero, struct err *err)
{
	CLEANUP(free_ptr) unsigned char *buf = io_alloc(PIECE);
	struct head h = { .data = buf };
	uint64_t at = io_next_data(io, MBLOCK_SIZE);
	int r = 0;

	if (!buf)
		return err_nomem(err, io->name);
	for (; !r && *zero && at < io->size; at = io_next_data(io, at + h.len)) {
		h.len = (size_t)MIN(PIECE, io->size - at);
		r = io_read(io, buf, h.len, at, err);
		*zero = !r && head_is_zero(&h);
	}
	return r;
}

static enum content judge(const struct head *h)
{
	const struct disk_superblock *sb = (const void *)h->data;
	struct head text = *h;
	const char *name = NULL;
	le64 magic;

	memcpy(&magic, h->data, sizeof(magic));
	if (h->len >= sizeof(magic) && le64_get(magic) == PACK_MAGIC)
		return CONTENT_PACK;
	if (h->len == MBLOCK_SIZE && le64_get(sb->magic) == THIN_MAGIC)
		return CONTENT_POOL;
	if (h->len == MBLOCK_SIZE && csum_classify(h->data, &name) == CSUM_FOREIGN)
		return CONTENT_FOREIGN;
	while (text.len && !text.data[text.len - 1]) /* short text on a device ends in zeros */
		text.len--;
	if (head_is_xml(&text))
		return CONTENT_XML;
	if (head_is_table(&text))
		return CONTENT_TABLE;
	return head_is_text(&text) ? CONTENT_TEXT : CONTENT_OTHER;
}

bool content_is_device(const struct io *io)
{
	struct stat st;

	return io->fd < 0 || fstat(io->fd, &st) || !S_ISREG(st.st_mode);
}

static int look(struct io *io, bool whole, enum content *c, struct err *err)
{
	CLEANUP(free_ptr) unsigned char *block = io_alloc(MBLOCK_SIZE);
	struct head h = { block, (size_t)MIN(io->size, MBLOCK_SIZE) };
	bool zero;
	int r;

	*c = CONTENT_NOTHING;
	if (!block)
		return err_nomem(err, io->name);
	memset(block, 0, MBLOCK_SIZE);
	r = io_read(io, block, h.len, 0, err);
	zero = !h.len || head_is_zero(&h);
	if (!r && zero && whole)
		r = rest_is_zero(io, &zero, err);
	if (zero)
		*c = CONTENT_NOTHING;
	else
		*c = head_is_zero(&h) ? CONTENT_OTHER : judge(&h);
	return r;
}

int content_of_io(struct io *io, enum content *c, struct err *err)
{
	return look(io, !content_is_device(io), c, err);
}

int content_of_head(struct io *io, enum content *c, struct err *err)
{
	return look(io, false, c, err);
}

bool content_is_disk(enum content c)
{
	return c != CONTENT_POOL && c != CONTENT_FOREIGN && c != CONTENT_PACK && c != CONTENT_TABLE && c != CONTENT_XML;
}

int content_of(const char *path, enum content *c, struct err *err)
{
	unsigned major, minor;
	struct stat st;
	struct io *io;
	int r;

	*c = CONTENT_NOTHING;
	if (dev_named_find(path)) {
		st.st_mode = S_IFBLK;
	} else if (stat(path, &st)) {
		if (errno != ENOENT)
			return err_sys(err, -errno, "cannot look at '%s'", path);
		if (!dev_numbers(path, &major, &minor))
			return 0;
		st.st_mode = S_IFBLK;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return 0;
	r = dev_open(path, DEV_FORCE | DEV_BUFFERED, &io, err);
	if (r < 0)
		return r;
	r = content_of_io(io, c, err);
	io_free(io);
	return r;
}

const char *content_name(enum content c)
{
	static const char *const names[] = {
		[CONTENT_NOTHING] = "nothing",
		[CONTENT_POOL] = "thin pool metadata",
		[CONTENT_FOREIGN] = "metadata of another device-mapper target (cache, era)",
		[CONTENT_PACK] = "packed metadata",
		[CONTENT_TABLE] = "a table file",
		[CONTENT_XML] = "XML",
		[CONTENT_TEXT] = "text",
		[CONTENT_OTHER] = "binary data",
	};

	return names[c];
}

static bool any_pool_block(const unsigned char *data, size_t len)
{
	for (size_t b = 0; (b + 1) * MBLOCK_SIZE <= len; b++) {
		const void *block = data + b * MBLOCK_SIZE;

		if (block_own_nr(block) != b)
			continue;
		switch (csum_classify(block, NULL)) {
		case CSUM_NONE:
		case CSUM_FOREIGN:
			break;
		default:
			return true;
		}
	}
	return false;
}

int content_signature(struct io *io, char *name, size_t len, struct err *err)
{
	CLEANUP(free_ptr) unsigned char *data = io_alloc(LOOK_BLOCKS * MBLOCK_SIZE);
	const char *found;
	size_t nr;
	int r;

	*name = 0;
	if (!data)
		return err_nomem(err, io->name);
	nr = (size_t)MIN(io->size, (uint64_t)LOOK_BLOCKS * MBLOCK_SIZE);
	r = io_read(io, data, nr, 0, err);
	if (r || any_pool_block(data, nr))
		return r;
	found = signature_name(data, MIN(nr, (size_t)SIGNATURE_LEN));
	if (found) /* without its advice */
		snprintf(name, len, "%.*s", (int)strcspn(found, ":"), found);
	return 0;
}

const char *content_not_xml(int fd)
{
	CLEANUP(free_ptr) unsigned char *data = malloc(SIGNATURE_LEN);
	ssize_t len = data ? pread(fd, data, MBLOCK_SIZE, 0) : 0;
	struct head h = { data, len > 0 ? (size_t)len : 0 };
	const char *name;
	size_t at = 0;
	enum content c;

	if (!h.len || head_is_xml(&h))
		return NULL;
	len = pread(fd, data, SIGNATURE_LEN, 0);
	h.len = len > 0 ? (size_t)MIN(len, MBLOCK_SIZE) : 0;
	if (!h.len)
		return NULL;
	name = signature_name(data, (size_t)len);
	if (name)
		return name;
	if (head_is_zero(&h))
		return "zeros";
	c = judge(&h);
	if (c == CONTENT_POOL)
		return "binary metadata: 'thin_dump POOL -o FILE' converts it to XML";
	/* of damaged XML the line is said; it begins with a mark or white space at most */
	while (at < h.len && (!data[at] || strchr("\xef\xbb\xbf\xff\xfe \t\r\n", data[at])))
		at++;
	return c == CONTENT_XML || (at < h.len && data[at] == '<') ? NULL : content_name(c);
}

int content_refuse(const char *path, const char *what, struct err *err)
{
	return err_set(err, -EEXIST, "%s: holds %s: nothing was written (%s overwrites it)", path, what, word_force);
}

int content_open_text_out(const char *path, bool force, struct out_file **out, struct err *err)
{
	enum content c = CONTENT_NOTHING;
	int r = force || dev_is_standard(path) ? 0 : content_of(path, &c, err);

	if (r)
		return r;
	if (c != CONTENT_NOTHING && c != CONTENT_XML && c != CONTENT_TEXT) {
		r = out_file_check(path, err); /* where --force would not help, it is not offered */
		return r ? r : content_refuse(path, content_name(c), err);
	}
	return out ? out_file_open(path, out, err) : out_file_check(path, err);
}
