/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_DIGEST_H
#define VOLUME_DIGEST_H
#include "base/meter.h"
#include "base/sum/sha256.h"
#include "volume/image/feed.h"

/* The SHA-256 of the device as raw bytes, all of them read.  @meter may be NULL. */
int image_digest(const struct map *m, const struct image_source *source, struct jobs *jobs,
		 struct meter *meter, char text[SHA256_TEXT], struct err *err);

#endif
