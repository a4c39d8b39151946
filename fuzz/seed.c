/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* "seed < metadata > corpus/check/name": the patches that make the first blocks of metadata. */
#include "base/text/outbuf.h"
#include "fuzz.h"
#include "image.h"

int main(void)
{
	static uint8_t image[IMAGE_BLOCKS * MBLOCK_SIZE];
	size_t len = fread(image, 1, sizeof(image), stdin);
	struct outbuf out;

	outbuf_init(&out);
	image_to_patches(image, len, &out);
	return fwrite(out.data, 1, out.len, stdout) != out.len || fclose(stdout);
}
