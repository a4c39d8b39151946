/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_REPORT_REPORT_H
#define POOL_REPORT_REPORT_H
/* A salvage in words: it is only read, and nothing is decided here.  One thread. */
#include "pool/salvage/salvage.h"

/*
 * What was found, kept, lost and invented: lines of text, or one JSON object.  @verbose: also
 * devices that came back whole.
 */
void salvage_report(struct salvage *s, bool verbose, struct outbuf *out);
/* The report's last line: the sum, and what to do.  @accept_loss: the user takes the result as it is. */
void salvage_report_sum(const struct salvage *s, bool verbose, bool accept_loss, struct outbuf *out);
void salvage_report_device(struct salvage *s, uint32_t dev_id, bool accept_loss,
			   struct outbuf *out);
void salvage_report_json(struct salvage *s, struct outbuf *out);

#endif
