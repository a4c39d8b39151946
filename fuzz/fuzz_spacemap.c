/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading both space maps of an image. */
#include "fuzz.h"
#include "image.h"
#include "pdata/map/read.h"
#include "pool/format/superblock.h"

static void load(struct io *io, const struct sm_root *root, bool metadata)
{
	struct refmap *counts = NULL;
	struct err err = { 0 };
	struct stream s;

	stream_init(&s, io, NULL);
	if (sm_load(&s, root, metadata, &counts, &err) < 0)
		MUST(!counts && err.text[0]);
	else
		MUST(refmap_nr_blocks(counts) == root->nr_blocks &&
		     refmap_nr_allocated(counts) <= root->nr_blocks);
	refmap_free(counts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct io *io = image_new(data, len);
	struct superblock sb;

	if (superblock_open(&sb, io_mem_data(io), 0) == SB_OK) {
		load(io, &sb.metadata_sm, true);
		load(io, &sb.data_sm, false);
	}
	io_free(io);
	return 0;
}
